#ifndef DPKDE_IO_FILE_H_
#define DPKDE_IO_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/sha256.h"
#include "dpkde/io/temporary_names.h"

// Whole files in and out. Every error begins with the path.

namespace dpkde {

// The bytes of a regular file. kNotFound: no such file. kInvalidArgument: it has more than `max_bytes`. kUnavailable:
// it is a folder, a pipe or a device, or the operating system fails.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes);

// Its first bytes, at most `count`. Errors as of ReadFile.
absl::StatusOr<std::string> ReadBeginning(const std::string& path, uint64_t count);

// Whether this is the name of a temporary file of an AtomicFileWriter, of this version or of an older one.
bool IsTemporaryName(absl::string_view name);

// Deletes the temporary files in a folder whose process is gone: those that nobody has locked, and of versions that did
// not lock them, those that are older than a day. Files of any other name, and all that cannot be examined, stay.
void SweepTemporaries(const std::string& folder);

// Which file is written when a writer is told to write to `path`: symbolic links are followed, and the last may lead to
// nothing yet. Absolute; of an open descriptor ("-", which is standard output, /dev/stdout, /dev/fd/3)
// /proc/<process>/fd/<number>. kInvalidArgument if the path ends with no name of a file; kNotFound if its folder does
// not exist; kUnavailable if the operating system fails.
absl::StatusOr<std::string> OutputTarget(const std::string& path);

// Whether such a target is an open descriptor of this process.
bool IsDescriptor(absl::string_view output_target);

// Decides who may read a file, and what it may replace.
enum class FileKind {
  kPublic,  // whoever the umask of the process admits (0666 & ~umask)
  kLedger,  // a privacy budget: its owner only (0600)
};

// Writes a file that appears at its path complete or not at all.
//
//   DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFileWriter> writer,
//                          AtomicFileWriter::Create(path, /*overwrite=*/false));
//   DPKDE_RETURN_IF_ERROR(writer->Append(bytes));
//   DPKDE_RETURN_IF_ERROR(writer->Commit());
//
// The bytes go to a temporary file in the folder of the target, which only its owner may read (mode 0600 until
// Commit()). It is removed by any error, by the destructor, and by signals that end the process (temporary_names.h);
// what a process leaves that is killed otherwise, the next writer into that folder removes. Of a public file the
// temporary file also is the claim to the name: while one writer has it, locked, no other gets it.
//
// A symbolic link at the path stays, and its target is written. A pipe, or an open descriptor of this process ("-" is
// standard output), is written to as the bytes come, not atomically; other devices and folders are refused. A privacy
// ledger is replaced by ledgers only, whatever `overwrite` says.
//
// A process that writes beyond its file size limit (ulimit -f) is killed by SIGXFSZ, one that writes to a pipe without
// a reader by SIGPIPE. Programs that use this class should ignore those signals, as dpkde's tools do, and then get
// kUnavailable.
//
// Not thread-safe.
class AtomicFileWriter {
 public:
  // kAlreadyExists if there is something at `path` and not `overwrite`; errors of OutputTarget(); kUnavailable if
  // another writer has the name, if it is neither a regular file nor a pipe, a ledger that must not be replaced, or a
  // pipe that nobody opens for reading within ten seconds.
  static absl::StatusOr<std::unique_ptr<AtomicFileWriter>> Create(const std::string& path, bool overwrite,
                                                                  FileKind kind = FileKind::kPublic);

  ~AtomicFileWriter();
  AtomicFileWriter(const AtomicFileWriter&) = delete;
  AtomicFileWriter& operator=(const AtomicFileWriter&) = delete;

  // Takes the disk space for `bytes` in all, so that appending as many does not fail for want of it. kUnavailable if
  // there is not so much. Does nothing for pipes, and where the file system cannot promise.
  absl::Status Reserve(uint64_t bytes);

  // What Commit() would say of the target now: an error, of code `if_taken` if something has appeared there that must
  // not be replaced.
  absl::Status CheckTarget(absl::StatusCode if_taken = absl::StatusCode::kUnavailable) const;

  // kUnavailable if the operating system fails, such as on a full disk. Small pieces are gathered, so it may be only
  // a later call that notices. Every call after an error fails in the same way.
  absl::Status Append(absl::string_view bytes);

  // Makes the file appear at its path, durably, after reading it back: kDataLoss if that differs from what was
  // appended. kUnavailable if something has appeared at the path since Create() and not `overwrite`. To be called
  // once; nothing can be appended afterwards.
  absl::Status Commit();

  // Of everything that was appended; the digest only after Commit() succeeded.
  uint64_t size() const { return size_; }
  const Sha256Digest& sha256() const { return digest_; }

 private:
  AtomicFileWriter(const std::string& path, bool overwrite, FileKind kind);

  absl::Status Open();
  absl::Status OpenDescriptor(int descriptor);
  absl::Status OpenPipe();
  absl::Status OpenTemporary();
  absl::Status Flush();
  absl::Status Publish();
  absl::Status CompareWithAppended() const;
  absl::Status MoveToTarget();
  void Discard();
  absl::Status Taken(absl::StatusCode code) const;
  absl::Status Unsuitable(absl::string_view phrase) const;
  absl::Status SystemError(absl::string_view phrase, int error_number) const;

  const std::string path_;
  const bool overwrite_;
  const FileKind kind_;
  std::string folder_path_;
  std::string name_;                          // of the target in its folder
  std::string temporary_;                     // name in the folder; empty if there is none
  std::unique_ptr<TemporaryName> on_signal_;  // of temporary_
  int folder_ = -1;
  int file_ = -1;
  bool is_stream_ = false;  // a pipe or a descriptor
  uint32_t mode_ = 0600;    // of the file when it is complete
  uint64_t reserved_ = 0;
  std::string pending_;  // appended, but not written
  uint64_t size_ = 0;
  Sha256Stream sha256_;
  Sha256Digest digest_ = {};
  absl::Status status_;
};

// Create(), Append() and Commit() of an AtomicFileWriter.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes, bool overwrite,
                                 FileKind kind = FileKind::kPublic);

}  // namespace dpkde

#endif  // DPKDE_IO_FILE_H_
