#include "dpkde/index/search/recall.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"

namespace dpkde {

absl::StatusOr<double> Recall(const Searcher& searcher, TokenSetsView queries,
                              absl::Span<const std::vector<SearchHit>> results,
                              absl::Span<const std::vector<uint64_t>> truth, size_t k, ThreadPool& pool) {
  if (results.size() != queries.size() || truth.size() != queries.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ground truth must have a row for each of ", queries.size(), " queries, but has ", truth.size()));
  }
  for (size_t i = 0; i < truth.size(); ++i) {
    for (const uint64_t row : truth[i]) {
      if (row >= searcher.directory().rows()) {
        return absl::InvalidArgumentError(absl::StrCat("ground truth of query ", i, ": the index has no row ", row));
      }
    }
  }
  constexpr float kTolerance = 1e-5f;
  std::vector<double> shares(queries.size(), -1);
  std::vector<absl::Status> statuses(queries.size());
  pool.ParallelFor(queries.size(), 1, [&](size_t begin, size_t end, int /*worker*/) {
    for (size_t i = begin; i < end; ++i) {
      const size_t wanted = std::min(k, truth[i].size());
      if (wanted == 0) continue;
      std::vector<uint64_t> rows = {truth[i][wanted - 1]};
      for (size_t j = 0; j < std::min(k, results[i].size()); ++j) rows.push_back(results[i][j].row);
      std::vector<float> scores(rows.size());
      statuses[i] = searcher.ExactScores(queries.set(i), rows, absl::MakeSpan(scores));
      size_t hits = 0;
      for (size_t j = 1; j < scores.size(); ++j) {
        hits += searcher.larger_is_better() ? scores[j] >= scores[0] - kTolerance : scores[j] <= scores[0] + kTolerance;
      }
      shares[i] = static_cast<double>(std::min(hits, wanted)) / wanted;
    }
  });
  double sum = 0;
  size_t counted = 0;
  for (size_t i = 0; i < queries.size(); ++i) {
    DPKDE_RETURN_IF_ERROR(statuses[i]);
    if (shares[i] < 0) continue;
    sum += shares[i];
    ++counted;
  }
  return counted == 0 ? 1 : sum / counted;
}

}  // namespace dpkde
