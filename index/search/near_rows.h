#ifndef DPKDE_INDEX_SEARCH_NEAR_ROWS_H_
#define DPKDE_INDEX_SEARCH_NEAR_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/vector_index.h"

namespace dpkde {

// Kernel values of consecutive rows that cost as much as one search for k vectors, roughly, as measured with 10^5 to
// 10^6 rows of 100 dimensions: rows are read in order and meet many queries, whereas a search goes its own way. kFlat:
// all rows, so that it is never worth it.
size_t SearchCost(const VectorIndex& index, const VectorSearchOptions& search, size_t k);

// kInvalidArgument if `index`, unless it is nullptr, has another size or dimension than `rows`.
absl::Status CheckIndex(const VectorIndex* index, MatrixView rows);

// The k nearest of all rows to each query, best first, -1 where there are no more, by `search` but for its filter and
// its threads, which are those of the pool; for k = 0 none, and no index.
absl::StatusOr<std::vector<int64_t>> FindNear(const VectorIndex* index, MatrixView queries, size_t k,
                                              VectorSearchOptions search, ThreadPool& pool);

// The chosen rows in their order, row-major.
std::vector<float> GatherRows(MatrixView rows, absl::Span<const size_t> chosen);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_NEAR_ROWS_H_
