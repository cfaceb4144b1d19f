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

// The same for integers with exact discrete Gaussian noise D of sigma_k >= 3 on coordinate k. Rounded continuous noise
// R would be post-processing of the Gaussian mechanism; what D costs more follows from one number v, with
//
//   v^2 >= sum 1 / (288 sigma_k^4)
//
// over all coordinates of all releases that are taken together (the sum of the v of each is one), which also bounds the
// total variation between D and R. The delta of D is at most the lesser of
//
//   GaussianDelta(epsilon, mu) + (1 + e^epsilon) v,  which is hopeless at large epsilon, and
//   e^eta GaussianDelta(epsilon - 2 eta, mu) + (1 + e^epsilon) tau,  eta = 6 v (log(1 / tau) + 0.05) / (1 - 6 v),
//
// for v <= 1/12 and any tau > 0, here e^(-epsilon - 100): at epsilon = 10 and v = 1e-12 a part of 1e-8 of delta or so.
// mu and v must be fixed beforehand: releases may be chosen in the light of earlier ones, but so that neither is
// exceeded whatever those were.
//
// Proof of the second. L = R / D, of all the noise together, is a product over all coordinates. Suppose that E_D[L^-a]
// and E_R[L^a] are at most e^0.05 for a = 1 / (6 v) - 1. By Markov's inequality then L^-1 under D, and L under R,
// exceed e^eta with probability at most tau: whatever the integers are to which noise is added, since L is a function
// of noise alone, and for the whole vector, not for each coordinate. So for neighbours x, x' and any set of outputs
//
//   D(x) <= e^eta R(x) + tau,
//   R(x) <= e^(epsilon - 2 eta) R(x') + GaussianDelta(epsilon - 2 eta),
//   R(x') <= e^eta D(x') + tau,
//
// which put together lose e^eta GaussianDelta(epsilon - 2 eta) + (1 + e^(epsilon - eta)) tau.
//
// The moments, of one coordinate, with s = 1 / sigma^2, lambda = s / 24, b = 1 + a, z the noise, g = z / sigma, t
// uniform in [-1/2, 1/2]: L = theta E_t[cosh(s z t) e^(-s t^2 / 2)] where theta >= 1, the sum of the continuous density
// over the integers, is 1 to 76 digits, and the moments of g^2 and g^4 under D are 1 and 3 to 70 (Poisson summation);
// what is lacking is far less than what the 3.5 below has to spare, at every sigma.
// * E_D[L^-a]: by Jensen's inequality log L >= W - lambda, W = E_t[log cosh(s z t)] >= 0. u^2/2 - u^4/12 <= log cosh(u)
//   <= u^2/2, so lambda g^2 - s^2 g^4 / 960 <= W <= lambda g^2; e^-w <= 1 - w + w^2/2 for w >= 0 gives
//   log E_D[e^(-a W)] <= -a lambda + 1.8 a lambda^2 + 1.5 a^2 lambda^2.
// * E_R[L^a] = E_D[L^b]: one factor falls with |t| and the other grows, so the mean of the product is at most the
//   product of means (Chebyshev), e^(-lambda + 0.9 lambda^2) e^(lambda g^2): of the first by e^-w as above, of the
//   second, sinh(y) / y with y = s z / 2, by sinh(y) / y <= e^(y^2 / 6), term by term. E_D[e^(b lambda g^2)] is at most
//   (1 - 2 b lambda)^(-1/2), the ratio of sums over the integers at sigma / sqrt(1 - 2 b lambda) and at sigma, since a
//   wider discrete Gaussian has a smaller theta; where b lambda <= 1/8, log E_D[L^b] <= 0.9 b lambda^2 + (4/3) b^2
//   lambda^2.
// Both are at most 3.5 b^2 lambda^2, whose sum over coordinates is at most 1.75 b^2 v^2 < 0.05 at b = 1 / (6 v), and
// b lambda <= b v / sqrt(2) < 1/8. Releases chosen in the light of earlier ones multiply their bounds all the same
// (conditional expectations, last release first), as their sum of 1 / (288 sigma^4) never exceeds v^2; and R of them is
// mu-Gaussian (Smith and Thakurta 2022), as their mu^2 never exceeds the one given.

struct DiscreteDelta {
  double delta;
  double sampler_delta;  // the part of it that GaussianDelta lacks
};

// Rounded up. kInvalidArgument as GaussianDelta, and unless total_variation (v) >= 0 is finite.
absl::StatusOr<DiscreteDelta> DiscreteGaussianDelta(double epsilon, double mu, double total_variation);

// The part of delta that is set aside for the discrete sampler, of a release and of a ledger's budget.
constexpr double kSamplerShare = 1e-3;

}  // namespace dpkde

#endif  // DPKDE_PRIVACY_GAUSSIAN_CALIBRATION_H_
