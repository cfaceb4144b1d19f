#ifndef DPKDE_INDEX_SEARCH_KERNEL_SUMS_H_
#define DPKDE_INDEX_SEARCH_KERNEL_SUMS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/vector_index.h"
#include "dpkde/index/search/kernel_panels.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

struct KernelSumOptions {
  // The target: rows are sampled until std_error <= max(relative_error * sum, absolute_error). Finite; the first
  // positive, the second at least 0 (in units of the sum).
  double relative_error = 0.05;
  double absolute_error = 0;

  // Near rows of a query that the index is asked for and that are added up exactly; 0: none. They are looked for only
  // where sampling alone would cost more than the search (a kFlat index therefore is of no use).
  size_t neighbors = 64;

  // Set: no target; the neighbours are always looked for, and at least so many of the other rows are sampled, at least
  // 2. The estimate is exactly unbiased.
  absl::optional<size_t> samples;

  // Rows are drawn for each query on its own (DEANN as first published), so that errors of different queries are
  // independent. Tens of times slower: scattered memory, one query at a time. Otherwise every query takes the same
  // rows, which lie together (the permuted variant), and errors of neighbouring queries are alike.
  bool independent = false;

  // How the index is searched; `allowed` and `threads` are ignored.
  VectorSearchOptions search;
};

struct KernelSum {
  double sum = 0;
  double std_error = 0;  // 0: all rows were added up, or the value of the farthest neighbour is 0
  size_t samples = 0;    // rows that were evaluated besides the neighbours
  size_t neighbors = 0;
};

// Sums of a kernel over public rows, sum_i kernel(row_i, query), far faster than one by one: near rows through an
// index, exactly, and a random sample of the rest (DEANN: Karppa, Aumueller, Pagh, AISTATS 2022, arXiv 2107.02736).
//
//   absl::StatusOr<VectorIndex> index = VectorIndex::Build(rows, options);  // kL2
//   absl::StatusOr<KernelSums> sums = KernelSums::Create(rows, kernel, &*index, /*seed=*/1);
//   absl::StatusOr<std::vector<KernelSum>> estimates = sums->Estimate(queries, {}, pool);
//
// No privacy: sums are as public as the rows.
//
// Guarantee. Over seeds, and whatever the index finds: with options.samples the estimate is exactly unbiased. With a
// target it stops when the error that it sees is small enough, which leaves a bias that is small beside that error, and
// the true error is within two of std_error about nineteen times in twenty. std_error is that of the sample, as if one
// more row of it had been as near as the farthest neighbour (without neighbours: as near as can be), lest a sample that
// happened to see nothing pass for certainty. What an index misses costs samples, not truth. Where more than half of
// the rows would be sampled, all are: then the sum is exact up to rounding, std_error is 0, and the cost that of
// Exact() and of the search.
//
// Determinism: the same bits for the same rows, index, seed and query, whatever the number of threads and whatever
// queries stand beside it (independent: on its position among them).
//
// Complexity, n rows of dimension d. 4nd bytes besides `rows` and the index. A query takes O(d) for each sampled row,
// and one search where it pays. A row costs 4 to 5 ns at d = 100 on one thread of an AVX-512 CPU,
// most of it squared differences.
//
// Thread-safe for const methods.
class KernelSums {
 public:
  // `rows` (n x d; n = 0 sums to 0) and `index` must outlive the result. `index`: of the same rows in the same order,
  // or nullptr. Any metric that finds large kernel values will do; kL2 is right for kernels of ||x - y||_2, and fair
  // for the others. It should have been built without regard to `seed`. kInvalidArgument: a similarity that is no
  // kernel, another size or dimension of the index, a value that is not finite.
  static absl::StatusOr<KernelSums> Create(MatrixView rows, const Similarity& kernel, const VectorIndex* index,
                                           uint64_t seed);

  // `queries`: q x d. All kernel values, in float32, summed in double precision: O(qnd).
  absl::StatusOr<std::vector<KernelSum>> Exact(MatrixView queries, ThreadPool& pool) const;

  absl::StatusOr<std::vector<KernelSum>> Estimate(MatrixView queries, const KernelSumOptions& options,
                                                  ThreadPool& pool) const;

 private:
  struct Progress;
  class Run;

  KernelSums(MatrixView rows, const Similarity& kernel, const VectorIndex* index, uint64_t seed);

  MatrixView rows_;
  Similarity kernel_;
  const VectorIndex* index_;
  uint64_t seed_;
  std::vector<uint32_t> positions_;  // of each row in the panels
  KernelPanels panels_;              // the rows, shuffled
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_KERNEL_SUMS_H_
