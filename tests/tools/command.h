#ifndef TESTS_TOOLS_COMMAND_H_
#define TESTS_TOOLS_COMMAND_H_

#include <cstdint>
#include <string>
#include <vector>

namespace dpkde {

struct CommandResult {
  int exit_code = 0;  // minus the signal that killed it
  std::string out;
  std::string err;
};

// What a command finds when it starts.
struct Surroundings {
  std::string standard_input = {};
  enum StandardOutput {
    kCaptured,
    kPipeWithoutReader,
    kFullDevice,
    kClosed,  // and standard error too
  } standard_output = kCaptured;
  // Standard error is a terminal, whose line ends are "\r\n".
  bool terminal = false;
  // In bytes; 0: none.
  uint64_t file_size_limit = 0;
  uint64_t address_space_limit = 0;
  // No thread can be started, as where a limit on processes is reached.
  bool without_threads = false;
  // A folder that only the command sees as a file system of 4096 bytes; empty: none. Where that is not possible, the
  // exit code is kNoFileSystem.
  std::string tiny_file_system = {};
};
constexpr int kNoFileSystem = 254;

// Runs "dpkde_build" or "dpkde_query" of this build.
CommandResult RunCommand(const std::string& tool, const std::vector<std::string>& arguments,
                         const Surroundings& surroundings = {});

// A new, empty folder of the running test.
class Folder {
 public:
  Folder();
  const std::string& path() const { return path_; }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file and returns its path.
  std::string Write(const std::string& name, const std::string& bytes) const;
  // The names in it, hidden ones included, sorted.
  std::vector<std::string> List() const;

 private:
  std::string path_;
};

// The bytes of a file, "" if there is none.
std::string FileBytes(const std::string& path);

}  // namespace dpkde

#endif  // TESTS_TOOLS_COMMAND_H_
