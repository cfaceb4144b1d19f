#ifndef DPKDE_BASE_SYMMETRIC_EIGEN_H_
#define DPKDE_BASE_SYMMETRIC_EIGEN_H_

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"

namespace dpkde {

struct SymmetricEigen {
  std::vector<double> values;   // ascending
  std::vector<double> vectors;  // row-major: row e is the unit eigenvector of values[e]
};

// Eigenvalues and eigenvectors of a symmetric n x n matrix (LAPACK dsyevd; O(n^3)). kInternal if it does not converge.
// The last bits differ between machines: what is stored must not be computed again.
absl::StatusOr<SymmetricEigen> EigenOfSymmetric(std::vector<double> matrix, size_t n);

// The same of the `count` largest eigenvalues alone, 1 <= count <= n (LAPACK dsyevr; O(n^3), about half the time).
absl::StatusOr<SymmetricEigen> LargestEigenOfSymmetric(std::vector<double> matrix, size_t n, size_t count);

}  // namespace dpkde

#endif  // DPKDE_BASE_SYMMETRIC_EIGEN_H_
