#ifndef DPKDE_SIMILARITY_DOMAIN_H_
#define DPKDE_SIMILARITY_DOMAIN_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/proto/density.pb.h"

namespace dpkde {

// The public box or ball in which records live.
//
//   DPKDE_ASSIGN_OR_RETURN(Domain domain, Domain::Box({-180, 15}, {-60, 72}));
//   DPKDE_ASSIGN_OR_RETURN(Domain ball, Domain::Ball({0, 0}, 5));
//
// A record outside is moved to the nearest point of the domain before anything else is computed: an answer is the sum
// of f(clamp(x), y). Clamping is a function of the one record, so it costs no privacy. The domain must be chosen
// without looking at the private data; a certificate lists it as asserted to be public.
//
// Each has the other's shape at hand: lower() and upper() are the bounding box of a ball, center() and radius() the
// circumscribed ball of a box. Records stay clamped to the domain itself, which lies inside of both.
//
// Bounds and centers are float32, as records are. So a domain far from 0 is best kept around its own centre: CenteredBox
// and CenteredBall subtract the centre in double before they round, and origin() is what they subtracted. Everything
// else here, and all that is compared with the domain, is then relative to origin():
//
//   DPKDE_ASSIGN_OR_RETURN(Domain hour, Domain::CenteredBox({1700000000}, {1700003600}));  // [-1800, 1800] inside
//
// A value; thread-safe.
class Domain {
 public:
  // kInvalidArgument unless both have the same length of at least 1, all bounds are finite in float32 and
  // lower[i] < upper[i] for each i.
  static absl::StatusOr<Domain> Box(std::vector<double> lower, std::vector<double> upper);
  // kInvalidArgument unless there is at least one coordinate, center[i] +- radius is finite in float32, and the radius
  // is positive and at least 2^-20 of the center's length (so that float32 resolves the ball).
  static absl::StatusOr<Domain> Ball(std::vector<double> center, double radius);
  // As Box and Ball, in the user's coordinates, around their centre; which may be anywhere where bounds are finite in
  // float32. For functions of x - y alone.
  static absl::StatusOr<Domain> CenteredBox(const std::vector<double>& lower, const std::vector<double>& upper);
  static absl::StatusOr<Domain> CenteredBall(const std::vector<double>& center, double radius);

  // `origin`: what the message is relative to, one value a coordinate or none. ToProto leaves it out.
  static absl::StatusOr<Domain> FromProto(const proto::DomainSpec& spec, std::vector<double> origin = {});
  proto::DomainSpec ToProto() const;

  // What bounds, center and points are relative to; empty: nothing was subtracted.
  const std::vector<double>& origin() const { return origin_; }

  size_t dimension() const { return lower_.size(); }
  absl::Span<const float> lower() const { return lower_; }
  absl::Span<const float> upper() const { return upper_; }
  // lower() in the user's coordinates.
  double UserLower(size_t axis) const { return (origin_.empty() ? 0 : origin_[axis]) + lower_[axis]; }
  double width(size_t axis) const { return static_cast<double>(upper_[axis]) - lower_[axis]; }
  bool is_ball() const { return ball_radius_ > 0; }
  double center(size_t axis) const {
    return is_ball() ? ball_center_[axis] : 0.5 * (static_cast<double>(lower_[axis]) + upper_[axis]);
  }
  // How far a bound is from the one that was asked for, in double: by rounding.
  double BoundError(size_t axis) const;
  // Half the box's diagonal, or the ball's radius.
  double radius() const;
  // The largest Euclidean distance of two records.
  double Diameter() const { return 2 * radius(); }

  // sup over the domain of <direction, x - center>; `direction` has dimension() values.
  double Reach(const float* direction) const;

  // out = the nearest point of the domain to x; lengths are dimension(); in place is allowed. In a box NaN goes to the
  // lower bound; in a ball a point that is not finite goes to the center (callers refuse or replace both before). In a
  // ball what is outside is moved towards the center, in double precision and one fixed order of operations, to the
  // sphere or so little inside that rounding to float32 leaves it in the ball: Contains(out) holds, and what is
  // inside stays as it is.
  void Clamp(const float* x, float* out) const;

  bool Contains(absl::Span<const float> x) const;
  // Whether x is in [lower(), upper()].
  bool BoxContains(absl::Span<const float> x) const;

  // In the user's coordinates, with the digits that tell bounds apart: "[-180, -60] x [15, 72]", "ball of radius 5 around
  // (0, 1)", "ball of radius 5 around the origin".
  std::string DebugString() const;

 private:
  Domain(std::vector<float> lower, std::vector<float> upper) : lower_(std::move(lower)), upper_(std::move(upper)) {}

  static absl::StatusOr<Domain> BoxAround(std::vector<double> origin, std::vector<double> low,
                                          std::vector<double> high);

  double DistanceFromBallCenter(const float* x) const;

  std::vector<float> lower_;
  std::vector<float> upper_;
  std::vector<double> origin_;
  // Boxes with an origin: the bounds before they were rounded.
  std::vector<double> exact_lower_, exact_upper_;
  // Balls only.
  std::vector<float> ball_center_;
  double ball_radius_ = 0;
  double inner_radius_ = 0;  // where Clamp puts points, so that rounding does not move them out
};

}  // namespace dpkde

#endif  // DPKDE_SIMILARITY_DOMAIN_H_
