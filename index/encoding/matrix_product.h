#ifndef DPKDE_INDEX_ENCODING_MATRIX_PRODUCT_H_
#define DPKDE_INDEX_ENCODING_MATRIX_PRODUCT_H_

#include <cstddef>
#include <vector>

#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"

namespace dpkde {

// A matrix of rows x columns, laid out for products with many vectors: panels of kPanelRows rows, each panel
// column-major, the last one padded with zeros.
class PackedMatrix {
 public:
  static constexpr size_t kPanelRows = 6;

  PackedMatrix() = default;
  explicit PackedMatrix(MatrixView matrix);

  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }
  size_t panels() const { return (rows_ + kPanelRows - 1) / kPanelRows; }
  const float* panel(size_t i) const { return values_.data() + i * kPanelRows * columns_; }

 private:
  size_t rows_ = 0, columns_ = 0;
  std::vector<float> values_;
};

// out[i][j] = <row i of vectors, row j of matrix>: `out` is vectors.rows x matrix.rows(), row-major; vectors.columns is
// matrix.columns().
//
// Each value is one chain of fused multiply-adds in float32 in the order of the columns, so that its bits depend on its
// two rows alone: not on the others, the number of threads or the CPU (AVX2 or AVX-512, chosen at run time). A BLAS
// does not give this. Its error is at most columns * 2^-24 sum |x_k m_k|.
//
// Speed, one thread of an AVX-512 CPU: about 60 * 10^9 multiply-adds a second from 64 vectors on.
void MatrixProduct(MatrixView vectors, const PackedMatrix& matrix, ThreadPool& pool, float* out);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_MATRIX_PRODUCT_H_
