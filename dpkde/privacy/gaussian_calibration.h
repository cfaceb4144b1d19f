#ifndef DPKDE_PRIVACY_GAUSSIAN_CALIBRATION_H_
#define DPKDE_PRIVACY_GAUSSIAN_CALIBRATION_H_

#include "absl/status/statusor.h"

namespace dpkde {

// The exact privacy of the Gaussian mechanism (Balle and Wang, "Improving the Gaussian Mechanism for Differential
// Privacy: Analytical Calibration and Optimal Denoising", ICML 2018, Theorem 8).
//
// Adding N(0, sigma^2) noise to a vector of L2 sensitivity Delta is (epsilon, delta)-differentially private if and only
// if
//
//   delta >= GaussianDelta(epsilon, mu) := Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu),  mu =
//   Delta/sigma.
//
// Coordinates with sensitivities Delta_k and deviations sigma_k compose to mu^2 = sum (Delta_k / sigma_k)^2: after
// scaling each by 1/sigma_k they are one Gaussian mechanism.
//
// Evaluated with 50 decimal digits, so that neither cancellation nor the tail of Phi costs accuracy; the results are
// rounded towards more noise. O(1); thread-safe.

// delta above, rounded up. kInvalidArgument unless epsilon >= 0 and mu > 0 are finite.
absl::StatusOr<double> GaussianDelta(double epsilon, double mu);

// The largest mu (least noise) with GaussianDelta(epsilon, mu) <= delta, rounded down. At epsilon = 1, delta = 1e-6:
// 0.2367, that is sigma = 4.225 at sensitivity 1. kInvalidArgument unless epsilon > 0 is finite and 0 < delta < 1.
absl::StatusOr<double> LargestGaussianMu(double epsilon, double delta);

}  // namespace dpkde

#endif  // DPKDE_PRIVACY_GAUSSIAN_CALIBRATION_H_
