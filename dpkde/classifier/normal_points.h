#ifndef DPKDE_CLASSIFIER_NORMAL_POINTS_H_
#define DPKDE_CLASSIFIER_NORMAL_POINTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace dpkde {

// Normal points with the mean and the covariance of scaled records z, as far as a released second moment of
// (z, 1) / sqrt 2 tells: what the covariance of many features may be taken from where only a few numbers could be
// released. Post-processing.
//
// `moment`: (d + 1) x (d + 1) row-major, of (z, 1) / sqrt 2, a mean over records; `noise`: standard deviation of its
// diagonal values. Eigenvalues of the covariance are at least a tenth of the largest that its noise is expected to
// have. Returns count x d values; a function of the arguments. kInternal if LAPACK finds no eigenvalues.
absl::StatusOr<std::vector<float>> NormalPoints(const std::vector<double>& moment, size_t d, double noise,
                                                uint64_t public_seed, size_t count);

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_NORMAL_POINTS_H_
