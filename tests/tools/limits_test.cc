#include "tests/testing/limits.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/tools/command.h"
#include "tests/tools/vector_files.h"

// Machines with less than the tools would like: no threads, little memory. And what they leave behind when they die.

namespace dpkde {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class LimitsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new Folder;
    folder_->Write("records.npy", Npy(TwoColumns(3000), 2));
    folder_->Write("queries.npy", Npy(TwoColumns(2000), 2));
    folder_->Write("vectors.npy", Npy(TwoColumns(3000 * 4), 8));
    folder_->Write("vector_queries.npy", Npy(TwoColumns(200), 8));
    folder_->Write("hnsw.txt", "vector_index { kind: HNSW }\n");
    folder_->Write("ivf.txt", "vector_index { kind: IVF codes: PQ8 }\n");
    Expect(Density("release"), 0);
    Expect(Index("ivf.txt", "index"), 0);
  }

  static void Expect(const CommandResult& result, int exit_code) {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
  }

  static CommandResult Density(const std::string& output, const Surroundings& surroundings = {}, int threads = 2) {
    return RunCommand("dpkde_build",
                      {"density", "--input=" + folder_->Path("records.npy"), "--similarity=gaussian", "--bandwidth=1",
                       "--domain_min=0,0", "--domain_max=4,4", "--epsilon=1", "--neighboring=add_remove", "--overwrite",
                       "--output=" + folder_->Path(output), absl::StrCat("--threads=", threads)},
                      surroundings);
  }
  static CommandResult Query(const Surroundings& surroundings = {}, int threads = 2) {
    return RunCommand("dpkde_query",
                      {"density", "--release=" + folder_->Path("release"), "--queries=" + folder_->Path("queries.npy"),
                       absl::StrCat("--threads=", threads)},
                      surroundings);
  }
  static CommandResult Index(const std::string& config, const std::string& output,
                             const Surroundings& surroundings = {}, int threads = 2) {
    return RunCommand("dpkde_build",
                      {"index", "--input=" + folder_->Path("vectors.npy"), "--config=" + folder_->Path(config),
                       "--overwrite", "--output=" + folder_->Path(output), absl::StrCat("--threads=", threads)},
                      surroundings);
  }
  static CommandResult Search(const std::string& index, const Surroundings& surroundings = {}, int threads = 2) {
    return RunCommand("dpkde_query",
                      {"search", "--index=" + folder_->Path(index), "--queries=" + folder_->Path("vector_queries.npy"),
                       "--k=5", absl::StrCat("--threads=", threads)},
                      surroundings);
  }

  static Folder* folder_;
};
Folder* LimitsTest::folder_ = nullptr;

TEST_F(LimitsTest, WithoutThreadsEverythingIsDoneByOne) {
  Surroundings alone;
  alone.without_threads = true;
  for (const int threads : {0, 64}) {
    Expect(Density("density_alone", alone, threads), 0);
    const CommandResult queried = Query(alone, threads);
    Expect(queried, 0);
    EXPECT_EQ(queried.out, Query().out);
    const CommandResult found = Search("index", alone, threads);
    Expect(found, 0);
    EXPECT_EQ(found.out, Search("index").out);
    for (const std::string config : {"hnsw.txt", "ivf.txt"}) {
      Expect(Index(config, "index_alone", alone, threads), 0);
      Expect(Search("index_alone", {}, threads), 0);
    }
  }
}

TEST_F(LimitsTest, MoreThreadsThanAddressSpaceHasRoomForAreFewerThreads) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes all address space";
  Surroundings limited;
  limited.address_space_limit = uint64_t{2000000} << 10;
  Expect(Density("density_limited", limited, 256), 0);
  const CommandResult queried = Query(limited, 256);
  Expect(queried, 0);
  EXPECT_EQ(queried.out, Query().out);
  Expect(Index("ivf.txt", "index_limited", limited, 256), 0);
  Expect(Index("hnsw.txt", "index_limited", limited, 256), 0);
  const CommandResult found = Search("index", limited, 256);
  Expect(found, 0);
  EXPECT_EQ(found.out, Search("index").out);
}

// Whatever the limit, a run ends: well, or as out of memory. So little that the program itself cannot be loaded is the
// loader's error.
TEST_F(LimitsTest, LittleMemoryIsExitCode70AndNeverAHang) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes all address space";
  int out_of_memory = 0;
  for (const uint64_t megabytes : {60, 80, 100, 120, 150, 190, 220, 260, 320, 400, 500}) {
    Surroundings limited;
    limited.address_space_limit = megabytes << 20;
    for (const CommandResult& result : {Density("density_limited", limited), Query(limited),
                                        Index("ivf.txt", "index_limited", limited), Search("index", limited)}) {
      EXPECT_THAT(result.exit_code, AnyOf(0, 70, 127)) << megabytes << ": " << result.err;
      if (result.exit_code == 127) {
        EXPECT_THAT(result.err, HasSubstr("error while loading shared libraries"));
      }
      if (result.exit_code == 70) {
        EXPECT_THAT(result.err, HasSubstr("out of memory")) << megabytes;
        ++out_of_memory;
      }
      if (megabytes == 500) Expect(result, 0);
    }
  }
  EXPECT_GT(out_of_memory, 0);
}

// The line of /proc/PID/limits about core files.
std::string CoreLimit(pid_t process) {
  std::ifstream limits(absl::StrCat("/proc/", process, "/limits"));
  for (std::string line; std::getline(limits, line);) {
    if (line.rfind("Max core file size", 0) == 0) return line;
  }
  return "";
}

TEST_F(LimitsTest, ACrashLeavesNoCore) {
  const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  if (setrlimit(RLIMIT_CORE, &unlimited) != 0) GTEST_SKIP() << "no core files here anyway";
  const std::string path = std::filesystem::absolute("tools/dpkde_query");
  const Folder empty;
  int input[2];
  ASSERT_EQ(pipe(input), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(input[0], STDIN_FILENO);
    close(input[1]);
    const std::string release = "--release=" + folder_->Path("release");
    if (chdir(empty.path().c_str()) == 0) {
      execl(path.c_str(), "dpkde_query", "density", release.c_str(), "--queries=-", static_cast<char*>(nullptr));
    }
    _exit(255);
  }
  // It waits for queries; it has set its limits as soon as they differ from ours.
  const std::string ours = CoreLimit(getpid());
  EXPECT_THAT(ours, HasSubstr("unlimited"));
  std::string theirs = ours;
  while (theirs == ours) {
    usleep(1000);
    theirs = CoreLimit(child);
  }
  EXPECT_THAT(theirs, testing::ContainsRegex("size +0 +0 "));
  ASSERT_EQ(kill(child, SIGABRT), 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(WCOREDUMP(status));
  EXPECT_THAT(empty.List(), testing::IsEmpty());
  close(input[0]);
  close(input[1]);
}

}  // namespace
}  // namespace dpkde
