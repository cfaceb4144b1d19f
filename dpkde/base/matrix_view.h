#ifndef DPKDE_BASE_MATRIX_VIEW_H_
#define DPKDE_BASE_MATRIX_VIEW_H_

#include <cstddef>

#include "absl/types/span.h"

namespace dpkde {

// Points as the rows of a dense row-major matrix that somebody else owns: `rows` x `columns` float32, no padding.
// A view is two words and a pointer; pass it by value.
struct MatrixView {
  const float* data = nullptr;
  size_t rows = 0;
  size_t columns = 0;

  absl::Span<const float> row(size_t i) const { return {data + i * columns, columns}; }

  // Rows [begin, end).
  MatrixView Slice(size_t begin, size_t end) const { return {data + begin * columns, end - begin, columns}; }
};

// Rows from which a public origin has been subtracted in double, as a VectorReader with that origin and
// SubtractOrigin() give them. A type of its own, so that coordinates as a user has them and these are never mixed:
// what takes a MatrixView subtracts the origin itself.
struct CenteredRows {
  explicit CenteredRows(MatrixView centered) : rows(centered) {}

  MatrixView rows;
};

}  // namespace dpkde

#endif  // DPKDE_BASE_MATRIX_VIEW_H_
