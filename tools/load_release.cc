#include "dpkde/tools/load_release.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/file.h"

namespace dpkde {
namespace {

// protobuf's own limit is 2 GiB.
constexpr uint64_t kLargestRelease = uint64_t{1} << 31;

}  // namespace

absl::StatusOr<Release> LoadRelease(const std::string& path) {
  DPKDE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kLargestRelease));
  absl::StatusOr<Release> release = Release::Deserialize(bytes);
  if (release.ok()) return release;
  return absl::Status(release.status().code(), absl::StrCat(path, ": ", std::string(release.status().message())));
}

}  // namespace dpkde
