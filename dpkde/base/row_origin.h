#ifndef DPKDE_BASE_ROW_ORIGIN_H_
#define DPKDE_BASE_ROW_ORIGIN_H_

#include <vector>

#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"

namespace dpkde {

// Coordinates far from 0, such as timestamps or metres of a projection, lose their digits in float32; relative to a
// public origin among them they do not.

// Each of `rows` minus the origin, which has one value a column or, for none, no values: subtracted in double, then
// rounded to the nearest float32. Row-major; a function of the one value and the origin.
std::vector<float> SubtractOrigin(MatrixView rows, absl::Span<const double> origin);

// The same into memory of the caller's, rows x columns.
void SubtractOrigin(MatrixView rows, absl::Span<const double> origin, float* centered);

// The same of rows in double, row-major, `columns` each.
std::vector<float> SubtractOrigin(absl::Span<const double> rows, size_t columns, absl::Span<const double> origin);

}  // namespace dpkde

#endif  // DPKDE_BASE_ROW_ORIGIN_H_
