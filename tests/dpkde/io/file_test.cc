#include "dpkde/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dpkde/io/test_files.h"

namespace {
int fsync_errno = 0;      // fails with it if not 0
int renameat2_errno = 0;  // likewise
}  // namespace

// In place of the C library's.
extern "C" int fsync(int file) {
  if (fsync_errno != 0) {
    errno = fsync_errno;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fsync, file));
}

extern "C" int renameat2(int from_folder, const char* from, int to_folder, const char* to,
                         unsigned int flags) noexcept {
  if (renameat2_errno != 0) {
    errno = renameat2_errno;
    return -1;
  }
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr uint64_t kAnySize = uint64_t{1} << 40;

std::string Contents(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path, kAnySize);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

mode_t Mode(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

TEST(ReadFileTest, ReadsWholeFiles) {
  const std::string bytes("a\0b\r\n", 5);
  EXPECT_EQ(*ReadFile(MakeFile("file", bytes), 5), bytes);
  EXPECT_EQ(*ReadFile(MakeFile("empty", ""), 0), "");
  const std::string large(3000000, 'x');
  EXPECT_EQ(*ReadFile(MakeFile("large", large), kAnySize), large);
}

TEST(ReadFileTest, RefusesLargeFiles) {
  const std::string path = MakeFile("file", "abcdef");
  EXPECT_EQ(ReadFile(path, 5).status(),
            absl::InvalidArgumentError(absl::StrCat(path, ": has 6 bytes; at most 5 are accepted")));
}

TEST(ReadFileTest, ReadsBeginnings) {
  const std::string path = MakeFile("file", "abcdef");
  EXPECT_EQ(*ReadBeginning(path, 4), "abcd");
  EXPECT_EQ(*ReadBeginning(path, 7), "abcdef");
  EXPECT_EQ(*ReadBeginning(MakeFile("empty", ""), 4), "");
  EXPECT_EQ(ReadBeginning("/", 5).status(), absl::UnavailableError("/: is a folder, not a file"));
}

TEST(ReadFileTest, RefusesWhatIsNoRegularFile) {
  const std::string path = NewPath("absent");
  EXPECT_EQ(ReadFile(path, 5).status(), absl::NotFoundError(absl::StrCat(path, ": does not exist")));
  const std::string below_file = MakeFile("file", "") + "/absent";
  EXPECT_EQ(ReadFile(below_file, 5).status(), absl::NotFoundError(absl::StrCat(below_file, ": does not exist")));
  EXPECT_EQ(ReadFile("/", 5).status(), absl::UnavailableError("/: is a folder, not a file"));
  EXPECT_EQ(ReadFile("/dev/null", 5).status(), absl::UnavailableError("/dev/null: is not a regular file"));
  const std::string loop = NewPath("loop");
  std::filesystem::create_symlink("loop", loop);
  EXPECT_EQ(ReadFile(loop, 5).status(),
            absl::UnavailableError(absl::StrCat(loop, ": cannot be opened: Too many levels of symbolic links")));
}

TEST(ReadFileTest, DoesNotWaitForTheWriterOfAPipe) {
  const std::string pipe = NewPath("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(ReadFile(pipe, 5).status(), absl::UnavailableError(absl::StrCat(pipe, ": is not a regular file")));
}

TEST(WriteFileAtomicallyTest, HonoursTheUmaskForWhatIsPublic) {
  for (const mode_t mask : {0, 022, 027, 077}) {
    const std::string path = NewPath("file"), ledger = NewPath("ledger");
    const mode_t old_mask = umask(mask);
    const absl::Status status = WriteFileAtomically(path, "bytes", false);
    const absl::Status again = WriteFileAtomically(path, "bytes", true);
    const absl::Status owned = WriteFileAtomically(ledger, "bytes", false, FileKind::kLedger);
    umask(old_mask);
    EXPECT_EQ(status, absl::OkStatus());
    EXPECT_EQ(again, absl::OkStatus());
    EXPECT_EQ(owned, absl::OkStatus());
    EXPECT_EQ(Contents(path), "bytes");
    EXPECT_EQ(Mode(path), 0666 & ~mask);
    EXPECT_EQ(Mode(ledger), 0600);
    EXPECT_THAT(Siblings(path), ElementsAre("file"));
  }
}

TEST(AtomicFileWriterTest, IsPrivateUntilItIsComplete) {
  const std::string path = NewPath("file");
  const mode_t old_mask = umask(0);
  const auto writer = AtomicFileWriter::Create(path, false);
  umask(old_mask);
  ASSERT_TRUE(writer.ok()) << writer.status();
  const std::string temporary = std::filesystem::path(path).parent_path() / Siblings(path).at(0);
  EXPECT_EQ(Mode(temporary), 0600);
  EXPECT_EQ((*writer)->Commit(), absl::OkStatus());
  EXPECT_EQ(Mode(path), 0666);
}

TEST(WriteFileAtomicallyTest, WritesIntoTheWorkingFolder) {
  const std::string path = NewPath("file");
  const std::filesystem::path old_folder = std::filesystem::current_path();
  std::filesystem::current_path(std::filesystem::path(path).parent_path());
  const absl::Status status = WriteFileAtomically("file", "bytes", false);
  std::filesystem::current_path(old_folder);
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_EQ(Contents(path), "bytes");
}

TEST(WriteFileAtomicallyTest, AcceptsNamesAsLongAsTheFileSystemDoes) {
  const std::string path = NewPath(std::string(255, 'n'));
  EXPECT_EQ(WriteFileAtomically(path, "bytes", false), absl::OkStatus());
  EXPECT_EQ(Contents(path), "bytes");
  const std::string too_long = NewPath(std::string(256, 'n'));
  EXPECT_EQ(WriteFileAtomically(too_long, "bytes", false),
            absl::UnavailableError(absl::StrCat(too_long, ": cannot be examined: File name too long")));
}

TEST(WriteFileAtomicallyTest, ReplacesOnlyWhenAsked) {
  const std::string path = MakeFile("file", "old");
  EXPECT_EQ(WriteFileAtomically(path, "new", false), absl::AlreadyExistsError(absl::StrCat(path, ": already exists")));
  EXPECT_EQ(Contents(path), "old");
  EXPECT_EQ(WriteFileAtomically(path, "new", true), absl::OkStatus());
  EXPECT_EQ(Contents(path), "new");
  EXPECT_EQ(WriteFileAtomically(NewPath("absent"), "new", true), absl::OkStatus());
  EXPECT_THAT(Siblings(path), ElementsAre("file"));
}

TEST(WriteFileAtomicallyTest, ReplacesNeitherFoldersNorDevices) {
  const std::string folder = NewPath("folder");
  std::filesystem::create_directory(folder);
  EXPECT_EQ(WriteFileAtomically(folder, "new", true),
            absl::UnavailableError(absl::StrCat(folder, ": is not a regular file, so it is not replaced")));
  EXPECT_EQ(WriteFileAtomically("/dev/null", "new", true),
            absl::UnavailableError("/dev/null: is not a regular file, so it is not replaced"));
  EXPECT_THAT(Siblings(folder), ElementsAre("folder"));
}

TEST(WriteFileAtomicallyTest, RefusesPathsWithoutAFileOrAFolder) {
  for (const std::string path : {"", "/", "/tmp/", ".", "/tmp/.."}) {
    EXPECT_EQ(WriteFileAtomically(path, "", true),
              absl::InvalidArgumentError(absl::StrCat(path, ": does not end with the name of a file")));
  }
  const std::string folder = NewPath("absent");
  EXPECT_EQ(WriteFileAtomically(folder + "/file", "", true),
            absl::NotFoundError(absl::StrCat(folder, "/file: the folder ", folder, " does not exist")));
  const std::string file = MakeFile("file", "");
  EXPECT_EQ(
      WriteFileAtomically(file + "/file", "", true),
      absl::UnavailableError(absl::StrCat(file, "/file: the folder ", file, " cannot be opened: Not a directory")));
}

TEST(AtomicFileWriterTest, JoinsPiecesOfEverySize) {
  const std::string path = NewPath("file");
  const auto writer = AtomicFileWriter::Create(path, false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  std::string expected;
  for (const size_t size : {0, 1, 10, 65535, 3, 65536, 1, 65534, 1, 1, 1000000, 7}) {
    const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
    EXPECT_EQ((*writer)->Append(piece), absl::OkStatus());
    expected += piece;
  }
  EXPECT_EQ((*writer)->Commit(), absl::OkStatus());
  EXPECT_EQ(Contents(path), expected);
}

TEST(AtomicFileWriterTest, WritesNothingWithoutCommit) {
  const std::string path = NewPath("file");
  {
    const auto writer = AtomicFileWriter::Create(path, false);
    EXPECT_EQ((*writer)->Append(std::string(100000, 'x')), absl::OkStatus());
    const std::vector<std::string> names = Siblings(path);
    ASSERT_EQ(names.size(), 1);
    EXPECT_THAT(names[0], StartsWith(".dpkde-tmp-"));
  }
  EXPECT_THAT(Siblings(path), IsEmpty());
}

TEST(AtomicFileWriterTest, KeepsTheOldFileUntilCommit) {
  const std::string path = MakeFile("file", "old");
  const auto writer = AtomicFileWriter::Create(path, true);
  EXPECT_EQ((*writer)->Append("new"), absl::OkStatus());
  EXPECT_EQ(Contents(path), "old");
  EXPECT_EQ((*writer)->Commit(), absl::OkStatus());
  EXPECT_EQ(Contents(path), "new");
}

TEST(AtomicFileWriterTest, EndsWithCommit) {
  const std::string path = NewPath("file");
  const auto writer = AtomicFileWriter::Create(path, false);
  EXPECT_EQ((*writer)->Commit(), absl::OkStatus());
  const absl::Status refusal = absl::FailedPreconditionError(absl::StrCat(path, ": has already been written"));
  EXPECT_EQ((*writer)->Append("x"), refusal);
  EXPECT_EQ((*writer)->Commit(), refusal);
  EXPECT_EQ(Contents(path), "");
}

// Everything that depends on how a file is moved to a place that must be free.
class AtomicFileWriterMoveTest : public ::testing::TestWithParam<int> {
 protected:
  AtomicFileWriterMoveTest() { renameat2_errno = GetParam(); }
  ~AtomicFileWriterMoveTest() override { renameat2_errno = 0; }
};

TEST_P(AtomicFileWriterMoveTest, MovesToAFreePlace) {
  const std::string path = NewPath("file");
  EXPECT_EQ(WriteFileAtomically(path, "bytes", false), absl::OkStatus());
  EXPECT_EQ(Contents(path), "bytes");
  EXPECT_THAT(Siblings(path), ElementsAre("file"));
}

TEST_P(AtomicFileWriterMoveTest, LosesARaceWithoutReplacing) {
  const std::string path = NewPath("file");
  const auto writer = AtomicFileWriter::Create(path, false);
  EXPECT_EQ((*writer)->Append("ours"), absl::OkStatus());
  std::ofstream(path) << "theirs";
  // A race is no mistake of the command line, as a file that was there before is.
  const absl::Status refusal =
      absl::UnavailableError(absl::StrCat(path, ": another process has written it meanwhile"));
  EXPECT_EQ((*writer)->CheckTarget(), refusal);
  EXPECT_EQ((*writer)->Commit(), refusal);
  EXPECT_EQ((*writer)->Commit(), refusal);
  EXPECT_EQ(Contents(path), "theirs");
  EXPECT_THAT(Siblings(path), ElementsAre("file"));
}

INSTANTIATE_TEST_SUITE_P(Renameat2, AtomicFileWriterMoveTest, ::testing::Values(0, EINVAL, ENOSYS, ENOTSUP));

TEST(AtomicFileWriterTest, ReportsThatItCannotMove) {
  const std::string path = NewPath("file");
  renameat2_errno = EIO;
  const absl::Status status = WriteFileAtomically(path, "bytes", false);
  renameat2_errno = 0;
  EXPECT_EQ(status, absl::UnavailableError(absl::StrCat(path, ": cannot be moved to its place: Input/output error")));
  EXPECT_THAT(Siblings(path), IsEmpty());
}

TEST(AtomicFileWriterTest, ReportsThatItCannotSynchronize) {
  const std::string path = NewPath("file");
  fsync_errno = EIO;
  const absl::Status status = WriteFileAtomically(path, "bytes", false);
  fsync_errno = 0;
  EXPECT_EQ(status, absl::UnavailableError(absl::StrCat(path, ": cannot be written to its disk: Input/output error")));
  EXPECT_THAT(Siblings(path), IsEmpty());
}

TEST(AtomicFileWriterTest, ReadsBackWhatItWrote) {
  for (const bool longer : {false, true}) {
    const std::string path = NewPath("file");
    const auto writer = AtomicFileWriter::Create(path, false);
    EXPECT_EQ((*writer)->Append(std::string(100000, 'x')), absl::OkStatus());
    // Somebody, or a failing disk, changes the temporary file.
    const std::string temporary = std::filesystem::path(path).parent_path() / Siblings(path).at(0);
    std::fstream file(temporary, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(longer ? 100000 : 99999) << "y";
    file.close();
    EXPECT_EQ((*writer)->Commit(),
              absl::DataLossError(absl::StrCat(path, ": what was read back differs from what was written")));
    EXPECT_THAT(Siblings(path), IsEmpty());
  }
}

TEST(AtomicFileWriterTest, ReportsAFullDiskAndLeavesNothing) {
  // The nearest to a full disk: a limit of the size of files. Beyond it a write is first short, then fails.
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto restore = absl::MakeCleanup([&] {
    setrlimit(RLIMIT_FSIZE, &old_limit);
    signal(SIGXFSZ, old_handler);
  });
  const std::string path = NewPath("file");
  const absl::Status refusal = absl::UnavailableError(absl::StrCat(path, ": cannot be written: File too large"));

  rlimit limit = old_limit;
  limit.rlim_cur = 300000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  // At once in a large piece, later in small ones, at the latest in Commit().
  {
    const auto writer = AtomicFileWriter::Create(path, false);
    EXPECT_EQ((*writer)->Append(std::string(300001, 'x')), refusal);
    EXPECT_THAT(Siblings(path), IsEmpty()) << "removed by the error, not only by the destructor";
    EXPECT_EQ((*writer)->Append("x"), refusal);
    EXPECT_EQ((*writer)->Commit(), refusal);
  }
  {
    const auto writer = AtomicFileWriter::Create(path, false);
    absl::Status status;
    for (int i = 0; i < 400 && status.ok(); ++i) status = (*writer)->Append(std::string(1000, 'x'));
    EXPECT_EQ(status, refusal);
    EXPECT_THAT(Siblings(path), IsEmpty());
  }
  {
    const auto writer = AtomicFileWriter::Create(path, false);
    EXPECT_EQ((*writer)->Append(std::string(300000, 'x')), absl::OkStatus());
    EXPECT_EQ((*writer)->Append("x"), absl::OkStatus());
    EXPECT_EQ((*writer)->Commit(), refusal);
    EXPECT_THAT(Siblings(path), IsEmpty());
  }
  EXPECT_EQ(WriteFileAtomically(path, std::string(300000, 'x'), false), absl::OkStatus());
}

}  // namespace
}  // namespace dpkde
