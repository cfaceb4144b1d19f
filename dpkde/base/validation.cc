#include "dpkde/base/validation.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "dpkde/base/record_error.h"

namespace dpkde {

absl::Status CheckFinite(absl::string_view name, double value) {
  if (std::isfinite(value)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be finite, but is ", value));
}

absl::Status CheckPositive(absl::string_view name, double value) {
  if (std::isfinite(value) && value > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be finite and positive, but is ", value));
}

absl::Status CheckInRange(absl::string_view name, int64_t value, int64_t lowest, int64_t highest) {
  if (lowest <= value && value <= highest) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be at least ", lowest, " and at most ", highest, ", but is ", value));
}

absl::Status CheckFiniteRows(MatrixView rows, uint64_t first_row) {
  for (size_t r = 0; r < rows.rows; ++r) {
    for (size_t c = 0; c < rows.columns; ++c) {
      if (std::isfinite(rows.row(r)[c])) continue;
      return RecordError(absl::StatusCode::kInvalidArgument,
                         absl::StrCat("row ", first_row + r, ", column ", c, " (counting from 0)"),
                         absl::StrCat("must be finite, but is ", rows.row(r)[c]));
    }
  }
  return absl::OkStatus();
}

}  // namespace dpkde
