#include "dpkde/index/encoding/gram_factor.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "dpkde/base/blas.h"
#include "dpkde/index/encoding/matrix_product.h"

extern "C" void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);
extern "C" void dtrtri_(const char* uplo, const char* diagonal, const int* n, double* a, const int* lda, int* info);

namespace dpkde {

absl::StatusOr<std::vector<float>> InverseGramFactor(MatrixView rows, double ridge, ThreadPool& pool) {
  constexpr size_t kBlockRows = 512;
  const size_t n = rows.columns;
  std::vector<double> gram(n * n);
  std::vector<float> block(n * n), columns;
  for (size_t begin = 0; begin < rows.rows; begin += kBlockRows) {
    const MatrixView slice = rows.Slice(begin, std::min(begin + kBlockRows, rows.rows));
    columns.resize(n * slice.rows);
    for (size_t i = 0; i < slice.rows; ++i) {
      for (size_t j = 0; j < n; ++j) columns[j * slice.rows + i] = slice.data[i * n + j];
    }
    const MatrixView transposed = {columns.data(), n, slice.rows};
    MatrixProduct(transposed, PackedMatrix(transposed), pool, block.data());
    for (size_t i = 0; i < n * n; ++i) gram[i] += block[i];
  }
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += gram[i * n + i];
  for (size_t i = 0; i < n; ++i) gram[i * n + i] += ridge * trace / n;

  // LAPACK's columns are our rows: its upper factor U with U^T U = G is our lower one.
  const int order = static_cast<int>(n);
  int info = 0;
  const BlasCall call;
  dpotrf_("U", &order, gram.data(), &order, &info);
  if (info == 0) dtrtri_("U", "N", &order, gram.data(), &order, &info);
  if (info != 0) {
    return absl::InvalidArgumentError("the features of the sample's tokens are not independent: raise the ridge");
  }
  // dtrtri gives U^-1 in LAPACK's upper triangle, that is L^-1 in our lower one.
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) block[i * n + j] = j <= i ? static_cast<float>(gram[i * n + j]) : 0.0f;
  }
  return block;
}

}  // namespace dpkde
