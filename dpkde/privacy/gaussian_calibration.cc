#include "dpkde/privacy/gaussian_calibration.h"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {
namespace {

using Exact = boost::multiprecision::cpp_bin_float_50;

template <typename Real>
Real NormalCdf(const Real& x) {
  using std::sqrt;
  return boost::math::erfc(Real(-x / sqrt(Real(2)))) / 2;
}

template <typename Real>
Real DeltaOf(const Real& epsilon, const Real& mu) {
  using std::exp;
  return NormalCdf<Real>(mu / 2 - epsilon / mu) - exp(epsilon) * NormalCdf<Real>(-mu / 2 - epsilon / mu);
}

double BisectMu(double epsilon, double delta) {
  // delta grows with mu. A first guess by bisection in hardware precision; then a bracket around it that holds exactly,
  // and exact bisection down to one unit in the last place.
  double low = 1e-300, high = 1e4;
  while (high / low > 1 + 1e-13) {
    const double middle = std::sqrt(low) * std::sqrt(high);
    if (middle <= low || middle >= high) break;
    (DeltaOf<long double>(epsilon, middle) <= delta ? low : high) = middle;
  }
  const auto within = [&](double mu) { return DeltaOf<Exact>(epsilon, mu) <= delta; };
  for (double width = 1e-12; !within(low); width *= 16) low *= 1 - std::min(width, 0.5);
  for (double width = 1e-12; within(high); width *= 16) high *= 1 + std::min(width, 0.5);
  while (true) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return low;
    (within(middle) ? low : high) = middle;
  }
}

// What discrete noise of total variation v costs by the second bound, see the header; all rounded up.
struct RatioSlack {
  double eta;
  double added_delta;  // (1 + e^epsilon) tau
};

constexpr double kLargestRatioVariation = 1.0 / 12;

RatioSlack RatioSlackOf(double epsilon, double total_variation) {
  const double log_tau = epsilon + 100;
  const double v = total_variation;
  // (1 + e^epsilon) e^(-epsilon - 100) <= 2 e^-100.
  return {6 * v * (log_tau + 0.05) / (1 - 6 * v) * (1 + 1e-12), 2 * std::exp(-100.0) * (1 + 1e-12)};
}

absl::Status CheckTotalVariation(double total_variation) {
  DPKDE_RETURN_IF_ERROR(CheckFinite("total variation", total_variation));
  if (total_variation >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("total variation must not be negative, but is ", total_variation));
}

}  // namespace

absl::StatusOr<double> GaussianDelta(double epsilon, double mu) {
  DPKDE_RETURN_IF_ERROR(CheckFinite("epsilon", epsilon));
  if (epsilon < 0) return absl::InvalidArgumentError(absl::StrCat("epsilon must not be negative, but is ", epsilon));
  DPKDE_RETURN_IF_ERROR(CheckPositive("mu", mu));
  const double delta = static_cast<double>(DeltaOf<Exact>(epsilon, mu));
  return std::nextafter(delta, 1.0);
}

absl::StatusOr<double> LargestGaussianMu(double epsilon, double delta) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("epsilon", epsilon));
  if (!(delta > 0 && delta < 1)) {
    return absl::InvalidArgumentError(absl::StrCat("delta must be greater than 0 and less than 1, but is ", delta));
  }
  // A planner asks for the same budget again and again; fifty digits take 20 ms.
  struct Last {
    double epsilon, delta, mu;
  };
  static absl::Mutex& mutex = *new absl::Mutex;
  static Last last = {0, 0, 0};
  absl::MutexLock lock(&mutex);
  if (last.epsilon != epsilon || last.delta != delta) last = {epsilon, delta, BisectMu(epsilon, delta)};
  return last.mu;
}

absl::StatusOr<DiscreteDelta> DiscreteGaussianDelta(double epsilon, double mu, double total_variation) {
  DPKDE_RETURN_IF_ERROR(CheckTotalVariation(total_variation));
  DPKDE_ASSIGN_OR_RETURN(const double continuous, GaussianDelta(epsilon, mu));
  if (total_variation == 0) return DiscreteDelta{continuous, 0};
  double delta = static_cast<double>(continuous + (1 + exp(Exact(epsilon))) * total_variation);
  if (total_variation <= kLargestRatioVariation) {
    const RatioSlack slack = RatioSlackOf(epsilon, total_variation);
    if (epsilon > 2 * slack.eta) {
      DPKDE_ASSIGN_OR_RETURN(const double shifted, GaussianDelta(std::nextafter(epsilon - 2 * slack.eta, 0), mu));
      delta = std::min(delta, static_cast<double>(exp(Exact(slack.eta)) * shifted + slack.added_delta));
    }
  }
  const auto up = [](double value) { return std::nextafter(value, std::numeric_limits<double>::infinity()); };
  delta = up(delta);
  return DiscreteDelta{delta, up(delta - continuous)};
}

}  // namespace dpkde
