#ifndef DPKDE_INDEX_SEARCH_VECTOR_SCORES_H_
#define DPKDE_INDEX_SEARCH_VECTOR_SCORES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/index/ann/vector_index_options.h"
#include "dpkde/proto/index.pb.h"

// Single vectors relative to an origin (IndexConfig.origin): how they are scored, and what the first stage gets of them.
// What is given below "relative to the origin" plus the origin is what the user gave.

namespace dpkde {

// Scores of one query in double, of the vectors as the user gave them: the inner product, the cosine (0 for a zero vector;
// rounded to a multiple of 2^-48, so that vectors of one direction are equal), or the squared L2 distance. Differences are
// taken first, so a common offset costs nothing. The bits depend on query, vector and origin alone.
class VectorScorer {
 public:
  // `query`: relative to the origin. The origin is empty, or has as many values.
  VectorScorer(VectorIndexOptions::Metric metric, absl::Span<const double> origin, absl::Span<const float> query);

  // `vector`: relative to the origin, of as many coordinates.
  double Score(const float* vector) const;

  // What scores are to be compared relative to: a common offset of all vectors gives all inner products nearly this
  // value, and all cosines nearly 1.
  double reference() const { return metric_ == VectorIndexOptions::Metric::kCosine ? 1 : constant_; }

  // Whether a larger score is better.
  static bool LargerIsBetter(VectorIndexOptions::Metric metric) { return metric != VectorIndexOptions::Metric::kL2; }

 private:
  const VectorIndexOptions::Metric metric_;
  const absl::Span<const double> origin_;
  std::vector<double> query_;  // for kL2 relative to the origin; for kCosine normalised
  double constant_ = 0;        // what the origin adds to every inner product
};

// What vectors of an index of single vectors are arranged by, so that float32 keeps their differences.
//
// Without an origin: the vectors themselves, by their metric. With one: for L2 what is relative to it. For inner products
// <q, x> = <q, x - o> + <q, o>, so vectors are relative to it and queries are not. For cosines the same after
// normalising in double, with o / |o| in place of the origin.
class FirstStage {
 public:
  // `config`: of an index of single vectors.
  explicit FirstStage(const proto::IndexConfig& config);

  // vector_index of the configuration, with the metric by which the first stage compares.
  static absl::StatusOr<VectorIndexOptions> Options(const proto::IndexConfig& config);

  // Rows relative to the origin as the first stage has them: themselves, or made in `buffer`.
  MatrixView Vectors(MatrixView rows, std::vector<float>* buffer) const;

  // The same of queries. `constants`: of each query what its first-stage scores lack.
  MatrixView Queries(MatrixView rows, std::vector<float>* buffer, std::vector<double>* constants) const;

 private:
  const VectorIndexOptions::Metric metric_;
  const std::vector<double> origin_;
  std::vector<double> center_;  // of the first stage, for inner products and cosines
};

// The metric of the user's vectors.
VectorIndexOptions::Metric MetricOf(const proto::IndexConfig& config);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_VECTOR_SCORES_H_
