#ifndef DPKDE_CLASSIFIER_CLASSIFIER_H_
#define DPKDE_CLASSIFIER_CLASSIFIER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/classifier/class_counts.h"
#include "dpkde/classifier/classifier_parts.h"
#include "dpkde/classifier/point_covariance.h"
#include "dpkde/designs/design.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/proto/classifier.pb.h"

namespace dpkde {

// The answer to one query.
struct Prediction {
  // Index of the class with the largest score; of equal ones the first. KERNEL and MOMENTS, whose scores know no prior,
  // leave out classes whose noised count is within 6 standard errors of none, if the average class is twice as large.
  size_t label = 0;
  // One a class. KERNEL: mean similarity of the query and the class's records (of distances with a minus), moved
  // towards that of all records as far as it is noise. MOMENTS: minus half the squared distance from the class's mean,
  // up to a constant. DISCRIMINANT: log probability, up to a constant. LANDMARK_RIDGE: of the regression on 0 and 1.
  std::vector<double> scores;
  // Standard deviation of each score by the noise of its class's sum; that of counts and of the second moment is not
  // in it.
  std::vector<double> std_errors;
};

// Noised sums of the classes of a public label set, and the classification that follows from them.
//
//   DPKDE_ASSIGN_OR_RETURN(Classifier classifier, Classifier::Deserialize(bytes));
//   DPKDE_ASSIGN_OR_RETURN(std::vector<Prediction> predictions, classifier.Classify(queries, pool));
//   classifier.labels()[predictions[0].label]
//
// Made by ClassAccumulator::Privatize or from a file; there is no other way, and none back. Everything it offers is
// post-processing: any number of queries costs no privacy.
//
// How sums become scores, with noise of known variance everywhere: counts get a public prior of a few records a class;
// deviations of class means from the overall mean are shrunk, direction by direction (KERNEL: query by query), by the
// share of their variance that is not noise (empirical Bayes), so that a class whose noise drowns it falls back to the
// overall mean. A covariance is made of the second moment, less what class means explain, is projected to the positive
// semidefinite matrices, and gets a ridge in proportion to the largest eigenvalue that its noise is expected to have.
// Or it is that of the features of points (ClassifierPlan.covariance), with a ridge in proportion to the noise of class
// means; then scores get one spread over those points, and offsets with which classes come up there as often as in the
// records.
//
// Cost: the eigenvectors of m features once, O(m^3), of p points O(p^2 m); a query the features and C m multiply-adds
// (KERNEL: the design's cost of a query, for each class). Immutable; thread-safe. Movable.
class Classifier {
 public:
  // Loading is building: the same checks as for a new release, and the noise scales must guarantee what the certificate
  // states. kDataLoss for damaged or foreign bytes, kFailedPrecondition for another version or for random features that
  // this machine draws otherwise.
  static absl::StatusOr<Classifier> Deserialize(absl::string_view bytes);

  // Whether the bytes begin like a classifier, damaged or not.
  static bool IsClassifier(absl::string_view bytes);

  // Equal classifiers give equal bytes.
  std::string Serialize() const;

  // One prediction a query row; q x dimension(), finite. A query outside of the domain is moved into it, as records
  // are. kInvalidArgument, naming row and column, otherwise. Threads do not change the results.
  absl::StatusOr<std::vector<Prediction>> Classify(MatrixView queries, ThreadPool& pool) const;

  // The conditions of Classify alone; rows are numbered from `first_row` in messages.
  absl::Status CheckQueries(MatrixView queries, uint64_t first_row = 0) const;

  const std::vector<std::string>& labels() const { return labels_; }
  size_t dimension() const { return plan().dimension(); }
  const proto::ClassifierPlan& plan() const { return message_.plan(); }
  const proto::Certificate& certificate() const { return message_.certificate(); }
  // Without the values.
  proto::ClassifierRelease Outline() const;

  // The certificate and the plan in words, for a terminal.
  std::string DebugString() const;

  static constexpr uint32_t kVersion = 1;

 private:
  friend class ClassAccumulator;
  friend class ClassifierTestPeer;

  static absl::StatusOr<Classifier> FromProto(proto::ClassifierRelease message);
  Classifier(proto::ClassifierRelease message, ClassifierParts parts, Mechanism mechanism);

  void Fit();
  // What each model makes of the counts and of the sums.
  void FitFeatures(const ClassCounts& counts);
  std::vector<double> FitPoints(const ClassCounts& counts, double ridge);
  void MatchPoints(const ClassCounts& counts, const std::vector<double>& points);
  void FitRotation(const ClassCounts& counts, const std::vector<double>& noise, std::vector<double>& deviation,
                   std::vector<double>& eigenvalues);
  void FitKernels(const ClassCounts& counts);
  // Scores and their errors of each row; `predictions`: one a row.
  void ScoreFeatures(MatrixView queries, Prediction* predictions) const;
  void ScoreKernels(MatrixView queries, Prediction* predictions) const;
  void ShrinkMeans(Prediction& prediction) const;
  size_t size() const { return parts_->features->size(); }

  proto::ClassifierRelease message_;
  std::unique_ptr<ClassifierParts> parts_;
  Mechanism mechanism_;
  std::vector<std::string> labels_;
  // A query's features phi become u = rotation (phi - center), and the score of class c <u, weight_c> + offset_c. Its
  // variance is the sum of variance_cj u_j^2; where the covariance C is of points, of those of (C + ridge I)^-1 u.
  std::vector<double> rotation_;  // m x m row-major; empty: the identity
  absl::optional<PointCovariance> solver_;
  std::vector<double> center_;     // m
  std::vector<double> weights_;    // C x m
  std::vector<double> offsets_;    // C
  std::vector<double> variances_;  // C x m
  // KERNEL instead: sums over the records of each class, and how many those are.
  std::vector<std::unique_ptr<ReleasedFunction>> functions_;
  std::vector<double> records_;
  std::vector<bool> candidates_;  // C: whether the class may be predicted
};

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_CLASSIFIER_H_
