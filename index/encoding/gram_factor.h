#ifndef DPKDE_INDEX_ENCODING_GRAM_FACTOR_H_
#define DPKDE_INDEX_ENCODING_GRAM_FACTOR_H_

#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"

namespace dpkde {

// L^-1, lower triangular and row-major, where L L^T = rows^T rows + ridge * (mean of the diagonal of rows^T rows) I.
//
// Products of 512 rows are summed in float32, those sums, the Cholesky factor and its inverse (LAPACK) in double: about
// rows * columns^2 + columns^3 multiply-adds and 24 columns^2 bytes. kInvalidArgument if the matrix is not positive
// definite to working precision: all rows zero, or too small a ridge.
absl::StatusOr<std::vector<float>> InverseGramFactor(MatrixView rows, double ridge, ThreadPool& pool);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_GRAM_FACTOR_H_
