#include "dpkde/tools/query_search.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/base/validation.h"
#include "dpkde/index/ann/row_set.h"
#include "dpkde/index/search/recall.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/tools/corpus_input.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(
    absl::optional<int>, rerank, absl::nullopt,
    "The best so many candidates are scored exactly, at least k; 0: none, scores are the first stage's. Left out: "
    "all.");
ABSL_FLAG(std::string, allow_ids, "", "File of ids, one a line: only these documents can be found.");
ABSL_FLAG(std::string, deny_ids, "", "File of ids, one a line: these documents are not found.");
ABSL_FLAG(bool, explain, false, "Adds which document token each query token was matched with (jsonl only).");
ABSL_FLAG(bool, timings, false, "Prints the seconds of each stage to stderr.");
ABSL_FLAG(std::string, ground_truth, "",
          "File of the true results of each query, best first: ids (.txt, one a query) or row numbers (.ivecs, .npy, "
          "...). Recall@k is printed to stderr.");
ABSL_FLAG(absl::optional<double>, fail_if_recall_below, absl::nullopt,
          "Exit code 6 if recall is below this. Needs --ground_truth.");
ABSL_FLAG(absl::optional<int>, ef_search, absl::nullopt, "Width of a graph's walk. Left out: the index's own.");
ABSL_FLAG(absl::optional<int>, ivf_probe, absl::nullopt,
          "Lists of an IVF that are scanned. Left out: the index's own.");
ABSL_FLAG(absl::optional<int>, rescore, absl::nullopt,
          "For 4-bit codes: candidates times this are scored by finer tables. Left out: the index's own.");
ABSL_FLAG(std::string, encoder_fingerprint, "",
          "Refuse an index whose encoder has another fingerprint than this (describe shows it).");

namespace dpkde {
namespace {

std::string JsonString(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;  // ids are UTF-8 without control characters
  }
  return quoted + "\"";
}

// Nine digits: float32 is read back as it was. An empty document's minus infinity is no JSON.
std::string JsonNumber(float score) { return std::isfinite(score) ? absl::StrFormat("%.9g", score) : "null"; }

std::string JsonLine(const Searcher& searcher, size_t query, const std::vector<SearchHit>& hits, bool explain) {
  std::string line = absl::StrFormat("{\"query\":%d,\"results\":[", query);
  for (size_t i = 0; i < hits.size(); ++i) {
    absl::StrAppend(&line, i == 0 ? "" : ",", "{\"id\":", JsonString(searcher.directory().id(hits[i].row)),
                    ",\"score\":", JsonNumber(hits[i].score));
    if (explain) {
      absl::StrAppend(&line, ",\"matches\":[");
      for (size_t j = 0; j < hits[i].matches.size(); ++j) {
        const TokenMatch& match = hits[i].matches[j];
        absl::StrAppend(&line, j == 0 ? "" : ",", "{\"query_token\":", j, ",\"token\":", match.token,
                        ",\"similarity\":", JsonNumber(match.similarity), "}");
      }
      absl::StrAppend(&line, "]");
    }
    absl::StrAppend(&line, "}");
  }
  return line + "]}\n";
}

absl::StatusOr<std::string> Format(const std::string& format, const Searcher& searcher, size_t query, size_t k,
                                   const std::vector<SearchHit>& hits, bool explain) {
  if (format == "jsonl") return JsonLine(searcher, query, hits, explain);
  std::string text;
  if (format == "ivecs") {
    std::vector<int32_t> row(k + 1, -1);
    row[0] = static_cast<int32_t>(k);
    for (size_t i = 0; i < hits.size(); ++i) row[i + 1] = static_cast<int32_t>(hits[i].row);
    text.assign(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(row[0]));
    return text;
  }
  for (size_t i = 0; i < hits.size(); ++i) {
    const std::string id(searcher.directory().id(hits[i].row));
    if (format == "trec") {
      if (absl::StrContains(id, " ")) {
        return absl::InvalidArgumentError(absl::StrCat("the id '", id, "' has a blank, which trec cannot hold"));
      }
      absl::StrAppend(&text, query, " Q0 ", id, " ", i + 1, " ", absl::StrFormat("%.9g", hits[i].score), " dpkde\n");
    } else {
      absl::StrAppend(&text, query, "\t", i + 1, "\t", id, "\t", absl::StrFormat("%.9g", hits[i].score), "\n");
    }
  }
  return text;
}

// The rows that --allow_ids and --deny_ids leave; null without them. Ids that the index does not have are none.
absl::StatusOr<std::unique_ptr<RowSet>> ReadFilter(const IndexDirectory& directory) {
  const std::string allow = absl::GetFlag(FLAGS_allow_ids), deny = absl::GetFlag(FLAGS_deny_ids);
  if (allow.empty() && deny.empty()) return nullptr;
  auto rows = std::make_unique<RowSet>(directory.rows(), /*all=*/allow.empty());
  size_t unknown = 0;
  if (!allow.empty()) {
    DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> ids, ReadIdFile(allow));
    for (const std::string& id : ids) {
      const absl::optional<uint64_t> row = directory.Find(id);
      if (row.has_value()) rows->Insert(*row);
      unknown += !row.has_value();
    }
  }
  if (!deny.empty()) {
    DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> ids, ReadIdFile(deny));
    for (const std::string& id : ids) {
      const absl::optional<uint64_t> row = directory.Find(id);
      if (row.has_value()) rows->Erase(*row);
      unknown += !row.has_value();
    }
  }
  if (unknown > 0 && !absl::GetFlag(FLAGS_quiet)) {
    absl::FPrintF(stderr, "%d ids of the filter are not in the index\n", unknown);
  }
  return rows;
}

absl::StatusOr<std::vector<std::vector<uint64_t>>> ReadTruth(const IndexDirectory& directory, const std::string& path) {
  std::vector<std::vector<uint64_t>> truth;
  if (absl::EndsWithIgnoreCase(path, ".txt")) {
    DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> ids, ReadIdFile(path));
    for (const std::string& id : ids) {
      const absl::optional<uint64_t> row = directory.Find(id);
      if (!row.has_value()) return absl::InvalidArgumentError(absl::StrCat(path, ": the index has no id '", id, "'"));
      truth.push_back({*row});
    }
    return truth;
  }
  absl::StatusOr<IntegerTable> table = ReadIntegers(path);
  if (!table.ok()) {
    return table.status().code() == absl::StatusCode::kDataLoss ? WithExitCode(table.status(), ExitCode::kData)
                                                                : table.status();
  }
  for (size_t i = 0; i < table->rows; ++i) {
    truth.emplace_back();
    for (size_t j = 0; j < table->columns; ++j) {
      const int64_t row = table->values[i * table->columns + j];
      if (row == -1) break;  // as ivecs pads
      if (row < 0 || row >= static_cast<int64_t>(directory.rows())) {
        return absl::InvalidArgumentError(
            absl::StrCat(path, ": row ", i, " (counting from 0): the index has no row ", row));
      }
      truth.back().push_back(row);
    }
  }
  return truth;
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string format = absl::GetFlag(FLAGS_output_format).empty() ? "jsonl" : absl::GetFlag(FLAGS_output_format);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_format", format, {"jsonl", "trec", "tsv", "ivecs"}));
  const int k = absl::GetFlag(FLAGS_k);
  constexpr int64_t kMost = 1 << 30;
  DPKDE_RETURN_IF_ERROR(WithExitCode(CheckInRange("--k", k, 1, kMost), ExitCode::kUsage));
  SearchOptions options;
  options.k = k;
  const absl::optional<int> candidates = absl::GetFlag(FLAGS_candidates), rerank = absl::GetFlag(FLAGS_rerank);
  if (candidates.has_value()) {
    DPKDE_RETURN_IF_ERROR(WithExitCode(CheckInRange("--candidates", *candidates, k, kMost), ExitCode::kUsage));
  }
  options.candidates = candidates.value_or(std::max(k, 500));
  if (rerank.has_value()) {
    if (*rerank != 0) {
      DPKDE_RETURN_IF_ERROR(WithExitCode(CheckInRange("--rerank", *rerank, k, kMost), ExitCode::kUsage));
    }
    options.rerank = *rerank;
  }
  const auto take = [](const char* name, const absl::optional<int>& flag, int64_t most,
                       absl::optional<int>* option) -> absl::Status {
    if (flag.has_value()) DPKDE_RETURN_IF_ERROR(WithExitCode(CheckInRange(name, *flag, 1, most), ExitCode::kUsage));
    *option = flag;
    return absl::OkStatus();
  };
  DPKDE_RETURN_IF_ERROR(take("--ef_search", absl::GetFlag(FLAGS_ef_search), 1000000, &options.ef_search));
  DPKDE_RETURN_IF_ERROR(take("--ivf_probe", absl::GetFlag(FLAGS_ivf_probe), 65536, &options.ivf_probe));
  DPKDE_RETURN_IF_ERROR(take("--rescore", absl::GetFlag(FLAGS_rescore), 1000, &options.rescore));
  options.explain = absl::GetFlag(FLAGS_explain);
  if (options.explain && format != "jsonl") return UsageError("--explain needs --output_format=jsonl");
  const std::string ground_truth = absl::GetFlag(FLAGS_ground_truth);
  const absl::optional<double> least_recall = absl::GetFlag(FLAGS_fail_if_recall_below);
  if (least_recall.has_value()) {
    if (ground_truth.empty()) return UsageError("--fail_if_recall_below needs --ground_truth");
    if (!(*least_recall >= 0 && *least_recall <= 1)) {
      return UsageError(absl::StrCat("--fail_if_recall_below must be in [0, 1], but is ", *least_recall));
    }
  }
  if (format == "ivecs" && isatty(STDOUT_FILENO) == 1)
    return UsageError("ivecs is binary; send it to a file or a pipe");
  if (absl::GetFlag(FLAGS_queries).empty()) return UsageError("--queries is missing");
  DPKDE_ASSIGN_OR_RETURN(const proto::IndexManifest manifest, ReadIndexFlag());
  if (options.explain && manifest.config().tokens().single_vectors()) {
    return UsageError("--explain is for token sets, but the index has single vectors");
  }
  const std::string fingerprint = absl::GetFlag(FLAGS_encoder_fingerprint);
  if (!fingerprint.empty() && fingerprint != manifest.config().encoder_fingerprint()) {
    return absl::InvalidArgumentError(absl::StrCat(absl::GetFlag(FLAGS_index), ": its encoder has the fingerprint ",
                                                   manifest.config().encoder_fingerprint(), ", not ", fingerprint));
  }
  DPKDE_ASSIGN_OR_RETURN(const TokenSets queries, ReadQueryInput(manifest.config()));
  DPKDE_ASSIGN_OR_RETURN(const Searcher searcher, Searcher::Open(absl::GetFlag(FLAGS_index)));
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<RowSet> filter, ReadFilter(searcher.directory()));
  options.allowed = filter.get();
  std::vector<std::vector<uint64_t>> truth;
  if (!ground_truth.empty()) {
    DPKDE_ASSIGN_OR_RETURN(truth, ReadTruth(searcher.directory(), ground_truth));
    if (truth.size() != queries.size()) {
      return absl::InvalidArgumentError(absl::StrCat(ground_truth, ": must have a row for each of ", queries.size(),
                                                     " queries, but has ", truth.size()));
    }
  }
  SearchTimings timings;
  options.timings = &timings;
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  const auto start = std::chrono::steady_clock::now();
  DPKDE_ASSIGN_OR_RETURN(const auto results, searcher.Search(queries.view(), options, pool));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  std::string text = format == "tsv" ? "query\trank\tid\tscore\n" : "";
  for (size_t i = 0; i < results.size(); ++i) {
    DPKDE_ASSIGN_OR_RETURN(const std::string lines, Format(format, searcher, i, k, results[i], options.explain));
    text += lines;
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    return absl::UnavailableError("standard output: cannot be written");
  }
  if (absl::GetFlag(FLAGS_timings)) {
    absl::FPrintF(stderr,
                  "%d queries in %.4f s, %.4g a second; encoding %.4f s, candidates %.4f s, exact scores %.4f s\n",
                  queries.size(), seconds, queries.size() / seconds, timings.encode_seconds, timings.candidates_seconds,
                  timings.rerank_seconds);
  }
  if (!ground_truth.empty()) {
    absl::StatusOr<double> recall = Recall(searcher, queries.view(), results, truth, k, pool);
    if (!recall.ok()) {
      return absl::Status(recall.status().code(),
                          absl::StrCat(ground_truth, ": ", std::string(recall.status().message())));
    }
    absl::FPrintF(stderr, "recall@%d %.4f\n", k, *recall);
    if (least_recall.has_value() && *recall < *least_recall) {
      return WithExitCode(
          absl::InternalError(absl::StrFormat("recall@%d is %.4f, below %.4g", k, *recall, *least_recall)),
          ExitCode::kQuality);
    }
  }
  return absl::OkStatus();
}

}  // namespace

Subcommand QuerySearchSubcommand() {
  return {"search",
          "Prints the nearest documents of each query: candidates by their encodings, then exact scores.",
          "--index=DIR --queries=F [--query_lens=F] --k=K [--candidates=N] [--rerank=N] [--allow_ids=F --deny_ids=F] "
          "[--explain] [--timings] [--ground_truth=F] [--fail_if_recall_below=R]",
          {"index",         "queries",      "query_lens",   "k",
           "candidates",    "rerank",       "allow_ids",    "deny_ids",
           "explain",       "timings",      "ground_truth", "fail_if_recall_below",
           "ef_search",     "ivf_probe",    "rescore",      "encoder_fingerprint",
           "output_format", "input_format", "csv_header",   "threads",
           "quiet"},
          {},
          Run};
}

}  // namespace dpkde
