#include "dpkde/tools/privacy_options.h"

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

ABSL_FLAG(absl::optional<double>, epsilon, absl::nullopt,
          "Privacy parameter, > 0. Required unless --rho is given; there is no default.");
ABSL_FLAG(absl::optional<double>, delta, absl::nullopt,
          "In (0, 1): allows Gaussian noise. Left out: pure epsilon-differential privacy.");
ABSL_FLAG(
    absl::optional<double>, rho, absl::nullopt,
    "Zero-concentrated differential privacy, > 0; instead of --epsilon and --delta. Allows Gaussian noise, and pure "
    "noise of epsilon = sqrt(2 rho).");
ABSL_FLAG(
    absl::optional<double>, expected_n, absl::nullopt,
    "Public guess of the number of records, for planning. Left out under add_remove: 1 % of epsilon pays for a noised "
    "count. Not taken under replace, where the number is public.");

namespace dpkde {

bool NeedsCount(const PrivacySpec& privacy) {
  return privacy.neighboring() == Neighboring::kAddRemove && !absl::GetFlag(FLAGS_expected_n).has_value();
}

absl::Status CheckExpectedN(bool dry_run) {
  const absl::optional<double> n = absl::GetFlag(FLAGS_expected_n);
  if (!n.has_value()) return absl::OkStatus();
  DPKDE_RETURN_IF_ERROR(FlagError(CheckPositive("--expected_n", *n)));
  if (absl::GetFlag(FLAGS_neighboring) == "replace" && !dry_run) {
    return UsageError("--expected_n is not taken under replace, where the number of records is public");
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::optional<proto::Mechanism>> ParseMechanism() {
  const std::string mechanism = absl::GetFlag(FLAGS_mechanism);
  DPKDE_RETURN_IF_ERROR(CheckChoice("mechanism", mechanism, {"auto", "laplace", "knorm", "gaussian"}));
  if (mechanism == "auto") return absl::optional<proto::Mechanism>();
  return absl::optional<proto::Mechanism>(mechanism == "laplace" ? proto::LAPLACE
                                          : mechanism == "knorm" ? proto::KNORM
                                                                 : proto::GAUSSIAN);
}

absl::StatusOr<PrivacySpec> ParsePrivacy(const absl::optional<proto::Mechanism>& mechanism) {
  const absl::optional<double> epsilon = absl::GetFlag(FLAGS_epsilon);
  const absl::optional<double> delta = absl::GetFlag(FLAGS_delta);
  const absl::optional<double> rho = absl::GetFlag(FLAGS_rho);
  if (!epsilon.has_value() && !rho.has_value()) {
    return PrivacyError(
        "--epsilon is missing (or --rho): it is the promise made to the people in the data, so there is no default");
  }
  if (rho.has_value() && (epsilon.has_value() || delta.has_value())) {
    return PrivacyError("--rho stands alone: it is not taken with --epsilon or --delta");
  }
  DPKDE_ASSIGN_OR_RETURN(
      const Neighboring relation,
      ParseNeighboring("add_remove hides how many records there are, replace makes their number public"));
  const absl::StatusOr<PrivacySpec> privacy = rho.has_value()     ? PrivacySpec::Zcdp(*rho, relation)
                                              : delta.has_value() ? PrivacySpec::Approximate(*epsilon, *delta, relation)
                                                                  : PrivacySpec::Pure(*epsilon, relation);
  if (!privacy.ok()) return PrivacyError(absl::StrCat("--", std::string(privacy.status().message())));
  if (mechanism == proto::GAUSSIAN && !privacy->allows_gaussian()) {
    return PrivacyError("--delta is missing (or --rho): gaussian noise cannot be purely epsilon-private");
  }
  return privacy;
}

std::vector<std::string> AssertedByPrivacyFlags() {
  std::vector<std::string> asserted;
  if (absl::GetFlag(FLAGS_expected_n).has_value()) asserted.push_back("expected number of records");
  if (absl::GetFlag(FLAGS_mechanism) != "auto") asserted.push_back("mechanism");
  if (absl::GetFlag(FLAGS_public_seed) != 0) asserted.push_back("public seed");
  asserted.push_back(absl::GetFlag(FLAGS_bad_records) == "fail" ? "all records well-formed (bad_records=fail)"
                                                                : "each bad record replaced (bad_records=replace)");
  return asserted;
}

std::string DeltaWarning(const PrivacySpec& privacy, double n) {
  const double delta = privacy.delta().value_or(0);
  if (delta * n <= 1) return "";
  return absl::StrFormat(
      "delta = %.4g is above 1/n for %.4g records: publishing a record drawn at random would meet it; choose a delta "
      "far "
      "below 1/n",
      delta, n);
}

void WarnOfDelta(const PrivacySpec& privacy, double n) {
  const std::string warning = DeltaWarning(privacy, n);
  if (!warning.empty() && !absl::GetFlag(FLAGS_quiet)) absl::FPrintF(stderr, "warning: %s\n", warning);
}

std::string Spent(const proto::Certificate& certificate) {
  if (certificate.rho_spent() > 0) return absl::StrFormat("rho = %.10g", certificate.rho_spent());
  return absl::StrFormat("epsilon = %.10g, delta = %.4g", certificate.epsilon_spent(), certificate.delta_spent());
}

}  // namespace dpkde
