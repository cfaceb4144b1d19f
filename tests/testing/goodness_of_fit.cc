#include "tests/testing/goodness_of_fit.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "boost/math/distributions/chi_squared.hpp"

namespace dpkde {

double ChiSquarePValue(absl::Span<const absl::int128> draws, absl::FunctionRef<double(int64_t)> mass) {
  const double n = static_cast<double>(draws.size());
  int64_t edge = 0;  // bins −edge .. edge, the outer two with the tails
  while (n * mass(edge + 1) >= 5) ++edge;
  std::vector<double> observed(2 * edge + 1, 0.0);
  for (absl::int128 draw : draws) {
    const absl::int128 bin = std::clamp<absl::int128>(draw, -edge, edge);
    ++observed[static_cast<int64_t>(bin) + edge];
  }
  double inside = 0;
  for (int64_t z = 1 - edge; z < edge; ++z) inside += mass(z);
  double statistic = 0;
  for (int64_t z = -edge; z <= edge; ++z) {
    const double expected = n * (std::abs(z) == edge ? (1 - inside) / 2 : mass(z));
    const double excess = observed[z + edge] - expected;
    statistic += excess * excess / expected;
  }
  const boost::math::chi_squared law(2.0 * edge);
  return boost::math::cdf(boost::math::complement(law, statistic));
}

double KolmogorovSmirnovDistance(absl::Span<const absl::int128> draws, double scale,
                                 absl::FunctionRef<double(double)> cdf) {
  std::vector<absl::int128> sorted(draws.begin(), draws.end());
  std::sort(sorted.begin(), sorted.end());
  const double n = static_cast<double>(sorted.size());
  double distance = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const double z = static_cast<double>(sorted[i]);
    if (i == 0 || sorted[i] != sorted[i - 1]) {  // just below z
      distance = std::max(distance, std::abs(static_cast<double>(i) / n - cdf((z - 0.5) / scale)));
    }
    if (i + 1 == sorted.size() || sorted[i] != sorted[i + 1]) {
      distance = std::max(distance, std::abs(static_cast<double>(i + 1) / n - cdf((z + 0.5) / scale)));
    }
  }
  return distance;
}

double KolmogorovSmirnovCriticalDistance(size_t n, double level) {
  return std::sqrt(std::log(2 / level) / (2 * static_cast<double>(n)));
}

}  // namespace dpkde
