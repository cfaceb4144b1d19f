#include "dpkde/designs/exponential_sum_design.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/lsq_rff_design.h"
#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

using Kind = proto::SimilaritySpec;

constexpr int64_t kMostFeatures = int64_t{1} << 20;

// What (1 + s / a)^-a a similarity is, and which kernels e^(-t s).
struct Power {
  double a = 1;
  Kind::Kind exponential = Kind::KIND_UNSPECIFIED;
  double scale = 1;     // bandwidth of e^-s
  bool square = false;  // s goes with the square of the distance, and bandwidths with the root of 1 / t
};

absl::StatusOr<Power> PowerOf(const Similarity& similarity) {
  const double h = similarity.bandwidth();
  switch (similarity.kind()) {
    case Kind::INVERSE_L2:
      return Power{1, Kind::EXPONENTIAL, h, false};
    case Kind::INVERSE_L1:
      return Power{1, Kind::LAPLACIAN, h, false};
    case Kind::CAUCHY:
      return Power{1, Kind::GAUSSIAN, h / std::sqrt(2.0), true};
    case Kind::RATIONAL_QUADRATIC:
      return Power{similarity.spec().alpha(), Kind::GAUSSIAN, h, true};
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("sums of exponentials are for inverse_l1, inverse_l2, cauchy and rational_quadratic, not ",
                       similarity.name()));
  }
}

// s of the two points of the domain that are farthest apart.
double LargestS(const Power& power, const Domain& domain) {
  double distance = domain.Diameter();
  if (power.exponential == Kind::LAPLACIAN) {
    distance = domain.is_ball() ? distance * std::sqrt(static_cast<double>(domain.dimension())) : 0;
    for (size_t i = 0; i < domain.dimension() && !domain.is_ball(); ++i) distance += domain.width(i);
  }
  const double ratio = distance / power.scale;
  return power.square ? ratio * ratio / 2 : ratio;
}

struct Node {
  double weight, rate;
};

constexpr int kMostRefinements = 50;
constexpr size_t kMostNodes = 2000;

// The trapezoid rule, largest rates first; more than kMostNodes are cut short.
std::vector<Node> Nodes(double a, double step) {
  constexpr double kSmallest = 1e-12;
  std::vector<Node> nodes;
  // Density of u = log t: a^a e^(a u - a e^u) / Gamma(a), with its mode at 0.
  const auto node = [&](int i) {
    const double u = i * step;
    return Node{step * std::exp(a * (std::log(a) + u - std::exp(u)) - std::lgamma(a)), std::exp(u)};
  };
  for (int i = 0; i <= static_cast<int>(kMostNodes) && node(i).weight > kSmallest; ++i) nodes.push_back(node(i));
  std::reverse(nodes.begin(), nodes.end());
  for (int i = -1; i >= -static_cast<int>(kMostNodes) && node(i).weight > kSmallest; --i) nodes.push_back(node(i));
  return nodes;
}

}  // namespace

absl::StatusOr<ExponentialSum> MakeExponentialSum(const Similarity& similarity, const absl::optional<Domain>& domain,
                                                  double tolerance) {
  DPKDE_ASSIGN_OR_RETURN(const Power power, PowerOf(similarity));
  if (!(tolerance >= 1e-6 && tolerance <= 0.5)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tolerance of a sum of exponentials must be at least 1e-6 and at most 0.5, but is ", tolerance));
  }
  const double infinity = std::numeric_limits<double>::infinity();
  const double most = domain.has_value() ? LargestS(power, *domain) : infinity;
  const double a = power.a;
  // The rule converges geometrically once the step resolves the density, whose width in log t is 1 / sqrt(a).
  double step = 3 / std::sqrt(std::max(a, 1.0));
  for (int refined = 0; refined < kMostRefinements; ++refined, step *= 0.9) {
    const std::vector<Node> nodes = Nodes(a, step);
    if (nodes.empty() || nodes.size() > kMostNodes) break;
    size_t begin = 0, end = nodes.size();
    // A quarter of the tolerance each for what is left out and for what counts as constant.
    for (double left_out = 0; begin + 1 < end && (left_out += nodes[begin].weight) <= tolerance / 4;) ++begin;
    double constant = 0;
    for (double error = 0; begin + 1 < end; constant += nodes[--end].weight) {
      const Node& last = nodes[end - 1];
      error += last.weight * (most < infinity ? -std::expm1(-last.rate * most) : 1);
      if (error > tolerance / 4) break;
    }
    double error = 0;
    const auto check = [&](double s) {
      double sum = constant;
      for (size_t j = begin; j < end; ++j) sum += nodes[j].weight * std::exp(-nodes[j].rate * s);
      error = std::max(error, std::abs(sum - std::pow(1 + s / a, -a)));
    };
    check(0);
    // Beyond 10^6 times where everything but the constant has vanished nothing changes.
    const double last_s = std::min(most, 1e6 * (1 + a) / nodes[end - 1].rate);
    for (double s = 1e-3; s < last_s; s *= 1.05) check(s);
    check(last_s);
    if (!(error <= tolerance)) continue;
    ExponentialSum sum;
    sum.constant = constant;
    sum.error = error;
    for (size_t j = begin; j < end; ++j) {
      Kind spec;
      spec.set_kind(power.exponential);
      spec.set_bandwidth(power.scale / (power.square ? std::sqrt(nodes[j].rate) : nodes[j].rate));
      DPKDE_ASSIGN_OR_RETURN(const Similarity kernel, Similarity::Create(spec));
      sum.terms.push_back({nodes[j].weight, kernel});
    }
    return sum;
  }
  return absl::InvalidArgumentError(absl::StrCat("alpha is too small or too large for a sum of exponentials: ", a));
}

std::vector<CoordinateGroup> ExponentialSumGroups(const ExponentialSum& sum, size_t features) {
  std::vector<CoordinateGroup> groups;
  for (size_t j = 0; j < sum.terms.size(); ++j) {
    groups.push_back(LsqRffGroups(features)[0]);
    groups.back().first = j * features;
    groups.back().mean_square_weight *= sum.terms[j].weight * sum.terms[j].weight;
  }
  groups.push_back(CountGroup(sum.terms.size() * features, sum.constant));
  return groups;
}

double ExponentialSumApproximationError(const Similarity& similarity, const ExponentialSum& sum, double n,
                                        double expected_similarity, double features, double dimension, bool typical) {
  const Power power = *PowerOf(similarity);
  const double s = power.a * (std::pow(expected_similarity, -1 / power.a) - 1);
  double square = std::pow(n * sum.error, 2);
  for (const ExponentialSum::Term& term : sum.terms) {
    const double ratio = power.scale / term.kernel.bandwidth();
    double error = 0;
    for (double of_term : {expected_similarity, std::exp(-s * (power.square ? ratio * ratio : ratio))}) {
      error = std::max(error, typical ? TypicalLsqRffApproximationError(n, of_term, features, dimension)
                                      : LsqRffApproximationError(n, of_term, features));
    }
    square += std::pow(term.weight * error, 2);
  }
  return std::sqrt(square);
}

namespace {

class ExponentialSumFunction final : public ReleasedFunction {
 public:
  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    const double variance = constant_ * constant_ * count_variance_;
    for (Answer& answer : answers) {
      answer = Answer();
      answer.sum = constant_ * count_;
      answer.noise_variance = variance;
      answer.count_covariance = constant_ * count_variance_;
      answer.total_variance = variance + std::pow(error_ * count_, 2);
    }
    std::vector<Answer> of_term(queries.rows);
    for (size_t j = 0; j < terms_.size(); ++j) {
      terms_[j]->Evaluate(queries, absl::MakeSpan(of_term));
      for (size_t q = 0; q < queries.rows; ++q) {
        answers[q].sum += weights_[j] * of_term[q].sum;
        answers[q].noise_variance += weights_[j] * weights_[j] * of_term[q].noise_variance;
        *answers[q].total_variance += weights_[j] * weights_[j] * *of_term[q].total_variance;
      }
    }
  }

 private:
  friend class ExponentialSumDesign;

  std::vector<std::unique_ptr<ReleasedFunction>> terms_;
  std::vector<double> weights_;
  double constant_ = 0, error_ = 0;
  double count_ = 0, count_variance_ = 0;
};

class ExponentialSumDesign final : public Design {
 public:
  // `designs` are those of the sum's terms.
  ExponentialSumDesign(const Similarity& similarity, ExponentialSum sum, std::vector<std::unique_ptr<Design>> designs,
                       proto::ExponentialSumSpec spec)
      : similarity_(similarity),
        sum_(std::move(sum)),
        designs_(std::move(designs)),
        features_(spec.features()),
        groups_(ExponentialSumGroups(sum_, features_)) {
    *spec_.mutable_exponential_sum() = std::move(spec);
  }

  size_t dimension() const override { return designs_[0]->dimension(); }
  size_t count_coordinate() const override { return designs_.size() * features_; }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return absl::nullopt; }
  uint64_t LargestCoordinate() const override { return designs_[0]->LargestCoordinate(); }
  double PredictedApproximationError(double n, double expected_similarity) const override {
    return ExponentialSumApproximationError(similarity_, sum_, n, expected_similarity, features_, dimension(), false);
  }
  double TypicalApproximationError(double n, double expected_similarity) const override {
    return ExponentialSumApproximationError(similarity_, sum_, n, expected_similarity, features_, dimension(), true);
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    PrivateVector<int64_t> of_term(features_ + 1);
    for (size_t j = 0; j < designs_.size(); ++j) {
      std::fill(of_term.begin(), of_term.end(), 0);
      designs_[j]->Accumulate(rows, absl::MakeSpan(of_term));
      for (size_t k = 0; k < features_; ++k) sums[j * features_ + k] += of_term[k];
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const double unit = kGridUnit;
    auto function = std::make_unique<ExponentialSumFunction>();
    function->constant_ = sum_.constant;
    function->error_ = sum_.error;
    function->count_ = values[count_coordinate()] / unit;
    function->count_variance_ = variances[designs_.size()] / (unit * unit);
    for (size_t j = 0; j < designs_.size(); ++j) {
      std::vector<int64_t> of_term(values.begin() + j * features_, values.begin() + (j + 1) * features_);
      of_term.push_back(values[count_coordinate()]);
      function->terms_.push_back(
          designs_[j]->MakeReleasedFunction(of_term, {variances[j], variances[designs_.size()]}));
      function->weights_.push_back(sum_.terms[j].weight);
    }
    return function;
  }

 private:
  Similarity similarity_;
  ExponentialSum sum_;
  std::vector<std::unique_ptr<Design>> designs_;
  size_t features_;
  std::vector<CoordinateGroup> groups_;
  proto::DesignSpec spec_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Design>> MakeExponentialSumDesign(const Similarity& similarity, size_t dimension,
                                                                 const absl::optional<Domain>& domain,
                                                                 const proto::ExponentialSumSpec& spec) {
  DPKDE_RETURN_IF_ERROR(CheckInRange("features", spec.features(), 1, kMostFeatures));
  DPKDE_ASSIGN_OR_RETURN(ExponentialSum sum, MakeExponentialSum(similarity, domain, spec.tolerance()));
  DPKDE_RETURN_IF_ERROR(CheckInRange("features of all terms",
                                     static_cast<int64_t>(spec.features() * sum.terms.size()), 1, kMostFeatures));
  std::vector<std::unique_ptr<Design>> designs;
  std::string fingerprints;
  for (size_t j = 0; j < sum.terms.size(); ++j) {
    proto::LsqRffSpec term;
    term.set_features(spec.features());
    term.set_public_seed(PublicStream(spec.public_seed(), "exponential_sum", j)());
    term.set_scheme_version(spec.scheme_version());
    DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<Design> design,
                           MakeLsqRffDesign(sum.terms[j].kernel, dimension, domain, term));
    absl::StrAppend(&fingerprints, design->spec().lsq_rff().fingerprint());
    designs.push_back(std::move(design));
  }
  const Sha256Digest digest = Sha256(fingerprints);
  proto::ExponentialSumSpec complete = spec;
  complete.set_scheme_version(kPublicRandomScheme);
  complete.set_fingerprint(digest.data(), digest.size());
  DPKDE_RETURN_IF_ERROR(CheckFingerprint("frequencies", spec.fingerprint(), complete.fingerprint()));
  return std::unique_ptr<Design>(
      std::make_unique<ExponentialSumDesign>(similarity, std::move(sum), std::move(designs), std::move(complete)));
}

}  // namespace dpkde
