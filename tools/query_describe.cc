#include "dpkde/tools/query_describe.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/file.h"
#include "dpkde/privacy/budget_ledger.h"
#include "dpkde/tools/load_release.h"
#include "dpkde/tools/shared_flags.h"

namespace dpkde {
namespace {

absl::Status Print(const std::string& format, const google::protobuf::Message& message, const std::string& text) {
  if (format == "text") {
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) {
    return absl::InternalError("what is to be described cannot be printed as JSON");
  }
  std::fputs(json.c_str(), stdout);
  return absl::OkStatus();
}

// A file that cannot be read, or is too large for a ledger, is left to the reader of releases, which says what is
// wrong.
bool IsLedgerFile(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path, BudgetLedger::kLargestFile);
  return bytes.ok() && BudgetLedger::IsLedger(*bytes);
}

absl::Status Run(const std::vector<std::string>& operands) {
  const std::string format = absl::GetFlag(FLAGS_output_format).empty() ? "text" : absl::GetFlag(FLAGS_output_format);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_format", format, {"text", "json"}));
  if (IsLedgerFile(operands[0])) {
    DPKDE_ASSIGN_OR_RETURN(const BudgetLedger ledger, BudgetLedger::Read(operands[0]));
    return Print(format, ledger.Report(), ledger.DebugString());
  }
  DPKDE_ASSIGN_OR_RETURN(const Release release, LoadRelease(operands[0]));
  proto::Release message;  // without the values
  *message.mutable_plan() = release.plan();
  *message.mutable_certificate() = release.certificate();
  return Print(format, message, release.DebugString());
}

}  // namespace

Subcommand QueryDescribeSubcommand() {
  return {
      "describe",
      "Prints the certificate of a release (what was guaranteed, how, and on whose word) or the entries of a ledger.",
      "FILE [--output_format=text|json]",
      {"output_format", "threads", "quiet"},
      {"FILE"},
      Run};
}

}  // namespace dpkde
