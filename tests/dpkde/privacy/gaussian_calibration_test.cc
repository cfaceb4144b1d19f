#include "dpkde/privacy/gaussian_calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>
#include <cstdint>
#include <limits>

namespace dpkde {
namespace {

// References: bisected with mpmath at 60 digits from Theorem 8 of Balle and Wang 2018.
TEST(GaussianCalibrationTest, MatchesReferences) {
  const struct {
    double epsilon, delta, sigma;
  } cases[] = {
      {1.0, 1e-06, 4.22467888932684}, {0.1, 1e-06, 36.3046904261958}, {10.0, 1e-06, 0.541086831818366},
      {1.0, 1e-12, 6.55782206745885}, {0.5, 0.01, 3.14691309860668},
  };
  for (const auto& test : cases) {
    const double mu = *LargestGaussianMu(test.epsilon, test.delta);
    EXPECT_NEAR(1 / mu, test.sigma, 1e-9 * test.sigma) << test.epsilon << " " << test.delta;
  }
}

TEST(GaussianCalibrationTest, IsTightAndOnTheSafeSide) {
  for (double epsilon : {1e-3, 0.1, 1.0, 8.0, 50.0}) {
    for (double delta : {1e-15, 1e-9, 1e-6, 1e-2, 0.5}) {
      const double mu = *LargestGaussianMu(epsilon, delta);
      // The value returned is good; one unit in the last place more is not, up to the rounding up of GaussianDelta.
      EXPECT_LE(*GaussianDelta(epsilon, mu), std::nextafter(std::nextafter(delta, 1), 1));
      EXPECT_GT(*GaussianDelta(epsilon, mu * (1 + 1e-12)), delta);
    }
  }
}

// At epsilon 0, delta is the total variation 2 Phi(mu/2) - 1: for sigma = 4.225 it is 0.0942, and noise of 0.9 times
// that would show as 0.1046.
TEST(GaussianCalibrationTest, TotalVariation) {
  EXPECT_NEAR(*GaussianDelta(0, 1 / 4.225), 0.0942, 5e-5);
  EXPECT_NEAR(*GaussianDelta(0, 1 / (0.9 * 4.225)), 0.1046, 5e-5);
}

// One coordinate of discrete noise and of rounded continuous noise, by sums over all integers that matter, 50 digits.
using Exact = boost::multiprecision::cpp_bin_float_50;

class OneCoordinate {
 public:
  explicit OneCoordinate(int sigma) : sigma_(sigma), reach_(16 * sigma) {
    for (int z = -reach_; z <= reach_; ++z) total_ += Weight(z);
  }

  Exact Discrete(int z) const { return Weight(z) / total_; }
  // Between z - 1/2 and z + 1/2, by the tail that does not cancel.
  Exact Rounded(int z) const {
    const Exact unit = sigma_ * sqrt(Exact(2)), x = std::abs(z);
    return (erfc(Exact((x - Exact(0.5)) / unit)) - erfc(Exact((x + Exact(0.5)) / unit))) / 2;
  }
  // log E_D[(R / D)^power].
  double LogMoment(double power) const {
    Exact sum = 0;
    for (int z = -reach_; z <= reach_; ++z) sum += Discrete(z) * pow(Rounded(z) / Discrete(z), Exact(power));
    return static_cast<double>(log(sum));
  }
  // The delta of the mechanism on an integer of sensitivity `change`, exactly.
  double Delta(double epsilon, int change) const {
    Exact delta = 0;
    for (int z = -reach_ - change; z <= reach_; ++z) {
      delta += std::max<Exact>(0, Discrete(z) - exp(Exact(epsilon)) * Discrete(z + change));
    }
    return static_cast<double>(delta);
  }
  double total_variation() const { return 1 / std::sqrt(288.0) / sigma_ / sigma_; }
  double lambda() const { return 1 / (24.0 * sigma_ * sigma_); }

 private:
  Exact Weight(int z) const { return exp(-Exact(z) * z / (2 * sigma_ * sigma_)); }

  int sigma_;
  int reach_;
  Exact total_ = 0;
};

// The moments in the proof of gaussian_calibration.h, over all orders that it uses. The control is a third of the
// bound, which the largest orders exceed.
TEST(DiscreteGaussianTest, MomentsOfTheRatioAreWithinTheProof) {
  for (int sigma : {3, 12}) {
    const OneCoordinate one(sigma);
    const double lambda = one.lambda();
    double worst = 0;
    for (double b : {1.01, 1.5, 3.0, 0.01 / lambda, 0.05 / lambda, 0.125 / lambda}) {
      if (b <= 1 || b * lambda > 0.125) continue;
      const double bound = 3.5 * b * b * lambda * lambda;
      for (double power : {b, 1 - b}) {
        EXPECT_LE(one.LogMoment(power), bound) << sigma << " " << b << " " << power;
        worst = std::max(worst, one.LogMoment(power) / bound);
      }
    }
    EXPECT_GT(worst, 1 / 3.5 / 2) << sigma;
  }
}

// Against the exact delta, which is beyond that of continuous noise in some of these: at large epsilon too, where the
// bound by total variation is not what holds.
TEST(DiscreteGaussianTest, DeltaIsABound) {
  int beyond_continuous = 0, by_ratio = 0;
  for (int sigma : {5, 20, 60}) {
    const OneCoordinate one(sigma);
    for (int change : {1, sigma / 4, sigma, 3 * sigma}) {
      for (double epsilon : {0.1, 1.0, 3.0, 10.0}) {
        const double mu = static_cast<double>(change) / sigma;
        const double exact = one.Delta(epsilon, change), continuous = *GaussianDelta(epsilon, mu);
        const double bound = DiscreteGaussianDelta(epsilon, mu, one.total_variation())->delta;
        EXPECT_LE(exact, bound) << sigma << " " << change << " " << epsilon;
        EXPECT_GT(bound, continuous);
        beyond_continuous += exact > continuous * (1 + 1e-9);
        by_ratio += bound < continuous + (1 + std::exp(epsilon)) * one.total_variation() * (1 - 1e-9);
      }
    }
  }
  EXPECT_GT(beyond_continuous, 5);
  EXPECT_GT(by_ratio, 5);
}

TEST(DiscreteGaussianTest, CostsNextToNothingAtAnyEpsilon) {
  for (double epsilon : {0.01, 1.0, 10.0, 20.0, 100.0}) {
    for (double delta : {1e-12, 1e-6}) {
      const double mu = *LargestGaussianMu(epsilon, delta);
      EXPECT_LT(DiscreteGaussianDelta(epsilon, mu, 1e-12)->sampler_delta, 1e-5 * delta) << epsilon;
      EXPECT_EQ(DiscreteGaussianDelta(epsilon, mu, 0)->delta, *GaussianDelta(epsilon, mu));
    }
  }
}

TEST(GaussianCalibrationTest, RefusesWhatIsNotAParameter) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (double bad : {0.0, -1.0, nan, inf}) {
    EXPECT_FALSE(LargestGaussianMu(bad, 1e-6).ok());
    EXPECT_FALSE(GaussianDelta(1, bad).ok());
  }
  for (double bad : {0.0, 1.0, -1.0, nan}) EXPECT_FALSE(LargestGaussianMu(1, bad).ok());
  EXPECT_FALSE(GaussianDelta(-1, 1).ok());
  for (double bad : {-1.0, nan, inf}) EXPECT_FALSE(DiscreteGaussianDelta(1, 1, bad).ok());
}

}  // namespace
}  // namespace dpkde
