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
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/base/validation.h"
#include "dpkde/index/ann/row_set.h"
#include "dpkde/index/search/density_search.h"
#include "dpkde/index/search/recall.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/sketch/release.h"
#include "dpkde/tools/corpus_input.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/json_text.h"
#include "dpkde/tools/load_release.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(
    absl::optional<int>, rerank, absl::nullopt,
    "The best so many candidates are scored exactly, at least k; 0: none, scores are the first stage's. Left out: "
    "all.");
ABSL_FLAG(std::string, allow_ids, "", "`FILE` of ids, one a line: only these documents can be found.");
ABSL_FLAG(std::string, deny_ids, "", "`FILE` of ids, one a line: these documents are not found.");
ABSL_FLAG(
    bool, explain, false,
    "Adds which document token each query token was matched with, and with --density_release the search's score, the "
    "density and its standard error (jsonl only).");
ABSL_FLAG(bool, timings, false, "Prints the seconds of each stage to stderr.");
ABSL_FLAG(std::string, ground_truth, "",
          "`FILE` of the true results of each query, best first: ids (.txt, one a query) or row numbers (.ivecs, .npy, "
          "...). Recall@k is printed to stderr.");
ABSL_FLAG(absl::optional<double>, fail_if_recall_below, absl::nullopt,
          "Exit code 6 if recall is below this. Needs --ground_truth.");
ABSL_FLAG(absl::optional<int>, ef_search, absl::nullopt, "Width of a graph's walk. Left out: the index's own.");
ABSL_FLAG(absl::optional<int>, ivf_probe, absl::nullopt,
          "Lists of an IVF that are scanned. Left out: the index's own.");
ABSL_FLAG(absl::optional<int>, rescore, absl::nullopt,
          "For 4-bit codes: candidates times this are scored by finer tables. Left out: the index's own.");
ABSL_FLAG(std::string, density_release, "",
          "`FILE`, a release of private records by dpkde_build density, over vectors of the index's dimension: results "
          "are reranked "
          "or filtered by how similar they are to those records. A document's density is the mean similarity that the "
          "release gives it (minus the mean distance, where the release is of a distance).");
ABSL_FLAG(
    absl::optional<double>, density_weight, absl::nullopt,
    "w in [0, 1]: scores become (1 - w) s + w * density, the largest first, over all candidates that are scored; s is "
    "the search's score (token sets: divided by the query's tokens; l2: minus the squared distance). 1: by density "
    "alone. 0: density only filters. Left out: 0.5, or 0 with --density_min.");
ABSL_FLAG(absl::optional<double>, density_min, absl::nullopt, "Only documents of at least this density are results.");
ABSL_FLAG(std::string, density_of, "tokens",
          "What stands for a document of several tokens, `tokens|pooled`: tokens, the mean of its tokens' densities; "
          "pooled, the density of "
          "the mean of its tokens. The release must have been made from vectors of the same kind.");
ABSL_FLAG(
    bool, density_contrast, false,
    "Subtracts from a document's density its mean similarity to 1,000 documents of the index that --public_seed draws: "
    "what is near to everything is no longer preferred.");
ABSL_FLAG(std::string, encoder_fingerprint, "",
          "Refuse an index whose encoder has another `FINGERPRINT` than this (describe shows it).");

namespace dpkde {
namespace {

// Nine digits: float32 is read back as it was. An empty document's minus infinity is no JSON.
std::string Score(double score) { return JsonNumber(score, 9); }

std::string JsonLine(const Searcher& searcher, size_t query, const std::vector<DensityHit>& hits, bool explain,
                     bool has_density) {
  std::string line = absl::StrFormat("{\"query\":%d,\"results\":[", query);
  for (size_t i = 0; i < hits.size(); ++i) {
    absl::StrAppend(&line, i == 0 ? "" : ",", "{\"id\":", JsonString(searcher.directory().id(hits[i].row)),
                    ",\"score\":", Score(hits[i].score));
    if (explain && has_density) {
      absl::StrAppend(&line, ",\"search_score\":", Score(hits[i].search_score),
                      ",\"density\":", Score(hits[i].density.value),
                      ",\"density_std_error\":", Score(hits[i].density.std_error));
    }
    if (explain && searcher.encoder() != nullptr) {
      absl::StrAppend(&line, ",\"matches\":[");
      for (size_t j = 0; j < hits[i].matches.size(); ++j) {
        const TokenMatch& match = hits[i].matches[j];
        absl::StrAppend(&line, j == 0 ? "" : ",", "{\"query_token\":", j, ",\"token\":", match.token,
                        ",\"similarity\":", Score(match.similarity), "}");
      }
      absl::StrAppend(&line, "]");
    }
    absl::StrAppend(&line, "}");
  }
  return line + "]}\n";
}

absl::StatusOr<std::string> Format(const std::string& format, const Searcher& searcher, size_t query, size_t k,
                                   const std::vector<DensityHit>& hits, bool explain, bool has_density) {
  if (format == "jsonl") return JsonLine(searcher, query, hits, explain, has_density);
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
    DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> ids, ReadIdList(allow));
    for (const std::string& id : ids) {
      const absl::optional<uint64_t> row = directory.Find(id);
      if (row.has_value()) rows->Insert(*row);
      unknown += !row.has_value();
    }
  }
  if (!deny.empty()) {
    DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> ids, ReadIdList(deny));
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
  DPKDE_ASSIGN_OR_RETURN(const ListOptions options, ParseListOptions());
  const bool one_id_a_line = absl::EndsWithIgnoreCase(path, ".txt") || options.format_of_other_endings == "txt";
  if (one_id_a_line) {
    DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> ids, ReadIdList(path));
    for (const std::string& id : ids) {
      const absl::optional<uint64_t> row = directory.Find(id);
      if (!row.has_value()) return absl::InvalidArgumentError(absl::StrCat(path, ": the index has no id '", id, "'"));
      truth.push_back({*row});
    }
    return truth;
  }
  absl::StatusOr<IntegerTable> table = ReadIntegers(path, options);
  if (!table.ok()) return DataError(table.status());
  for (size_t i = 0; i < table->rows; ++i) {
    truth.emplace_back();
    for (size_t j = 0; j < table->columns; ++j) {
      const int64_t row = table->values[i * table->columns + j];
      if (row == -1) break;  // as ivecs pads
      if (row < 0 || row >= static_cast<int64_t>(directory.rows())) {
        return absl::InvalidArgumentError(
            absl::StrCat(path, ": row ", i, " (counting from 0): the index has no row ", row));
      }
      if (std::find(truth.back().begin(), truth.back().end(), static_cast<uint64_t>(row)) != truth.back().end()) {
        return absl::InvalidArgumentError(
            absl::StrCat(path, ": row ", i, " (counting from 0): names row ", row, " of the index twice"));
      }
      truth.back().push_back(row);
    }
  }
  if (std::all_of(truth.begin(), truth.end(), [](const auto& of_query) { return of_query.empty(); })) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": names no true result of any query"));
  }
  return truth;
}

// What --density_* ask for.
struct DensityFlags {
  std::string path;  // empty: nothing
  DensityOptions options;
  DensityOf of = DensityOf::kTokens;

  bool given() const { return !path.empty(); }

  static absl::StatusOr<DensityFlags> Parse() {
    DensityFlags flags;
    flags.path = absl::GetFlag(FLAGS_density_release);
    const absl::optional<double> weight = absl::GetFlag(FLAGS_density_weight), least = absl::GetFlag(FLAGS_density_min);
    const std::string of = absl::GetFlag(FLAGS_density_of);
    DPKDE_RETURN_IF_ERROR(CheckChoice("density_of", of, {"tokens", "pooled"}));
    if (!flags.given()) {
      if (weight.has_value() || least.has_value() || of != "tokens" || absl::GetFlag(FLAGS_density_contrast)) {
        return UsageError(
            "--density_weight, --density_min, --density_of and --density_contrast need --density_release");
      }
      return flags;
    }
    if (!absl::GetFlag(FLAGS_ground_truth).empty()) {
      return UsageError("--ground_truth is for a search without --density_release");
    }
    if (weight.has_value() && !(*weight >= 0 && *weight <= 1)) {
      return UsageError(absl::StrCat("--density_weight must be in [0, 1], but is ", *weight));
    }
    DPKDE_RETURN_IF_ERROR(FlagError(CheckFinite("--density_min", least.value_or(0))));
    flags.options.weight = weight.value_or(least.has_value() ? 0 : 0.5);
    flags.options.least = least;
    flags.of = of == "pooled" ? DensityOf::kPooled : DensityOf::kTokens;
    return flags;
  }
};

constexpr size_t kBackgroundDocuments = 1000;

absl::StatusOr<std::vector<std::vector<DensityHit>>> Search(const Searcher& searcher, TokenSetsView queries,
                                                            const SearchOptions& options, const DensityFlags& density,
                                                            const absl::optional<Release>& release, ThreadPool& pool) {
  std::vector<std::vector<DensityHit>> results;
  if (!density.given()) {
    DPKDE_ASSIGN_OR_RETURN(auto found, searcher.Search(queries, options, pool));
    for (std::vector<SearchHit>& hits : found) {
      results.emplace_back();
      for (SearchHit& hit : hits) {
        results.back().push_back({hit.row, hit.score, hit.score, {}, std::move(hit.matches)});
      }
    }
    return results;
  }
  std::vector<float> background;
  if (absl::GetFlag(FLAGS_density_contrast)) {
    background =
        BackgroundVectors(searcher.directory(), density.of, kBackgroundDocuments, absl::GetFlag(FLAGS_public_seed),
                          release->origin());
  }
  const size_t d = searcher.directory().dimension();
  const auto named = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(density.path, ": ", std::string(status.message())));
  };
  const absl::StatusOr<DocumentDensities> densities = DocumentDensities::Create(
      searcher.directory(), *release, density.of, {background.data(), background.size() / d, d}, pool);
  if (!densities.ok()) return named(densities.status());
  auto found = SearchByDensity(searcher, *densities, queries, options, density.options, pool);
  if (!found.ok())
    return absl::StartsWith(found.status().message(), "document") ? named(found.status()) : found.status();
  return found;
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string format = absl::GetFlag(FLAGS_output_format).empty() ? "jsonl" : absl::GetFlag(FLAGS_output_format);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_format", format, {"jsonl", "trec", "tsv", "ivecs"}));
  const int k = absl::GetFlag(FLAGS_k);
  constexpr int64_t kMost = 1 << 30;
  DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--k", k, 1, kMost)));
  SearchOptions options;
  options.k = k;
  const absl::optional<int> candidates = absl::GetFlag(FLAGS_candidates), rerank = absl::GetFlag(FLAGS_rerank);
  if (candidates.has_value()) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--candidates", *candidates, k, kMost)));
  }
  options.candidates = candidates.value_or(std::max(k, 500));
  if (rerank.has_value()) {
    if (*rerank != 0) {
      DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--rerank", *rerank, k, kMost)));
    }
    options.rerank = *rerank;
  }
  const auto take = [](const char* name, const absl::optional<int>& flag, int64_t most,
                       absl::optional<int>* option) -> absl::Status {
    if (flag.has_value()) DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange(name, *flag, 1, most)));
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
  DPKDE_ASSIGN_OR_RETURN(const DensityFlags density, DensityFlags::Parse());
  if (format == "ivecs" && isatty(STDOUT_FILENO) == 1)
    return UsageError("ivecs is binary; send it to a file or a pipe");
  if (absl::GetFlag(FLAGS_queries).empty()) return UsageError("--queries is missing");
  DPKDE_ASSIGN_OR_RETURN(const proto::IndexManifest manifest, ReadIndexFlag());
  const bool single_vectors = manifest.config().tokens().single_vectors();
  if (options.explain && single_vectors && !density.given()) {
    return UsageError("--explain is for token sets, but the index has single vectors");
  }
  if (density.of == DensityOf::kPooled && single_vectors) {
    return UsageError("--density_of is for token sets, but the index has single vectors");
  }
  const std::string fingerprint = absl::GetFlag(FLAGS_encoder_fingerprint);
  if (!fingerprint.empty() && fingerprint != manifest.config().encoder_fingerprint()) {
    return absl::InvalidArgumentError(absl::StrCat(absl::GetFlag(FLAGS_index), ": its encoder has the fingerprint ",
                                                   manifest.config().encoder_fingerprint(), ", not ", fingerprint));
  }
  absl::optional<Release> release;
  if (density.given()) {
    DPKDE_ASSIGN_OR_RETURN(release, LoadRelease(density.path));
  }
  DPKDE_ASSIGN_OR_RETURN(const TokenSets queries, ReadQueryInput(manifest.config()));
  DPKDE_ASSIGN_OR_RETURN(const Searcher searcher, Searcher::Open(absl::GetFlag(FLAGS_index)));
  DPKDE_RETURN_IF_ERROR(CheckStillSame(manifest.config(), searcher.directory()));
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
  const auto searched = Search(searcher, queries.view(), options, density, release, pool);
  if (!searched.ok()) return NameQueryFile(searched.status());
  const auto& results = *searched;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  std::string text = format == "tsv" ? "query\trank\tid\tscore\n" : "";
  for (size_t i = 0; i < results.size(); ++i) {
    DPKDE_ASSIGN_OR_RETURN(const std::string lines,
                           Format(format, searcher, i, k, results[i], options.explain, density.given()));
    text += lines;
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    return absl::UnavailableError("standard output: cannot be written");
  }
  if (release.has_value() && !absl::GetFlag(FLAGS_quiet)) {
    const Release::Count count = release->count();
    if (count.value < 5 * count.std_error) {
      absl::FPrintF(stderr, "warning: %s: about %.4g records +- %.4g: densities are mostly noise\n", density.path,
                    count.value, count.std_error);
    }
    for (const std::string& warning : release->Warnings()) {
      absl::FPrintF(stderr, "warning: %s: %s\n", density.path, warning);
    }
  }
  if (absl::GetFlag(FLAGS_timings)) {
    absl::FPrintF(stderr,
                  "%d queries in %.4f s, %.4g a second; encoding %.4f s, candidates %.4f s, exact scores %.4f s\n",
                  queries.size(), seconds, queries.size() / seconds, timings.encode_seconds, timings.candidates_seconds,
                  timings.rerank_seconds);
  }
  if (!ground_truth.empty()) {
    std::vector<std::vector<SearchHit>> hits;
    for (const std::vector<DensityHit>& of_query : results) {
      hits.emplace_back();
      for (const DensityHit& hit : of_query) hits.back().push_back({hit.row, hit.search_score, {}});
    }
    const absl::StatusOr<RecallReport> report = Recall(searcher, queries.view(), hits, truth, k, pool);
    if (!report.ok()) return Named(ground_truth, report.status());
    const double recall = report->recall;
    absl::FPrintF(stderr, "recall@%d %.4f\n", k, recall);
    if (report->fewer > 0) {
      absl::FPrintF(stderr, "the truth of %d queries names fewer than %d results: all of them were looked for\n",
                    report->fewer, k);
    }
    if (report->beaten > 0) {
      absl::FPrintF(stderr,
                    "warning: the truth of %d queries is not the best of this index, as that of query %d: it may be of "
                    "another corpus or metric\n",
                    report->beaten, report->first_beaten);
    }
    if (least_recall.has_value() && recall < *least_recall) {
      return WithExitCode(
          absl::InternalError(absl::StrFormat("recall@%d is %.4f, below %.4g", k, recall, *least_recall)),
          ExitCode::kQuality);
    }
  }
  return absl::OkStatus();
}

}  // namespace

Subcommand QuerySearchSubcommand() {
  return {
      "search",
      "Prints the nearest documents of each query: candidates by their encodings, then exact scores; with a release of "
      "private records, reranked or filtered by their similarity to those.",
      "--index=DIR --queries=FILE [--query_lens=FILE] [--k=K] [--candidates=N] [--rerank=N] [--allow_ids=FILE "
      "--deny_ids=FILE] [--density_release=FILE [--density_weight=W] [--density_min=D] [--density_of=tokens|pooled] "
      "[--density_contrast]] [--explain] [--timings] [--ground_truth=FILE] [--fail_if_recall_below=R]",
      "--index=places.index --queries=queries.csv --k=3",
      {{"Required", {"index", {"queries", "`FILE` of the tokens of all queries in order, or of one vector a query."}}},
       {"Queries", {"query_lens", "input_format", "columns", "csv_header", "list_format"}},
       {"Search",
        {"k", "candidates", "rerank", "allow_ids", "deny_ids", "ef_search", "ivf_probe", "rescore",
         "encoder_fingerprint"}},
       {"Recall", {"ground_truth", "fail_if_recall_below"}},
       {"Private density",
        {"density_release",
         "density_weight",
         "density_min",
         "density_of",
         "density_contrast",
         {"public_seed", "Seed of --density_contrast."}}},
       {"Output",
        {{"output_format", "`jsonl|trec|tsv|ivecs`. Left out: jsonl, one object a query."}, "explain", "timings"}},
       {"Running", {"threads", "quiet"}}},
      {},
      Run};
}

}  // namespace dpkde
