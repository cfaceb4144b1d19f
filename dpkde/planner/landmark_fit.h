#ifndef DPKDE_PLANNER_LANDMARK_FIT_H_
#define DPKDE_PLANNER_LANDMARK_FIT_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/proto/density.pb.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// How landmarks are taken from three times as many reference points as fit, or more (from fewer, at random). Error of
// sums over 40,000 word vectors (100 dimensions, gaussian of a narrow bandwidth) with 512 landmarks from 4,096 points:
// uniform 45, leverage 46, k-means 33; of a wide bandwidth all alike.
enum class LandmarkChoice {
  kUniform,   // a random subset
  kLeverage,  // half at random, half with probability proportional to what the first half leaves of k(z, z):
              // approximate ridge leverage scores (Musco and Musco 2017); reaches rare kinds of points
  kKMeans,    // centroids of Lloyd's algorithm (Zhang, Tsang, Kwok 2008): every point has its say
};

struct LandmarkFitOptions {
  // 2 to 8192. More: smaller approximation error; a record costs time in proportion, the fit its cube.
  size_t most_landmarks = 2048;
  LandmarkChoice choice = LandmarkChoice::kKMeans;
  uint64_t public_seed = 0;
  // What CenteredRows are relative to where there is no domain.
  std::vector<double> origin;
};

// Landmark designs of every rank from public reference points, and what they would do to data like these.
//
//   DPKDE_ASSIGN_OR_RETURN(LandmarkFit fit, LandmarkFit::Create(similarity, domain, reference, {}, pool));
//   inputs.landmarks = std::make_shared<const LandmarkFit>(std::move(fit));   // of PlanInputs
//
// The reference must be public: landmarks are stored in the release. Nothing here enters a sensitivity, so all of it
// may look at the reference as it likes: the directions (eigenvectors of the Gram matrix), the weights of queries, the
// error to expect. That error is cross-validated: points that were not landmarks stand for records and queries. With
// residual kernel r, the bias of a sum over n records is n E_x r(x, y); E_y (E_x r(x, y))^2 is estimated without bias
// by the mean of r(x, y) r(x', y) over triples of different points (a U-statistic), so it is right even where n E_x r
// is far below what a sum over the few reference points could show.
//
// Cost: 9 L^3 flops for the eigenvectors of L landmarks (4 s at 2,048 on 2 cores), and, where no reference points are
// left over for validation, four fits to three quarters of the landmarks.
//
// Immutable; thread-safe.
class LandmarkFit {
 public:
  // reference: at least 16 rows x dimension, finite. kInvalidArgument otherwise, and for a similarity without
  // landmarks.
  static absl::StatusOr<LandmarkFit> Create(const Similarity& similarity, const absl::optional<Domain>& domain,
                                            MatrixView reference, const LandmarkFitOptions& options, ThreadPool& pool);
  // The same of points relative to the domain's origin or, without a domain, to options.origin.
  static absl::StatusOr<LandmarkFit> Create(const Similarity& similarity, const absl::optional<Domain>& domain,
                                            CenteredRows reference, const LandmarkFitOptions& options,
                                            ThreadPool& pool);

  // What landmarks are relative to; empty: nothing was subtracted.
  const std::vector<double>& origin() const { return origin_; }
  // The largest coordinates of landmarks, one a column.
  std::vector<double> Reach() const;

  // Ranks that are worth considering: spaced geometrically, largest where eigenvalues fall below what float32 resolves.
  absl::Span<const uint32_t> ranks() const { return ranks_; }

  // The design of ranks()[i] without points and projection, which is all that planning needs; and complete.
  const proto::LandmarkSpec& outline(size_t i) const { return outlines_[i]; }
  proto::LandmarkSpec Complete(const proto::LandmarkSpec& outline) const;

  // What to rank by: the error to expect of a sum over n records at ranks()[i], with that part of the standard error of
  // the bias added that larger ranks do not have, since of many estimates the least is likely one that came out too
  // low.
  double CautiousError(size_t i, double n) const;

  // Mean of f over pairs of different reference points.
  double mean_similarity() const { return mean_similarity_; }

 private:
  LandmarkFit() = default;

  size_t dimension_ = 0;
  std::vector<double> origin_;
  std::vector<float> points_;       // L x dimension
  std::vector<double> projection_;  // L x L, columns by falling eigenvalue
  std::vector<uint32_t> ranks_;
  std::vector<proto::LandmarkSpec> outlines_;
  std::vector<double> cautious_bias_;
  double mean_similarity_ = 0;
};

}  // namespace dpkde

#endif  // DPKDE_PLANNER_LANDMARK_FIT_H_
