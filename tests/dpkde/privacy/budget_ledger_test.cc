#include "dpkde/privacy/budget_ledger.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"

// In place of the C library's: system calls that matter to a file are counted, and a child can be killed before any of
// them, or let through without a lock.
namespace {

int calls_until_death = -1;             // negative: lives on
std::string trace;                      // the calls, one letter each
bool locks_work = true;                 // false: flock() does nothing
int arrive_pipe = -1, start_pipe = -1;  // if set: renameat() says that it has come, and waits for the start

void CountCall(char name) {
  trace += name;
  if (calls_until_death == 0) kill(getpid(), SIGKILL);
  if (calls_until_death > 0) --calls_until_death;
}

}  // namespace

extern "C" {

int flock(int file, int operation) noexcept {
  CountCall('l');
  // Temporary files are locked without waiting; that is not the lock of the ledger.
  return locks_work || operation != LOCK_EX ? static_cast<int>(syscall(SYS_flock, file, operation)) : 0;
}

ssize_t write(int file, const void* bytes, size_t size) {
  CountCall('w');
  return syscall(SYS_write, file, bytes, size);
}

int fsync(int file) {
  struct stat info;
  CountCall(fstat(file, &info) == 0 && S_ISDIR(info.st_mode) ? 'd' : 's');
  return static_cast<int>(syscall(SYS_fsync, file));
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  CountCall('r');
  if (arrive_pipe >= 0) {
    char byte = 0;
    if (syscall(SYS_write, arrive_pipe, &byte, 1) != 1 || syscall(SYS_read, start_pipe, &byte, 1) != 1) _exit(3);
  }
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, 0));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned int flags) noexcept {
  CountCall('r');
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

int unlinkat(int folder, const char* name, int flags) noexcept {
  CountCall('u');
  return static_cast<int>(syscall(SYS_unlinkat, folder, name, flags));
}

int close(int file) {
  CountCall('c');
  return static_cast<int>(syscall(SYS_close, file));
}

}  // extern "C"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kDataset[] = "visits-2021";
constexpr int kRefused = 10;

// A path of this name in a new, empty folder.
std::string NewPath(const std::string& name) {
  std::string folder = absl::StrCat(::testing::TempDir(), "/ledger_XXXXXX");
  if (mkdtemp(&folder[0]) == nullptr) std::abort();
  return absl::StrCat(folder, "/", name);
}

Decimal D(const char* text) { return *Decimal::Parse(text); }
PrivacyCost Pure(const char* epsilon) { return *PrivacyCost::Pure(D(epsilon)); }
PrivacyBudget PureBudget(const char* epsilon) {
  return *PrivacyBudget::Create(CompositionRule::kPure, D(epsilon), absl::nullopt, absl::nullopt);
}
std::string Message(const absl::Status& status) { return std::string(status.message()); }

ReleaseRequest Request(const char* epsilon) {
  return {kDataset, Pure(epsilon), Neighboring::kAddRemove, "density of visits"};
}

std::string NewLedger(const PrivacyBudget& budget, Neighboring neighboring = Neighboring::kAddRemove) {
  const std::string path = NewPath("visits.ledger");
  EXPECT_EQ(BudgetLedger::Declare(path, kDataset, budget, neighboring), absl::OkStatus());
  return path;
}

BudgetLedger ReadLedger(const std::string& path) {
  absl::StatusOr<BudgetLedger> ledger = BudgetLedger::Read(path);
  if (!ledger.ok()) {
    ADD_FAILURE() << ledger.status();
    std::abort();
  }
  return *std::move(ledger);
}

// Runs in a child, which exits with the result of `body`.
pid_t Fork(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) _exit(body());
  return child;
}

int Wait(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

TEST(BudgetLedgerTest, IsFilledExactlyByTenTenths) {
  const std::string path = NewLedger(PureBudget("1.0"));
  for (uint64_t i = 1; i <= 10; ++i) {
    const auto id = BudgetLedger::Reserve(path, Request("0.1"));
    ASSERT_TRUE(id.ok()) << id.status();
    EXPECT_EQ(*id, i);
  }
  const absl::Status refused = BudgetLedger::Reserve(path, Request("0.0000001")).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Message(refused), HasSubstr(path));
  EXPECT_THAT(Message(refused), HasSubstr("would spend epsilon = 1e-7"));
  EXPECT_THAT(Message(refused), HasSubstr("only epsilon = 0 is left"));
  EXPECT_EQ(ReadLedger(path).spent(), Pure("1"));
  EXPECT_EQ(ReadLedger(path).message().entry_size(), 10);
}

TEST(BudgetLedgerTest, SaysWhatIsLeft) {
  const std::string path = NewLedger(PureBudget("1"));
  ASSERT_TRUE(BudgetLedger::Reserve(path, Request("0.7")).ok());
  const absl::Status refused = BudgetLedger::Reserve(path, Request("0.30000000000000000001")).status();
  EXPECT_THAT(Message(refused), HasSubstr("of the budget epsilon = 1 (pure) only epsilon = 0.3 is left"));
  // A question is not a purchase.
  EXPECT_EQ(*ReadLedger(path).Price(Request("0.3")), Pure("0.3"));
  EXPECT_EQ(ReadLedger(path).Price(Request("0.4")).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReadLedger(path).spent(), Pure("0.7"));
  EXPECT_TRUE(BudgetLedger::Reserve(path, Request("0.3")).ok());
}

TEST(BudgetLedgerTest, KeepsPendingEntriesAndMarksReleasedOnesOnce) {
  const std::string path = NewLedger(PureBudget("1"));
  ASSERT_EQ(*BudgetLedger::Reserve(path, Request("0.25")), 1u);
  ASSERT_EQ(*BudgetLedger::Reserve(path, Request("0.5")), 2u);
  const Sha256Digest digest = Sha256("the file");
  EXPECT_EQ(BudgetLedger::MarkReleased(path, 2, digest), absl::OkStatus());
  const BudgetLedger ledger = ReadLedger(path);
  EXPECT_EQ(ledger.message().entry(0).released_sha256(), "");
  EXPECT_EQ(ledger.message().entry(1).released_sha256(), HexString(digest));
  EXPECT_EQ(ledger.spent(), Pure("0.75"));
  EXPECT_EQ(ledger.Remaining(), Pure("0.25"));
  EXPECT_THAT(ledger.DebugString(), HasSubstr("1  pending   epsilon = 0.25  density of visits"));
  EXPECT_THAT(ledger.DebugString(), HasSubstr(absl::StrCat("density of visits  sha256 ", HexString(digest))));
  for (uint64_t id : {0, 2, 3}) {
    EXPECT_EQ(BudgetLedger::MarkReleased(path, id, digest).code(), absl::StatusCode::kInvalidArgument) << id;
  }
  EXPECT_EQ(ReadLedger(path).message().SerializeAsString(), ledger.message().SerializeAsString());
}

// Two steps can touch two parts of a release (the views of two classes), in both of which discrete noise stands for
// rounded noise.
TEST(BudgetLedgerTest, ChargesTheTotalVariationOfTwoStepsTwice) {
  const PrivacyBudget budget = *PrivacyBudget::Create(CompositionRule::kGaussian, D("1"), D("1e-6"), absl::nullopt);
  const PrivacyCost cost = *PrivacyCost::DiscreteGaussian(D("0.001"), D("1e-14"));
  for (const Neighboring relation : {Neighboring::kAddRemove, Neighboring::kReplace}) {
    const std::string path = NewLedger(budget, relation);
    ASSERT_TRUE(BudgetLedger::Reserve(path, {kDataset, cost, Neighboring::kAddRemove, "classifier"}).ok());
    EXPECT_EQ(ReadLedger(path).spent().ToString(), relation == Neighboring::kAddRemove
                                                       ? "mu^2 = 0.001, total variation = 1e-14"
                                                       : "mu^2 = 0.004, total variation = 2e-14");
  }
}

TEST(BudgetLedgerTest, FindsTheEntriesOfARelease) {
  const std::string path = NewLedger(PureBudget("1"));
  const std::string token = *BudgetLedger::NewToken(), other = *BudgetLedger::NewToken();
  EXPECT_NE(token, other);
  for (const std::string& of_entry : {token, other, std::string(), token}) {
    ReleaseRequest request = Request("0.1");
    request.token = of_entry;
    ASSERT_TRUE(BudgetLedger::Reserve(path, request).ok());
  }
  const Sha256Digest digest = Sha256("the file");
  for (int i = 0; i < 2; ++i) {  // a second time changes nothing
    const auto ids = BudgetLedger::MarkReleased(path, token, digest);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_THAT(*ids, ::testing::ElementsAre(1, 4));
    const BudgetLedger ledger = ReadLedger(path);
    for (int entry = 0; entry < 4; ++entry) {
      EXPECT_EQ(ledger.message().entry(entry).released_sha256(), entry % 3 == 0 ? HexString(digest) : "");
    }
    EXPECT_EQ(ledger.spent(), Pure("0.4"));
  }
  for (const std::string& unknown : {*BudgetLedger::NewToken(), std::string()}) {
    EXPECT_EQ(BudgetLedger::MarkReleased(path, unknown, digest).status(),
              absl::InvalidArgumentError(absl::StrCat(path, ": no entry of it paid for this release")));
  }
  EXPECT_EQ(BudgetLedger::MarkReleased(path, token, Sha256("another")).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(BudgetLedgerTest, EntriesBearTheDayAndNothingFiner) {
  const std::string path = NewLedger(PureBudget("1"));
  const auto today = [] { return absl::FormatCivilTime(absl::ToCivilDay(absl::Now(), absl::UTCTimeZone())); };
  const std::string before = today();
  ASSERT_TRUE(BudgetLedger::Reserve(path, Request("0.1")).ok());
  const std::string day = ReadLedger(path).message().entry(0).day();
  EXPECT_TRUE(day == before || day == today()) << day;
  EXPECT_EQ(day.size(), 10u);
  EXPECT_THAT(ReadLedger(path).DebugString(), HasSubstr("reserved on " + day));
  ReleaseRequest request = Request("0.1");
  request.day = "2026-11-28 12:00";
  EXPECT_EQ(BudgetLedger::Reserve(path, request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(BudgetLedgerTest, IsDeclaredOnce) {
  const std::string path = NewLedger(PureBudget("1"));
  EXPECT_EQ(BudgetLedger::Declare(path, kDataset, PureBudget("2"), Neighboring::kAddRemove).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadLedger(path).Remaining(), Pure("1"));
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a\nb"), std::string(201, 'a')}) {
    EXPECT_EQ(BudgetLedger::Declare(NewPath("ledger"), name, PureBudget("1"), Neighboring::kReplace).code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(BudgetLedgerTest, RefusesByName) {
  const std::string path = NewLedger(PureBudget("1"));
  const std::string before = *ReadFile(path, 1 << 20);

  ReleaseRequest other = Request("0.1");
  other.dataset = "patients";
  absl::Status status = BudgetLedger::Reserve(path, other).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("is the ledger of the dataset 'visits-2021', not of 'patients'"));

  ReleaseRequest replace = Request("0.1");
  replace.neighboring = Neighboring::kReplace;
  status = BudgetLedger::Reserve(path, replace).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("a release under replace"));

  ReleaseRequest gaussian = Request("0.1");
  gaussian.cost = *PrivacyCost::DiscreteGaussian(D("0.1"), D("1e-15"));
  status = BudgetLedger::Reserve(path, gaussian).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("gaussian"));
  EXPECT_THAT(Message(status), HasSubstr("composes by pure"));

  ReleaseRequest illegible = Request("0.1");
  illegible.description = "a\x1b[2J";
  EXPECT_EQ(BudgetLedger::Reserve(path, illegible).status().code(), absl::StatusCode::kInvalidArgument);

  const std::string absent = NewPath("absent");
  EXPECT_EQ(BudgetLedger::Reserve(absent, Request("0.1")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(BudgetLedger::Read(absent).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(absent));
  EXPECT_EQ(*ReadFile(path, 1 << 20), before);
}

TEST(BudgetLedgerTest, CountsAddRemoveReleasesTwiceUnderReplace) {
  const std::string path = NewLedger(PureBudget("1"), Neighboring::kReplace);
  ASSERT_TRUE(BudgetLedger::Reserve(path, Request("0.2")).ok());
  EXPECT_EQ(ReadLedger(path).spent(), Pure("0.4"));
  ReleaseRequest replace = Request("0.2");
  replace.neighboring = Neighboring::kReplace;
  ASSERT_TRUE(BudgetLedger::Reserve(path, replace).ok());
  EXPECT_EQ(ReadLedger(path).spent(), Pure("0.6"));
  EXPECT_THAT(ReadLedger(path).DebugString(), HasSubstr("epsilon = 0.4 (for epsilon = 0.2, add_remove)"));
  const absl::Status refused = BudgetLedger::Reserve(path, Request("0.21")).status();
  EXPECT_THAT(Message(refused), HasSubstr("would spend epsilon = 0.42 (an add_remove release counts over two steps"));
  EXPECT_TRUE(BudgetLedger::Reserve(path, Request("0.2")).ok());
}

// Every rule survives its file, with the costs that it converts.
TEST(BudgetLedgerTest, KeepsEveryRule) {
  const PrivacyCost gaussian = *PrivacyCost::DiscreteGaussian(D("0.01"), D("1e-14"));
  const PrivacyCost zcdp = *PrivacyCost::Zcdp(D("0.001"));
  const PrivacyCost approximate = *PrivacyCost::EpsilonDelta(D("0.1"), D("1e-7"));
  const struct {
    PrivacyBudget budget;
    std::vector<PrivacyCost> costs;
    const char* spent;
  } cases[] = {
      {PureBudget("1"), {Pure("0.1")}, "epsilon = 0.1"},
      {*PrivacyBudget::Create(CompositionRule::kZcdp, absl::nullopt, absl::nullopt, D("0.5")),
       {Pure("0.1"), gaussian, zcdp},
       "rho = 0.011"},
      {*PrivacyBudget::Create(CompositionRule::kZcdp, D("1"), D("1e-6"), absl::nullopt),
       {Pure("0.1"), gaussian, zcdp},
       "rho = 0.011"},
      {*PrivacyBudget::Create(CompositionRule::kGaussian, D("1"), D("1e-6"), absl::nullopt),
       {gaussian, gaussian},
       "mu^2 = 0.02, total variation = 2e-14"},
      {*PrivacyBudget::Create(CompositionRule::kEpsilonDelta, D("1"), D("1e-6"), absl::nullopt),
       {Pure("0.1"), approximate},
       "epsilon = 0.2, delta = 1e-7"},
  };
  for (const auto& test : cases) {
    const std::string path = NewLedger(test.budget);
    for (const PrivacyCost& cost : test.costs) {
      const auto id = BudgetLedger::Reserve(path, {kDataset, cost, Neighboring::kAddRemove, ""});
      EXPECT_TRUE(id.ok()) << id.status();
    }
    const BudgetLedger ledger = ReadLedger(path);
    EXPECT_EQ(ledger.spent().ToString(), test.spent);
    EXPECT_EQ(ledger.budget().ToString(), test.budget.ToString());
    EXPECT_TRUE(ledger.budget().Admits(ledger.spent() + ledger.Remaining()));
    EXPECT_EQ(ledger.Report().ledger().SerializeAsString(), ledger.message().SerializeAsString());
  }
}

TEST(BudgetLedgerTest, FollowsSymbolicLinksAndRefusesHardOnes) {
  const std::string path = NewLedger(PureBudget("1"));
  const std::string symbolic = NewPath("symbolic"), hard = path + ".hard";
  std::filesystem::create_symlink(path, symbolic);
  EXPECT_TRUE(BudgetLedger::Reserve(symbolic, Request("0.1")).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(symbolic));
  EXPECT_EQ(ReadLedger(path).spent(), Pure("0.1"));
  std::filesystem::create_hard_link(path, hard);
  EXPECT_THAT(Message(BudgetLedger::Reserve(path, Request("0.1")).status()), HasSubstr("hard link"));
  std::filesystem::remove(hard);
  EXPECT_TRUE(BudgetLedger::Reserve(path, Request("0.1")).ok());
}

TEST(BudgetLedgerTest, RefusesDamage) {
  const std::string path = NewLedger(PureBudget("1"));
  ASSERT_TRUE(BudgetLedger::Reserve(path, Request("0.1")).ok());
  const std::string bytes = *ReadFile(path, 1 << 20);
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(BudgetLedger::Deserialize(bytes.substr(0, i)).ok()) << i;
    std::string flipped = bytes;
    flipped[i] ^= 1;
    EXPECT_FALSE(BudgetLedger::Deserialize(flipped).ok()) << i;
  }
  EXPECT_TRUE(BudgetLedger::IsLedger(bytes));
  EXPECT_FALSE(BudgetLedger::IsLedger(SealEnvelope("release", 1, "")));
  EXPECT_FALSE(BudgetLedger::IsLedger(bytes.substr(0, 15)));
  EXPECT_EQ(BudgetLedger::Deserialize(SealEnvelope("ledger", 2, "")).status().code(),
            absl::StatusCode::kFailedPrecondition);

  // Well sealed, but no ledger: each change of the message is refused.
  const proto::Ledger good = ReadLedger(path).message();
  const auto loads = [](const proto::Ledger& message) {
    return BudgetLedger::Deserialize(SealEnvelope("ledger", 1, message.SerializeAsString())).ok();
  };
  EXPECT_TRUE(loads(good));
  const std::vector<std::function<void(proto::Ledger&)>> changes = {
      [](proto::Ledger& m) { m.clear_dataset(); },
      [](proto::Ledger& m) { m.clear_budget(); },
      [](proto::Ledger& m) { m.mutable_budget()->set_epsilon("-1"); },
      [](proto::Ledger& m) { m.mutable_budget()->set_epsilon("nan"); },
      [](proto::Ledger& m) { m.mutable_budget()->set_delta("1e-6"); },
      [](proto::Ledger& m) { m.clear_neighboring(); },
      [](proto::Ledger& m) { m.mutable_entry(0)->set_id(2); },
      [](proto::Ledger& m) { m.mutable_entry(0)->clear_cost(); },
      [](proto::Ledger& m) { m.mutable_entry(0)->clear_charged(); },
      [](proto::Ledger& m) { m.mutable_entry(0)->mutable_charged()->set_epsilon("0"); },
      [](proto::Ledger& m) { m.mutable_entry(0)->mutable_charged()->set_rule(proto::EPSILON_DELTA); },
      [](proto::Ledger& m) { m.mutable_entry(0)->clear_neighboring(); },
      [](proto::Ledger& m) { m.mutable_entry(0)->set_released_sha256("x"); },
      [](proto::Ledger& m) { m.mutable_entry(0)->set_description("\n"); },
      [](proto::Ledger& m) { m.mutable_entry(0)->set_token("x"); },
      [](proto::Ledger& m) { m.mutable_entry(0)->set_day("2026-11-28 12:00"); },
      [](proto::Ledger& m) { m.mutable_entry(0)->set_day("2026-1-128"); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    proto::Ledger message = good;
    changes[i](message);
    EXPECT_FALSE(loads(message)) << i;
  }
  // A damaged ledger pays for nothing.
  const std::string damaged = NewPath("damaged");
  ASSERT_TRUE(WriteFileAtomically(damaged, bytes.substr(0, bytes.size() - 1), /*overwrite=*/false).ok());
  EXPECT_EQ(BudgetLedger::Reserve(damaged, Request("0.1")).status().code(), absl::StatusCode::kDataLoss);
}

TEST(BudgetLedgerTest, BelongsToItsOwner) {
  const std::string path = NewLedger(PureBudget("1"));
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600);
  ASSERT_TRUE(BudgetLedger::Reserve(path, Request("0.1")).ok());
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600);
  // Nothing stays beside it.
  const std::filesystem::directory_iterator folder(std::filesystem::path(path).parent_path());
  EXPECT_EQ(std::distance(begin(folder), end(folder)), 1);
}

// A crash of the machine cannot be played here, but what is relied on: when Reserve() returns, the bytes were on the
// disk before they were moved to their place, and the move is on the disk; all of it under the lock, which closing the
// file frees.
TEST(BudgetLedgerKillTest, IsOnTheDiskWhenReserveReturns) {
  const std::string path = NewLedger(PureBudget("1"));
  trace.clear();
  ASSERT_TRUE(BudgetLedger::Reserve(path, Request("0.1")).ok());
  std::string changes = trace;
  changes.erase(std::remove(changes.begin(), changes.end(), 'c'), changes.end());
  EXPECT_EQ(changes, "llwsrd");  // the second lock is the temporary file's
  EXPECT_EQ(trace.back(), 'c');
}

// A child reserves, tells its parent, marks as released, tells its parent, and is killed before the n-th of the system
// calls that change, lock, write, sync or close: for every n until it survives.
TEST(BudgetLedgerKillTest, SurvivesBeforeEverySystemCall) {
  const std::string path = NewLedger(PureBudget("1000"));
  int entries = 0, kills = 0, kills_after_reserve = 0;
  bool survived = false;
  for (int n = 0; !survived; ++n) {
    ASSERT_LT(n, 200);
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = Fork([&] {
      calls_until_death = n;
      const auto id = BudgetLedger::Reserve(path, Request("1"));
      if (!id.ok()) return 1;
      syscall(SYS_write, pipe_ends[1], "r", 1);
      if (!BudgetLedger::MarkReleased(path, *id, Sha256("file")).ok()) return 2;
      syscall(SYS_write, pipe_ends[1], "m", 1);
      return 0;
    });
    close(pipe_ends[1]);
    std::string told;
    for (char byte; read(pipe_ends[0], &byte, 1) == 1;) told += byte;
    close(pipe_ends[0]);
    const int status = Wait(child);
    survived = WIFEXITED(status);
    ASSERT_EQ(survived ? WEXITSTATUS(status) : WTERMSIG(status), survived ? 0 : SIGKILL);
    kills += !survived;
    kills_after_reserve += !survived && !told.empty();

    const BudgetLedger ledger = ReadLedger(path);
    const int now = ledger.message().entry_size();
    ASSERT_GE(now, entries + (told.empty() ? 0 : 1)) << "after " << n;
    ASSERT_LE(now, entries + 1) << "after " << n;
    ASSERT_EQ(ledger.spent().amount(), now * D("1"));
    const bool marked = now > 0 && !ledger.message().entry(now - 1).released_sha256().empty();
    ASSERT_TRUE(told != "rm" || marked) << "after " << n;
    ASSERT_TRUE(!told.empty() || now == entries || !marked) << "after " << n;
    entries = now;
  }
  // Open, lock, write, sync, rename and closes, twice: the seam is in use.
  EXPECT_GE(kills, 14);
  EXPECT_GE(kills_after_reserve, 7);
  // The lock died with its holders.
  EXPECT_TRUE(BudgetLedger::Reserve(path, Request("1")).ok());
}

// Killed at any instant, by somebody else, while reserving all the time. The killer waits for a number of reservations,
// however slow the machine, and then for a random part of the time that the last one took.
TEST(BudgetLedgerKillTest, SurvivesAtRandomInstants) {
  const std::string path = NewLedger(PureBudget("1000"));
  std::mt19937 random(7);
  int in_between = 0;
  for (int i = 0; i < 60; ++i) {
    const int before = ReadLedger(path).message().entry_size();
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = Fork([&] {
      while (BudgetLedger::Reserve(path, Request("0.01")).ok()) syscall(SYS_write, pipe_ends[1], "r", 1);
      return 1;
    });
    close(pipe_ends[1]);
    const int awaited = 1 + static_cast<int>(random() % 2);
    int told = 0;
    char byte;
    absl::Time last = absl::Now();
    absl::Duration took;
    while (told < awaited && read(pipe_ends[0], &byte, 1) == 1) {
      ++told;
      took = absl::Now() - last;
      last = absl::Now();
    }
    ASSERT_EQ(told, awaited);
    absl::SleepFor(took * (random() % 1000) / 1000);
    kill(child, SIGKILL);
    EXPECT_TRUE(WIFSIGNALED(Wait(child)));
    while (read(pipe_ends[0], &byte, 1) == 1) ++told;
    close(pipe_ends[0]);
    const int now = ReadLedger(path).message().entry_size();
    ASSERT_GE(now, before + told);
    ASSERT_LE(now, before + told + 1);
    in_between += now == before + told + 1;
  }
  RecordProperty("killed_between_entry_and_word", in_between);
}

TEST(BudgetLedgerRaceTest, TheLastTenthIsSpentOnce) {
  for (int round = 0; round < 25; ++round) {
    const std::string path = NewLedger(PureBudget("1"));
    ASSERT_TRUE(BudgetLedger::Reserve(path, Request("0.9")).ok());
    int start[2];
    ASSERT_EQ(pipe(start), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      children.push_back(Fork([&] {
        char byte;
        if (read(start[0], &byte, 1) != 1) return 3;
        const absl::Status status = BudgetLedger::Reserve(path, Request("0.1")).status();
        if (status.ok()) return 0;
        return status.code() == absl::StatusCode::kResourceExhausted ? kRefused : 1;
      }));
    }
    ASSERT_EQ(write(start[1], "1234", 4), 4);
    int spent = 0, refused = 0;
    for (pid_t child : children) {
      const int status = Wait(child);
      spent += WIFEXITED(status) && WEXITSTATUS(status) == 0;
      refused += WIFEXITED(status) && WEXITSTATUS(status) == kRefused;
    }
    close(start[0]);
    close(start[1]);
    EXPECT_EQ(spent, 1);
    EXPECT_EQ(refused, 3);
    EXPECT_EQ(ReadLedger(path).spent(), Pure("1"));
  }
}

// Processes that come while others are replacing the file: no entry is lost, none is paid twice.
TEST(BudgetLedgerRaceTest, NoEntryIsLost) {
  const std::string path = NewLedger(PureBudget("2"));
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(Fork([&] {
      int count = 0;
      while (true) {
        const auto id = BudgetLedger::Reserve(path, Request("0.01"));
        if (!id.ok()) return id.status().code() == absl::StatusCode::kResourceExhausted ? count : 255;
        if (!BudgetLedger::MarkReleased(path, *id, Sha256("file")).ok()) return 254;
        ++count;
      }
    }));
  }
  int reserved = 0;
  for (pid_t child : children) {
    const int status = Wait(child);
    ASSERT_TRUE(WIFEXITED(status));
    reserved += WEXITSTATUS(status);
  }
  EXPECT_EQ(reserved, 200);
  const BudgetLedger ledger = ReadLedger(path);
  EXPECT_EQ(ledger.message().entry_size(), 200);
  EXPECT_EQ(ledger.spent(), Pure("2"));
  for (const proto::LedgerEntry& entry : ledger.message().entry()) EXPECT_NE(entry.released_sha256(), "") << entry.id();
}

// The control: two processes that meet just before they replace the file both get the last tenth if flock() does
// nothing; if it works, they cannot meet, and the second is refused.
TEST(BudgetLedgerRaceTest, ItIsTheLockThatPreventsIt) {
  for (const bool locked : {false, true}) {
    const std::string path = NewLedger(PureBudget("1"));
    ASSERT_TRUE(BudgetLedger::Reserve(path, Request("0.9")).ok());
    int arrive[2], start[2];
    ASSERT_EQ(pipe(arrive), 0);
    ASSERT_EQ(pipe(start), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 2; ++i) {
      children.push_back(Fork([&] {
        locks_work = locked;
        arrive_pipe = arrive[1];
        start_pipe = start[0];
        return BudgetLedger::Reserve(path, Request("0.1")).ok() ? 0 : kRefused;
      }));
    }
    char byte;
    for (int i = 0; i < (locked ? 1 : 2); ++i) ASSERT_EQ(read(arrive[0], &byte, 1), 1);
    ASSERT_EQ(write(start[1], "12", 2), 2);
    int spent = 0;
    for (pid_t child : children) spent += Wait(child) == 0;
    EXPECT_EQ(spent, locked ? 1 : 2);
    for (int end : {arrive[0], arrive[1], start[0], start[1]}) close(end);
  }
}

// Nothing that a reader of the ledger could learn about the records: what goes in is what the caller said.
TEST(BudgetLedgerTest, EqualRequestsGiveEqualBytes) {
  const auto make = [] {
    const std::string path = NewLedger(PureBudget("1"));
    ReleaseRequest request = Request("0.1");
    request.day = "2026-11-28";
    EXPECT_TRUE(BudgetLedger::Reserve(path, request).ok());
    EXPECT_TRUE(BudgetLedger::MarkReleased(path, 1, Sha256("file")).ok());
    const std::string bytes = *ReadFile(path, 1 << 20);
    EXPECT_THAT(bytes, Not(HasSubstr("visits.ledger")));
    return bytes;
  };
  EXPECT_EQ(make(), make());
}

}  // namespace
}  // namespace dpkde
