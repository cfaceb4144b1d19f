#include "dpkde/sketch/release_parts.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/sketch/certificate.h"

namespace dpkde {

absl::Status CheckPlanOrigin(const std::vector<double>& origin, size_t dimension) {
  if (origin.empty()) return absl::OkStatus();
  if (origin.size() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("origin must have ", dimension, " coordinates, but has ", origin.size()));
  }
  for (const double value : origin) DPKDE_RETURN_IF_ERROR(CheckFinite("origin in float32", static_cast<float>(value)));
  return absl::OkStatus();
}

absl::StatusOr<PlanParts> BuildPlan(const proto::ReleasePlan& plan) {
  DPKDE_ASSIGN_OR_RETURN(Similarity similarity, Similarity::Create(plan.similarity()));
  absl::optional<Domain> domain;
  const std::vector<double> origin(plan.origin().begin(), plan.origin().end());
  if (plan.has_domain()) {
    DPKDE_ASSIGN_OR_RETURN(domain, Domain::FromProto(plan.domain(), origin));
  }
  DPKDE_RETURN_IF_ERROR(CheckPlanOrigin(origin, plan.dimension()));
  if (!origin.empty() && !similarity.is_shift_invariant()) {
    return absl::InvalidArgumentError(absl::StrCat(similarity.name(), " is no function of x - y: it has no origin"));
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
    DPKDE_RETURN_IF_ERROR(CheckPositive("weight bound in float32", static_cast<float>(plan.weights().bound())));
    if (plan.weights().allow_negative() && plan.design().has_landmark()) {
      return absl::InvalidArgumentError("the landmark design needs weights of one sign: its error bounds assume it");
    }
    groups = WeightedGroups(std::move(groups), plan.weights().allow_negative());
  }
  return PlanParts{std::move(similarity), std::move(domain), privacy, std::move(design), std::move(groups)};
}

std::string DesignNote(const proto::DesignSpec& design) {
  if (!design.has_lsq_rff() && !design.has_lsq_fgt() && !design.has_exponential_sum()) return "";
  return "follows a published mechanism; its authors' code divides by the exact number of records, which is released "
         "with noise here, or public under replace";
}

proto::Certificate MakeReleaseCertificate(const proto::ReleasePlan& plan, const std::vector<CoordinateGroup>& groups,
                                          const Mechanism& mechanism) {
  proto::Certificate certificate = MakeCertificate(plan.privacy(), plan.planning_count().epsilon(), groups, mechanism);
  certificate.set_note(DesignNote(plan.design()));
  return certificate;
}

}  // namespace dpkde
