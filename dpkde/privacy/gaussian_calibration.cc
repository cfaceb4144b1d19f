#include "dpkde/privacy/gaussian_calibration.h"

#include <boost/math/special_functions/erf.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {
namespace {

using Real = boost::multiprecision::cpp_bin_float_50;

Real NormalCdf(const Real& x) { return boost::math::erfc(Real(-x / sqrt(Real(2)))) / 2; }

Real ExactDelta(const Real& epsilon, const Real& mu) {
  return NormalCdf(mu / 2 - epsilon / mu) - exp(epsilon) * NormalCdf(-mu / 2 - epsilon / mu);
}

}  // namespace

absl::StatusOr<double> GaussianDelta(double epsilon, double mu) {
  DPKDE_RETURN_IF_ERROR(CheckFinite("epsilon", epsilon));
  if (epsilon < 0) return absl::InvalidArgumentError(absl::StrCat("epsilon must not be negative, but is ", epsilon));
  DPKDE_RETURN_IF_ERROR(CheckPositive("mu", mu));
  const double delta = static_cast<double>(ExactDelta(epsilon, mu));
  return std::nextafter(delta, 1.0);
}

absl::StatusOr<double> LargestGaussianMu(double epsilon, double delta) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("epsilon", epsilon));
  if (!(delta > 0 && delta < 1)) {
    return absl::InvalidArgumentError(absl::StrCat("delta must be greater than 0 and less than 1, but is ", delta));
  }
  // delta grows with mu. Bracket, then bisect down to one unit in the last place of a double.
  double low = 1.0;
  while (ExactDelta(epsilon, low) > delta) low /= 2;
  double high = 2 * low;
  while (ExactDelta(epsilon, high) <= delta) high *= 2;
  low = std::max(low, high / 2);
  while (true) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return low;
    (ExactDelta(epsilon, middle) <= delta ? low : high) = middle;
  }
}

}  // namespace dpkde
