#include "dpkde/io/temporary_names.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "dpkde/io/file.h"
#include "tests/dpkde/io/test_files.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The signal that ended a child, or 0 if it came to its own end.
int EndOf(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    RemoveTemporaryNamesOnSignals(nullptr);
    body();
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(TemporaryNamesTest, SignalsRemoveThem) {
  for (const int number : {SIGHUP, SIGINT, SIGTERM}) {
    const std::string path = NewPath("file");
    EXPECT_EQ(EndOf([&] {
                const auto writer = AtomicFileWriter::Create(path, false);
                if (Siblings(path).size() == 1) raise(number);
              }),
              number);
    EXPECT_THAT(Siblings(path), IsEmpty());
  }
  // The control: a signal that nobody catches leaves the file.
  const std::string path = NewPath("file");
  EXPECT_EQ(EndOf([&] {
              const auto writer = AtomicFileWriter::Create(path, false);
              raise(SIGKILL);
            }),
            SIGKILL);
  EXPECT_EQ(Siblings(path).size(), 1);
}

TEST(TemporaryNamesTest, WhatIsCompleteStays) {
  const std::string path = NewPath("file");
  EXPECT_EQ(EndOf([&] {
              if (WriteFileAtomically(path, "bytes", false).ok()) raise(SIGINT);
            }),
            SIGINT);
  EXPECT_THAT(Siblings(path), ElementsAre("file"));
}

TEST(TemporaryNamesTest, FoldersGoAfterTheirFiles) {
  const std::string folder = NewPath("folder");
  EXPECT_EQ(EndOf([&] {
              std::filesystem::create_directory(folder);
              const TemporaryName first(AT_FDCWD, folder, TemporaryName::kFolder);
              const auto writer = AtomicFileWriter::Create(folder + "/file", false);
              raise(SIGTERM);
            }),
            SIGTERM);
  EXPECT_THAT(Siblings(folder), IsEmpty());
}

TEST(TemporaryNamesTest, SignalsWaitForAPause) {
  const std::string path = NewPath("file");
  EXPECT_EQ(EndOf([&] {
              {
                const SignalPause pause;
                raise(SIGINT);
                close(open(path.c_str(), O_CREAT | O_WRONLY, 0600));
              }
              _exit(1);
            }),
            SIGINT);
  EXPECT_THAT(Siblings(path), ElementsAre("file"));
}

TEST(TemporaryNamesTest, IgnoredSignalsStayIgnored) {
  signal(SIGHUP, SIG_IGN);
  EXPECT_EQ(EndOf([] { raise(SIGHUP); }), 0);
  signal(SIGHUP, SIG_DFL);
}

TEST(TemporaryNamesTest, AChildDoesNotRemoveWhatIsItsParents) {
  const std::string path = NewPath("file");
  const auto writer = AtomicFileWriter::Create(path, false);
  EXPECT_EQ(EndOf([] { raise(SIGINT); }), SIGINT);
  EXPECT_EQ(Siblings(path).size(), 1);
}

}  // namespace
}  // namespace dpkde
