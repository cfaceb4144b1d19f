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

}  // namespace dpkde
