#ifndef DPKDE_SKETCH_RELEASE_H_
#define DPKDE_SKETCH_RELEASE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/design.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/proto/density.pb.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// The answer to one query y: an estimate of S(y) = sum over records x of f(clamp(x), y), each times its weight if there
// are any. All but `mean` are of the sum.
struct DensityEstimate {
  double sum = 0;
  // Standard deviation of the noise in `sum`, exactly known; approximation error not included.
  double std_error = 0;
  // Interval that holds S(y) with probability 95 %: over the noise (lattice, grid: add bias_bound on both sides for
  // certainty about the approximation), over noise and random frequencies (Monte-Carlo), or over noise and queries like
  // the reference, if the records are like it too (landmarks; where the release shows that they are not, bias_bound is
  // added on both sides). Where a design of one feature knows nothing of its error: the range of exact sums, as far as
  // that is known, and else infinite.
  double ci95_low = 0;
  double ci95_high = 0;
  // Deterministic designs: |E sum - S(y)| is at most this, whatever the data (y in the domain), for every number of
  // records that is within ten standard errors of the released count (and landmarks' residual likewise). nullopt for
  // random designs, whose approximation error is in the interval, and for weights of either sign.
  absl::optional<double> bias_bound;
  // S(y) / n, from the noised count (or sum of weights); nullopt when it is at most 2 (bounds).
  absl::optional<double> mean;
  // By the delta method; nullopt when the noised count is below 5 of its standard errors.
  absl::optional<double> mean_std_error;
};

// A noised vector, public from the moment it exists, and the answers that follow from it.
//
//   DPKDE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, kLargestRelease));
//   DPKDE_ASSIGN_OR_RETURN(Release release, Release::Deserialize(bytes));
//   DPKDE_ASSIGN_OR_RETURN(std::vector<DensityEstimate> estimates, release.Estimate(queries, pool));
//
// Made by Accumulator::Privatize or from a file; there is no other way, and none back. Everything it offers is
// post-processing: any number of queries costs no privacy, and equal queries get equal answers for ever.
//
// Immutable; thread-safe. Movable.
class Release {
 public:
  // Loading is building: the bytes go through the same checks as a new release, and the noise scales must guarantee
  // what the certificate states. kDataLoss for damaged or foreign bytes, kFailedPrecondition for another version or for
  // frequencies that this machine draws otherwise. The cost is that of making the design again.
  static absl::StatusOr<Release> Deserialize(absl::string_view bytes);

  // Equal releases give equal bytes. Holds nothing but proto::Release.
  std::string Serialize() const;

  // One estimate a query row; q x dimension(), finite, with coordinates as the user has them: origin() is subtracted
  // here, in double. Queries that float32 cannot tell apart as they stand are to be CenteredRows, from which it has been
  // subtracted already (VectorReaderOptions::origin, SubtractOrigin). kInvalidArgument, naming row and column, for another dimension,
  // a value that is not finite, or a query outside the domain where the design cannot extend (lattice). Threads do not
  // change the results. Cost: see the designs.
  absl::StatusOr<std::vector<DensityEstimate>> Estimate(MatrixView queries, ThreadPool& pool) const;
  absl::StatusOr<std::vector<DensityEstimate>> Estimate(CenteredRows queries, ThreadPool& pool) const;

  // Uses from now on what is known of any exact sum, whatever the records: that of a kernel lies in [0, n], of a
  // distance in [0, n max f] (the maximum where records and queries are in the domain), of cosines in [-n, n], with the
  // released n; and sums of |x - y|^p, p >= 1, over an axis are convex. Estimates move there, and intervals keep the
  // part that lies there. Post-processing: no privacy effect, and no mean square error grows but for the noise of n;
  // but near the bounds estimates are biased, so this is off unless asked for. std_error stays that of the noise.
  // Weights of either sign: nothing is known, and nothing changes. Not to be called while other threads query.
  void Project();

  // The conditions of Estimate alone, for callers that check everything before the first answer. Rows are numbered from
  // `first_row` in messages.
  absl::Status CheckQueries(MatrixView queries, uint64_t first_row = 0) const;
  absl::Status CheckQueries(CenteredRows queries, uint64_t first_row = 0) const;

  // The number of records: exact under REPLACE (then std_error is 0), noised under ADD_REMOVE. With weights their sum,
  // noised.
  struct Count {
    double value;
    double std_error;
  };
  Count count() const;

  size_t dimension() const { return design_->dimension(); }
  const Similarity& similarity() const { return similarity_; }
  // Relative to origin().
  const absl::optional<Domain>& domain() const { return domain_; }
  // What domain and design are relative to; empty: nothing is subtracted.
  absl::Span<const double> origin() const {
    return {plan().origin().data(), static_cast<size_t>(plan().origin_size())};
  }
  // The bound on weights, 1 without.
  double weight_bound() const { return plan().has_weights() ? plan().weights().bound() : 1; }
  const proto::ReleasePlan& plan() const { return message_.plan(); }
  const proto::Certificate& certificate() const { return message_.certificate(); }
  const Mechanism& mechanism() const { return mechanism_; }

  // What whoever uses the answers should know: that the records are unlike the landmarks, as the release itself shows.
  std::vector<std::string> Warnings() const;

  // The certificate and the plan in words, for a terminal.
  std::string DebugString() const;

  // Of the newest files: those with an origin. Without one they are of version 1, which older programs read too.
  static constexpr uint32_t kVersion = 2;

 private:
  friend class Accumulator;

  // The bytes of the file.
  static std::string Seal(const proto::Release& message);

  static absl::StatusOr<Release> FromProto(proto::Release message);

  Release(proto::Release message, Similarity similarity, absl::optional<Domain> domain, std::unique_ptr<Design> design,
          Mechanism mechanism);

  uint32_t version() const { return VersionOf(message_); }
  static uint32_t VersionOf(const proto::Release& message) { return message.plan().origin().empty() ? 1 : kVersion; }

  // The released residual of landmarks, in records.
  Count LandmarkResidual() const;

  // The range of f that projections use; nullopt: none.
  absl::optional<double> LargestSimilarity() const;

  void Finish(Answer answer, DensityEstimate& estimate) const;

  proto::Release message_;
  Similarity similarity_;
  absl::optional<Domain> domain_;
  std::unique_ptr<Design> design_;
  Mechanism mechanism_;
  std::unique_ptr<ReleasedFunction> function_;
  double rounding_error_ = 0;  // RoundingError()
  bool projects_ = false;
};

}  // namespace dpkde

#endif  // DPKDE_SKETCH_RELEASE_H_
