#ifndef DPKDE_INDEX_SEARCH_RECALL_H_
#define DPKDE_INDEX_SEARCH_RECALL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/search/searcher.h"

namespace dpkde {

struct RecallReport {
  double recall = 0;   // the mean over queries that have a truth; 0 if none has
  size_t queries = 0;  // that have a truth
  size_t fewer = 0;    // of them, with a truth of fewer than k rows, of which all are looked for
  // Queries of whose results one, not in the truth, is better than a row of the truth: a truth of another corpus, metric or
  // query. `first_beaten` is one of them. Such a result is no hit.
  size_t beaten = 0;
  size_t first_beaten = 0;
};

// The share of the true rows that was found. A row that is not true counts for one that was missed only where both are
// equally good: their scores, in double from the vectors as they were given, differ by no more than a millionth (of what
// tells them from VectorScorer::reference()). That is known of float32 tokens alone; of smaller formats, whose rounding
// makes different vectors equal, only true rows count.
//
// `results`: of Search() with options.k >= k. `truth`: for each query the true rows, best first, the first k of which
// count. kInvalidArgument: a row that the index does not have, a row twice, or another number of queries.
absl::StatusOr<RecallReport> Recall(const Searcher& searcher, TokenSetsView queries,
                                    absl::Span<const std::vector<SearchHit>> results,
                                    absl::Span<const std::vector<uint64_t>> truth, size_t k, ThreadPool& pool);

// How many of `extra` can stand for one of `missed` each: scores, less their reference, that differ by no more than a
// millionth of the larger.
size_t CountTies(std::vector<double> extra, std::vector<double> missed);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_RECALL_H_
