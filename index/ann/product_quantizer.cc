#include "dpkde/index/ann/product_quantizer.h"

#include <algorithm>
#include <numeric>

#include "dpkde/index/ann/kernels.h"

namespace dpkde {
namespace {

constexpr int kIterations = 20;

// The points of one group, `dims` values each.
std::vector<float> Gather(const ProductQuantizer& pq, MatrixView rows, size_t group) {
  std::vector<float> points(rows.rows * pq.dims, 0);
  const size_t begin = group * pq.dims, end = std::min(begin + pq.dims, rows.columns);
  for (size_t i = 0; i < rows.rows && begin < end; ++i) {
    std::copy(rows.row(i).begin() + begin, rows.row(i).begin() + end, &points[i * pq.dims]);
  }
  return points;
}

// For NearestCentroids(): half the squared norms, then coordinate by coordinate.
std::vector<float> Transpose(const float* centroids, size_t entries, size_t dims) {
  std::vector<float> transposed(entries * (1 + dims), 0);
  for (size_t c = 0; c < entries; ++c) {
    for (size_t j = 0; j < dims; ++j) {
      const float x = centroids[c * dims + j];
      transposed[c] += x * x / 2;
      transposed[(1 + j) * entries + c] = x;
    }
  }
  return transposed;
}

void LearnGroup(const std::vector<float>& points, size_t dims, size_t entries, float* centroids) {
  const size_t n = points.size() / dims;
  // Spread evenly over the points in the order of their sums: in one dimension, quantiles.
  std::vector<float> sums(n, 0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < dims; ++j) sums[i] += points[i * dims + j];
  }
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return sums[a] != sums[b] ? sums[a] < sums[b] : a < b; });
  for (size_t c = 0; c < entries; ++c) {
    const float* point = &points[order[(2 * c + 1) * n / (2 * entries)] * dims];
    std::copy(point, point + dims, centroids + c * dims);
  }
  std::vector<uint8_t> codes(n);
  std::vector<double> means(entries * dims);
  std::vector<size_t> counts(entries);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    NearestCentroids(points.data(), n, dims, Transpose(centroids, entries, dims).data(), entries, codes.data());
    std::fill(means.begin(), means.end(), 0.0);
    std::fill(counts.begin(), counts.end(), 0);
    for (size_t i = 0; i < n; ++i) {
      ++counts[codes[i]];
      for (size_t j = 0; j < dims; ++j) means[codes[i] * dims + j] += points[i * dims + j];
    }
    for (size_t c = 0; c < entries; ++c) {
      for (size_t j = 0; j < dims && counts[c] > 0; ++j) {
        centroids[c * dims + j] = static_cast<float>(means[c * dims + j] / counts[c]);
      }
    }
    // An empty one takes half of the fullest.
    for (size_t c = 0; c < entries; ++c) {
      if (counts[c] > 0) continue;
      const size_t fullest = std::max_element(counts.begin(), counts.end()) - counts.begin();
      for (size_t j = 0; j < dims; ++j) {
        const float x = centroids[fullest * dims + j];
        centroids[c * dims + j] = x * (1 + 1.0f / 1024);
        centroids[fullest * dims + j] = x * (1 - 1.0f / 1024);
      }
      counts[c] = counts[fullest] / 2;
      counts[fullest] -= counts[c];
    }
  }
}

}  // namespace

void ProductQuantizer::Learn(MatrixView rows, ThreadPool& pool) {
  centroids.assign(groups * entries * dims, 0);
  pool.ParallelFor(groups, 1, [&](size_t group, size_t, int) {
    LearnGroup(Gather(*this, rows, group), dims, entries, &centroids[group * entries * dims]);
  });
}

void ProductQuantizer::Encode(MatrixView rows, ThreadPool& pool, uint8_t* codes) const {
  pool.ParallelFor(groups, 1, [&](size_t group, size_t, int) {
    const std::vector<float> points = Gather(*this, rows, group);
    std::vector<uint8_t> of_group(rows.rows);
    NearestCentroids(points.data(), rows.rows, dims, Transpose(centroid(group, 0), entries, dims).data(), entries,
                     of_group.data());
    for (size_t i = 0; i < rows.rows; ++i) codes[i * groups + group] = of_group[i];
  });
}

}  // namespace dpkde
