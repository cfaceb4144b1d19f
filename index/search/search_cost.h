#ifndef DPKDE_INDEX_SEARCH_SEARCH_COST_H_
#define DPKDE_INDEX_SEARCH_SEARCH_COST_H_

#include <cstddef>

#include "absl/status/status.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/index/ann/vector_index.h"

namespace dpkde {

// Kernel values of consecutive rows that cost as much as one search for k vectors, roughly, as measured with 10^5 to
// 10^6 rows of 100 dimensions: rows are read in order and meet many queries, whereas a search goes its own way. kFlat:
// all rows, so that it is never worth it.
size_t SearchCost(const VectorIndex& index, const VectorSearchOptions& search, size_t k);

// kInvalidArgument if `index`, unless it is nullptr, has another size or dimension than `rows`.
absl::Status CheckIndex(const VectorIndex* index, MatrixView rows);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_SEARCH_COST_H_
