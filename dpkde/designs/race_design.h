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
// Shrivastava 2020): rows of counters that a locality-sensitive hash fills, for kernels that say how often two points
// share a hash. For angular it is the only design, and for p_stable one that the planner considers.
//
//   laplacian   the cell of a random grid (Rahimi and Recht 2007, random binning): on each axis width w ~ Gamma(2, h)
//               and an even shift, so that two points share one with probability prod_i E max(0, 1 - |x_i - y_i| / w)
//   p_stable    floor((<a, x> + b) / h), a normal, b even in [0, h] (Datar, Immorlica, Indyk, Mirrokni 2004)
//   angular     p signs of <a, x>, a normal (SimHash, Charikar 2002); all are 1 of x = 0
//
// Hashes of the first two are hashed to B = `buckets` counters, so that others share one with probability 1 / B; those
// of angular are numbers below B = 2^p as they are. An answer is the mean over rows of
//
//   (C[hash(y)] - n / B) / (1 - 1 / B),      angular: C[hash(y)].
//
// Read into it: the mean, where they also have medians of means; the correction for the 1 / B, with the released n; one
// p-stable hash, of p = 2, a row. Unbiased.
//
// Noise: Laplace of scale rows / epsilon in a counter, as theirs, so sqrt(2 rows) / epsilon in an answer (times 1 / (1
// - 1 / B), and that of the count over B). Approximation: at most n sqrt((s (1 - s) + s / B) / rows), s the mean
// similarity.
//
// Sensitivity, exact: a record adds 1 to one counter of each row. ADD_REMOVE: L1 = rows, L2 = sqrt(rows); REPLACE: L1 =
// 2 rows, L2 = sqrt(2 rows), since nothing is negative. The count: 1, or 0 under REPLACE. All in grid units.
//
// Purity: products by FixedOrderProducts; a cell is the floor of a sum or quotient in double precision, one operation
// order, far cells clamped, NaN cell 0.
//
// Layout: rows of counters, then n. A record and a query cost O(rows dimension), angular O(rows dimension p). A domain
// is optional. kInvalidArgument for other similarities, rows outside [1, 65536], buckets outside [2, 2^20] or, of
// angular, other than 2^p, more than 2^24 counters or 2^27 widths or entries of a; if the spec has a fingerprint, the
// hashes must match it (kFailedPrecondition).
absl::StatusOr<std::unique_ptr<Design>> MakeRaceDesign(const Similarity& similarity, size_t dimension,
                                                       const absl::optional<Domain>& domain,
                                                       const proto::RaceSpec& spec);

// 2^p for angular, else `otherwise`.
uint32_t RaceBuckets(const Similarity& similarity, uint32_t otherwise);
// How often two hashes share a counter: 1 / B, or 0 for angular.
double RaceShare(const Similarity& similarity, uint32_t buckets);

// What such a design has, without drawing its hashes: for planning.
std::vector<CoordinateGroup> RaceGroups(size_t rows, size_t buckets, double share);
double RaceApproximationError(double n, double expected_similarity, double rows, double share);
double TypicalRaceApproximationError(const Similarity& similarity, double n, double expected_similarity, double rows,
                                     double share);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_RACE_DESIGN_H_
