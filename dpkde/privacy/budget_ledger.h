#ifndef DPKDE_PRIVACY_BUDGET_LEDGER_H_
#define DPKDE_PRIVACY_BUDGET_LEDGER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/sha256.h"
#include "dpkde/privacy/accountant.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/proto/ledger.pb.h"

namespace dpkde {

// A release that is about to be made.
struct ReleaseRequest {
  // Must be the ledger's: a release of one dataset is not paid from the budget of another.
  std::string dataset;
  // What the release itself guarantees.
  PrivacyCost cost;
  Neighboring neighboring;
  // For the reader of the ledger: printable ASCII, at most 500 characters. Must not depend on the records.
  std::string description;
  // What the release itself bears (ReleasePlan.ledger_token), from NewToken(); empty: its file cannot be found to be
  // this entry's. Must not depend on the records.
  std::string token = {};
  // The day that the entry bears, such as "2026-11-28"; empty: today, in UTC.
  std::string day = {};
};

// A file with the privacy budget of one dataset and every release that was paid from it.
//
//   DPKDE_RETURN_IF_ERROR(BudgetLedger::Declare(path, "visits", budget, Neighboring::kAddRemove));      // once
//
//   DPKDE_ASSIGN_OR_RETURN(uint64_t id, BudgetLedger::Reserve(path, {"visits", cost, relation, "density of visits"}));
//   ... only now draw noise, and write the release ...
//   DPKDE_RETURN_IF_ERROR(BudgetLedger::MarkReleased(path, id, Sha256(bytes)));
//
// Guarantee: the costs of all entries, composed by the rule of the budget and rounded up, never exceed the budget.
// * An entry is on the disk before Reserve() returns, and is never removed. Whether its release was made, failed or was
//   killed, it counts as spent for ever: nobody can know what was seen. Noise may be drawn once for an entry.
// * Changes take an exclusive lock (flock) on the file and replace it whole. Processes and threads that share a ledger
//   exclude each other, and one that is killed between any two system calls leaves the file as it was or as it was to
//   be, and the lock free.
// * An ADD_REMOVE release may be paid from a REPLACE budget, where it counts over two steps, see
//   PrivacyCost::OverTwoSteps. The reverse is refused: a REPLACE release makes the number of records public.
//
// Not to be relied on: the ledger counts what is told to it. A copy of the file, or a second ledger of the same
// records, is another budget; so is one dataset's overlap with another. The checksum is against accidents, not against
// forgers. On network file systems the lock is as good as theirs.
//
// The file belongs to one user (mode 0600). Symbolic links to it are followed; a file with a second hard link is
// refused, since replacing it would leave two ledgers. A snapshot (Read) is immutable and thread-safe. Changes cost
// O(entries): 10 ms for the disk and 3 ms a thousand entries were measured.
class BudgetLedger {
 public:
  // kInvalidArgument unless `dataset` has 1 to 200 printable ASCII characters without blanks.
  static absl::Status CheckDataset(const std::string& dataset);

  // Creates the file. A declared budget is never changed: kAlreadyExists if there is something at `path`. Otherwise
  // as CheckDataset(), or kUnavailable if the operating system fails.
  static absl::Status Declare(const std::string& path, const std::string& dataset, const PrivacyBudget& budget,
                              Neighboring neighboring);

  // Writes a pending entry durably and returns its id. Refuses as Price(), otherwise as Read(). Any error means that
  // noise must not be drawn, though an entry may have been written.
  static absl::StatusOr<uint64_t> Reserve(const std::string& path, const ReleaseRequest& request);

  // Marks the entry as released, after the file of the release is in its place. kInvalidArgument if there is no such
  // entry or it is marked already. Otherwise as Read().
  static absl::Status MarkReleased(const std::string& path, uint64_t id, const Sha256Digest& released_file);

  // The same for all entries with the token of a release that is in its place; returns them. Those that are marked with
  // this digest stay so. kInvalidArgument if there is none, or one is marked with another.
  static absl::StatusOr<std::vector<uint64_t>> MarkReleased(const std::string& path, const std::string& token,
                                                            const Sha256Digest& released_file);

  // A token that no other release has: 128 bits from the system, in hexadecimal.
  static absl::StatusOr<std::string> NewToken();

  // kNotFound if there is no file; kDataLoss for damaged or foreign bytes; kFailedPrecondition for a newer version;
  // kUnavailable if the operating system fails. Needs no lock: the file is replaced whole.
  static absl::StatusOr<BudgetLedger> Read(const std::string& path);

  // Loading is building: every name, number and unit is checked.
  static absl::StatusOr<BudgetLedger> Deserialize(absl::string_view file_bytes);
  std::string Serialize() const;

  // Whether the bytes begin like a ledger, damaged or not.
  static bool IsLedger(absl::string_view file_bytes);

  // What Reserve() would charge now, in the unit of the budget. kResourceExhausted, saying what is left, if the budget
  // does not suffice; kInvalidArgument for another dataset, a REPLACE release under an ADD_REMOVE budget, a cost that
  // the budget's rule cannot take, or a description that is not printable. Promises nothing: others may spend, too.
  absl::StatusOr<PrivacyCost> Price(const ReleaseRequest& request) const;

  const std::string& dataset() const { return message_.dataset(); }
  const PrivacyBudget& budget() const { return budget_; }
  Neighboring neighboring() const { return neighboring_; }
  // Sum of all entries in the unit of the budget; pending ones count.
  const PrivacyCost& spent() const { return spent_; }
  PrivacyCost Remaining() const { return budget_.Remaining(spent_); }
  const proto::Ledger& message() const { return message_; }

  // The ledger with spent and remaining sums, to be printed.
  proto::LedgerReport Report() const;
  // The same for a terminal.
  std::string DebugString() const;

  // A file is at most this long: half a million entries.
  static constexpr uint64_t kLargestFile = uint64_t{1} << 26;
  static constexpr uint32_t kVersion = 1;

 private:
  BudgetLedger(proto::Ledger message, const PrivacyBudget& budget, Neighboring neighboring)
      : message_(std::move(message)),
        budget_(budget),
        neighboring_(neighboring),
        spent_(PrivacyCost::Zero(budget.rule())) {}

  static absl::StatusOr<BudgetLedger> FromProto(proto::Ledger message);

  absl::StatusOr<PrivacyCost> Charge(const PrivacyCost& cost, Neighboring neighboring) const;
  absl::Status AddEntry(const ReleaseRequest& request);

  proto::Ledger message_;
  PrivacyBudget budget_;
  Neighboring neighboring_;
  PrivacyCost spent_;
};

}  // namespace dpkde

#endif  // DPKDE_PRIVACY_BUDGET_LEDGER_H_
