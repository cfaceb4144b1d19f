#ifndef DPKDE_IO_MAPPED_FILE_H_
#define DPKDE_IO_MAPPED_FILE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace dpkde {

// A file whose bytes appear in memory when they are touched (mmap). For files that are never changed in place: whoever
// shortens one while it is mapped makes the process die by SIGBUS. It may be deleted: its bytes stay until the end of
// this object. Immutable, so safe for any number of threads.
class MappedFile {
 public:
  // Errors as InputFile::Open().
  static absl::StatusOr<std::unique_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }

  // Aligned to a page.
  absl::string_view bytes() const { return bytes_; }

 private:
  MappedFile(const std::string& path, absl::string_view bytes) : path_(path), bytes_(bytes) {}

  const std::string path_;
  const absl::string_view bytes_;
};

}  // namespace dpkde

#endif  // DPKDE_IO_MAPPED_FILE_H_
