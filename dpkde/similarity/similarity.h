#ifndef DPKDE_SIMILARITY_SIMILARITY_H_
#define DPKDE_SIMILARITY_SIMILARITY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/proto/density.pb.h"

namespace dpkde {

// A similarity f(x, y): validated, with its exact evaluation, which is the oracle that every private answer is held against.
//
//   proto::SimilaritySpec spec;
//   spec.set_kind(proto::SimilaritySpec::GAUSSIAN);
//   spec.set_bandwidth(1.0);
//   DPKDE_ASSIGN_OR_RETURN(Similarity similarity, Similarity::Create(spec));
//   std::vector<double> sums(queries.rows);
//   similarity.Sum(points, queries, pool, absl::MakeSpan(sums));
//
// Both kernels are 1 at x = y, symmetric, positive-definite, decrease to 0, and are products over coordinates of one
// function of |x_i - y_i|, EvaluateAxis.
//
// Evaluation is on raw points: the exact sum is as private as the points. A value; thread-safe.
class Similarity {
 public:
  // kInvalidArgument for an unknown kind and for a bandwidth that is not finite and positive.
  static absl::StatusOr<Similarity> Create(const proto::SimilaritySpec& spec);

  const proto::SimilaritySpec& spec() const { return spec_; }
  proto::SimilaritySpec::Kind kind() const { return spec_.kind(); }
  double bandwidth() const { return spec_.bandwidth(); }

  // "gaussian", "laplacian".
  std::string name() const;

  // f(x, y); the spans are of one length.
  double Evaluate(absl::Span<const float> x, absl::Span<const float> y) const;

  // The factor of one coordinate, f = prod_i EvaluateAxis(x_i - y_i).
  double EvaluateAxis(double difference) const;

  // sums[j] = sum_i f(points_i, queries_j), exact up to rounding (relative 1e-6 a term, added in double precision), with
  // the same bits for any number of threads. points n x d, queries q x d, sums q. O(n q d) time in blocks that stay in
  // cache; O(1) memory beyond the result. Requires points.columns == queries.columns.
  void Sum(MatrixView points, MatrixView queries, ThreadPool& pool, absl::Span<double> sums) const;

 private:
  explicit Similarity(const proto::SimilaritySpec& spec) : spec_(spec) {}

  // Of the sum over coordinates (squares or absolute values) to f.
  double FromDistance(double distance) const;

  proto::SimilaritySpec spec_;
};

// The kind that `name` stands for ("gaussian"), or kInvalidArgument listing those known.
absl::StatusOr<proto::SimilaritySpec::Kind> SimilarityKindFromName(absl::string_view name);

}  // namespace dpkde

#endif  // DPKDE_SIMILARITY_SIMILARITY_H_
