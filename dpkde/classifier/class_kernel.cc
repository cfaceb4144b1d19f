#include "dpkde/classifier/class_kernel.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/classifier/class_features.h"

namespace dpkde {

absl::StatusOr<absl::optional<Domain>> ClassKernelDomain(bool unit_rows, size_t dimension,
                                                         const absl::optional<Domain>& domain) {
  if (domain.has_value() && domain->dimension() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have ", dimension, " coordinates, but has ", domain->dimension()));
  }
  if (!unit_rows) return domain;
  DPKDE_ASSIGN_OR_RETURN(const Domain ball, Domain::Ball(std::vector<double>(dimension, 0.0), 1));
  return absl::optional<Domain>(ball);
}

void PlaceInKernelDomain(const float* x, bool unit_rows, const absl::optional<Domain>& domain,
                         const absl::optional<Domain>& kernel_domain, size_t dimension, float* out) {
  if (unit_rows) {
    ScaleRecord(x, dimension, true, domain, out);
  } else if (std::all_of(x, x + dimension, [](float value) { return std::isfinite(value); })) {
    std::copy(x, x + dimension, out);
  } else {
    for (size_t i = 0; i < dimension; ++i) {
      out[i] = kernel_domain.has_value() ? static_cast<float>(kernel_domain->center(i)) : 0.0f;
    }
  }
  // A length of 1 may be rounded up.
  if (kernel_domain.has_value()) kernel_domain->Clamp(out, out);
}

absl::StatusOr<std::unique_ptr<ClassKernel>> ClassKernel::Create(const proto::ClassifierPlan& plan,
                                                                 const absl::optional<Domain>& domain,
                                                                 const PrivacySpec& step) {
  proto::ClassKernelSpec spec = plan.kernel();
  proto::ReleasePlan release;
  *release.mutable_similarity() = spec.similarity();
  *release.mutable_design() = spec.design();
  release.set_dimension(plan.dimension());
  DPKDE_ASSIGN_OR_RETURN(const absl::optional<Domain> own,
                         ClassKernelDomain(spec.unit_rows(), plan.dimension(), domain));
  if (own.has_value()) {
    *release.mutable_domain() = own->ToProto();
    *release.mutable_origin() = {own->origin().begin(), own->origin().end()};
  } else {
    *release.mutable_origin() = plan.origin();
  }
  release.set_mechanism(plan.mechanism());
  *release.mutable_privacy() = step.ToProto();
  release.set_capacity(plan.capacity());
  DPKDE_ASSIGN_OR_RETURN(PlanParts parts, BuildPlan(release));
  *spec.mutable_design() = parts.design->spec();
  return std::unique_ptr<ClassKernel>(new ClassKernel(std::move(spec), domain, std::move(parts)));
}

void ClassKernel::Place(const float* x, float* out) const {
  PlaceInKernelDomain(x, spec_.unit_rows(), domain_, parts_.domain, design().dimension(), out);
}

}  // namespace dpkde
