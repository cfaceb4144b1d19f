#include "dpkde/tools/exit_code.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace dpkde {
namespace {

constexpr char kPayload[] = "dpkde/exit_code";

}  // namespace

std::string ExitCodesHelp() {
  return "Exit codes: 0 success, 1 command line, 2 data or queries, 3 damaged or foreign file, 4 privacy parameters or "
         "budget, 5 reading or writing, 6 recall below what was asked for (search --fail_if_recall_below), 70 internal "
         "error or out of memory.";
}

absl::Status WithExitCode(absl::Status status, ExitCode code) {
  if (!status.ok()) status.SetPayload(kPayload, absl::Cord(absl::StrCat(static_cast<int>(code))));
  return status;
}

absl::Status DataError(absl::Status status) {
  return status.code() == absl::StatusCode::kDataLoss ? WithExitCode(std::move(status), ExitCode::kData) : status;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kOk;
  if (const auto payload = status.GetPayload(kPayload)) {
    int code = 0;
    if (absl::SimpleAtoi(std::string(*payload), &code)) return static_cast<ExitCode>(code);
  }
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnavailable:
      return ExitCode::kIo;
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kFailedPrecondition:
      return ExitCode::kDamaged;
    case absl::StatusCode::kAlreadyExists:
      return ExitCode::kUsage;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kResourceExhausted:
      return ExitCode::kData;
    default:
      return ExitCode::kInternal;
  }
}

}  // namespace dpkde
