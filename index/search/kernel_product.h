#ifndef DPKDE_INDEX_SEARCH_KERNEL_PRODUCT_H_
#define DPKDE_INDEX_SEARCH_KERNEL_PRODUCT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/vector_index.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

struct KernelProductOptions {
  // The target: the root of the expected ||Y - KW||^2 is to be at most error * ||W|| (Frobenius norms). Finite and
  // positive.
  double error = 0.05;

  // Near rows of a query that are found through the index and added up exactly; 0: none. Looked for only where they
  // save more than they cost.
  size_t neighbors = 64;

  // Set: no target; about so many rows are sampled, at least 2, and the neighbours are always looked for.
  absl::optional<size_t> samples;

  // Of the sample.
  uint64_t seed = 1;

  // How the index is searched; `allowed` and `threads` are ignored.
  VectorSearchOptions search;
};

struct KernelProduct {
  std::vector<double> values;      // Y: queries x columns of the weights, row-major
  std::vector<double> std_errors;  // of each query: of the Euclidean length of the error of its row; 0: exact
  size_t samples = 0;              // rows that every query met, besides its neighbours
  size_t neighbors = 0;
};

// Y = K W, with K_ij = kernel(query_i, row_j) and signed public weights: all of K in float32, in blocks; products in
// double precision if W has one column, otherwise in float32 block by block. queries: q x d, rows: n x d, weights: n x
// c. O(q n (d + c)) time; K is never stored. kInvalidArgument: a similarity that is no kernel, shapes that do not
// match, values that are not finite.
absl::StatusOr<KernelProduct> ExactKernelProduct(const Similarity& kernel, MatrixView rows, MatrixView queries,
                                                 MatrixView weights, ThreadPool& pool);

// The same, estimated: the near rows of each query through the index, exactly, and of the rest a sample by size of
// weight, the same for all queries.
//
//   KernelProductOptions options;
//   options.error = 0.1;
//   absl::StatusOr<KernelProduct> y = EstimateKernelProduct(kernel, rows, queries, weights, &*index, options, pool);
//
// The task, and the reason why it may be had in less than q n steps, are those of Indyk, Kapralov, Sheth and Wagner
// (ICLR 2025, arXiv 2507.23539): where the sum of all entries of K is linear in n, few entries are large, and they can
// be found; what is left varies little. Their algorithm finds large entries by hashing that adapts to the kernel's
// sums, and proves ||y - Kw|| <= error ||w|| in n^1.89 steps. This is the practical form of it, with less of a proof.
// Some queries may stand in places so dense that neighbours do not cover what is large, or miss a near row that the
// index did not find: those of the largest standard errors are computed exactly, as many as it takes.
//
// Guarantee. With options.samples unbiased over seeds, for any weights and whatever the index finds. With n queries, no
// row of the rest beyond tau and column sums of at most C, m sampled rows give E||Y - KW||^2 <= tau C |W|_1^2 / m <= n
// tau C ||W||^2 / m, where |W|_1 is the sum of the lengths of the rows of W: m = n tau C / error^2 suffice. That is
// sublinear only as far as neighbours bring tau down. Without a bound on columns, m is chosen by what pilot samples
// show for up to 256 of the queries; the final sample is independent of them. Its own std_errors meet the target: exact
// queries see to that, but as the sample chooses them, what is returned is no longer exactly unbiased. Where all this
// would cost more than everything, everything is computed: the result is that of ExactKernelProduct().
//
// `index`: of `rows` in their order (see kernel_sums.h), or nullptr. The same bits for the same arguments, whatever the
// number of threads. Memory besides the arguments: 4 m (d + c) bytes, 12 q neighbors, 16 q c.
absl::StatusOr<KernelProduct> EstimateKernelProduct(const Similarity& kernel, MatrixView rows, MatrixView queries,
                                                    MatrixView weights, const VectorIndex* index,
                                                    const KernelProductOptions& options, ThreadPool& pool);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_KERNEL_PRODUCT_H_
