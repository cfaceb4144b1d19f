#ifndef DPKDE_DESIGNS_RACE_DESIGN_H_
#define DPKDE_DESIGNS_RACE_DESIGN_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// RACE (Coleman and Shrivastava 2021, "A One-Pass Private Sketch for Most Machine Learning Tasks"; Coleman and
// Shrivastava 2020), for laplacian and for comparison: rows of counters that a locality-sensitive hash fills. The hash
// of a row is the cell of a random grid (Rahimi and Recht 2007, random binning): on each axis width w ~ Gamma(2, h) and
// an even shift, so that two points share a cell with probability prod_i E max(0, 1 - |x_i - y_i| / w) = f(x, y). Cells
// are hashed to `buckets` counters, so others share one with probability 1 / B. An answer is the mean over rows of
//
//   (C[hash(y)] - n / B) / (1 - 1 / B).
//
// Read into it: the mean, where they also have medians of means; the correction for the 1 / B, with the released n.
// The other similarities that have such a hash (angular, p-stable) are none of this library's. Unbiased.
//
// Noise: Laplace of scale rows / epsilon in a counter, as theirs, so sqrt(2 rows) / epsilon in an answer (times 1 / (1 -
// 1 / B), and that of the count over B). Approximation: at most n sqrt((s (1 - s) + s / B) / rows), s the mean
// similarity.
//
// Sensitivity, exact: a record adds 1 to one counter of each row. ADD_REMOVE: L1 = rows, L2 = sqrt(rows); REPLACE: L1 =
// 2 rows, L2 = sqrt(2 rows), since nothing is negative. The count: 1, or 0 under REPLACE. All in grid units.
//
// Purity: a cell is floor((x - shift) / w) in double precision, one operation order, far cells clamped, NaN cell 0.
//
// Layout: rows of counters, then n. A record and a query cost O(rows dimension). A domain is optional. kInvalidArgument
// for other similarities, rows outside [1, 65536], buckets outside [2, 2^20], more than 2^24 counters or 2^27 widths; if
// the spec has a fingerprint, the grids must match it (kFailedPrecondition).
absl::StatusOr<std::unique_ptr<Design>> MakeRaceDesign(const Similarity& similarity, size_t dimension,
                                                       const absl::optional<Domain>& domain,
                                                       const proto::RaceSpec& spec);

// What such a design has, without drawing its grids: for planning.
std::vector<CoordinateGroup> RaceGroups(size_t rows, size_t buckets);
double RaceApproximationError(double n, double expected_similarity, double rows, double buckets);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_RACE_DESIGN_H_
