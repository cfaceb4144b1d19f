#ifndef DPKDE_SIMILARITY_RESOLUTION_H_
#define DPKDE_SIMILARITY_RESOLUTION_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// What rounding coordinates to float32 does to a similarity. All of it is a matter of public values.

// The distance of neighbouring coordinates `reach` away from an origin: of float32 numbers of that size, plus that of
// the doubles at origin + reach, from which the origin was subtracted.
double CoordinateStep(double reach, double origin);

// kInvalidArgument, naming both numbers and what to do, where neighbouring coordinates in the domain are farther apart
// than a twentieth of the bandwidth: answers would be those of other records. For similarities with a bandwidth; what a
// planner asks before anything is paid.
absl::Status CheckResolution(const Similarity& similarity, const Domain& domain);

// The same of points relative to an origin (one value a coordinate, or none), `reach` away from it at most.
absl::Status CheckResolution(const Similarity& similarity, absl::Span<const double> reach,
                             absl::Span<const double> origin);

// kInvalidArgument for an alpha outside of 10^-6 to 10^6, a power below 10^-3, a domain of a width outside of 10^-25 to 10^25, and for bandwidths that are out of all proportion
// to the domain: below 10^-9 or above 10^12 of its radius; without a domain outside of 10^-30 to 10^30. Designs compute
// with both, and rely on it.
absl::Status CheckScale(const Similarity& similarity, const absl::optional<Domain>& domain);

// sup |f(x, y) - f(x', y')| over x and y in the domain, as the user has them, and x', y', what is made of them before a
// design sees them: rounded, and the domain's bounds with them. A sum over n records errs by at most n times that.
double RoundingError(const Similarity& similarity, const Domain& domain);

}  // namespace dpkde

#endif  // DPKDE_SIMILARITY_RESOLUTION_H_
