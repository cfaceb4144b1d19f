#include "dpkde/tools/query_classify.h"

#include <cstdio>
#include <memory>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/io/vector_reader.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/json_text.h"
#include "dpkde/tools/load_release.h"
#include "dpkde/tools/record_batches.h"
#include "dpkde/tools/shared_flags.h"

namespace dpkde {
namespace {

constexpr size_t kBatchRows = 4096;

// As JSON: numbers where the whole label set is integers as they are usually written.
std::vector<std::string> JsonLabels(const std::vector<std::string>& labels) {
  bool numeric = true;
  for (const std::string& label : labels) {
    int64_t value;
    numeric = numeric && absl::SimpleAtoi(label, &value) && absl::StrCat(value) == label;
  }
  std::vector<std::string> json;
  for (const std::string& label : labels) json.push_back(numeric ? label : JsonString(label));
  return json;
}

std::string JsonLine(uint64_t query, const std::string& label, const std::vector<double>& scores) {
  std::string text = absl::StrFormat("{\"query\":%d,\"label\":%s,\"scores\":[", query, label);
  for (size_t c = 0; c < scores.size(); ++c) absl::StrAppend(&text, c == 0 ? "" : ",", JsonNumber(scores[c]));
  return text + "]}\n";
}

// Calls visit(rows, number of the first) for the queries from the beginning.
template <typename Visit>
absl::Status ForEachQueries(VectorReader& reader, const Visit& visit) {
  DPKDE_RETURN_IF_ERROR(reader.Rewind());
  std::vector<float> batch(kBatchRows * reader.dimension());
  uint64_t done = 0;
  while (true) {
    DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader.ReadRows(kBatchRows, batch.data()));
    if (rows == 0) return absl::OkStatus();
    DPKDE_RETURN_IF_ERROR(visit(MatrixView{batch.data(), rows, reader.dimension()}, done));
    done += rows;
  }
}

absl::Status Answer(const Classifier& classifier, VectorReader& reader,
                    const absl::optional<std::vector<std::string>>& truth) {
  // Whatever is to be refused is refused before the first answer is printed.
  uint64_t queries = 0;
  if (reader.dimension() == classifier.dimension()) {
    DPKDE_RETURN_IF_ERROR(reader.SetOrigin({classifier.origin().begin(), classifier.origin().end()}));
  }
  DPKDE_RETURN_IF_ERROR(ForEachQueries(reader, [&](MatrixView rows, uint64_t first) {
    queries += rows.rows;
    return classifier.CheckQueries(CenteredRows(rows), first);
  }));
  if (truth.has_value() && truth->size() != queries) {
    return absl::InvalidArgumentError(absl::StrCat("there are ", queries, " queries, but ", truth->size(), " labels"));
  }
  const std::vector<std::string> names = JsonLabels(classifier.labels());
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  uint64_t right = 0;
  DPKDE_RETURN_IF_ERROR(ForEachQueries(reader, [&](MatrixView rows, uint64_t first) -> absl::Status {
    DPKDE_ASSIGN_OR_RETURN(const std::vector<Prediction> predictions, classifier.Classify(CenteredRows(rows), pool));
    std::string text;
    for (size_t i = 0; i < predictions.size(); ++i) {
      text += JsonLine(first + i, names[predictions[i].label], predictions[i].scores);
      if (truth.has_value()) right += classifier.labels()[predictions[i].label] == (*truth)[first + i];
    }
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return absl::OkStatus();
    return absl::UnavailableError("standard output: cannot be written");
  }));
  if (truth.has_value()) {
    absl::FPrintF(stderr, "accuracy %.4f (%d of %d queries)\n",
                  queries == 0 ? 0.0 : static_cast<double>(right) / queries, right, queries);
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string path = absl::GetFlag(FLAGS_release), queries = absl::GetFlag(FLAGS_queries);
  if (path.empty()) return UsageError("--release is missing");
  if (queries.empty()) return UsageError("--queries is missing");
  DPKDE_ASSIGN_OR_RETURN(VectorReaderOptions options, ParseInputOptions());
  DPKDE_ASSIGN_OR_RETURN(ListOptions list_options, ParseListOptions());
  std::string labels = absl::GetFlag(FLAGS_labels);
  const std::string label_column = absl::GetFlag(FLAGS_label_column);
  if (!labels.empty()) {
    ChooseListColumn(label_column, &list_options);
  } else if (!label_column.empty()) {
    labels = queries;
    DPKDE_RETURN_IF_ERROR(TakeColumnFromTable(labels, "label_column", label_column, &options, &list_options));
  }
  DPKDE_ASSIGN_OR_RETURN(const Classifier classifier, LoadClassifier(path));
  absl::optional<std::vector<std::string>> truth;
  if (!labels.empty()) {
    absl::StatusOr<std::vector<std::string>> rows = ReadIds(labels, list_options);
    if (!rows.ok()) return DataError(rows.status());
    truth = *std::move(rows);
  }
  const std::string name = InputName(queries);
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader,
                         OpenVectors(queries, options, classifier.dimension(), "queries", "the release"));
  const absl::Status status = Answer(classifier, *reader, truth);
  if (status.ok() || status.code() != absl::StatusCode::kInvalidArgument) return DataError(status);
  return absl::StartsWith(status.message(), name)
             ? status
             : absl::InvalidArgumentError(absl::StrCat(name, ": ", std::string(status.message())));
}

}  // namespace

Subcommand QueryClassifySubcommand() {
  return {
      "classify",
      "Classifies query vectors by a released classifier: the label with the largest score, and all scores.",
      "--release=FILE --queries=FILE [--labels=FILE]",
      "--release=classes.dpkde --queries=queries.csv",
      {{"Required",
        {{"release", "`FILE` that dpkde_build classifier has written."},
         {"queries", "`FILE` of query vectors, one a row, with the columns of the release."}}},
       {"Queries",
        {{"labels",
          "`FILE` with the label of each query: .txt or .csv, one a line, or .npy of integers. Public: the accuracy is "
          "printed on stderr."},
         "label_column",
         "columns",
         "input_format",
         "csv_header", "list_format"}},
       {"Running", {"threads", "quiet"}}},
      {},
      Run};
}

}  // namespace dpkde
