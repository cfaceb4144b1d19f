#ifndef DPKDE_BASE_VALIDATION_H_
#define DPKDE_BASE_VALIDATION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/matrix_view.h"

// The fixed phrases for parameters that are out of range. Every check fails with kInvalidArgument and a message
// "<name> must be <phrase>, but is <value>", so that a user meets one wording for one kind of mistake.

namespace dpkde {

// "finite": refuses NaN and infinities.
absl::Status CheckFinite(absl::string_view name, double value);

// "finite and positive": refuses NaN, infinities, zero and negative values.
absl::Status CheckPositive(absl::string_view name, double value);

// "at least <lowest> and at most <highest>".
absl::Status CheckInRange(absl::string_view name, int64_t value, int64_t lowest, int64_t highest);

// "finite", for every value of `rows`: names the first that is not by row, `first_row` that of rows' first, and column.
absl::Status CheckFiniteRows(MatrixView rows, uint64_t first_row);

}  // namespace dpkde

#endif  // DPKDE_BASE_VALIDATION_H_
