#include "dpkde/classifier/normal_points.h"

#include <algorithm>
#include <boost/random/normal_distribution.hpp>
#include <cmath>
#include <utility>

#include "dpkde/base/status_macros.h"
#include "dpkde/base/symmetric_eigen.h"
#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

// Of the largest eigenvalue that noise is expected to have; chosen with the constants of the planner.
constexpr double kLeastOfNoise = 0.1;
constexpr double kLeastEigenvalue = 1e-6;

}  // namespace

absl::StatusOr<std::vector<float>> NormalPoints(const std::vector<double>& moment, size_t d, double noise,
                                                uint64_t public_seed, size_t count) {
  const size_t side = d + 1;
  std::vector<double> mean(d), covariance(d * d);
  for (size_t i = 0; i < d; ++i) mean[i] = 2 * moment[i * side + d];
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = 0; j < d; ++j) covariance[i * d + j] = 2 * moment[i * side + j] - mean[i] * mean[j];
  }
  DPKDE_ASSIGN_OR_RETURN(const SymmetricEigen eigen, EigenOfSymmetric(std::move(covariance), d));
  // Off the diagonal the noise is smaller by sqrt 2: 2 sqrt(d) standard deviations of that (Wigner), of twice the
  // moment.
  const double least = kLeastOfNoise * 2 * std::sqrt(d / 2.0) * 2 * noise + kLeastEigenvalue;
  std::vector<double> roots;
  for (double value : eigen.values) roots.push_back(std::sqrt(std::max(value, least)));

  std::vector<float> points(count * d);
  boost::random::mt19937_64 engine = PublicStream(public_seed, "normal points", 0);
  boost::random::normal_distribution<double> normal;
  std::vector<double> point(d);
  for (size_t r = 0; r < count; ++r) {
    point = mean;
    for (size_t e = 0; e < d; ++e) {
      const double along = roots[e] * normal(engine);
      for (size_t i = 0; i < d; ++i) point[i] += along * eigen.vectors[e * d + i];
    }
    for (size_t i = 0; i < d; ++i) points[r * d + i] = static_cast<float>(point[i]);
  }
  return points;
}

}  // namespace dpkde
