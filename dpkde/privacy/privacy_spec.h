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

// A privacy guarantee: epsilon, epsilon and delta, or rho, under a neighbouring relation. A valid value by
// construction.
//
//   DPKDE_ASSIGN_OR_RETURN(PrivacySpec pure, PrivacySpec::Pure(1.0, Neighboring::kAddRemove));
//   DPKDE_ASSIGN_OR_RETURN(PrivacySpec approximate,
//                          PrivacySpec::Approximate(1.0, 1e-6, Neighboring::kAddRemove));
//
//   DPKDE_ASSIGN_OR_RETURN(PrivacySpec concentrated, PrivacySpec::Zcdp(0.1, Neighboring::kAddRemove));
//
// For all neighbouring X, X' and all sets S of files: P(release(X) in S) <= e^epsilon P(release(X') in S) + delta; or,
// rho-zero-concentrated differential privacy: the Renyi divergence of release(X) from release(X') of every order alpha
// > 1 is at most alpha rho (Bun and Steinke 2016), which implies (epsilon, delta) for a whole curve of both
// (ZcdpEpsilon in accountant.h) and is met by discrete Gaussian noise without any slack.
//
// There is no default for any of them: they are the promise, and only the curator can make it.
class PrivacySpec {
 public:
  // kInvalidArgument unless epsilon is finite and positive (and at most kLargestEpsilon).
  static absl::StatusOr<PrivacySpec> Pure(double epsilon, Neighboring neighboring);

  // kInvalidArgument unless also 0 < delta < 1.
  static absl::StatusOr<PrivacySpec> Approximate(double epsilon, double delta, Neighboring neighboring);

  // kInvalidArgument unless rho is finite, positive and at most kLargestEpsilon^2 / 2.
  static absl::StatusOr<PrivacySpec> Zcdp(double rho, Neighboring neighboring);

  // Refuses a missing epsilon and a missing neighbouring relation by name.
  static absl::StatusOr<PrivacySpec> FromProto(const proto::PrivacyParameters& parameters);
  proto::PrivacyParameters ToProto() const;

  // What purely epsilon-private noise may spend: the epsilon of Pure and Approximate; under Zcdp the greatest one, rounded
  // down, with epsilon^2 / 2 <= rho (Bun and Steinke 2016, Proposition 1.4).
  double epsilon() const { return epsilon_; }
  // nullopt: pure epsilon-differential privacy, or Zcdp.
  absl::optional<double> delta() const { return delta_; }
  // Zcdp only.
  absl::optional<double> rho() const { return rho_; }
  // Whether noise that is not purely private may be used.
  bool allows_gaussian() const { return delta_.has_value() || rho_.has_value(); }
  Neighboring neighboring() const { return neighboring_; }

  // The spec with epsilon, or rho, scaled by `share` in (0, 1]; by basic composition, shares that add up to at most 1
  // pay for one whole, delta included once.
  PrivacySpec WithShare(double share) const;

  // A larger epsilon protects nothing and would make scales round to zero.
  static constexpr double kLargestEpsilon = 1000;

 private:
  PrivacySpec(double epsilon, absl::optional<double> delta, absl::optional<double> rho, Neighboring neighboring)
      : epsilon_(epsilon), delta_(delta), rho_(rho), neighboring_(neighboring) {}

  double epsilon_;
  absl::optional<double> delta_;
  absl::optional<double> rho_;
  Neighboring neighboring_;
};

}  // namespace dpkde

#endif  // DPKDE_PRIVACY_PRIVACY_SPEC_H_
