#include "dpkde/tools/index_config.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/file.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {
namespace {

constexpr uint64_t kMaxConfigBytes = uint64_t{1} << 20;

// Keeps the first error, which protobuf would print by itself.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text.empty()) text = absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message);
  }
  std::string text;
};

}  // namespace

absl::StatusOr<proto::IndexConfig> ReadIndexConfig() {
  proto::IndexConfig config;
  const std::string path = absl::GetFlag(FLAGS_config);
  if (path.empty()) return config;
  DPKDE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxConfigBytes));
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &config)) {
    return UsageError(absl::StrCat("--config=", path, " is no IndexConfig in protobuf text format: ", error.text));
  }
  if (!config.encoder_fingerprint().empty()) {
    return UsageError(absl::StrCat("--config=", path, ": encoder_fingerprint is not for configurations"));
  }
  return config;
}

}  // namespace dpkde
