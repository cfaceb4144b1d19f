#ifndef DPKDE_DESIGNS_AXIS_DESIGN_H_
#define DPKDE_DESIGNS_AXIS_DESIGN_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Axis design, for l1 and lp_power in a box of widths R_i: on each axis, for |t| <= R,
//
//   |t|^p = R^p (a_0 + sum_{k >= 1} a_k cos(pi k t / R)),
//
// cut after a highest harmonic; for p = 1, a_0 = 1/2 and a_k = -4 / (pi k)^2 for odd k, 0 for even. A record
// contributes one pair (cos, sin) for each axis and harmonic, as in fourier_design.h, whose sensitivities hold here
// too; coefficients have signs, which change nothing.
//
// Layout: for each axis its cosines, then its sines; the count last.
//
// A query costs O(dimension): each axis's noised function is tabulated when the release is loaded (post-processing) and
// interpolated. ReleasedFunction::Project makes each axis's function convex where p >= 1. Queries outside the domain
// are refused. A record costs O(dimension * harmonics).
//
// kInvalidArgument for other similarities and for harmonics outside [1, 2^16] or more than 2^22 values in all.
absl::StatusOr<std::unique_ptr<Design>> MakeAxisDesign(const Similarity& similarity, const Domain& domain,
                                                       const proto::AxisSpec& spec);

// a_0 .. a_harmonics above, for 0 < p <= 2. Relative accuracy 1e-10.
std::vector<double> PowerCosineCoefficients(double p, size_t harmonics);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_AXIS_DESIGN_H_
