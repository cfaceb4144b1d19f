#include "dpkde/tools/query_tune.h"

#include <google/protobuf/text_format.h>

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/base/validation.h"
#include "dpkde/index/encoding/encoder_choice.h"
#include "dpkde/index/search/tuner.h"
#include "dpkde/tools/corpus_input.h"
#include "dpkde/tools/json_text.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(bool, encoders, false,
          "Also measure encoders on the index's documents, as dpkde_build index does without a config, and propose the "
          "smallest; takes about a minute and memory for the tokens as float32.");
ABSL_FLAG(double, target_recall, 0.95, "The recall of the k best that a proposal must reach, in (0, 1].");

namespace dpkde {
namespace {

std::string SingleLine(const google::protobuf::Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(message, &text);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// A configuration for dpkde_build index --config, on one line.
std::string ConfigOf(const Searcher& searcher, const TuneRow& row) {
  proto::IndexConfig config;
  if (searcher.encoder() != nullptr) *config.mutable_encoder() = searcher.encoder()->spec();
  *config.mutable_vector_index() = VectorIndexSpecFromOptions(row.options);
  if (searcher.encoder() != nullptr) {
    config.mutable_vector_index()->clear_metric();  // it has no choice
  } else {
    config.mutable_vector_index()->set_metric(ToProto(searcher.metric()));
  }
  const proto::TokenStoreSpec::Format format = searcher.directory().manifest().config().tokens().format();
  const auto usual =
      searcher.encoder() == nullptr ? proto::TokenStoreSpec::FLOAT32 : proto::TokenStoreSpec::FLOAT16;
  if (format != usual) config.mutable_tokens()->set_format(format);
  return SingleLine(config);
}

std::string Proposal(const Searcher& searcher, const TuneReport& report, const absl::optional<size_t>& row,
                     const char* what, double target) {
  if (!row.has_value()) {
    return absl::StrFormat("%s: nothing here reaches a recall of %.4g; exact search takes %.4g ms a query\n", what,
                           target, report.exact_milliseconds);
  }
  const TuneRow& r = report.rows[*row];
  return absl::StrFormat("%s: %s with --candidates=%d: recall %.4f, %.4g bytes a document, %.4g ms a query\n  %s\n",
                         what, r.name, r.candidates, r.recall, r.bytes_per_document, r.milliseconds,
                         ConfigOf(searcher, r));
}

std::string Json(const Searcher& searcher, const TuneReport& report) {
  const auto object = [&](const TuneRow& row) {
    return absl::StrFormat(
        "{\"vectors\":%s,\"bytes_per_document\":%.6g,\"build_seconds\":%.4g,\"candidates\":%d,\"recall\":%.6g,"
        "\"milliseconds\":%.4g,\"cpu_milliseconds\":%.4g,\"config\":%s}",
        JsonString(row.name), row.bytes_per_document, row.build_seconds, row.candidates, row.recall, row.milliseconds,
        row.cpu_milliseconds, JsonString(ConfigOf(searcher, row)));
  };
  std::string text = absl::StrFormat("{\"exact_milliseconds\":%.4g,\"rows\":[", report.exact_milliseconds);
  for (size_t i = 0; i < report.rows.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", object(report.rows[i]));
  }
  absl::StrAppend(&text,
                  "],\"smallest\":", report.smallest.has_value() ? object(report.rows[*report.smallest]) : "null",
                  ",\"fastest\":", report.fastest.has_value() ? object(report.rows[*report.fastest]) : "null", "}\n");
  return text;
}

// Encoders measured with the documents of the index, and the configuration of the one that is proposed.
absl::StatusOr<std::string> CompareEncoders(const Searcher& searcher, const TuneOptions& options, ThreadPool& pool) {
  const IndexDirectory& directory = searcher.directory();
  TokenSets documents(directory.dimension());
  std::vector<float> tokens;
  for (uint64_t row = 0; row < directory.rows(); ++row) {
    if (directory.removed(row)) continue;
    const StoredTokens stored = directory.tokens(row);
    tokens.resize(stored.count * stored.dimension);
    LoadTokens(stored, tokens.data());
    documents.Append({tokens.data(), stored.count, stored.dimension});
  }
  EncoderChoiceOptions choice_options;
  choice_options.k = options.k;
  choice_options.target_recall = options.target_recall;
  DPKDE_ASSIGN_OR_RETURN(const EncoderChoice choice, ChooseEncoder(documents.view(), choice_options, pool));
  proto::IndexConfig config;
  *config.mutable_encoder() = choice.encoder->spec();
  std::string text = choice.DebugString();
  if (text.empty() || text.back() != '\n') text += '\n';
  return absl::StrCat("encoder: ", text, "  ", SingleLine(config), "\n");
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string format = absl::GetFlag(FLAGS_output_format).empty() ? "text" : absl::GetFlag(FLAGS_output_format);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_format", format, {"text", "json"}));
  DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--k", absl::GetFlag(FLAGS_k), 1, 1 << 30)));
  TuneOptions options;
  options.k = absl::GetFlag(FLAGS_k);
  options.target_recall = absl::GetFlag(FLAGS_target_recall);
  if (!(options.target_recall > 0 && options.target_recall <= 1)) {
    return UsageError(absl::StrCat("--target_recall must be in (0, 1], but is ", options.target_recall));
  }
  if (absl::GetFlag(FLAGS_queries).empty()) return UsageError("--queries is missing");
  const bool encoders = absl::GetFlag(FLAGS_encoders);
  if (encoders && format != "text") return UsageError("--encoders needs --output_format=text");
  DPKDE_ASSIGN_OR_RETURN(const proto::IndexManifest manifest, ReadIndexFlag());
  if (encoders && manifest.config().tokens().single_vectors()) {
    return UsageError("--encoders is for token sets, but the index has single vectors");
  }
  DPKDE_ASSIGN_OR_RETURN(const TokenSets queries, ReadQueryInput(manifest.config()));
  DPKDE_ASSIGN_OR_RETURN(const Searcher searcher, Searcher::Open(absl::GetFlag(FLAGS_index)));
  DPKDE_RETURN_IF_ERROR(CheckStillSame(manifest.config(), searcher.directory()));
  options.arrangements = UsualArrangements(searcher.vectors().options().metric);
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  const absl::StatusOr<TuneReport> measured = Tune(searcher, queries.view(), options, pool);
  if (!measured.ok()) return NameQueryFile(measured.status());
  const TuneReport& report = *measured;
  std::string text;
  if (format == "json") {
    text = Json(searcher, report);
  } else {
    text = absl::StrFormat("%-24s %10s %8s %11s %8s %9s\n", "vectors", "bytes/doc", "build s", "candidates", "recall",
                           "ms/query");
    for (const TuneRow& row : report.rows) {
      absl::StrAppendFormat(&text, "%-24s %10.1f %8.2f %11d %8.4f %9.3f\n", row.name, row.bytes_per_document,
                            row.build_seconds, row.candidates, row.recall, row.milliseconds);
    }
    absl::StrAppendFormat(&text, "%-24s %10s %8s %11d %8.4f %9.3f\n", "exact search", "", "",
                          searcher.directory().live_rows(), 1.0, report.exact_milliseconds);
    text += Proposal(searcher, report, report.smallest, "smallest", options.target_recall);
    text += Proposal(searcher, report, report.fastest, "fastest", options.target_recall);
    if (encoders) {
      DPKDE_ASSIGN_OR_RETURN(const std::string compared, CompareEncoders(searcher, options, pool));
      text += compared;
    }
  }
  std::fputs(text.c_str(), stdout);
  if (searcher.directory().token_format() != TokenFormat::kFloat32 && searcher.encoder() == nullptr &&
      !absl::GetFlag(FLAGS_quiet)) {
    absl::FPrintF(stderr,
                  "warning: recall is against the vectors as they are stored, rounded to %s; to see what that loses, tune an "
                  "index of FLOAT32\n",
                  proto::TokenStoreSpec::Format_Name(manifest.config().tokens().format()));
  }
  return absl::OkStatus();
}

}  // namespace

Subcommand QueryTuneSubcommand() {
  return {
      "tune",
      "Measures recall, bytes and time of the index and of other arrangements of its vectors on the user's queries, "
      "and proposes a configuration for a target recall.",
      "--index=DIR --queries=FILE [--query_lens=FILE] [--k=K] [--target_recall=R] [--encoders] "
      "[--output_format=text|json]",
      "--index=places.index --queries=queries.csv --k=3",
      {{"Required", {"index", {"queries", "`FILE` of the tokens of all queries in order, or of one vector a query."}}},
       {"Queries", {"query_lens", "input_format", "columns", "csv_header", "list_format"}},
       {"Tuning", {{"k", "Results of a query whose recall is measured, at least 1."}, "target_recall", "encoders"}},
       {"Output", {{"output_format", "`text|json`. Left out: text."}}},
       {"Running", {"threads", "quiet"}}},
      {},
      Run};
}

}  // namespace dpkde
