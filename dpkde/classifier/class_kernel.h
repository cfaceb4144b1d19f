#ifndef DPKDE_CLASSIFIER_CLASS_KERNEL_H_
#define DPKDE_CLASSIFIER_CLASS_KERNEL_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/designs/design.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/proto/classifier.pb.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"
#include "dpkde/sketch/release_parts.h"

namespace dpkde {

// The domain of a class's design: the unit ball for unit rows, else the classifier's own. kInvalidArgument if that has
// not `dimension` coordinates.
absl::StatusOr<absl::optional<Domain>> ClassKernelDomain(bool unit_rows, size_t dimension,
                                                         const absl::optional<Domain>& domain);

// Where a record or query stands for the design: moved into the classifier's domain and, for unit rows, to length 1;
// out: `dimension` values in ClassKernelDomain. One with a value that is not finite comes to its centre (without a
// domain: the origin). Pure: a function of x and the public plan.
void PlaceInKernelDomain(const float* x, bool unit_rows, const absl::optional<Domain>& domain,
                         const absl::optional<Domain>& kernel_domain, size_t dimension, float* out);

// The density release that a KERNEL classifier makes of each class: one design for all, since classes are compared.
//
//   DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<ClassKernel> kernel, ClassKernel::Create(plan, domain, step));
//   kernel->Place(row, placed);
//   kernel->design().Accumulate(placed_rows_of_one_class, sums_of_that_class);
//
// Immutable; thread-safe.
class ClassKernel {
 public:
  // `step`: what a class's release may spend, ADD_REMOVE. kInvalidArgument, naming the field, for a plan that is
  // incomplete or out of range; kFailedPrecondition if random numbers are drawn otherwise here.
  static absl::StatusOr<std::unique_ptr<ClassKernel>> Create(const proto::ClassifierPlan& plan,
                                                             const absl::optional<Domain>& domain,
                                                             const PrivacySpec& step);

  // Complete: what Create needs to make an equal one.
  const proto::ClassKernelSpec& spec() const { return spec_; }
  const Design& design() const { return *parts_.design; }
  const Similarity& similarity() const { return parts_.similarity; }
  // What makes a mean a score: -1 for distances.
  double sign() const { return similarity().is_distance() ? -1 : 1; }

  // PlaceInKernelDomain of this plan.
  void Place(const float* x, float* out) const;

 private:
  ClassKernel(proto::ClassKernelSpec spec, absl::optional<Domain> domain, PlanParts parts)
      : spec_(std::move(spec)), domain_(std::move(domain)), parts_(std::move(parts)) {}

  proto::ClassKernelSpec spec_;
  absl::optional<Domain> domain_;  // the classifier's; parts_ has the design's
  PlanParts parts_;
};

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_CLASS_KERNEL_H_
