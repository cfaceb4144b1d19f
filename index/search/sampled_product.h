#ifndef DPKDE_INDEX_SEARCH_SAMPLED_PRODUCT_H_
#define DPKDE_INDEX_SEARCH_SAMPLED_PRODUCT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/search/kernel_panels.h"
#include "dpkde/index/search/weighted_sample.h"

namespace dpkde {

struct SampledProduct {
  std::vector<double> values;      // queries x columns, row-major
  std::vector<double> std_errors;  // of each query: of the Euclidean length of the error of its row
};

// Values of the function whose product with weights is wanted, of queries [begin, end) and rows [first, last) of
// panels: as KernelValues().
using ValuesOfBlock = absl::FunctionRef<void(size_t begin, size_t end, const KernelPanels& panels, size_t first,
                                             size_t last, float* values)>;
// Of one query and one row.
using ValueOfPair = absl::FunctionRef<double(size_t query, size_t row)>;

// values[q] = sum_i f(q, row_i) weights[i] for f >= 0: exactly over the near rows of each query and over what is
// certain in `sample`, and by the drawn rows for the rest; unbiased over samples, whatever is near.
//
// rows: n x d. weights: n x columns; lengths: n, of its rows. sizes: n, by which `sample` was drawn, positive where
// lengths are; best in proportion to the length of what a row adds. near: queries x neighbors rows, -1 for none; best
// first. largest: of f, where a query has no neighbour; 0 if not known.
//
// std_errors: of drawing with replacement, which is no less; as if one more drawn row had the value of the farthest
// neighbour. 0 where nothing was drawn. The same bits for any number of threads.
SampledProduct MultiplySampled(MatrixView rows, MatrixView weights, absl::Span<const double> lengths,
                               absl::Span<const double> sizes, const WeightedSample& sample, size_t queries,
                               absl::Span<const int64_t> near, size_t neighbors, double largest, ValuesOfBlock block,
                               ValueOfPair pair, ThreadPool& pool);

// The Euclidean length of each row.
std::vector<double> RowLengths(MatrixView matrix);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_SAMPLED_PRODUCT_H_
