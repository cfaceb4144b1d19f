#include "dpkde/privacy/gaussian_calibration.h"

#include <gtest/gtest.h>

#include <cmath>
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

TEST(GaussianCalibrationTest, RefusesWhatIsNotAParameter) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (double bad : {0.0, -1.0, nan, inf}) {
    EXPECT_FALSE(LargestGaussianMu(bad, 1e-6).ok());
    EXPECT_FALSE(GaussianDelta(1, bad).ok());
  }
  for (double bad : {0.0, 1.0, -1.0, nan}) EXPECT_FALSE(LargestGaussianMu(1, bad).ok());
  EXPECT_FALSE(GaussianDelta(-1, 1).ok());
}

}  // namespace
}  // namespace dpkde
