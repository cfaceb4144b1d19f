// System calls fail, or do less than they were asked to, one after the other, under each subcommand that makes a file:
// nothing half-made is left, no temporary file, and the ledger never says less than what is on the disk.
//
// Each run is a child of this test, which has the tool linked in and its own versions of the calls.

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/io/file.h"
#include "dpkde/privacy/budget_ledger.h"
#include "dpkde/tools/build_classifier.h"
#include "dpkde/tools/build_density.h"
#include "dpkde/tools/build_encode.h"
#include "dpkde/tools/build_histogram.h"
#include "dpkde/tools/build_index.h"
#include "dpkde/tools/build_ledger.h"
#include "dpkde/tools/subcommand.h"
#include "tests/tools/command.h"

namespace {

enum Fault { kNone, kError, kNoSpace, kInterrupted, kShort };

std::string watched;  // calls on files below this folder count
int calls_until_fault = -1;
Fault fault = kNone;

// What the parent is told.
struct Report {
  bool struck;
  bool hit_a_deletion;  // which then cannot have happened
};
Report* report = nullptr;

bool IsWatched(const char* path) { return !watched.empty() && strncmp(path, watched.data(), watched.size()) == 0; }
bool IsWatched(int file) {
  if (watched.empty()) return false;
  char link[4096];
  const ssize_t size =
      syscall(SYS_readlink, absl::StrCat("/proc/self/fd/", file).c_str(), link, sizeof(link) - 1);
  if (size < 0) return false;
  link[size] = 0;
  return IsWatched(link);
}

// Whether it is the turn of this call, which can fail in the ways `faults`.
bool Strikes(bool is_watched, std::initializer_list<Fault> faults) {
  if (!is_watched || calls_until_fault < 0) return false;
  bool possible = false;
  for (const Fault f : faults) possible |= f == fault;
  if (!possible || calls_until_fault-- > 0) return false;
  report->struck = true;
  errno = fault == kNoSpace ? ENOSPC : fault == kInterrupted ? EINTR : EIO;
  return true;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  if (Strikes(IsWatched(path), {kError})) return -1;
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  if (Strikes(IsWatched(folder), {kError, kNoSpace})) return -1;
  return static_cast<int>(syscall(SYS_openat, folder, path, flags, mode));
}

ssize_t pread(int file, void* bytes, size_t size, off_t offset) {
  if (Strikes(IsWatched(file), {kError, kInterrupted, kShort})) {
    if (fault != kShort || size < 2) return -1;
    size = 1;
  }
  return syscall(SYS_pread64, file, bytes, size, offset);
}

ssize_t write(int file, const void* bytes, size_t size) {
  if (Strikes(IsWatched(file), {kError, kNoSpace, kInterrupted, kShort})) {
    if (fault != kShort || size < 2) return -1;
    size = 1;
  }
  return syscall(SYS_write, file, bytes, size);
}

int fsync(int file) {
  if (Strikes(IsWatched(file), {kError, kNoSpace, kInterrupted})) return -1;
  return static_cast<int>(syscall(SYS_fsync, file));
}

int flock(int file, int operation) noexcept {
  if (Strikes(IsWatched(file), {kError, kInterrupted})) return -1;
  return static_cast<int>(syscall(SYS_flock, file, operation));
}

int fallocate(int file, int mode, off_t offset, off_t size) {
  if (Strikes(IsWatched(file), {kError, kNoSpace, kInterrupted})) return -1;
  return static_cast<int>(syscall(SYS_fallocate, file, mode, offset, size));
}

int ftruncate(int file, off_t size) noexcept {
  if (Strikes(IsWatched(file), {kError, kInterrupted})) return -1;
  return static_cast<int>(syscall(SYS_ftruncate, file, size));
}

int fchmod(int file, mode_t mode) noexcept {
  if (Strikes(IsWatched(file), {kError})) return -1;
  return static_cast<int>(syscall(SYS_fchmod, file, mode));
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  if (Strikes(IsWatched(to_folder), {kError, kNoSpace})) return -1;
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, 0));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned int flags) noexcept {
  if (Strikes(IsWatched(to_folder), {kError, kNoSpace})) return -1;
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

int unlinkat(int folder, const char* name, int flags) noexcept {
  if (Strikes(IsWatched(folder), {kError})) {
    report->hit_a_deletion = true;
    return -1;
  }
  return static_cast<int>(syscall(SYS_unlinkat, folder, name, flags));
}

}  // extern "C"

namespace dpkde {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  int exit_code;
  bool reached;
  bool litter_excused;
  std::string err;
};

// Runs the tool in a child, in which the n-th call (from 0) that can fail in this way does.
Outcome RunFailing(const std::vector<std::string>& arguments, const std::string& folder, Fault kind, int n) {
  const int err = memfd_create("stderr", 0);
  if (report == nullptr) {
    report = static_cast<Report*>(
        mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  }
  *report = {};
  const pid_t child = fork();
  if (child == 0) {
    dup2(err, STDERR_FILENO);
    std::vector<char*> pointers = {const_cast<char*>("dpkde_build")};
    for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
    watched = folder;
    fault = kind;
    calls_until_fault = n;
    const int code = RunTool("dpkde_build", "",
                             {BuildDensitySubcommand(), BuildClassifierSubcommand(), BuildHistogramSubcommand(),
                              BuildLedgerSubcommand(), BuildIndexSubcommand(), BuildEncodeSubcommand()},
                             static_cast<int>(pointers.size()), pointers.data());
    fflush(stderr);
    _exit(code);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status) << " at call " << n;
  Outcome outcome = {WEXITSTATUS(status), report->struck, report->hit_a_deletion, ""};
  outcome.err.resize(lseek(err, 0, SEEK_END));
  EXPECT_EQ(pread(err, &outcome.err[0], outcome.err.size(), 0), static_cast<ssize_t>(outcome.err.size()));
  close(err);
  return outcome;
}

// Our own files end with the digest of what is before; of others the size tells.
bool IsWhole(const std::string& bytes, size_t size) {
  if (!absl::StartsWith(bytes, "DPKDE")) return bytes.size() == size;
  if (bytes.size() < 32) return false;
  const Sha256Digest digest = Sha256(absl::string_view(bytes).substr(0, bytes.size() - 32));
  return bytes.compare(bytes.size() - 32, 32, reinterpret_cast<const char*>(digest.data()), 32) == 0;
}

class FailingCallsTest : public ::testing::Test {
 protected:
  FailingCallsTest() {
    std::string numbers, labels, tokens;
    for (int i = 0; i < 40; ++i) {
      numbers += absl::StrCat(i % 5, ".25,", i % 3, ".5\n");
      labels += i % 2 == 0 ? "a\n" : "b\n";
    }
    Write("rows.csv", numbers);
    Write("labels.txt", labels);
    Write("lens.csv", std::string("10\n10\n20\n"));
    Write("config", "encoder { fde { repetitions: 2 hyperplanes: 1 } }\n");
  }

  void Write(const std::string& name, const std::string& bytes) { template_.Write(name, bytes); }

  // A new folder with the inputs and a ledger.
  std::string NewStage() {
    const Folder stage;
    for (const std::string& name : template_.List()) {
      std::filesystem::copy(template_.Path(name), stage.Path(name), std::filesystem::copy_options::recursive);
    }
    return std::filesystem::canonical(stage.path());  // as the system names the files that are open
  }

  // A command over the files of a stage, "@" in its arguments; `outputs`: names that it makes. `with_ledger`: it makes
  // a release, the first of its outputs.
  void Enumerate(const std::vector<std::string>& command, const std::vector<std::string>& outputs, bool with_ledger) {
    if (with_ledger) {
      const PrivacyBudget budget = *PrivacyBudget::Create(CompositionRule::kPure, *Decimal::Parse("2"), {}, {});
      ASSERT_TRUE(BudgetLedger::Declare(template_.Path("ledger"), "d", budget, Neighboring::kAddRemove).ok());
    }
    std::map<std::string, size_t> whole;  // sizes of complete outputs
    int absorbed = 0, failed = 0, booked = 0;
    for (const Fault kind : {kNone, kError, kNoSpace, kInterrupted, kShort}) {
      for (int n = 0; true; ++n) {
        ASSERT_LT(n, 1000);
        const std::string stage = NewStage();
        std::vector<std::string> arguments;
        for (const std::string& argument : command) {
          const size_t at = argument.find('@');
          arguments.push_back(at == std::string::npos ? argument
                                                      : argument.substr(0, at) + stage + "/" + argument.substr(at + 1));
        }
        const Outcome outcome = RunFailing(arguments, stage, kind, n);
        SCOPED_TRACE(absl::StrCat("fault ", kind, " at call ", n, ": exit ", outcome.exit_code, " ", outcome.err));
        if (kind == kNone) {
          ASSERT_EQ(outcome.exit_code, 0);
          for (const std::string& name : outputs) whole[name] = FileBytes(stage + "/" + name).size();
          break;
        }
        Check(stage, outcome, outputs, whole, with_ledger, &booked);
        if (kind == kInterrupted || kind == kShort) {
          EXPECT_EQ(outcome.exit_code, 0) << "an interruption is no failure";
        }
        (outcome.exit_code == 0 ? absorbed : failed) += outcome.reached;
        std::filesystem::remove_all(stage);
        if (!outcome.reached) break;
        if (::testing::Test::HasFailure()) return;
      }
    }
    EXPECT_GT(failed, 10);
    EXPECT_GT(absorbed, 5);
    if (with_ledger) {
      EXPECT_GT(booked, 2);
    }
  }

  void Check(const std::string& stage, const Outcome& outcome, const std::vector<std::string>& outputs,
             std::map<std::string, size_t>& whole, bool with_ledger, int* booked) {
    EXPECT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 5);
    if (outcome.exit_code != 0) {
      EXPECT_THAT(outcome.err, HasSubstr(stage));
    }
    if (outcome.exit_code == 5) {
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
    }
    for (const std::string& name : outputs) {
      const bool there = std::filesystem::exists(stage + "/" + name);
      EXPECT_TRUE(there || outcome.exit_code != 0);
      if (there) {
        EXPECT_TRUE(IsWhole(FileBytes(stage + "/" + name), whole[name])) << name << " is incomplete";
      }
    }
    for (const auto& entry : std::filesystem::directory_iterator(stage)) {
      EXPECT_TRUE(outcome.litter_excused || !IsTemporaryName(entry.path().filename().string())) << entry.path();
    }
    if (!with_ledger) return;
    const auto ledger = BudgetLedger::Read(stage + "/ledger");
    ASSERT_TRUE(ledger.ok()) << ledger.status();
    const bool released = std::filesystem::exists(stage + "/" + outputs[0]);
    const int entries = ledger->message().entry_size();
    ASSERT_LE(entries, 1);
    if (released) {
      EXPECT_EQ(entries, 1) << "a release that nobody paid for";
    }
    if (outcome.exit_code == 0) {
      EXPECT_NE(ledger->message().entry(0).released_sha256(), "");
    }
    if (entries == 0) {
      EXPECT_THAT(outcome.err, ::testing::Not(HasSubstr("entry")));
    } else if (ledger->message().entry(0).released_sha256().empty()) {
      ++*booked;
      EXPECT_THAT(outcome.err, HasSubstr("epsilon = 1 stays booked as pending entry 1 of " + stage + "/ledger"));
      if (released) {
        EXPECT_THAT(outcome.err, HasSubstr("--mark=" + stage + "/" + outputs[0]));
      }
      // What could not be marked can be marked now, and nothing else is.
      const Outcome marked = RunFailing({"ledger", "--ledger=" + stage + "/ledger", "--mark=" + stage + "/" + outputs[0]},
                                        stage, kNone, -1);
      EXPECT_EQ(marked.exit_code, released ? 0 : 5) << marked.err;
      const auto after = BudgetLedger::Read(stage + "/ledger");
      EXPECT_EQ(after->message().entry(0).released_sha256().empty(), !released);
      EXPECT_EQ(after->spent(), ledger->spent());
    }
  }

  const Folder template_;
};

const std::vector<std::string> kPrivacy = {"--epsilon=1",  "--neighboring=add_remove", "--ledger=@ledger",
                                           "--dataset=d",  "--output=@out",            "--summary_out=@summary",
                                           "--threads=1", "--quiet"};

std::vector<std::string> With(std::vector<std::string> command, const std::vector<std::string>& more) {
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

TEST_F(FailingCallsTest, Density) {
  Enumerate(With({"density", "--input=@rows.csv", "--similarity=gaussian", "--bandwidth=1", "--domain_min=0,0",
                  "--domain_max=5,5", "--expected_n=40"},
                 kPrivacy),
            {"out"}, true);
}

TEST_F(FailingCallsTest, DensityWithACount) {
  Enumerate(With({"density", "--input=@rows.csv", "--similarity=gaussian", "--bandwidth=1", "--domain_min=0,0",
                  "--domain_max=5,5", "--design=monte_carlo", "--features=16"},
                 kPrivacy),
            {"out"}, true);
}

TEST_F(FailingCallsTest, Classifier) {
  Enumerate(With({"classifier", "--input=@rows.csv", "--labels=@labels.txt", "--label_set=a,b", "--model=moments",
                  "--domain_min=0,0", "--domain_max=5,5", "--expected_n=40"},
                 kPrivacy),
            {"out"}, true);
}

TEST_F(FailingCallsTest, Histogram) {
  const Outcome index = RunFailing({"index", "--input=" + template_.Path("rows.csv"), "--output=" + template_.Path("index"),
                                    "--threads=1", "--quiet"},
                                   "", kNone, -1);
  ASSERT_EQ(index.exit_code, 0) << index.err;
  Enumerate(With({"histogram", "--input=@rows.csv", "--index=@index", "--votes=1"}, kPrivacy), {"out"}, true);
}

TEST_F(FailingCallsTest, Encode) {
  Enumerate({"encode", "--tokens=@rows.csv", "--lens=@lens.csv", "--role=document", "--config=@config",
             "--output_type=i1", "--output=@out.npy", "--scales_out=@scales.npy", "--encoder_out=@encoder",
             "--threads=1", "--quiet"},
            {"out.npy", "scales.npy", "encoder"}, false);
}

// An index is there or not; where it is there and the run failed all the same, it says so.
TEST_F(FailingCallsTest, Index) {
  int failed = 0, complete_all_the_same = 0;
  for (const Fault kind : {kError, kNoSpace, kInterrupted, kShort}) {
    for (int n = 0; true; ++n) {
      ASSERT_LT(n, 1000);
      const std::string stage = NewStage(), index = stage + "/index";
      const Outcome outcome = RunFailing({"index", "--input=" + stage + "/rows.csv", "--output=" + index,
                                          "--summary_out=" + stage + "/summary", "--threads=1", "--quiet"},
                                         stage, kind, n);
      SCOPED_TRACE(absl::StrCat("fault ", kind, " at call ", n, ": exit ", outcome.exit_code, " ", outcome.err));
      ASSERT_TRUE(outcome.exit_code == 0 || (outcome.exit_code == 5 && kind != kInterrupted && kind != kShort));
      if (outcome.exit_code != 0) {
        EXPECT_THAT(outcome.err, HasSubstr(stage));
      }
      const auto opened = IndexDirectory::Open(index);
      ASSERT_TRUE(opened.ok() || absl::IsNotFound(opened.status())) << opened.status();
      EXPECT_TRUE(opened.ok() || outcome.exit_code != 0);
      const bool says_so = absl::StrContains(outcome.err, "the index in " + index + " is complete") ||
                           absl::StrContains(outcome.err, "MANIFEST: is written, but may be lost in a crash");
      if (outcome.exit_code != 0) {
        EXPECT_EQ(says_so, opened.ok());
      }
      complete_all_the_same += outcome.exit_code != 0 && opened.ok();
      failed += outcome.exit_code != 0;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(stage)) {
        EXPECT_TRUE(outcome.litter_excused || !IsTemporaryName(entry.path().filename().string())) << entry.path();
      }
      std::filesystem::remove_all(stage);
      if (!outcome.reached) break;
      if (::testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(failed, 20);
  EXPECT_GT(complete_all_the_same, 0);
}

}  // namespace
}  // namespace dpkde
