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

// The mean over queries of the share of the exact k best that was found. A result counts if its exact score is at least
// that of the k-th true row, less 1e-5 (for distances: at most, plus), so that duplicates may stand for each other.
//
// `results`: of Search() with options.k >= k. `truth`: for each query the true rows, best first; where it has fewer
// than k, as many are looked for; queries that have none are left out, and with none left recall is 1.
// kInvalidArgument: a row that the index does not have, or another number of queries.
absl::StatusOr<double> Recall(const Searcher& searcher, TokenSetsView queries,
                              absl::Span<const std::vector<SearchHit>> results,
                              absl::Span<const std::vector<uint64_t>> truth, size_t k, ThreadPool& pool);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_RECALL_H_
