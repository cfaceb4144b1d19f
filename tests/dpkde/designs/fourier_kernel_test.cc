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

// Phases at hand give what frequencies of one coordinate give, row by row, on every target.
TEST(FourierKernelTest, PhasesAtHandAreAsGood) {
  constexpr size_t kColumns = 128;
  const Points phases = UniformPoints(101, kColumns, -7, 7, 21);
  const Points weights = UniformPoints(2, kColumns, -1, 1, 22);
  const std::vector<double> cos_weights(weights.values.begin(), weights.values.begin() + kColumns);
  const std::vector<double> sin_weights(weights.values.begin() + kColumns, weights.values.end());
  for (float factor : {1.0f, 3.0f, 41.0f}) {
    std::vector<int64_t> cos_sums(kColumns), sin_sums(kColumns), cos_rows(kColumns), sin_rows(kColumns);
    AccumulatePhases(phases.view(), factor, cos_sums.data(), sin_sums.data());
    std::vector<double> sums(phases.rows()), squares(phases.rows());
    EvaluatePhases(phases.view(), factor, cos_weights.data(), sin_weights.data(), sums.data(), squares.data());
    for (size_t r = 0; r < phases.rows(); ++r) {
      std::vector<int64_t> cos_row(kColumns), sin_row(kColumns);
      AccumulatePhases(phases.view().Slice(r, r + 1), factor, cos_row.data(), sin_row.data());
      double sum = 0, square = 0;
      for (size_t j = 0; j < kColumns; ++j) {
        const double angle = 2 * M_PI * factor * phases.values[r * kColumns + j];
        ASSERT_NEAR(cos_row[j] * 0x1p-20, std::cos(angle), 1e-6 + 50 * factor * 0x1p-24);
        ASSERT_NEAR(sin_row[j] * 0x1p-20, std::sin(angle), 1e-6 + 50 * factor * 0x1p-24);
        cos_rows[j] += cos_row[j];
        sin_rows[j] += sin_row[j];
        const double u = (cos_row[j] * cos_weights[j] + sin_row[j] * sin_weights[j]) * 0x1p-20;
        sum += u;
        square += u * u;
      }
      EXPECT_NEAR(sums[r], sum, 1e-4);
      EXPECT_NEAR(squares[r], square, 1e-4);
    }
    EXPECT_EQ(cos_rows, cos_sums);
    EXPECT_EQ(sin_rows, sin_sums);
    const int64_t supported = hwy::SupportedTargets();
    for (int64_t target : {HWY_AVX2, HWY_AVX3}) {
      if ((supported & target) == 0) continue;
      hwy::GetChosenTarget().Update(target);
      std::vector<int64_t> cos_again(kColumns), sin_again(kColumns);
      AccumulatePhases(phases.view(), factor, cos_again.data(), sin_again.data());
      EXPECT_EQ(cos_again, cos_sums) << hwy::TargetName(target);
      EXPECT_EQ(sin_again, sin_sums) << hwy::TargetName(target);
    }
    hwy::GetChosenTarget().Update(supported);
  }
}

// One fused multiply-add a term, ascending: the bits of the loop that says so.
TEST(FourierKernelTest, ProductsAreInTheFixedOrder) {
  for (size_t dimension : {1, 3, 129}) {
    const Points turns = UniformPoints(70, dimension, -1, 1, 31), rows = UniformPoints(29, dimension, -5, 5, 32);
    const FrequencyPanels panels = MakeFrequencyPanels(turns.values, dimension, std::vector<bool>(70, false));
    std::vector<float> out(rows.rows() * panels.padded());
    FixedOrderProducts(panels, rows.view(), out.data());
    for (size_t r = 0; r < rows.rows(); ++r) {
      for (size_t k = 0; k < 70; ++k) {
        float sum = 0;
        for (size_t i = 0; i < dimension; ++i) {
          sum = std::fma(rows.values[r * dimension + i], turns.values[k * dimension + i], sum);
        }
        ASSERT_EQ(out[r * panels.padded() + panels.column_of[k]], sum);
      }
    }
  }
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
