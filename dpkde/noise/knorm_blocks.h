#ifndef DPKDE_NOISE_KNORM_BLOCKS_H_
#define DPKDE_NOISE_KNORM_BLOCKS_H_

#include <cstdint>
#include <vector>

#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/privacy/sensitivity.h"

namespace dpkde {

// How groups are put together into blocks of K-norm noise, and what part of epsilon each block spends.
struct KNormBlocks {
  // For each group its block, from 1; 0 for a group without sensitivity.
  std::vector<uint32_t> block_of;
  // Of each block; they add up to 1, but those of one ball in quadrature, and its residual's not at all.
  std::vector<double> shares;
};

// The blocks of least expected error, from public values only.
//
// A block of m disks of radius M and total weight C costs C V(m) M^2 / epsilon_B^2 with V(m) = (m + 1/2)(m + 1) for
// each of its coordinates (knorm_disks.h), a ball of radius R in d dimensions (d + 1) R^2, Laplace noise 2 L1^2. With
// costs A_B / epsilon_B^2 the best shares are proportional to A_B^(1/3) and the least sum is (sum A_B^(1/3))^3 /
// epsilon^2: an additive criterion. One block of all disks is best where weights are equal; where they fall, the sorted
// disks are cut into runs by dynamic programming over geometrically spaced cuts. The last group, the count, joins the
// first run as one more coordinate if that is better and leaves it at least the precision of its least share; else it
// is a block of its own.
//
// The groups of one ball, sorted by weight a coordinate, are cut into runs as well. Losses within a ball add up in
// quadrature, so runs of m coordinates and weight C cost (R sum_B sqrt(C_B (m_B + 1)))^2 / epsilon^2 with
// epsilon_B^2 proportional to sqrt(C_B (m_B + 1)).
KNormBlocks PlanKNormBlocks(const std::vector<CoordinateGroup>& groups, Neighboring neighboring);

// Shares proportional to `demand`, each at least its `least`, adding up to at most 1. All zeros if there is no demand.
std::vector<double> SharesWithLeast(std::vector<double> demand, const std::vector<double>& least);

}  // namespace dpkde

#endif  // DPKDE_NOISE_KNORM_BLOCKS_H_
