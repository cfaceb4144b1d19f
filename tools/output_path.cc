#include "dpkde/tools/output_path.h"

#include <filesystem>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {

bool IsSameFile(const std::string& a, const std::string& b) {
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  std::error_code error_a, error_b;
  const auto full_a = std::filesystem::weakly_canonical(std::filesystem::absolute(a, error_a), error_a);
  const auto full_b = std::filesystem::weakly_canonical(std::filesystem::absolute(b, error_b), error_b);
  return !error_a && !error_b && full_a == full_b;
}

absl::Status CheckOutputPath(const std::string& flag, const std::string& path, const std::string& input) {
  if (path.empty()) return UsageError(absl::StrCat("--", flag, " is missing"));
  const std::string name = std::filesystem::path(path).filename();
  if (name.empty() || name == "." || name == "..") {
    return UsageError(absl::StrCat("--", flag, "=", path, " does not end with the name of a file"));
  }
  if (IsSameFile(path, input)) {
    return UsageError(absl::StrCat("--", flag, "=", path, " is the file that is read; it is never overwritten"));
  }
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::symlink_status(path, error);
  if (std::filesystem::exists(status) && !absl::GetFlag(FLAGS_overwrite)) {
    return UsageError(absl::StrCat("--", flag, "=", path, " already exists; --overwrite replaces it"));
  }
  return absl::OkStatus();
}

}  // namespace dpkde
