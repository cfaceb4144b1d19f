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

}  // namespace dpkde

#endif  // DPKDE_BASE_MATRIX_VIEW_H_
