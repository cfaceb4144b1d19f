#include "dpkde/classifier/second_moment.h"

#include "dpkde/designs/design.h"

namespace dpkde {

void AddSecondMoment(absl::Span<const int32_t> q, absl::Span<int64_t> sums) {
  int64_t* out = sums.data();
  for (size_t i = 0; i < q.size(); ++i) {
    const int64_t left = q[i];
    *out++ += left * left / kGridUnit;
    for (size_t j = i + 1; j < q.size(); ++j) *out++ += left * q[j] * kRootTwo / (kGridUnit * kGridUnit);
  }
}

std::vector<double> SecondMomentMatrix(absl::Span<const int64_t> sums, size_t m, double records) {
  std::vector<double> matrix(m * m);
  const double diagonal = 1 / (static_cast<double>(kGridUnit) * records), beside = 1 / (kRootTwo * records);
  size_t k = 0;
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = i; j < m; ++j, ++k) matrix[i * m + j] = matrix[j * m + i] = sums[k] * (i == j ? diagonal : beside);
  }
  return matrix;
}

}  // namespace dpkde
