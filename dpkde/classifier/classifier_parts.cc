#include "dpkde/classifier/classifier_parts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/utf8.h"
#include "dpkde/base/validation.h"
#include "dpkde/classifier/second_moment.h"
#include "dpkde/designs/design.h"
#include "dpkde/sketch/certificate.h"
#include "dpkde/sketch/release_parts.h"

namespace dpkde {
namespace {

using Plan = proto::ClassifierPlan;

constexpr int64_t kMostLabels = 65536;
constexpr int64_t kMostFeatures = 8192;
// Second moments cost the square, in time and noise.
constexpr int64_t kMostDiscriminantFeatures = 2048;
constexpr int64_t kMostNormalDimensions = 512;

// Of the budget; the rest is shared by second_moment_share.
constexpr double kCountShare = 0.02;

double Up(double value) { return std::nextafter(value * (1 + 1e-15), std::numeric_limits<double>::infinity()); }

// The weight with which Mechanism::Calibrate gives the group this share.
double WeightFor(double share, const CoordinateGroup& group, proto::Mechanism mechanism) {
  const double l1 = group.add_remove.l1, l2 = group.add_remove.l2;
  if (mechanism == proto::GAUSSIAN) return share * share / (l2 * l2) * 1e12;
  return std::pow(share, 3) / (mechanism == proto::KNORM ? (group.count + 1.0) * l2 * l2 : l1 * l1) * 1e12;
}

// Of m features and a second moment of `moments` of them.
std::vector<CoordinateGroup> ViewGroups(size_t m, size_t moments, const Plan& plan) {
  const uint64_t unit = kGridUnit;
  const auto ball = [&](size_t first, size_t count, double share) {
    CoordinateGroup group;
    group.first = first;
    group.count = count;
    group.shape = GroupShape::kBall;
    group.add_remove = {static_cast<uint64_t>(std::ceil(std::sqrt(static_cast<double>(count)) * unit)), unit};
    group.replace = {2 * group.add_remove.l1, 2 * group.add_remove.l2};
    group.mean_square_weight = WeightFor(share, group, plan.mechanism());
    return group;
  };
  const double share = plan.second_moment_share();
  std::vector<CoordinateGroup> groups = {ball(0, m, 1 - share)};
  if (share > 0) groups.push_back(ball(m, SecondMomentSize(moments), share));
  CoordinateGroup count;
  count.first = groups.back().first + groups.back().count;
  count.count = 1;
  count.add_remove = {unit, unit};
  count.replace = {2 * unit, 2 * unit};
  count.least_share = kCountShare;
  groups.push_back(count);
  return groups;
}

absl::Status CheckCovariance(const Plan& plan) {
  if (plan.covariance() != Plan::OF_FEATURES && plan.covariance() != Plan::OF_NORMAL_POINTS &&
      plan.covariance() != Plan::OF_REFERENCE) {
    return absl::InvalidArgumentError("covariance is unknown");
  }
  const bool of_points = plan.covariance() != Plan::OF_FEATURES;
  if (of_points && !(plan.model() == proto::ClassifierPlan_Model_DISCRIMINANT && plan.features().has_fourier())) {
    return absl::InvalidArgumentError("the covariance of points is for discriminants of fourier features");
  }
  if (plan.covariance() == Plan::OF_NORMAL_POINTS) {
    DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", plan.dimension(), 1, kMostNormalDimensions));
  }
  if (plan.covariance() != Plan::OF_REFERENCE) {
    return plan.reference_size() == 0 ? absl::OkStatus()
                                      : absl::InvalidArgumentError("reference points are of no use to this covariance");
  }
  const int64_t d = plan.dimension();
  DPKDE_RETURN_IF_ERROR(
      CheckInRange("number of reference points", plan.reference_size() / d, kFewestReference, kMostReference));
  if (plan.reference_size() % d != 0) {
    return absl::InvalidArgumentError("reference points do not fit the dimension");
  }
  const MatrixView reference = {plan.reference().data(), plan.reference_size() / static_cast<size_t>(d),
                                static_cast<size_t>(d)};
  return CheckFiniteRows(reference, 0);
}

absl::StatusOr<ClassifierParts> BuildKernelPlan(const Plan& plan, absl::optional<Domain> domain,
                                                const PrivacySpec& privacy, const PrivacySpec& step) {
  if (!plan.has_kernel()) return absl::InvalidArgumentError("the kernel is missing");
  if (plan.has_features() || plan.second_moment_share() != 0 || plan.covariance() != Plan::OF_FEATURES ||
      plan.reference_size() > 0) {
    return absl::InvalidArgumentError("the kernel model has neither features nor a covariance");
  }
  DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<ClassKernel> kernel, ClassKernel::Create(plan, domain, step));
  DPKDE_RETURN_IF_ERROR(CheckInRange("labels times values of a class",
                                     static_cast<int64_t>(kernel->design().num_coordinates()) * plan.label_size(), 1,
                                     kMostClassValues));
  // REPLACE: twice ADD_REMOVE, the count included, as for weights of either sign.
  std::vector<CoordinateGroup> groups = WeightedGroups(kernel->design().groups(), /*allow_negative=*/true);
  groups.back().least_share = std::max(groups.back().least_share, kKernelCountShare);
  return ClassifierParts{nullptr, nullptr, std::move(kernel), std::move(domain), privacy, step, std::move(groups)};
}

}  // namespace

absl::Status CheckLabels(absl::Span<const std::string> labels) {
  DPKDE_RETURN_IF_ERROR(CheckInRange("number of labels", static_cast<int64_t>(labels.size()), 1, kMostLabels));
  std::set<std::string> seen;
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::string& label = labels[i];
    if (label.empty()) return absl::InvalidArgumentError("a label is empty");
    if (!IsUtf8(label)) return absl::InvalidArgumentError(absl::StrCat("label ", i + 1, " is not UTF-8"));
    if (!seen.insert(label).second) return absl::InvalidArgumentError(absl::StrCat("label '", label, "' comes twice"));
  }
  return absl::OkStatus();
}

absl::StatusOr<PrivacySpec> StepPrivacy(const PrivacySpec& privacy) {
  if (privacy.rho().has_value()) {
    return PrivacySpec::Zcdp(privacy.neighboring() == Neighboring::kReplace ? *privacy.rho() / 4 : *privacy.rho(),
                             Neighboring::kAddRemove);
  }
  const bool two = privacy.neighboring() == Neighboring::kReplace;
  const double epsilon = two ? privacy.epsilon() / 2 : privacy.epsilon();
  if (!privacy.delta().has_value()) return PrivacySpec::Pure(epsilon, Neighboring::kAddRemove);
  return PrivacySpec::Approximate(epsilon, two ? *privacy.delta() / Up(1 + std::exp(epsilon)) : *privacy.delta(),
                                  Neighboring::kAddRemove);
}

NoiseGuarantee WholeGuarantee(const NoiseGuarantee& step, const PrivacySpec& privacy) {
  if (privacy.neighboring() == Neighboring::kAddRemove) return step;
  NoiseGuarantee whole = step;
  const double twice = Up(1 + std::exp(step.epsilon));
  whole.epsilon = 2 * step.epsilon;
  whole.delta = std::min(Up(step.delta * twice), privacy.delta().value_or(0));
  whole.sampler_delta = Up(step.sampler_delta * twice);
  whole.rho = 4 * step.rho;
  whole.mu = 2 * step.mu;
  whole.total_variation = 2 * step.total_variation;
  return whole;
}

absl::StatusOr<ClassifierParts> BuildClassifierPlan(const Plan& plan) {
  DPKDE_ASSIGN_OR_RETURN(PrivacySpec privacy, PrivacySpec::FromProto(plan.privacy()));
  DPKDE_ASSIGN_OR_RETURN(PrivacySpec step, StepPrivacy(privacy));
  DPKDE_RETURN_IF_ERROR(CheckLabels(std::vector<std::string>(plan.label().begin(), plan.label().end())));
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", plan.dimension(), 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("capacity", plan.capacity(), 1, int64_t{1} << 40));
  if (plan.has_planning_count()) {
    DPKDE_RETURN_IF_ERROR(CheckPositive("epsilon of the planning count", plan.planning_count().epsilon()));
  }
  absl::optional<Domain> domain;
  const std::vector<double> origin(plan.origin().begin(), plan.origin().end());
  if (plan.has_domain()) {
    DPKDE_ASSIGN_OR_RETURN(domain, Domain::FromProto(plan.domain(), origin));
  }
  DPKDE_RETURN_IF_ERROR(CheckPlanOrigin(origin, plan.dimension()));
  if (!origin.empty() && (plan.features().unit_rows() || plan.kernel().unit_rows())) {
    return absl::InvalidArgumentError("unit rows have no origin: lengths are from 0");
  }
  if (plan.model() == proto::ClassifierPlan_Model_KERNEL) {
    return BuildKernelPlan(plan, std::move(domain), privacy, step);
  }
  if (plan.has_kernel()) return absl::InvalidArgumentError("a kernel is of the kernel model alone");
  const proto::ClassFeatureSpec& spec = plan.features();
  const bool landmarks = spec.has_landmark();
  switch (plan.model()) {
    case proto::ClassifierPlan_Model_MOMENTS:
      if (landmarks) return absl::InvalidArgumentError("the moments model needs linear or fourier features");
      break;
    case proto::ClassifierPlan_Model_DISCRIMINANT:
      break;
    case proto::ClassifierPlan_Model_LANDMARK_RIDGE:
      if (!landmarks) return absl::InvalidArgumentError("the landmark_ridge model needs landmarks");
      break;
    default:
      return absl::InvalidArgumentError("the model is missing or unknown");
  }
  if (spec.has_homogeneous()) return absl::InvalidArgumentError("homogeneous features are of second moments alone");
  DPKDE_RETURN_IF_ERROR(CheckCovariance(plan));
  const bool second_moment =
      plan.model() == proto::ClassifierPlan_Model_DISCRIMINANT && !landmarks && plan.covariance() != Plan::OF_REFERENCE;
  const double share = plan.second_moment_share();
  if (second_moment ? !(share > 0 && share < 1) : share != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("second moment share must be ", second_moment ? "between 0 and 1" : "0", ", but is ", share));
  }
  DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<ClassFeatures> features,
                         ClassFeatures::Create(spec, plan.dimension(), domain));
  std::unique_ptr<ClassFeatures> moment_features;
  if (plan.covariance() == Plan::OF_NORMAL_POINTS) {
    proto::ClassFeatureSpec homogeneous;
    homogeneous.set_unit_rows(spec.unit_rows());
    homogeneous.mutable_homogeneous();
    DPKDE_ASSIGN_OR_RETURN(moment_features, ClassFeatures::Create(homogeneous, plan.dimension(), domain));
  }
  const int64_t m = static_cast<int64_t>(features->size());
  const bool whole = plan.model() == proto::ClassifierPlan_Model_DISCRIMINANT && plan.covariance() == Plan::OF_FEATURES;
  DPKDE_RETURN_IF_ERROR(CheckInRange("number of features", m, 1, whole ? kMostDiscriminantFeatures : kMostFeatures));
  DPKDE_RETURN_IF_ERROR(CheckInRange("labels times features", m * plan.label_size(), 1, kMostClassValues));
  std::vector<CoordinateGroup> groups = ViewGroups(m, moment_features != nullptr ? moment_features->size() : m, plan);
  return ClassifierParts{std::move(features), std::move(moment_features), nullptr, std::move(domain), privacy, step,
                         std::move(groups)};
}

proto::Certificate MakeClassifierCertificate(const Plan& plan, const ClassifierParts& parts,
                                             const Mechanism& mechanism) {
  // The REPLACE sensitivities of the groups are those of two steps.
  proto::Certificate certificate =
      MakeCertificate(plan.privacy(), plan.planning_count().epsilon(), parts.groups,
                      WholeGuarantee(mechanism.guarantee(), parts.privacy), mechanism.SamplerName());
  certificate.set_unit_of_privacy(
      absl::StrReplaceAll(certificate.unit_of_privacy(), {{"row of the input", "row of the input with its label"}}));
  if (parts.kernel != nullptr) certificate.set_note(DesignNote(parts.kernel->spec().design()));
  return certificate;
}

std::string CompositionText(const Plan& plan) {
  if (plan.privacy().neighboring() == proto::ADD_REMOVE) {
    return "parallel over the classes of a public label set: a record is in one class and changes no other, so each "
           "class "
           "gets the whole epsilon; the numbers of records of the classes are private";
  }
  return "a replaced record may change its class and then changes two of them, one as by a removal and one as by an "
         "addition: each class is built for added or removed records at half of epsilon, and two such steps make the "
         "whole; the numbers of records of the classes are private";
}

}  // namespace dpkde
