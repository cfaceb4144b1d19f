#ifndef DPKDE_CLASSIFIER_CLASSIFIER_PARTS_H_
#define DPKDE_CLASSIFIER_CLASSIFIER_PARTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/classifier/class_features.h"
#include "dpkde/classifier/class_kernel.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/privacy/sensitivity.h"
#include "dpkde/proto/classifier.pb.h"
#include "dpkde/similarity/domain.h"

namespace dpkde {

// A classifier's plan turned into the objects it describes, validated. Shared by what builds one and what loads one.
//
// What is released, for C classes and m features: for each class the sum of its records' features and its number of
// records; for most discriminants besides, once, the sum over all records of psi psi^T, psi either the same features or
// (z, 1) / sqrt 2 (ClassifierPlan.covariance), which has length at most 1 too. KERNEL: for each class a density
// release, the sum of its records' coordinates by a design.
//
// ADD_REMOVE. A record x of class c changes the sum of class c by a vector of norm at most 2^20 (checked in integers),
// the count of class c by 2^20, and the second moment by a vector of norm at most 2^20 (second_moment.h); nothing of
// any other class. (KERNEL: the design's groups of class c, by no more than the ADD_REMOVE sensitivities that are
// proven beside the design, since what is added is q of that record alone, moved by a public map; its count is noised
// like the rest.) The noise of different classes and groups is independent, so the ratio of densities of the whole
// release at neighbouring datasets is that of one view (sum of class c, second moment, count of class c) alone:
// parallel composition over classes, sequential within a view. So a mechanism calibrated for `groups` with the full
// budget protects the whole. The label set is public, so which classes there are tells nothing: one without records
// gets noise like any other.
//
// REPLACE. A record may change its class and then changes two views: the old one as by a removal, the new one as by an
// addition (the second moment by both). It is two ADD_REMOVE steps, so the mechanism is calibrated for ADD_REMOVE at
// epsilon / 2, by group privacy with delta / (1 + e^(epsilon / 2)), or at rho / 4. The number of all records is public
// under REPLACE, but those of the classes are not: a design's own sensitivities under REPLACE, which leave the count
// without noise, hold for records that stay in one class, and are not used.
struct ClassifierParts {
  // All models but KERNEL.
  std::unique_ptr<ClassFeatures> features;
  // OF_NORMAL_POINTS alone: what the second moment is of.
  std::unique_ptr<ClassFeatures> moment_features;
  // KERNEL alone.
  std::unique_ptr<ClassKernel> kernel;
  absl::optional<Domain> domain;
  PrivacySpec privacy;
  // What the mechanism is calibrated to, ADD_REMOVE; see above.
  PrivacySpec step;
  // Of a view: sum (KERNEL: the design's groups), second moment (if there is one), count.
  std::vector<CoordinateGroup> groups;

  bool has_second_moment() const { return features != nullptr && groups.size() == 3; }
  // Values of the second moment, if there is one.
  size_t second_moment_size() const { return has_second_moment() ? groups[1].count : 0; }
  // Values of a view.
  size_t view_size() const { return groups.back().first + 1; }
  // Values of a class in the release: its sum, and its count.
  size_t class_size() const { return features != nullptr ? features->size() + 1 : kernel->design().num_coordinates(); }
};

// Of a KERNEL release's budget, what the count gets at least. A mean s of n records, whose sum errs by t and whose
// count by u, errs by sqrt(t^2 + s^2 u^2) / n: the 1 % of a density is too little where similarities are not small.
// Mnist10k, pure epsilon = 1, simulated: .67 of the labels right with 1 %, .70 with 5, .72 with 10; letter .48, .46,
// .44.
inline constexpr double kKernelCountShare = 0.05;

// Public points of OF_REFERENCE.
inline constexpr int64_t kFewestReference = 16;
inline constexpr int64_t kMostReference = 1536;

// Of all classes together: what a classifier may hold, 1 GiB.
inline constexpr int64_t kMostClassValues = int64_t{1} << 27;

// kInvalidArgument, naming the field, for a plan that is incomplete or out of range; kFailedPrecondition as
// ClassFeatures::Create.
absl::StatusOr<ClassifierParts> BuildClassifierPlan(const proto::ClassifierPlan& plan);

// kInvalidArgument unless there are 1 to 65536 labels, not empty and different.
absl::Status CheckLabels(absl::Span<const std::string> labels);

// The budget of a mechanism with ADD_REMOVE sensitivities that keeps `privacy`: the same under ADD_REMOVE, half of it
// under REPLACE.
absl::StatusOr<PrivacySpec> StepPrivacy(const PrivacySpec& privacy);

// What the mechanism, calibrated to StepPrivacy, guarantees for the whole: twice the step's under REPLACE, rounded up.
NoiseGuarantee WholeGuarantee(const NoiseGuarantee& step, const PrivacySpec& privacy);

// The certificate of a classifier by this plan and mechanism, and why it holds for all classes together.
proto::Certificate MakeClassifierCertificate(const proto::ClassifierPlan& plan, const ClassifierParts& parts,
                                             const Mechanism& mechanism);
std::string CompositionText(const proto::ClassifierPlan& plan);

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_CLASSIFIER_PARTS_H_
