#include "tests/tools/command.h"

#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"
#include "tests/testing/limits.h"

namespace dpkde {
namespace {

constexpr int kCannotRun = 255;

// A file in memory; its contents come from, or go to, a standard stream of the command.
int MakeStream(const std::string& contents) {
  const int file = memfd_create("stream", MFD_CLOEXEC);
  if (file < 0 || write(file, contents.data(), contents.size()) != static_cast<ssize_t>(contents.size()) ||
      lseek(file, 0, SEEK_SET) != 0) {
    std::abort();
  }
  return file;
}

std::string TakeStream(int file) {
  std::string contents(lseek(file, 0, SEEK_END), '\0');
  if (pread(file, &contents[0], contents.size(), 0) != static_cast<ssize_t>(contents.size())) std::abort();
  close(file);
  return contents;
}

// What has been printed to a terminal whose last user is gone.
std::string TakeTerminal(int terminal) {
  std::string contents;
  char block[4096];
  for (ssize_t size; (size = read(terminal, block, sizeof(block))) > 0;) contents.append(block, size);
  close(terminal);
  return contents;
}

bool MountTinyFileSystem(const std::string& folder) {
  if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=4096") == 0;
}

// In the child; returns only on failure.
int Become(const std::string& path, std::vector<char*> arguments, const Surroundings& surroundings, int in, int out,
           int err) {
  dup2(in, STDIN_FILENO);
  dup2(err, STDERR_FILENO);
  switch (surroundings.standard_output) {
    case Surroundings::kCaptured:
      dup2(out, STDOUT_FILENO);
      break;
    case Surroundings::kPipeWithoutReader: {
      int ends[2];
      if (pipe(ends) != 0) return kCannotRun;
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      close(ends[1]);
      break;
    }
    case Surroundings::kFullDevice: {
      const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
      if (full < 0) return kCannotRun;
      dup2(full, STDOUT_FILENO);
      break;
    }
    case Surroundings::kClosed:
      close(STDOUT_FILENO);
      close(STDERR_FILENO);
      break;
  }
  if (surroundings.file_size_limit > 0) {
    const struct rlimit limit = {surroundings.file_size_limit, surroundings.file_size_limit};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return kCannotRun;
  }
  if (!surroundings.tiny_file_system.empty() && !MountTinyFileSystem(surroundings.tiny_file_system)) {
    return kNoFileSystem;
  }
  if (surroundings.without_threads && !ForbidThreads()) return kCannotRun;
  if (surroundings.address_space_limit > 0) {
    const struct rlimit limit = {surroundings.address_space_limit, surroundings.address_space_limit};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return kCannotRun;
  }
  // The command must cope by itself.
  signal(SIGPIPE, SIG_DFL);
  signal(SIGXFSZ, SIG_DFL);
  execv(path.c_str(), arguments.data());
  return kCannotRun;
}

}  // namespace

CommandResult RunCommand(const std::string& tool, const std::vector<std::string>& arguments,
                         const Surroundings& surroundings) {
  const std::string path = "tools/" + tool;  // bazel starts tests among their data
  std::vector<char*> pointers = {const_cast<char*>(tool.c_str())};
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const int in = MakeStream(surroundings.standard_input);
  const int out = MakeStream("");
  int err = -1, terminal = -1;
  if (!surroundings.terminal) {
    err = MakeStream("");
  } else if (openpty(&terminal, &err, nullptr, nullptr, nullptr) != 0) {
    std::abort();
  }

  const pid_t child = fork();
  if (child == 0) _exit(Become(path, pointers, surroundings, in, out, err));
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) std::abort();

  CommandResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  EXPECT_NE(result.exit_code, kCannotRun) << path << " cannot be run";
  close(in);
  result.out = TakeStream(out);
  if (surroundings.terminal) {
    close(err);
    result.err = TakeTerminal(terminal);
  } else {
    result.err = TakeStream(err);
  }
  return result;
}

Folder::Folder() {
  path_ = ::testing::TempDir() + "/tools_XXXXXX";
  if (mkdtemp(&path_[0]) == nullptr) std::abort();
}

std::string Folder::Write(const std::string& name, const std::string& bytes) const {
  std::string path = Path(name);
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::vector<std::string> Folder::List() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::string FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace dpkde
