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

// A similarity f(x, y): validated, with its exact evaluation, which is the oracle that every private answer is held
// against. proto::SimilaritySpec has the definitions.
//
//   proto::SimilaritySpec spec;
//   spec.set_kind(proto::SimilaritySpec::GAUSSIAN);
//   spec.set_bandwidth(1.0);
//   DPKDE_ASSIGN_OR_RETURN(Similarity similarity, Similarity::Create(spec));
//   std::vector<double> sums(queries.rows);
//   similarity.Sum(points, queries, pool, absl::MakeSpan(sums));
//
// Evaluation is on raw points: the exact sum is as private as the points. A value; thread-safe.
class Similarity {
 public:
  // kInvalidArgument for an unknown kind, for a parameter that the kind needs and that is out of range, and for one
  // that it does not take.
  static absl::StatusOr<Similarity> Create(const proto::SimilaritySpec& spec);

  const proto::SimilaritySpec& spec() const { return spec_; }
  proto::SimilaritySpec::Kind kind() const { return spec_.kind(); }
  // Kernels that have one only.
  double bandwidth() const { return spec_.bandwidth(); }

  // "gaussian", "lp_power".
  std::string name() const;

  // What designs ask.
  // Positive-definite, 1 at x = y, at most 1 elsewhere; otherwise a distance, 0 at x = y, or a product.
  bool is_kernel() const;
  // 0 at x = y and positive elsewhere.
  bool is_distance() const;
  // A kernel that says how often two points share a hash: p_stable, angular.
  bool is_hash_kernel() const;
  // A function of x - y.
  bool is_shift_invariant() const;
  // A function of ||x - y||_2 alone.
  bool is_euclidean() const;
  // f(x, y) = prod_i EvaluateAxis(x_i - y_i).
  bool is_product() const;
  // f(x, y) = sum_i EvaluateAxis(x_i - y_i).
  bool is_axis_sum() const;

  // f(x, y); the spans are of one length.
  double Evaluate(absl::Span<const float> x, absl::Span<const float> y) const;

  // f of two points that differ by `difference` in one coordinate. is_shift_invariant() only.
  double EvaluateAxis(double difference) const;

  // sums[j] = sum_i f(points_i, queries_j), exact up to rounding (in double precision), with the same bits for any
  // number of threads. points n x d, queries q x d, sums q. O(n q d) time in blocks that stay in cache; O(1) memory
  // beyond the result. Requires points.columns == queries.columns.
  void Sum(MatrixView points, MatrixView queries, ThreadPool& pool, absl::Span<double> sums) const;

 private:
  explicit Similarity(const proto::SimilaritySpec& spec);

  // Of the sum over coordinates of squares (kSquares), absolute values (kAbsolutes), or of the axis function itself.
  double FromSum(double sum) const;

  enum class Geometry { kSquares, kAbsolutes, kPowers, kProduct, kInnerProduct };  // the last one: and angles

  proto::SimilaritySpec spec_;
  Geometry geometry_;
};

// The kind that `name` stands for ("gaussian"), or kInvalidArgument listing those known.
absl::StatusOr<proto::SimilaritySpec::Kind> SimilarityKindFromName(absl::string_view name);

}  // namespace dpkde

#endif  // DPKDE_SIMILARITY_SIMILARITY_H_
