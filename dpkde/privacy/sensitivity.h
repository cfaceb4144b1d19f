#ifndef DPKDE_PRIVACY_SENSITIVITY_H_
#define DPKDE_PRIVACY_SENSITIVITY_H_

#include <cstddef>
#include <cstdint>

namespace dpkde {

// The largest change that one step between neighbouring datasets makes to a part of the integer vector that an
// accumulator holds, in grid units, rounded up. Bounds for every possible record, proven beside each design, and held
// by integer checks when the record is added: never measured on data.
struct Sensitivity {
  uint64_t l1 = 0;
  uint64_t l2 = 0;
};

// What is known of the vectors that a record can add to a group, beyond their norms: which K-norm noise fits.
enum class GroupShape {
  kCross,     // nothing beyond L1: per-coordinate Laplace noise is the K-norm mechanism
  kDisk,      // two coordinates in a disk whose radius is the L2 sensitivity; disks of equal radius may share a block
  kBall,      // in a ball whose radius is the L2 sensitivity; groups of one `ball` are parts of one vector in that ball
  kResidual,  // one coordinate, what a record's vector v leaves of its ball: a record adds between 0 and
              // (M^2 - ||v||^2) / M, with M the ball's radius under ADD_REMOVE
};

// Coordinates first, first + stride, ..., `count` of them, that share one noise scale. The groups of a design are
// disjoint and cover its vector. A record may contribute to all of them, so their losses add up:
//   pure epsilon:  sum_g l1_g / t_g <= epsilon;      Gaussian:  sum_g (l2_g / sigma_g)^2 <= mu^2.
// Groups of one ball lose less, see Mechanism.
struct CoordinateGroup {
  size_t first = 0;
  size_t count = 0;
  size_t stride = 1;
  GroupShape shape = GroupShape::kCross;
  // kBall and kResidual: which ball, from 1; 0: the group is a ball of its own.
  uint32_t ball = 0;
  Sensitivity add_remove;
  Sensitivity replace;

  // Mean over the query region of the sum of squared query weights psi_j(y)^2, j in the group, where an answer is
  // sum_j psi_j(y) * value_j / unit. Decides how the budget is shared among groups: utility only, no privacy effect.
  double mean_square_weight = 0;

  // Least share of the budget (of epsilon, or of mu^2) that the group gets whatever its weight, in [0, 1). Utility
  // only.
  double least_share = 0;
};

}  // namespace dpkde

#endif  // DPKDE_PRIVACY_SENSITIVITY_H_
