#ifndef TESTS_DPKDE_NOISE_EVENT_RATIO_H_
#define TESTS_DPKDE_NOISE_EVENT_RATIO_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/numeric/int128.h"
#include "absl/types/span.h"

namespace dpkde {

using NoiseDraw = absl::FunctionRef<std::vector<absl::int128>()>;
using Norm = absl::FunctionRef<double(absl::Span<const double>)>;

// log(P(shift + noise in E)/P(noise in E)), estimated from 4e5 draws a side, and its standard error. E is where the log
// likelihood ratio of densities exp(−‖z‖) is at least `threshold`: ‖y‖ − ‖y − shift‖ >= threshold. Noise that is 1-DP
// for this shift keeps it at 1 or below, whatever E is.
struct EventRatio {
  double log_ratio;
  double standard_error;
};
inline EventRatio EstimateEventRatio(absl::Span<const int64_t> shift, double threshold, Norm norm, NoiseDraw draw) {
  constexpr int kDraws = 400000;
  double inside[2] = {0, 0};
  for (int side = 0; side < 2; ++side) {
    for (int i = 0; i < kDraws; ++i) {
      const std::vector<absl::int128> noise = draw();
      std::vector<double> here(shift.size());
      std::vector<double> there(shift.size());
      for (size_t j = 0; j < shift.size(); ++j) {
        here[j] = static_cast<double>(noise[j] + side * absl::int128(shift[j]));
        there[j] = here[j] - static_cast<double>(shift[j]);
      }
      if (norm(here) - norm(there) >= threshold) ++inside[side];
    }
  }
  return {std::log(inside[1] / inside[0]), std::sqrt(1 / inside[0] + 1 / inside[1] - 2.0 / kDraws)};
}

}  // namespace dpkde

#endif  // TESTS_DPKDE_NOISE_EVENT_RATIO_H_
