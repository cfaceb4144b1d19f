#include "dpkde/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/input_file.h"

namespace dpkde {
namespace {

// Smaller pieces are gathered to this size.
constexpr size_t kBlockBytes = size_t{64} << 10;

// Everything of an open file, in blocks.
template <typename Consume>
bool ReadBlocks(int file, Consume consume) {
  std::string block(kBlockBytes, '\0');
  while (true) {
    const ssize_t count = read(file, &block[0], block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count == 0;
    consume(absl::string_view(block.data(), count));
  }
}

// 0 or the error number.
int WriteFully(int file, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return EIO;
    bytes.remove_prefix(count);
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<InputFile> file, InputFile::Open(path));
  if (file->size() > max_bytes) {
    return file->Error(absl::StatusCode::kInvalidArgument,
                       absl::StrCat("has ", file->size(), " bytes; at most ", max_bytes, " are accepted"));
  }
  std::string bytes(file->size(), '\0');
  DPKDE_RETURN_IF_ERROR(file->ReadAt(0, bytes.size(), &bytes[0]));
  return bytes;
}

absl::StatusOr<std::string> ReadBeginning(const std::string& path, uint64_t count) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<InputFile> file, InputFile::Open(path));
  std::string bytes(std::min(count, file->size()), '\0');
  DPKDE_RETURN_IF_ERROR(file->ReadAt(0, bytes.size(), &bytes[0]));
  return bytes;
}

AtomicFileWriter::AtomicFileWriter(const std::string& path, bool overwrite) : path_(path), overwrite_(overwrite) {
  const size_t slash = path.rfind('/');
  name_ = slash == std::string::npos ? path : path.substr(slash + 1);
  folder_path_ = slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
}

AtomicFileWriter::~AtomicFileWriter() { Discard(); }

absl::StatusOr<std::unique_ptr<AtomicFileWriter>> AtomicFileWriter::Create(const std::string& path, bool overwrite) {
  std::unique_ptr<AtomicFileWriter> writer(new AtomicFileWriter(path, overwrite));
  DPKDE_RETURN_IF_ERROR(writer->OpenTemporary());
  return writer;
}

absl::Status AtomicFileWriter::OpenTemporary() {
  if (name_.empty() || name_ == "." || name_ == "..") {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": does not end with the name of a file"));
  }
  folder_ = open(folder_path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0 && errno == ENOENT) {
    return absl::NotFoundError(absl::StrCat(path_, ": the folder ", folder_path_, " does not exist"));
  }
  if (folder_ < 0) return SystemError(absl::StrCat("the folder ", folder_path_, " cannot be opened"), errno);

  struct stat target;
  if (fstatat(folder_, name_.c_str(), &target, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!overwrite_) return absl::AlreadyExistsError(absl::StrCat(path_, ": already exists"));
    if (!S_ISREG(target.st_mode) && !S_ISLNK(target.st_mode)) {
      return absl::UnavailableError(absl::StrCat(path_, ": is not a regular file, so it is not replaced"));
    }
  } else if (errno != ENOENT) {
    return SystemError("cannot be examined", errno);
  }

  constexpr int kAttempts = 100;
  int open_errno = EEXIST;
  for (int attempt = 0; attempt < kAttempts && file_ < 0 && open_errno == EEXIST; ++attempt) {
    uint64_t random;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random)) return SystemError("cannot be written", errno);
    const std::string name = absl::StrCat(kTemporaryFilePrefix, absl::Hex(random, absl::kZeroPad16));
    file_ = openat(folder_, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    open_errno = errno;
    if (file_ >= 0) temporary_ = name;
  }
  if (file_ < 0) return SystemError("a temporary file cannot be made beside it", open_errno);
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::Append(absl::string_view bytes) {
  DPKDE_RETURN_IF_ERROR(status_);
  sha256_.Update(bytes);
  size_ += bytes.size();
  if (pending_.size() + bytes.size() < kBlockBytes) {
    pending_.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  status_ = Flush();
  if (status_.ok()) {
    const int write_errno = WriteFully(file_, bytes);
    if (write_errno != 0) status_ = SystemError("cannot be written", write_errno);
  }
  if (!status_.ok()) Discard();
  return status_;
}

absl::Status AtomicFileWriter::Commit() {
  DPKDE_RETURN_IF_ERROR(status_);
  const absl::Status published = Publish();
  Discard();
  status_ =
      published.ok() ? absl::FailedPreconditionError(absl::StrCat(path_, ": has already been written")) : published;
  return published;
}

absl::Status AtomicFileWriter::Flush() {
  const int write_errno = WriteFully(file_, pending_);
  pending_.clear();
  return write_errno == 0 ? absl::OkStatus() : SystemError("cannot be written", write_errno);
}

absl::Status AtomicFileWriter::Publish() {
  DPKDE_RETURN_IF_ERROR(Flush());
  if (fsync(file_) != 0) return SystemError("cannot be written to its disk", errno);
  digest_ = sha256_.Finish();
  DPKDE_RETURN_IF_ERROR(CompareWithAppended());
  DPKDE_RETURN_IF_ERROR(MoveToTarget());
  // Some file systems cannot sync a folder, and say EINVAL.
  if (fsync(folder_) != 0 && errno != EINVAL) {
    return SystemError("is written, but may be lost in a crash: its folder cannot be synchronized", errno);
  }
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::CompareWithAppended() const {
  const int file = openat(folder_, temporary_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return SystemError("cannot be read back", errno);
  uint64_t size = 0;
  Sha256Stream sha256;
  const bool complete = ReadBlocks(file, [&](absl::string_view block) {
    size += block.size();
    sha256.Update(block);
  });
  const int read_errno = errno;
  close(file);
  if (!complete) return SystemError("cannot be read back", read_errno);
  if (size != size_ || sha256.Finish() != digest_) {
    return absl::DataLossError(absl::StrCat(path_, ": what was read back differs from what was written"));
  }
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::MoveToTarget() {
  const char* const from = temporary_.c_str();
  const char* const to = name_.c_str();
  bool moved;
  if (overwrite_) {
    moved = renameat(folder_, from, folder_, to) == 0;
  } else {
    moved = renameat2(folder_, from, folder_, to, RENAME_NOREPLACE) == 0;
    if (!moved && (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP)) {
      // Not on this kernel or file system. A link does not replace anything either; Discard() removes the other name.
      if (linkat(folder_, from, folder_, to, 0) == 0) return absl::OkStatus();
    }
  }
  if (moved) {
    temporary_.clear();
    return absl::OkStatus();
  }
  if (errno == EEXIST) return absl::AlreadyExistsError(absl::StrCat(path_, ": already exists"));
  return SystemError("cannot be moved to its place", errno);
}

void AtomicFileWriter::Discard() {
  if (file_ >= 0) close(file_);
  if (!temporary_.empty()) unlinkat(folder_, temporary_.c_str(), 0);
  if (folder_ >= 0) close(folder_);
  file_ = folder_ = -1;
  temporary_.clear();
  pending_.clear();
}

absl::Status AtomicFileWriter::SystemError(absl::string_view phrase, int error_number) const {
  return absl::UnavailableError(absl::StrCat(path_, ": ", phrase, ": ", ErrnoText(error_number)));
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes, bool overwrite) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> writer, AtomicFileWriter::Create(path, overwrite));
  DPKDE_RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Commit();
}

}  // namespace dpkde
