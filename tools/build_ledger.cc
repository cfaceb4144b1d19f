#include "dpkde/tools/build_ledger.h"

#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/privacy/accountant.h"
#include "dpkde/privacy/budget_ledger.h"
#include "dpkde/privacy/decimal.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/shared_flags.h"

// In text, since budgets are exact decimals.
ABSL_FLAG(std::string, budget_epsilon, "",
          "`DECIMAL`, > 0: what all releases may spend together, exactly. Required unless --budget_rho is given.");
ABSL_FLAG(std::string, budget_delta, "", "`DECIMAL` in (0, 1), likewise. Left out: none.");
ABSL_FLAG(std::string, budget_rho, "",
          "`DECIMAL`, > 0: what all releases may spend together in zero-concentrated differential privacy; instead of "
          "the others.");
ABSL_FLAG(
    std::string, composition, "",
    "`RULE` by which costs add up, for ever: pure (epsilon; the default for --budget_epsilon alone), epsilon_delta "
    "(epsilon and "
    "delta; the default with --budget_delta), gaussian (mu^2; for Gaussian noise, tightest), zcdp (rho; the default "
    "for --budget_rho).");

namespace dpkde {
namespace {

// A usage error unless the flag holds a number or nothing.
absl::Status CheckNumber(const char* flag, const std::string& text) {
  double ignored;
  if (text.empty() || absl::SimpleAtod(text, &ignored)) return absl::OkStatus();
  return UsageError(absl::StrCat("malformed value '", text, "' of flag --", flag));
}

// nullopt if the flag was not given.
absl::StatusOr<absl::optional<Decimal>> ParseAmount(const char* flag, const std::string& text) {
  if (text.empty()) return absl::optional<Decimal>();
  const absl::StatusOr<Decimal> amount = Decimal::Parse(text);
  if (!amount.ok()) return PrivacyError(absl::StrCat("--", flag, " ", std::string(amount.status().message())));
  return absl::optional<Decimal>(*amount);
}

absl::StatusOr<CompositionRule> ParseRule() {
  const std::string composition = absl::GetFlag(FLAGS_composition);
  if (!composition.empty()) {
    DPKDE_RETURN_IF_ERROR(CheckChoice("composition", composition, {"pure", "zcdp", "gaussian", "epsilon_delta"}));
    return CompositionRuleFromName(composition);
  }
  if (!absl::GetFlag(FLAGS_budget_rho).empty()) return CompositionRule::kZcdp;
  return absl::GetFlag(FLAGS_budget_delta).empty() ? CompositionRule::kPure : CompositionRule::kEpsilonDelta;
}

absl::StatusOr<PrivacyBudget> ParseBudget(CompositionRule rule) {
  DPKDE_ASSIGN_OR_RETURN(const auto epsilon, ParseAmount("budget_epsilon", absl::GetFlag(FLAGS_budget_epsilon)));
  DPKDE_ASSIGN_OR_RETURN(const auto delta, ParseAmount("budget_delta", absl::GetFlag(FLAGS_budget_delta)));
  DPKDE_ASSIGN_OR_RETURN(const auto rho, ParseAmount("budget_rho", absl::GetFlag(FLAGS_budget_rho)));
  if (!epsilon.has_value() && !rho.has_value()) {
    return PrivacyError(
        "--budget_epsilon (or --budget_rho) is missing: it is the promise made to the people in the data for all "
        "releases together, so there is no default");
  }
  const absl::StatusOr<PrivacyBudget> budget = PrivacyBudget::Create(rule, epsilon, delta, rho);
  if (!budget.ok()) return PrivacyError(absl::StrCat("--budget_", std::string(budget.status().message())));
  return budget;
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string path = absl::GetFlag(FLAGS_ledger);
  const std::string dataset = absl::GetFlag(FLAGS_dataset);
  if (path.empty()) return UsageError("--ledger is missing");
  if (dataset.empty()) return UsageError("--dataset is missing");
  DPKDE_RETURN_IF_ERROR(WithExitCode(BudgetLedger::CheckDataset(dataset), ExitCode::kUsage));
  DPKDE_ASSIGN_OR_RETURN(const CompositionRule rule, ParseRule());
  DPKDE_RETURN_IF_ERROR(CheckNumber("budget_epsilon", absl::GetFlag(FLAGS_budget_epsilon)));
  DPKDE_RETURN_IF_ERROR(CheckNumber("budget_delta", absl::GetFlag(FLAGS_budget_delta)));
  DPKDE_RETURN_IF_ERROR(CheckNumber("budget_rho", absl::GetFlag(FLAGS_budget_rho)));
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, error))) {
    return UsageError(absl::StrCat("--ledger=", path, " already exists; a declared budget is never changed"));
  }

  DPKDE_ASSIGN_OR_RETURN(const PrivacyBudget budget, ParseBudget(rule));
  DPKDE_ASSIGN_OR_RETURN(
      const Neighboring neighboring,
      ParseNeighboring(
          "a budget under add_remove hides how many records there are, one under replace lets releases make "
          "their number public"));
  const absl::Status declared = BudgetLedger::Declare(path, dataset, budget, neighboring);
  // The path names no file.
  if (declared.code() == absl::StatusCode::kInvalidArgument) return WithExitCode(declared, ExitCode::kUsage);
  DPKDE_RETURN_IF_ERROR(declared);
  DPKDE_ASSIGN_OR_RETURN(const BudgetLedger ledger, BudgetLedger::Read(path));
  if (!absl::GetFlag(FLAGS_quiet)) absl::FPrintF(stderr, "%s", ledger.DebugString());
  return absl::OkStatus();
}

}  // namespace

Subcommand BuildLedgerSubcommand() {
  return {"ledger",
          "Declares the privacy budget of a dataset: what all releases from it may spend together, once and for ever.",
          "--ledger=FILE --dataset=NAME (--budget_epsilon=DECIMAL [--budget_delta=DECIMAL] | --budget_rho=DECIMAL) "
          "--neighboring=add_remove|replace [--composition=RULE]",
          "--ledger=visits.ledger --dataset=visits --budget_epsilon=1 --neighboring=add_remove",
          {{"Required",
            {{"ledger", "`FILE` to make; never replaced, never changed but by releases."},
             {"dataset", "`NAME` by which releases name the dataset: printable ASCII without blanks."},
             "budget_epsilon",
             "neighboring"}},
           {"Privacy", {"budget_delta", "budget_rho", "composition"}},
           {"Running", {"threads", "quiet"}}},
          {},
          Run};
}

}  // namespace dpkde
