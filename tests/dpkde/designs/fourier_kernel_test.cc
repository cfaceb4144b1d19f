#include "dpkde/designs/fourier_kernel.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

struct Sums {
  std::vector<int64_t> cos, sin;
  bool operator==(const Sums& other) const { return cos == other.cos && sin == other.sin; }
};

Sums Accumulate(const FrequencyPanels& panels, MatrixView rows) {
  Sums sums{std::vector<int64_t>(panels.padded()), std::vector<int64_t>(panels.padded())};
  AccumulateFourier(panels, rows, sums.cos.data(), sums.sin.data());
  return sums;
}

// 150 frequencies, every third of them in double precision: three panels, two of them partly empty.
FrequencyPanels TestPanels(size_t dimension, double scale) {
  const Points turns = UniformPoints(150, dimension, -scale, scale, 11);
  std::vector<bool> wide(150);
  for (size_t k = 0; k < wide.size(); ++k) wide[k] = k % 3 == 2;
  return MakeFrequencyPanels(turns.values, dimension, wide);
}

// The integers of a row are its own: alone, at every position of a block of any length, whatever its neighbours.
TEST(FourierKernelTest, ARowsIntegersDependOnThatRowAlone) {
  for (size_t dimension : {1, 3, 64, 129}) {
    const FrequencyPanels panels = TestPanels(dimension, 0.7);
    const Points rows = UniformPoints(101, dimension, -5, 5, 12);
    std::vector<Sums> alone;
    for (size_t r = 0; r < rows.rows(); ++r) alone.push_back(Accumulate(panels, rows.view().Slice(r, r + 1)));
    for (size_t begin = 0; begin < rows.rows(); ++begin) {
      Sums expected{std::vector<int64_t>(panels.padded()), std::vector<int64_t>(panels.padded())};
      const size_t end = begin % 2 == 0 ? rows.rows() : std::min(begin + 1 + begin % 13, rows.rows());
      for (size_t r = begin; r < end; ++r) {
        for (size_t j = 0; j < panels.padded(); ++j) {
          expected.cos[j] += alone[r].cos[j];
          expected.sin[j] += alone[r].sin[j];
        }
      }
      ASSERT_EQ(Accumulate(panels, rows.view().Slice(begin, end)), expected) << dimension << " " << begin;
    }
  }
}

// The control: a sum in another order does change bits, so the test above can fail.
TEST(FourierKernelTest, AnotherOrderOfAdditionWouldShow) {
  const Points row = UniformPoints(1, 64, -5, 5, 1), turns = UniformPoints(100, 64, -1, 1, 2);
  int different = 0;
  for (size_t k = 0; k < 100; ++k) {
    float up = 0, down = 0;
    for (size_t i = 0; i < 64; ++i) up = std::fma(row.values[i], turns.values[k * 64 + i], up);
    for (size_t i = 64; i-- > 0;) down = std::fma(row.values[i], turns.values[k * 64 + i], down);
    different += up != down;
  }
  EXPECT_GT(different, 50);
}

TEST(FourierKernelTest, EverySimdTargetGivesTheSameIntegers) {
  const FrequencyPanels panels = TestPanels(37, 3);
  const Points rows = UniformPoints(500, 37, -5, 5, 13);
  const Sums best = Accumulate(panels, rows.view());
  const int64_t supported = hwy::SupportedTargets();
  int targets = 0;
  for (int64_t target : {HWY_AVX2, HWY_AVX3}) {
    if ((supported & target) == 0) continue;
    hwy::GetChosenTarget().Update(target);
    EXPECT_EQ(Accumulate(panels, rows.view()), best) << hwy::TargetName(target);
    ++targets;
  }
  hwy::GetChosenTarget().Update(supported);
  EXPECT_GE(targets, 1);
  RecordProperty("targets", targets);
}

TEST(FourierKernelTest, SinesAndCosinesAreRight) {
  // Phases of wide frequencies are exact to 2^-24 turns whatever their size; narrow ones to their own rounding.
  for (const double scale : {0.01, 1.0, 300.0}) {
    const Points turns = UniformPoints(64, 2, -scale, scale, 3);
    const FrequencyPanels panels = MakeFrequencyPanels(turns.values, 2, std::vector<bool>(64, scale > 100));
    const Points rows = UniformPoints(200, 2, -3, 3, 4);
    const double tolerance = scale > 100 ? 1e-6 : 1e-6 + 40 * scale * 0x1p-24;
    for (size_t r = 0; r < rows.rows(); ++r) {
      const Sums sums = Accumulate(panels, rows.view().Slice(r, r + 1));
      for (size_t k = 0; k < 64; ++k) {
        const long double phase = 2 * std::acos(-1.0L) *
                                  (static_cast<long double>(rows.values[2 * r]) * turns.values[2 * k] +
                                   static_cast<long double>(rows.values[2 * r + 1]) * turns.values[2 * k + 1]);
        ASSERT_NEAR(sums.cos[panels.column_of[k]] * 0x1p-20, std::cos(phase), tolerance);
        ASSERT_NEAR(sums.sin[panels.column_of[k]] * 0x1p-20, std::sin(phase), tolerance);
      }
    }
  }
}

TEST(FourierKernelTest, NoFloatBreaksTheNorm) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const std::vector<float> values = {0,     -0.0f, 1e-45f,  -1e-40f,  0.125f, 0.25f, 0.5f, 1e7f,
                                     -1e9f, 1e30f, 3.4e38f, -3.4e38f, inf,    -inf,  nan,  16777217.0f};
  const FrequencyPanels panels = TestPanels(1, 1000);
  for (float value : values) {
    const Sums sums = Accumulate(panels, {&value, 1, 1});
    for (size_t j = 0; j < panels.padded(); ++j) {
      EXPECT_LE(sums.cos[j] * sums.cos[j] + sums.sin[j] * sums.sin[j], kFourierPairNorm * kFourierPairNorm);
    }
  }
  // NaN contributes nothing rather than something undefined.
  const Sums sums = Accumulate(panels, {&nan, 1, 1});
  EXPECT_EQ(sums.cos[panels.column_of[0]], 0);
  EXPECT_EQ(sums.sin[panels.column_of[0]], 0);
}

TEST(FourierKernelTest, EvaluateMatchesItsDefinition) {
  const FrequencyPanels panels = TestPanels(5, 0.3);
  const Points queries = UniformPoints(131, 5, -2, 2, 5);
  const Points weights = UniformPoints(2, panels.padded(), -1, 1, 6);
  std::vector<double> cos_weights(panels.padded()), sin_weights(panels.padded());
  for (size_t k = 0; k < panels.frequencies; ++k) {
    const size_t j = panels.column_of[k];
    cos_weights[j] = weights.values[j];
    sin_weights[j] = weights.values[panels.padded() + j];
  }
  std::vector<double> sums(queries.rows()), squares(queries.rows()), sums_only(queries.rows());
  EvaluateFourier(panels, queries.view(), cos_weights.data(), sin_weights.data(), sums.data(), squares.data());
  EvaluateFourier(panels, queries.view(), cos_weights.data(), sin_weights.data(), sums_only.data(), nullptr);
  EXPECT_EQ(sums, sums_only);
  for (size_t q = 0; q < queries.rows(); ++q) {
    // A record at the query has the query's own cosines and sines.
    const Sums pair = Accumulate(panels, queries.view().Slice(q, q + 1));
    double sum = 0, square = 0;
    for (size_t j = 0; j < panels.padded(); ++j) {
      const double u = (pair.cos[j] * cos_weights[j] + pair.sin[j] * sin_weights[j]) * 0x1p-20;
      sum += u;
      square += u * u;
    }
    EXPECT_NEAR(sums[q], sum, 1e-4);
    EXPECT_NEAR(squares[q], square, 1e-4);
  }
}

}  // namespace
}  // namespace dpkde
