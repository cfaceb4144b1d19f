#ifndef DPKDE_DESIGNS_CONVEX_REGRESSION_H_
#define DPKDE_DESIGNS_CONVEX_REGRESSION_H_

#include "absl/types/span.h"

namespace dpkde {

// Replaces values on an equidistant grid by those of the convex function that is nearest in least squares.
//
// Nearest in a convex set: if what was observed with noise is convex, no sum of squared errors grows. Optimal up to
// rounding: written as a line plus non-negative multiples of (t - t_j)_+, it is a non-negative least-squares problem,
// solved by Lawson and Hanson's active set (1974, chapter 23; for convex regression Fraser and Massam 1989), whose
// steps cost O(n) here, since the knots make a tridiagonal system. The number of steps is about that of the knots of
// the result, and bounded: where the bound is reached, what is returned is convex but not quite the nearest.
//
// Fewer than three values stay as they are; all must be finite.
void ProjectToConvex(absl::Span<double> values);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_CONVEX_REGRESSION_H_
