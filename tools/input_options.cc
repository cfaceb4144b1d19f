#include "dpkde/tools/input_options.h"

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {

absl::StatusOr<VectorReaderOptions> ParseInputOptions() {
  VectorReaderOptions options;
  options.format = absl::GetFlag(FLAGS_input_format);
  if (!options.format.empty()) {
    DPKDE_RETURN_IF_ERROR(
        CheckChoice("input_format", options.format,
                    {"npy", "fvecs", "bvecs", "ivecs", "fbin", "u8bin", "i8bin", "ibin", "csv", "tsv"}));
  }
  const std::string header = absl::GetFlag(FLAGS_csv_header);
  DPKDE_RETURN_IF_ERROR(CheckChoice("csv_header", header, {"detect", "present", "absent"}));
  if (header == "present") options.text_header = VectorReaderOptions::TextHeader::kPresent;
  if (header == "absent") options.text_header = VectorReaderOptions::TextHeader::kAbsent;
  return options;
}

bool IsTextInput(const std::string& path, const VectorReaderOptions& options) {
  if (!options.format.empty()) return options.format == "csv" || options.format == "tsv";
  return absl::EndsWithIgnoreCase(path, ".csv") || absl::EndsWithIgnoreCase(path, ".tsv");
}

std::string OneColumnHint(const std::string& path, size_t columns) {
  if (columns != 1 || !absl::EndsWithIgnoreCase(path, ".npy")) return "";
  return " (an array of one dimension is one column; save q[None])";
}

}  // namespace dpkde
