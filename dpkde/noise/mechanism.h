#ifndef DPKDE_NOISE_MECHANISM_H_
#define DPKDE_NOISE_MECHANISM_H_

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/discrete_gaussian.h"
#include "dpkde/noise/discrete_laplace.h"
#include "dpkde/noise/knorm_ball.h"
#include "dpkde/noise/knorm_disks.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/privacy/sensitivity.h"
#include "dpkde/proto/density.pb.h"

namespace dpkde {

// What adding a mechanism's noise guarantees for integer vectors whose neighbours differ by no more than the groups'
// sensitivities: (epsilon, delta)-differential privacy, and rho-zero-concentrated differential privacy. Computed from
// the scales, rounding up.
struct NoiseGuarantee {
  // Both 0, for no statement, where Gaussian noise was calibrated to rho.
  double epsilon = 0;
  double delta = 0;
  // Pure noise: epsilon^2 / 2 (Bun and Steinke 2016, Proposition 1.4). Gaussian: mu^2 / 2, which the discrete one keeps
  // without slack (Canonne, Kamath and Steinke 2020, Section 2).
  double rho = 0;
  // Part of delta: what the discrete Gaussian costs more than a rounded continuous one, see DiscreteGaussianDelta.
  double sampler_delta = 0;
  // Gaussian only: sqrt of the sum of (l2_g / sigma_g)^2; and a bound on the distance between the discrete noise and
  // rounded continuous noise, from which sampler_delta follows at any epsilon.
  double mu = 0;
  double total_variation = 0;
};

// Additive noise for a vector of integers in groups, calibrated to a privacy guarantee; the one room through which
// noise enters a release.
//
//   DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism, Mechanism::Calibrate(proto::LAPLACE, design.groups(), privacy));
//   mechanism.AddNoise(absl::MakeSpan(values), source);
//
// LAPLACE: exact discrete Laplace noise of integer scale t_g on each coordinate of group g. A neighbour changes the log
// density of group g by at most l1_g / t_g, so the whole is pure epsilon-private with epsilon = sum_g l1_g / t_g
// (Ghosh, Roughgarden, Sundararajan 2009; Dwork et al. 2006). GAUSSIAN: exact discrete Gaussian noise of integer
// sigma_g. The rounded continuous Gaussian on integers is post-processing of the Gaussian mechanism, so it is (epsilon,
// delta)-private exactly when GaussianDelta(epsilon, mu) <= delta with mu^2 = sum_g (l2_g / sigma_g)^2 (Balle and Wang
// 2018); the discrete one costs sampler_delta more (gaussian_calibration.h): far below delta / 1000 at any epsilon, for
// any number of coordinates. In zero-concentrated differential privacy it costs nothing more.
//
// KNORM: exact rounded continuous K-norm noise (Hardt and Talwar 2010) of blocks of groups: disks and possibly the
// count together, a ball, or, for groups of which only L1 is known, discrete Laplace noise. Pure epsilon, the sum over
// blocks; far less noise than LAPLACE where a record moves many disks at once.
//
// Parts of one ball: a change v with ||v|| <= R, split into parts v_B, costs KNORM sum_B epsilon_B ||v_B|| / R <= sqrt(
// sum_B epsilon_B^2), LAPLACE sum_j |v_j| / t_j <= R sqrt(sum_B m_B / t_B^2) by Cauchy and Schwarz, and GAUSSIAN
// sum_B (||v_B|| / sigma_B)^2 <= max_B (R / sigma_B)^2, however many parts.
//
// Residual (also of records scaled by weights of either sign, for which each side of the sums below holds alone): free
// up to Laplace scale 2 R / epsilon, for the ball's epsilon and radius R, and up to the sigma of the
// ball's parts. Proof, ADD_REMOVE, R = M: with t = ||v|| / M a record loses at most epsilon t + (epsilon / 2) (1 - t^2)
// <= epsilon, since the derivative epsilon (1 - t) is not negative; for Gaussian noise mu^2 (t^2 + (1 - t^2)^2) <=
// mu^2. REPLACE, R = 2 M: norms t, u of the two give at most (epsilon / 2) (t + u) + (epsilon / 4) max(1 - t^2, 1 -
// u^2); say the maximum is at t: increasing in u, and at u = 1 at most epsilon as before. Gaussian: (mu^2 / 4) ((t +
// 1)^2 + (1 - t^2)^2) = (mu^2 / 4) (1 + t)^2 (1 + (1 - t)^2) <= mu^2: with s = 1 - t it is 4 - s (4 - 5 s + 4 s^2 -
// s^3) over 4, and the bracket is at least 2 on [0, 1]. Of smaller residual noise the loss is that of a larger epsilon,
// 2 R / t, or of a larger mu, which is what is certified.
//
// The budget is shared among groups so that sum_g mean_square_weight_g * variance_g is least: shares of epsilon
// proportional to (weight l1^2)^(1/3), shares of mu^2 proportional to l2 sqrt(weight). Shares depend on public values
// only.
//
// KNORM: knorm_blocks.h. A group of sensitivity 0 gets no noise. Immutable; thread-safe, but for the source.
class Mechanism {
 public:
  // The least noise within `privacy`. kInvalidArgument for an unknown kind, GAUSSIAN without delta or rho, or
  // parameters so small that scales exceed 2^56 or that the discrete Gaussian is not close enough (sampler_delta >
  // delta / 1000).
  static absl::StatusOr<Mechanism> Calibrate(proto::Mechanism kind, std::vector<CoordinateGroup> groups,
                                             const PrivacySpec& privacy);

  // With given scales: for loading. kInvalidArgument if they guarantee less than `privacy`, if a group with a
  // sensitivity has no noise, or if blocks are put together of groups that do not fit.
  static absl::StatusOr<Mechanism> FromScales(proto::Mechanism kind, std::vector<CoordinateGroup> groups,
                                              const proto::NoiseScales& scales, const PrivacySpec& privacy);

  proto::Mechanism kind() const { return kind_; }
  const proto::NoiseScales& scales() const { return scales_; }
  const NoiseGuarantee& guarantee() const { return guarantee_; }

  // Variance of each coordinate of each group, in squared units of the integers. Public.
  const std::vector<double>& variances() const { return variances_; }

  // sum_g mean_square_weight_g * variance_g: the mean over the query region of an answer's noise variance, in squared
  // units.
  double PredictedVariance() const;

  // Adds independent noise to every coordinate of every group; sums are taken in 128 bits and saturate. Privacy holds
  // for a source of the system's random bits (SystemBitSource) only, and for one call: two calls on the same values
  // average out.
  void AddNoise(absl::Span<int64_t> values, BitSource& source) const;

  // Of the kind: "exact discrete Laplace".
  std::string SamplerName() const;

 private:
  // The noise of some groups; one sampler a group but for blocks of disks.
  struct Block {
    std::vector<size_t> groups;
    std::variant<DiscreteLaplace, DiscreteGaussian, DiskProductNoise, BallNoise> noise;
  };

  Mechanism(proto::Mechanism kind, std::vector<CoordinateGroup> groups, const proto::NoiseScales& scales)
      : kind_(kind), groups_(std::move(groups)), scales_(scales), variances_(groups_.size()) {}

  // Check the scales and fill blocks_, variances_ and guarantee_.
  absl::Status BuildIndependent(const PrivacySpec& privacy);
  absl::Status BuildKNorm(const PrivacySpec& privacy);
  absl::Status AddKNormBlock(std::vector<size_t> members, double epsilon, Neighboring neighboring);
  void SetPureGuarantee(double epsilon);
  absl::Status CheckGuarantee(const PrivacySpec& privacy) const;

  void AddBallNoise(const BallNoise& noise, const std::vector<size_t>& members, absl::Span<int64_t> values,
                    BitSource& source) const;
  void AddDiskNoise(const DiskProductNoise& noise, const std::vector<size_t>& members, absl::Span<int64_t> values,
                    BitSource& source) const;

  proto::Mechanism kind_;
  std::vector<CoordinateGroup> groups_;
  proto::NoiseScales scales_;
  std::vector<Block> blocks_;
  std::vector<double> variances_;
  NoiseGuarantee guarantee_;
};

// The sensitivity of a group under the relation.
const Sensitivity& SensitivityOf(const CoordinateGroup& group, Neighboring neighboring);

}  // namespace dpkde

#endif  // DPKDE_NOISE_MECHANISM_H_
