#ifndef DPKDE_DESIGNS_LANDMARK_KERNEL_H_
#define DPKDE_DESIGNS_LANDMARK_KERNEL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dpkde/base/matrix_view.h"
#include "dpkde/proto/density.pb.h"

namespace dpkde {

// The map x -> phi(x) = W^T (k(x, z_1), ..., k(x, z_L)) in float32, laid out for the kernels below.
//
// Kernels: k = f. Distances f: with an origin z_0, k(x, z) = (f(x, z_0) + f(z, z_0) - f(x, z)) / (2 R), which is
// positive-definite where f is conditionally negative-definite (Schoenberg 1938); f(x, z_0) is found on the way.
struct LandmarkMap {
  static constexpr size_t kPanelColumns = 64;

  proto::SimilaritySpec similarity;
  size_t dimension = 0;
  size_t landmarks = 0;  // the origin, if there is one, is not counted
  size_t rank = 0;
  bool has_origin = false;
  // 1 / (2 R); distances only.
  float inverse_scale = 0;

  // What is subtracted from every point first, where the similarity is a function of ||x - y||_2: found as ||x||^2 +
  // ||z||^2 - 2 <x, z>, it loses least near the centre.
  std::vector<float> center;
  // Panels of kPanelColumns points, coordinate-major, padded with zeros; the origin is the first point.
  std::vector<float> points;
  std::vector<float> point_squares;    // ||z||^2 of each column
  std::vector<float> origin_distance;  // f(z, z_0) of each column
  // Panels of kPanelColumns features: weights[panel][point][feature], points as columns above, padded with zeros.
  std::vector<float> weights;

  size_t padded_points() const { return point_squares.size(); }
  size_t padded_rank() const { return (rank + kPanelColumns - 1) / kPanelColumns * kPanelColumns; }
};

// landmarks: L x dimension; projection: W, L x rank row-major; origin: nullptr for kernels, else `dimension` floats,
// and 2 R in `scale`.
LandmarkMap MakeLandmarkMap(const proto::SimilaritySpec& similarity, MatrixView landmarks, MatrixView projection,
                            const float* origin, double scale);

// features: rows x map.padded_rank(), row-major; origin_distances: rows values f(x, z_0), nullptr for kernels.
//
// Purity: the features of a row are a function of its bytes and of the map alone, whatever its position, the other rows
// and the SIMD target: one accumulator a value, coordinates and landmarks ascending, one fused multiply-add a term, and
// the same element-wise functions in every lane. NaN comes out where a value overflows.
//
// Cost: rows * L * (dimension + rank) fused multiply-adds, and L evaluations of the kernel's function a row; for l1
// three operations a coordinate, for lp_power and product_cauchy more. Dispatches at run time to AVX2 or AVX-512.
// Thread-safe.
void LandmarkFeatures(const LandmarkMap& map, MatrixView rows, float* features, float* origin_distances);

// What a record adds. `features` has `rank` values, 0 <= diagonal <= 2^20 is round(2^20 k(x, x)) (2^20 for kernels).
// integers[j] = round(2^20 features[j]), scaled down if need be so that sum of squares <= 2^20 diagonal in integers;
// returns the residual, floor((2^20 diagonal - sum of squares) / 2^20) >= 0. A NaN or a value beyond +-2 makes the
// whole vector 0.
int64_t RoundFeatures(const float* features, size_t rank, int64_t diagonal, int32_t* integers);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_LANDMARK_KERNEL_H_
