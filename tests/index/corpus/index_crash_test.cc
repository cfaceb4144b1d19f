// A process that changes an index directory is killed: before each of its system calls that matter to a file, and at
// random instants. Whatever is left opens in its old or its new state, and the next writer sweeps it clean.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/index_layout.h"
#include "dpkde/index/corpus/index_writer.h"
#include "dpkde/io/temporary_names.h"
#include "tests/index/corpus/index_testing.h"

// In place of the C library's.
namespace {

int calls_until_death = -1;      // negative: lives on
int deadly_signal = SIGKILL;
std::vector<std::string> trace;  // "sync", "rename MANIFEST", ...

void CountCall(const std::string& call) {
  trace.push_back(call);
  if (calls_until_death == 0) raise(deadly_signal);
  if (calls_until_death > 0) --calls_until_death;
}

}  // namespace

extern "C" {

int mkdir(const char* path, mode_t mode) noexcept {
  CountCall("mkdir");
  return static_cast<int>(syscall(SYS_mkdir, path, mode));
}

ssize_t write(int file, const void* bytes, size_t size) {
  CountCall("write");
  return syscall(SYS_write, file, bytes, size);
}

int fsync(int file) {
  struct stat info;
  CountCall(fstat(file, &info) == 0 && S_ISDIR(info.st_mode) ? "sync folder" : "sync");
  return static_cast<int>(syscall(SYS_fsync, file));
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  CountCall(absl::StrCat("rename ", to));
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, 0));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned int flags) noexcept {
  CountCall(absl::StrCat("rename ", to));
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

int unlink(const char* path) noexcept {
  CountCall("unlink");
  return static_cast<int>(syscall(SYS_unlink, path));
}

}  // extern "C"

namespace dpkde {
namespace {

constexpr size_t kDimension = 4;

// A change of the index at a path; exits the process with an error if it fails.
using Change = std::function<void(const std::string& path)>;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  fprintf(stderr, "%s\n", status.ToString().c_str());
  _exit(3);
}

std::unique_ptr<IndexWriter> Writer(absl::StatusOr<std::unique_ptr<IndexWriter>> writer) {
  Check(writer.status());
  return *std::move(writer);
}

void Build(const std::string& path) {
  proto::TokenStoreSpec spec;
  spec.set_format(proto::TokenStoreSpec::FLOAT32);
  spec.set_dimension(kDimension);
  const auto writer = Writer(IndexWriter::Create(path, spec, /*overwrite=*/false));
  Check(writer->Add(SomeDocuments(30, kDimension, 1).view(), {}));
  Check(writer->SetBlob("encoder", "encoder"));
  Check(writer->SetBlob("ann", "30 documents"));
  Check(writer->Commit());
}

void Add(const std::string& path) {
  const auto writer = Writer(IndexWriter::Open(path));
  Check(writer->Add(SomeDocuments(10, kDimension, 2).view(), {}));
  Check(writer->SetBlob("ann", "40 documents"));
  Check(writer->Commit());
}

void Remove(const std::string& path) {
  const auto writer = Writer(IndexWriter::Open(path));
  Check(writer->Remove(NumberedIds("", 5, 12)));
  Check(writer->Commit());
}

void Compact(const std::string& path) {
  const auto writer = Writer(IndexWriter::Open(path));
  Check(writer->Remove(NumberedIds("", 20, 25)));
  Check(writer->Compact());
  Check(writer->SetBlob("ann", "25 documents"));
  Check(writer->Commit());
}

struct Case {
  const char* name;
  std::vector<Change> before;
  Change change;
};

const Case kCases[] = {
    {"build", {}, Build},
    {"add", {Build}, Add},
    {"remove", {Build}, Remove},
    {"compact", {Build, Add, Remove}, Compact},
};

// nullopt: there is no index.
absl::optional<IndexContent> StateOf(const std::string& path) {
  const auto index = IndexDirectory::Open(path);
  if (absl::IsNotFound(index.status())) return absl::nullopt;
  EXPECT_TRUE(index.ok()) << index.status();
  if (!index.ok()) return absl::nullopt;
  return ContentOf(*index);
}

// A folder of one case: its state before the change and after it.
struct Stage {
  explicit Stage(const Case& c) : change(c.change), old_path(NewIndexPath("old")), new_path(NewIndexPath("new")) {
    for (const Change& before : c.before) {
      before(old_path);
      before(new_path);
    }
    c.change(new_path);
    old_state = StateOf(old_path);
    new_state = StateOf(new_path);
    EXPECT_FALSE(old_state == new_state);
  }

  // A copy of the old state.
  std::string NewCopy() const {
    const std::string path = NewIndexPath();
    if (std::filesystem::exists(old_path)) std::filesystem::copy(old_path, path);
    return path;
  }

  // What a killed process has left: the old state or the new, in a directory that can be changed on and is clean then.
  // Returns whether it is the new one.
  bool CheckWhatIsLeft(const std::string& path) const {
    const absl::optional<IndexContent> state = StateOf(path);
    const bool is_new = state == new_state;
    EXPECT_TRUE(is_new || state == old_state);
    if (!is_new) change(path);
    // A writer that does nothing sweeps.
    EXPECT_TRUE(IndexWriter::Open(path).ok());
    EXPECT_TRUE(StateOf(path) == new_state);
    EXPECT_EQ(FilesIn(path).size(), FilesOfIndex(*IndexDirectory::ReadManifest(path)).size() + 2);
    std::filesystem::remove_all(path);
    return is_new;
  }

  const Change change;
  const std::string old_path, new_path;
  absl::optional<IndexContent> old_state, new_state;
};

TEST(IndexCrashTest, KilledBeforeEverySystemCall) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const Stage stage(c);
    int old_states = 0, new_states = 0;
    for (int calls = 0; true; ++calls) {
      const std::string path = stage.NewCopy();
      const pid_t child = fork();
      if (child == 0) {
        calls_until_death = calls;
        c.change(path);
        _exit(0);
      }
      int status;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << calls;
      const bool survived = WIFEXITED(status);
      const bool is_new = stage.CheckWhatIsLeft(path);
      EXPECT_TRUE(is_new || !survived);
      ++(is_new ? new_states : old_states);
      // Once the new state is there, it is for good.
      EXPECT_TRUE(is_new || new_states == 0) << calls;
      if (survived) break;
    }
    // There were deaths on both sides of the instant at which it changes.
    EXPECT_GE(old_states, 5);
    EXPECT_GE(new_states, 2);
  }
}

// A signal that can be caught leaves the old state alone, or the new one, and of the former nothing besides.
TEST(IndexCrashTest, InterruptedBeforeEverySystemCall) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const Stage stage(c);
    int old_states = 0, new_states = 0;
    for (int calls = 0; true; ++calls) {
      const std::string path = stage.NewCopy();
      const pid_t child = fork();
      if (child == 0) {
        RemoveTemporaryNamesOnSignals(nullptr);
        deadly_signal = SIGTERM;
        calls_until_death = calls;
        c.change(path);
        _exit(0);
      }
      int status;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM : WEXITSTATUS(status) == 0) << calls;
      const bool survived = WIFEXITED(status);
      const absl::optional<IndexContent> state = StateOf(path);
      if (!state.has_value()) {
        EXPECT_FALSE(std::filesystem::exists(path)) << calls;
      } else if (state == stage.old_state) {
        EXPECT_EQ(FilesIn(path).size(), FilesOfIndex(*IndexDirectory::ReadManifest(path)).size() + 2) << calls;
      }
      ++(stage.CheckWhatIsLeft(path) ? new_states : old_states);
      if (survived) break;
    }
    EXPECT_GE(old_states, 3);
    EXPECT_GE(new_states, 2);
  }
}

TEST(IndexCrashTest, KilledAtRandomInstants) {
  std::mt19937_64 engine(1);
  int old_states = 0, new_states = 0;
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const Stage stage(c);
    const absl::Time start = absl::Now();
    c.change(stage.NewCopy());
    const double usual = absl::ToDoubleSeconds(absl::Now() - start);
    for (int kill_number = 0; kill_number < 17; ++kill_number) {
      const std::string path = stage.NewCopy();
      const pid_t child = fork();
      if (child == 0) {
        c.change(path);
        _exit(0);
      }
      absl::SleepFor(absl::Seconds(1.2 * usual * (engine() % 1000) / 1000));
      kill(child, SIGKILL);
      int status;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
      ++(stage.CheckWhatIsLeft(path) ? new_states : old_states);
    }
  }
  EXPECT_GT(old_states, 0);
  RecordProperty("old_states", old_states);
  RecordProperty("new_states", new_states);
}

// What a kill cannot show, but a loss of power would: each file is on the disk before it gets its name, the manifest
// gets its name last, and nothing is deleted before that is on the disk too.
TEST(IndexCrashTest, ManifestIsDurableAfterItsFilesAndBeforeDeletions) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const std::string path = NewIndexPath();
    for (const Change& before : c.before) before(path);
    trace.clear();
    c.change(path);
    std::vector<std::string> steps;
    for (const std::string& call : trace) {
      if (call != "write") steps.push_back(call);
    }
    SCOPED_TRACE(absl::StrJoin(steps, ", "));
    size_t manifest = 0;
    for (size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].rfind("rename ", 0) != 0) continue;
      ASSERT_GT(i, 0u);
      EXPECT_EQ(steps[i - 1], "sync");
      ASSERT_LT(i + 1, steps.size());
      EXPECT_EQ(steps[i + 1], "sync folder");
      EXPECT_EQ(manifest, 0u) << "a file got its name after the manifest";
      if (steps[i] == "rename MANIFEST") manifest = i;
    }
    ASSERT_GT(manifest, 0u);
    for (size_t i = 0; i < manifest; ++i) EXPECT_NE(steps[i], "unlink");
  }
}

}  // namespace
}  // namespace dpkde
