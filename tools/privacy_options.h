#ifndef DPKDE_TOOLS_PRIVACY_OPTIONS_H_
#define DPKDE_TOOLS_PRIVACY_OPTIONS_H_

#include <string>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/proto/density.pb.h"

ABSL_DECLARE_FLAG(absl::optional<double>, epsilon);
ABSL_DECLARE_FLAG(absl::optional<double>, delta);
ABSL_DECLARE_FLAG(absl::optional<double>, rho);
ABSL_DECLARE_FLAG(absl::optional<double>, expected_n);

namespace dpkde {

// The part of epsilon that a count for planning costs.
inline constexpr double kPlanningShare = 0.01;

// What --epsilon, --delta, --rho and --neighboring ask for. A privacy error if one is missing or inadmissible, or if
// `mechanism` needs another.
absl::StatusOr<PrivacySpec> ParsePrivacy(const absl::optional<proto::Mechanism>& mechanism);

// nullopt for --mechanism=auto; a usage error for an unknown one.
absl::StatusOr<absl::optional<proto::Mechanism>> ParseMechanism();

// Under ADD_REMOVE without a public guess (--expected_n), a noised count comes first.
bool NeedsCount(const PrivacySpec& privacy);

// A usage error unless --expected_n is positive and, but for dry runs, hides anything.
absl::Status CheckExpectedN(bool dry_run);

// "epsilon = 1, delta = 0" or "rho = 0.1".
std::string Spent(const proto::Certificate& certificate);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_PRIVACY_OPTIONS_H_
