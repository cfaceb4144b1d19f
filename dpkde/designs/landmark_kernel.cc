#include "dpkde/designs/landmark_kernel.h"

#include <algorithm>
#include <cmath>

// As in fourier_kernel.cc.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dpkde/designs/landmark_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

#include "dpkde/similarity/panel_kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dpkde {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

static_assert(kColumns == LandmarkMap::kPanelColumns, "the panels of panel_kernels-inl.h");

// Rows whose kernel values are kept between the two products: with 2,048 landmarks 192 KiB.
constexpr size_t kBlockRows = 24;

bool IsEuclidean(const Spec& spec) {
  switch (spec.kind()) {
    case Spec::LAPLACIAN:
    case Spec::INVERSE_L1:
    case Spec::L1:
    case Spec::LP_POWER:
    case Spec::PRODUCT_CAUCHY:
      return false;
    default:
      return true;
  }
}

void Accumulated(const LandmarkMap& map, const float* HWY_RESTRICT panel, const float* HWY_RESTRICT rows, size_t count,
                 float* HWY_RESTRICT out, size_t out_stride) {
  const size_t d = map.dimension;
  switch (map.similarity.kind()) {
    case Spec::LAPLACIAN:
    case Spec::INVERSE_L1:
    case Spec::L1:
      return PanelProduct(Absolute{}, panel, rows, d, count, d, out, out_stride);
    case Spec::LP_POWER:
      return PanelProduct(Power{static_cast<float>(map.similarity.p())}, panel, rows, d, count, d, out, out_stride);
    case Spec::PRODUCT_CAUCHY:
      return PanelProduct(
          InverseCauchy{static_cast<float>(1 / (map.similarity.bandwidth() * map.similarity.bandwidth()))}, panel, rows,
          d, count, d, out, out_stride);
    default:
      return PanelProduct(Product{}, panel, rows, d, count, d, out, out_stride);
  }
}

void Features(const LandmarkMap& map, MatrixView rows, float* HWY_RESTRICT features,
              float* HWY_RESTRICT origin_distances) {
  const Tag tag;
  const size_t lanes = hn::Lanes(tag);
  const size_t d = map.dimension;
  const size_t points = map.padded_points();
  const bool euclidean = IsEuclidean(map.similarity);
  std::vector<float> block(kBlockRows * d), values(kBlockRows * points);
  float squares[kBlockRows];
  for (size_t begin = 0; begin < rows.rows; begin += kBlockRows) {
    const size_t count = std::min(kBlockRows, rows.rows - begin);
    for (size_t r = 0; r < count; ++r) {
      float square = 0;
      for (size_t i = 0; i < d; ++i) {
        const float x = rows.row(begin + r)[i] - map.center[i];
        block[r * d + i] = x;
        square = std::fma(x, x, square);
      }
      squares[r] = square;
    }
    for (size_t panel = 0; panel * kColumns < points; ++panel) {
      Accumulated(map, map.points.data() + panel * d * kColumns, block.data(), count, values.data() + panel * kColumns,
                  points);
    }
    for (size_t r = 0; r < count; ++r) {
      float* HWY_RESTRICT value = values.data() + r * points;
      for (size_t column = 0; column < points; column += lanes) {
        Vector s = hn::LoadU(tag, value + column);
        if (euclidean) {
          const Vector sum = hn::Add(hn::Set(tag, squares[r]), hn::LoadU(tag, map.point_squares.data() + column));
          s = hn::Max(hn::Zero(tag), hn::NegMulAdd(s, hn::Set(tag, 2.0f), sum));
        }
        hn::StoreU(FromAccumulated(map.similarity, s), tag, value + column);
      }
      if (!map.has_origin) continue;
      const float own = value[0];
      if (origin_distances != nullptr) origin_distances[begin + r] = own;
      for (size_t column = 0; column < points; column += lanes) {
        const Vector sum = hn::Add(hn::Set(tag, own), hn::LoadU(tag, map.origin_distance.data() + column));
        const Vector k = hn::Mul(hn::Sub(sum, hn::LoadU(tag, value + column)), hn::Set(tag, map.inverse_scale));
        hn::StoreU(k, tag, value + column);
      }
    }
    // The padding: weights of 0, but 0 times an infinity would not be 0.
    const size_t used = map.landmarks + (map.has_origin ? 1 : 0);
    for (size_t panel = 0; panel * kColumns < map.padded_rank(); ++panel) {
      PanelProduct(Product{}, map.weights.data() + panel * points * kColumns, values.data(), points, count, used,
                   features + begin * map.padded_rank() + panel * kColumns, map.padded_rank());
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dpkde
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dpkde {

HWY_EXPORT(Features);
HWY_EXPORT(IsEuclidean);

LandmarkMap MakeLandmarkMap(const proto::SimilaritySpec& similarity, MatrixView landmarks, MatrixView projection,
                            const float* origin, double scale) {
  constexpr size_t kColumns = LandmarkMap::kPanelColumns;
  LandmarkMap map;
  const size_t d = landmarks.columns;
  map.similarity = similarity;
  map.dimension = d;
  map.landmarks = landmarks.rows;
  map.rank = projection.columns;
  map.has_origin = origin != nullptr;
  const size_t first = map.has_origin ? 1 : 0;
  const size_t points = (map.landmarks + first + kColumns - 1) / kColumns * kColumns;
  map.center.assign(d, 0);
  if (map.has_origin) {
    std::copy(origin, origin + d, map.center.begin());
  } else if (HWY_DYNAMIC_DISPATCH(IsEuclidean)(similarity)) {
    for (size_t i = 0; i < d; ++i) {
      double sum = 0;
      for (size_t l = 0; l < landmarks.rows; ++l) sum += landmarks.row(l)[i];
      map.center[i] = static_cast<float>(sum / landmarks.rows);
    }
  }
  map.points.assign(points * d, 0);
  map.point_squares.assign(points, 0);
  map.origin_distance.assign(points, 0);
  for (size_t l = 0; l < landmarks.rows; ++l) {
    const size_t column = l + first;
    float square = 0;
    for (size_t i = 0; i < d; ++i) {
      const float z = landmarks.row(l)[i] - map.center[i];
      map.points[(column / kColumns * d + i) * kColumns + column % kColumns] = z;
      square = std::fma(z, z, square);
    }
    map.point_squares[column] = square;
  }
  map.weights.assign(map.padded_rank() * points, 0);
  for (size_t l = 0; l < landmarks.rows; ++l) {
    for (size_t j = 0; j < map.rank; ++j) {
      map.weights[(j / kColumns * points + l + first) * kColumns + j % kColumns] = projection.row(l)[j];
    }
  }
  if (map.has_origin) {
    map.inverse_scale = static_cast<float>(1 / scale);
    // f(z, z_0) by the same road: features are not needed.
    std::vector<float> features(landmarks.rows * map.padded_rank());
    std::vector<float> distances(landmarks.rows);
    LandmarkFeatures(map, landmarks, features.data(), distances.data());
    std::copy(distances.begin(), distances.end(), map.origin_distance.begin() + first);
  }
  return map;
}

void LandmarkFeatures(const LandmarkMap& map, MatrixView rows, float* features, float* origin_distances) {
  HWY_DYNAMIC_DISPATCH(Features)(map, rows, features, origin_distances);
}

int64_t RoundFeatures(const float* features, size_t rank, int64_t diagonal, int32_t* integers) {
  constexpr float kUnit = 1 << 20;
  int64_t square = 0;
  bool sane = true;
  for (size_t j = 0; j < rank; ++j) {
    const float value = features[j];
    sane &= value >= -2 && value <= 2;
    integers[j] = sane ? static_cast<int32_t>(std::nearbyint(value * kUnit)) : 0;
    square += static_cast<int64_t>(integers[j]) * integers[j];  // < 2^42 each
  }
  const int64_t limit = diagonal << 20;
  if (!sane) {
    std::fill(integers, integers + rank, 0);
    square = 0;
  } else if (square > limit) {
    // Truncated towards zero, so the squares add up to no more than factor^2 * square.
    const double factor = std::sqrt(static_cast<double>(limit) / static_cast<double>(square)) * (1 - 1e-12);
    square = 0;
    for (size_t j = 0; j < rank; ++j) {
      integers[j] = static_cast<int32_t>(integers[j] * factor);
      square += static_cast<int64_t>(integers[j]) * integers[j];
    }
  }
  return (limit - square) >> 20;
}

}  // namespace dpkde
#endif  // HWY_ONCE
