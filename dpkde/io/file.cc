#include "dpkde/io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/input_file.h"

namespace dpkde {
namespace {

// Smaller pieces are gathered to this size.
constexpr size_t kBlockBytes = size_t{64} << 10;

constexpr char kTemporaryFilePrefix[] = ".dpkde-tmp-";

// `call` again while a signal interrupts it.
template <typename Call>
auto Uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Everything of an open file, in blocks.
template <typename Consume>
bool ReadBlocks(int file, Consume consume) {
  std::string block(kBlockBytes, '\0');
  for (uint64_t offset = 0;;) {
    const ssize_t count = Uninterrupted([&] { return pread(file, &block[0], block.size(), offset); });
    if (count <= 0) return count == 0;
    offset += count;
    consume(absl::string_view(block.data(), count));
  }
}

// 0 or the error number.
int WriteFully(int file, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = Uninterrupted([&] { return write(file, bytes.data(), bytes.size()); });
    if (count < 0) return errno;
    if (count == 0) return EIO;
    bytes.remove_prefix(count);
  }
  return 0;
}

bool IsHex(absl::string_view text) {
  return text.size() == 16 && std::all_of(text.begin(), text.end(), absl::ascii_isxdigit);
}

// Older versions put the digits behind the prefix at once, and did not lock the file.
enum class TemporaryVersion { kNone, kUnlocked, kLocked };
TemporaryVersion VersionOf(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kTemporaryFilePrefix)) return TemporaryVersion::kNone;
  if (IsHex(name)) return TemporaryVersion::kUnlocked;
  return absl::ConsumePrefix(&name, "f") && IsHex(name) ? TemporaryVersion::kLocked : TemporaryVersion::kNone;
}

// Whether an open file is what has the name in the folder.
bool IsAt(int file, int folder, const std::string& name) {
  struct stat opened, named;
  return fstat(file, &opened) == 0 && fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// Removes a temporary file whose process is gone. False if it is in use, or cannot be told to be a leftover.
bool RemoveIfLeftover(int folder, const std::string& name) {
  constexpr int64_t kDay = 24 * 60 * 60;
  const int file = Uninterrupted(
      [&] { return openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); });
  if (file < 0) return false;
  const absl::Cleanup close_file = [file] { close(file); };
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if (VersionOf(name) == TemporaryVersion::kUnlocked && time(nullptr) - info.st_mtime < kDay) return false;
  if (Uninterrupted([&] { return flock(file, LOCK_EX | LOCK_NB); }) != 0) return false;
  return IsAt(file, folder, name) && unlinkat(folder, name.c_str(), 0) == 0;
}

// Of an open file that may be private and that no public output may replace.
bool IsLedger(int file) {
  char beginning[16];
  const ssize_t count = Uninterrupted([&] { return pread(file, beginning, sizeof(beginning), 0); });
  return count > 0 && IsEnvelope(kLedgerKind, absl::string_view(beginning, count));
}

// The folder of this process's open descriptors, without symbolic links.
std::string OwnDescriptors() {
  const std::unique_ptr<char, void (*)(void*)> path(realpath("/proc/self/fd", nullptr), free);
  return path != nullptr ? path.get() : "/proc/self/fd";
}

struct SplitPath {
  std::string folder;
  std::string name;
};
SplitPath Split(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, std::max<size_t>(slash, 1)), path.substr(slash + 1)};
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

bool IsTemporaryName(absl::string_view name) { return VersionOf(name) != TemporaryVersion::kNone; }

void SweepTemporaries(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(folder.c_str()), closedir);
  if (directory == nullptr) return;
  while (const dirent* const entry = readdir(directory.get())) {
    if (IsTemporaryName(entry->d_name)) RemoveIfLeftover(dirfd(directory.get()), entry->d_name);
  }
}

absl::StatusOr<std::string> OutputTarget(const std::string& path) {
  if (path == "-") return absl::StrCat(OwnDescriptors(), "/", STDOUT_FILENO);
  const auto error = [&](absl::string_view phrase, int error_number) {
    return absl::UnavailableError(absl::StrCat(path, ": ", phrase, ": ", ErrnoText(error_number)));
  };
  std::string target = path;
  constexpr int kMostLinks = 40;  // as Linux follows
  for (int links = 0; links <= kMostLinks; ++links) {
    const SplitPath split = Split(target);
    if (split.name.empty() || split.name == "." || split.name == "..") {
      return absl::InvalidArgumentError(absl::StrCat(path, ": does not end with the name of a file"));
    }
    const std::unique_ptr<char, void (*)(void*)> folder(realpath(split.folder.c_str(), nullptr), free);
    if (folder == nullptr && errno == ENOENT) {
      return absl::NotFoundError(absl::StrCat(path, ": the folder ", split.folder, " does not exist"));
    }
    if (folder == nullptr) return error(absl::StrCat("the folder ", split.folder, " cannot be opened"), errno);
    target = absl::StrCat(folder.get(), absl::EndsWith(folder.get(), "/") ? "" : "/", split.name);
    if (folder.get() == OwnDescriptors()) return target;
    char link[PATH_MAX];
    const ssize_t size = readlink(target.c_str(), link, sizeof(link));
    if (size < 0) {
      if (errno == EINVAL || errno == ENOENT) return target;  // no link, or nothing
      if (errno == ENOTDIR) return error(absl::StrCat("the folder ", split.folder, " cannot be opened"), errno);
      return error("cannot be examined", errno);
    }
    const std::string next(link, size);
    target = absl::StartsWith(next, "/") ? next : absl::StrCat(folder.get(), "/", next);
  }
  return error("cannot be examined", ELOOP);
}

bool IsDescriptor(absl::string_view output_target) {
  return absl::StartsWith(output_target, absl::StrCat(OwnDescriptors(), "/"));
}

AtomicFileWriter::AtomicFileWriter(const std::string& path, bool overwrite, FileKind kind)
    : path_(path), overwrite_(overwrite), kind_(kind) {}

AtomicFileWriter::~AtomicFileWriter() { Discard(); }

absl::StatusOr<std::unique_ptr<AtomicFileWriter>> AtomicFileWriter::Create(const std::string& path, bool overwrite,
                                                                           FileKind kind) {
  std::unique_ptr<AtomicFileWriter> writer(new AtomicFileWriter(path, overwrite, kind));
  DPKDE_RETURN_IF_ERROR(writer->Open());
  return writer;
}

absl::Status AtomicFileWriter::Open() {
  DPKDE_ASSIGN_OR_RETURN(const std::string target, OutputTarget(path_));
  const SplitPath split = Split(target);
  folder_path_ = split.folder;
  name_ = split.name;
  int descriptor;
  if (folder_path_ == OwnDescriptors() && absl::SimpleAtoi(name_, &descriptor)) return OpenDescriptor(descriptor);
  folder_ = Uninterrupted([&] { return open(folder_path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (folder_ < 0) return SystemError(absl::StrCat("the folder ", folder_path_, " cannot be opened"), errno);
  struct stat info;
  if (kind_ == FileKind::kPublic && fstatat(folder_, name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISFIFO(info.st_mode)) {
    return OpenPipe();
  }
  DPKDE_RETURN_IF_ERROR(CheckTarget(absl::StatusCode::kAlreadyExists));
  SweepTemporaries(folder_path_);
  return OpenTemporary();
}

absl::Status AtomicFileWriter::CheckTarget(absl::StatusCode if_taken) const {
  if (is_stream_) return absl::OkStatus();
  struct stat info;
  if (fstatat(folder_, name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? absl::OkStatus() : SystemError("cannot be examined", errno);
  }
  if (!S_ISREG(info.st_mode)) return Unsuitable("is not a regular file, so it is not replaced");
  if (kind_ == FileKind::kPublic) {
    // What cannot be read may be somebody else's ledger.
    const int file = Uninterrupted(
        [&] { return openat(folder_, name_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); });
    if (file < 0) return SystemError("cannot be examined", errno);
    const bool is_ledger = IsLedger(file);
    close(file);
    if (is_ledger) return Unsuitable("is the ledger of a privacy budget, which no output replaces");
  }
  return overwrite_ ? absl::OkStatus() : Taken(if_taken);
}

absl::Status AtomicFileWriter::OpenDescriptor(int descriptor) {
  is_stream_ = true;
  const int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) return Unsuitable("is not open for writing");
  file_ = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (file_ < 0) return SystemError("cannot be written", errno);
  if (kind_ == FileKind::kLedger) return Unsuitable("a ledger must be a file of its own");
  struct stat info;
  if (fstat(file_, &info) != 0 || !S_ISREG(info.st_mode)) return absl::OkStatus();
  // A redirection may lead to a ledger; the descriptor itself need not be readable.
  const int readable = open(absl::StrCat(OwnDescriptors(), "/", file_).c_str(), O_RDONLY | O_CLOEXEC);
  if (readable < 0) return SystemError("cannot be examined", errno);
  const bool is_ledger = IsLedger(readable);
  close(readable);
  return is_ledger ? Unsuitable("is the ledger of a privacy budget, which no output replaces") : absl::OkStatus();
}

absl::Status AtomicFileWriter::OpenPipe() {
  is_stream_ = true;
  // Opening waits for the reader, who may start a moment later, but not for ever.
  constexpr int kAttempts = 100;
  constexpr timespec kPause = {0, 100000000};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    file_ = openat(folder_, name_.c_str(), O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (file_ >= 0 || (errno != ENXIO && errno != EINTR)) break;
    nanosleep(&kPause, nullptr);
  }
  if (file_ < 0 && errno == ENXIO) return Unsuitable("is a pipe that nobody reads");
  if (file_ < 0) return SystemError("cannot be opened", errno);
  if (fcntl(file_, F_SETFL, O_WRONLY) != 0) return SystemError("cannot be written", errno);
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::OpenTemporary() {
  const bool is_public = kind_ == FileKind::kPublic;
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // By the name of the target, so that two writers of one file meet. Of a ledger that is the matter of its own lock.
    uint64_t digits;
    if (is_public) {
      std::memcpy(&digits, Sha256(name_).data(), sizeof(digits));
    } else if (getrandom(&digits, sizeof(digits), 0) != sizeof(digits)) {
      return SystemError("cannot be written", errno);
    }
    const std::string name = absl::StrCat(kTemporaryFilePrefix, "f", absl::Hex(digits, absl::kZeroPad16));
    temporary_.reserve(name.size());  // once there is a file, nothing may keep its name from being kept
    const SignalPause pause;
    // The mode that the file shall have in the end is what the system makes of 0666; until then it is private.
    file_ = Uninterrupted([&] {
      return openat(folder_, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, is_public ? 0666 : 0600);
    });
    if (file_ < 0) {
      if (errno != EEXIST) return SystemError("a temporary file cannot be made beside it", errno);
      return Unsuitable(absl::StrCat("is being written by another process (which has ", name, " beside it)"));
    }
    temporary_ = name;
    on_signal_ = std::make_unique<TemporaryName>(folder_, name);
    // A sweeper may have it locked for an instant, and then delete it. Where there are no locks it is kept unlocked.
    const bool swept = Uninterrupted([&] { return flock(file_, LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK;
    struct stat info;
    if (fstat(file_, &info) != 0 || fchmod(file_, 0600) != 0) return SystemError("cannot be written", errno);
    mode_ = info.st_mode & 0777;
    if (!swept && info.st_nlink > 0) return absl::OkStatus();
    close(file_);
    file_ = -1;
    temporary_.clear();
    on_signal_.reset();
  }
  return Unsuitable("a temporary file cannot be made beside it");
}

absl::Status AtomicFileWriter::Reserve(uint64_t bytes) {
  DPKDE_RETURN_IF_ERROR(status_);
  if (is_stream_ || bytes <= reserved_) return absl::OkStatus();
  // The size stays 0: until something is written, the file holds nothing.
  struct rlimit limit;
  const bool beyond = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < bytes;
  if (!beyond && Uninterrupted([&] { return fallocate(file_, FALLOC_FL_KEEP_SIZE, 0, bytes); }) == 0) {
    reserved_ = bytes;
    return absl::OkStatus();
  }
  if (beyond) errno = EFBIG;
  if (errno == EOPNOTSUPP || errno == ENOSYS) return absl::OkStatus();
  status_ = SystemError(absl::StrCat("cannot be written, as its ", bytes, " bytes cannot be reserved"), errno);
  Discard();
  return status_;
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
  digest_ = sha256_.Finish();
  if (is_stream_) return absl::OkStatus();
  if (reserved_ > size_ && Uninterrupted([&] { return ftruncate(file_, size_); }) != 0) {
    return SystemError("cannot be written", errno);
  }
  if (fchmod(file_, mode_) != 0) return SystemError("cannot be written", errno);
  if (Uninterrupted([&] { return fsync(file_); }) != 0) return SystemError("cannot be written to its disk", errno);
  DPKDE_RETURN_IF_ERROR(CompareWithAppended());
  DPKDE_RETURN_IF_ERROR(MoveToTarget());
  // Some file systems cannot sync a folder, and say EINVAL.
  if (Uninterrupted([&] { return fsync(folder_); }) != 0 && errno != EINVAL) {
    return SystemError("is written, but may be lost in a crash: its folder cannot be synchronized", errno);
  }
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::CompareWithAppended() const {
  uint64_t size = 0;
  Sha256Stream sha256;
  const bool complete = ReadBlocks(file_, [&](absl::string_view block) {
    size += block.size();
    sha256.Update(block);
  });
  if (!complete) return SystemError("cannot be read back", errno);
  if (size != size_ || sha256.Finish() != digest_) {
    return absl::DataLossError(absl::StrCat(path_, ": what was read back differs from what was written"));
  }
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::MoveToTarget() {
  const char* const from = temporary_.c_str();
  const char* const to = name_.c_str();
  DPKDE_RETURN_IF_ERROR(CheckTarget());  // again: it may have become a ledger
  const SignalPause pause;
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
    on_signal_.reset();
    return absl::OkStatus();
  }
  if (errno == EEXIST) return Taken(absl::StatusCode::kUnavailable);
  return SystemError("cannot be moved to its place", errno);
}

void AtomicFileWriter::Discard() {
  const SignalPause pause;
  // While it is locked: afterwards the name may be another writer's.
  if (!temporary_.empty()) unlinkat(folder_, temporary_.c_str(), 0);
  on_signal_.reset();
  if (file_ >= 0) close(file_);
  if (folder_ >= 0) close(folder_);
  file_ = folder_ = -1;
  temporary_.clear();
  pending_.clear();
}

absl::Status AtomicFileWriter::Taken(absl::StatusCode code) const {
  return absl::Status(code, absl::StrCat(path_, code == absl::StatusCode::kAlreadyExists
                                                    ? ": already exists"
                                                    : ": another process has written it meanwhile"));
}

absl::Status AtomicFileWriter::Unsuitable(absl::string_view phrase) const {
  return absl::UnavailableError(absl::StrCat(path_, ": ", phrase));
}

absl::Status AtomicFileWriter::SystemError(absl::string_view phrase, int error_number) const {
  return absl::UnavailableError(absl::StrCat(path_, ": ", phrase, ": ", ErrnoText(error_number)));
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes, bool overwrite, FileKind kind) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> writer,
                         AtomicFileWriter::Create(path, overwrite, kind));
  DPKDE_RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Commit();
}

}  // namespace dpkde
