#ifndef TESTS_DPKDE_NOISE_KNORM_TESTING_H_
#define TESTS_DPKDE_NOISE_KNORM_TESTING_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/numeric/int128.h"
#include "absl/types/span.h"
#include "dpkde/base/wipe.h"

namespace dpkde {

// The mean of values, in standard errors from what is expected.
struct Mean {
  double sum = 0;
  double squares = 0;
  int count = 0;
  void Add(double value) {
    sum += value;
    squares += value * value;
    ++count;
  }
  double ErrorsFrom(double expected) const {
    const double mean = sum / count;
    return std::abs(mean - expected) / std::sqrt((squares / count - mean * mean) / count);
  }
};

using NoiseDraw = absl::FunctionRef<PrivateVector<absl::int128>()>;
using Norm = absl::FunctionRef<double(absl::Span<const double>)>;

// log(P(shift + noise in E)/P(noise in E)), estimated from the same 4e5 draws for either side, and its standard error.
// E is where the log likelihood ratio of densities exp(−‖z‖) is at least `threshold`: ‖y‖ − ‖y − shift‖ >= threshold.
// Noise that is 1-DP for this shift keeps it at 1 or below, whatever E is.
struct EventRatio {
  double log_ratio;
  double standard_error;
};
inline EventRatio EstimateEventRatio(absl::Span<const int64_t> shift, double threshold, Norm norm, NoiseDraw draw) {
  constexpr int kDraws = 400000;
  const auto in_event = [&](const std::vector<double>& y) {
    std::vector<double> back = y;
    for (size_t j = 0; j < y.size(); ++j) back[j] -= static_cast<double>(shift[j]);
    return norm(y) - norm(back) >= threshold;
  };
  double unshifted = 0;
  double shifted = 0;
  double both = 0;
  for (int i = 0; i < kDraws; ++i) {
    const PrivateVector<absl::int128> noise = draw();
    std::vector<double> y(noise.begin(), noise.end());
    const bool in_unshifted = in_event(y);
    for (size_t j = 0; j < y.size(); ++j) y[j] += static_cast<double>(shift[j]);
    const bool in_shifted = in_event(y);
    unshifted += in_unshifted;
    shifted += in_shifted;
    both += in_unshifted && in_shifted;
  }
  // Of log a − log b for means a, b of indicators: variance E[(A/a − B/b)²]/n.
  return {std::log(shifted / unshifted), std::sqrt(1 / unshifted + 1 / shifted - 2 * both / (unshifted * shifted))};
}

}  // namespace dpkde

#endif  // TESTS_DPKDE_NOISE_KNORM_TESTING_H_
