// Recall after rerank against candidates, speed and bytes of every arrangement of an index's vectors; and what changes
// of the index cost. On a corpus in a folder:
//
//   bazel run -c opt //tests/benchmarks:search_benchmark -- FOLDER ["ENCODER"] > table.tsv
//
// FOLDER holds doc_tokens.npy, doc_lens.npy, query_tokens.npy and query_lens.npy. Without one the program says so and
// ends. ENCODER is an EncoderSpec in protobuf text format; without it the encoder is chosen as dpkde_build index does.
//
// stdout: a line for each arrangement and number of candidates, tab-separated: name, bytes a document, seconds of the
// build (all threads), candidates, recall@10 against exact Chamfer search, queries a second by one thread (of CPU time,
// since other programs may be running) and by all (of wall-clock time). draw_recall makes a picture of it.
//
// stderr: the encoder; then, for an index of all documents and the first 1,000 of them added again and removed again:
// seconds, whether exact search agrees with a fresh build of the same encoder, and recall with 500 candidates of both.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/encoding/encoder_choice.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/index/search/recall.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/index/search/tuner.h"
#include "google/protobuf/text_format.h"
#include "tests/benchmarks/or_die.h"

namespace dpkde {
namespace {

constexpr size_t kChanged = 1000;

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

using Results = std::vector<std::vector<SearchHit>>;

Results Search(const Searcher& searcher, TokenSetsView queries, size_t candidates, ThreadPool& pool) {
  SearchOptions options;
  options.candidates = candidates;
  return OrDie(searcher.Search(queries, options, pool));
}

// Ids and scores, to be compared with those of another index.
std::vector<std::pair<std::string, float>> Named(const Searcher& searcher, const Results& results) {
  std::vector<std::pair<std::string, float>> named;
  for (const auto& hits : results) {
    for (const SearchHit& hit : hits) named.emplace_back(searcher.directory().id(hit.row), hit.score);
  }
  return named;
}

double RecallAt500(const Searcher& searcher, TokenSetsView queries, const Results& exact, ThreadPool& pool) {
  std::vector<std::vector<uint64_t>> truth;
  for (const auto& hits : exact) {
    truth.emplace_back();
    for (const SearchHit& hit : hits) truth.back().push_back(hit.row);
  }
  return OrDie(Recall(searcher, queries, Search(searcher, queries, 500, pool), truth, 10, pool)).recall;
}

void MeasureChanges(const std::string& folder, const TokenSets& documents, TokenSetsView queries,
                    const Encoder& encoder, const proto::IndexConfig& config, ThreadPool& pool) {
  const std::string index = folder + "/changed", fresh = folder + "/fresh";
  const TokenSetsView all = documents.view();
  const size_t changed = std::min(kChanged, all.size());
  std::vector<std::string> ids, more, final_ids;
  for (size_t i = 0; i < all.size(); ++i) ids.push_back(absl::StrCat("d", i));
  for (size_t i = 0; i < changed; ++i) more.push_back(absl::StrCat("again", i));
  OrDie(BuildIndex(index, all, ids, config, &encoder, false, pool));
  double start = Now();
  OrDie(AddDocuments(index, all.Slice(0, changed), more, pool));
  const double add = Now() - start;
  const std::vector<std::string> gone(ids.begin(), ids.begin() + changed);
  start = Now();
  OrDie(RemoveDocuments(index, gone));
  const double remove = Now() - start;

  TokenSets rest(all.dimension);
  for (size_t i = changed; i < all.size() + changed; ++i) {
    rest.Append(all.set(i % all.size()));
    final_ids.push_back(i < all.size() ? ids[i] : more[i - all.size()]);
  }
  OrDie(BuildIndex(fresh, rest.view(), final_ids, config, &encoder, false, pool));
  const Searcher a = OrDie(Searcher::Open(index)), b = OrDie(Searcher::Open(fresh));
  const Results exact_a = Search(a, queries, all.size() * 2, pool), exact_b = Search(b, queries, all.size() * 2, pool);
  absl::FPrintF(stderr, "add of %d to %d: %.3f s; remove of %d: %.3f s\n", changed, all.size(), add, changed, remove);
  absl::FPrintF(stderr, "exact search %s a fresh build; recall@10 with 500 candidates %.4f, fresh %.4f\n",
                Named(a, exact_a) == Named(b, exact_b) ? "agrees with" : "DIFFERS from",
                RecallAt500(a, queries, exact_a, pool), RecallAt500(b, queries, exact_b, pool));
  start = Now();
  OrDie(CompactIndex(index, pool));
  absl::FPrintF(stderr, "compaction: %.3f s\n", Now() - start);
}

int Run(const std::string& corpus, const std::string& spec_text) {
  const TokenSets documents = OrDie(ReadTokenSets(corpus + "/doc_tokens.npy", corpus + "/doc_lens.npy"));
  const TokenSets queries = OrDie(ReadTokenSets(corpus + "/query_tokens.npy", corpus + "/query_lens.npy"));
  ThreadPool pool, one(1);
  std::unique_ptr<const Encoder> encoder;
  double start = Now();
  if (spec_text.empty()) {
    EncoderChoice choice = OrDie(ChooseEncoder(documents.view(), {}, pool));
    absl::FPrintF(stderr, "%s\n", choice.DebugString());
    encoder = std::move(choice.encoder);
  } else {
    proto::EncoderSpec spec;
    if (!google::protobuf::TextFormat::ParseFromString(spec_text, &spec)) return 1;
    encoder = OrDie(CreateEncoder(spec, documents.view(), pool));
  }
  absl::FPrintF(stderr, "encoder: %.1f s; %s\n", Now() - start, encoder->spec().ShortDebugString());

  std::string folder = absl::StrCat(std::filesystem::temp_directory_path().string(), "/search_benchmark_XXXXXX");
  if (mkdtemp(&folder[0]) == nullptr) return 1;
  proto::IndexConfig config;
  config.mutable_vector_index()->set_codes(proto::VectorIndexSpec::INT8);
  start = Now();
  OrDie(BuildIndex(folder + "/index", documents.view(), {}, config, encoder.get(), false, pool));
  absl::FPrintF(stderr, "int8 index without the encoder's training: %.2f s\n", Now() - start);
  {
    const Searcher searcher = OrDie(Searcher::Open(folder + "/index"));
    TuneOptions options;
    options.arrangements = UsualArrangements(VectorIndexOptions::Metric::kInnerProduct);
    if (encoder->dimension() > 4096) {
      // A graph of such vectors takes minutes and gigabytes.
      options.arrangements.pop_back();
    }
    const TuneReport by_all = OrDie(Tune(searcher, queries.view(), options, pool));
    const TuneReport by_one = OrDie(Tune(searcher, queries.view(), options, one));
    for (size_t i = 0; i < by_all.rows.size(); ++i) {
      const TuneRow& row = by_all.rows[i];
      if (row.name == "own") continue;
      absl::PrintF("%s\t%.1f\t%.2f\t%d\t%.4f\t%.0f\t%.0f\n", row.name, row.bytes_per_document, row.build_seconds,
                   row.candidates, row.recall, 1e3 / by_one.rows[i].cpu_milliseconds, 1e3 / row.milliseconds);
    }
    absl::FPrintF(stderr, "exact search: %.0f and %.0f queries a second by one thread and by all\n",
                  1e3 / by_one.exact_cpu_milliseconds, 1e3 / by_all.exact_milliseconds);
  }
  MeasureChanges(folder, documents, queries.view(), *encoder, config, pool);
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: search_benchmark FOLDER [ENCODER]: the folder of a corpus is missing\n");
    return 1;
  }
  return dpkde::Run(argv[1], argc == 3 ? argv[2] : "");
}
