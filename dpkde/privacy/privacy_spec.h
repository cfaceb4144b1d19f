#ifndef DPKDE_PRIVACY_PRIVACY_SPEC_H_
#define DPKDE_PRIVACY_PRIVACY_SPEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/proto/density.pb.h"

namespace dpkde {

// Which two datasets are neighbours: what a release hides.
enum class Neighboring {
  kAddRemove,  // one record more or less; the number of records is private
  kReplace,    // one record changed; the number of records is public
};

// "add_remove" or "replace".
std::string NeighboringName(Neighboring neighboring);

// A privacy guarantee: epsilon, or epsilon and delta, under a neighbouring relation. A valid value by construction.
//
//   DPKDE_ASSIGN_OR_RETURN(PrivacySpec pure, PrivacySpec::Pure(1.0, Neighboring::kAddRemove));
//   DPKDE_ASSIGN_OR_RETURN(PrivacySpec approximate,
//                          PrivacySpec::Approximate(1.0, 1e-6, Neighboring::kAddRemove));
//
// For all neighbouring X, X' and all sets S of files: P(release(X) in S) <= e^epsilon P(release(X') in S) + delta.
//
// There is no default for any of the three: they are the promise, and only the curator can make it.
class PrivacySpec {
 public:
  // kInvalidArgument unless epsilon is finite and positive (and at most kLargestEpsilon).
  static absl::StatusOr<PrivacySpec> Pure(double epsilon, Neighboring neighboring);

  // kInvalidArgument unless also 0 < delta < 1.
  static absl::StatusOr<PrivacySpec> Approximate(double epsilon, double delta, Neighboring neighboring);

  // Refuses a missing epsilon and a missing neighbouring relation by name.
  static absl::StatusOr<PrivacySpec> FromProto(const proto::PrivacyParameters& parameters);
  proto::PrivacyParameters ToProto() const;

  double epsilon() const { return epsilon_; }
  // nullopt: pure epsilon-differential privacy.
  absl::optional<double> delta() const { return delta_; }
  Neighboring neighboring() const { return neighboring_; }

  // The spec with epsilon scaled by `share` in (0, 1]; by basic composition, shares that add up to at most 1 pay for
  // one whole, delta included once.
  PrivacySpec WithEpsilonShare(double share) const;

  // A larger epsilon protects nothing and would make scales round to zero.
  static constexpr double kLargestEpsilon = 1000;

 private:
  PrivacySpec(double epsilon, absl::optional<double> delta, Neighboring neighboring)
      : epsilon_(epsilon), delta_(delta), neighboring_(neighboring) {}

  double epsilon_;
  absl::optional<double> delta_;
  Neighboring neighboring_;
};

}  // namespace dpkde

#endif  // DPKDE_PRIVACY_PRIVACY_SPEC_H_
