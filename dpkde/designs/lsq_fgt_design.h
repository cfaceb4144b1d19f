#ifndef DPKDE_DESIGNS_LSQ_FGT_DESIGN_H_
#define DPKDE_DESIGNS_LSQ_FGT_DESIGN_H_

#include <memory>

#include "absl/status/statusor.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// LSQ-FGT (Wagner, Naamad, Mishra 2023, section 4: the fast Gauss transform of Greengard and Strain 1991), gaussian in
// up to three dimensions, for comparison. The domain is cut into equal cells; with c the middle of the cell of x, s = (x
// - c) / (sqrt(2) h) and t = (y - c) / (sqrt(2) h), on each axis
//
//   e^(-(t - s)^2) = sum_k phi_k(s) psi_k(t),   phi_k = s^k sqrt(2^k / k!),   psi_k = H_k(t) e^(-t^2) / sqrt(2^k k!),
//
// cut after `terms` of them, H_k Hermite polynomials. A record adds the terms^d products of phi_k to its cell, a query
// uses all cells within 5.7 bandwidths.
//
// Read into it: how s^k and H_k share sqrt(2^k / k!), which makes |psi_k| <= 1.09 (Cramer) and phi_k at most 1 for the
// cells of Greengard and Strain, |s| <= 1/2. One Laplace scale for all coordinates, as theirs. They bound L1 by S R, the
// number of coordinates of a record times their largest value; here it is the largest sum, which is less, so noise is
// less too. Their code divides by the exact number of records, see lsq_rff_design.h.
//
// Noise: with v the noise variance of a coordinate, v times the sum of squared psi of the cells used, about v (1.25 +
// .63 + .47 + .39 + ..)^d / (cell / (sqrt(2) h))^d, `terms` summands. Biased by what is cut off, at most SupError().
//
// Sensitivity. With r the largest |s| of an axis, a record has L1 <= prod_i sum_k (sqrt(2) r_i)^k / sqrt(k!), reached
// in the corner of a cell, and L2^2 <= prod_i sum_k (2 r_i^2)^k / k!; in units of 2^-20, rounded up, plus terms^d for
// the rounding of each coordinate. Both are checked in integers for every record; one that failed would count as at the
// middle of its cell. REPLACE: a difference of two such vectors, twice both. The count: 1 unit, or 0 under REPLACE.
//
// Layout: cells, last axis fastest, each with its terms^d sums, last axis fastest; n. Queries outside the domain are
// extended. kInvalidArgument for other similarities, more than 3 dimensions, cells outside [1, 4096], terms outside [1,
// 16], cells wider than 4 bandwidths, or more than 2^22 values.
absl::StatusOr<std::unique_ptr<Design>> MakeLsqFgtDesign(const Similarity& similarity, const Domain& domain,
                                                         const proto::LsqFgtSpec& spec);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_LSQ_FGT_DESIGN_H_
