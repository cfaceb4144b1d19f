#include "dpkde/tools/build_ledger.h"

#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/file.h"
#include "dpkde/privacy/accountant.h"
#include "dpkde/privacy/budget_ledger.h"
#include "dpkde/privacy/decimal.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/load_release.h"
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

ABSL_FLAG(std::string, mark, "",
          "`RELEASE` that is in its place, but whose entry is pending, since the run that made it could not mark it: "
          "marks the entry. Nothing is spent. Left out: a ledger is declared.");

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

// What a release says of the ledger that paid for it.
struct Payment {
  std::string dataset;
  std::string token;
};

template <typename Loaded>
absl::StatusOr<Payment> PaymentOf(const absl::StatusOr<Loaded>& loaded) {
  DPKDE_RETURN_IF_ERROR(loaded.status());
  return Payment{loaded->plan().ledger_dataset(), loaded->plan().ledger_token()};
}

absl::StatusOr<Payment> PaymentOfFile(const std::string& path) {
  DPKDE_ASSIGN_OR_RETURN(const std::string beginning, ReadBeginning(path, 16));
  if (Classifier::IsClassifier(beginning)) return PaymentOf(LoadClassifier(path));
  if (Histogram::IsHistogram(beginning)) return PaymentOf(LoadHistogram(path));
  return PaymentOf(LoadRelease(path));
}

// Marks the entries of a release that was paid and is in its place, though the run that made it could not mark them.
absl::Status Mark(const std::string& ledger_path, const std::string& release) {
  for (const auto& [name, given] : {std::pair("budget_epsilon", !absl::GetFlag(FLAGS_budget_epsilon).empty()),
                                    std::pair("budget_delta", !absl::GetFlag(FLAGS_budget_delta).empty()),
                                    std::pair("budget_rho", !absl::GetFlag(FLAGS_budget_rho).empty()),
                                    std::pair("composition", !absl::GetFlag(FLAGS_composition).empty()),
                                    std::pair("neighboring", !absl::GetFlag(FLAGS_neighboring).empty())}) {
    if (given) return UsageError(absl::StrCat("--", name, " declares a ledger, and --mark is for one that is declared"));
  }
  DPKDE_ASSIGN_OR_RETURN(const BudgetLedger ledger, BudgetLedger::Read(ledger_path));
  DPKDE_ASSIGN_OR_RETURN(const Payment payment, PaymentOfFile(release));
  const std::string dataset = absl::GetFlag(FLAGS_dataset);
  if (!dataset.empty() && dataset != ledger.dataset()) {
    return UsageError(absl::StrCat("--dataset=", dataset, ", but ", ledger_path, " is the ledger of ", ledger.dataset()));
  }
  if (payment.dataset != ledger.dataset()) {
    return absl::InvalidArgumentError(absl::StrCat(
        release, ": was ", payment.dataset.empty() ? "not paid from any ledger" : "paid from a ledger of ",
        payment.dataset, ", but ", ledger_path, " is of ", ledger.dataset()));
  }
  if (payment.token.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(release, ": was made by a version that did not keep which entry paid for it"));
  }
  DPKDE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(release, kLargestRelease));
  DPKDE_ASSIGN_OR_RETURN(const std::vector<uint64_t> ids,
                         BudgetLedger::MarkReleased(ledger_path, payment.token, Sha256(bytes)));
  if (!absl::GetFlag(FLAGS_quiet)) {
    absl::FPrintF(stderr, "%s: marked as released in %s: %s %s\n", release, ledger_path,
                  ids.size() == 1 ? "entry" : "entries", absl::StrJoin(ids, " and "));
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string path = absl::GetFlag(FLAGS_ledger);
  const std::string dataset = absl::GetFlag(FLAGS_dataset);
  if (path.empty()) return UsageError("--ledger is missing");
  if (const std::string release = absl::GetFlag(FLAGS_mark); !release.empty()) return Mark(path, release);
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
          "--neighboring=add_remove|replace [--composition=RULE] | --ledger=FILE --mark=RELEASE",
          "--ledger=visits.ledger --dataset=visits --budget_epsilon=1 --neighboring=add_remove",
          {{"Required",
            {{"ledger", "`FILE` to make; never replaced, never changed but by releases."},
             {"dataset", "`NAME` by which releases name the dataset: printable ASCII without blanks."},
             "budget_epsilon",
             "neighboring"}},
           {"Privacy", {"budget_delta", "budget_rho", "composition"}},
           {"A release that was paid, but not marked", {"mark"}},
           {"Running", {"threads", "quiet"}}},
          {},
          Run};
}

}  // namespace dpkde
