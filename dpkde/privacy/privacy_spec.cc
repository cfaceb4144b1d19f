#include "dpkde/privacy/privacy_spec.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {
namespace {

absl::Status CheckEpsilon(double epsilon) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("epsilon", epsilon));
  if (epsilon <= PrivacySpec::kLargestEpsilon) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("epsilon must be at most ", PrivacySpec::kLargestEpsilon, ", but is ", epsilon));
}

// The square root is correctly rounded, so one step down makes it a lower bound.
double EpsilonOfRho(double rho) { return std::nextafter(std::sqrt(2 * rho), 0.0); }

}  // namespace

std::string NeighboringName(Neighboring neighboring) {
  return neighboring == Neighboring::kAddRemove ? "add_remove" : "replace";
}

absl::StatusOr<PrivacySpec> PrivacySpec::Pure(double epsilon, Neighboring neighboring) {
  DPKDE_RETURN_IF_ERROR(CheckEpsilon(epsilon));
  return PrivacySpec(epsilon, absl::nullopt, absl::nullopt, neighboring);
}

absl::StatusOr<PrivacySpec> PrivacySpec::Approximate(double epsilon, double delta, Neighboring neighboring) {
  DPKDE_RETURN_IF_ERROR(CheckEpsilon(epsilon));
  if (!(delta > 0 && delta < 1)) {
    return absl::InvalidArgumentError(absl::StrCat("delta must be greater than 0 and less than 1, but is ", delta));
  }
  return PrivacySpec(epsilon, delta, absl::nullopt, neighboring);
}

absl::StatusOr<PrivacySpec> PrivacySpec::Zcdp(double rho, Neighboring neighboring) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("rho", rho));
  constexpr double kLargestRho = kLargestEpsilon * kLargestEpsilon / 2;
  if (rho > kLargestRho) {
    return absl::InvalidArgumentError(absl::StrCat("rho must be at most ", kLargestRho, ", but is ", rho));
  }
  return PrivacySpec(EpsilonOfRho(rho), absl::nullopt, rho, neighboring);
}

absl::StatusOr<PrivacySpec> PrivacySpec::FromProto(const proto::PrivacyParameters& parameters) {
  Neighboring neighboring;
  switch (parameters.neighboring()) {
    case proto::ADD_REMOVE:
      neighboring = Neighboring::kAddRemove;
      break;
    case proto::REPLACE:
      neighboring = Neighboring::kReplace;
      break;
    default:
      return absl::InvalidArgumentError("neighboring must be add_remove or replace, but is missing or unknown");
  }
  if (parameters.has_rho()) {
    if (parameters.epsilon() != 0 || parameters.has_delta()) {
      return absl::InvalidArgumentError("rho must stand alone, but epsilon or delta is given too");
    }
    return Zcdp(parameters.rho(), neighboring);
  }
  if (parameters.has_delta()) return Approximate(parameters.epsilon(), parameters.delta(), neighboring);
  return Pure(parameters.epsilon(), neighboring);
}

proto::PrivacyParameters PrivacySpec::ToProto() const {
  proto::PrivacyParameters parameters;
  if (rho_.has_value()) {
    parameters.set_rho(*rho_);
  } else {
    parameters.set_epsilon(epsilon_);
  }
  if (delta_.has_value()) parameters.set_delta(*delta_);
  parameters.set_neighboring(neighboring_ == Neighboring::kAddRemove ? proto::ADD_REMOVE : proto::REPLACE);
  return parameters;
}

PrivacySpec PrivacySpec::WithShare(double share) const {
  PrivacySpec part = *this;
  // Rounded down, so that parts never add up to more than the whole.
  if (rho_.has_value()) {
    part.rho_ = std::nextafter(*rho_ * share, 0.0);
    part.epsilon_ = EpsilonOfRho(*part.rho_);
  } else {
    part.epsilon_ = std::nextafter(epsilon_ * share, 0.0);
  }
  return part;
}

}  // namespace dpkde
