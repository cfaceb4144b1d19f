#ifndef DPKDE_DESIGNS_SLICE_DESIGN_H_
#define DPKDE_DESIGNS_SLICE_DESIGN_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Slice design, for l2 in a ball of radius R: with u uniform on the unit sphere of R^p,
//
//   ||v|| = c_p E_u |<u, v>|,   c_p = sqrt(pi) Gamma((p + 1) / 2) / Gamma(p / 2),
//
// and each slice is the cosine series of |t|, of period 2T, cut after a highest harmonic H:
//
//   |t| = T (1/2 - sum_{k odd} 4 / (pi k)^2 cos(pi k t / T)),   |t| <= T.
//
// K directions stand for the mean over u. R is half the domain's diameter; records and queries are taken from its
// centre. T = min(2R, 7R / sqrt(p)): 2R would suffice always, but then noise grows with sqrt(p); projections of v, |v|
// <= 2R, beyond T are rarer than 5e-4, and what they and the cut add to the mean is computed (SliceBias) and part of
// the predicted error.
//
// Directions: one dimension, the one there is. Two, K equally spaced angles. From 3, random and orthogonal in blocks of
// p = d (Gram-Schmidt); from StructuredDirections::kLeastDimension on by products of Hadamard matrices, with p the next
// power of two (the ball is that of R^p, in which R^d lies). Orthogonality integrates the part of degree 2 exactly and
// so leaves an eighth of the variance, in many dimensions: relative to ||v||, .071 / K against .571 / K.
//
// A record contributes one pair (cos, sin) of pi k <u_j, x> / T for each harmonic and direction, as in
// fourier_design.h, whose proof of the sensitivities holds here word for word: the kernel checks a^2 + b^2 <= M^2 for
// each pair of each record. Coefficients, -c_p 4T / (K (pi k)^2), stay outside of what is released.
//
// Layout: for each odd harmonic its cosines over the directions, then its sines; the count last.
//
// Noise at Gaussian sigma: sigma c_p T, about 8.8 sigma R, for any p >= 13, K and H. Pure K-norm noise grows with
// sqrt(K). Approximation: n ||v|| sqrt(.071 / K) at most, far less for records all around the query, as their errors
// average out.
//
// Cost of a record or query: K (d multiply-adds, or 3 log2 p + 3 additions, + about 30 operations a harmonic). Queries
// outside the domain are refused.
//
// kInvalidArgument for other similarities, for other than one direction in one dimension, more than 65,536 directions,
// harmonics outside [1, 4095], or more than 2^22 values in all. If spec carries a fingerprint, the directions must
// match it (kFailedPrecondition).
absl::StatusOr<std::unique_ptr<Design>> MakeSliceDesign(const Similarity& similarity, const Domain& domain,
                                                        const proto::SliceSpec& spec);

// What such a design has, without drawing directions: for planning.
std::vector<CoordinateGroup> SliceGroups(const Domain& domain, const proto::SliceSpec& spec);

// Root mean square of the approximation error over queries uniform in the domain, for the worst place of the n records.
// `mean_square_bias` is SliceMeanSquareBias, which takes longer and is the same for any number of directions.
double SliceApproximationError(const Domain& domain, const proto::SliceSpec& spec, double mean_square_bias, double n);

// The same for records spread over many places: their errors have few signs in common. Those of two records at an angle
// a, seen from the query, correlate like cos^4(a), the parts of degree 2 and less being exact; seen from a point of a
// cloud others are at angles around 60 degrees, so a quarter of the error is counted; half of it where there are fewer
// directions than a block has, whose part of degree 2 is not exact. (Measured: .06 to .38.)
double TypicalSliceApproximationError(const Domain& domain, const proto::SliceSpec& spec, double mean_square_bias,
                                      double n);

// Mean over queries uniform in the domain of the square of SliceBias at their distance from its centre.
double SliceMeanSquareBias(const Domain& domain, uint32_t harmonics);

// c_p (mean over u of the series cut after `harmonics`, at <u, v>) - ||v|| for ||v|| = distance: what the cut and
// projections beyond `half_period` leave in the mean.
double SliceBias(size_t p, double half_period, size_t harmonics, double distance);

// Variance over random directions of c_p |<u, v>| / ||v||, averaged over `directions` of them: orthogonal in blocks of
// p (p >= 3); for p = 2 the mean square error of equally spaced ones; 0 for p = 1.
double SliceRelativeVariance(size_t p, size_t directions);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_SLICE_DESIGN_H_
