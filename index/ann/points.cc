#include "dpkde/index/ann/points.h"

#include <faiss/utils/distances.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {

absl::Status CheckPoints(absl::string_view role, MatrixView points) {
  for (size_t i = 0; i < points.rows; ++i) {
    // NaN and infinity among the values make the sum NaN or infinity.
    if (faiss::fvec_norm_L2sqr(points.row(i).data(), points.columns) <= kLargestSquaredNorm) continue;
    for (size_t j = 0; j < points.columns; ++j) {
      DPKDE_RETURN_IF_ERROR(CheckFinite(absl::StrCat("column ", j, " of ", role, " ", i), points.row(i)[j]));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("the squared norm of ", role, " ", i, " must be at most ", kLargestSquaredNorm));
  }
  return absl::OkStatus();
}

}  // namespace dpkde
