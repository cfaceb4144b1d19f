// Where outputs go, who may read them, and what is left when something comes between: other processes, signals, full
// disks.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "dpkde/io/file.h"
#include "dpkde/privacy/budget_ledger.h"
#include "tests/tools/command.h"
#include "tests/tools/refusal.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OutputFilesTest : public ::testing::Test {
 protected:
  OutputFilesTest() {
    std::string rows;
    for (int i = 0; i < 60; ++i) rows += absl::StrCat(i % 5, ".25,", i % 3, ".5\n");
    rows_ = inputs_.Write("rows.csv", rows);
    lens_ = inputs_.Write("lens.csv", "20\n20\n20\n");
    config_ = inputs_.Write("config", "encoder { fde { repetitions: 2 hyperplanes: 1 } }\n");
    ledger_ = inputs_.Path("ledger");
    Run("dpkde_build", {"ledger", "--ledger=" + ledger_, "--dataset=d", "--budget_epsilon=2", "--neighboring=add_remove"});
  }

  static CommandResult Run(const std::string& tool, const std::vector<std::string>& arguments) {
    const CommandResult result = RunCommand(tool, arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result;
  }

  std::vector<std::string> Density(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"density",          "--input=" + rows_,     "--similarity=gaussian",
                                    "--bandwidth=1",    "--domain_min=0,0",     "--domain_max=5,5",
                                    "--epsilon=1",      "--neighboring=add_remove", "--expected_n=60"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<std::string> Paid(const std::vector<std::string>& more) const {
    std::vector<std::string> all = Density(more);
    all.insert(all.end(), {"--ledger=" + ledger_, "--dataset=d"});
    return all;
  }
  std::vector<std::string> Encode(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"encode", "--tokens=" + rows_, "--lens=" + lens_, "--role=document",
                                    "--config=" + config_};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  int Entries() const {
    const auto ledger = BudgetLedger::Read(ledger_);
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    return ledger.ok() ? ledger->message().entry_size() : -1;
  }

  const Folder inputs_, out_;
  std::string rows_, lens_, config_, ledger_;
};

TEST_F(OutputFilesTest, LinksStayAndTheirTargetsAreWritten) {
  const std::string target = out_.Path("target"), link = out_.Path("link");
  std::filesystem::create_symlink("target", link);
  Run("dpkde_build", Density({"--output=" + link}));  // the link led to nothing
  EXPECT_EQ(std::filesystem::read_symlink(link), "target");
  Run("dpkde_query", {"describe", target});
  const std::string first = FileBytes(target);
  ExpectRefusal(RunCommand("dpkde_build", Density({"--output=" + link})), "dpkde_build", 1,
                {"--output=" + link, "already exists", "--overwrite"});
  Run("dpkde_build", Density({"--output=" + link, "--overwrite"}));
  EXPECT_EQ(std::filesystem::read_symlink(link), "target");
  EXPECT_NE(FileBytes(target), first);
  EXPECT_THAT(out_.List(), ElementsAre("link", "target"));
}

// As a link to the standard output of this process was replaced once.
TEST_F(OutputFilesTest, DevicesAreNotReplaced) {
  const std::string link = out_.Path("link");
  std::filesystem::create_symlink("/dev/null", link);
  for (const std::string& path : {std::string("/dev/null"), link}) {
    for (const std::string overwrite : {"--overwrite", "--nooverwrite"}) {
      ExpectRefusal(RunCommand("dpkde_build", Paid({"--output=" + path, overwrite})), "dpkde_build", 5,
                    {path, "is not a regular file"});
    }
  }
  EXPECT_EQ(std::filesystem::read_symlink(link), "/dev/null");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_EQ(Entries(), 0);
}

TEST_F(OutputFilesTest, StandardOutputGetsTheBytes) {
  const std::string link = out_.Path("link");
  std::filesystem::create_symlink("/proc/self/fd/1", link);
  for (const std::string& path : {std::string("-"), std::string("/dev/stdout"), std::string("/dev/fd/1"), link}) {
    const CommandResult density = Run("dpkde_build", Density({"--output=" + path}));
    const std::string copy = out_.Write("copy", density.out);
    EXPECT_THAT(Run("dpkde_query", {"describe", copy}).out, HasSubstr("similarity"));
    EXPECT_EQ(Run("dpkde_build", Encode({"--output=" + path})).out.substr(1, 5), "NUMPY");
    EXPECT_EQ(Run("dpkde_query", {"plot", "--release=" + copy, "--width=16", "--output=" + path}).out.substr(1, 3), "PNG");
  }
  EXPECT_EQ(std::filesystem::read_symlink(link), "/proc/self/fd/1");
  // The same bytes as in a file.
  Run("dpkde_build", Encode({"--output=" + out_.Path("vectors.npy")}));
  EXPECT_EQ(Run("dpkde_build", Encode({"--output=-"})).out, FileBytes(out_.Path("vectors.npy")));

  ExpectRefusal(RunCommand("dpkde_build", Density({"--output=-", "--summary_out=/dev/stdout"})), "dpkde_build", 1,
                {"--output and --summary_out are the same file"});
  ExpectRefusal(RunCommand("dpkde_build", {"index", "--input=" + rows_, "--output=-"}), "dpkde_build", 1, {"directory"});
}

TEST_F(OutputFilesTest, StandardOutputThatCannotBeWrittenCostsNothing) {
  Surroundings closed;
  closed.standard_output = Surroundings::kClosed;
  EXPECT_EQ(RunCommand("dpkde_build", Paid({"--output=-"}), closed).exit_code, 5);
  EXPECT_EQ(Entries(), 0);
  // That nobody listens is found when it is written: then it says what it has cost.
  for (const auto kind : {Surroundings::kPipeWithoutReader, Surroundings::kFullDevice}) {
    Surroundings surroundings;
    surroundings.standard_output = kind;
    ExpectRefusal(RunCommand("dpkde_build", Paid({"--output=-"}), surroundings), "dpkde_build", 5,
                  {"-: cannot be written", absl::StrCat("epsilon = 1 stays booked as pending entry ", Entries() + 1,
                                                        " of ", ledger_)});
  }
  EXPECT_EQ(Entries(), 2);
}

TEST_F(OutputFilesTest, PipesAreWritten) {
  const std::string pipe = out_.Path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string bytes;
  std::thread reader([&] { bytes = FileBytes(pipe); });
  Run("dpkde_build", Density({"--output=" + pipe}));
  reader.join();
  Run("dpkde_query", {"describe", out_.Write("copy", bytes)});
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  // Nobody reads: refused before anything is paid.
  ExpectRefusal(RunCommand("dpkde_build", Paid({"--output=" + pipe})), "dpkde_build", 5, {"is a pipe that nobody reads"});
  EXPECT_EQ(Entries(), 0);
}

TEST_F(OutputFilesTest, WhatIsPublicHonoursTheUmask) {
  const auto mode = [](const std::filesystem::path& path) {
    struct stat info = {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  };
  for (const mode_t mask : {0022, 0027, 0002}) {
    const Folder out;
    const mode_t old_mask = umask(mask);
    const std::string index = out.Path("index");
    Run("dpkde_build", {"ledger", "--ledger=" + out.Path("ledger"), "--dataset=d", "--budget_epsilon=2",
                        "--neighboring=add_remove"});
    Run("dpkde_build", Density({"--output=" + out.Path("release"), "--summary_out=" + out.Path("summary"),
                                "--ledger=" + out.Path("ledger"), "--dataset=d"}));
    Run("dpkde_build", Encode({"--output=" + out.Path("v.npy"), "--encoder_out=" + out.Path("encoder"),
                               "--scales_out=" + out.Path("scales.npy"), "--output_type=i1"}));
    Run("dpkde_query", {"plot", "--release=" + out.Path("release"), "--width=16", "--output=" + out.Path("map.png")});
    Run("dpkde_build", {"index", "--input=" + rows_, "--output=" + index, "--summary_out=" + out.Path("index_summary")});
    const auto check = [&] {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(out.path())) {
        const mode_t full = entry.is_directory() ? 0777 : 0666;
        EXPECT_EQ(mode(entry.path()), entry.path().filename() == "ledger" ? 0600 : full & ~mask) << entry.path();
      }
    };
    check();
    Run("dpkde_build", {"add", "--index=" + index, "--input=" + rows_});
    check();
    Run("dpkde_build", {"remove", "--index=" + index, "--ids=" + inputs_.Write("ids.txt", "3\n7\n")});
    check();
    Run("dpkde_build", {"compact", "--index=" + index});
    check();
    umask(old_mask);
  }
}

TEST_F(OutputFilesTest, ALostRaceCostsNothing) {
  const std::string output = out_.Path("out"), summary = out_.Path("summary");
  for (const std::string& name : {output, summary}) {
    // Another process is writing the same file.
    const auto other = AtomicFileWriter::Create(name, false);
    ASSERT_TRUE(other.ok());
    for (const std::string overwrite : {"--overwrite", "--nooverwrite"}) {
      ExpectRefusal(RunCommand("dpkde_build", Paid({"--output=" + output, "--summary_out=" + summary, overwrite})),
                    "dpkde_build", 5, {name, "is being written by another process"});
    }
  }
  EXPECT_EQ(Entries(), 0);
  EXPECT_THAT(out_.List(), IsEmpty());
}

// Two at once: one is made, and one entry is in the ledger, whoever wins.
TEST_F(OutputFilesTest, OfTwoBuildsOnePays) {
  const std::string output = out_.Path("out");
  CommandResult results[2];
  std::thread first([&] { results[0] = RunCommand("dpkde_build", Paid({"--output=" + output})); });
  results[1] = RunCommand("dpkde_build", Paid({"--output=" + output}));
  first.join();
  const bool first_won = results[0].exit_code == 0;
  const CommandResult &winner = results[!first_won], &loser = results[first_won];
  EXPECT_EQ(winner.exit_code, 0) << winner.err;
  // 1: it saw the finished file at its start.
  EXPECT_TRUE(loser.exit_code == 5 || loser.exit_code == 1) << loser.err;
  EXPECT_EQ(Entries(), 1);
  EXPECT_THAT(out_.List(), ElementsAre("out"));
}

TEST_F(OutputFilesTest, AFullDiskCostsNothing) {
  // Larger than the file system.
  const std::vector<std::string> large = {"--design=monte_carlo", "--features=2048", "--output=" + out_.Path("out")};
  Surroundings surroundings;
  surroundings.tiny_file_system = out_.path();
  const CommandResult result = RunCommand("dpkde_build", Paid(large), surroundings);
  if (result.exit_code == kNoFileSystem) GTEST_SKIP() << "cannot mount a file system";
  ExpectRefusal(result, "dpkde_build", 5, {out_.Path("out"), "bytes cannot be reserved", "No space left on device"});
  EXPECT_EQ(Entries(), 0);
}

TEST_F(OutputFilesTest, AFileSizeLimitCostsNothing) {
  Surroundings surroundings;
  surroundings.file_size_limit = 4096;  // enough for the ledger
  ExpectRefusal(RunCommand("dpkde_build",
                           Paid({"--design=monte_carlo", "--features=2048", "--output=" + out_.Path("out")}), surroundings),
                "dpkde_build", 5, {out_.Path("out"), "bytes cannot be reserved", "File too large"});
  EXPECT_EQ(Entries(), 0);
  EXPECT_THAT(out_.List(), IsEmpty());
}

// A command in the background, whose stderr is kept.
class Background {
 public:
  Background(const std::string& tool, const std::vector<std::string>& arguments) : err_(memfd_create("stderr", 0)) {
    std::vector<char*> pointers = {const_cast<char*>(tool.c_str())};
    for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    const std::string path = "tools/" + tool;
    child_ = fork();
    if (child_ == 0) {
      dup2(err_, STDERR_FILENO);
      execv(path.c_str(), pointers.data());
      _exit(127);
    }
  }
  ~Background() { close(err_); }

  void Signal(int number) { kill(child_, number); }

  // The exit code, or minus the signal.
  int Wait() {
    int status = 0;
    EXPECT_EQ(waitpid(child_, &status, 0), child_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::string err() const {
    std::string text(lseek(err_, 0, SEEK_END), 0);
    EXPECT_EQ(pread(err_, &text[0], text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }

 private:
  const int err_;
  pid_t child_;
};

template <typename Condition>
void WaitUntil(Condition condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

// While the command waits for the ledger, which another process has, its outputs are claimed and nothing is paid.
TEST_F(OutputFilesTest, SignalsLeaveNothingBehind) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    const int lock = open(ledger_.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(flock(lock, LOCK_EX), 0);
    Background build("dpkde_build", Paid({"--output=" + out_.Path("out"), "--summary_out=" + out_.Path("summary")}));
    WaitUntil([&] { return out_.List().size() == 2; });
    build.Signal(number);
    EXPECT_EQ(build.Wait(), -number);
    close(lock);
    EXPECT_THAT(out_.List(), IsEmpty());
    EXPECT_THAT(inputs_.List(), ElementsAre("config", "ledger", "lens.csv", "rows.csv"));
    EXPECT_EQ(Entries(), 0);
  }
}

// A killed one leaves its claims, and the next command into that folder takes them away, whatever it makes there.
TEST_F(OutputFilesTest, WhatAKillLeavesIsSwept) {
  const int lock = open(ledger_.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  Background build("dpkde_build", Paid({"--output=" + out_.Path("out"), "--summary_out=" + out_.Path("summary")}));
  WaitUntil([&] { return out_.List().size() == 2; });
  build.Signal(SIGKILL);
  EXPECT_EQ(build.Wait(), -SIGKILL);
  close(lock);
  EXPECT_EQ(out_.List().size(), 2u);
  out_.Write(".dpkde-tmp-of somebody else", "notes");
  Run("dpkde_build", Density({"--output=" + out_.Path("another")}));
  EXPECT_THAT(out_.List(), ElementsAre(".dpkde-tmp-of somebody else", "another"));
  Run("dpkde_build", Density({"--output=" + out_.Path("out")}));
}

// A release that goes into a pipe that is full: it is paid, and a signal says so.
TEST_F(OutputFilesTest, ASignalAfterThePaymentSaysWhatIsBooked) {
  const std::string pipe = out_.Path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  Background build("dpkde_build", Paid({"--design=monte_carlo", "--features=32768", "--output=" + pipe, "--quiet"}));
  pollfd written = {reader, POLLIN, 0};
  ASSERT_EQ(poll(&written, 1, -1), 1);
  build.Signal(SIGTERM);
  EXPECT_EQ(build.Wait(), -SIGTERM);
  close(reader);
  EXPECT_EQ(Entries(), 1);
  EXPECT_EQ(build.err(), "interrupted; epsilon = 1 stays booked as pending entry 1 of " + ledger_ + "\n");
}

TEST_F(OutputFilesTest, WritersOfAnIndexWait) {
  const std::string index = out_.Path("index");
  Run("dpkde_build", {"index", "--input=" + rows_, "--output=" + index});
  int lock = open((index + "/LOCK").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  const std::string ids = inputs_.Write("ids.txt", "3\n");
  const std::vector<std::vector<std::string>> writers = {{"remove", "--index=" + index, "--ids=" + ids},
                                                         {"add", "--index=" + index, "--input=" + rows_},
                                                         {"compact", "--index=" + index},
                                                         {"index", "--input=" + rows_, "--output=" + index, "--overwrite"}};
  for (const std::vector<std::string>& writer : writers) {
    for (const std::string wait : {"", "--wait=0", "--wait=0.2"}) {
      std::vector<std::string> command = writer;
      if (!wait.empty()) command.push_back(wait);
      ExpectRefusal(RunCommand("dpkde_build", command), "dpkde_build", 5, {index, "is being changed by another process"});
    }
    for (const std::string wait : {"--wait=-1", "--wait=soon"}) {
      std::vector<std::string> command = writer;
      command.push_back(wait);
      ExpectRefusal(RunCommand("dpkde_build", command), "dpkde_build", 1, {"wait"});
    }
  }
  for (const std::vector<std::string>& writer : writers) {
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      close(lock);
    });
    std::vector<std::string> command = writer;
    command.push_back("--wait");
    Run("dpkde_build", command);
    other.join();
    lock = open((index + "/LOCK").c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(flock(lock, LOCK_EX), 0);
  }
  close(lock);
}

}  // namespace
}  // namespace dpkde
