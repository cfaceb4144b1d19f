#ifndef DPKDE_DESIGNS_FOURIER_DESIGN_H_
#define DPKDE_DESIGNS_FOURIER_DESIGN_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// Fourier designs: f(x, y) = c_0 + sum_k c_k cos(<omega_k, x - y>), exactly (lattice, up to a stated tolerance) or in
// expectation over random omega (Monte-Carlo). A record contributes to each k the pair (cos <omega_k, x>, sin <omega_k,
// x>), and an answer is c_0 n + sum_k c_k [cos <omega_k, y> C_k + sin <omega_k, y> S_k].
//
// Layout: C_1..C_m, S_1..S_m (k in the order of the kernel's columns), n.
//
// Sensitivity. A pair is on the unit circle whatever x, and its integer form satisfies a^2 + b^2 <= M^2, M = 2^20 + 2,
// checked in integers by the kernel for every record. Hence for one pair, ADD_REMOVE: L2 <= M and L1 = |a| + |b| <=
// sqrt(2) M; REPLACE: the difference of two such vectors, L2 <= 2M and L1 <= 2 sqrt(2) M. The count: 1 unit under
// ADD_REMOVE, 0 under REPLACE. Coefficients stay outside of what is released, so their size and sign do not matter
// here.
//
// REPLACE is not sqrt(2) times ADD_REMOVE here, though for positive-definite f >= 0 and Gaussian noise of sigma_k^2 ~ 1
// / c_k the ideal vectors have sum_k c_k |e^(i omega_k x) - e^(i omega_k x')|^2 = 2 (f(0) - f(x - x')) <= 2 f(0): that
// is a statement about pairs of records, which no check of one record's integers can hold, and would make the guarantee
// rest on the error of float32 phases and sines.
//
// Cost of a record: m (d multiply-adds + about 30 operations), a query the same. Memory: m (4 d + 16) bytes.

// One period an axis, L_i = width of the domain + the radius where aliases fall below the tolerance; all frequencies
// 2 pi k / L of half of the lattice with the largest coefficients, until those dropped add up to less than the
// tolerance. gaussian and laplacian in 1 to 5 dimensions, exponential and matern in one. Error: SupError() <=
// tolerance. Queries outside the domain alias and are refused.
//
// kInvalidArgument without a domain or for a tolerance outside (0, 0.5]; kResourceExhausted if more than 2^18
// frequencies would be needed (slowly decaying spectra, many dimensions, small bandwidths).
absl::StatusOr<std::unique_ptr<Design>> MakeLatticeDesign(const Similarity& similarity, const Domain& domain,
                                                          const proto::LatticeSpec& spec);

// m random frequencies from the spectral measure of the kernel, c_k = 1/m, c_0 = 0 (Rahimi and Recht 2007), for
// every kernel. Unbiased; the variance of a sum is at most n^2 / (2m). `orthogonal`: directions of each block of d are
// orthogonal (Yu et al. 2016), which lowers the variance; kernels of Euclidean distance only.
//
// `hadamard`: the directions of StructuredDirections with chi-distributed lengths, orthogonal too, from 64 dimensions
// on (biased below); kernels of Euclidean distance only. A record or query costs m (3 log2 d + 3 additions + about 30
// operations), memory m (12 + 16) bytes. Phases are added in float32: those beyond 2^12 radians lose accuracy, which
// only frequencies of heavy-tailed kernels have, that average out.
//
// `stratified`: kernels that are mixtures, over a random scale of the frequencies, of gaussian ones (inverse_l1: of
// laplacian), have scale k from the k-th of m equal strata of its law. Unbiased too; what remains of the variance is
// that within the strata (of orthogonal directions, a spread 1.1 to 1.8 times smaller). Others: no difference.
// Predictions do not count on it.
//
// Any dimension up to 65,536. Without a domain, records are not clamped, and coordinates beyond 2^12 bandwidths from
// the origin lose accuracy (never privacy). laplacian, exponential, matern, inverse_l1, inverse_l2 and p_stable need a
// domain: their frequencies are heavy-tailed.
//
// If spec carries a fingerprint, the frequencies must match it (kFailedPrecondition).
absl::StatusOr<std::unique_ptr<Design>> MakeMonteCarloDesign(const Similarity& similarity, size_t dimension,
                                                             const absl::optional<Domain>& domain,
                                                             const proto::MonteCarloSpec& spec);

// The frequencies of that design, features x dimension, in turns (omega / 2 pi) a unit; the same conditions. Not
// hadamard.
absl::StatusOr<std::vector<float>> MonteCarloTurns(const Similarity& similarity, size_t dimension,
                                                   const absl::optional<Domain>& domain,
                                                   const proto::MonteCarloSpec& spec);

// What a Monte-Carlo design of so many features has, without drawing them: for planning. With z = sum_x e^(i <omega, x
// - y>), a sum is the mean of m values Re z, and Var Re z = (E |z|^2 + E Re z^2) / 2 - (E Re z)^2 with E |z|^2 =
// sum_{x, x'} f(x - x') = n^2 s, s the mean similarity of pairs of records, E Re z^2 = sum_{x, x'} f(x + x' - 2y), and
// E Re z = n s if queries lie as records do.
//
// The error that is predicted is n sqrt(s (1 - s) / m), which E Re z^2 <= E |z|^2 bounds. If s is 1, for want of a
// guess, n / sqrt(2 m), since a cosine varies by no more: no data exceed it.
//
// Typical are records around one center: then f(x + x' - 2y), of a vector whose square is three times as long, is about
// s^3 (gaussian), and the variance s (1 - s)^2 / 2. Orthogonal directions save up to (d - 1) / d (s log s)^2 / 2 of
// that (Yu et al. 2016, Theorem 2, for the same records), and (m - 1) / d if there are m < d of them. The part d / (d +
// 16) of it on a logarithmic scale is counted on: in few dimensions similarities scatter more than records around one
// center would let them.
std::vector<CoordinateGroup> MonteCarloGroups(size_t features);
double TypicalMonteCarloApproximationError(double n, double expected_similarity, double features, double dimension,
                                           bool orthogonal);
double MonteCarloApproximationError(double n, double expected_similarity, double features);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_FOURIER_DESIGN_H_
