#ifndef DPKDE_INDEX_SEARCH_ATTENTION_H_
#define DPKDE_INDEX_SEARCH_ATTENTION_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/vector_index.h"

namespace dpkde {

struct AttentionOptions {
  // What inner products are multiplied by (the inverse temperature). Finite and positive.
  double scale = 1;

  // Keys of the largest inner products with a query, through the index; 0: none.
  size_t neighbors = 64;

  // Of the other keys, the same for all queries; at least 2. As many as there are keys, or more: exact.
  size_t samples = 1024;

  // Of the sample.
  uint64_t seed = 1;

  // How the index is searched; `allowed` and `threads` are ignored.
  VectorSearchOptions search;
};

struct Attention {
  std::vector<double> values;  // queries x columns of the values, row-major
  // Of each query: a bound, to first order, on the standard error of the Euclidean length of the error of its row; 0:
  // exact.
  std::vector<double> std_errors;
};

// softmax(scale Q K^T) V: row i is the mean of the rows of `values`, weighted by exp(scale <query_i, key_j>). All of
// it, in float32 with double sums of blocks: O(q n (d + c)). queries: q x d, keys: n x d, n >= 1, values: n x c.
// kInvalidArgument: shapes that do not match, values that are not finite.
absl::StatusOr<Attention> ExactAttention(MatrixView queries, MatrixView keys, MatrixView values, double scale,
                                         ThreadPool& pool);

// The same, estimated (the task of KDEformer: Zandieh, Han, Daliri, Karbasi, ICML 2023, arXiv 2302.02451, on a CPU):
// heavy keys of each query through the index, exactly, and the rest by one sample of keys for all queries, with
// probabilities in proportion to the length of the key's value and to the attention that 64 of the queries pay to it.
// For keys of unit length this is a Gaussian kernel's product with V and with a column of ones (see kernel_product.h);
// both are unbiased, and what is returned is their quotient, whose bias is of the order of the squared error.
//
// `index`: of `keys` in their order, of kInnerProduct (or kCosine, for keys of unit length), or nullptr. Where nothing
// that was met has a weight, the row is computed exactly.
//
// It pays only where there are far more keys than neighbors and samples, and where a search costs less than it saves:
// docs/kernel_sums.md has figures. The same bits for the same arguments, whatever the number of threads.
absl::StatusOr<Attention> EstimateAttention(MatrixView queries, MatrixView keys, MatrixView values,
                                            const VectorIndex* index, const AttentionOptions& options,
                                            ThreadPool& pool);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_ATTENTION_H_
