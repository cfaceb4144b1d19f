#include "dpkde/classifier/class_counts.h"

#include <algorithm>
#include <cmath>

namespace dpkde {
namespace {

// A count is told from none by so many standard errors.
constexpr double kClearlySome = 6;

}  // namespace

ClassCounts EstimateClassCounts(absl::Span<const double> noised, double variance) {
  const size_t classes = noised.size();
  const double others = std::max<double>(1, classes - 1.0);
  double mean = 0, spread = 0;
  for (double count : noised) mean += count / classes;
  for (double count : noised) spread += std::pow(count - mean, 2) / others;
  // Clearly: by one standard deviation of a variance of so many.
  spread = std::max(spread - variance * (1 + std::sqrt(2 / others)), 0.0);

  ClassCounts counts;
  counts.kept = spread > 0 ? spread / (spread + variance) : 0;
  const double least = std::max(1.0, 2 * counts.kept * std::sqrt(variance));
  for (double count : noised) {
    counts.records.push_back(std::max(mean + counts.kept * (count - mean), least));
    counts.total += counts.records.back();
  }
  const double some = kClearlySome * std::sqrt(variance);
  const bool tells = counts.total / classes >= 2 * some && *std::max_element(noised.begin(), noised.end()) > some;
  for (double count : noised) counts.is_some.push_back(!tells || count > some);
  return counts;
}

}  // namespace dpkde
