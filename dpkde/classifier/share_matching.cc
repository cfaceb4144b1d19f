#include "dpkde/classifier/share_matching.h"

#include <algorithm>
#include <cmath>

namespace dpkde {
namespace {

constexpr int kSteps = 50;
// A class that no point is like: its offset grows by no more than this a step.
constexpr double kLeastShare = 1e-9;

}  // namespace

std::vector<double> OffsetsOfShares(absl::Span<const double> scores, absl::Span<const double> shares) {
  const size_t classes = shares.size(), n = scores.size() / classes;
  std::vector<double> offsets(classes), likely(classes), mean(classes);
  for (size_t c = 0; c < classes; ++c) offsets[c] = std::log(shares[c]);
  for (int step = 0; step < kSteps; ++step) {
    std::fill(mean.begin(), mean.end(), 0.0);
    for (size_t r = 0; r < n; ++r) {
      const double* const row = scores.data() + r * classes;
      double largest = row[0] + offsets[0], sum = 0;
      for (size_t c = 1; c < classes; ++c) largest = std::max(largest, row[c] + offsets[c]);
      for (size_t c = 0; c < classes; ++c) sum += likely[c] = std::exp(row[c] + offsets[c] - largest);
      for (size_t c = 0; c < classes; ++c) mean[c] += likely[c] / (sum * n);
    }
    for (size_t c = 0; c < classes; ++c) offsets[c] += std::log(shares[c] / std::max(mean[c], kLeastShare));
    const double largest = *std::max_element(offsets.begin(), offsets.end());
    for (double& offset : offsets) offset -= largest;
  }
  return offsets;
}

}  // namespace dpkde
