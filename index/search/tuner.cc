#include "dpkde/index/search/tuner.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/search/recall.h"
#include "dpkde/index/search/vector_scores.h"

namespace dpkde {
namespace {

using Kind = VectorIndexOptions::Kind;
using Codes = VectorIndexOptions::Codes;

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double CpuNow() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// The vectors of all rows.
absl::StatusOr<std::vector<float>> EncodeAll(const Searcher& searcher, ThreadPool& pool) {
  constexpr size_t kBatch = 4096;
  const IndexDirectory& directory = searcher.directory();
  const size_t dimension = searcher.vectors().dimension();
  std::vector<float> vectors(directory.rows() * dimension), tokens;
  for (uint64_t begin = 0; begin < directory.rows(); begin += kBatch) {
    const uint64_t end = std::min<uint64_t>(begin + kBatch, directory.rows());
    TokenSets documents(directory.dimension());
    for (uint64_t row = begin; row < end; ++row) {
      const StoredTokens stored = directory.tokens(row);
      tokens.resize(stored.count * stored.dimension);
      LoadTokens(stored, tokens.data());
      documents.Append({tokens.data(), stored.count, stored.dimension});
    }
    const absl::Span<float> out(&vectors[begin * dimension], (end - begin) * dimension);
    if (searcher.encoder() != nullptr) {
      DPKDE_RETURN_IF_ERROR(searcher.encoder()->EncodeDocuments(documents.view(), pool, out));
    } else {
      std::vector<float> buffer;
      const MatrixView all = FirstStage(directory.manifest().config()).Vectors(documents.view().all(), &buffer);
      std::copy(all.data, all.data + out.size(), out.data());
    }
  }
  return vectors;
}

}  // namespace

std::vector<NamedOptions> UsualArrangements(VectorIndexOptions::Metric metric) {
  std::vector<NamedOptions> result;
  for (const auto& [name, kind, codes, pq_dims] :
       {std::make_tuple("flat float32", Kind::kFlat, Codes::kFloat32, 0),
        std::make_tuple("flat int8", Kind::kFlat, Codes::kInt8, 0),
        std::make_tuple("flat graded", Kind::kFlat, Codes::kGraded, 0),
        std::make_tuple("flat 4-bit", Kind::kFlat, Codes::kPq4, 1),
        std::make_tuple("flat PQ, 4 dims a byte", Kind::kFlat, Codes::kPq8, 4),
        std::make_tuple("flat PQ, 8 dims a byte", Kind::kFlat, Codes::kPq8, 8),
        std::make_tuple("IVF int8", Kind::kIvf, Codes::kInt8, 0),
        std::make_tuple("IVF 4-bit", Kind::kIvf, Codes::kPq4, 1),
        std::make_tuple("HNSW int8", Kind::kHnsw, Codes::kInt8, 0)}) {
    if (codes == Codes::kGraded && metric == VectorIndexOptions::Metric::kL2) continue;  // it does not take them
    VectorIndexOptions options;
    options.kind = kind;
    options.codes = codes;
    options.pq_dims = pq_dims;
    options.metric = metric;
    result.push_back({name, options});
  }
  return result;
}

absl::StatusOr<TuneReport> Tune(const Searcher& searcher, TokenSetsView queries, const TuneOptions& options,
                                ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  const size_t documents = searcher.directory().live_rows();
  if (queries.size() == 0) return absl::InvalidArgumentError("there are no queries to measure with");
  if (documents == 0) return absl::InvalidArgumentError("the index has no documents to measure with");
  TuneReport report;
  SearchOptions search;
  search.k = options.k;
  search.candidates = std::max(documents, options.k);
  const double start = Now(), cpu_start = CpuNow();
  DPKDE_ASSIGN_OR_RETURN(const auto exact, searcher.Search(queries, search, pool));
  report.exact_milliseconds = (Now() - start) / queries.size() * 1e3;
  report.exact_cpu_milliseconds = (CpuNow() - cpu_start) / queries.size() * 1e3;
  std::vector<std::vector<uint64_t>> truth;
  for (const auto& hits : exact) {
    truth.emplace_back();
    for (const SearchHit& hit : hits) truth.back().push_back(hit.row);
  }

  DPKDE_ASSIGN_OR_RETURN(const std::vector<float> vectors, EncodeAll(searcher, pool));
  const size_t rows = searcher.directory().rows(), dimension = searcher.vectors().dimension();
  std::vector<NamedOptions> arrangements = {{"own", searcher.vectors().options()}};
  arrangements.insert(arrangements.end(), options.arrangements.begin(), options.arrangements.end());
  for (size_t i = 0; i < arrangements.size(); ++i) {
    absl::optional<VectorIndex> built;
    double build_seconds = 0;
    if (i > 0) {
      const double build_start = Now();
      DPKDE_ASSIGN_OR_RETURN(
          built, VectorIndex::Build({vectors.data(), rows, dimension}, arrangements[i].options, pool.threads()));
      build_seconds = Now() - build_start;
    }
    const VectorIndex& index = built.has_value() ? *built : searcher.vectors();
    search.vectors = &index;
    for (const size_t candidates : options.candidates) {
      if (candidates < options.k || candidates >= documents) continue;
      search.candidates = candidates;
      const double search_start = Now(), search_cpu_start = CpuNow();
      DPKDE_ASSIGN_OR_RETURN(const auto results, searcher.Search(queries, search, pool));
      const double seconds = Now() - search_start, cpu_seconds = CpuNow() - search_cpu_start;
      DPKDE_ASSIGN_OR_RETURN(const RecallReport report_of_row,
                             Recall(searcher, queries, results, truth, options.k, pool));
      report.rows.push_back({arrangements[i].name, index.options(), static_cast<double>(index.bytes_of_rows()) / rows,
                             build_seconds, candidates, report_of_row.recall, seconds / queries.size() * 1e3,
                             cpu_seconds / queries.size() * 1e3});
    }
  }
  for (size_t i = 0; i < report.rows.size(); ++i) {
    const TuneRow& row = report.rows[i];
    if (row.recall < options.target_recall) continue;
    const auto smaller = [&](const TuneRow& other) {
      return row.bytes_per_document != other.bytes_per_document ? row.bytes_per_document < other.bytes_per_document
                                                                : row.candidates < other.candidates;
    };
    if (!report.smallest.has_value() || smaller(report.rows[*report.smallest])) report.smallest = i;
    if (!report.fastest.has_value() || row.milliseconds < report.rows[*report.fastest].milliseconds) report.fastest = i;
  }
  return report;
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
