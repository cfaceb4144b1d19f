#ifndef TESTS_TESTING_LANDMARKS_H_
#define TESTS_TESTING_LANDMARKS_H_

#include <cmath>
#include <vector>

#include "dpkde/proto/density.pb.h"
#include "dpkde/similarity/similarity.h"
#include "tests/testing/vectors.h"

namespace dpkde {

// Landmarks whitened by the inverse Cholesky factor of their Gram matrix, with all ranks, in a few lines: for tests of
// what must hold for any landmarks. `radius` and `origin` for distances only.
inline proto::DesignSpec WhitenedLandmarks(const Similarity& similarity, const Points& points, double radius = 0,
                                           std::vector<float> origin = {}) {
  const size_t l = points.rows();
  const auto k = [&](absl::Span<const float> x, absl::Span<const float> y) {
    const double f = similarity.Evaluate(x, y);
    if (origin.empty()) return f;
    return (similarity.Evaluate(x, origin) + similarity.Evaluate(y, origin) - f) / (2 * radius);
  };
  // The factor C, then its inverse, row by row.
  std::vector<std::vector<double>> factor(l, std::vector<double>(l)), inverse = factor;
  for (size_t i = 0; i < l; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = k(points.view().row(i), points.view().row(j)) + (i == j ? 1e-5 : 0);
      for (size_t m = 0; m < j; ++m) sum -= factor[i][m] * factor[j][m];
      factor[i][j] = i == j ? std::sqrt(sum) : sum / factor[j][j];
    }
    for (size_t j = 0; j <= i; ++j) {
      double sum = i == j ? 1 : 0;
      for (size_t m = j; m < i; ++m) sum -= factor[i][m] * inverse[m][j];
      inverse[i][j] = sum / factor[i][i];
    }
  }
  proto::DesignSpec spec;
  proto::LandmarkSpec& landmark = *spec.mutable_landmark();
  landmark.set_landmarks(static_cast<uint32_t>(l));
  landmark.set_rank(static_cast<uint32_t>(l));
  landmark.mutable_points()->Add(points.values.begin(), points.values.end());
  for (size_t i = 0; i < l; ++i) {
    for (size_t j = 0; j < l; ++j) landmark.add_projection(static_cast<float>(inverse[j][i]));
  }
  landmark.mutable_origin()->Add(origin.begin(), origin.end());
  landmark.set_radius(radius);
  for (size_t j = 0; j < l; ++j) landmark.add_feature_weight(1.0f / (j + 1));
  if (!origin.empty()) landmark.set_origin_weight(radius * radius / 4);
  landmark.set_residual_mean(0.5);
  landmark.set_residual_deviation(0.2);
  return spec;
}

}  // namespace dpkde

#endif  // TESTS_TESTING_LANDMARKS_H_
