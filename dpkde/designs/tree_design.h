#ifndef DPKDE_DESIGNS_TREE_DESIGN_H_
#define DPKDE_DESIGNS_TREE_DESIGN_H_

#include <memory>

#include "absl/status/statusor.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Binary trees, one an axis, for comparison: the published mechanisms for l1 (sum_i |x_i - y_i|^p with RINGS). Each
// axis of the domain, of width R, is cut into 2^levels equal cells, the leaves; a node of level l stands for 2^(levels
// - l) of them and has width w_l = R 2^-l. Levels 1..levels are released, the root is the count of all records.
//
// RINGS: Backurs, Lin, Mahabadi, Silwal, Tarnawski 2024, section 3. Nodes hold counts. On either side of a query, cells
// whose middles are at distances in (R / (1 + alpha)^(j+1), R / (1 + alpha)^j] form ring j, whose count, summed over
// O(levels) nodes, is weighed with its far end, (R / (1 + alpha)^j)^p. Read into it: cells are assigned by their
// middles; rings end where the query's own cell begins, which weighs nothing; budgets are even over levels and axes. So
// the noise in a count is Laplace of scale d levels / epsilon, theirs with log2 n levels. Biased upwards, by a factor
// of at most (1 + alpha)^p, but for the width of cells.
//
// SUMS: Liu, Hu, Reneau, Song, Liu 2024 (arXiv 2409.01688). Nodes hold the count c and the sum s of x - lower end of
// the axis. At each level the sibling of the node with the query adds s - (y - lower) c, or minus that if it lies to
// the left. Read into it: half of the budget for counts, half for sums (in units of R); even over levels and axes.
// Noise, for a query at t = (y - lower) / R of each axis: variance levels * R^2 (1 + t^2) * 2 (2 d levels / epsilon)^2.
//
// CENTERED: the same with sums of (x - middle of the node) / (w_l / 2) in [-1, 1]; a query uses s w_l / 2 + c (middle -
// y), weights that fall like w_l, and each level has the budget that makes the noise least, proportional to 4^(-l / 3).
// Noise: 6.7 R / epsilon for many levels, whatever n.
//
// SUMS and CENTERED: records in the query's own cell add nothing; the bias is at most the number of those times their
// distance to the query, less than w_levels.
//
// Sensitivity, in grid units (2^20), exact by construction: a record is in one node a level and axis. Counts: 1 each.
// Sums: integers in [0, 1] (SUMS) or [-1, 1] (CENTERED), clamped. So a level of counts, ADD_REMOVE: L1 = L2 = 1;
// REPLACE: L1 = 2, L2 = sqrt(2). A level of sums, ADD_REMOVE: L1 = L2 = 1; REPLACE: L1 = 2 (two nodes, or one that
// changes by at most 2), L2 = sqrt(2), with CENTERED 2. Levels and axes in one group: L1 adds, L2 in quadrature.
//
// Layout: for each axis and level the counts of the nodes from left to right, then their sums; the count last. A record
// costs O(d levels); a query too, with RINGS O(d levels^2 / log(1 + alpha)). Queries outside the domain's box are
// refused (behind a map to l1, reduced_design.h, they are clamped to it).
//
// `query_deviation`: what is predicted, and how CENTERED shares its budget, is for queries that are normal around the
// middle of each axis with this standard deviation; 0: even.
//
// kInvalidArgument for other similarities, levels outside [1, 20], more than 2^22 values in all, and an alpha outside
// [0.001, 10] (RINGS) or given where it is not taken.
absl::StatusOr<std::unique_ptr<Design>> MakeTreeDesign(const Similarity& similarity, const Domain& domain,
                                                       const proto::TreeSpec& spec, double query_deviation = 0);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_TREE_DESIGN_H_
