#ifndef DPKDE_NOISE_DISCRETE_GAUSSIAN_H_
#define DPKDE_NOISE_DISCRETE_GAUSSIAN_H_

#include <cstdint>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/discrete_laplace.h"

namespace dpkde {

// The discrete Gaussian law on all integers, P(z) ∝ exp(−z²/(2·sigma²)), sampled exactly: integer arithmetic only, no
// truncation.
//
//   DPKDE_ASSIGN_OR_RETURN(const DiscreteGaussian gaussian, DiscreteGaussian::Create(sigma));
//   gaussian.AddTo(absl::MakeSpan(sums), bits);
//
// Guarantee: given uniform bits, the law is exactly the one above. Adding a draw to an integer of L2 sensitivity D is
// D²/(2·sigma²)-zCDP (Canonne, Kamath, Steinke 2020, arXiv 2004.00010); this class knows no sensitivity and certifies
// nothing.
//
// Time: 11.3 words a draw (9.5 at sigma 1), 100 to 145 ns measured, at every sigma. Not constant: it depends on the
// value drawn (known limit, as of DiscreteLaplace).
//
// Immutable and thread-safe; the BitSource is not.
class DiscreteGaussian {
 public:
  // 1 <= sigma <= kMaxNoiseScale.
  static absl::StatusOr<DiscreteGaussian> Create(uint64_t sigma);

  // |draw| < 2^126 + 2^62, as of DiscreteLaplace.
  absl::int128 Sample(BitSource& bits) const;

  // Adds an independent draw to each value, in 128 bits, and clamps to int64 (post-processing, no privacy effect).
  void AddTo(absl::Span<int64_t> values, BitSource& bits) const;

  // Of the discrete law, Σ z²·P(z). By Poisson summation sigma²·(1 + 2(1−c)w)/(1 + 2w), c = 4π²·sigma², w = exp(−c/2),
  // up to terms below exp(−2c) < 1e-34: sigma²·(1 − 2.1e-7) for sigma = 1, sigma² to double precision from 2 on.
  double Variance() const;

  uint64_t sigma() const { return laplace_.scale(); }

 private:
  explicit DiscreteGaussian(const DiscreteLaplace& laplace) : laplace_(laplace) {}

  DiscreteLaplace laplace_;  // of scale sigma
};

}  // namespace dpkde

#endif  // DPKDE_NOISE_DISCRETE_GAUSSIAN_H_
