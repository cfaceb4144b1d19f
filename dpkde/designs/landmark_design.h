#ifndef DPKDE_DESIGNS_LANDMARK_DESIGN_H_
#define DPKDE_DESIGNS_LANDMARK_DESIGN_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Landmarks: f(., y) is projected onto the span of f(., z_1), ..., f(., z_L), z public points of the same kind as the
// private ones (Nystroem features; Balog, Tolstikhin, Schoelkopf 2018 release kernel means in such a span). Every
// kernel, and l1, l2 and lp_power: with a public origin z_0, k(x, y) = (f(x, z_0) + f(y, z_0) - f(x, y)) / (2 R) is
// positive-definite (Schoenberg 1938), so sum f(x, y) = sum f(x, z_0) + n f(y, z_0) - 2 R sum k(x, y).
//
// Layout: phi_1..phi_m, the residual, for distances sum f(x, z_0) / R, then n.
//
// Sensitivity, in units of 2^-20, checked in integers for every record whatever the landmarks and W are: sum_j q_j^2 <=
// 2^20 q(k(x, x)) <= M^2, M = 2^20 (RoundFeatures scales down what rounding or a foreign W makes longer), so the
// features are parts of one ball of radius M, 2 M under REPLACE. The residual lies between 0 and (M^2 - sum q^2) / M,
// the condition of GroupShape::kResidual; f(x, z_0) / R between 0 and 2^20 units, under either relation; one unit for
// the count. Proof for exact arithmetic: phi is an isometry of the projection of k(., x), so |phi(x)|^2 <= k(x, x)
// <= 1. Under REPLACE sqrt(2) M would do for the exact map of a nonnegative kernel, but is a property of two records
// that no check of one can hold; 2 M is declared.
//
// Bias: with r(x, y) = k(x, y) - <phi(x), phi(y)>, itself positive-definite, |sum_x r(x, y)| <= sqrt(r(y, y) n rho),
// rho = sum_x r(x, x): the residual, which the mechanism releases for free. Answer::bias_bound is this bound (times 2
// R) with what was released for n, and for rho what was released and two standard deviations more: whatever the private
// data look like. What moving a record to radius R changes is not in it: the answer is for the moved record.
// total_variance
// holds what is typical of data like the reference. Where the released residual says that the records are unlike it
// (ResidualExcess above 3), Answer::is_unlike_plan is set, and nothing but bias_bound can be relied on.
//
// Every y has an answer. Cost of a record and of a query: L (d + m) multiply-adds and L kernel functions. Memory: 4 L
// (d + m) bytes.
//
// kInvalidArgument, naming the field, for other similarities and for a spec that is incomplete or out of range.
absl::StatusOr<std::unique_ptr<Design>> MakeLandmarkDesign(const Similarity& similarity, size_t dimension,
                                                           const absl::optional<Domain>& domain,
                                                           const proto::LandmarkSpec& spec);

// The groups of such a design, without making it: for planning. Needs rank, radius and weights.
std::vector<CoordinateGroup> LandmarkGroups(const Similarity& similarity, const proto::LandmarkSpec& spec);

// Root mean square approximation error of a sum over n records like the reference.
double LandmarkApproximationError(const proto::LandmarkSpec& spec, double n);

// By how many standard errors the mean residual of the records, as released, exceeds the reference's: above 3, the
// records are of a kind that the landmarks lack. `residual` is the released sum, `deviation` its noise's, in units
// of 1.
double ResidualExcess(const proto::LandmarkSpec& spec, double count, double residual, double deviation);

// Whether the similarity is a kernel, or a distance that the construction above holds for.
bool HasLandmarks(const Similarity& similarity);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_LANDMARK_DESIGN_H_
