#ifndef DPKDE_INDEX_SEARCH_TUNER_H_
#define DPKDE_INDEX_SEARCH_TUNER_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/vector_index.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/search/searcher.h"

namespace dpkde {

// Arrangements of the same vectors that are worth comparing, under the metric of `options`: float32, int8, graded,
// 4-bit and PQ scans, IVF and graph. Each with a short name.
struct NamedOptions {
  std::string name;
  VectorIndexOptions options;
};
std::vector<NamedOptions> UsualArrangements(VectorIndexOptions::Metric metric);

struct TuneOptions {
  size_t k = 10;
  double target_recall = 0.95;

  // Budgets of the first stage; those below k, and beyond the documents that are there, are left out.
  std::vector<size_t> candidates = {10, 20, 50, 100, 200, 500, 1000, 2000, 5000};

  std::vector<NamedOptions> arrangements;  // besides the index's own
};

// One arrangement with one budget.
struct TuneRow {
  std::string name;  // "own" for the index as it is
  VectorIndexOptions options;
  double bytes_per_document;  // of the first stage
  double build_seconds;       // 0 for "own"
  size_t candidates;
  double recall;            // recall.h, against exact search
  double milliseconds;      // a query, both stages, in one batch by the threads of the pool
  double cpu_milliseconds;  // of all threads; on a machine that others use too, what can be compared
};

struct TuneReport {
  std::vector<TuneRow> rows;
  double exact_milliseconds, exact_cpu_milliseconds;  // a query, scoring every document
  // Rows that reach the target: of the fewest bytes a document, then candidates; and of the least time.
  absl::optional<size_t> smallest, fastest;
};

// Measures on the user's own data: exact search of the tokens as they are stored is the truth. Encodes all documents of the index, from the tokens as
// they are stored, and holds their vectors as float32 while it runs. Every document is found where recall is 1, so
// there must be queries and documents: kInvalidArgument otherwise.
absl::StatusOr<TuneReport> Tune(const Searcher& searcher, TokenSetsView queries, const TuneOptions& options,
                                ThreadPool& pool);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_TUNER_H_
