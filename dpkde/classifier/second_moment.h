#ifndef DPKDE_CLASSIFIER_SECOND_MOMENT_H_
#define DPKDE_CLASSIFIER_SECOND_MOMENT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace dpkde {

// Number of values of the second moment of m features: its upper triangle.
inline size_t SecondMomentSize(size_t m) { return m * (m + 1) / 2; }

// What off-diagonal values are multiplied by, in units of 2^-20: the largest factor below sqrt(2), so that a vector of
// the triangle has at most the Frobenius norm of the matrix.
inline constexpr int64_t kRootTwo = 1482910;

// Adds to sums, row by row of the upper triangle, q_i q_i 2^-20 and sqrt(2) q_i q_j 2^-20, each rounded towards 0.
//
// Sensitivity, for sum of q^2 <= 2^40, which callers have checked in integers: before rounding the vector has length at
// most |q q^T|_F 2^-20 = |q|^2 2^-20 <= 2^20, and rounding towards 0 makes nothing longer. So L2 <= 2^20 exactly, and
// L1 <= sqrt(size) 2^20. Products fit: |q_i q_j| <= 2^39 for i != j, times 2^20.5.
void AddSecondMoment(absl::Span<const int32_t> q, absl::Span<int64_t> sums);

// The symmetric m x m matrix of sums in units of 2^-20, divided by `records`: of noised sums, or in tests.
std::vector<double> SecondMomentMatrix(absl::Span<const int64_t> sums, size_t m, double records);

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_SECOND_MOMENT_H_
