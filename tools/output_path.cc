#include "dpkde/tools/output_path.h"

#include <filesystem>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/envelope.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {
namespace {

absl::Status CheckOutput(const OutputFlag& flag, const std::vector<std::string>& read) {
  const std::string given = absl::StrCat("--", flag.name, "=", flag.path);
  const absl::StatusOr<std::string> target = OutputTarget(flag.path);
  if (target.status().code() == absl::StatusCode::kInvalidArgument) {
    return UsageError(absl::StrCat(given, " does not end with the name of a file"));
  }
  for (const std::string& path : read) {
    // A "-" among them is standard input.
    if (!path.empty() && path != "-" && IsSameFile(flag.path, path)) {
      return UsageError(absl::StrCat(given, " is the file that is read; it is never overwritten"));
    }
  }
  const std::string ledger = absl::GetFlag(FLAGS_ledger);
  if (!ledger.empty() && IsSameFile(flag.path, ledger)) {
    return UsageError(absl::StrCat(given, " is the file of --ledger; no output overwrites a ledger"));
  }
  // The folder is missing, or cannot be looked into: that is found when the file is made.
  if (!target.ok()) return absl::OkStatus();
  std::error_code error;
  if (!std::filesystem::is_regular_file(*target, error)) return absl::OkStatus();
  if (const auto beginning = ReadBeginning(*target, 16); beginning.ok() && IsEnvelope(kLedgerKind, *beginning)) {
    return UsageError(absl::StrCat(given, " is the ledger of a privacy budget; no output overwrites a ledger"));
  }
  if (!IsDescriptor(*target) && !absl::GetFlag(FLAGS_overwrite)) {
    return UsageError(absl::StrCat(given, " already exists; --overwrite replaces it"));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsSameFile(const std::string& a, const std::string& b) {
  std::error_code error;
  const absl::StatusOr<std::string> target_a = OutputTarget(a), target_b = OutputTarget(b);
  if (target_a.ok() && target_b.ok() && *target_a == *target_b) return true;
  const std::string full_a = target_a.value_or(a), full_b = target_b.value_or(b);
  // Two descriptors may well be one terminal.
  if (!std::filesystem::is_regular_file(full_a, error) && !std::filesystem::is_directory(full_a, error)) return false;
  return std::filesystem::equivalent(full_a, full_b, error);
}

absl::Status CheckOutputs(const std::vector<OutputFlag>& outputs, const std::vector<std::string>& read) {
  if (outputs[0].path.empty()) return UsageError(absl::StrCat("--", outputs[0].name, " is missing"));
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].path.empty()) continue;
    DPKDE_RETURN_IF_ERROR(CheckOutput(outputs[i], read));
    for (size_t j = 0; j < i; ++j) {
      if (outputs[j].path.empty() || !IsSameFile(outputs[i].path, outputs[j].path)) continue;
      return UsageError(absl::StrCat("--", outputs[j].name, " and --", outputs[i].name, " are the same file"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<AtomicFileWriter>> OpenOutput(const std::string& path) {
  absl::StatusOr<std::unique_ptr<AtomicFileWriter>> writer =
      AtomicFileWriter::Create(path, absl::GetFlag(FLAGS_overwrite));
  if (absl::IsAlreadyExists(writer.status())) return WithExitCode(writer.status(), ExitCode::kIo);
  return writer;
}

}  // namespace dpkde
