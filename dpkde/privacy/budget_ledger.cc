#include "dpkde/privacy/budget_ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/civil_time.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"
#include "dpkde/io/parse_message.h"

namespace dpkde {
namespace {

constexpr size_t kLongestDataset = 200;
constexpr size_t kLongestDescription = 500;

// The same error, with the path in front.
absl::Status At(const std::string& path, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(path, ": ", std::string(status.message())));
}

absl::Status SystemError(const std::string& path, const char* phrase, int error_number) {
  const std::string reason = std::generic_category().message(error_number);
  return absl::UnavailableError(absl::StrCat(path, ": ", phrase, ": ", reason));
}

absl::Status CheckDescription(const std::string& description) {
  const bool legible = std::all_of(description.begin(), description.end(), absl::ascii_isprint);
  if (legible && description.size() <= kLongestDescription) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("description must have at most ", kLongestDescription, " printable ASCII characters"));
}

proto::CompositionRule ToProto(CompositionRule rule) {
  switch (rule) {
    case CompositionRule::kPure:
      return proto::PURE;
    case CompositionRule::kZcdp:
      return proto::ZCDP;
    case CompositionRule::kGaussian:
      return proto::GAUSSIAN_MU;
    case CompositionRule::kEpsilonDelta:
      return proto::EPSILON_DELTA;
  }
  return proto::COMPOSITION_RULE_UNSPECIFIED;
}

absl::StatusOr<CompositionRule> FromProto(proto::CompositionRule rule) {
  switch (rule) {
    case proto::PURE:
      return CompositionRule::kPure;
    case proto::ZCDP:
      return CompositionRule::kZcdp;
    case proto::GAUSSIAN_MU:
      return CompositionRule::kGaussian;
    case proto::EPSILON_DELTA:
      return CompositionRule::kEpsilonDelta;
    default:
      return absl::InvalidArgumentError("composition rule is missing or unknown");
  }
}

proto::Neighboring ToProto(Neighboring neighboring) {
  return neighboring == Neighboring::kAddRemove ? proto::ADD_REMOVE : proto::REPLACE;
}

absl::StatusOr<Neighboring> FromProto(proto::Neighboring neighboring) {
  if (neighboring == proto::ADD_REMOVE) return Neighboring::kAddRemove;
  if (neighboring == proto::REPLACE) return Neighboring::kReplace;
  return absl::InvalidArgumentError("neighbouring relation is missing or unknown");
}

proto::PrivacyAmount ToProto(const PrivacyCost& cost) {
  proto::PrivacyAmount amount;
  amount.set_rule(ToProto(cost.rule()));
  switch (cost.rule()) {
    case CompositionRule::kPure:
      amount.set_epsilon(cost.amount().ToString());
      break;
    case CompositionRule::kZcdp:
      amount.set_rho(cost.amount().ToString());
      break;
    case CompositionRule::kGaussian:
      amount.set_mu_squared(cost.amount().ToString());
      amount.set_total_variation(cost.slack().ToString());
      break;
    case CompositionRule::kEpsilonDelta:
      amount.set_epsilon(cost.amount().ToString());
      amount.set_delta(cost.slack().ToString());
      break;
  }
  return amount;
}

absl::StatusOr<PrivacyCost> CostFromProto(const proto::PrivacyAmount& amount) {
  DPKDE_ASSIGN_OR_RETURN(const CompositionRule rule, FromProto(amount.rule()));
  const bool has_epsilon = rule == CompositionRule::kPure || rule == CompositionRule::kEpsilonDelta;
  const std::string& first = has_epsilon                      ? amount.epsilon()
                             : rule == CompositionRule::kZcdp ? amount.rho()
                                                              : amount.mu_squared();
  DPKDE_ASSIGN_OR_RETURN(const Decimal loss, Decimal::Parse(first));
  Decimal slack;
  if (rule == CompositionRule::kGaussian) {
    DPKDE_ASSIGN_OR_RETURN(slack, Decimal::Parse(amount.total_variation()));
  } else if (rule == CompositionRule::kEpsilonDelta) {
    DPKDE_ASSIGN_OR_RETURN(slack, Decimal::Parse(amount.delta()));
  }
  if (loss.IsZero()) return absl::InvalidArgumentError("a release that costs nothing");
  return PrivacyCost::Total(rule, loss, slack);
}

proto::PrivacyAmount ToProto(const PrivacyBudget& budget) {
  proto::PrivacyAmount amount;
  amount.set_rule(ToProto(budget.rule()));
  if (budget.epsilon().has_value()) amount.set_epsilon(budget.epsilon()->ToString());
  if (budget.delta().has_value()) amount.set_delta(budget.delta()->ToString());
  if (budget.rho().has_value()) amount.set_rho(budget.rho()->ToString());
  return amount;
}

absl::StatusOr<PrivacyBudget> BudgetFromProto(const proto::PrivacyAmount& amount) {
  DPKDE_ASSIGN_OR_RETURN(const CompositionRule rule, FromProto(amount.rule()));
  absl::optional<Decimal> epsilon, delta, rho;
  if (amount.has_epsilon()) {
    DPKDE_ASSIGN_OR_RETURN(epsilon, Decimal::Parse(amount.epsilon()));
  }
  if (amount.has_delta()) {
    DPKDE_ASSIGN_OR_RETURN(delta, Decimal::Parse(amount.delta()));
  }
  if (amount.has_rho()) {
    DPKDE_ASSIGN_OR_RETURN(rho, Decimal::Parse(amount.rho()));
  }
  return PrivacyBudget::Create(rule, epsilon, delta, rho);
}

constexpr size_t kDigestDigits = 64;
constexpr size_t kTokenDigits = 32;

bool IsHex(absl::string_view text, size_t digits) {
  return text.size() == digits &&
         std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); });
}

absl::Status CheckToken(const std::string& token) {
  if (token.empty() || IsHex(token, kTokenDigits)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the token must have ", kTokenDigits, " hexadecimal digits"));
}

// "2026-11-28".
absl::Status CheckDay(const std::string& day) {
  absl::CivilDay ignored;
  if (day.empty() || (day.size() == 10 && absl::ParseCivilTime(day, &ignored))) return absl::OkStatus();
  return absl::InvalidArgumentError("the day of an entry must be such as 2026-11-28");
}

// Reads, changes and replaces the ledger at `path` while nobody else does.
absl::Status Change(const std::string& path, const std::function<absl::Status(BudgetLedger&)>& change) {
  // A symbolic link would be replaced itself, and the budget behind it forgotten.
  std::error_code error;
  const std::string file_path = std::filesystem::canonical(path, error);
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
    return absl::NotFoundError(absl::StrCat(path, ": does not exist, so that no budget is declared there"));
  }
  if (error) return SystemError(path, "cannot be found", error.value());

  // The lock is on the file that is replaced, so whoever had to wait for it may hold one that is no longer at the path.
  int file = -1;
  const auto close_file = [&] {
    if (file >= 0) close(file);
    file = -1;
  };
  const absl::Cleanup unlock = close_file;
  while (true) {
    close_file();
    file = open(file_path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return SystemError(path, "cannot be opened for writing", errno);
    int result;
    do {
      result = flock(file, LOCK_EX);
    } while (result != 0 && errno == EINTR);
    if (result != 0) return SystemError(path, "cannot be locked", errno);
    struct stat locked, current;
    if (fstat(file, &locked) != 0) return SystemError(path, "cannot be examined", errno);
    if (lstat(file_path.c_str(), &current) != 0) return SystemError(path, "cannot be examined", errno);
    if (locked.st_dev != current.st_dev || locked.st_ino != current.st_ino) continue;
    if (locked.st_nlink > 1) {
      return absl::UnavailableError(
          absl::StrCat(path, ": has another name (hard link), which would keep the old ledger; remove one of them"));
    }
    break;
  }

  DPKDE_ASSIGN_OR_RETURN(BudgetLedger ledger, BudgetLedger::Read(file_path));
  DPKDE_RETURN_IF_ERROR(At(path, change(ledger)));
  const std::string bytes = ledger.Serialize();
  if (bytes.size() > BudgetLedger::kLargestFile) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": is full; it takes no more entries"));
  }
  return WriteFileAtomically(file_path, bytes, /*overwrite=*/true, FileKind::kLedger);
}

}  // namespace

absl::Status BudgetLedger::CheckDataset(const std::string& dataset) {
  const bool legible = std::all_of(dataset.begin(), dataset.end(), absl::ascii_isgraph);
  if (legible && !dataset.empty() && dataset.size() <= kLongestDataset) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("dataset must have 1 to ", kLongestDataset, " printable ASCII characters without blanks"));
}

absl::Status BudgetLedger::Declare(const std::string& path, const std::string& dataset, const PrivacyBudget& budget,
                                   Neighboring neighboring) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckDataset(dataset));
  proto::Ledger message;
  message.set_dataset(dataset);
  *message.mutable_budget() = ToProto(budget);
  message.set_neighboring(ToProto(neighboring));
  const BudgetLedger ledger(std::move(message), budget, neighboring);
  return WriteFileAtomically(path, ledger.Serialize(), /*overwrite=*/false, FileKind::kLedger);
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<uint64_t> BudgetLedger::Reserve(const std::string& path, const ReleaseRequest& request) try {
  const DefaultFloatEnvironment environment;
  uint64_t id = 0;
  DPKDE_RETURN_IF_ERROR(Change(path, [&](BudgetLedger& ledger) {
    DPKDE_RETURN_IF_ERROR(ledger.AddEntry(request));
    id = ledger.message_.entry_size();
    return absl::OkStatus();
  }));
  return id;
} catch (...) {
  return StatusOfException();
}

absl::Status BudgetLedger::MarkReleased(const std::string& path, uint64_t id, const Sha256Digest& released_file) try {
  const DefaultFloatEnvironment environment;
  return Change(path, [&](BudgetLedger& ledger) {
    const uint64_t count = ledger.message_.entry_size();
    if (id < 1 || id > count) {
      return absl::InvalidArgumentError(absl::StrCat("has no entry ", id, "; entries are 1 to ", count));
    }
    proto::LedgerEntry& entry = *ledger.message_.mutable_entry(static_cast<int>(id - 1));
    if (!entry.released_sha256().empty()) {
      return absl::InvalidArgumentError(absl::StrCat("entry ", id, " is marked as released already"));
    }
    entry.set_released_sha256(HexString(released_file));
    return absl::OkStatus();
  });
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<std::vector<uint64_t>> BudgetLedger::MarkReleased(const std::string& path, const std::string& token,
                                                                 const Sha256Digest& released_file) try {
  const DefaultFloatEnvironment environment;
  const std::string digest = HexString(released_file);
  std::vector<uint64_t> ids;
  DPKDE_RETURN_IF_ERROR(Change(path, [&](BudgetLedger& ledger) {
    for (proto::LedgerEntry& entry : *ledger.message_.mutable_entry()) {
      if (token.empty() || entry.token() != token) continue;
      if (!entry.released_sha256().empty() && entry.released_sha256() != digest) {
        return absl::InvalidArgumentError(
            absl::StrCat("entry ", entry.id(), " is marked as released already, with another file"));
      }
      entry.set_released_sha256(digest);
      ids.push_back(entry.id());
    }
    return ids.empty() ? absl::InvalidArgumentError("no entry of it paid for this release") : absl::OkStatus();
  }));
  return ids;
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<std::string> BudgetLedger::NewToken() {
  uint64_t words[2];
  static_assert(sizeof(words) * 2 == kTokenDigits, "two digits a byte");
  if (getrandom(words, sizeof(words), 0) != sizeof(words)) {
    return absl::UnavailableError("the system gives no random numbers for a token");
  }
  return absl::StrCat(absl::Hex(words[0], absl::kZeroPad16), absl::Hex(words[1], absl::kZeroPad16));
}

absl::StatusOr<BudgetLedger> BudgetLedger::Read(const std::string& path) try {
  const DefaultFloatEnvironment environment;
  absl::StatusOr<std::string> bytes = ReadFile(path, kLargestFile);
  if (bytes.status().code() == absl::StatusCode::kInvalidArgument) {
    return absl::DataLossError(bytes.status().message());  // too large to be one of ours
  }
  DPKDE_RETURN_IF_ERROR(bytes.status());
  absl::StatusOr<BudgetLedger> ledger = Deserialize(*bytes);
  if (!ledger.ok()) return At(path, ledger.status());
  return ledger;
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<BudgetLedger> BudgetLedger::Deserialize(absl::string_view file_bytes) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const Envelope envelope, OpenEnvelope(kLedgerKind, kVersion, file_bytes));
  proto::Ledger message;
  if (!ParseMessage(envelope.payload, &message)) {
    return absl::DataLossError("is damaged: it holds no ledger");
  }
  absl::StatusOr<BudgetLedger> ledger = FromProto(std::move(message));
  if (ledger.ok()) return ledger;
  return absl::DataLossError(absl::StrCat("is damaged: ", std::string(ledger.status().message())));
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<BudgetLedger> BudgetLedger::FromProto(proto::Ledger message) {
  DPKDE_RETURN_IF_ERROR(CheckDataset(message.dataset()));
  DPKDE_ASSIGN_OR_RETURN(const PrivacyBudget budget, BudgetFromProto(message.budget()));
  DPKDE_ASSIGN_OR_RETURN(const Neighboring neighboring, dpkde::FromProto(message.neighboring()));
  BudgetLedger ledger(std::move(message), budget, neighboring);
  uint64_t id = 0;
  for (const proto::LedgerEntry& entry : ledger.message_.entry()) {
    ++id;
    if (entry.id() != id) return absl::InvalidArgumentError(absl::StrCat("entry ", id, " has the id ", entry.id()));
    DPKDE_RETURN_IF_ERROR(CheckDescription(entry.description()));
    DPKDE_RETURN_IF_ERROR(CheckToken(entry.token()));
    DPKDE_RETURN_IF_ERROR(CheckDay(entry.day()));
    if (!entry.released_sha256().empty() && !IsHex(entry.released_sha256(), kDigestDigits)) {
      return absl::InvalidArgumentError(absl::StrCat("entry ", id, " has no SHA-256 where one should be"));
    }
    DPKDE_RETURN_IF_ERROR(CostFromProto(entry.cost()).status());
    DPKDE_RETURN_IF_ERROR(dpkde::FromProto(entry.neighboring()).status());
    // As it was charged then, though a later version may know a tighter conversion.
    DPKDE_ASSIGN_OR_RETURN(const PrivacyCost charged, CostFromProto(entry.charged()));
    if (charged.rule() != budget.rule()) {
      return absl::InvalidArgumentError(absl::StrCat("entry ", id, " is charged in another unit than the budget's"));
    }
    ledger.spent_ = ledger.spent_ + charged;
  }
  return ledger;
}

std::string BudgetLedger::Serialize() const { return SealEnvelope(kLedgerKind, kVersion, message_.SerializeAsString()); }

bool BudgetLedger::IsLedger(absl::string_view file_bytes) { return IsEnvelope(kLedgerKind, file_bytes); }

absl::StatusOr<PrivacyCost> BudgetLedger::Charge(const PrivacyCost& cost, Neighboring neighboring) const {
  if (neighboring == neighboring_) return cost.ConvertTo(budget_.rule());
  if (neighboring == Neighboring::kReplace) {
    return absl::InvalidArgumentError(
        "a release under replace makes the number of records public, which a budget under add_remove protects");
  }
  return cost.OverTwoSteps().ConvertTo(budget_.rule());
}

absl::StatusOr<PrivacyCost> BudgetLedger::Price(const ReleaseRequest& request) const {
  if (request.dataset != dataset()) {
    return absl::InvalidArgumentError(
        absl::StrCat("is the ledger of the dataset '", dataset(), "', not of '", request.dataset, "'"));
  }
  DPKDE_RETURN_IF_ERROR(CheckDescription(request.description));
  DPKDE_RETURN_IF_ERROR(CheckToken(request.token));
  DPKDE_RETURN_IF_ERROR(CheckDay(request.day));
  DPKDE_ASSIGN_OR_RETURN(const PrivacyCost charged, Charge(request.cost, request.neighboring));
  if (budget_.Admits(spent_ + charged)) return charged;
  const bool two_steps = request.neighboring != neighboring_;
  return absl::ResourceExhaustedError(
      absl::StrCat("the release would spend ", charged.ToString(),
                   two_steps ? " (an add_remove release counts over two steps in a replace budget)" : "",
                   ", but of the budget ", budget_.ToString(), " only ", Remaining().ToString(), " is left"));
}

absl::Status BudgetLedger::AddEntry(const ReleaseRequest& request) {
  DPKDE_ASSIGN_OR_RETURN(const PrivacyCost charged, Price(request));
  proto::LedgerEntry& entry = *message_.add_entry();
  entry.set_id(message_.entry_size());
  entry.set_description(request.description);
  *entry.mutable_cost() = ToProto(request.cost);
  entry.set_neighboring(ToProto(request.neighboring));
  *entry.mutable_charged() = ToProto(charged);
  entry.set_token(request.token);
  entry.set_day(request.day.empty() ? absl::FormatCivilTime(absl::ToCivilDay(absl::Now(), absl::UTCTimeZone()))
                                    : request.day);
  spent_ = spent_ + charged;
  return absl::OkStatus();
}

proto::LedgerReport BudgetLedger::Report() const {
  proto::LedgerReport report;
  *report.mutable_ledger() = message_;
  *report.mutable_spent() = ToProto(spent_);
  *report.mutable_remaining() = ToProto(Remaining());
  return report;
}

std::string BudgetLedger::DebugString() const {
  std::string text = absl::StrCat("ledger of the dataset ", dataset(), "\nbudget: ", budget_.ToString(), ", ",
                                  NeighboringName(neighboring_), "\nspent: ", spent_.ToString(),
                                  "\nleft: ", Remaining().ToString(), "\nentries: ", message_.entry_size(), "\n");
  for (const proto::LedgerEntry& entry : message_.entry()) {
    // Checked when the ledger was made.
    const PrivacyCost cost = *CostFromProto(entry.cost());
    const PrivacyCost charged = *CostFromProto(entry.charged());
    const bool pending = entry.released_sha256().empty();
    absl::StrAppendFormat(&text, "%6d  %-8s  %s", entry.id(), pending ? "pending" : "released", charged.ToString());
    if (!(charged == cost)) {
      absl::StrAppendFormat(&text, " (for %s, %s)", cost.ToString(),
                            NeighboringName(*dpkde::FromProto(entry.neighboring())));
    }
    absl::StrAppendFormat(&text, "  %s%s%s\n", entry.description(),
                          pending ? "" : absl::StrCat("  sha256 ", entry.released_sha256()),
                          entry.day().empty() ? "" : absl::StrCat("  reserved on ", entry.day()));
  }
  return text;
}

}  // namespace dpkde
