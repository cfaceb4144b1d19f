#include "dpkde/privacy/accountant.h"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/log1p.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/privacy/gaussian_calibration.h"

namespace dpkde {
namespace {

using Exact = boost::multiprecision::cpp_bin_float_50;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargestEpsilon = 1e7;

constexpr CompositionRule kRules[] = {CompositionRule::kPure, CompositionRule::kZcdp, CompositionRule::kGaussian,
                                      CompositionRule::kEpsilonDelta};

Exact ToExact(const Decimal& value) { return Exact(value.ToString()); }

Decimal One() { return *Decimal::FromDouble(1); }

// The 50 digits are beyond those of a double, so that one unit in the last place covers their error.
double RoundedUp(const Exact& value) { return std::nextafter(static_cast<double>(value), kInfinity); }

absl::Status CheckAmount(absl::string_view name, const Decimal& amount, double largest) {
  if (!amount.IsZero() && amount <= *Decimal::FromDouble(largest)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be greater than 0 and at most ", largest, ", but is ", amount.ToString()));
}

absl::Status CheckEpsilon(const Decimal& epsilon) {
  return CheckAmount("epsilon", epsilon, PrivacySpec::kLargestEpsilon);
}

absl::Status CheckDelta(const Decimal& delta) {
  if (!delta.IsZero() && delta < One()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("delta must be greater than 0 and less than 1, but is ", delta.ToString()));
}

absl::Status CheckDelta(double delta) {
  if (delta > 0 && delta < 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("delta must be greater than 0 and less than 1, but is ", delta));
}

// The least double in (low, high] where `holds`, which stays true once it is; it must hold at `high`.
template <typename Predicate>
double LeastWhere(double low, double high, const Predicate& holds) {
  while (true) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return high;
    (holds(middle) ? high : low) = middle;
  }
}

// The last step of ZcdpDelta: every alpha gives a valid delta, so only this one needs to be accurate.
Exact LogZcdpDelta(double rho, double epsilon, const Exact& alpha_minus_1) {
  const Exact alpha = 1 + alpha_minus_1;
  return alpha_minus_1 * (alpha * rho - epsilon) - alpha * boost::math::log1p(Exact(1 / alpha_minus_1)) -
         log(alpha_minus_1);
}

// The logarithm of the best alpha - 1: the zero of the derivative (2 alpha-1) rho - epsilon + log(1 - 1/alpha), which
// grows.
double LogBestAlphaMinus1(double rho, double epsilon) {
  double low = -700, high = std::log((epsilon + 1) / (2 * rho) + 1);
  for (int i = 0; i < 100; ++i) {
    const double middle = low + (high - low) / 2;
    const double alpha_minus_1 = std::exp(middle);
    const double derivative = (2 * alpha_minus_1 + 1) * rho - epsilon - std::log1p(1 / alpha_minus_1);
    (derivative < 0 ? low : high) = middle;
  }
  return low;
}

}  // namespace

std::string CompositionRuleName(CompositionRule rule) {
  switch (rule) {
    case CompositionRule::kPure:
      return "pure";
    case CompositionRule::kZcdp:
      return "zcdp";
    case CompositionRule::kGaussian:
      return "gaussian";
    case CompositionRule::kEpsilonDelta:
      return "epsilon_delta";
  }
  std::abort();
}

absl::StatusOr<CompositionRule> CompositionRuleFromName(absl::string_view name) {
  for (CompositionRule rule : kRules) {
    if (name == CompositionRuleName(rule)) return rule;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("must be one of pure, zcdp, gaussian, epsilon_delta, but is '", name, "'"));
}

absl::StatusOr<PrivacyCost> PrivacyCost::Pure(const Decimal& epsilon) {
  DPKDE_RETURN_IF_ERROR(CheckEpsilon(epsilon));
  return PrivacyCost(CompositionRule::kPure, epsilon, Decimal());
}

absl::StatusOr<PrivacyCost> PrivacyCost::Zcdp(const Decimal& rho) {
  DPKDE_RETURN_IF_ERROR(CheckAmount("rho", rho, kLargestAmount));
  return PrivacyCost(CompositionRule::kZcdp, rho, Decimal());
}

absl::StatusOr<PrivacyCost> PrivacyCost::DiscreteGaussian(const Decimal& mu_squared, const Decimal& total_variation) {
  DPKDE_RETURN_IF_ERROR(CheckAmount("mu^2", mu_squared, kLargestAmount));
  if (!(total_variation < One())) {
    return absl::InvalidArgumentError(
        absl::StrCat("total variation must be less than 1, but is ", total_variation.ToString()));
  }
  return PrivacyCost(CompositionRule::kGaussian, mu_squared, total_variation);
}

absl::StatusOr<PrivacyCost> PrivacyCost::EpsilonDelta(const Decimal& epsilon, const Decimal& delta) {
  DPKDE_RETURN_IF_ERROR(CheckEpsilon(epsilon));
  DPKDE_RETURN_IF_ERROR(CheckDelta(delta));
  return PrivacyCost(CompositionRule::kEpsilonDelta, epsilon, delta);
}

absl::StatusOr<PrivacyCost> PrivacyCost::FromSpec(const PrivacySpec& spec) {
  if (spec.rho().has_value()) {
    DPKDE_ASSIGN_OR_RETURN(const Decimal rho, Decimal::FromDouble(*spec.rho()));
    return Zcdp(rho);
  }
  DPKDE_ASSIGN_OR_RETURN(const Decimal epsilon, Decimal::FromDouble(spec.epsilon()));
  if (!spec.delta().has_value()) return Pure(epsilon);
  DPKDE_ASSIGN_OR_RETURN(const Decimal delta, Decimal::FromDouble(*spec.delta()));
  return EpsilonDelta(epsilon, delta);
}

absl::StatusOr<PrivacyCost> PrivacyCost::ConvertTo(CompositionRule rule) const {
  if (rule == rule_) return *this;
  if (rule_ == CompositionRule::kPure && rule == CompositionRule::kZcdp) {
    return PrivacyCost(rule, Decimal::ProductRoundedUp(amount_, amount_, 2), Decimal());
  }
  if (rule_ == CompositionRule::kPure && rule == CompositionRule::kGaussian) {
    if (amount_.IsZero()) return Zero(rule);
    DPKDE_ASSIGN_OR_RETURN(const double mu, MuOfPure(amount_.SmallestDoubleAbove()));
    DPKDE_ASSIGN_OR_RETURN(const Decimal mu_squared, Decimal::UpperBound(std::nextafter(mu * mu, kInfinity)));
    return PrivacyCost(rule, mu_squared, Decimal());
  }
  if (rule_ == CompositionRule::kPure && rule == CompositionRule::kEpsilonDelta) {
    return PrivacyCost(rule, amount_, Decimal());
  }
  if (rule_ == CompositionRule::kGaussian && rule == CompositionRule::kZcdp) {
    return PrivacyCost(rule, Decimal::ProductRoundedUp(amount_, One(), 2), Decimal());
  }
  return absl::InvalidArgumentError(absl::StrCat("a cost of ", ToString(), " (", CompositionRuleName(rule_),
                                                 ") cannot be counted in a budget that composes by ",
                                                 CompositionRuleName(rule)));
}

PrivacyCost PrivacyCost::OverTwoSteps() const {
  switch (rule_) {
    case CompositionRule::kPure:
      return PrivacyCost(rule_, 2 * amount_, Decimal());
    case CompositionRule::kZcdp:  // Bun and Steinke 2016, Proposition 1.9
      return PrivacyCost(rule_, 4 * amount_, Decimal());
    case CompositionRule::kGaussian:
      // Dong, Roth and Su 2022, Theorem 2.14. The slack is the total variation of what one record touches, and two steps
      // can touch two such parts, such as the views of two classes, whose discrete noise must be exchanged in both.
      return PrivacyCost(rule_, 4 * amount_, 2 * slack_);
    case CompositionRule::kEpsilonDelta: {
      const Exact delta = (1 + exp(ToExact(amount_))) * ToExact(slack_);
      return PrivacyCost(rule_, 2 * amount_, delta < 1 ? *Decimal::UpperBound(RoundedUp(delta)) : One());
    }
  }
  std::abort();
}

PrivacyCost operator+(const PrivacyCost& a, const PrivacyCost& b) {
  if (a.rule_ != b.rule_) std::abort();
  return PrivacyCost(a.rule_, a.amount_ + b.amount_, a.slack_ + b.slack_);
}

std::string PrivacyCost::ToString() const {
  switch (rule_) {
    case CompositionRule::kPure:
      return absl::StrCat("epsilon = ", amount_.ToString());
    case CompositionRule::kZcdp:
      return absl::StrCat("rho = ", amount_.ToString());
    case CompositionRule::kGaussian:
      return absl::StrCat("mu^2 = ", amount_.ToString(),
                          slack_.IsZero() ? "" : absl::StrCat(", total variation = ", slack_.ToString()));
    case CompositionRule::kEpsilonDelta:
      return absl::StrCat("epsilon = ", amount_.ToString(), ", delta = ", slack_.ToString());
  }
  std::abort();
}

absl::StatusOr<PrivacyCost> ComposeSequential(CompositionRule rule, absl::Span<const PrivacyCost> costs) {
  PrivacyCost sum = PrivacyCost::Zero(rule);
  for (const PrivacyCost& cost : costs) {
    DPKDE_ASSIGN_OR_RETURN(const PrivacyCost converted, cost.ConvertTo(rule));
    sum = sum + converted;
  }
  return sum;
}

absl::StatusOr<PrivacyCost> ComposeDisjoint(CompositionRule rule, Neighboring neighboring,
                                            absl::Span<const PrivacyCost> costs) {
  // The amounts and the slacks may be greatest in different parts; what is above both is above each part.
  std::vector<Decimal> amounts, slacks;
  for (const PrivacyCost& cost : costs) {
    DPKDE_ASSIGN_OR_RETURN(const PrivacyCost converted, cost.ConvertTo(rule));
    amounts.push_back(converted.amount());
    slacks.push_back(converted.slack());
  }
  const size_t paid = std::min<size_t>(neighboring == Neighboring::kAddRemove ? 1 : 2, costs.size());
  PrivacyCost sum = PrivacyCost::Zero(rule);
  for (std::vector<Decimal>* parts : {&amounts, &slacks}) {
    std::sort(parts->begin(), parts->end(), [](const Decimal& a, const Decimal& b) { return b < a; });
  }
  for (size_t i = 0; i < paid; ++i) sum = sum + PrivacyCost::Total(rule, amounts[i], slacks[i]);
  return sum;
}

absl::StatusOr<PrivacyBudget> PrivacyBudget::Create(CompositionRule rule, const absl::optional<Decimal>& epsilon,
                                                    const absl::optional<Decimal>& delta,
                                                    const absl::optional<Decimal>& rho) {
  const auto require = [&](const char* name, bool has, bool wanted) {
    if (has == wanted) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(name, wanted ? " is missing from" : " is not taken by",
                                                   " a budget that composes by ", CompositionRuleName(rule)));
  };
  const bool by_rho = rule == CompositionRule::kZcdp && !epsilon.has_value() && !delta.has_value();
  DPKDE_RETURN_IF_ERROR(require("rho", rho.has_value(), by_rho));
  DPKDE_RETURN_IF_ERROR(require("epsilon", epsilon.has_value(), !by_rho));
  DPKDE_RETURN_IF_ERROR(require("delta", delta.has_value(), !by_rho && rule != CompositionRule::kPure));
  if (epsilon.has_value()) DPKDE_RETURN_IF_ERROR(CheckEpsilon(*epsilon));
  if (delta.has_value()) DPKDE_RETURN_IF_ERROR(CheckDelta(*delta));
  if (rho.has_value()) DPKDE_RETURN_IF_ERROR(CheckAmount("rho", *rho, PrivacyCost::kLargestAmount));

  PrivacyBudget budget(rule, epsilon, delta, rho);
  if (by_rho) {
    budget.rho_limit_ = *rho;
  } else if (rule == CompositionRule::kZcdp) {
    DPKDE_ASSIGN_OR_RETURN(const double limit,
                           LargestZcdpRho(epsilon->LargestDoubleWithin(), delta->LargestDoubleWithin()));
    DPKDE_ASSIGN_OR_RETURN(budget.rho_limit_, Decimal::LowerBound(limit));
  } else if (rule == CompositionRule::kGaussian) {
    DPKDE_ASSIGN_OR_RETURN(budget.mu_limit_, LargestGaussianMu(epsilon->LargestDoubleWithin(),
                                                               (1 - kSamplerShare) * delta->LargestDoubleWithin()));
  }
  return budget;
}

PrivacyCost PrivacyBudget::Limit(const Decimal& slack) const {
  switch (rule_) {
    case CompositionRule::kPure:
      return PrivacyCost::Total(rule_, *epsilon_, Decimal());
    case CompositionRule::kZcdp:
      return PrivacyCost::Total(rule_, rho_limit_, Decimal());
    case CompositionRule::kEpsilonDelta:
      return PrivacyCost::Total(rule_, *epsilon_, *delta_);
    case CompositionRule::kGaussian: {
      const absl::StatusOr<DiscreteDelta> full =
          DiscreteGaussianDelta(epsilon_->LargestDoubleWithin(), mu_limit_, slack.SmallestDoubleAbove());
      if (!full.ok() || full->delta > delta_->LargestDoubleWithin()) return PrivacyCost::Zero(rule_);
      return PrivacyCost::Total(rule_, *Decimal::LowerBound(std::nextafter(mu_limit_ * mu_limit_, 0.0)), slack);
    }
  }
  std::abort();
}

bool PrivacyBudget::Admits(const PrivacyCost& total) const {
  if (total.rule() != rule_) std::abort();
  const PrivacyCost limit = Limit(total.slack());
  return total.amount() <= limit.amount() && total.slack() <= limit.slack();
}

PrivacyCost PrivacyBudget::Remaining(const PrivacyCost& spent) const {
  if (spent.rule() != rule_) std::abort();
  const PrivacyCost limit = Limit(spent.slack());
  return PrivacyCost::Total(rule_, Decimal::Difference(limit.amount(), spent.amount()),
                            Decimal::Difference(limit.slack(), spent.slack()));
}

std::string PrivacyBudget::ToString() const {
  std::string text;
  if (rho_.has_value()) text = absl::StrCat("rho = ", rho_->ToString());
  if (epsilon_.has_value()) text = absl::StrCat("epsilon = ", epsilon_->ToString());
  if (delta_.has_value()) absl::StrAppend(&text, ", delta = ", delta_->ToString());
  return absl::StrCat(text, " (", CompositionRuleName(rule_), ")");
}

absl::StatusOr<double> ZcdpDelta(double rho, double epsilon) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("rho", rho));
  if (!(epsilon >= 0 && epsilon < kInfinity)) {
    return absl::InvalidArgumentError(absl::StrCat("epsilon must be finite and not negative, but is ", epsilon));
  }
  const Exact log_delta = LogZcdpDelta(rho, epsilon, exp(Exact(LogBestAlphaMinus1(rho, epsilon))));
  if (log_delta >= 0) return 1;
  // Smaller ones are rounded up to what doubles can hold.
  return RoundedUp(exp(std::max(log_delta, Exact(-700))));
}

absl::StatusOr<double> ZcdpEpsilon(double rho, double delta) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("rho", rho));
  DPKDE_RETURN_IF_ERROR(CheckDelta(delta));
  const auto holds = [&](double epsilon) { return *ZcdpDelta(rho, epsilon) <= delta; };
  if (holds(0)) return 0.0;
  double high = rho;
  while (!holds(high)) {
    high *= 2;
    if (high > kLargestEpsilon) return absl::InvalidArgumentError("epsilon is beyond 1e7");
  }
  return LeastWhere(0, high, holds);
}

absl::StatusOr<double> LargestZcdpRho(double epsilon, double delta) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("epsilon", epsilon));
  DPKDE_RETURN_IF_ERROR(CheckDelta(delta));
  const auto exceeds = [&](double rho) { return *ZcdpDelta(rho, epsilon) > delta; };
  double high = epsilon;
  while (!exceeds(high)) high *= 2;
  double low = high / 2;
  while (exceeds(low)) low /= 2;
  return std::nextafter(LeastWhere(low, high, exceeds), 0.0);
}

absl::StatusOr<double> MuOfPure(double epsilon) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("epsilon", epsilon));
  if (epsilon > PrivacySpec::kLargestEpsilon) {
    return absl::InvalidArgumentError(
        absl::StrCat("epsilon must be at most ", PrivacySpec::kLargestEpsilon, ", but is ", epsilon));
  }
  // Phi(-mu/2) <= 1 / (1 + e^epsilon). In the middle, where both sides are near 1/2, the difference of each from it is
  // what counts: erf(mu / sqrt(8)) >= tanh(epsilon / 2).
  const Exact target = epsilon < 1 ? tanh(Exact(epsilon) / 2) : 2 / (1 + exp(Exact(epsilon)));
  const auto holds = [&](double mu) {
    const Exact argument = mu / sqrt(Exact(8));
    return epsilon < 1 ? boost::math::erf(argument) >= target : boost::math::erfc(argument) <= target;
  };
  // mu is concave in epsilon with slope sqrt(pi / 2) at 0.
  double low = 1.25 * epsilon;
  while (holds(low)) low /= 2;
  return std::nextafter(LeastWhere(low, 1.26 * epsilon, holds), kInfinity);
}

absl::StatusOr<double> GaussianEpsilon(double mu, double delta) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("mu", mu));
  DPKDE_RETURN_IF_ERROR(CheckDelta(delta));
  DPKDE_ASSIGN_OR_RETURN(const double at_zero, GaussianDelta(0, mu));
  if (at_zero <= delta) return 0.0;
  const auto holds = [&](double epsilon) {
    const absl::StatusOr<double> at_epsilon = GaussianDelta(epsilon, mu);
    return at_epsilon.ok() && *at_epsilon <= delta;
  };
  double high = mu;
  while (!holds(high)) {
    high *= 2;
    if (high > kLargestEpsilon) return absl::InvalidArgumentError("epsilon is beyond 1e7");
  }
  return LeastWhere(0, high, holds);
}

}  // namespace dpkde
