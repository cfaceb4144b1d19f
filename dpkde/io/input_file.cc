#include "dpkde/io/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "absl/strings/str_cat.h"

namespace dpkde {

std::string ErrnoText(int error_number) { return std::generic_category().message(error_number); }

absl::StatusOr<std::unique_ptr<InputFile>> InputFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const int open_errno = errno;
  std::unique_ptr<InputFile> file(new InputFile(path, descriptor));
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
  if (!S_ISREG(info.st_mode)) return file->Error(absl::StatusCode::kUnavailable, "is not a regular file");
  posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);  // only advice: a failure changes nothing
  file->size_ = info.st_size;
  file->modified_ = info.st_mtim;
  return file;
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
