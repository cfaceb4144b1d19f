#include "dpkde/tools/query_describe.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/io/file.h"
#include "dpkde/privacy/budget_ledger.h"
#include "dpkde/sketch/histogram.h"
#include "dpkde/sketch/release.h"
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

// What tells the kind of a file. None of one that cannot be read: that is left to the reader of releases, which says
// what is wrong.
std::string BeginningOf(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadBeginning(path, 64);
  return bytes.ok() ? *bytes : "";
}

// No vector is loaded.
std::string IndexReport(const std::string& path, const proto::IndexManifest& manifest) {
  const proto::IndexConfig& config = manifest.config();
  uint64_t rows = 0, tokens = 0, bytes = manifest.removed().size();
  for (const proto::IndexSegment& segment : manifest.segment()) {
    rows += segment.documents();
    tokens += segment.tokens();
    bytes += segment.values().size() + segment.scales().size() + segment.offsets().size() + segment.ids().size();
  }
  for (const proto::IndexBlob& blob : manifest.blob()) bytes += blob.file().size();
  std::string text = absl::StrFormat("index %s, generation %d\n", path, manifest.generation());
  absl::StrAppendFormat(&text, "documents            %d", rows - manifest.removed_documents());
  if (manifest.removed_documents() > 0) {
    absl::StrAppendFormat(&text, " (and %d removed ones until it is compacted)", manifest.removed_documents());
  }
  absl::StrAppendFormat(&text, "\n%s %d of %d coordinates, %s, in %d segments\n",
                        config.tokens().single_vectors() ? "single vectors      " : "tokens              ", tokens,
                        config.tokens().dimension(), proto::TokenStoreSpec::Format_Name(config.tokens().format()),
                        manifest.segment_size());
  if (config.has_encoder()) {
    absl::StrAppendFormat(&text, "encoder              %s\nencoder fingerprint  %s\n",
                          config.encoder().ShortDebugString(), config.encoder_fingerprint());
  }
  absl::StrAppendFormat(&text, "vectors              %s\n", config.vector_index().ShortDebugString());
  if (config.origin_size() > 0) {
    constexpr int kShown = 3;
    text += "origin               ";
    for (int j = 0; j < std::min(kShown, config.origin_size()); ++j) {
      absl::StrAppendFormat(&text, "%s%.17g", j == 0 ? "" : ", ", config.origin(j));
    }
    text += config.origin_size() > kShown ? ", ...\n" : "\n";
  }
  for (const proto::IndexBlob& blob : manifest.blob()) {
    absl::StrAppendFormat(&text, "%-20s %d bytes\n", blob.name(), blob.file().size());
  }
  absl::StrAppendFormat(&text, "all files            %d bytes\n", bytes);
  return text;
}

absl::Status Run(const std::vector<std::string>& operands) {
  const std::string format = absl::GetFlag(FLAGS_output_format).empty() ? "text" : absl::GetFlag(FLAGS_output_format);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_format", format, {"text", "json"}));
  std::error_code ignored;
  if (std::filesystem::is_directory(operands[0], ignored)) {
    // With the files that it names, so that nothing is believed which is not there.
    const auto index = IndexDirectory::Open(operands[0], IndexDirectory::Verify::kMetadata);
    if (index.status().code() == absl::StatusCode::kNotFound) {
      return absl::NotFoundError(absl::StrCat(operands[0], ": is a folder that holds no index"));
    }
    DPKDE_RETURN_IF_ERROR(index.status());
    return Print(format, index->manifest(), IndexReport(operands[0], index->manifest()));
  }
  const std::string beginning = BeginningOf(operands[0]);
  if (BudgetLedger::IsLedger(beginning)) {
    DPKDE_ASSIGN_OR_RETURN(const BudgetLedger ledger, BudgetLedger::Read(operands[0]));
    return Print(format, ledger.Report(), ledger.DebugString());
  }
  if (Classifier::IsClassifier(beginning)) {
    DPKDE_ASSIGN_OR_RETURN(const Classifier classifier, LoadClassifier(operands[0]));
    return Print(format, classifier.Outline(), classifier.DebugString());
  }
  if (Histogram::IsHistogram(beginning)) {
    DPKDE_ASSIGN_OR_RETURN(const Histogram histogram, LoadHistogram(operands[0]));
    return Print(format, histogram.Outline(), histogram.DebugString());
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
      "Prints the certificate of a release, classifier or histogram (what was guaranteed, how, and on whose word), the "
      "entries of a ledger, or the manifest of an index directory.",
      "FILE|DIR [--output_format=text|json]",
      "records.dpkde",
      {{"Output", {{"output_format", "`text|json`. Left out: text."}}}, {"Running", {"threads", "quiet"}}},
      {"FILE"},
      Run};
}

}  // namespace dpkde
