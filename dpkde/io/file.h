#ifndef DPKDE_IO_FILE_H_
#define DPKDE_IO_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/sha256.h"

// Whole files in and out. Every error begins with the path.

namespace dpkde {

// The bytes of a regular file. kNotFound: no such file. kInvalidArgument: it has more than `max_bytes`. kUnavailable:
// it is a folder, a pipe or a device, or the operating system fails.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes);

// Its first bytes, at most `count`. Errors as of ReadFile.
absl::StatusOr<std::string> ReadBeginning(const std::string& path, uint64_t count);

// How the names of temporary files begin; a process that is killed may leave some behind.
inline constexpr char kTemporaryFilePrefix[] = ".dpkde-tmp-";

// Writes a file that appears at its path complete or not at all.
//
//   DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFileWriter> writer,
//                          AtomicFileWriter::Create(path, /*overwrite=*/false));
//   DPKDE_RETURN_IF_ERROR(writer->Append(bytes));
//   DPKDE_RETURN_IF_ERROR(writer->Commit());
//
// The bytes go to a temporary file (kTemporaryFilePrefix) in the same folder, which only its owner may read (mode 0600,
// also after Commit()). It is removed by any error and by the destructor; only a killed process leaves it behind.
//
// A process that writes beyond its file size limit (ulimit -f) is killed by SIGXFSZ. Programs that use this class
// should ignore that signal (signal(SIGXFSZ, SIG_IGN)), as dpkde's tools do, and then get kUnavailable.
//
// Not thread-safe.
class AtomicFileWriter {
 public:
  // kAlreadyExists if there is something at `path` and not `overwrite`; kNotFound if its folder does not exist. With
  // `overwrite` only a regular file is replaced, or a symbolic link itself (not what it points to).
  static absl::StatusOr<std::unique_ptr<AtomicFileWriter>> Create(const std::string& path, bool overwrite);

  ~AtomicFileWriter();
  AtomicFileWriter(const AtomicFileWriter&) = delete;
  AtomicFileWriter& operator=(const AtomicFileWriter&) = delete;

  // kUnavailable if the operating system fails, such as on a full disk. Small pieces are gathered, so it may be only
  // a later call that notices. Every call after an error fails in the same way.
  absl::Status Append(absl::string_view bytes);

  // Makes the file appear at its path, durably, after reading it back: kDataLoss if that differs from what was
  // appended. kAlreadyExists if something has appeared at the path since Create() and not `overwrite`. To be called
  // once; nothing can be appended afterwards.
  absl::Status Commit();

  // Of everything that was appended; the digest only after Commit() succeeded.
  uint64_t size() const { return size_; }
  const Sha256Digest& sha256() const { return digest_; }

 private:
  AtomicFileWriter(const std::string& path, bool overwrite);

  absl::Status OpenTemporary();
  absl::Status Flush();
  absl::Status Publish();
  absl::Status CompareWithAppended() const;
  absl::Status MoveToTarget();
  void Discard();
  absl::Status SystemError(absl::string_view phrase, int error_number) const;

  const std::string path_;
  const bool overwrite_;
  std::string folder_path_;
  std::string name_;       // of the target in its folder
  std::string temporary_;  // name in the folder; empty if there is none
  int folder_ = -1;
  int file_ = -1;
  std::string pending_;  // appended, but not written
  uint64_t size_ = 0;
  Sha256Stream sha256_;
  Sha256Digest digest_ = {};
  absl::Status status_;
};

// Create(), Append() and Commit() of an AtomicFileWriter.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes, bool overwrite);

}  // namespace dpkde

#endif  // DPKDE_IO_FILE_H_
