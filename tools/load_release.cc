#include "dpkde/tools/load_release.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/io/file.h"
#include "dpkde/tools/exit_code.h"

namespace dpkde {
namespace {

template <typename Loaded>
absl::StatusOr<Loaded> Load(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path, kLargestRelease);
  if (!bytes.ok()) {
    // Too large to be one of ours.
    const bool foreign = bytes.status().code() == absl::StatusCode::kInvalidArgument;
    return foreign ? WithExitCode(bytes.status(), ExitCode::kDamaged) : bytes.status();
  }
  absl::StatusOr<Loaded> loaded = Loaded::Deserialize(*bytes);
  if (loaded.ok()) return loaded;
  return absl::Status(loaded.status().code(), absl::StrCat(path, ": ", std::string(loaded.status().message())));
}

}  // namespace

absl::StatusOr<Release> LoadRelease(const std::string& path) { return Load<Release>(path); }
absl::StatusOr<Classifier> LoadClassifier(const std::string& path) { return Load<Classifier>(path); }
absl::StatusOr<Histogram> LoadHistogram(const std::string& path) { return Load<Histogram>(path); }

}  // namespace dpkde
