#ifndef DPKDE_SKETCH_RELEASE_PARTS_H_
#define DPKDE_SKETCH_RELEASE_PARTS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/designs/design.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/proto/density.pb.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// A plan turned into the objects it describes, validated. Shared by what builds a release and what loads one.
struct PlanParts {
  Similarity similarity;
  absl::optional<Domain> domain;
  PrivacySpec privacy;
  std::unique_ptr<Design> design;
  // The design's, or those of weighted sums.
  std::vector<CoordinateGroup> groups;
};

// kInvalidArgument, naming the field, for a plan that is incomplete or out of range.
absl::StatusOr<PlanParts> BuildPlan(const proto::ReleasePlan& plan);

// kInvalidArgument unless the origin of a plan is empty or has `dimension` coordinates that are finite in float32.
absl::Status CheckPlanOrigin(const std::vector<double>& origin, size_t dimension);

// What a certificate says of a design that follows a published mechanism; "" for all others.
std::string DesignNote(const proto::DesignSpec& design);

// The certificate of a release by this plan and mechanism: what was consumed, rounded up.
proto::Certificate MakeReleaseCertificate(const proto::ReleasePlan& plan, const std::vector<CoordinateGroup>& groups,
                                          const Mechanism& mechanism);

}  // namespace dpkde

#endif  // DPKDE_SKETCH_RELEASE_PARTS_H_
