#include "dpkde/tools/query_describe.h"

#include <google/protobuf/util/json_util.h>

#include <cstdio>

#include "absl/flags/flag.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/tools/load_release.h"
#include "dpkde/tools/shared_flags.h"

namespace dpkde {
namespace {

absl::Status Run(const std::vector<std::string>& operands) {
  const std::string format = absl::GetFlag(FLAGS_output_format).empty() ? "text" : absl::GetFlag(FLAGS_output_format);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_format", format, {"text", "json"}));
  DPKDE_ASSIGN_OR_RETURN(const Release release, LoadRelease(operands[0]));
  if (format == "json") {
    proto::Release message;
    *message.mutable_plan() = release.plan();
    *message.mutable_certificate() = release.certificate();
    google::protobuf::util::JsonPrintOptions options;
    options.add_whitespace = true;
    options.preserve_proto_field_names = true;
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) {
      return absl::InternalError("the certificate cannot be printed as JSON");
    }
    std::fputs(json.c_str(), stdout);
  } else {
    std::fputs(release.DebugString().c_str(), stdout);
  }
  return absl::OkStatus();
}

}  // namespace

Subcommand QueryDescribeSubcommand() {
  return {"describe",
          "Prints the certificate of a release: what was guaranteed, how, and on whose word.",
          "FILE [--output_format=text|json]",
          {"output_format", "threads", "quiet"},
          {"FILE"},
          Run};
}

}  // namespace dpkde
