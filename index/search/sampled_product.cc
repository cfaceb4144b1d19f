#include "dpkde/index/search/sampled_product.h"

#include <algorithm>
#include <cmath>

namespace dpkde {
namespace {

// Queries and rows of a block of values; the weights of its rows are laid out anew for each.
constexpr size_t kTileQueries = 96;
constexpr size_t kBlockRows = 512;

// Near rows lie anywhere: while one is worked on, the next are on their way.
constexpr size_t kAhead = 4;
void Prefetch(absl::Span<const float> row) {
  for (size_t i = 0; i < row.size(); i += 16) __builtin_prefetch(&row[i]);
}

// Rows of a sample, laid out, and what their values are multiplied by.
struct Part {
  KernelPanels panels;
  std::vector<float> weights;

  size_t rows() const { return panels.rows(); }
};

Part MakePart(MatrixView rows, MatrixView weights, absl::Span<const uint32_t> chosen,
              absl::FunctionRef<double(uint32_t)> factor) {
  Part part{KernelPanels(rows, chosen), std::vector<float>(chosen.size() * weights.columns)};
  for (size_t i = 0; i < chosen.size(); ++i) {
    const double scale = factor(chosen[i]);
    for (size_t c = 0; c < weights.columns; ++c) {
      part.weights[i * weights.columns + c] = static_cast<float>(scale * weights.row(chosen[i])[c]);
    }
  }
  return part;
}

}  // namespace

SampledProduct MultiplySampled(MatrixView rows, MatrixView weights, absl::Span<const double> lengths,
                               absl::Span<const double> sizes, const WeightedSample& sample, size_t queries,
                               absl::Span<const int64_t> near, size_t neighbors, double largest, ValuesOfBlock block,
                               ValueOfPair pair, ThreadPool& pool) {
  const size_t columns = weights.columns;
  if (queries == 0) return {};  // before rows are laid out
  const absl::Span<const uint32_t> chosen = sample.rows;
  const Part certain = MakePart(rows, weights, chosen.subspan(0, sample.certain), [](uint32_t) { return 1.0; });
  const Part drawn = MakePart(rows, weights, chosen.subspan(sample.certain),
                              [&](uint32_t row) { return lengths[row] > 0 ? sample.step / lengths[row] : 0; });
  // Values of drawn rows are multiplied by this first: then each adds a vector whose length is its value times the
  // step.
  std::vector<float> ratios;
  double largest_ratio = 0;
  for (size_t i = sample.certain; i < chosen.size(); ++i) {
    ratios.push_back(static_cast<float>(lengths[chosen[i]] / sizes[chosen[i]]));
    largest_ratio = std::max<double>(largest_ratio, ratios.back());
  }
  constexpr uint32_t kNone = ~uint32_t{0};
  std::vector<uint32_t> place_of(neighbors > 0 ? rows.rows : 0, kNone);  // of a row in the sample
  for (size_t i = 0; neighbors > 0 && i < chosen.size(); ++i) place_of[chosen[i]] = static_cast<uint32_t>(i);

  SampledProduct product{std::vector<double>(queries * columns), std::vector<double>(queries)};
  const size_t tiles = (queries + kTileQueries - 1) / kTileQueries;
  pool.ParallelFor(tiles, 1, [&](size_t tile, size_t, int /*worker*/) {
    const size_t begin = tile * kTileQueries, end = std::min(begin + kTileQueries, queries), count = end - begin;
    std::vector<std::vector<uint32_t>> masked(count);  // places of near rows, sorted
    std::vector<double> farthest(count, largest), light(count * columns);
    std::vector<float> values(count * kBlockRows);
    std::vector<Moments> moments(count);
    for (size_t q = 0; q < count; ++q) {
      double* const out = &product.values[(begin + q) * columns];
      for (size_t j = 0; j < neighbors; ++j) {
        const int64_t row = near[(begin + q) * neighbors + j];
        if (row < 0) break;
        if (j + kAhead < neighbors && near[(begin + q) * neighbors + j + kAhead] >= 0) {
          Prefetch(rows.row(near[(begin + q) * neighbors + j + kAhead]));
          Prefetch(weights.row(near[(begin + q) * neighbors + j + kAhead]));
        }
        const double value = pair(begin + q, row);
        farthest[q] = j == 0 ? value : std::min(farthest[q], value);
        for (size_t c = 0; c < columns; ++c) out[c] += value * weights.row(row)[c];
        if (place_of[row] != kNone) masked[q].push_back(place_of[row]);
      }
      std::sort(masked[q].begin(), masked[q].end());
    }
    // Adds a part, whose rows begin at place `offset`, to `out`.
    const auto add = [&](const Part& part, size_t offset, bool is_drawn, double* out) {
      for (size_t first = 0; first < part.rows(); first += kBlockRows) {
        const size_t last = std::min(first + kBlockRows, part.rows()), stride = KernelPanels::Stride(last - first);
        block(begin, end, part.panels, first, last, values.data());
        for (size_t q = 0; q < count; ++q) {
          const std::vector<uint32_t>& near_places = masked[q];
          for (auto at = std::lower_bound(near_places.begin(), near_places.end(), offset + first);
               at != near_places.end() && *at < offset + last; ++at) {
            values[q * stride + *at - offset - first] = 0;
          }
          if (!is_drawn) continue;
          for (size_t i = first; i < last; ++i) values[q * stride + i - first] *= ratios[i];
          AddMoments(&values[q * stride], last - first, &moments[q]);
        }
        AddProducts(values.data(), count, stride, {&part.weights[first * columns], last - first, columns}, out);
      }
    };
    add(certain, 0, false, &product.values[begin * columns]);
    if (drawn.rows() == 0) return;
    add(drawn, sample.certain, true, light.data());
    const double m = drawn.rows();
    for (size_t q = 0; q < count; ++q) {
      double square = 0;
      for (size_t c = 0; c < columns; ++c) {
        const double value = light[q * columns + c];
        product.values[(begin + q) * columns + c] += value;
        square += value * value;
      }
      const double step_square = sample.step * sample.step, unseen = farthest[q] * largest_ratio;
      const double variance = std::max(0.0, step_square * moments[q].squares - square / m) * m / std::max(1.0, m - 1);
      product.std_errors[begin + q] = std::sqrt(variance + step_square * unseen * unseen);
    }
  });
  return product;
}

std::vector<double> RowLengths(MatrixView matrix) {
  std::vector<double> lengths(matrix.rows);
  for (size_t i = 0; i < matrix.rows; ++i) {
    double square = 0;
    for (const float value : matrix.row(i)) square += static_cast<double>(value) * value;
    lengths[i] = std::sqrt(square);
  }
  return lengths;
}

}  // namespace dpkde
