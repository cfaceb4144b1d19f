#ifndef DPKDE_DESIGNS_MOMENTS_DESIGN_H_
#define DPKDE_DESIGNS_MOMENTS_DESIGN_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Moments, for l2_squared, inner_product and cosine: sums that follow from the sum of the records (and of their squared
// norms). A record becomes a vector z in the unit ball: for cosine x / ||x||, else (x - c) / R with the centre c and
// the radius R of the domain's (circumscribed) ball. Then
//
//   ||x - y||^2 = R^2 ||z||^2 - 2 R <z, y - c> + ||y - c||^2,   <x, y> = R <z, y> + <c, y>,   cos(x, y) = <z, y> /
//   ||y||.
//
// Layout: z_1..z_d, then ||z||^2 for l2_squared only, then n.
//
// Sensitivity, in units of 2^-20, checked in integers for every record: sum_i q_i^2 <= M^2 with M = 2^20 +
// ceil(sqrt(d)), so L2
// <= M and L1 <= sqrt(d) M, twice that under REPLACE; 0 <= q(||z||^2) <= 2^20, under either relation; 1 for the count.
//
// No approximation error; every y has an answer. O(d) for a record and for a query. kInvalidArgument for other
// similarities, and without a domain for l2_squared and inner_product. For cosine a domain is optional: records are
// clamped before they are scaled.
absl::StatusOr<std::unique_ptr<Design>> MakeMomentsDesign(const Similarity& similarity, size_t dimension,
                                                          const absl::optional<Domain>& domain);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_MOMENTS_DESIGN_H_
