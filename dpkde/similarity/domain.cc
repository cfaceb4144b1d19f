#include "dpkde/similarity/domain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// With at least so many digits, and as many more as it takes to come within `error`.
std::string Digits(double value, int digits, double error) {
  std::string text;
  for (; digits <= 17; ++digits) {
    text = absl::StrFormat("%.*g", digits, value);
    double read;
    if (!absl::SimpleAtod(text, &read) || std::abs(read - value) <= error) break;
  }
  return text;
}

bool IsZero(const std::vector<double>& origin) {
  return std::all_of(origin.begin(), origin.end(), [](double value) { return value == 0; });
}

absl::Status CheckBounds(const std::vector<double>& lower, const std::vector<double>& upper) {
  if (lower.empty()) return absl::InvalidArgumentError("domain must have at least one coordinate");
  if (lower.size() != upper.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have as many lower as upper bounds, but has ", lower.size(), " and ", upper.size()));
  }
  for (size_t i = 0; i < lower.size(); ++i) {
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", static_cast<float>(lower[i])));
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", static_cast<float>(upper[i])));
    if (!(lower[i] < upper[i])) {
      return absl::InvalidArgumentError(
          absl::StrFormat("domain must have lower bounds below upper bounds, but coordinate %d has %.9g and %.9g", i,
                          lower[i], upper[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Domain> Domain::Box(std::vector<double> lower, std::vector<double> upper) {
  DPKDE_RETURN_IF_ERROR(CheckBounds(lower, upper));
  std::vector<float> low(lower.begin(), lower.end()), high(upper.begin(), upper.end());
  for (size_t i = 0; i < low.size(); ++i) {
    if (low[i] < high[i]) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "domain must have lower bounds below upper bounds in float32, but those of coordinate %d, %.17g and %.17g, differ by "
        "less than float32 can tell at this size",
        i, lower[i], upper[i]));
  }
  return Domain(std::move(low), std::move(high));
}

absl::StatusOr<Domain> Domain::CenteredBox(const std::vector<double>& lower, const std::vector<double>& upper) {
  DPKDE_RETURN_IF_ERROR(CheckBounds(lower, upper));
  std::vector<double> origin, low, high;
  for (size_t i = 0; i < lower.size(); ++i) {
    origin.push_back(lower[i] / 2 + upper[i] / 2);
    low.push_back(lower[i] - origin[i]);
    high.push_back(upper[i] - origin[i]);
  }
  return IsZero(origin) ? Box(low, high) : BoxAround(std::move(origin), std::move(low), std::move(high));
}

absl::StatusOr<Domain> Domain::BoxAround(std::vector<double> origin, std::vector<double> low,
                                         std::vector<double> high) {
  DPKDE_ASSIGN_OR_RETURN(Domain domain, Box(low, high));
  if (origin.size() != low.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the origin must have ", low.size(), " coordinates, as the domain has, but has ", origin.size()));
  }
  for (size_t i = 0; i < low.size(); ++i) {
    DPKDE_RETURN_IF_ERROR(CheckFinite("the origin in float32", static_cast<float>(origin[i])));
    // Whoever has coordinates in float32 has a bound as float32 rounds it: that is inside too, where it is nearly the
    // bound.
    const double slack = std::ldexp(high[i] - low[i], -18);
    const auto rounded = [&](double bound) {
      return static_cast<float>(static_cast<double>(static_cast<float>(origin[i] + bound)) - origin[i]);
    };
    if (rounded(low[i]) >= low[i] - slack) domain.lower_[i] = std::min(domain.lower_[i], rounded(low[i]));
    if (rounded(high[i]) <= high[i] + slack) domain.upper_[i] = std::max(domain.upper_[i], rounded(high[i]));
  }
  domain.origin_ = std::move(origin);
  domain.exact_lower_ = std::move(low);
  domain.exact_upper_ = std::move(high);
  return domain;
}

absl::StatusOr<Domain> Domain::Ball(std::vector<double> center, double radius) {
  if (center.empty()) return absl::InvalidArgumentError("domain must have at least one coordinate");
  DPKDE_RETURN_IF_ERROR(CheckPositive("domain radius", radius));
  std::vector<float> middle, low, high;
  double square = 0;
  for (double value : center) {
    middle.push_back(static_cast<float>(value));
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain center in float32", middle.back()));
    // Outward, so that the box holds the ball.
    low.push_back(std::nextafter(static_cast<float>(middle.back() - radius), -kInfinity));
    high.push_back(std::nextafter(static_cast<float>(middle.back() + radius), kInfinity));
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", low.back()));
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", high.back()));
    square += static_cast<double>(middle.back()) * middle.back();
  }
  const double length = std::sqrt(square);
  // Rounding a coordinate c + t to float32 moves it by at most 2^-24 (|c| + |t|), and by 2^-149 below the normal
  // numbers, so a point of the ball by at most 2^-24 (length + radius) + sqrt(d) 2^-149. Twice that, for the rounding
  // of the double-precision steps before.
  const double margin = std::ldexp(length + radius, -23) + std::sqrt(static_cast<double>(center.size())) * 1e-44;
  if (!(radius >= std::ldexp(length, -20)) || !(margin < radius / 2)) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain radius must be large enough for float32 to resolve the ball, but is ", radius));
  }
  Domain domain(std::move(low), std::move(high));
  domain.ball_center_ = std::move(middle);
  domain.ball_radius_ = radius;
  domain.inner_radius_ = radius - margin;
  return domain;
}

absl::StatusOr<Domain> Domain::CenteredBall(const std::vector<double>& center, double radius) {
  for (const double value : center) {
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", static_cast<float>(value - radius)));
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", static_cast<float>(value + radius)));
  }
  DPKDE_ASSIGN_OR_RETURN(Domain domain, Ball(std::vector<double>(center.size(), 0.0), radius));
  if (!IsZero(center)) domain.origin_ = center;
  return domain;
}

absl::StatusOr<Domain> Domain::FromProto(const proto::DomainSpec& spec, std::vector<double> origin) {
  const bool is_box = spec.center_size() == 0 && spec.radius() == 0;
  if (is_box) {
    std::vector<double> lower(spec.lower().begin(), spec.lower().end());
    std::vector<double> upper(spec.upper().begin(), spec.upper().end());
    if (origin.empty()) return Box(std::move(lower), std::move(upper));
    return BoxAround(std::move(origin), std::move(lower), std::move(upper));
  }
  if (spec.lower_size() + spec.upper_size() > 0) {
    return absl::InvalidArgumentError("domain must be a box or a ball, but is both");
  }
  const std::vector<double> center(spec.center().begin(), spec.center().end());
  if (origin.empty()) return Ball(center, spec.radius());
  if (origin.size() != center.size() || !IsZero(center)) {
    return absl::InvalidArgumentError("a ball with an origin must be around it");
  }
  return CenteredBall(origin, spec.radius());
}

proto::DomainSpec Domain::ToProto() const {
  proto::DomainSpec spec;
  if (is_ball()) {
    spec.mutable_center()->Add(ball_center_.begin(), ball_center_.end());
    spec.set_radius(ball_radius_);
  } else if (!origin_.empty()) {
    spec.mutable_lower()->Add(exact_lower_.begin(), exact_lower_.end());
    spec.mutable_upper()->Add(exact_upper_.begin(), exact_upper_.end());
  } else {
    spec.mutable_lower()->Add(lower_.begin(), lower_.end());
    spec.mutable_upper()->Add(upper_.begin(), upper_.end());
  }
  return spec;
}

double Domain::BoundError(size_t axis) const {
  // Balls are held inside of their radius by so much.
  if (is_ball()) return ball_radius_ - inner_radius_;
  // Bounds that were rounded before anybody kept them.
  if (exact_lower_.empty()) return std::ldexp(std::max(std::abs(lower_[axis]), std::abs(upper_[axis])), -24);
  return std::max(std::abs(lower_[axis] - exact_lower_[axis]), std::abs(upper_[axis] - exact_upper_[axis]));
}

double Domain::radius() const {
  if (is_ball()) return ball_radius_;
  double sum = 0;
  for (size_t i = 0; i < dimension(); ++i) sum += width(i) * width(i);
  return std::sqrt(sum) / 2;
}

double Domain::Reach(const float* direction) const {
  double sum = 0;
  for (size_t i = 0; i < dimension(); ++i) {
    const double value = direction[i];
    sum += is_ball() ? value * value : std::abs(value) * width(i) / 2;
  }
  return is_ball() ? std::sqrt(sum) * ball_radius_ : sum;
}

double Domain::DistanceFromBallCenter(const float* x) const {
  double sum = 0;
  for (size_t i = 0; i < dimension(); ++i) {
    const double difference = static_cast<double>(x[i]) - ball_center_[i];
    sum += difference * difference;
  }
  return std::sqrt(sum);
}

void Domain::Clamp(const float* x, float* out) const {
  if (is_ball()) {
    const double distance = DistanceFromBallCenter(x);
    if (distance <= ball_radius_) {
      std::copy(x, x + dimension(), out);
    } else if (std::isfinite(distance)) {
      const double factor = inner_radius_ / distance;
      for (size_t i = 0; i < dimension(); ++i) {
        out[i] = static_cast<float>(ball_center_[i] + (static_cast<double>(x[i]) - ball_center_[i]) * factor);
      }
    } else {
      std::copy(ball_center_.begin(), ball_center_.end(), out);
    }
    return;
  }
  for (size_t i = 0; i < lower_.size(); ++i) {
    const float raised = x[i] > lower_[i] ? x[i] : lower_[i];  // NaN compares false
    out[i] = raised < upper_[i] ? raised : upper_[i];
  }
}

bool Domain::Contains(absl::Span<const float> x) const {
  return is_ball() ? DistanceFromBallCenter(x.data()) <= ball_radius_ : BoxContains(x);
}

bool Domain::BoxContains(absl::Span<const float> x) const {
  // Without an exit on the way: all queries are checked so, and all but few are inside.
  const float* lower = lower_.data();
  const float* upper = upper_.data();
  int inside = 1;
  for (size_t i = 0; i < lower_.size(); ++i) inside &= (x.data()[i] >= lower[i]) & (x.data()[i] <= upper[i]);
  return inside != 0;
}

std::string Domain::DebugString() const {
  // Bounds that were rounded to float32 need no more digits than that.
  const auto shown = [&](double value, size_t i) {
    if (origin_.empty()) return Digits(value, 6, 3e-8 * std::abs(value));
    return Digits(origin_[i] + value, 9, 1e-7 * width(i));
  };
  std::string text;
  if (is_ball()) {
    const bool at_zero = IsZero({ball_center_.begin(), ball_center_.end()}) && IsZero(origin_);
    for (size_t i = 0; i < dimension(); ++i) {
      absl::StrAppend(&text, i == 0 ? "(" : ", ", shown(ball_center_[i], i));
    }
    return absl::StrCat("ball of radius ", ball_radius_, " around ", at_zero ? "the origin" : text + ")");
  }
  for (size_t i = 0; i < dimension(); ++i) {
    const bool exact = !exact_lower_.empty();
    absl::StrAppend(&text, i == 0 ? "" : " x ", "[", shown(exact ? exact_lower_[i] : lower_[i], i), ", ",
                    shown(exact ? exact_upper_[i] : upper_[i], i), "]");
  }
  return text;
}

}  // namespace dpkde
