#ifndef DPKDE_IO_INPUT_FILE_H_
#define DPKDE_IO_INPUT_FILE_H_

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace dpkde {

// The operating system's words for `error_number`. Thread-safe, unlike strerror().
std::string ErrnoText(int error_number);

// A regular file, or what comes through a pipe, that is open for reading. Every error begins with its path, or with
// "standard input".
class InputFile {
 public:
  // `path` "-" is standard input, whatever that is. A pipe is read to its end here, into memory that has no name and
  // goes with this object (so a pipe can be opened once), and then is as good as a file. kNotFound if there is nothing
  // at `path`; kUnavailable if it is a folder, a device or a pipe that nobody writes to within 5 s, or cannot be opened
  // or read.
  static absl::StatusOr<std::unique_ptr<InputFile>> Open(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // Whether the path is that of standard input or of another pipe that has no name of its own, and so no ending: -,
  // /dev/stdin, /dev/fd/63, /proc/self/fd/0.
  static bool HasNoName(const std::string& path);

  // As messages have it: "standard input" for "-".
  const std::string& path() const { return path_; }

  // As of Open().
  uint64_t size() const { return size_; }

  // Belongs to this object.
  int descriptor() const { return descriptor_; }

  // Reads exactly the bytes [offset, offset + size). The caller has compared them with size(): that fewer arrive is
  // kDataLoss.
  absl::Status ReadAt(uint64_t offset, size_t size, void* out) const;

  // kUnavailable if somebody has written to the file since Open().
  absl::Status CheckUnchanged() const;

  // An error about this file: "<path>: <phrase>".
  absl::Status Error(absl::StatusCode code, absl::string_view phrase) const;

 private:
  InputFile(const std::string& path, int descriptor) : path_(path), descriptor_(descriptor) {}

  // Replaces the descriptor by one of an unnamed file in memory, which holds all that can be read from it.
  absl::Status CopyIntoMemory();

  const std::string path_;
  int descriptor_;
  uint64_t size_ = 0;
  timespec modified_ = {};
};

}  // namespace dpkde

#endif  // DPKDE_IO_INPUT_FILE_H_
