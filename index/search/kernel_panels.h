#ifndef DPKDE_INDEX_SEARCH_KERNEL_PANELS_H_
#define DPKDE_INDEX_SEARCH_KERNEL_PANELS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/similarity/similarity.h"

// Blocks of kernel values, queries x rows, with run-time dispatch (AVX2, AVX-512).

namespace dpkde {

// Rows in the order of use: panels of kPanelRows rows, coordinate-major, the last padded with zeros.
class KernelPanels {
 public:
  static constexpr size_t kPanelRows = 64;

  KernelPanels() = default;
  // Copies rows order[0], order[1], ... of `rows`.
  KernelPanels(MatrixView rows, absl::Span<const uint32_t> order);

  size_t rows() const { return rows_; }
  size_t dimension() const { return dimension_; }
  const float* panel(size_t i) const { return values_.data() + i * kPanelRows * dimension_; }

  // Values of a block of `count` rows are this far apart from query to query.
  static size_t Stride(size_t count) { return (count + kPanelRows - 1) / kPanelRows * kPanelRows; }

 private:
  size_t rows_ = 0, dimension_ = 0;
  std::vector<float> values_;
};

// values[q * Stride(last - first) + i] = kernel(queries[q], row first + i) for first + i < last, and 0 up to the
// stride. `first` is a multiple of kPanelRows; requires kernel.is_kernel(), queries.columns == panels.dimension() and
// points that pass CheckPoints().
//
// In float32, differences first, so that near points lose nothing: a relative error of about 1e-6 (1 + |log value|).
// What is below 1e-38 may be 0. The bits depend on query, row and kernel alone.
//
// Speed, one thread of an AVX-512 CPU: see kernel_sums.h.
void KernelValues(const Similarity& kernel, MatrixView queries, const KernelPanels& panels, size_t first, size_t last,
                  float* values);

// The same of exp(<queries[q], row> - offsets[q]).
void ExponentialValues(MatrixView queries, const float* offsets, const KernelPanels& panels, size_t first, size_t last,
                       float* values);

// <x, y> in double precision, in an order that depends on `count` alone.
double DotProduct(const float* x, const float* y, size_t count);

struct Moments {
  double sum = 0;
  double squares = 0;
};

// Adds values and their squares in double precision, in an order that depends on `count` alone.
void AddMoments(const float* values, size_t count, Moments* moments);

// out[q * columns + c] += sum_i values[q * stride + i] * weights[i][c]: `weights` is count x columns, row-major; the
// sum of one call is made in float32 (in double where columns = 1), in an order that depends on `count` alone.
void AddProducts(const float* values, size_t queries, size_t stride, MatrixView weights, double* out);

// kInvalidArgument for what is no kernel, and for hash kernels, whose values have no fast form.
absl::Status CheckKernel(const Similarity& kernel);

// As CheckPoints (index/ann/points.h), of queries, which must have as many columns as `rows`.
absl::Status CheckQueries(MatrixView queries, MatrixView rows);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_KERNEL_PANELS_H_
