#include "dpkde/noise/mechanism.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/noise/discrete_gaussian.h"
#include "dpkde/noise/discrete_laplace.h"
#include "dpkde/privacy/gaussian_calibration.h"

namespace dpkde {
namespace {

// Scales beyond leave too little of 63 bits for the sums themselves.
constexpr double kLargestScale = 72057594037927936.0;  // 2^56

// Below, the expansion behind GaussianSamplerDelta is not claimed. Calibrated scales are above 2^20.
constexpr uint64_t kSmallestSigma = 1024;

// What the sum of `count` doubles, each rounded up, may lack at most.
double RoundedUp(double sum, size_t count) {
  return std::nextafter(sum * (1 + count * std::numeric_limits<double>::epsilon()),
                        std::numeric_limits<double>::infinity());
}

// (1 + e^epsilon) times the total variation between independent discrete Gaussians of `sigmas` and rounded continuous
// ones.
//
// For one: the density of the rounded one at z, relative to that of the discrete one, is 1 + (z^2/sigma^2 - 1) / (24
// sigma^2) + O(sigma^-4), so their chi-square divergence is 2 / (24 sigma^2)^2 (1 + O(sigma^-2)) = 1 / (288 sigma^4)
// (...). Independent ones multiply 1 + chi^2, and total variation is at most sqrt(chi^2) / 2. The factor 2 in front
// pays for the O() terms at sigma >= kSmallestSigma, where they are below 1e-5.
double GaussianSamplerDelta(double epsilon, const std::vector<CoordinateGroup>& groups,
                            const std::vector<uint64_t>& sigmas) {
  double sum = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (sigmas[g] == 0) continue;
    const double sigma = sigmas[g];
    sum += groups[g].count / (288 * sigma * sigma * sigma * sigma);
  }
  return 2 * (1 + std::exp(epsilon)) * std::sqrt(std::expm1(sum)) / 2;
}

// Shares of the budget proportional to `demand`, each at least its group's least share, adding up to at most 1.
std::vector<double> Shares(const std::vector<CoordinateGroup>& groups, std::vector<double> demand) {
  double total = 0;
  for (double value : demand) total += value;
  if (!(total > 0)) return demand;
  for (double& value : demand) value /= total;
  // Raising one group lowers the rest, which may push another below its least share: repeat until none is.
  std::vector<bool> raised(groups.size(), false);
  while (true) {
    double fixed = 0, free = 0;
    bool changed = false;
    for (size_t g = 0; g < groups.size(); ++g) {
      if (!raised[g] && demand[g] < groups[g].least_share) raised[g] = changed = true;
      (raised[g] ? fixed : free) += raised[g] ? groups[g].least_share : demand[g];
    }
    if (!changed) break;
    for (size_t g = 0; g < groups.size(); ++g) {
      demand[g] = raised[g] ? groups[g].least_share : demand[g] * (1 - fixed) / free;
    }
  }
  return demand;
}

absl::Status TooSmall() {
  return absl::InvalidArgumentError("epsilon or delta is too small for this many features: noise would exceed 63 bits");
}

absl::Status CheckKind(proto::Mechanism kind, const PrivacySpec& privacy) {
  if (kind != proto::LAPLACE && kind != proto::GAUSSIAN) {
    return absl::InvalidArgumentError("mechanism is missing or unknown");
  }
  if (kind == proto::GAUSSIAN && !privacy.delta().has_value()) {
    return absl::InvalidArgumentError("the gaussian mechanism needs delta: it cannot be pure");
  }
  return absl::OkStatus();
}

}  // namespace

const Sensitivity& SensitivityOf(const CoordinateGroup& group, Neighboring neighboring) {
  return neighboring == Neighboring::kAddRemove ? group.add_remove : group.replace;
}

absl::StatusOr<Mechanism> Mechanism::Calibrate(proto::Mechanism kind, std::vector<CoordinateGroup> groups,
                                               const PrivacySpec& privacy) {
  DPKDE_RETURN_IF_ERROR(CheckKind(kind, privacy));
  std::vector<double> demand;
  // A weight of zero would give no budget; whatever is released gets some.
  double weight_sum = 0;
  for (const CoordinateGroup& group : groups) weight_sum += group.mean_square_weight;
  for (const CoordinateGroup& group : groups) {
    const Sensitivity& sensitivity = SensitivityOf(group, privacy.neighboring());
    const double weight = std::max(group.mean_square_weight, std::max(weight_sum * 1e-18, 1e-300));
    if (sensitivity.l1 == 0) {
      demand.push_back(0);
    } else if (kind == proto::LAPLACE) {
      demand.push_back(std::cbrt(weight * static_cast<double>(sensitivity.l1) * sensitivity.l1));
    } else {
      demand.push_back(sensitivity.l2 * std::sqrt(weight));
    }
  }
  // A group without sensitivity takes no share.
  std::vector<CoordinateGroup> sharing = groups;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (demand[g] == 0) sharing[g].least_share = 0;
  }
  const std::vector<double> shares = Shares(sharing, demand);

  double mu = 0;
  if (kind == proto::GAUSSIAN) {
    // delta / 1000 is set aside for the sampler.
    DPKDE_ASSIGN_OR_RETURN(mu, LargestGaussianMu(privacy.epsilon(), *privacy.delta() * 0.999));
  }
  // Scales are rounded up, so the guarantee is met; the slack covers the rounding of the shares.
  constexpr double kSlack = 1 + 1e-9;
  std::vector<uint64_t> scales;
  for (size_t g = 0; g < groups.size(); ++g) {
    const Sensitivity& sensitivity = SensitivityOf(groups[g], privacy.neighboring());
    if (demand[g] == 0) {
      scales.push_back(0);
      continue;
    }
    const double scale = kind == proto::LAPLACE ? sensitivity.l1 / (privacy.epsilon() * shares[g]) * kSlack
                                                : sensitivity.l2 / (mu * std::sqrt(shares[g])) * kSlack;
    if (!(scale < kLargestScale)) return TooSmall();
    scales.push_back(std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(scale))));
  }
  return FromScales(kind, std::move(groups), scales, privacy);
}

absl::StatusOr<Mechanism> Mechanism::FromScales(proto::Mechanism kind, std::vector<CoordinateGroup> groups,
                                                absl::Span<const uint64_t> scales, const PrivacySpec& privacy) {
  DPKDE_RETURN_IF_ERROR(CheckKind(kind, privacy));
  if (scales.size() != groups.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("noise must have one scale a group, but has ", scales.size(), " for ", groups.size()));
  }
  Mechanism mechanism(kind, std::move(groups), {scales.begin(), scales.end()});
  DPKDE_RETURN_IF_ERROR(mechanism.ComputeGuarantee(privacy));
  DPKDE_RETURN_IF_ERROR(mechanism.ComputeVariances());
  return mechanism;
}

absl::Status Mechanism::ComputeGuarantee(const PrivacySpec& privacy) {
  double loss = 0;  // epsilon, or mu^2
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Sensitivity& sensitivity = SensitivityOf(groups_[g], privacy.neighboring());
    if (sensitivity.l1 == 0 && scales_[g] == 0) continue;
    const double least = kind_ == proto::GAUSSIAN ? kSmallestSigma : 1;
    if (!(scales_[g] >= least && scales_[g] <= kLargestScale)) return TooSmall();
    const double scale = scales_[g];
    if (kind_ == proto::LAPLACE) {
      loss += std::nextafter(sensitivity.l1 / scale, 1e300);
    } else {
      const double ratio = sensitivity.l2 / scale;
      loss += ratio * ratio * (1 + 4 * std::numeric_limits<double>::epsilon());
    }
  }
  loss = RoundedUp(loss, groups_.size());
  if (kind_ == proto::LAPLACE) {
    guarantee_.epsilon = loss;
  } else {
    guarantee_.epsilon = privacy.epsilon();
    guarantee_.mu = RoundedUp(std::sqrt(loss), 1);
    if (guarantee_.mu > 0) {
      DPKDE_ASSIGN_OR_RETURN(guarantee_.delta, GaussianDelta(privacy.epsilon(), guarantee_.mu));
    }
    guarantee_.sampler_delta = GaussianSamplerDelta(privacy.epsilon(), groups_, scales_);
    if (guarantee_.sampler_delta > *privacy.delta() / 1000) {
      return absl::InvalidArgumentError(
          absl::StrCat("delta must be at least 1000 times what the discrete sampler adds, ", guarantee_.sampler_delta));
    }
    guarantee_.delta = RoundedUp(guarantee_.delta + guarantee_.sampler_delta, 1);
  }
  if (guarantee_.epsilon > privacy.epsilon() || guarantee_.delta > privacy.delta().value_or(0)) {
    return absl::InvalidArgumentError(absl::StrCat("noise scales guarantee epsilon = ", guarantee_.epsilon,
                                                   ", delta = ", guarantee_.delta,
                                                   " only, which is more than was stated"));
  }
  return absl::OkStatus();
}

absl::Status Mechanism::ComputeVariances() {
  for (uint64_t scale : scales_) {
    if (scale == 0) {
      variances_.push_back(0);
    } else if (kind_ == proto::LAPLACE) {
      DPKDE_ASSIGN_OR_RETURN(const DiscreteLaplace laplace, DiscreteLaplace::Create(scale));
      variances_.push_back(laplace.Variance());
    } else {
      DPKDE_ASSIGN_OR_RETURN(const DiscreteGaussian gaussian, DiscreteGaussian::Create(scale));
      variances_.push_back(gaussian.Variance());
    }
  }
  return absl::OkStatus();
}

double Mechanism::PredictedVariance() const {
  double variance = 0;
  for (size_t g = 0; g < groups_.size(); ++g) variance += groups_[g].mean_square_weight * variances_[g];
  return variance;
}

void Mechanism::AddNoise(absl::Span<int64_t> values, BitSource& source) const {
  const auto add = [&](const auto& sampler, const CoordinateGroup& group) {
    if (group.stride == 1) return sampler.AddTo(values.subspan(group.first, group.count), source);
    for (size_t j = 0; j < group.count; ++j) sampler.AddTo(values.subspan(group.first + j * group.stride, 1), source);
  };
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (scales_[g] == 0) continue;
    // The scales were accepted by Create when the variances were computed.
    if (kind_ == proto::LAPLACE) {
      add(*DiscreteLaplace::Create(scales_[g]), groups_[g]);
    } else {
      add(*DiscreteGaussian::Create(scales_[g]), groups_[g]);
    }
  }
}

std::string Mechanism::SamplerName() const {
  return kind_ == proto::LAPLACE ? "exact discrete Laplace (Canonne, Kamath, Steinke 2020)"
                                 : "exact discrete Gaussian (Canonne, Kamath, Steinke 2020)";
}

}  // namespace dpkde
