#include "dpkde/sketch/release_parts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/version.h"
#include "dpkde/designs/design_factory.h"

namespace dpkde {

absl::StatusOr<PlanParts> BuildPlan(const proto::ReleasePlan& plan) {
  DPKDE_ASSIGN_OR_RETURN(Similarity similarity, Similarity::Create(plan.similarity()));
  absl::optional<Domain> domain;
  if (plan.has_domain()) {
    DPKDE_ASSIGN_OR_RETURN(domain, Domain::FromProto(plan.domain()));
  }
  DPKDE_ASSIGN_OR_RETURN(PrivacySpec privacy, PrivacySpec::FromProto(plan.privacy()));
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", plan.dimension(), 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("capacity", plan.capacity(), 1, int64_t{1} << 40));
  if (plan.has_planning_count()) {
    DPKDE_RETURN_IF_ERROR(CheckPositive("epsilon of the planning count", plan.planning_count().epsilon()));
  }
  DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<Design> design,
                         CreateDesign(similarity, plan.dimension(), domain, plan.design()));
  std::vector<CoordinateGroup> groups = design->groups();
  if (plan.has_weights()) {
    DPKDE_RETURN_IF_ERROR(CheckPositive("weight bound", plan.weights().bound()));
    if (plan.weights().allow_negative() && plan.design().has_landmark()) {
      return absl::InvalidArgumentError("the landmark design needs weights of one sign: its error bounds assume it");
    }
    groups = WeightedGroups(std::move(groups), plan.weights().allow_negative());
  }
  return PlanParts{std::move(similarity), std::move(domain), privacy, std::move(design), std::move(groups)};
}

proto::Certificate MakeCertificate(const proto::ReleasePlan& plan, const std::vector<CoordinateGroup>& groups,
                                   const Mechanism& mechanism) {
  const NoiseGuarantee& guarantee = mechanism.guarantee();
  proto::Certificate certificate;
  double epsilon = guarantee.epsilon;
  if (plan.has_planning_count()) {
    epsilon = std::nextafter(epsilon + plan.planning_count().epsilon(), std::numeric_limits<double>::infinity());
  }
  if (plan.privacy().has_rho()) {
    const double counted = plan.planning_count().epsilon();
    certificate.set_rho_spent(
        std::nextafter((guarantee.rho + counted * counted / 2) * (1 + 1e-15), std::numeric_limits<double>::infinity()));
  }
  // Gaussian noise has an epsilon only together with a delta.
  if (guarantee.epsilon > 0) certificate.set_epsilon_spent(epsilon);
  certificate.set_delta_spent(guarantee.delta);
  certificate.set_sampler_delta(guarantee.sampler_delta);
  certificate.set_neighboring(plan.privacy().neighboring());
  certificate.set_unit_of_privacy(
      plan.privacy().has_rho() ? "one row of the input; a person who owns k rows is protected at k^2 times rho"
                               : "one row of the input; a person who owns k rows is protected at k times epsilon");
  certificate.set_sampler(mechanism.SamplerName());
  uint64_t l1 = 0;
  double l2_square = 0;
  std::map<uint32_t, size_t> coordinates_of_ball;
  for (const CoordinateGroup& group : groups) {
    const Sensitivity& sensitivity =
        plan.privacy().neighboring() == proto::ADD_REMOVE ? group.add_remove : group.replace;
    if (group.shape == GroupShape::kBall && group.ball != 0) {
      size_t& coordinates = coordinates_of_ball[group.ball];
      if (coordinates == 0) l2_square += static_cast<double>(sensitivity.l2) * sensitivity.l2;
      l1 += static_cast<uint64_t>(
          std::ceil((std::sqrt(coordinates + group.count) - std::sqrt(coordinates)) * sensitivity.l2));
      coordinates += group.count;
      continue;
    }
    l1 += sensitivity.l1;
    l2_square += static_cast<double>(sensitivity.l2) * sensitivity.l2;
  }
  certificate.set_l1_sensitivity(l1);
  certificate.set_l2_sensitivity(std::nextafter(std::sqrt(l2_square), std::numeric_limits<double>::infinity()));
  certificate.set_grid_bits(kGridBits);
  certificate.set_mu(guarantee.mu);
  certificate.set_program_version(kDpkdeVersion);
  if (plan.design().has_lsq_rff() || plan.design().has_lsq_fgt() || plan.design().has_exponential_sum()) {
    certificate.set_note(
        "follows a published mechanism; its authors' code divides by the exact number of records, which is released "
        "with noise here, or public under replace");
  }
  return certificate;
}

}  // namespace dpkde
