#include "dpkde/classifier/classifier_planner.h"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/classifier/class_features.h"
#include "dpkde/classifier/class_kernel.h"
#include "dpkde/classifier/classifier_parts.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/privacy/gaussian_calibration.h"

namespace dpkde {
namespace {

using Plan = proto::ClassifierPlan;

// Largest admissible: what any accumulator holds, see Accumulator.
constexpr uint64_t kCapacity = uint64_t{1} << 40;

constexpr double kPureSecondShare = 0.5;
constexpr double kGaussianSecondShare = 0.3;  // of mu^2
// Coordinates as they are cost nothing but noise.
constexpr uint32_t kMostLinear = 1024;
constexpr uint32_t kMostRank = 768;
constexpr uint32_t kMostMoments = 4096;
// Of a discriminant with a covariance of their own.
constexpr uint32_t kMostFourier = 384;
// Of Fourier features with the covariance of points: the fewest, the norm of a class mean's noise, and, of normal
// points, what part of mu^2 the second moment of the coordinates gets.
constexpr double kFewestOfPoints = 256, kMostOfPoints = 8192;
constexpr double kPointsRadius = 0.6;
constexpr double kNormalShare = 0.05;

const std::vector<double>& OriginOf(const ClassifierInputs& inputs) {
  return inputs.domain.has_value() ? inputs.domain->origin() : inputs.origin;
}

class Planner {
 public:
  Planner(const ClassifierInputs& inputs, ThreadPool& pool) : inputs_(inputs), pool_(pool) {}

  absl::StatusOr<ClassifierChoice> Choose() {
    DPKDE_RETURN_IF_ERROR(Prepare());
    DPKDE_RETURN_IF_ERROR(inputs_.kernel.has_value() ? ChooseKernel() : ChooseFeatures());
    // Everything else that may not go together.
    DPKDE_RETURN_IF_ERROR(BuildClassifierPlan(choice_.plan).status());
    return choice_;
  }

  absl::StatusOr<ClassDensityPlan> ChooseDensity() {
    DPKDE_RETURN_IF_ERROR(Prepare());
    return PlanDensity();
  }

 private:
  // What all models have in common, and what noise the budget buys.
  absl::Status Prepare() {
    Plan& plan = choice_.plan;
    if (!(inputs_.public_n > 0)) return absl::InvalidArgumentError("public_n must be positive");
    DPKDE_RETURN_IF_ERROR(CheckLabels(inputs_.labels));
    DPKDE_ASSIGN_OR_RETURN(const PrivacySpec step, StepPrivacy(inputs_.privacy));
    gaussian_ = inputs_.mechanism.has_value() ? *inputs_.mechanism == proto::GAUSSIAN : step.allows_gaussian();
    if (gaussian_ && !step.allows_gaussian()) {
      return absl::InvalidArgumentError("the gaussian mechanism needs delta or rho: it cannot be pure");
    }
    budget_ = step.epsilon();
    if (gaussian_ && step.rho().has_value()) budget_ = std::sqrt(2 * *step.rho());
    if (gaussian_ && !step.rho().has_value()) {
      DPKDE_ASSIGN_OR_RETURN(budget_, LargestGaussianMu(step.epsilon(), *step.delta()));
    }
    n_ = inputs_.public_n / inputs_.labels.size();

    plan.set_dimension(static_cast<uint32_t>(inputs_.dimension));
    if (inputs_.domain.has_value()) *plan.mutable_domain() = inputs_.domain->ToProto();
    const std::vector<double>& origin = OriginOf(inputs_);
    *plan.mutable_origin() = {origin.begin(), origin.end()};
    for (const std::string& label : inputs_.labels) plan.add_label(label);
    *plan.mutable_privacy() = inputs_.privacy.ToProto();
    plan.set_capacity(kCapacity);

    if (inputs_.kernel.has_value() != (inputs_.model == proto::ClassifierPlan_Model_KERNEL)) {
      return absl::InvalidArgumentError("the kernel model, and no other, needs a similarity");
    }
    if (inputs_.reference.rows > 0 && inputs_.reference.columns != inputs_.dimension) {
      return absl::InvalidArgumentError(absl::StrCat("reference points must have ", inputs_.dimension,
                                                     " columns, but have ", inputs_.reference.columns));
    }
    return absl::OkStatus();
  }

  absl::Status ChooseFeatures() {
    Plan& plan = choice_.plan;
    const absl::optional<Plan::Model> model = inputs_.model;
    const bool given = inputs_.reference.rows > 0;
    plan.set_mechanism(inputs_.mechanism.value_or(gaussian_ ? proto::GAUSSIAN : proto::KNORM));
    plan.mutable_features()->set_unit_rows(inputs_.unit_rows);
    // Fewer classes are told apart by landmark features as well, or better (shuttle at (.5, 1e-6): .96 against .80).
    const bool by_fourier =
        gaussian_ && crowded() &&
        model.value_or(proto::ClassifierPlan_Model_DISCRIMINANT) == proto::ClassifierPlan_Model_DISCRIMINANT;
    // Landmark features are too fine for much noise; coarse class means are better then.
    const bool too_noisy = by_fourier ? !AffordsPoints() : gaussian_ ? MostFeatures(0.3) < 128 : budget_ * n_ < 50;
    const bool has_reference = given && (!too_noisy || model.has_value() || inputs_.features.has_value());
    if (model == proto::ClassifierPlan_Model_LANDMARK_RIDGE && !has_reference) {
      return absl::InvalidArgumentError("the landmark_ridge model needs reference points");
    }
    if (model == proto::ClassifierPlan_Model_MOMENTS && given) {
      return absl::InvalidArgumentError("the moments model takes no reference points");
    }
    if (has_reference && by_fourier) {
      DPKDE_RETURN_IF_ERROR(SetReferenceCovariance());
    } else if (has_reference) {
      DPKDE_RETURN_IF_ERROR(SetLandmarks());
      // The discriminant shrinks what is noise; where little is, the regression is better.
      const bool regress = gaussian_ && MostFeatures(0.3) >= 2500;
      plan.set_model(model.value_or(regress ? proto::ClassifierPlan_Model_LANDMARK_RIDGE
                                            : proto::ClassifierPlan_Model_DISCRIMINANT));
      choice_.reason = absl::StrCat(plan.features().landmark().landmarks().rank(), " features of ",
                                    plan.features().landmark().landmarks().landmarks(),
                                    " public landmarks, whose covariance is public too");
    } else {
      SetWithoutReference();
      if (given) choice_.reason += "; the reference is left out, since its features are too fine for so much noise";
    }
    return absl::OkStatus();
  }

  absl::Status ChooseKernel() {
    if (inputs_.features.has_value() || inputs_.bandwidth.has_value()) {
      return absl::InvalidArgumentError("the kernel model takes neither class features nor their bandwidth");
    }
    Plan& plan = choice_.plan;
    DPKDE_ASSIGN_OR_RETURN(const ClassDensityPlan density, PlanDensity());
    const Candidate& best = density.result.candidates[0];
    const proto::ReleasePlan release = MakeReleasePlan(density.inputs, best);
    plan.set_model(proto::ClassifierPlan_Model_KERNEL);
    plan.set_mechanism(release.mechanism());
    proto::ClassKernelSpec& kernel = *plan.mutable_kernel();
    *kernel.mutable_similarity() = release.similarity();
    *kernel.mutable_design() = release.design();
    kernel.set_unit_rows(inputs_.unit_rows);
    choice_.reason = absl::StrFormat("%s, %d values a class; predicted error of a sum over %.4g records %.4g (typical)",
                                     DescribeDesign(release.design()), best.num_coordinates, n_, best.typical_error());
    // Of records spread evenly, which those of a class are not, nothing is said.
    if (density.inputs.expected_similarity.has_value() || density.inputs.landmarks != nullptr) {
      choice_.warnings = density.result.warnings;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ClassDensityPlan> PlanDensity() {
    const KernelInputs& kernel = *inputs_.kernel;
    DPKDE_ASSIGN_OR_RETURN(const PrivacySpec step, StepPrivacy(inputs_.privacy));
    DPKDE_ASSIGN_OR_RETURN(absl::optional<Domain> domain,
                           ClassKernelDomain(inputs_.unit_rows, inputs_.dimension, inputs_.domain));
    PlanInputs inputs{kernel.similarity, inputs_.dimension, std::move(domain), step};
    inputs.public_n = n_;
    inputs.expected_similarity = kernel.expected_similarity;
    inputs.design = kernel.design;
    inputs.mechanism = inputs_.mechanism;
    inputs.features = kernel.features;
    inputs.reduce_to = kernel.reduce_to;
    inputs.public_seed = inputs_.public_seed;
    inputs.least_count_share = kKernelCountShare;
    inputs.most_coordinates = kMostClassValues / inputs_.labels.size();
    inputs.all_reasons = inputs_.all_reasons;
    inputs.landmarks = kernel.landmarks;
    if (inputs.landmarks == nullptr && inputs_.reference.rows > 0) {
      DPKDE_ASSIGN_OR_RETURN(inputs.landmarks, FitKernelLandmarks(inputs_, pool_));
    }
    DPKDE_ASSIGN_OR_RETURN(PlanResult result, dpkde::Plan(inputs));
    std::vector<Candidate>& candidates = result.candidates;
    if (candidates[0].design.has_landmark()) {
      const auto choice = ChooseNearLandmarks(candidates);
      std::rotate(candidates.begin(), choice, choice + 1);
    }
    return ClassDensityPlan{std::move(inputs), std::move(result)};
  }

  // What is predicted of landmarks is the error of records like the whole reference; classes differ in what few of them
  // leave. So as many features as the noise of class means affords; where those are more than there are, another
  // design.
  std::vector<Candidate>::iterator ChooseNearLandmarks(std::vector<Candidate>& candidates) const {
    uint32_t best = 0, largest = 0;
    for (const Candidate& candidate : candidates) {
      const uint32_t rank = candidate.design.landmark().rank();
      largest = std::max(largest, rank);
      if (rank <= MostLandmarkFeatures()) best = std::max(best, rank);
    }
    const auto other = std::find_if(candidates.begin(), candidates.end(),
                                    [](const Candidate& candidate) { return !candidate.design.has_landmark(); });
    if (MostLandmarkFeatures() > largest && other != candidates.end()) return other;
    return std::find_if(candidates.begin(), candidates.end(),
                        [&](const Candidate& candidate) { return candidate.design.landmark().rank() == best; });
  }

  // How many landmark features the noise of class means affords.
  double MostLandmarkFeatures() const {
    return gaussian_ ? std::max(64.0, MostFeatures(0.3)) : std::max(16.0, 0.55 * std::sqrt(budget_ * inputs_.public_n));
  }

  // Standard deviation of a coordinate of a sum of m features, in records, at this share of the budget.
  double Noise(double m, double share) const {
    return gaussian_ ? 1 / (budget_ * std::sqrt(share)) : std::sqrt(m + 1) / (budget_ * share);
  }

  // The largest m for which the noise of a class mean, of norm Noise(m) sqrt(m) / n, is below `radius`.
  double MostFeatures(double radius) const {
    return gaussian_ ? std::pow(radius * n_ * budget_, 2) : radius * n_ * budget_;
  }

  double second_share() const { return gaussian_ ? kGaussianSecondShare : kPureSecondShare; }

  bool AffordsSecondMoment(double m, double factor) const {
    return Noise(m * (m + 1) / 2, second_share()) * std::sqrt(2 * m) * m <= factor * inputs_.public_n;
  }

  // Few coordinates are too few features.
  bool few() const { return inputs_.dimension < 64; }

  // More classes than coordinates crowd linear scores. Of fewer than 8 coordinates a few features tell all (letter by
  // 2, 4, 8 and 12 of its coordinates).
  bool crowded() const { return inputs_.dimension >= 8 && few() && inputs_.labels.size() > inputs_.dimension; }

  // Whether Fourier features with the covariance of points are worth their noise.
  bool AffordsPoints() const { return MostFeatures(0.8) >= kFewestOfPoints; }

  absl::StatusOr<std::vector<float>> ScaledReference() const {
    if (!inputs_.unit_rows && !inputs_.domain.has_value()) {
      return absl::InvalidArgumentError("a classifier needs a domain, or unit rows");
    }
    std::vector<float> scaled(inputs_.reference.rows * inputs_.dimension);
    for (size_t r = 0; r < inputs_.reference.rows; ++r) {
      ScaleRecord(inputs_.reference.row(r).data(), inputs_.dimension, inputs_.unit_rows, inputs_.domain,
                  scaled.data() + r * inputs_.dimension);
    }
    return scaled;
  }

  // Fourier features, as many as a class mean's noise allows, for a covariance of points.
  void SetFourierOfPoints(proto::ClassifierPlan::Covariance covariance) {
    choice_.plan.set_model(proto::ClassifierPlan_Model_DISCRIMINANT);
    choice_.plan.set_covariance(covariance);
    SetFourier(static_cast<uint32_t>(std::clamp<double>(MostFeatures(kPointsRadius), kFewestOfPoints, kMostOfPoints)));
  }

  absl::Status SetReferenceCovariance() {
    DPKDE_ASSIGN_OR_RETURN(const std::vector<float> scaled, ScaledReference());
    SetFourierOfPoints(proto::ClassifierPlan_Covariance_OF_REFERENCE);
    const size_t given = inputs_.reference.rows, d = inputs_.dimension;
    const size_t used = std::min<size_t>(given, kMostReference);
    // In an order of their own: a file may be sorted.
    std::vector<size_t> order(given);
    std::iota(order.begin(), order.end(), size_t{0});
    boost::random::mt19937_64 engine = PublicStream(inputs_.public_seed, "reference of a covariance", 0);
    for (size_t i = 0; i < used; ++i) {
      std::swap(order[i], order[boost::random::uniform_int_distribution<size_t>(i, given - 1)(engine)]);
      const float* const point = scaled.data() + order[i] * d;
      choice_.plan.mutable_reference()->Add(point, point + d);
    }
    choice_.reason = absl::StrCat("Fourier features, with the covariance of ", used, " public points");
    return absl::OkStatus();
  }

  absl::Status SetLandmarks() {
    const double bandwidth =
        inputs_.bandwidth.value_or(inputs_.unit_rows ? (gaussian_ ? 0.5 : 0.65) : (gaussian_ ? 0.225 : 0.32));
    DPKDE_RETURN_IF_ERROR(CheckPositive("bandwidth", bandwidth));
    DPKDE_ASSIGN_OR_RETURN(const std::vector<float> scaled, ScaledReference());
    proto::SimilaritySpec gaussian;
    gaussian.set_kind(proto::SimilaritySpec::GAUSSIAN);
    gaussian.set_bandwidth(bandwidth);
    DPKDE_ASSIGN_OR_RETURN(const Similarity similarity, Similarity::Create(gaussian));
    LandmarkFitOptions options;
    options.public_seed = inputs_.public_seed;
    // Their own covariance stands for that of the records, so they must lie as the reference does.
    options.choice = LandmarkChoice::kUniform;
    DPKDE_ASSIGN_OR_RETURN(
        const LandmarkFit fit,
        LandmarkFit::Create(similarity, absl::nullopt, MatrixView{scaled.data(), inputs_.reference.rows, inputs_.dimension}, options, pool_));
    const double most = inputs_.features.has_value() ? *inputs_.features : MostLandmarkFeatures();
    size_t choice = 0;
    for (size_t i = 0; i < fit.ranks().size(); ++i) {
      if (fit.ranks()[i] <= std::min<double>(most, kMostRank)) choice = i;
    }
    proto::LandmarkFeatureMap& map = *choice_.plan.mutable_features()->mutable_landmark();
    map.set_bandwidth(bandwidth);
    *map.mutable_landmarks() = fit.Complete(fit.outline(choice));
    return absl::OkStatus();
  }

  void SetFourier(uint32_t planned) {
    const uint32_t features = inputs_.features.value_or(planned);
    proto::FourierFeatureMap& map = *choice_.plan.mutable_features()->mutable_fourier();
    map.set_frequencies(std::max<uint32_t>(1, features / 2));
    double bandwidth = inputs_.unit_rows ? 0.7 : 0.35;
    const bool of_points = choice_.plan.covariance() != proto::ClassifierPlan_Covariance_OF_FEATURES;
    if (!inputs_.unit_rows && of_points) bandwidth = 0.3 * std::pow(1024.0 / features, 0.3);
    if (!inputs_.unit_rows && choice_.plan.model() == proto::ClassifierPlan_Model_DISCRIMINANT && !of_points &&
        features >= kMostFourier) {
      bandwidth = 0.28;
    }
    if (!inputs_.unit_rows && choice_.plan.model() == proto::ClassifierPlan_Model_MOMENTS && features >= 512) {
      bandwidth = features >= kMostMoments ? 0.17 : 0.2;
    }
    map.set_bandwidth(inputs_.bandwidth.value_or(bandwidth));
    map.set_public_seed(inputs_.public_seed);
  }

  void SetLinear(double features) {
    proto::LinearFeatureMap& map = *choice_.plan.mutable_features()->mutable_linear();
    map.set_public_seed(inputs_.public_seed);
    const double most =
        inputs_.features.has_value() ? *inputs_.features : std::clamp(features, 16.0, static_cast<double>(kMostLinear));
    if (most < inputs_.dimension) map.set_reduce_to(static_cast<uint32_t>(most));
  }

  void SetDiscriminant() {
    choice_.plan.set_model(proto::ClassifierPlan_Model_DISCRIMINANT);
    choice_.plan.set_second_moment_share(second_share());
  }

  void SetWithoutReference() {
    Plan& plan = choice_.plan;
    const double d = inputs_.dimension;
    uint32_t fourier = 0;
    for (uint32_t m = 24; m <= kMostFourier; m *= 2) {
      if (AffordsSecondMoment(m, gaussian_ ? 4 : 0.5)) fourier = m;
    }
    const bool forced = inputs_.model == proto::ClassifierPlan_Model_DISCRIMINANT;
    const bool may_be_discriminant = inputs_.model != proto::ClassifierPlan_Model_MOMENTS;
    const double least = std::max(96.0, (forced ? 4 : 10) * std::min(d, 24.0));
    if (may_be_discriminant && crowded() && gaussian_ && AffordsPoints()) {
      SetFourierOfPoints(proto::ClassifierPlan_Covariance_OF_NORMAL_POINTS);
      plan.set_second_moment_share(kNormalShare);
      choice_.reason =
          "the noise affords many Fourier features, and a covariance of the coordinates, from which theirs follows";
    } else if (may_be_discriminant && fourier >= least) {
      SetDiscriminant();
      SetFourier(fourier);
      choice_.reason = "the noise affords a covariance of Fourier features";
    } else if (forced || (may_be_discriminant && AffordsSecondMoment(d, 0.5))) {
      SetDiscriminant();
      double most = 4;
      for (double m = 4; m <= 512 && AffordsSecondMoment(m, 4); m *= 1.25) most = m;
      // No fewer than 16, see SetLinear.
      SetLinear(most);
      choice_.reason = "the noise affords a covariance of the coordinates";
    } else {
      plan.set_model(proto::ClassifierPlan_Model_MOMENTS);
      // Mean distances of many coordinates are as good as those of a kernel.
      if (few()) {
        SetFourier(static_cast<uint32_t>(std::clamp<double>(MostFeatures(0.8), 16, kMostMoments)));
      } else {
        SetLinear(MostFeatures(gaussian_ ? 0.5 : 0.2));
      }
      choice_.reason =
          inputs_.model.has_value() ? "class means, as asked for" : "the noise affords class means, but no covariance";
    }
  }

  const ClassifierInputs& inputs_;
  ThreadPool& pool_;
  ClassifierChoice choice_;
  bool gaussian_ = false;
  double budget_ = 0;  // epsilon or mu
  double n_ = 0;       // records a class
};

}  // namespace

absl::StatusOr<ClassifierChoice> PlanClassifier(const ClassifierInputs& inputs, ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", static_cast<int64_t>(inputs.dimension), 1, 65536));
  return Planner(inputs, pool).Choose();
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<ClassDensityPlan> PlanClassDensity(const ClassifierInputs& inputs, ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  return Planner(inputs, pool).ChooseDensity();
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<std::shared_ptr<const LandmarkFit>> FitKernelLandmarks(const ClassifierInputs& inputs,
                                                                      ThreadPool& pool) {
  const MatrixView reference = inputs.reference;
  DPKDE_ASSIGN_OR_RETURN(const absl::optional<Domain> domain,
                         ClassKernelDomain(inputs.unit_rows, inputs.dimension, inputs.domain));
  std::vector<float> placed(reference.rows * inputs.dimension);
  for (size_t r = 0; r < reference.rows; ++r) {
    PlaceInKernelDomain(reference.row(r).data(), inputs.unit_rows, inputs.domain, domain, inputs.dimension,
                        placed.data() + r * inputs.dimension);
  }
  LandmarkFitOptions options;
  options.public_seed = inputs.public_seed;
  options.choice = inputs.kernel->landmark_choice;
  if (!domain.has_value()) options.origin = OriginOf(inputs);
  DPKDE_ASSIGN_OR_RETURN(LandmarkFit fit,
                         LandmarkFit::Create(inputs.kernel->similarity, domain,
                                             CenteredRows({placed.data(), reference.rows, inputs.dimension}), options,
                                             pool));
  return std::make_shared<const LandmarkFit>(std::move(fit));
}

std::string ModelName(Plan::Model model) { return absl::AsciiStrToLower(Plan::Model_Name(model)); }

}  // namespace dpkde
