#ifndef DPKDE_DESIGNS_MOMENTS_DESIGN_H_
#define DPKDE_DESIGNS_MOMENTS_DESIGN_H_

#include <memory>

#include "absl/status/statusor.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Moments, for l2_squared in a box with centre c, in the ball of radius R around it (half the diagonal): with z = (x - c) / R,
//
//   ||x - y||^2 = R^2 ||z||^2 - 2 R <z, y - c> + ||y - c||^2,
//
// so the sums of z, of ||z||^2 and the count answer every query exactly.
//
// Layout: z_1..z_d, ||z||^2, n.
//
// Sensitivity, in units of 2^-20, checked in integers for every record: sum_i q_i^2 <= M^2 with M = 2^20 + ceil(sqrt(d)), so L2
// <= M and L1 <= sqrt(d) M, twice that under REPLACE; 0 <= q(||z||^2) <= 2^20, under either relation; 1 for the count.
//
// No approximation error; every y has an answer. O(d) for a record and for a query. kInvalidArgument for other similarities.
absl::StatusOr<std::unique_ptr<Design>> MakeMomentsDesign(const Similarity& similarity, const Domain& domain,
                                                          const proto::MomentsSpec& spec);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_MOMENTS_DESIGN_H_
