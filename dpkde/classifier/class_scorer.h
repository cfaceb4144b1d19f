#ifndef DPKDE_CLASSIFIER_CLASS_SCORER_H_
#define DPKDE_CLASSIFIER_CLASS_SCORER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/types/optional.h"
#include "dpkde/base/matrix_view.h"
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

// How sums become scores, with noise of known variance everywhere: counts get a public prior of a few records a class;
// deviations of class means from the overall mean are shrunk, direction by direction (KERNEL: query by query), by the
// share of their variance that is not noise (empirical Bayes), so that a class whose noise drowns it falls back to the
// overall mean. A covariance is made of the second moment, less what class means explain, is projected to the positive
// semidefinite matrices, and gets a ridge in proportion to the largest eigenvalue that its noise is expected to have.
// Or it is that of the features of points (ClassifierPlan.covariance), with a ridge in proportion to the noise of class
// means; then scores get one spread over those points, and offsets with which classes come up there as often as in the
// records.
//
// Post-processing. Cost: the eigenvectors of m features once, O(m^3), of p points O(p^2 m); a query the features and C
// m multiply-adds (KERNEL: the design's cost of a query, for each class). Immutable; thread-safe.
class ClassScorer {
 public:
  // Of a valid release. `parts` must outlive it; the others are not kept.
  ClassScorer(const proto::ClassifierRelease& message, const ClassifierParts& parts, const Mechanism& mechanism);

  // Of queries with as many columns as the plan says, all finite; `predictions`: one a row.
  void Score(MatrixView queries, Prediction* predictions) const;

 private:
  // What each model makes of the counts and of the sums.
  void FitFeatures(const proto::ClassifierRelease& message, const Mechanism& mechanism, const ClassCounts& counts);
  std::vector<double> FitPoints(const proto::ClassifierRelease& message, const Mechanism& mechanism,
                                const ClassCounts& counts, double ridge);
  void MatchPoints(const ClassCounts& counts, const std::vector<double>& points);
  void FitRotation(const proto::ClassifierRelease& message, const Mechanism& mechanism, const ClassCounts& counts,
                   const std::vector<double>& noise, std::vector<double>& deviation, std::vector<double>& eigenvalues);
  void FitKernels(const proto::ClassifierRelease& message, const Mechanism& mechanism, const ClassCounts& counts);
  // Scores and their errors.
  void ScoreFeatures(MatrixView queries, Prediction* predictions) const;
  void ScoreKernels(MatrixView queries, Prediction* predictions) const;
  void ShrinkMeans(Prediction& prediction) const;
  size_t size() const { return parts_->features->size(); }

  const ClassifierParts* parts_;
  size_t classes_;
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

#endif  // DPKDE_CLASSIFIER_CLASS_SCORER_H_
