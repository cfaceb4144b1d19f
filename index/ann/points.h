#ifndef DPKDE_INDEX_ANN_POINTS_H_
#define DPKDE_INDEX_ANN_POINTS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/matrix_view.h"

namespace dpkde {

// Vectors that are searched, queries and rows, have no larger squared norm, so that scores stay finite: |<x, y>| <=
// 1e37 and ||x - y||^2 <= 4e37, and FLT_MAX is 3.4e38.
inline constexpr double kLargestSquaredNorm = 1e37;

// kInvalidArgument unless every value is finite and every squared norm at most kLargestSquaredNorm. `role` is what a
// row is called in messages.
absl::Status CheckPoints(absl::string_view role, MatrixView points);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ANN_POINTS_H_
