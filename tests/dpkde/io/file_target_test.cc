// What an AtomicFileWriter writes to: links, pipes, descriptors, names that others have, and ledgers, which it spares.

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dpkde/io/test_files.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kLeftover[] = ".dpkde-tmp-f0123456789abcdef";

std::string Contents(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path, 1 << 20);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

std::string Folder(const std::string& path) { return std::filesystem::path(path).parent_path(); }

std::string ReadAll(int file) {
  std::string bytes;
  char byte;
  while (read(file, &byte, 1) == 1) bytes += byte;
  return bytes;
}

TEST(FileLinkTest, TheLinkStaysAndItsTargetIsWritten) {
  const std::string target = MakeFile("target", "old");
  const std::string link = NewPath("link"), chain = NewPath("chain");
  std::filesystem::create_symlink(target, link);
  std::filesystem::create_symlink(link, chain);
  EXPECT_EQ(WriteFileAtomically(chain, "new", false),
            absl::AlreadyExistsError(absl::StrCat(chain, ": already exists")));
  EXPECT_EQ(Contents(target), "old");
  EXPECT_EQ(WriteFileAtomically(chain, "new", true), absl::OkStatus());
  EXPECT_EQ(Contents(target), "new");
  EXPECT_EQ(std::filesystem::read_symlink(chain), link);
  EXPECT_EQ(std::filesystem::read_symlink(link), target);
  EXPECT_THAT(Siblings(target), ElementsAre("target"));
  EXPECT_THAT(Siblings(chain), ElementsAre("chain"));
}

TEST(FileLinkTest, ALinkToNothingGetsItsTarget) {
  const std::string link = NewPath("link");
  std::filesystem::create_symlink("target", link);
  EXPECT_EQ(WriteFileAtomically(link, "new", false), absl::OkStatus());
  EXPECT_EQ(std::filesystem::read_symlink(link), "target");
  EXPECT_EQ(Contents(Folder(link) + "/target"), "new");

  const std::string nowhere = NewPath("link");
  std::filesystem::create_symlink("/absent_folder/target", nowhere);
  EXPECT_EQ(WriteFileAtomically(nowhere, "new", true),
            absl::NotFoundError(absl::StrCat(nowhere, ": the folder /absent_folder does not exist")));
  const std::string loop = NewPath("loop");
  std::filesystem::create_symlink("loop", loop);
  EXPECT_EQ(WriteFileAtomically(loop, "new", true),
            absl::UnavailableError(absl::StrCat(loop, ": cannot be examined: Too many levels of symbolic links")));
  EXPECT_THAT(Siblings(loop), ElementsAre("loop"));
}

TEST(FileLinkTest, DevicesAndFoldersBehindLinksStay) {
  for (const char* target : {"/dev/null", "/tmp"}) {
    const std::string link = NewPath("link");
    std::filesystem::create_symlink(target, link);
    EXPECT_EQ(WriteFileAtomically(link, "new", true),
              absl::UnavailableError(absl::StrCat(link, ": is not a regular file, so it is not replaced")));
    EXPECT_EQ(std::filesystem::read_symlink(link), target);
  }
}

TEST(FileStreamTest, WritesToDescriptors) {
  for (const bool by_link : {false, true}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    std::string path = absl::StrCat("/dev/fd/", ends[1]);
    if (by_link) {
      const std::string link = NewPath("link");
      std::filesystem::create_symlink(path, link);
      path = link;
    }
    {
      const auto writer = AtomicFileWriter::Create(path, false);
      ASSERT_TRUE(writer.ok()) << writer.status();
      EXPECT_EQ((*writer)->Reserve(1 << 20), absl::OkStatus());
      EXPECT_EQ((*writer)->Append("by"), absl::OkStatus());
      EXPECT_EQ((*writer)->Append("tes"), absl::OkStatus());
      EXPECT_EQ((*writer)->Commit(), absl::OkStatus());
      EXPECT_EQ((*writer)->sha256(), Sha256("bytes"));
    }
    close(ends[1]);
    EXPECT_EQ(ReadAll(ends[0]), "bytes");
    close(ends[0]);
  }
}

TEST(FileStreamTest, ARedirectionGetsTheBytesWhereItStands) {
  const std::string path = MakeFile("file", "");
  const int file = open(path.c_str(), O_RDWR);
  ASSERT_EQ(write(file, "before ", 7), 7);
  EXPECT_EQ(WriteFileAtomically(absl::StrCat("/proc/self/fd/", file), "bytes", false), absl::OkStatus());
  ASSERT_EQ(write(file, " after", 6), 6);
  close(file);
  EXPECT_EQ(Contents(path), "before bytes after");
}

TEST(FileStreamTest, RefusesDescriptorsThatCannotBeWritten) {
  const int file = open("/dev/null", O_RDONLY);
  const std::string path = absl::StrCat("/dev/fd/", file);
  EXPECT_EQ(AtomicFileWriter::Create(path, false).status(),
            absl::UnavailableError(absl::StrCat(path, ": is not open for writing")));
  close(file);
}

TEST(FileStreamTest, WritesToAPipeThatIsRead) {
  const std::string path = NewPath("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::string read_bytes;
  std::thread reader([&] {
    const int file = open(path.c_str(), O_RDONLY);
    read_bytes = ReadAll(file);
    close(file);
  });
  const std::string bytes(300000, 'x');  // more than a pipe holds
  EXPECT_EQ(WriteFileAtomically(path, bytes, false), absl::OkStatus());
  reader.join();
  EXPECT_EQ(read_bytes, bytes);
  EXPECT_TRUE(std::filesystem::is_fifo(path));
  EXPECT_THAT(Siblings(path), ElementsAre("pipe"));
}

TEST(FileStreamTest, RefusesAPipeThatNobodyReads) {
  const std::string path = NewPath("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(AtomicFileWriter::Create(path, true).status(),
            absl::UnavailableError(absl::StrCat(path, ": is a pipe that nobody reads")));
}

// A file that begins like a ledger is spared, whatever its name, and wherever the path leads through.
TEST(FileLedgerTest, NothingReplacesALedgerButALedger) {
  const std::string ledger = MakeFile("file", SealEnvelope(kLedgerKind, 1, "payload"));
  const std::string before = Contents(ledger);
  const std::string soft = NewPath("soft"), hard = Folder(ledger) + "/hard";
  std::filesystem::create_symlink(ledger, soft);
  std::filesystem::create_hard_link(ledger, hard);
  const int descriptor = open(ledger.c_str(), O_WRONLY);
  const std::string roundabout = absl::StrCat(Folder(ledger), "/../", Folder(ledger).substr(Folder(ledger).rfind('/')),
                                              "/./file");
  for (const std::string& path : {ledger, soft, hard, roundabout, absl::StrCat("/dev/fd/", descriptor)}) {
    for (const bool overwrite : {false, true}) {
      EXPECT_EQ(WriteFileAtomically(path, "new", overwrite),
                absl::UnavailableError(
                    absl::StrCat(path, ": is the ledger of a privacy budget, which no output replaces")));
    }
  }
  close(descriptor);
  EXPECT_EQ(Contents(ledger), before);
  EXPECT_EQ(WriteFileAtomically(ledger, "new", true, FileKind::kLedger), absl::OkStatus());
  EXPECT_EQ(Contents(ledger), "new");
}

TEST(FileLedgerTest, AlsoOneThatAppearsMeanwhile) {
  const std::string path = MakeFile("file", "old");
  const auto writer = AtomicFileWriter::Create(path, true);
  const std::string ledger = SealEnvelope(kLedgerKind, 1, "payload");
  std::ofstream(path) << ledger;
  EXPECT_THAT(std::string((*writer)->Commit().message()), HasSubstr("is the ledger of a privacy budget"));
  EXPECT_EQ(Contents(path), ledger);
  EXPECT_THAT(Siblings(path), ElementsAre("file"));
}

TEST(FileClaimTest, OneWriterHasTheName) {
  const std::string path = NewPath("file"), link = NewPath("link");
  std::filesystem::create_symlink(path, link);
  for (const bool overwrite : {false, true}) {
    const auto writer = AtomicFileWriter::Create(path, overwrite);
    ASSERT_TRUE(writer.ok());
    const absl::Status refused = AtomicFileWriter::Create(link, overwrite).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("is being written by another process"));
    EXPECT_TRUE(AtomicFileWriter::Create(Folder(path) + "/other", overwrite).ok());
    EXPECT_THAT(Siblings(path), SizeIs(1));
  }
  EXPECT_THAT(Siblings(path), IsEmpty());
  EXPECT_TRUE(AtomicFileWriter::Create(link, false).ok());
}

TEST(FileClaimTest, AKilledWriterHasNothing) {
  const std::string path = NewPath("file");
  const pid_t child = fork();
  if (child == 0) {
    const auto writer = AtomicFileWriter::Create(path, false);
    kill(getpid(), SIGKILL);
  }
  int status;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_THAT(Siblings(path), SizeIs(1));
  EXPECT_TRUE(IsTemporaryName(Siblings(path)[0]));
  EXPECT_EQ(WriteFileAtomically(path, "bytes", false), absl::OkStatus());
  EXPECT_THAT(Siblings(path), ElementsAre("file"));
}

TEST(FileSweepTest, SweepsWhatNobodyHasAndNothingElse) {
  const std::string path = NewPath("file");
  const auto make = [&](const std::string& name, int days_old) {
    const std::string full = Folder(path) + "/" + name;
    std::ofstream(full) << "bytes";
    std::filesystem::last_write_time(full,
                                     std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * days_old));
  };
  make(kLeftover, 0);
  make(".dpkde-tmp-0123456789abcdef", 2);  // of an older version
  const std::vector<std::string> others = {
      ".dpkde-tmp-", ".dpkde-tmp-0123456789abcde", ".dpkde-tmp-0123456789abcdef0", ".dpkde-tmp-f0123456789abcdef.txt",
      ".dpkde-tmp-fmy holiday notes!", "dpkde-tmp-f0123456789abcdef", "x.dpkde-tmp-f0123456789abcdef"};
  for (const std::string& name : others) make(name, 2);
  make(".dpkde-tmp-0000000000000000", 0);  // of an older version that may run still
  make(".dpkde-tmp-f1111111111111111", 2);
  const int in_use = open((Folder(path) + "/.dpkde-tmp-f1111111111111111").c_str(), O_RDONLY);
  ASSERT_EQ(flock(in_use, LOCK_EX | LOCK_NB), 0);
  std::filesystem::create_directory(Folder(path) + "/.dpkde-tmp-f2222222222222222");
  std::filesystem::create_symlink("absent", Folder(path) + "/.dpkde-tmp-f3333333333333333");

  EXPECT_EQ(WriteFileAtomically(path, "bytes", false), absl::OkStatus());
  std::vector<std::string> expected = others;
  expected.insert(expected.end(), {"file", ".dpkde-tmp-0000000000000000", ".dpkde-tmp-f1111111111111111",
                                   ".dpkde-tmp-f2222222222222222", ".dpkde-tmp-f3333333333333333"});
  EXPECT_THAT(Siblings(path), ::testing::UnorderedElementsAreArray(expected));
  close(in_use);
  SweepTemporaries(Folder(path));
  EXPECT_THAT(Siblings(path), ::testing::Not(::testing::Contains(".dpkde-tmp-f1111111111111111")));
}

TEST(FileReserveTest, TakesTheSpaceAndGivesBackTheRest) {
  const std::string path = NewPath("file");
  const auto writer = AtomicFileWriter::Create(path, false);
  EXPECT_EQ((*writer)->Reserve(1 << 20), absl::OkStatus());
  struct stat info;
  ASSERT_EQ(stat((Folder(path) + "/" + Siblings(path).at(0)).c_str(), &info), 0);
  EXPECT_GE(info.st_blocks * 512, 1 << 20);
  EXPECT_EQ((*writer)->Append("bytes"), absl::OkStatus());
  EXPECT_EQ((*writer)->Commit(), absl::OkStatus());
  EXPECT_EQ(Contents(path), "bytes");
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_LT(info.st_blocks * 512, 1 << 20);
}

TEST(FileReserveTest, SaysThatThereIsNotEnough) {
  const std::string path = NewPath("file");
  const auto writer = AtomicFileWriter::Create(path, false);
  const absl::Status refused = (*writer)->Reserve(uint64_t{1} << 60);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(absl::StrCat(path, ": cannot be written, as its ")));
  EXPECT_EQ((*writer)->Append("x"), refused);
  EXPECT_THAT(Siblings(path), IsEmpty());
}

}  // namespace
}  // namespace dpkde
