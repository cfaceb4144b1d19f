#include "dpkde/tools/ledger_entries.h"

#include <cmath>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/privacy/decimal.h"
#include "dpkde/privacy/gaussian_calibration.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/failure_note.h"
#include "dpkde/tools/privacy_options.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {
namespace {

// What a mechanism's noise costs.
absl::StatusOr<PrivacyCost> CostOf(const NoiseGuarantee& guarantee) {
  if (guarantee.mu == 0) {
    DPKDE_ASSIGN_OR_RETURN(const Decimal epsilon, Decimal::UpperBound(guarantee.epsilon));
    return PrivacyCost::Pure(epsilon);
  }
  // rho was rounded up, and so is twice of it.
  DPKDE_ASSIGN_OR_RETURN(const Decimal mu_squared, Decimal::UpperBound(2 * guarantee.rho));
  DPKDE_ASSIGN_OR_RETURN(const Decimal total_variation, Decimal::UpperBound(guarantee.total_variation));
  return PrivacyCost::DiscreteGaussian(mu_squared, total_variation);
}

}  // namespace

absl::Status CheckLedgerFlags() {
  const std::string ledger = absl::GetFlag(FLAGS_ledger), dataset = absl::GetFlag(FLAGS_dataset);
  if (ledger.empty() != dataset.empty()) return UsageError("--ledger and --dataset must be given together");
  return dataset.empty() ? absl::OkStatus() : FlagError(BudgetLedger::CheckDataset(dataset));
}

absl::StatusOr<LedgerEntries> LedgerEntries::Open(const PrivacySpec& privacy, const PrivacySpec& release,
                                                  absl::string_view description,
                                                  absl::optional<proto::Mechanism>& mechanism) {
  LedgerEntries entries;
  entries.path_ = absl::GetFlag(FLAGS_ledger);
  if (entries.path_.empty()) return entries;
  DPKDE_ASSIGN_OR_RETURN(entries.ledger_, BudgetLedger::Read(entries.path_));
  const BudgetLedger& ledger = *entries.ledger_;
  DPKDE_ASSIGN_OR_RETURN(entries.token_, BudgetLedger::NewToken());
  const CompositionRule rule = ledger.budget().rule();
  entries.by_noise_ = (rule == CompositionRule::kGaussian && privacy.allows_gaussian()) ||
                      (rule == CompositionRule::kZcdp && privacy.delta().has_value());
  entries.neighboring_ = privacy.neighboring();
  entries.description_ = std::string(description);
  DPKDE_ASSIGN_OR_RETURN(entries.cost_, PrivacyCost::FromSpec(privacy));
  PrivacyCost expected = *entries.cost_;
  if (entries.by_noise_) {
    if (!mechanism.has_value()) {
      mechanism = proto::GAUSSIAN;
      entries.chose_gaussian_ = true;
    }
    NoiseGuarantee likely;
    if (*mechanism == proto::GAUSSIAN) {
      likely.rho = release.rho().value_or(0);
      if (privacy.delta().has_value()) {
        DPKDE_ASSIGN_OR_RETURN(likely.mu,
                               LargestGaussianMu(release.epsilon(), (1 - kSamplerShare) * *privacy.delta()));
        likely.mu /= 1 + 1e-9;  // Mechanism rounds towards more noise
        likely.rho = likely.mu * likely.mu / 2;
      }
      likely.mu = std::sqrt(2 * likely.rho);
    } else {
      likely.epsilon = release.epsilon();
    }
    DPKDE_ASSIGN_OR_RETURN(const PrivacyCost noise, CostOf(likely));
    std::vector<PrivacyCost> costs = {noise};
    if (release.epsilon() < privacy.epsilon()) {
      NoiseGuarantee count;
      count.epsilon = privacy.WithShare(kPlanningShare).epsilon();
      DPKDE_ASSIGN_OR_RETURN(const PrivacyCost counted, CostOf(count));
      costs.push_back(counted);
    }
    const absl::StatusOr<PrivacyCost> sum = ComposeSequential(rule, costs);
    if (!sum.ok()) return entries.Refusal(sum.status());
    expected = *sum;
  }
  const absl::Status status = ledger.Price(entries.Request(expected, "")).status();
  if (!status.ok()) return entries.Refusal(status);
  return entries;
}

absl::Status LedgerEntries::ReserveCount(double epsilon) {
  if (!by_noise_) return ReserveWhole();
  NoiseGuarantee count;
  count.epsilon = epsilon;
  DPKDE_ASSIGN_OR_RETURN(const PrivacyCost cost, CostOf(count));
  return Reserve(Request(cost, ", count for planning"));
}

absl::Status LedgerEntries::ReserveRelease(const NoiseGuarantee& guarantee) {
  if (!by_noise_) return ReserveWhole();
  DPKDE_ASSIGN_OR_RETURN(const PrivacyCost cost, CostOf(guarantee));
  return Reserve(Request(cost, ""));
}

absl::Status LedgerEntries::MarkReleased(const std::string& bytes) const {
  if (path_.empty()) return absl::OkStatus();
  return BudgetLedger::MarkReleased(path_, token_, Sha256(bytes)).status();
}

std::string LedgerEntries::NoteOfPending() const {
  std::vector<std::string> parts;
  for (const Entry& entry : entries_) {
    parts.push_back(absl::StrCat(entry.charged, parts.empty() ? " stays booked" : "", " as pending entry ", entry.id));
  }
  return parts.empty() ? "" : absl::StrCat(absl::StrJoin(parts, " and "), " of ", path_);
}

std::string LedgerEntries::NoteOfUnmarked(const std::string& output) const {
  if (entries_.empty()) return absl::StrCat("the release is in ", output);
  return absl::StrCat("the release is in ", output, " and is paid, though ", NoteOfPending(),
                      ": 'dpkde_build ledger --ledger=", path_, " --mark=", output, "' marks it as released");
}

ReleaseRequest LedgerEntries::Request(const PrivacyCost& cost, absl::string_view what) const {
  return ReleaseRequest{absl::GetFlag(FLAGS_dataset), cost, neighboring_, absl::StrCat(description_, what), token_};
}

absl::Status LedgerEntries::ReserveWhole() {
  if (path_.empty() || !entries_.empty()) return absl::OkStatus();
  return Reserve(Request(*cost_, ""));
}

absl::Status LedgerEntries::Reserve(const ReleaseRequest& request) {
  const absl::StatusOr<PrivacyCost> charged = ledger_->Price(request);
  const std::string amount = (charged.ok() ? *charged : request.cost).ToString();
  // For whoever interrupts it in between.
  NoteOnFailure(absl::StrCat(NoteOfPending(), entries_.empty() ? "" : "; ", amount, " may be booked in ", path_));
  const absl::StatusOr<uint64_t> id = BudgetLedger::Reserve(path_, request);
  if (id.ok()) {
    entries_.push_back({*id, amount});
  } else if (const auto now = BudgetLedger::Read(path_); now.ok()) {
    // It may have been written nevertheless, such as when its folder could not be synchronized.
    const int count = now->message().entry_size();
    const uint64_t last = count == 0 ? 0 : now->message().entry(count - 1).id();
    const bool known = !entries_.empty() && entries_.back().id == last;
    if (count > 0 && now->message().entry(count - 1).token() == token_ && !known) entries_.push_back({last, amount});
  }
  NoteOnFailure(NoteOfPending());
  return id.ok() ? absl::OkStatus() : Refusal(id.status());
}

absl::Status LedgerEntries::Refusal(const absl::Status& status) const {
  const bool refused = absl::IsResourceExhausted(status) || absl::IsInvalidArgument(status);
  const bool named = absl::StartsWith(status.message(), path_);
  const absl::Status full(status.code(),
                          absl::StrCat(named ? "" : absl::StrCat(path_, ": "), std::string(status.message())));
  return refused ? WithExitCode(full, ExitCode::kPrivacy) : full;
}

}  // namespace dpkde
