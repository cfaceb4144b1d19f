#ifndef DPKDE_DESIGNS_LSQ_RFF_DESIGN_H_
#define DPKDE_DESIGNS_LSQ_RFF_DESIGN_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// LSQ-RFF (Wagner, Naamad, Mishra 2023, "Fast Private Kernel Density Estimation via Locality Sensitive Quantization",
// sections 3 and 4), for comparison: with random frequencies omega_j of the kernel and uniform shifts b_j,
//
//   f(x, y) = E (1/m) sum_j phi_j(x) phi_j(y),   phi_j(x) = sqrt(2) cos(<omega_j, x> + b_j).
//
// Unbiased. Their noise, Laplace of scale sqrt(2) m / epsilon on every sum of phi_j, is what LAPLACE gives here: one
// group, one scale. Their code divides by the exact number of records; here it is released with noise (a share of 1 %)
// or public, as everywhere, and sums do not need it.
//
// Noise: an answer is (2/m) sum_j cos_j(y) C_j, with C_j the released sum of cosines and noise variance v, so its noise
// has variance (2 v / m)(2/m sum_j cos^2_j(y)), about 2 v / m: with v = 2 (m / epsilon)^2 the RMSE is 2 sqrt(m) /
// epsilon. Approximation: a term is cos(<omega, x - y>) + cos(<omega, x + y> + 2 b), of which the second adds
// sum_{x, x'} f(x - x') / 2 to the variance that Monte-Carlo designs have.
//
// Layout: sums of cos_1..cos_m, then n.
//
// Sensitivity: |cos| as an integer is at most M = 2^20 + 2, checked by the kernel for each record (fourier_kernel.h).
// Hence for the group, ADD_REMOVE: L1 <= m M and L2 <= sqrt(m) M; REPLACE: a difference of two such vectors, twice
// both. The count: 1 unit, or 0 under REPLACE.
//
// Every kernel; conditions, cost and memory as for MakeMonteCarloDesign, but that all phases are added in float32.
absl::StatusOr<std::unique_ptr<Design>> MakeLsqRffDesign(const Similarity& similarity, size_t dimension,
                                                         const absl::optional<Domain>& domain,
                                                         const proto::LsqRffSpec& spec);

// What such a design has, without drawing its features: for planning.
std::vector<CoordinateGroup> LsqRffGroups(size_t features);
double LsqRffApproximationError(double n, double expected_similarity, double features);
double TypicalLsqRffApproximationError(double n, double expected_similarity, double features, double dimension);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_LSQ_RFF_DESIGN_H_
