#include "dpkde/noise/discrete_gaussian.h"

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
constexpr uint64_t kSmallSigmas[] = {1, 2, 3, 7, 100};
constexpr uint64_t kLargeSigmas[] = {1 << 10, 1 << 20, uint64_t{1} << 40, uint64_t{1} << 62};

// P(z) of a real sigma; with zero counted `zeros` times.
class Mass {
 public:
  explicit Mass(double sigma, double zeros = 1) : sigma_(sigma), zeros_(zeros), total_(zeros) {
    for (int64_t z = 1; z < 40 * sigma; ++z) total_ += 2 * Weight(z);
  }
  double operator()(int64_t z) const { return (z == 0 ? zeros_ : Weight(z)) / total_; }

 private:
  double Weight(int64_t z) const {
    const double x = static_cast<double>(z) / sigma_;
    return std::exp(-0.5 * x * x);
  }

  double sigma_;
  double zeros_;
  double total_;
};

double Cdf(double x) { return 0.5 * std::erfc(-x * M_SQRT1_2); }

// Power: the controls are missed with probability far below 1e-9; that of the doubled zero at sigma 100 has a statistic
// near 400 (800 draws where 1600 are expected) beyond some 700 degrees of freedom with standard deviation 37.
TEST(DiscreteGaussianTest, MassFunction) {
  for (uint64_t sigma : kSmallSigmas) {
    const std::vector<absl::int128> draws = DrawNoise<DiscreteGaussian>(sigma, kChiSquareDraws, sigma);
    const double s = static_cast<double>(sigma);
    EXPECT_GT(ChiSquarePValue(draws, Mass(s)), kRejectionLevel) << sigma;
    EXPECT_LT(ChiSquarePValue(draws, Mass(0.9 * s)), kRejectionLevel) << sigma;
    EXPECT_LT(ChiSquarePValue(draws, Mass(1.1 * s)), kRejectionLevel) << sigma;
    EXPECT_LT(ChiSquarePValue(draws, Mass(s, 2)), kRejectionLevel) << sigma;
    EXPECT_LT(ChiSquarePValue(draws, Mass(s, 0.5)), kRejectionLevel) << sigma;
  }
}

// 1e5 draws, critical distance 0.0085. Power: a sigma 1.1 times as large is 0.023 away.
TEST(DiscreteGaussianTest, LargeSigmasAgainstTheContinuousLaw) {
  constexpr size_t kDraws = 100000;
  const double critical = KolmogorovSmirnovCriticalDistance(kDraws, kRejectionLevel);
  for (uint64_t sigma : kLargeSigmas) {
    const std::vector<absl::int128> draws = DrawNoise<DiscreteGaussian>(sigma, kDraws, sigma);
    const double s = static_cast<double>(sigma);
    EXPECT_LT(KolmogorovSmirnovDistance(draws, s, Cdf), critical) << sigma;
    EXPECT_GT(KolmogorovSmirnovDistance(draws, 1.1 * s, Cdf), critical) << sigma;
    EXPECT_GT(KolmogorovSmirnovDistance(draws, s / 1.1, Cdf), critical) << sigma;
  }
}

// The candidate distribution itself, a Laplace of the same variance, is another 0.04 away: rejection is seen to happen.
TEST(DiscreteGaussianTest, NegativeControlLaplaceCandidatesFail) {
  const std::vector<absl::int128> draws = DrawNoise<DiscreteLaplace>(1 << 20, 100000, 3);
  const double critical = KolmogorovSmirnovCriticalDistance(draws.size(), kRejectionLevel);
  EXPECT_GT(KolmogorovSmirnovDistance(draws, 1 << 20, Cdf), critical);
  EXPECT_GT(KolmogorovSmirnovDistance(draws, M_SQRT2 * (1 << 20), Cdf), critical);
}

// 1e6 draws, 6 standard errors: 0.85 % of the variance. Power: a sigma larger by 1 % (variance 2 %) is 14 of them away.
TEST(DiscreteGaussianTest, Moments) {
  for (uint64_t sigma : {uint64_t{1}, uint64_t{7}, uint64_t{1} << 20, uint64_t{1} << 31, (uint64_t{1} << 31) + 1,
                         uint64_t{1} << 40, uint64_t{1} << 62}) {
    const std::vector<absl::int128> draws = DrawNoise<DiscreteGaussian>(sigma, 1000000, sigma + 1);
    const double variance = DiscreteGaussian::Create(sigma).value().Variance();
    const double s = static_cast<double>(sigma);
    const MomentErrors errors = StandardErrorsOfMoments(draws, s, variance, 3);
    EXPECT_LT(errors.mean, 6) << sigma;
    EXPECT_LT(errors.variance, 6) << sigma;
    EXPECT_GT(StandardErrorsOfMoments(draws, s, 1.02 * variance, 3).variance, 6) << sigma;
    std::vector<absl::int128> shifted = draws;
    const absl::int128 shift = static_cast<absl::int128>(std::ceil(0.01 * s));
    for (absl::int128& draw : shifted) draw += shift;
    EXPECT_GT(StandardErrorsOfMoments(shifted, s, variance, 3).mean, 6) << sigma;
  }
}

// Candidates beyond 2·sigma take factors that nearer ones do not (a > 0 in the acceptance): 1e6 draws, 6 standard
// errors. Power: at 3 sigma, 6 standard errors are 12 % of the tail, those of a sigma larger by 10 % are 2.4 times it.
TEST(DiscreteGaussianTest, Tails) {
  for (uint64_t sigma : {uint64_t{1} << 20, uint64_t{1} << 40, uint64_t{1} << 62}) {
    const std::vector<absl::int128> draws = DrawNoise<DiscreteGaussian>(sigma, 1000000, sigma + 2);
    for (int multiple : {1, 2, 3, 4}) {
      const absl::int128 threshold = absl::int128(sigma) * multiple;
      double beyond = 0;
      for (absl::int128 draw : draws) beyond += draw > threshold || draw < -threshold;
      const double n = static_cast<double>(draws.size());
      const double p = 2 * Cdf(-multiple);
      EXPECT_LT(std::abs(beyond - n * p), 6 * std::sqrt(n * p * (1 - p))) << sigma << " " << multiple;
      const double control = 2 * Cdf(-multiple / 1.2);
      EXPECT_GT(std::abs(beyond - n * control), 6 * std::sqrt(n * control * (1 - control))) << sigma << " " << multiple;
    }
  }
}

TEST(DiscreteGaussianTest, VarianceIsThatOfTheLaw) {
  for (uint64_t sigma : kSmallSigmas) {
    const Mass mass(static_cast<double>(sigma));
    double expected = 0;
    for (int64_t z = -40 * static_cast<int64_t>(sigma); z <= 40 * static_cast<int64_t>(sigma); ++z) {
      expected += static_cast<double>(z) * static_cast<double>(z) * mass(z);
    }
    EXPECT_NEAR(DiscreteGaussian::Create(sigma).value().Variance() / expected, 1, 1e-12) << sigma;
  }
  EXPECT_DOUBLE_EQ(DiscreteGaussian::Create(uint64_t{1} << 62).value().Variance(), std::ldexp(1.0, 124));
}

// Power: 6 standard errors of 1e5 draws are 0.95 %; a bit that is stuck is 50 % off.
TEST(DiscreteGaussianTest, LowBitsAreFair) {
  for (uint64_t sigma : {uint64_t{1} << 20, (uint64_t{1} << 40) + 1, uint64_t{1} << 62}) {
    std::vector<int> ones(16, 0);
    for (absl::int128 draw : DrawNoise<DiscreteGaussian>(sigma, 100000, sigma)) {
      for (int bit = 0; bit < 16; ++bit) ones[bit] += (absl::Int128Low64(draw) >> bit) & 1;
    }
    for (int count : ones) EXPECT_NEAR(count, 50000, 950) << sigma;
  }
}

// A candidate of 1001·sigma at the largest sigma, whose square has 144 bits: judged like any other, by its factors. The
// script gives heads to all 10^6 coins of exp(−1/2) and the 1000 of exp(−0).
TEST(DiscreteGaussianTest, AHugeCandidateIsJudgedExactly) {
  constexpr uint64_t kOnes = ~uint64_t{0};
  for (bool last : {true, false}) {
    std::vector<uint64_t> script = {0};  // positive, remainder 0
    for (int i = 0; i < 1001; ++i) script.insert(script.end(), {0, kOnes});
    script.push_back(kOnes);
    for (int i = 0; i < 1000 * 1000 - 1; ++i) script.push_back(kOnes);
    if (last) {
      script.push_back(kOnes);
    } else {
      // One coin shows tails (0 < 1/2 at k = 1, then not < 1/4): a new candidate, zero: positive, remainder 0, quotient
      // 0, at distance r = sigma: exp(−1/2) again.
      script.insert(script.end(), {0, kOnes, 0, kOnes, kOnes});
    }
    ScriptedBitSource bits(script);
    const absl::int128 draw = DiscreteGaussian::Create(kMaxNoiseScale).value().Sample(bits);
    EXPECT_EQ(draw, last ? absl::int128(1001) << 62 : absl::int128(0));
    EXPECT_TRUE(bits.exhausted());
  }
}

TEST(DiscreteGaussianTest, AddToSaturates) { ExpectAddToSaturates<DiscreteGaussian>(); }

TEST(DiscreteGaussianTest, WordsPerDraw) {
  for (uint64_t sigma : {uint64_t{1}, uint64_t{2}, uint64_t{100}, uint64_t{1} << 40, uint64_t{1} << 62}) {
    const double words = WordsPerDraw<DiscreteGaussian>(sigma);
    RecordProperty("words_at_sigma_" + std::to_string(sigma), std::to_string(words));
    EXPECT_LT(words, 11.6) << sigma;
  }
}

TEST(DiscreteGaussianTest, SigmaLimits) {
  EXPECT_TRUE(DiscreteGaussian::Create(1).ok());
  EXPECT_TRUE(DiscreteGaussian::Create(kMaxNoiseScale).ok());
  for (uint64_t sigma : {uint64_t{0}, kMaxNoiseScale + 1, std::numeric_limits<uint64_t>::max()}) {
    const absl::Status status = DiscreteGaussian::Create(sigma).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(status.message()),
              "sigma must be at least 1 and at most 4611686018427387904, but is " + std::to_string(sigma));
  }
}

}  // namespace
}  // namespace dpkde
