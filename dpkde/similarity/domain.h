#ifndef DPKDE_SIMILARITY_DOMAIN_H_
#define DPKDE_SIMILARITY_DOMAIN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/proto/density.pb.h"

namespace dpkde {

// The public box in which records live.
//
//   DPKDE_ASSIGN_OR_RETURN(Domain domain, Domain::Box({-180, 15}, {-60, 72}));
//
// A record outside is moved to the nearest point of the box before anything else is computed: an answer is the sum of
// f(clamp(x), y). Clamping is a function of the one record, so it costs no privacy. The box must be chosen without
// looking at the private data; a certificate lists it as asserted to be public.
//
// Bounds are float32, as records are. A value; thread-safe.
class Domain {
 public:
  // kInvalidArgument unless both have the same length of at least 1, all bounds are finite in float32 and
  // lower[i] < upper[i] for each i.
  static absl::StatusOr<Domain> Box(std::vector<double> lower, std::vector<double> upper);
  static absl::StatusOr<Domain> FromProto(const proto::DomainSpec& spec);
  proto::DomainSpec ToProto() const;

  size_t dimension() const { return lower_.size(); }
  absl::Span<const float> lower() const { return lower_; }
  absl::Span<const float> upper() const { return upper_; }
  double width(size_t axis) const { return static_cast<double>(upper_[axis]) - lower_[axis]; }
  // The box's diagonal, the largest Euclidean distance of two records.
  double Diameter() const;

  // out = the nearest point of the box to x; NaN goes to the lower bound (callers refuse or replace NaN before).
  // Lengths are dimension(); in place is allowed.
  void Clamp(const float* x, float* out) const;

  bool Contains(absl::Span<const float> x) const;

  // "[-180, -60] x [15, 72]".
  std::string DebugString() const;

 private:
  Domain(std::vector<float> lower, std::vector<float> upper) : lower_(std::move(lower)), upper_(std::move(upper)) {}

  std::vector<float> lower_;
  std::vector<float> upper_;
};

}  // namespace dpkde

#endif  // DPKDE_SIMILARITY_DOMAIN_H_
