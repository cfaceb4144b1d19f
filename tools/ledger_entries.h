#ifndef DPKDE_TOOLS_LEDGER_ENTRIES_H_
#define DPKDE_TOOLS_LEDGER_ENTRIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/privacy/accountant.h"
#include "dpkde/privacy/budget_ledger.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/proto/density.pb.h"

namespace dpkde {

// A usage error unless --ledger and --dataset are given together, and the name is one.
absl::Status CheckLedgerFlags();

// The entries of this release in the ledger of its dataset; nothing without --ledger.
//
// Usually one entry, of the epsilon and delta (or rho) that the user named, for everything that this run draws. In a
// budget that adds up mu^2 or rho, a release with --delta costs what its noise costs there, which is far less than its
// epsilon and delta say, but known only when the release has been planned: then a count for planning is an entry of its
// own, paid before.
class LedgerEntries {
 public:
  // Reads the ledger and asks whether the budget would suffice now, before the data are read; spends nothing.
  // `privacy`: what the user asked for; `release`: what is left of it when a count for planning is paid, the same
  // without one. Where Gaussian noise is what makes a release cheap in this budget, `mechanism` is set to it unless the
  // user chose another.
  static absl::StatusOr<LedgerEntries> Open(const PrivacySpec& privacy, const PrivacySpec& release,
                                            absl::string_view description, absl::optional<proto::Mechanism>& mechanism);

  // Both to be called before the first word of noise is drawn: from then on the cost counts as spent, and whatever
  // fails, the error says so (NoteOnFailure).
  absl::Status ReserveCount(double epsilon);
  absl::Status ReserveRelease(const NoiseGuarantee& guarantee);

  // Whether the budget's rule decided for Gaussian noise.
  bool chose_gaussian() const { return chose_gaussian_; }

  // What the release bears to be found in the ledger (ReleasePlan.ledger_token); "" without one.
  const std::string& token() const { return token_; }

  absl::Status MarkReleased(const std::string& bytes) const;

  // What an error has to say once the release is in its place, but its entries are not marked.
  std::string NoteOfUnmarked(const std::string& output) const;

 private:
  ReleaseRequest Request(const PrivacyCost& cost, absl::string_view what) const;
  // One entry pays for the count and for the release.
  absl::Status ReserveWhole();
  absl::Status Reserve(const ReleaseRequest& request);
  absl::Status Refusal(const absl::Status& status) const;
  // "epsilon = 1 stays booked as pending entry 2 of visits.ledger".
  std::string NoteOfPending() const;

  std::string path_;
  bool by_noise_ = false;
  bool chose_gaussian_ = false;
  Neighboring neighboring_ = Neighboring::kAddRemove;
  std::string description_;
  absl::optional<PrivacyCost> cost_;
  std::string token_;
  absl::optional<BudgetLedger> ledger_;  // as it was before
  struct Entry {
    uint64_t id;
    std::string charged;
  };
  std::vector<Entry> entries_;
};

}  // namespace dpkde

#endif  // DPKDE_TOOLS_LEDGER_ENTRIES_H_
