#ifndef DPKDE_PRIVACY_ACCOUNTANT_H_
#define DPKDE_PRIVACY_ACCOUNTANT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/privacy/decimal.h"
#include "dpkde/privacy/privacy_spec.h"

// What several releases from one dataset cost together. Nothing here sees data: costs, budgets and sums are public.

namespace dpkde {

// In which unit costs add up. Fixed when a budget is declared. All four hold for releases whose costs are chosen one
// after the other, each in the light of earlier answers (Rogers et al. 2016; Feldman and Zrnic 2021 for zCDP; Smith and
// Thakurta 2022 for Gaussian differential privacy).
enum class CompositionRule {
  kPure,          // epsilon adds up
  kZcdp,          // rho of zero-concentrated differential privacy adds up (Bun and Steinke 2016, Lemma 1.7)
  kGaussian,      // mu^2 of Gaussian differential privacy adds up (Dong, Roth and Su 2022, Corollary 3.3)
  kEpsilonDelta,  // epsilon adds up, and so does delta (Dwork and Roth 2014, Theorem 3.16)
};

// "pure", "zcdp", "gaussian", "epsilon_delta".
std::string CompositionRuleName(CompositionRule rule);
// kInvalidArgument for any other name.
absl::StatusOr<CompositionRule> CompositionRuleFromName(absl::string_view name);

// What one release, or several, cost, in the unit of a rule. An immutable value.
//
//   DPKDE_ASSIGN_OR_RETURN(Decimal epsilon, Decimal::Parse("0.1"));
//   DPKDE_ASSIGN_OR_RETURN(PrivacyCost cost, PrivacyCost::Pure(epsilon));
class PrivacyCost {
 public:
  // epsilon-differential privacy. kInvalidArgument unless 0 < epsilon <= PrivacySpec::kLargestEpsilon.
  static absl::StatusOr<PrivacyCost> Pure(const Decimal& epsilon);

  // rho-zCDP. kInvalidArgument unless 0 < rho <= kLargestAmount.
  static absl::StatusOr<PrivacyCost> Zcdp(const Decimal& rho);

  // Exact discrete Gaussian noise on integers: mu_squared is the sum of (Delta_k / sigma_k)^2. `total_variation` bounds
  // the distance between all its noise and rounded continuous Gaussian noise (post-processing of the Gaussian
  // mechanism), as of NoiseGuarantee. It is kept instead of a delta', since what it costs a release holds at the
  // release's epsilon, and is too little at that of the whole budget. kInvalidArgument unless 0 < mu_squared <=
  // kLargestAmount and total_variation < 1.
  static absl::StatusOr<PrivacyCost> DiscreteGaussian(const Decimal& mu_squared, const Decimal& total_variation);

  // (epsilon, delta)-differential privacy. kInvalidArgument unless also 0 < delta < 1.
  static absl::StatusOr<PrivacyCost> EpsilonDelta(const Decimal& epsilon, const Decimal& delta);

  // Pure, EpsilonDelta or Zcdp, in the decimals that the user wrote.
  static absl::StatusOr<PrivacyCost> FromSpec(const PrivacySpec& spec);

  // What costs have come to: any amount and slack, also 0.
  static PrivacyCost Total(CompositionRule rule, const Decimal& amount, const Decimal& slack) {
    return PrivacyCost(rule, amount, slack);
  }
  static PrivacyCost Zero(CompositionRule rule) { return Total(rule, Decimal(), Decimal()); }

  CompositionRule rule() const { return rule_; }
  // epsilon, rho, mu^2 or epsilon.
  const Decimal& amount() const { return amount_; }
  // The part that is a probability: total variation under kGaussian, delta under kEpsilonDelta, else 0.
  const Decimal& slack() const { return slack_; }

  // The same cost in the unit of `rule`, rounded up:
  //   pure -> zcdp           rho = epsilon^2 / 2 (Bun and Steinke 2016, Proposition 1.4)
  //   pure -> gaussian       mu = -2 Phi^-1(1 / (1 + e^epsilon)): the trade-off curve of randomised response, the worst
  //                          of all epsilon-private mechanisms, lies above that of mu and touches it
  //   pure -> epsilon_delta  delta = 0
  //   gaussian -> zcdp       rho = mu^2 / 2; the multivariate discrete Gaussian keeps it without slack (Canonne, Kamath
  //                          and Steinke 2020, Section 2)
  // kInvalidArgument, naming both, for every other pair: a conversion would have to choose an epsilon or a delta.
  absl::StatusOr<PrivacyCost> ConvertTo(CompositionRule rule) const;

  // The cost against neighbours two steps apart: a changed record is a record less and a record more, so an ADD_REMOVE
  // cost becomes a REPLACE cost. 2 epsilon; 4 rho; 2 mu and twice the total variation; (2 epsilon, (1 + e^epsilon) delta, at most 1).
  PrivacyCost OverTwoSteps() const;

  // Sum of costs of one rule. Aborts if the rules differ, which is a mistake in the program.
  friend PrivacyCost operator+(const PrivacyCost& a, const PrivacyCost& b);
  friend bool operator==(const PrivacyCost& a, const PrivacyCost& b) {
    return a.rule_ == b.rule_ && a.amount_ == b.amount_ && a.slack_ == b.slack_;
  }

  // "epsilon = 0.1", "rho = 0.005", "mu^2 = 0.04, total variation = 1e-15", "epsilon = 1, delta = 1e-6".
  std::string ToString() const;

  static constexpr int kLargestAmount = 1000000;

 private:
  PrivacyCost(CompositionRule rule, Decimal amount, Decimal slack)
      : rule_(rule), amount_(std::move(amount)), slack_(std::move(slack)) {}

  CompositionRule rule_;
  Decimal amount_;
  Decimal slack_;
};

// Releases from the same records: the sum, each converted to `rule`. kInvalidArgument if one cannot be.
absl::StatusOr<PrivacyCost> ComposeSequential(CompositionRule rule, absl::Span<const PrivacyCost> costs);

// Releases from disjoint parts of the records, one a label of a *public* set: a set that was derived from the records
// would reveal which labels occur. Each converted to `rule`. Under ADD_REMOVE a record enters or leaves one part: the
// greatest cost. Under REPLACE a record may also change its label, and two releases are paid: the sum of the two
// greatest; there, each cost must hold both for one record of the part changed and for one record of the part more or
// less.
absl::StatusOr<PrivacyCost> ComposeDisjoint(CompositionRule rule, Neighboring neighboring,
                                            absl::Span<const PrivacyCost> costs);

// How much may be spent, and in which unit it adds up. An immutable value.
//
// A budget of epsilon and delta under kZcdp is full when ZcdpDelta(rho, epsilon) reaches delta. Under kGaussian it has
// two limits, neither of which depends on how much of the other is spent: mu, at GaussianDelta(epsilon, mu) = (1 -
// kSamplerShare) delta, and the sum v of total variations, at DiscreteGaussianDelta(epsilon, that mu, v) = delta. If
// less of one allowed more of the other, a curator could decide by what was released which of the two to spend, and no
// pair (mu, v) fixed beforehand, of which alone both theorems speak, would bound all outcomes.
class PrivacyBudget {
 public:
  // What each rule takes: kPure epsilon; kZcdp rho, or epsilon and delta; kGaussian and kEpsilonDelta epsilon and
  // delta. kInvalidArgument for anything missing or too much, and unless 0 < epsilon <= PrivacySpec::kLargestEpsilon, 0
  // < delta < 1, 0 < rho <= PrivacyCost::kLargestAmount.
  static absl::StatusOr<PrivacyBudget> Create(CompositionRule rule, const absl::optional<Decimal>& epsilon,
                                              const absl::optional<Decimal>& delta, const absl::optional<Decimal>& rho);

  CompositionRule rule() const { return rule_; }
  const absl::optional<Decimal>& epsilon() const { return epsilon_; }
  const absl::optional<Decimal>& delta() const { return delta_; }
  // As declared; nullopt also where it follows from epsilon and delta.
  const absl::optional<Decimal>& rho() const { return rho_; }

  // Whether costs that add up to `total`, in the unit of rule(), are within the budget.
  bool Admits(const PrivacyCost& total) const;

  // The greatest further cost in the unit of rule(), rounded down. Under kGaussian it is one without slack of its own.
  PrivacyCost Remaining(const PrivacyCost& spent) const;

  // "epsilon = 1, delta = 1e-6 (gaussian)".
  std::string ToString() const;

 private:
  PrivacyBudget(CompositionRule rule, const absl::optional<Decimal>& epsilon, const absl::optional<Decimal>& delta,
                const absl::optional<Decimal>& rho)
      : rule_(rule), epsilon_(epsilon), delta_(delta), rho_(rho) {}

  // The most that may be spent if the slack is `slack`.
  PrivacyCost Limit(const Decimal& slack) const;

  CompositionRule rule_;
  absl::optional<Decimal> epsilon_;
  absl::optional<Decimal> delta_;
  absl::optional<Decimal> rho_;
  Decimal rho_limit_;    // kZcdp only
  double mu_limit_ = 0;  // kGaussian only
};

// Conversions to epsilon and delta, evaluated with 50 digits and rounded towards more privacy lost. kInvalidArgument
// unless the arguments are finite and positive (epsilon may be 0) and delta < 1.

// The delta at which rho-zCDP implies (epsilon, delta)-differential privacy: the infimum over alpha > 1 of
// e^((alpha-1)(alpha rho-epsilon)) (1 - 1/alpha)^alpha / (alpha-1) (Canonne, Kamath and Steinke 2020, Corollary 13).
absl::StatusOr<double> ZcdpDelta(double rho, double epsilon);
// The least epsilon, rounded up, with ZcdpDelta(rho, epsilon) <= delta. kInvalidArgument if it is beyond 10^7.
absl::StatusOr<double> ZcdpEpsilon(double rho, double delta);
// The greatest rho, rounded down, with ZcdpDelta(rho, epsilon) <= delta; epsilon > 0.
absl::StatusOr<double> LargestZcdpRho(double epsilon, double delta);

// The mu at which epsilon-differential privacy implies mu-Gaussian differential privacy, rounded up. epsilon > 0.
absl::StatusOr<double> MuOfPure(double epsilon);
// The least epsilon, rounded up, with GaussianDelta(epsilon, mu) <= delta (exact: Balle and Wang 2018).
absl::StatusOr<double> GaussianEpsilon(double mu, double delta);

}  // namespace dpkde

#endif  // DPKDE_PRIVACY_ACCOUNTANT_H_
