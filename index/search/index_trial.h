#ifndef DPKDE_INDEX_SEARCH_INDEX_TRIAL_H_
#define DPKDE_INDEX_SEARCH_INDEX_TRIAL_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/search/searcher.h"

namespace dpkde {

// How well an index of single vectors answers, measured on itself.
struct IndexTrial {
  size_t queries = 0;  // documents that were looked for; 0: too few documents to tell
  size_t k = 0;
  size_t candidates = 0;
  double recall = 0;        // of the k nearest of each, by the vectors as they were given
  double exact_recall = 0;  // with every document as a candidate: what the format of tokens alone loses

  // Whether either loses more than a user would expect of a default: 1 % where every document is a candidate, else 5 %.
  bool loses() const { return queries > 0 && (recall < 0.95 || exact_recall < 0.99); }
};

// Searches for 8 to 64 of the documents. `vectors`: what the index was built of, row by row, relative to its origin, before
// it was rounded to the format of tokens. The truth is found in double, one by one: about half a second.
absl::StatusOr<IndexTrial> TryIndex(const Searcher& searcher, MatrixView vectors, ThreadPool& pool);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_INDEX_TRIAL_H_
