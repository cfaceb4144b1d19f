#ifndef DPKDE_CLASSIFIER_CLASSIFIER_PLANNER_H_
#define DPKDE_CLASSIFIER_CLASSIFIER_PLANNER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/planner/landmark_fit.h"
#include "dpkde/planner/planner.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/proto/classifier.pb.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// What KERNEL is planned from besides: each class as a density, with fields as in PlanInputs.
struct KernelInputs {
  // In units of the coordinates (of unit rows).
  Similarity similarity;
  absl::optional<double> expected_similarity = absl::nullopt;
  absl::optional<std::string> design = absl::nullopt;
  absl::optional<uint32_t> features = absl::nullopt;
  absl::optional<uint32_t> reduce_to = absl::nullopt;
  LandmarkChoice landmark_choice = LandmarkChoice::kKMeans;
  // Of the reference; nullptr: fitted (FitKernelLandmarks).
  std::shared_ptr<const LandmarkFit> landmarks = nullptr;
};

// Everything that planning may look at: public values only. There is deliberately no reader and no accumulator here.
struct ClassifierInputs {
  size_t dimension = 0;
  absl::optional<Domain> domain;
  bool unit_rows = false;
  // The public label set.
  std::vector<std::string> labels;
  // What the release may spend.
  PrivacySpec privacy;
  // As in PlanInputs: never the row count of a private file.
  double public_n = 0;
  // nullopt: chosen.
  absl::optional<proto::ClassifierPlan::Model> model = absl::nullopt;
  absl::optional<proto::Mechanism> mechanism = absl::nullopt;
  absl::optional<uint32_t> features = absl::nullopt;
  // In units of the scaled record, see ClassFeatureSpec.
  absl::optional<double> bandwidth = absl::nullopt;
  // KERNEL alone, which takes neither features nor bandwidth.
  absl::optional<KernelInputs> kernel = absl::nullopt;
  uint64_t public_seed = 0;
  // As in PlanInputs.
  bool all_reasons = true;
  // Public unlabelled points of the same kind, n x dimension, unscaled, relative to the domain's origin or, without a
  // domain, to `origin`; empty: none are at hand. Landmarks are stored in the release in the clear.
  MatrixView reference = {};
  // KERNEL without a domain and unit rows alone: the plan's origin. A domain brings its own.
  std::vector<double> origin = {};
};

struct ClassifierChoice {
  proto::ClassifierPlan plan;
  // Why, in words.
  std::string reason;
  // What the user should know before paying, as in PlanResult.
  std::vector<std::string> warnings;
};

// Chooses model, features and mechanism by rules from public values; never by accuracy on private data. With n records
// a class expected, and noise of standard deviation s for a sum's coordinate (mu or epsilon of the budget's share):
//
//   of 8 to 63 dimensions, with more classes than coordinates, which crowds linear scores of few features, and Gaussian
//     noise that affords 256 Fourier features of the class means (noise of .8 of the unit ball): the discriminant of as
//     many as keep that noise below .6 (8,192 at most), with the covariance of at most 1,536 of the reference points,
//     or of normal points;
//   else with reference points landmark features, with Gaussian noise as many as keep that of a class mean below .3 of
//     the unit ball, with pure noise .55 times the root of epsilon and all records (16 at least); the discriminant,
//     which shrinks what is noise, or, where noise would allow 2,500 features, the regression on the public covariance.
//     Where noise allows fewer than 128 features (pure: epsilon times the records of a class is below 50), and neither
//     another model nor features are asked for, the reference is left out;
//   else a discriminant with the features' own covariance, as long as the noise's largest expected eigenvalue is small
//     beside covariances of m even directions, s_2 sqrt(2 m) m <= f n: of Fourier features with Gaussian noise (m of
//     24, 48, .. 384, f = 4) where at least 96, and 10 times as many as coordinates (of which 24 count), are
//     affordable; of the coordinates themselves (f = 1/2);
//   else moments: of Fourier features below 64 dimensions (4,096 at most), of coordinates from there on, after a random
//     projection if need be; as many as keep the noise of a class mean below .8 and .5 of the unit ball (pure noise: .8
//     and .2).
//
// KERNEL is chosen only if it is asked for: then the density planner (planner.h) chooses design, size and noise for one
// class, an equal part of the records, at the step's budget (classifier_parts.h). Of landmarks it takes as many
// features as the other models do, and none where noise affords more than there are: the least error of sums over
// records like the whole reference would be that of few features, in which classes are alike (letter, pure epsilon = 1:
// 6 features, .13 of the labels right; 55: .51).
//
// The constants, bandwidths (in units of the scaled record: Fourier .7 for unit rows, .35 for domains, .28 for
// discriminants of 384 features, .3 (1024 / m)^.3 for those of m with the covariance of points, .2 for moments of 512
// and .17 for those of 4,096; landmarks .5 and .225 with Gaussian noise, .65 and .32 with pure) and shares were chosen
// by test accuracy on random splits of letter and mnist10k; figures of those two data sets flatter
// (docs/classification.md).
//
// kInvalidArgument, naming the field, for what does not go together. No privacy effect.
absl::StatusOr<ClassifierChoice> PlanClassifier(const ClassifierInputs& inputs, ThreadPool& pool);

// KERNEL: what the density planner is asked about one class, and its candidates, the choice first.
struct ClassDensityPlan {
  PlanInputs inputs;
  PlanResult result;
};
absl::StatusOr<ClassDensityPlan> PlanClassDensity(const ClassifierInputs& inputs, ThreadPool& pool);

// KERNEL: the landmarks of the reference, for KernelInputs. kInvalidArgument as LandmarkFit::Create.
absl::StatusOr<std::shared_ptr<const LandmarkFit>> FitKernelLandmarks(const ClassifierInputs& inputs, ThreadPool& pool);

// "kernel", "moments", "discriminant", "landmark_ridge".
std::string ModelName(proto::ClassifierPlan::Model model);

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_CLASSIFIER_PLANNER_H_
