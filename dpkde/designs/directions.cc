#include "dpkde/designs/directions.h"

#include <algorithm>
#include <boost/random/normal_distribution.hpp>
#include <cmath>

#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

// One coordinate of as many rows as are transformed together: GCC's and Clang's vectors add element by element.
constexpr size_t kLanes = 8;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

// In place, the unnormalised Hadamard transform.
void Transform(Lanes* values, size_t size) {
  size_t half = 1;
  // Two steps a pass, which halves the traffic to memory.
  for (; half * 4 <= size; half *= 4) {
    for (size_t begin = 0; begin < size; begin += 4 * half) {
      for (size_t i = begin; i < begin + half; ++i) {
        const Lanes a = values[i], b = values[i + half], c = values[i + 2 * half], d = values[i + 3 * half];
        const Lanes ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
        values[i] = ab + cd;
        values[i + half] = a_b + c_d;
        values[i + 2 * half] = ab - cd;
        values[i + 3 * half] = a_b - c_d;
      }
    }
  }
  if (half < size) {
    for (size_t i = 0; i < half; ++i) {
      const Lanes a = values[i], b = values[i + half];
      values[i] = a + b;
      values[i + half] = a - b;
    }
  }
}

}  // namespace

std::vector<double> OrthogonalRows(uint64_t seed, absl::string_view purpose, uint64_t block, size_t d) {
  boost::random::mt19937_64 engine = PublicStream(seed, purpose, block);
  boost::random::normal_distribution<double> normal;
  std::vector<double> rows(d * d);
  for (double& value : rows) value = normal(engine);
  for (size_t r = 0; r < d; ++r) {
    double* row = &rows[r * d];
    for (int pass = 0; pass < 2; ++pass) {
      for (size_t s = 0; s < r; ++s) {
        const double* earlier = &rows[s * d];
        double dot = 0;
        for (size_t i = 0; i < d; ++i) dot += row[i] * earlier[i];
        for (size_t i = 0; i < d; ++i) row[i] -= dot * earlier[i];
      }
      double square = 0;
      for (size_t i = 0; i < d; ++i) square += row[i] * row[i];
      const double inverse = 1 / std::sqrt(square);
      for (size_t i = 0; i < d; ++i) row[i] *= inverse;
    }
  }
  return rows;
}

size_t StructuredDirections::EmbeddingDimension(size_t dimension) {
  size_t size = 1;
  while (size < dimension) size *= 2;
  return size;
}

StructuredDirections::StructuredDirections(size_t dimension, absl::Span<const float> scales, uint64_t seed,
                                           absl::string_view purpose)
    : dimension_(dimension), size_(EmbeddingDimension(dimension)) {
  constexpr size_t kColumns = FrequencyPanels::kPanelColumns;
  padded_ = (scales.size() + kColumns - 1) / kColumns * kColumns;
  const double norm = std::pow(static_cast<double>(size_), -1.5);
  for (float scale : scales) scales_.push_back(static_cast<float>(scale * norm));
  const size_t blocks = (scales.size() + size_ - 1) / size_;
  for (size_t block = 0; block < blocks; ++block) {
    boost::random::mt19937_64 engine = PublicStream(seed, purpose, block);
    uint64_t word = 0;
    for (size_t i = 0; i < 3 * size_; ++i) {
      if (i % 64 == 0) word = engine();
      negative_.push_back(word & 1);
      word >>= 1;
    }
  }
  for (uint8_t negative : negative_) signs_.push_back(negative ? -1.0f : 1.0f);
}

void StructuredDirections::Products(MatrixView rows, float* out) const {
  std::vector<Lanes> values(size_), input(size_);
  for (size_t begin = 0; begin < rows.rows; begin += kLanes) {
    const size_t count = std::min(kLanes, rows.rows - begin);
    for (size_t lane = 0; lane < count; ++lane) {
      const float* x = rows.row(begin + lane).data();
      for (size_t i = 0; i < dimension_; ++i) input[i][lane] = x[i];
    }
    for (size_t first = 0; first < scales_.size(); first += size_) {
      const float* signs = &signs_[3 * first];
      for (size_t i = 0; i < size_; ++i) values[i] = signs[i] * input[i];
      Transform(values.data(), size_);
      for (int step = 1; step < 3; ++step) {
        for (size_t i = 0; i < size_; ++i) values[i] *= signs[step * size_ + i];
        Transform(values.data(), size_);
      }
      const size_t end = std::min(first + size_, scales_.size());
      for (size_t j = first; j < end; ++j) values[j - first] *= scales_[j];
      for (size_t lane = 0; lane < count; ++lane) {
        float* row = out + (begin + lane) * padded_;
        for (size_t j = first; j < end; ++j) row[j] = values[j - first][lane];
      }
    }
    for (size_t lane = 0; lane < count; ++lane) {
      float* row = out + (begin + lane) * padded_;
      std::fill(row + scales_.size(), row + padded_, 0.0f);
    }
  }
}

}  // namespace dpkde
