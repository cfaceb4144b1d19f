#include "dpkde/similarity/domain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

absl::StatusOr<Domain> Domain::Box(std::vector<double> lower, std::vector<double> upper) {
  if (lower.empty()) return absl::InvalidArgumentError("domain must have at least one coordinate");
  if (lower.size() != upper.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have as many lower as upper bounds, but has ", lower.size(), " and ", upper.size()));
  }
  std::vector<float> low, high;
  for (size_t i = 0; i < lower.size(); ++i) {
    low.push_back(static_cast<float>(lower[i]));
    high.push_back(static_cast<float>(upper[i]));
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", low[i]));
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", high[i]));
    if (!(low[i] < high[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("domain must have lower bounds below upper bounds, but coordinate ", i, " has ", lower[i],
                       " and ", upper[i]));
    }
  }
  return Domain(std::move(low), std::move(high));
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

absl::StatusOr<Domain> Domain::FromProto(const proto::DomainSpec& spec) {
  if (spec.center_size() == 0 && spec.radius() == 0) {
    return Box({spec.lower().begin(), spec.lower().end()}, {spec.upper().begin(), spec.upper().end()});
  }
  if (spec.lower_size() + spec.upper_size() > 0) {
    return absl::InvalidArgumentError("domain must be a box or a ball, but is both");
  }
  return Ball({spec.center().begin(), spec.center().end()}, spec.radius());
}

proto::DomainSpec Domain::ToProto() const {
  proto::DomainSpec spec;
  if (is_ball()) {
    spec.mutable_center()->Add(ball_center_.begin(), ball_center_.end());
    spec.set_radius(ball_radius_);
    return spec;
  }
  spec.mutable_lower()->Add(lower_.begin(), lower_.end());
  spec.mutable_upper()->Add(upper_.begin(), upper_.end());
  return spec;
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
  if (is_ball()) {
    const bool origin = std::all_of(ball_center_.begin(), ball_center_.end(), [](float value) { return value == 0; });
    return absl::StrCat("ball of radius ", ball_radius_, " around ",
                        origin ? "the origin" : absl::StrCat("(", absl::StrJoin(ball_center_, ", "), ")"));
  }
  std::string text;
  for (size_t i = 0; i < dimension(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : " x ", "[", lower_[i], ", ", upper_[i], "]");
  }
  return text;
}

}  // namespace dpkde
