#ifndef DPKDE_TOOLS_PRIVACY_OPTIONS_H_
#define DPKDE_TOOLS_PRIVACY_OPTIONS_H_

#include <string>
#include <vector>

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

// What the certificate lists as asserted public, or as a condition, because of these flags, --mechanism, --public_seed
// and --bad_records: among them that all records were well-formed, where a bad one ends the run.
std::vector<std::string> AssertedByPrivacyFlags();

// "delta = 0.5 is above 1/n ..." if it is, for n records; else "". `n` is public, a guess, or noised.
std::string DeltaWarning(const PrivacySpec& privacy, double n);

// Prints it on stderr, unless --quiet is given.
void WarnOfDelta(const PrivacySpec& privacy, double n);

// "epsilon = 1, delta = 0" or "rho = 0.1".
std::string Spent(const proto::Certificate& certificate);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_PRIVACY_OPTIONS_H_
