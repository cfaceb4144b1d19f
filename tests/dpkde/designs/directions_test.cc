#include "dpkde/designs/directions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

std::vector<float> Products(const StructuredDirections& directions, MatrixView rows) {
  std::vector<float> out(rows.rows * directions.padded());
  directions.Products(rows, out.data());
  return out;
}

TEST(OrthogonalRowsTest, AreOrthonormal) {
  for (size_t d : {1, 2, 17}) {
    const std::vector<double> rows = OrthogonalRows(3, "test", 5, d);
    for (size_t r = 0; r < d; ++r) {
      for (size_t s = 0; s < d; ++s) {
        double dot = 0;
        for (size_t i = 0; i < d; ++i) dot += rows[r * d + i] * rows[s * d + i];
        EXPECT_NEAR(dot, r == s ? 1 : 0, 1e-14);
      }
    }
  }
}

// Against the definition, with the Hadamard matrix written out: entry (i, j) is (-1)^popcount(i & j).
TEST(StructuredDirectionsTest, AreTheRowsOfTheirDefinition) {
  constexpr size_t kDimension = 50, kSize = 64;
  const std::vector<float> scales = {1, 2, 0.5, 3};
  const StructuredDirections directions(kDimension, scales, 7, "test");
  const Points row = UniformPoints(1, kDimension, -1, 1, 2);
  std::vector<double> x(kSize);
  std::copy(row.values.begin(), row.values.end(), x.begin());
  for (int step = 0; step < 3; ++step) {
    std::vector<double> next(kSize);
    for (size_t i = 0; i < kSize; ++i) {
      for (size_t j = 0; j < kSize; ++j) {
        const double signed_x = directions.signs()[step * kSize + j] ? -x[j] : x[j];
        next[i] += (__builtin_popcountll(i & j) % 2 ? -1 : 1) * signed_x / 8;
      }
    }
    x = next;
  }
  const std::vector<float> out = Products(directions, row.view());
  for (size_t j = 0; j < scales.size(); ++j) EXPECT_NEAR(out[j], scales[j] * x[j], 1e-5);
  for (size_t j = scales.size(); j < directions.padded(); ++j) EXPECT_EQ(out[j], 0);
}

TEST(StructuredDirectionsTest, BlocksAreOrthonormal) {
  for (size_t d : {64, 100, 512}) {
    const size_t p = StructuredDirections::EmbeddingDimension(d);
    const StructuredDirections directions(d, std::vector<float>(2 * p, 1.0f), 1, "test");
    const Points rows = UniformPoints(20, d, -1, 1, 3);
    const std::vector<float> out = Products(directions, rows.view());
    for (size_t r = 0; r < rows.rows(); ++r) {
      double length = 0;
      for (float value : rows.view().row(r)) length += value * value;
      for (int block = 0; block < 2; ++block) {
        double image = 0;
        for (size_t j = 0; j < p; ++j) image += std::pow(out[r * directions.padded() + block * p + j], 2);
        EXPECT_NEAR(image, length, 1e-4 * length);
      }
    }
  }
}

// Products with one axis, the least spread of all vectors, have the moments of a uniform direction: E t^4 = 3 / (p (p +
// 2)). One step instead of three would give 1 / p^2, a third.
TEST(StructuredDirectionsTest, AreNearlyUniform) {
  constexpr size_t kDimension = 64;
  double fourth = 0, absolute = 0;
  constexpr int kSeeds = 300;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const StructuredDirections directions(kDimension, std::vector<float>(64, 1.0f), seed, "test");
    std::vector<float> axis(kDimension);
    axis[seed % 64] = 1;
    for (float t : Products(directions, {axis.data(), 1, kDimension})) {
      fourth += std::pow(t, 4) / kSeeds / 64;
      absolute += std::abs(t) / kSeeds / 64;
    }
  }
  EXPECT_NEAR(fourth / (3.0 / 64 / 66), 1, 0.05);
  // E |t| = Gamma(p / 2) / (sqrt(pi) Gamma((p + 1) / 2)).
  EXPECT_NEAR(absolute / std::exp(std::lgamma(32) - std::lgamma(32.5)) * std::sqrt(std::acos(-1)), 1, 0.01);
}

TEST(StructuredDirectionsTest, ARowsProductsDependOnThatRowAlone) {
  const StructuredDirections directions(100, std::vector<float>(300, 0.7f), 1, "test");
  Points rows = UniformPoints(37, 100, -5, 5, 12);
  // Neighbours that are not numbers change nothing either.
  rows.values[3 * 100] = std::numeric_limits<float>::infinity();
  rows.values[20 * 100 + 5] = std::nanf("");
  const std::vector<float> all = Products(directions, rows.view());
  for (size_t r = 0; r < rows.rows(); ++r) {
    if (r == 3 || r == 20) continue;
    const std::vector<float> alone = Products(directions, rows.view().Slice(r, r + 1));
    for (size_t j = 0; j < alone.size(); ++j) ASSERT_EQ(all[r * directions.padded() + j], alone[j]);
  }
}

TEST(StructuredDirectionsTest, StreamsAreSplitBySeedPurposeAndBlock) {
  const std::vector<float> two_blocks(128, 1.0f);
  const StructuredDirections a(64, two_blocks, 1, "a");
  EXPECT_EQ(a.signs(), StructuredDirections(64, two_blocks, 1, "a").signs());
  EXPECT_NE(a.signs(), StructuredDirections(64, two_blocks, 2, "a").signs());
  EXPECT_NE(a.signs(), StructuredDirections(64, two_blocks, 1, "b").signs());
  EXPECT_FALSE(std::equal(a.signs().begin(), a.signs().begin() + 192, a.signs().begin() + 192));
}

}  // namespace
}  // namespace dpkde
