#include "dpkde/index/search/index_trial.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/search/recall.h"
#include "dpkde/index/search/vector_scores.h"

namespace dpkde {
namespace {

constexpr size_t kMostQueries = 64, kLeastQueries = 8;
constexpr size_t kCoordinates = 300000000;  // that all queries meet together, about
constexpr size_t kBest = 10, kCandidates = 500;

}  // namespace

absl::StatusOr<IndexTrial> TryIndex(const Searcher& searcher, MatrixView vectors, ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  IndexTrial trial;
  const size_t n = vectors.rows;
  if (searcher.encoder() != nullptr || n != searcher.directory().rows()) {
    return absl::InvalidArgumentError("a trial is for an index of single vectors and all of its vectors");
  }
  if (n <= 1) return trial;
  trial.queries = std::min(n, std::clamp(kCoordinates / (n * vectors.columns), kLeastQueries, kMostQueries));
  trial.k = std::clamp(n / 3, size_t{1}, kBest);  // all documents would be found anyhow
  trial.candidates = kCandidates;

  std::vector<float> queries;
  for (size_t i = 0; i < trial.queries; ++i) {
    const absl::Span<const float> row = vectors.row(i * n / trial.queries);
    queries.insert(queries.end(), row.begin(), row.end());
  }
  std::vector<uint64_t> offsets(trial.queries + 1);
  std::iota(offsets.begin(), offsets.end(), uint64_t{0});
  const TokenSetsView view{queries.data(), vectors.columns, offsets};
  SearchOptions options;
  options.k = trial.k;
  options.candidates = trial.candidates;
  DPKDE_ASSIGN_OR_RETURN(const auto found, searcher.Search(view, options, pool));
  options.candidates = n;
  DPKDE_ASSIGN_OR_RETURN(const auto exact, searcher.Search(view, options, pool));

  std::vector<double> recalls(trial.queries), exact_recalls(trial.queries);
  pool.ParallelFor(trial.queries, 1, [&](size_t begin, size_t end, int /*worker*/) {
    for (size_t i = begin; i < end; ++i) {
      const VectorScorer scorer(searcher.metric(), searcher.directory().origin(), view.set(i).row(0));
      const double sign = searcher.larger_is_better() ? -1 : 1;
      std::vector<std::pair<double, uint64_t>> truth;
      truth.reserve(n);
      const auto distance = [&](size_t row) {
        return sign * (scorer.Score(vectors.row(row).data()) - scorer.reference());
      };
      for (size_t row = 0; row < n; ++row) truth.emplace_back(distance(row), row);
      std::partial_sort(truth.begin(), truth.begin() + trial.k, truth.end());
      const auto share = [&](const std::vector<SearchHit>& hits) {
        std::vector<double> extra, missed;
        size_t both = 0;
        for (const SearchHit& hit : hits) {
          const bool is_true = std::any_of(truth.begin(), truth.begin() + trial.k,
                                           [&](const auto& t) { return t.second == hit.row; });
          both += is_true;
          if (!is_true) extra.push_back(distance(hit.row));
        }
        for (size_t t = 0; t < trial.k; ++t) {
          const bool is_found = std::any_of(hits.begin(), hits.end(),
                                            [&](const SearchHit& hit) { return hit.row == truth[t].second; });
          if (!is_found) missed.push_back(truth[t].first);
        }
        return static_cast<double>(both + CountTies(extra, missed)) / trial.k;
      };
      recalls[i] = share(found[i]);
      exact_recalls[i] = share(exact[i]);
    }
  });
  trial.recall = std::accumulate(recalls.begin(), recalls.end(), 0.0) / trial.queries;
  trial.exact_recall = std::accumulate(exact_recalls.begin(), exact_recalls.end(), 0.0) / trial.queries;
  return trial;
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
