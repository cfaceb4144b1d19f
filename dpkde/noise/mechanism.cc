#include "dpkde/noise/mechanism.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/wipe.h"
#include "dpkde/noise/knorm_blocks.h"
#include "dpkde/privacy/gaussian_calibration.h"

namespace dpkde {
namespace {

// Scales beyond leave too little of 63 bits for the sums themselves.
constexpr double kLargestScale = 72057594037927936.0;  // 2^56

// Below, the expansion behind GaussianTotalVariation is not claimed. Calibrated scales are above 2^20.
constexpr uint64_t kSmallestSigma = 1024;

// What the sum of `count` doubles, each rounded up, may lack at most.
double RoundedUp(double sum, size_t count) {
  return std::nextafter(sum * (1 + count * std::numeric_limits<double>::epsilon()),
                        std::numeric_limits<double>::infinity());
}

// A bound on the total variation between independent discrete Gaussians of `sigmas` and rounded continuous ones.
//
// For one: the density of the rounded one at z, relative to that of the discrete one, is 1 + (z^2/sigma^2 - 1) / (24
// sigma^2) + O(sigma^-4), so their chi-square divergence is 2 / (24 sigma^2)^2 (1 + O(sigma^-2)) = 1 / (288 sigma^4)
// (...). Independent ones multiply 1 + chi^2, and total variation is at most sqrt(chi^2) / 2. The factor 2 in front
// pays for the O() terms at sigma >= kSmallestSigma, where they are below 1e-5.
double GaussianTotalVariation(const std::vector<CoordinateGroup>& groups, const proto::NoiseScales& sigmas) {
  double sum = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    const double sigma = sigmas.scale(g);
    if (sigma == 0) continue;
    sum += groups[g].count / (288 * sigma * sigma * sigma * sigma);
  }
  return 2 * std::sqrt(std::expm1(sum)) / 2;
}

// Groups whose losses are taken together: one group, or the parts of one ball and its residual.
struct Unit {
  std::vector<size_t> parts;
  absl::optional<size_t> residual;
};

// Those without sensitivity are left out.
std::vector<Unit> Units(const std::vector<CoordinateGroup>& groups, Neighboring neighboring) {
  std::vector<Unit> units;
  std::map<uint32_t, size_t> unit_of_ball;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (SensitivityOf(groups[g], neighboring).l1 == 0) continue;
    if (groups[g].ball == 0) {
      units.push_back({{g}, absl::nullopt});
      continue;
    }
    const auto [it, is_new] = unit_of_ball.emplace(groups[g].ball, units.size());
    if (is_new) units.emplace_back();
    if (groups[g].shape == GroupShape::kResidual) {
      units[it->second].residual = g;
    } else {
      units[it->second].parts.push_back(g);
    }
  }
  return units;
}

// Design errors, not the user's.
absl::Status CheckBalls(const std::vector<CoordinateGroup>& groups, Neighboring neighboring) {
  for (const Unit& unit : Units(groups, neighboring)) {
    if (unit.parts.empty()) return absl::InvalidArgumentError("a residual has no ball");
    const uint64_t radius = SensitivityOf(groups[unit.parts[0]], neighboring).l2;
    for (size_t g : unit.parts) {
      if (groups[g].ball != 0 &&
          (groups[g].shape != GroupShape::kBall || SensitivityOf(groups[g], neighboring).l2 != radius)) {
        return absl::InvalidArgumentError("the parts of a ball must have its radius");
      }
    }
    if (unit.residual.has_value() && groups[*unit.residual].count != 1) {
      return absl::InvalidArgumentError("a residual is one coordinate");
    }
  }
  return absl::OkStatus();
}

absl::Status TooSmall() {
  return absl::InvalidArgumentError("epsilon or delta is too small for this many features: noise would exceed 63 bits");
}

absl::Status CheckKind(proto::Mechanism kind, const PrivacySpec& privacy) {
  if (kind != proto::LAPLACE && kind != proto::GAUSSIAN && kind != proto::KNORM) {
    return absl::InvalidArgumentError("mechanism is missing or unknown");
  }
  if (kind == proto::GAUSSIAN && !privacy.allows_gaussian()) {
    return absl::InvalidArgumentError("the gaussian mechanism needs delta or rho: it cannot be pure");
  }
  return absl::OkStatus();
}

}  // namespace

const Sensitivity& SensitivityOf(const CoordinateGroup& group, Neighboring neighboring) {
  return neighboring == Neighboring::kAddRemove ? group.add_remove : group.replace;
}

absl::StatusOr<Mechanism> Mechanism::Calibrate(proto::Mechanism kind, std::vector<CoordinateGroup> groups,
                                               const PrivacySpec& privacy) {
  const DefaultFloatEnvironment environment;  // what is rounded up must not be rounded down
  DPKDE_RETURN_IF_ERROR(CheckKind(kind, privacy));
  // Scales are rounded up and parts of epsilon down, so the guarantee is met; the slack covers the rounding of the
  // shares.
  constexpr double kSlack = 1 + 1e-9;
  proto::NoiseScales scales;
  if (kind == proto::KNORM) {
    const KNormBlocks blocks = PlanKNormBlocks(groups, privacy.neighboring());
    scales.mutable_block()->Add(blocks.block_of.begin(), blocks.block_of.end());
    for (double share : blocks.shares) scales.add_block_epsilon(privacy.epsilon() * share / kSlack);
    return FromScales(kind, std::move(groups), scales, privacy);
  }

  const std::vector<Unit> units = Units(groups, privacy.neighboring());
  std::vector<double> demand, least;
  // A weight of zero would give no budget; whatever is released gets some.
  double weight_sum = 0;
  for (const CoordinateGroup& group : groups) weight_sum += group.mean_square_weight;
  const auto weight = [&](size_t g) {
    return std::max(groups[g].mean_square_weight, std::max(weight_sum * 1e-18, 1e-300));
  };
  // Of a ball under LAPLACE: sum_B sqrt(C_B m_B), see below.
  std::vector<double> spectrum(units.size(), 0);
  for (size_t u = 0; u < units.size(); ++u) {
    const CoordinateGroup& first = groups[units[u].parts[0]];
    const Sensitivity& sensitivity = SensitivityOf(first, privacy.neighboring());
    double square_sum = 0;
    for (size_t g : units[u].parts) {
      spectrum[u] += std::sqrt(weight(g) * groups[g].count);
      square_sum += weight(g);
    }
    least.push_back(first.least_share);
    if (kind == proto::GAUSSIAN) {
      demand.push_back(sensitivity.l2 * std::sqrt(square_sum));
    } else if (first.ball != 0) {
      demand.push_back(std::cbrt(std::pow(sensitivity.l2 * spectrum[u], 2)));
    } else {
      demand.push_back(std::cbrt(square_sum * static_cast<double>(sensitivity.l1) * sensitivity.l1));
    }
  }
  const std::vector<double> shares = SharesWithLeast(demand, least);

  double mu = 0;
  if (kind == proto::GAUSSIAN && privacy.rho().has_value()) {
    mu = std::sqrt(2 * *privacy.rho());
  } else if (kind == proto::GAUSSIAN) {
    DPKDE_ASSIGN_OR_RETURN(mu, LargestGaussianMu(privacy.epsilon(), (1 - kSamplerShare) * *privacy.delta()));
  }
  scales.mutable_scale()->Resize(static_cast<int>(groups.size()), 0);
  for (size_t u = 0; u < units.size(); ++u) {
    const auto set = [&](size_t g, double scale) {
      if (!(scale * kSlack < kLargestScale)) return false;
      scales.set_scale(static_cast<int>(g), std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(scale * kSlack))));
      return true;
    };
    const double epsilon = privacy.epsilon() * shares[u];
    bool fits = true;
    for (size_t g : units[u].parts) {
      const Sensitivity& sensitivity = SensitivityOf(groups[g], privacy.neighboring());
      if (kind == proto::GAUSSIAN) {
        fits &= set(g, sensitivity.l2 / (mu * std::sqrt(shares[u])));
      } else if (groups[g].ball != 0) {
        // Least sum of C_B t_B^2 under sum m_B (l2 / t_B)^2 <= epsilon^2.
        fits &= set(g, sensitivity.l2 / epsilon * std::sqrt(spectrum[u] * std::sqrt(groups[g].count / weight(g))));
      } else {
        fits &= set(g, sensitivity.l1 / epsilon);
      }
    }
    if (units[u].residual.has_value()) {
      const double radius = SensitivityOf(groups[units[u].parts[0]], privacy.neighboring()).l2;
      fits &= set(*units[u].residual,
                  kind == proto::GAUSSIAN ? radius / (mu * std::sqrt(shares[u])) : 2 * radius / epsilon);
    }
    if (!fits) return TooSmall();
  }
  return FromScales(kind, std::move(groups), scales, privacy);
}

absl::StatusOr<Mechanism> Mechanism::FromScales(proto::Mechanism kind, std::vector<CoordinateGroup> groups,
                                                const proto::NoiseScales& scales, const PrivacySpec& privacy) {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckKind(kind, privacy));
  const size_t given = kind == proto::KNORM ? scales.block_size() : scales.scale_size();
  if (given != groups.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("noise must be given for each of ", groups.size(), " groups, but is for ", given));
  }
  DPKDE_RETURN_IF_ERROR(CheckBalls(groups, privacy.neighboring()));
  Mechanism mechanism(kind, std::move(groups), scales);
  DPKDE_RETURN_IF_ERROR(kind == proto::KNORM ? mechanism.BuildKNorm(privacy) : mechanism.BuildIndependent(privacy));
  DPKDE_RETURN_IF_ERROR(mechanism.CheckGuarantee(privacy));
  return mechanism;
}

absl::Status Mechanism::BuildIndependent(const PrivacySpec& privacy) {
  const double least = kind_ == proto::GAUSSIAN ? kSmallestSigma : 1;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const uint64_t scale = scales_.scale(g);
    if (SensitivityOf(groups_[g], privacy.neighboring()).l1 == 0 && scale == 0) continue;
    if (!(scale >= least && scale <= kLargestScale)) return TooSmall();
    if (kind_ == proto::LAPLACE) {
      DPKDE_ASSIGN_OR_RETURN(const DiscreteLaplace laplace, DiscreteLaplace::Create(scale));
      variances_[g] = laplace.Variance();
      blocks_.push_back({{g}, laplace});
    } else {
      DPKDE_ASSIGN_OR_RETURN(const DiscreteGaussian gaussian, DiscreteGaussian::Create(scale));
      variances_[g] = gaussian.Variance();
      blocks_.push_back({{g}, gaussian});
    }
  }
  double loss = 0;  // epsilon, or mu^2
  for (const Unit& unit : Units(groups_, privacy.neighboring())) {
    double square = 0;  // of a ball's loss
    double widest = 0;  // largest ratio of radius to scale
    for (size_t g : unit.parts) {
      const Sensitivity& sensitivity = SensitivityOf(groups_[g], privacy.neighboring());
      const double ratio = sensitivity.l2 / static_cast<double>(scales_.scale(g));
      square += groups_[g].count * ratio * ratio;
      widest = std::max(widest, ratio);
      if (kind_ == proto::LAPLACE && groups_[g].ball == 0) {
        loss += std::nextafter(sensitivity.l1 / static_cast<double>(scales_.scale(g)), 1e300);
      }
    }
    const double radius = SensitivityOf(groups_[unit.parts[0]], privacy.neighboring()).l2;
    const double residual = unit.residual.has_value() ? radius / static_cast<double>(scales_.scale(*unit.residual)) : 0;
    if (kind_ == proto::GAUSSIAN) {
      loss += std::pow(std::max(widest, residual), 2) * (1 + 4 * std::numeric_limits<double>::epsilon());
    } else if (groups_[unit.parts[0]].ball != 0) {
      loss += std::max(RoundedUp(std::sqrt(square), unit.parts.size() + 4), RoundedUp(2 * residual, 1));
    }
  }
  loss = RoundedUp(loss, groups_.size());
  if (kind_ == proto::LAPLACE) {
    SetPureGuarantee(loss);
    return absl::OkStatus();
  }
  guarantee_.mu = RoundedUp(std::sqrt(loss), 1);
  guarantee_.rho = RoundedUp(loss / 2, 1);
  guarantee_.total_variation = RoundedUp(GaussianTotalVariation(groups_, scales_), 4);
  if (privacy.rho().has_value()) return absl::OkStatus();
  guarantee_.epsilon = privacy.epsilon();
  if (guarantee_.mu == 0) return absl::OkStatus();
  DPKDE_ASSIGN_OR_RETURN(const DiscreteDelta noise,
                         DiscreteGaussianDelta(privacy.epsilon(), guarantee_.mu, guarantee_.total_variation));
  guarantee_.delta = noise.delta;
  guarantee_.sampler_delta = noise.sampler_delta;
  if (guarantee_.sampler_delta > kSamplerShare * *privacy.delta()) {
    return absl::InvalidArgumentError(
        absl::StrCat("delta must be at least 1000 times what the discrete sampler adds, ", guarantee_.sampler_delta));
  }
  return absl::OkStatus();
}

absl::Status Mechanism::BuildKNorm(const PrivacySpec& privacy) {
  const size_t count = scales_.block_epsilon_size();
  std::vector<std::vector<size_t>> members(count);
  for (size_t g = 0; g < groups_.size(); ++g) {
    const uint32_t block = scales_.block(g);
    if (block == 0 && SensitivityOf(groups_[g], privacy.neighboring()).l1 == 0) continue;
    if (block == 0 || block > count) return absl::InvalidArgumentError("a group is in no block of noise");
    members[block - 1].push_back(g);
  }
  double spent = 0;
  struct BallLoss {
    double square = 0;
    double residual = 0;
  };
  std::map<uint32_t, BallLoss> balls;
  for (size_t b = 0; b < count; ++b) {
    if (members[b].empty()) return absl::InvalidArgumentError("a block of noise has no groups");
    const double epsilon = scales_.block_epsilon(b);
    const CoordinateGroup& first = groups_[members[b][0]];
    for (size_t g : members[b]) {
      if (groups_[g].ball != first.ball || groups_[g].shape != first.shape) {
        if (first.shape == GroupShape::kDisk) continue;
        return absl::InvalidArgumentError("only disks, and parts of one ball, may share a block of noise");
      }
    }
    if (first.ball == 0) {
      spent += epsilon;
    } else if (first.shape == GroupShape::kResidual) {
      // In units of the radius: sensitivity l1 was divided by epsilon to give the scale.
      balls[first.ball].residual = epsilon / SensitivityOf(first, privacy.neighboring()).l1;
    } else {
      balls[first.ball].square += epsilon * epsilon;
    }
    DPKDE_RETURN_IF_ERROR(AddKNormBlock(std::move(members[b]), epsilon, privacy.neighboring()));
  }
  for (const Unit& unit : Units(groups_, privacy.neighboring())) {
    const CoordinateGroup& first = groups_[unit.parts[0]];
    if (first.ball == 0) continue;
    const BallLoss& ball = balls[first.ball];
    const double radius = SensitivityOf(first, privacy.neighboring()).l2;
    spent +=
        std::max(RoundedUp(std::sqrt(ball.square), unit.parts.size() + 4), RoundedUp(2 * radius * ball.residual, 4));
  }
  SetPureGuarantee(RoundedUp(spent, count));
  return absl::OkStatus();
}

void Mechanism::SetPureGuarantee(double epsilon) {
  guarantee_.epsilon = epsilon;
  guarantee_.rho = RoundedUp(epsilon * epsilon / 2, 1);
}

absl::Status Mechanism::AddKNormBlock(std::vector<size_t> members, double epsilon, Neighboring neighboring) {
  if (!(epsilon > 0 && std::isfinite(epsilon))) return TooSmall();
  const CoordinateGroup& first = groups_[members[0]];
  const Sensitivity& sensitivity = SensitivityOf(first, neighboring);
  if (sensitivity.l2 / epsilon > kLargestScale || sensitivity.l1 / epsilon > kLargestScale) return TooSmall();
  if (first.shape != GroupShape::kDisk) {
    if (members.size() != 1 && first.ball == 0) {
      return absl::InvalidArgumentError("only disks, and parts of one ball, may share a block of noise");
    }
    if (first.shape == GroupShape::kBall) {
      size_t coordinates = 0;
      for (size_t g : members) coordinates += groups_[g].count;
      DPKDE_ASSIGN_OR_RETURN(const BallNoise ball, BallNoise::Create(coordinates, sensitivity.l2, epsilon));
      for (size_t g : members) variances_[g] = ball.Variance();
      blocks_.push_back({std::move(members), ball});
    } else {
      DPKDE_ASSIGN_OR_RETURN(const DiscreteLaplace laplace,
                             DiscreteLaplace::Create(std::max<uint64_t>(
                                 1, static_cast<uint64_t>(std::ceil(sensitivity.l1 / epsilon * (1 + 1e-12))))));
      variances_[members[0]] = laplace.Variance();
      blocks_.push_back({std::move(members), laplace});
    }
    return absl::OkStatus();
  }
  // Disks of one radius, and possibly one coordinate more, the last.
  const CoordinateGroup& last = groups_[members.back()];
  const bool joint = last.shape == GroupShape::kCross && last.count == 1;
  const size_t disks = members.size() - (joint ? 1 : 0);
  for (size_t k = 0; k < disks; ++k) {
    const CoordinateGroup& group = groups_[members[k]];
    if (group.shape != GroupShape::kDisk || group.count != 2 ||
        SensitivityOf(group, neighboring).l2 != sensitivity.l2) {
      return absl::InvalidArgumentError("only disks of one radius may share a block of noise");
    }
  }
  const absl::StatusOr<DiskProductNoise> noise =
      joint ? DiskProductNoise::CreateWithCount(disks, sensitivity.l2, SensitivityOf(last, neighboring).l1, epsilon)
            : DiskProductNoise::Create(disks, sensitivity.l2, epsilon);
  DPKDE_RETURN_IF_ERROR(noise.status());
  for (size_t k = 0; k < disks; ++k) variances_[members[k]] = noise->PairVariance();
  if (joint) variances_[members.back()] = noise->CountVariance();
  blocks_.push_back({std::move(members), *noise});
  return absl::OkStatus();
}

absl::Status Mechanism::CheckGuarantee(const PrivacySpec& privacy) const {
  if (privacy.rho().has_value()) {
    if (guarantee_.rho <= *privacy.rho()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("noise scales guarantee rho = ", guarantee_.rho, " only, which is more than was stated"));
  }
  if (guarantee_.epsilon <= privacy.epsilon() && guarantee_.delta <= privacy.delta().value_or(0)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("noise scales guarantee epsilon = ", guarantee_.epsilon, ", delta = ",
                                                 guarantee_.delta, " only, which is more than was stated"));
}

double Mechanism::PredictedVariance() const {
  double variance = 0;
  for (size_t g = 0; g < groups_.size(); ++g) variance += groups_[g].mean_square_weight * variances_[g];
  return variance;
}

void Mechanism::AddNoise(absl::Span<int64_t> values, BitSource& source) const {
  for (const Block& block : blocks_) {
    if (const auto* disks = std::get_if<DiskProductNoise>(&block.noise)) {
      AddDiskNoise(*disks, block.groups, values, source);
      continue;
    }
    const CoordinateGroup& group = groups_[block.groups[0]];
    const auto add = [&](const auto& sampler) {
      if (group.stride == 1) return sampler.AddTo(values.subspan(group.first, group.count), source);
      for (size_t j = 0; j < group.count; ++j) {
        sampler.AddTo(values.subspan(group.first + j * group.stride, 1), source);
      }
    };
    if (const auto* laplace = std::get_if<DiscreteLaplace>(&block.noise)) {
      add(*laplace);
    } else if (const auto* gaussian = std::get_if<DiscreteGaussian>(&block.noise)) {
      add(*gaussian);
    } else {
      AddBallNoise(std::get<BallNoise>(block.noise), block.groups, values, source);
    }
  }
}

void Mechanism::AddDiskNoise(const DiskProductNoise& noise, const std::vector<size_t>& members,
                             absl::Span<int64_t> values, BitSource& source) const {
  const size_t pairs = noise.pairs();
  PrivateVector<int64_t> cosines(pairs), sines(pairs);
  for (size_t k = 0; k < pairs; ++k) {
    const CoordinateGroup& group = groups_[members[k]];
    cosines[k] = values[group.first];
    sines[k] = values[group.first + group.stride];
  }
  if (noise.has_count()) {
    noise.AddTo(absl::MakeSpan(cosines), absl::MakeSpan(sines), values[groups_[members.back()].first], source);
  } else {
    noise.AddTo(absl::MakeSpan(cosines), absl::MakeSpan(sines), source);
  }
  for (size_t k = 0; k < pairs; ++k) {
    const CoordinateGroup& group = groups_[members[k]];
    values[group.first] = cosines[k];
    values[group.first + group.stride] = sines[k];
  }
}

void Mechanism::AddBallNoise(const BallNoise& noise, const std::vector<size_t>& members, absl::Span<int64_t> values,
                             BitSource& source) const {
  PrivateVector<int64_t> gathered;
  gathered.reserve(noise.dimension());
  const auto for_each = [&](const auto& visit) {
    for (size_t g : members) {
      for (size_t j = 0; j < groups_[g].count; ++j) visit(values[groups_[g].first + j * groups_[g].stride]);
    }
  };
  for_each([&](int64_t& value) { gathered.push_back(value); });
  noise.AddTo(absl::MakeSpan(gathered), source);
  size_t next = 0;
  for_each([&](int64_t& value) { value = gathered[next++]; });
}

std::string Mechanism::SamplerName() const {
  switch (kind_) {
    case proto::LAPLACE:
      return "exact discrete Laplace (Canonne, Kamath, Steinke 2020)";
    case proto::GAUSSIAN:
      return "exact discrete Gaussian (Canonne, Kamath, Steinke 2020)";
    default:
      return "exact rounded K-norm (Hardt, Talwar 2010), by lazy refinement";
  }
}

}  // namespace dpkde
