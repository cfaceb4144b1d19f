#ifndef DPKDE_TOOLS_DENSITY_OPTIONS_H_
#define DPKDE_TOOLS_DENSITY_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/planner/landmark_fit.h"
#include "dpkde/planner/planner.h"
#include "dpkde/similarity/similarity.h"

ABSL_DECLARE_FLAG(std::string, similarity);

namespace dpkde {

// What --similarity and the flags beside it say: which function is summed, and what restricts or helps its planning.
// Fields as in PlanInputs.
struct DensityOptions {
  // A usage error for what is missing, malformed or does not go together, with --reference too.
  static absl::StatusOr<DensityOptions> Parse();

  // Those of its flags that are given.
  static std::vector<std::string> Given();

  // What the certificate lists as asserted to be public.
  std::vector<std::string> AssertedPublic() const;

  Similarity similarity;
  absl::optional<std::string> design = absl::nullopt;
  absl::optional<uint32_t> features = absl::nullopt;
  absl::optional<uint32_t> reduce_to = absl::nullopt;
  absl::optional<double> expected_similarity = absl::nullopt;
  LandmarkChoice landmark_choice = LandmarkChoice::kKMeans;
};

// The table of --dry_run for one n: every candidate, and the choice, the first.
absl::Status PrintDensityPlan(const PlanInputs& inputs, const PlanResult& plan);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_DENSITY_OPTIONS_H_
