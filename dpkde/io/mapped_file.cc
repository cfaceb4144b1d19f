#include "dpkde/io/mapped_file.h"

#include <errno.h>
#include <sys/mman.h>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/input_file.h"

namespace dpkde {

absl::StatusOr<std::unique_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<InputFile> file, InputFile::Open(path));
  absl::string_view bytes;
  if (file->size() > 0) {
    void* const start = mmap(nullptr, file->size(), PROT_READ, MAP_SHARED, file->descriptor(), 0);
    if (start == MAP_FAILED) {
      return file->Error(absl::StatusCode::kUnavailable, absl::StrCat("cannot be mapped: ", ErrnoText(errno)));
    }
    bytes = absl::string_view(static_cast<const char*>(start), file->size());
  }
  return std::unique_ptr<const MappedFile>(new MappedFile(path, bytes));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

}  // namespace dpkde
