#include "dpkde/io/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"

namespace dpkde {

namespace {

// How long a pipe with a name may be without a writer.
constexpr int kLongestWaitMilliseconds = 5000;
constexpr int kStepMilliseconds = 20;

}  // namespace

std::string ErrnoText(int error_number) { return std::generic_category().message(error_number); }

bool InputFile::HasNoName(const std::string& path) {
  return path == "-" || path == "/dev/stdin" || absl::StartsWith(path, "/dev/fd/") ||
         absl::StartsWith(path, "/proc/self/fd/");
}

absl::StatusOr<std::unique_ptr<InputFile>> InputFile::Open(const std::string& path) {
  const bool standard_input = path == "-";
  // O_NONBLOCK: a device must not be waited for. That a pipe has no writer yet is noticed when it is read.
  const int descriptor = standard_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                        : open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const int open_errno = errno;
  std::unique_ptr<InputFile> file(new InputFile(standard_input ? "standard input" : path, descriptor));
  if (descriptor < 0) {
    if (open_errno == ENOENT || open_errno == ENOTDIR) {
      return file->Error(absl::StatusCode::kNotFound, "does not exist");
    }
    return file->Error(absl::StatusCode::kUnavailable, absl::StrCat("cannot be opened: ", ErrnoText(open_errno)));
  }
  struct stat info;
  if (fstat(descriptor, &info) != 0) {
    return file->Error(absl::StatusCode::kUnavailable, absl::StrCat("cannot be examined: ", ErrnoText(errno)));
  }
  if (S_ISDIR(info.st_mode)) return file->Error(absl::StatusCode::kUnavailable, "is a folder, not a file");
  if (S_ISFIFO(info.st_mode) || (standard_input && !S_ISREG(info.st_mode))) {
    DPKDE_RETURN_IF_ERROR(file->CopyIntoMemory());
    if (fstat(file->descriptor_, &info) != 0) {
      return file->Error(absl::StatusCode::kUnavailable, absl::StrCat("cannot be examined: ", ErrnoText(errno)));
    }
  }
  if (!S_ISREG(info.st_mode)) return file->Error(absl::StatusCode::kUnavailable, "is not a regular file");
  posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);  // only advice: a failure changes nothing
  file->size_ = info.st_size;
  file->modified_ = info.st_mtim;
  return file;
}

absl::Status InputFile::CopyIntoMemory() {
  const auto failed = [&](absl::string_view phrase, int error_number) {
    return Error(absl::StatusCode::kUnavailable, absl::StrCat(phrase, ": ", ErrnoText(error_number)));
  };
  const int memory = memfd_create("dpkde", MFD_CLOEXEC);
  if (memory < 0) return failed("cannot be copied into memory", errno);
  const int pipe = descriptor_;
  descriptor_ = memory;
  absl::Status status;
  std::string block(size_t{1} << 16, '\0');
  int waited = 0;  // milliseconds, for a writer
  while (status.ok()) {
    const ssize_t count = read(pipe, &block[0], block.size());
    const int read_errno = errno;
    pollfd ready = {pipe, POLLIN, 0};
    if (count < 0) {
      if (read_errno == EAGAIN) poll(&ready, 1, -1);  // there is a writer
      if (read_errno != EINTR && read_errno != EAGAIN) status = failed("cannot be read", read_errno);
      continue;
    }
    if (count == 0) {
      // The end, unless this is a pipe with a name and no writer has opened it so far.
      if (lseek(memory, 0, SEEK_CUR) > 0 || poll(&ready, 1, kStepMilliseconds) != 0) break;
      waited += kStepMilliseconds;
      if (waited > kLongestWaitMilliseconds) status = Error(absl::StatusCode::kUnavailable, "is not a regular file");
      continue;
    }
    for (ssize_t done = 0; done < count && status.ok();) {
      const ssize_t written = write(memory, block.data() + done, count - done);
      if (written < 0 && errno != EINTR) status = failed("cannot be copied into memory", errno);
      done += std::max<ssize_t>(written, 0);
    }
  }
  close(pipe);
  return status;
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status InputFile::ReadAt(uint64_t offset, size_t size, void* out) const {
  for (size_t done = 0; done < size;) {
    const ssize_t count = pread(descriptor_, static_cast<char*>(out) + done, size - done, offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return Error(absl::StatusCode::kUnavailable, absl::StrCat("cannot be read: ", ErrnoText(errno)));
    }
    if (count == 0) return Error(absl::StatusCode::kDataLoss, "was shortened while it was being read");
    done += count;
  }
  return absl::OkStatus();
}

absl::Status InputFile::CheckUnchanged() const {
  struct stat info;
  if (fstat(descriptor_, &info) != 0) {
    return Error(absl::StatusCode::kUnavailable, absl::StrCat("cannot be examined: ", ErrnoText(errno)));
  }
  if (static_cast<uint64_t>(info.st_size) != size_ || info.st_mtim.tv_sec != modified_.tv_sec ||
      info.st_mtim.tv_nsec != modified_.tv_nsec) {
    return Error(absl::StatusCode::kUnavailable, "has changed since it was opened");
  }
  return absl::OkStatus();
}

absl::Status InputFile::Error(absl::StatusCode code, absl::string_view phrase) const {
  return absl::Status(code, absl::StrCat(path_, ": ", phrase));
}

}  // namespace dpkde
