#ifndef DPKDE_DESIGNS_SPLINE_GRID_H_
#define DPKDE_DESIGNS_SPLINE_GRID_H_

#include <memory>

#include "absl/status/statusor.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Spline grid, for every kernel, in 1 to 4 dimensions; good for those that are local on the domain. A record adds the
// values of the tensor-product B-splines of a degree at its place: (degree + 1)^d non-negative weights with sum 1.
// Cubic ones have the least error where noise is small, quadratic and linear ones on wide cells where it is large: they
// spread a record over fewer functions, and the fit has smaller coefficients. A query is answered with the coefficients
// of the least-squares fit of f(., y) in the same splines (a product of one fit an axis), to which the released weights
// are a histogram. Kernels that are no products over axes are taken as mixtures of some twenty that are
// (kernel_mixture.h).
//
// Layout: the cells' functions, last axis fastest, then n.
//
// Sensitivity, the same whatever the number of cells: the integer weights are non-negative and sum to 2^20 exactly
// (products are rounded and the largest takes the residue), so ADD_REMOVE has L1 = 2^20. The weights of an axis have a
// sum of squares of at most s = 1/2 (cubic), 19/32 (quadratic) or 1 (linear), see LargestSquare, so L2 <= 2^20 s^(d/2)
// + the rounding, declared as ceil(2^20 s^(d/2)) + (degree + 1)^d, at most 2^20, and checked in integers for every
// record. REPLACE: L1 doubles; ||q - q'||^2 = ||q||^2 + ||q'||^2 - 2<q, q'> with <q, q'> >= 0, so L2 grows by sqrt(2)
// only.
//
// Error: O((cell / bandwidth)^(degree + 1)) for a gaussian, O(cell / bandwidth) at the cusp of kernels that have one.
// Queries outside the domain are extended: answered with their similarity to the (clamped) records. A record costs
// O((degree + 1)^d), and a query in the domain O(4^d), from tables made when the release is loaded (spline_function.h).
// Memory: 8 bytes a function; the table 4^d times 16.
//
// The degree of the specification is 1, 2, or 0 for cubic.
//
// kInvalidArgument without positive cells and ridge, for more than 4 dimensions or 2^22 functions.
absl::StatusOr<std::unique_ptr<Design>> MakeSplineGridDesign(const Similarity& similarity, const Domain& domain,
                                                             const proto::SplineGridSpec& spec);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_SPLINE_GRID_H_
