#ifndef DPKDE_DESIGNS_REDUCED_DESIGN_H_
#define DPKDE_DESIGNS_REDUCED_DESIGN_H_

#include <memory>

#include "absl/status/statusor.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// A random linear map (Johnson and Lindenstrauss) in front of another design, for functions f of Euclidean distance:
// records and queries, less the domain's centre, are mapped to K dimensions, ||A v|| = ||v|| (1 + O(1 / sqrt(K))), and
// summed and answered there. Backurs et al. 2024 put it in front of gaussian and exponential kernel means.
//
// A is K x d with normal entries of variance 1 / K, or (`hadamard`, from StructuredDirections::kLeastDimension
// dimensions on) K orthonormal rows times sqrt(p / K), in O(p log p).
//
// Sensitivity: that of the other design, for all vectors of K dimensions; it clamps them to ReducedDomain, a ball,
// after the map. Purity: a fixed order of operations over the one record, FixedOrderProducts or StructuredDirections.
//
// Error: ||A v||^2 has variance 2 ||v||^4 / K over A, so f(||A v||) errs by r f'(r) / sqrt(2 K) to first order; errors
// of records in different directions average out, and are added here as if all were in one. Answers carry it in
// total_variance. Queries outside the domain are refused where the other design refuses them.
//
// In front of a tree, l2 becomes l1 (Backurs et al. 2024, corollaries of section 4): ||v|| = sqrt(pi / 2) E |<g, v>|, g
// normal, so ||v|| is about sqrt(pi / (2 K)) ||A v||_1, with variance (pi / 2 - 1) ||v||^2 / K over A: K trees, one a
// projection, that share the budget as those of K axes do. K may then exceed d. Read into it: a projection spans four
// standard deviations, 4 / sqrt(K) times the domain's radius, to either side; what lies beyond is clamped, which costs
// less than 10^-5 of the radius a record (theirs is sqrt(log) wide).
//
// `inner` is a design on ReducedDomain of the same similarity, or of l1 (design_factory.h makes both).
//
// kInvalidArgument for similarities that are no function of Euclidean distance, for K outside [1, d) ([1, 4096] to l1),
// and for hadamard below 64 dimensions or to l1. kFailedPrecondition for another fingerprint.
absl::StatusOr<std::unique_ptr<Design>> MakeReducedDesign(const Similarity& similarity, const Domain& domain,
                                                          const proto::ReductionSpec& spec,
                                                          std::unique_ptr<Design> inner);

// Whether a reduction in front of this design is for l1.
bool IsReducedToL1(const Similarity& similarity, const proto::DesignSpec& design);

// Where the map leads: the ball around 0 that is wider than the domain's by two standard deviations of ||A v|| / ||v||,
// or the cube that is said above.
absl::StatusOr<Domain> ReducedDomain(const Domain& domain, uint32_t dimension, bool to_l1 = false);

// Standard deviation of a reduced query's coordinates, for queries uniform in the domain.
double ReducedDeviation(const Domain& domain, uint32_t dimension);

// Root mean square over A and queries uniform in the domain of the error of a sum that the map makes, for the worst
// place of the n records.
double ReductionError(const Similarity& similarity, const Domain& domain, uint32_t dimension, double n,
                      bool to_l1 = false);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_REDUCED_DESIGN_H_
