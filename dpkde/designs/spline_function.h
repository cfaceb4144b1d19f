#ifndef DPKDE_DESIGNS_SPLINE_FUNCTION_H_
#define DPKDE_DESIGNS_SPLINE_FUNCTION_H_

#include <memory>
#include <vector>

#include "dpkde/designs/design.h"
#include "dpkde/designs/spline_axis.h"
#include "dpkde/similarity/domain.h"

namespace dpkde {

// One product kernel of a mixture (kernel_mixture.h): weight * prod_i f_i, and the fit of f_i on each axis of a grid.
struct SplineTerm {
  double weight = 1;
  std::vector<SplineAxis> axes;
};

// Makes the answers of a spline grid: psi(y) = sum over terms of weight * tensor product of the axes' fits.
//
// Answers at a grid of queries, 4 an axis and cell of the domain (laplacian up to 8), are tabulated when the function
// is made (post-processing: a linear map of the released values); ||psi||^2, which gives the variances, at up to 8,
// once for a design. A query in the domain is then interpolated by cubics, 4^d products each; the answer is defined so.
// From the fit's it differs by less than 1 % of the noise (mixtures 6 %), and its stated standard error is right to 2 %
// in the mean over the domain; less well in the cells at its ends for kernels with a cusp. Queries outside, and all
// where the table would have more than kMostTableNodes, are answered by the fit itself.
class SplineTables;

// The part that does not depend on the values. `terms` must outlive it.
std::shared_ptr<const SplineTables> MakeSplineTables(const std::vector<SplineTerm>& terms);

// `values` are the grid's, last axis fastest, in records; `variance` that of each. `terms` and `domain` must outlive
// the result.
std::unique_ptr<ReleasedFunction> MakeSplineFunction(const std::vector<SplineTerm>& terms,
                                                     std::shared_ptr<const SplineTables> tables, const Domain& domain,
                                                     std::vector<double> values, double variance);

inline constexpr size_t kMostTableNodes = size_t{1} << 21;

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_SPLINE_FUNCTION_H_
