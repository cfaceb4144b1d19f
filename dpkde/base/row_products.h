#ifndef DPKDE_BASE_ROW_PRODUCTS_H_
#define DPKDE_BASE_ROW_PRODUCTS_H_

#include <cstddef>

namespace dpkde {

// A row-major matrix of doubles, or a part of one.
struct RowMajor {
  const double* data;
  size_t rows, columns;
  size_t stride;  // of rows
};

// c += alpha a b, or alpha a b^T, by BLAS; c is row-major and dense. What feeds an accumulator needs products whose
// bits depend on the row alone (dpkde/designs/fourier_kernel.h): this is for public and released values.
void AddRowProducts(double alpha, RowMajor a, RowMajor b, bool transpose_b, double* c);

}  // namespace dpkde

#endif  // DPKDE_BASE_ROW_PRODUCTS_H_
