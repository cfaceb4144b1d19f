#include "dpkde/base/row_products.h"

#include "dpkde/base/blas.h"

// BLAS, as OpenBLAS exports it.
extern "C" void dgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const double* alpha, const double* a, const int* lda, const double* b, const int* ldb,
                       const double* beta, double* c, const int* ldc);

namespace dpkde {

void AddRowProducts(double alpha, RowMajor a, RowMajor b, bool transpose_b, double* c) {
  const int m = static_cast<int>(transpose_b ? b.rows : b.columns), n = static_cast<int>(a.rows);
  const int k = static_cast<int>(a.columns);
  if (k == 0 || m == 0 || n == 0) return;
  const double one = 1;
  const int lda = static_cast<int>(b.stride), ldb = static_cast<int>(a.stride);
  const BlasCall call;
  // Row-major c = a b is column-major c^T = b^T a^T.
  dgemm_(transpose_b ? "T" : "N", "N", &m, &n, &k, &alpha, b.data, &lda, a.data, &ldb, &one, c, &m);
}

}  // namespace dpkde
