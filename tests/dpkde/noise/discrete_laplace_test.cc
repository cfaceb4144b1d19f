#include "dpkde/noise/discrete_laplace.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/dpkde/noise/sampler_testing.h"
#include "tests/testing/goodness_of_fit.h"
#include "tests/testing/scripted_bit_source.h"

namespace dpkde {
namespace {

constexpr size_t kChiSquareDraws = 200000;
constexpr uint64_t kSmallScales[] = {1, 2, 3, 7, 100};
constexpr uint64_t kLargeScales[] = {1 << 10, 1 << 20, uint64_t{1} << 40, uint64_t{1} << 62};

// P(z) of a real scale; with zero counted `zeros` times.
double Mass(int64_t z, double scale, double zeros = 1) {
  const double at_zero = std::tanh(0.5 / scale);  // (1−q)/(1+q)
  const double total = 1 + (zeros - 1) * at_zero;
  return at_zero * std::exp(-std::abs(static_cast<double>(z)) / scale) * (z == 0 ? zeros : 1) / total;
}

double Cdf(double x) { return x < 0 ? 0.5 * std::exp(x) : 1 - 0.5 * std::exp(-x); }

// Power: the controls are missed with probability far below 1e-9; the statistic of scale·0.9 is in the hundreds beyond
// its degrees of freedom, that of the doubled zero at scale 100 (a thousand draws too few of two thousand) near 500.
TEST(DiscreteLaplaceTest, MassFunction) {
  for (uint64_t scale : kSmallScales) {
    const std::vector<absl::int128> draws = DrawNoise<DiscreteLaplace>(scale, kChiSquareDraws, scale);
    const double t = static_cast<double>(scale);
    EXPECT_GT(ChiSquarePValue(draws, [t](int64_t z) { return Mass(z, t); }), kRejectionLevel) << scale;
    EXPECT_LT(ChiSquarePValue(draws, [t](int64_t z) { return Mass(z, 0.9 * t); }), kRejectionLevel) << scale;
    EXPECT_LT(ChiSquarePValue(draws, [t](int64_t z) { return Mass(z, 1.1 * t); }), kRejectionLevel) << scale;
    EXPECT_LT(ChiSquarePValue(draws, [t](int64_t z) { return Mass(z, t, 2); }), kRejectionLevel) << scale;
    EXPECT_LT(ChiSquarePValue(draws, [t](int64_t z) { return Mass(z, t, 0.5); }), kRejectionLevel) << scale;
  }
}

// The same from the other side: a sampler that forgets to redraw the negative zero.
TEST(DiscreteLaplaceTest, NegativeControlASamplerWithTwoZerosFails) {
  for (uint64_t scale : kSmallScales) {
    const DiscreteLaplace law = DiscreteLaplace::Create(scale).value();
    SeededBitSource bits(scale);
    std::vector<absl::int128> draws;
    while (draws.size() < kChiSquareDraws) {
      draws.push_back(law.Sample(bits));
      // Zeros twice as often, as the faulty sampler has them.
      if (draws.back() == 0) draws.push_back(0);
    }
    const double t = static_cast<double>(scale);
    EXPECT_LT(ChiSquarePValue(draws, [t](int64_t z) { return Mass(z, t); }), kRejectionLevel) << scale;
  }
}

// 1e5 draws, critical distance 0.0085. Power: a scale 1.1 times as large is 0.0175 away.
TEST(DiscreteLaplaceTest, LargeScalesAgainstTheContinuousLaw) {
  constexpr size_t kDraws = 100000;
  const double critical = KolmogorovSmirnovCriticalDistance(kDraws, kRejectionLevel);
  EXPECT_NEAR(critical, 0.0085, 5e-5);
  for (uint64_t scale : kLargeScales) {
    const std::vector<absl::int128> draws = DrawNoise<DiscreteLaplace>(scale, kDraws, scale);
    const double t = static_cast<double>(scale);
    EXPECT_LT(KolmogorovSmirnovDistance(draws, t, Cdf), critical) << scale;
    EXPECT_GT(KolmogorovSmirnovDistance(draws, 1.1 * t, Cdf), critical) << scale;
    EXPECT_GT(KolmogorovSmirnovDistance(draws, t / 1.1, Cdf), critical) << scale;
  }
}

// 1e6 draws, 6 standard errors: 1.3 % of the variance. Power: a scale larger by 1.5 % (variance 3 %) is 13 of them
// away.
TEST(DiscreteLaplaceTest, Moments) {
  for (uint64_t scale : {uint64_t{1}, uint64_t{7}, uint64_t{1} << 20, uint64_t{1} << 40, uint64_t{1} << 62}) {
    const std::vector<absl::int128> draws = DrawNoise<DiscreteLaplace>(scale, 1000000, scale + 1);
    const double variance = DiscreteLaplace::Create(scale).value().Variance();
    const double t = static_cast<double>(scale);
    const double kurtosis = 6 + 1 / variance;  // 6 as of the continuous law; the discrete one's by its cumulants
    const MomentErrors errors = StandardErrorsOfMoments(draws, t, variance, kurtosis);
    EXPECT_LT(errors.mean, 6) << scale;
    EXPECT_LT(errors.variance, 6) << scale;
    EXPECT_GT(StandardErrorsOfMoments(draws, t, 1.03 * variance, kurtosis).variance, 6) << scale;
    std::vector<absl::int128> shifted = draws;
    const absl::int128 shift = static_cast<absl::int128>(std::ceil(0.01 * std::sqrt(variance)));
    for (absl::int128& draw : shifted) draw += shift;
    EXPECT_GT(StandardErrorsOfMoments(shifted, t, variance, kurtosis).mean, 6) << scale;
  }
}

TEST(DiscreteLaplaceTest, VarianceIsThatOfTheLaw) {
  for (uint64_t scale : kSmallScales) {
    double expected = 0;
    for (int64_t z = -100 * static_cast<int64_t>(scale); z <= 100 * static_cast<int64_t>(scale); ++z) {
      expected += static_cast<double>(z) * static_cast<double>(z) * Mass(z, static_cast<double>(scale));
    }
    EXPECT_NEAR(DiscreteLaplace::Create(scale).value().Variance() / expected, 1, 1e-12) << scale;
  }
  EXPECT_DOUBLE_EQ(DiscreteLaplace::Create(uint64_t{1} << 62).value().Variance(), std::ldexp(1.0, 125));
}

// Every integer in reach is drawn at a scale beyond 2^32, odd ones too: no power of two divides all draws.
TEST(DiscreteLaplaceTest, LowBitsAreFair) {
  // Power: 6 standard errors of 1e5 draws are 0.95 %; a bit that is stuck is 50 % off.
  for (uint64_t scale : {uint64_t{1} << 20, (uint64_t{1} << 40) + 1, uint64_t{1} << 62}) {
    std::vector<int> ones(16, 0);
    for (absl::int128 draw : DrawNoise<DiscreteLaplace>(scale, 100000, scale)) {
      for (int bit = 0; bit < 16; ++bit) ones[bit] += (absl::Int128Low64(draw) >> bit) & 1;
    }
    for (int count : ones) EXPECT_NEAR(count, 50000, 950) << scale;
  }
}

TEST(DiscreteLaplaceTest, NegativeZeroIsDrawnAgain) {
  constexpr uint64_t kOnes = ~uint64_t{0};
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  const DiscreteLaplace law = DiscreteLaplace::Create(1).value();
  // Uniform on {0, 1}: 1 is negative with remainder 0; then tails of exp(−1): zero.
  ScriptedBitSource again({kHalf, kHalf, kHalf, kHalf, 0, kHalf});
  EXPECT_EQ(law.Sample(again), 0);
  EXPECT_TRUE(again.exhausted());
  // Negative with quotient 2: twice heads (tails at k = 3), then tails.
  ScriptedBitSource minus_two({kHalf, 0, kOnes, 0, kOnes, kOnes});
  EXPECT_EQ(law.Sample(minus_two), -2);
  EXPECT_TRUE(minus_two.exhausted());
}

// Quotients of hundreds: full support, far beyond 2^64 at the largest scale, without a wrap.
TEST(DiscreteLaplaceTest, FullSupport) {
  std::vector<uint64_t> script = {~uint64_t{0}, ~uint64_t{0}};  // remainder 2^62 − 1, negative; accepted
  for (int i = 0; i < 1000; ++i) script.insert(script.end(), {0, ~uint64_t{0}});
  script.push_back(~uint64_t{0});
  ScriptedBitSource bits(script);
  const absl::int128 draw = DiscreteLaplace::Create(kMaxNoiseScale).value().Sample(bits);
  EXPECT_EQ(draw, -((absl::int128(1000) << 62) + (absl::int128(1) << 62) - 1));
  EXPECT_TRUE(bits.exhausted());
}

TEST(DiscreteLaplaceTest, AddToSaturates) { ExpectAddToSaturates<DiscreteLaplace>(); }

TEST(DiscreteLaplaceTest, WordsPerDraw) {
  for (uint64_t scale : {uint64_t{1}, uint64_t{2}, uint64_t{100}, uint64_t{1} << 40, uint64_t{1} << 62}) {
    const double words = WordsPerDraw<DiscreteLaplace>(scale);
    RecordProperty("words_at_scale_" + std::to_string(scale), std::to_string(words));
    EXPECT_LT(words, 7.2) << scale;
  }
}

TEST(DiscreteLaplaceTest, ScaleLimits) {
  EXPECT_TRUE(DiscreteLaplace::Create(1).ok());
  EXPECT_TRUE(DiscreteLaplace::Create(kMaxNoiseScale).ok());
  for (uint64_t scale : {uint64_t{0}, kMaxNoiseScale + 1, std::numeric_limits<uint64_t>::max()}) {
    const absl::Status status = DiscreteLaplace::Create(scale).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(status.message()),
              "scale must be at least 1 and at most 4611686018427387904, but is " + std::to_string(scale));
  }
}

}  // namespace
}  // namespace dpkde
