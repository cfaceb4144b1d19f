#include "dpkde/classifier/class_features.h"

#include <algorithm>
#include <boost/random/normal_distribution.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/design.h"
#include "dpkde/designs/directions.h"
#include "dpkde/designs/fourier_kernel.h"
#include "dpkde/designs/landmark_design.h"
#include "dpkde/designs/landmark_kernel.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {
namespace {

constexpr double kPi = 3.141592653589793;

// Rows whose features are in memory at a time.
constexpr size_t kBlockRows = 96;

// Up to here random directions are orthogonal in blocks, which lowers the variance (Yu et al. 2016); beyond, a few
// normal vectors nearly are by themselves, and making orthogonal ones costs the cube.
constexpr size_t kMostOrthogonal = 64;

// z into the unit ball, in one fixed order. Not finite: 0.
void MoveIntoUnitBall(float* z, size_t size) {
  double square = 0;
  for (size_t i = 0; i < size; ++i) square += static_cast<double>(z[i]) * z[i];
  if (!std::isfinite(square)) return std::fill(z, z + size, 0.0f);
  if (square <= 1) return;
  const double length = std::sqrt(square);
  for (size_t i = 0; i < size; ++i) z[i] = static_cast<float>(z[i] / length);
}

// Towards 0, so that no norm grows beyond that of z but by the rounding of z itself, which the factor pays for.
void Truncate(const float* z, size_t size, int32_t* integers) {
  constexpr double kUnit = kGridUnit * (1 - 1e-6);
  int64_t square = 0;
  for (size_t i = 0; i < size; ++i) {
    integers[i] = z[i] >= -1 && z[i] <= 1 ? static_cast<int32_t>(z[i] * kUnit) : 0;
    square += int64_t{integers[i]} * integers[i];
  }
  if (square > kGridUnit * kGridUnit) std::fill(integers, integers + size, 0);
}

// `count` x d normal variables, in blocks orthogonal where that pays.
std::vector<double> RandomRows(uint64_t seed, const std::string& purpose, size_t count, size_t d) {
  std::vector<double> rows;
  rows.reserve(count * d);
  PublicStreams streams(seed, purpose + " lengths");
  for (uint64_t block = 0; rows.size() < count * d; ++block) {
    boost::random::mt19937_64 engine = streams.At(block);
    boost::random::normal_distribution<double> normal;
    std::vector<double> more(d);
    if (d > kMostOrthogonal) {
      for (double& value : more) value = normal(engine);
    } else {
      more = OrthogonalRows(seed, purpose, block, d);
      for (size_t r = 0; r < d; ++r) {
        double square = 0;
        for (size_t i = 0; i < d; ++i) {
          const double z = normal(engine);
          square += z * z;
        }
        for (size_t i = 0; i < d; ++i) more[r * d + i] *= std::sqrt(square);
      }
    }
    more.resize(std::min(more.size(), count * d - rows.size()));
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

// Sets what the stored map must have besides the seed; kFailedPrecondition if it has another already.
template <typename Map>
absl::Status CompleteFingerprint(const std::vector<float>& values, Map& map) {
  const Sha256Digest digest = Sha256({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  const std::string fingerprint(digest.begin(), digest.end());
  DPKDE_RETURN_IF_ERROR(CheckPublicRandomScheme("random features", map.scheme_version()));
  DPKDE_RETURN_IF_ERROR(CheckFingerprint("random features", map.fingerprint(), fingerprint));
  map.set_scheme_version(kPublicRandomScheme);
  map.set_fingerprint(fingerprint);
  return absl::OkStatus();
}

// Of scaled records, which are at most 1 long: others tell nothing apart, or everything.
absl::Status CheckFeatureBandwidth(double bandwidth) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("bandwidth", bandwidth));
  if (bandwidth >= 1e-6 && bandwidth <= 1e6) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("bandwidth of features must be between 1e-6 and 1e6 of the scaled record, but is ", bandwidth));
}

FrequencyPanels Panels(const std::vector<float>& values, size_t d) {
  return MakeFrequencyPanels(values, d, std::vector<bool>(values.size() / d, false));
}

class ScaledFeatures : public ClassFeatures {
 public:
  ScaledFeatures(proto::ClassFeatureSpec spec, size_t dimension, absl::optional<Domain> domain)
      : spec_(std::move(spec)), dimension_(dimension), domain_(std::move(domain)) {}

  size_t dimension() const override { return dimension_; }
  const proto::ClassFeatureSpec& spec() const override { return spec_; }

  void Compute(MatrixView rows, absl::Span<int32_t> integers) const override {
    std::vector<float> block(std::min(kBlockRows, rows.rows) * dimension_);
    for (size_t begin = 0; begin < rows.rows; begin += kBlockRows) {
      const size_t count = std::min(kBlockRows, rows.rows - begin);
      for (size_t r = 0; r < count; ++r) {
        ScaleRecord(rows.row(begin + r).data(), dimension_, spec_.unit_rows(), domain_, block.data() + r * dimension_);
      }
      Map({block.data(), count, dimension_}, integers.data() + begin * size());
    }
  }

  void ComputeScaled(MatrixView scaled, absl::Span<int32_t> integers) const override {
    for (size_t begin = 0; begin < scaled.rows; begin += kBlockRows) {
      Map(scaled.Slice(begin, std::min(begin + kBlockRows, scaled.rows)), integers.data() + begin * size());
    }
  }

 protected:
  // Of scaled rows.
  virtual void Map(MatrixView scaled, int32_t* integers) const = 0;

  proto::ClassFeatureSpec spec_;

 private:
  size_t dimension_;
  absl::optional<Domain> domain_;
};

class LinearFeatures final : public ScaledFeatures {
 public:
  using ScaledFeatures::ScaledFeatures;

  absl::Status Init() {
    proto::LinearFeatureMap& map = *spec_.mutable_linear();
    if (map.reduce_to() == 0) return absl::OkStatus();
    DPKDE_RETURN_IF_ERROR(CheckInRange("reduce_to", map.reduce_to(), 1, static_cast<int64_t>(dimension())));
    const std::vector<double> rows = RandomRows(map.public_seed(), "class projection", map.reduce_to(), dimension());
    std::vector<float> values;
    for (double value : rows) values.push_back(static_cast<float>(value / std::sqrt(map.reduce_to())));
    DPKDE_RETURN_IF_ERROR(CompleteFingerprint(values, map));
    projection_ = Panels(values, dimension());
    return absl::OkStatus();
  }

  size_t size() const override { return spec_.linear().reduce_to() == 0 ? dimension() : spec_.linear().reduce_to(); }

 protected:
  void Map(MatrixView scaled, int32_t* integers) const override {
    const size_t m = size();
    if (spec_.linear().reduce_to() == 0) {
      for (size_t r = 0; r < scaled.rows; ++r) Truncate(scaled.row(r).data(), m, integers + r * m);
      return;
    }
    std::vector<float> products(scaled.rows * projection_.padded()), z(m);
    FixedOrderProducts(projection_, scaled, products.data());
    for (size_t r = 0; r < scaled.rows; ++r) {
      for (size_t j = 0; j < m; ++j) z[j] = products[r * projection_.padded() + projection_.column_of[j]];
      MoveIntoUnitBall(z.data(), m);
      Truncate(z.data(), m, integers + r * m);
    }
  }

 private:
  FrequencyPanels projection_;
};

class HomogeneousFeatures final : public ScaledFeatures {
 public:
  using ScaledFeatures::ScaledFeatures;

  absl::Status Init() { return absl::OkStatus(); }
  size_t size() const override { return dimension() + 1; }

 protected:
  void Map(MatrixView scaled, int32_t* integers) const override {
    const size_t m = size();
    const float root_half = static_cast<float>(std::sqrt(0.5));
    std::vector<float> z(m, root_half);
    for (size_t r = 0; r < scaled.rows; ++r) {
      for (size_t i = 0; i + 1 < m; ++i) z[i] = scaled.row(r)[i] * root_half;
      Truncate(z.data(), m, integers + r * m);
    }
  }
};

class FourierFeatures final : public ScaledFeatures {
 public:
  using ScaledFeatures::ScaledFeatures;

  absl::Status Init() {
    proto::FourierFeatureMap& map = *spec_.mutable_fourier();
    DPKDE_RETURN_IF_ERROR(CheckInRange("frequencies", map.frequencies(), 1, 4096));
    DPKDE_RETURN_IF_ERROR(CheckFeatureBandwidth(map.bandwidth()));
    const std::vector<double> rows = RandomRows(map.public_seed(), "class frequencies", map.frequencies(), dimension());
    std::vector<float> turns;
    for (double value : rows) turns.push_back(static_cast<float>(value / map.bandwidth() / (2 * kPi)));
    DPKDE_RETURN_IF_ERROR(CompleteFingerprint(turns, map));
    panels_ = Panels(turns, dimension());
    // Of a pair's norm of at most kFourierPairNorm, so that all pairs together are in the ball.
    factor_ = static_cast<int64_t>(
        std::floor(std::ldexp(1.0, 30) / std::sqrt(static_cast<double>(map.frequencies())) * (1 - 4e-6)));
    return absl::OkStatus();
  }

  size_t size() const override { return size_t{2} * spec_.fourier().frequencies(); }

 protected:
  void Map(MatrixView scaled, int32_t* integers) const override {
    const size_t pairs = spec_.fourier().frequencies();
    PrivateVector<int64_t> cosines(panels_.padded()), sines(panels_.padded());
    for (size_t r = 0; r < scaled.rows; ++r) {
      // One row at a time: its own pairs instead of a sum.
      std::fill(cosines.begin(), cosines.end(), 0);
      std::fill(sines.begin(), sines.end(), 0);
      AccumulateFourier(panels_, scaled.Slice(r, r + 1), cosines.data(), sines.data());
      int32_t* const row = integers + r * 2 * pairs;
      int64_t square = 0;
      for (size_t k = 0; k < pairs; ++k) {
        // Towards 0: |a|, |b| <= 2^20 + 2, so the products fit and no norm grows.
        row[k] = static_cast<int32_t>(cosines[panels_.column_of[k]] * factor_ / (int64_t{1} << 30));
        row[pairs + k] = static_cast<int32_t>(sines[panels_.column_of[k]] * factor_ / (int64_t{1} << 30));
        square += int64_t{row[k]} * row[k] + int64_t{row[pairs + k]} * row[pairs + k];
      }
      if (square > kGridUnit * kGridUnit) std::fill(row, row + 2 * pairs, 0);
    }
  }

 private:
  FrequencyPanels panels_;
  int64_t factor_ = 0;
};

class LandmarkClassFeatures final : public ScaledFeatures {
 public:
  using ScaledFeatures::ScaledFeatures;

  absl::Status Init() {
    const proto::LandmarkFeatureMap& map = spec_.landmark();
    DPKDE_RETURN_IF_ERROR(CheckFeatureBandwidth(map.bandwidth()));
    proto::SimilaritySpec gaussian;
    gaussian.set_kind(proto::SimilaritySpec::GAUSSIAN);
    gaussian.set_bandwidth(map.bandwidth());
    DPKDE_ASSIGN_OR_RETURN(const Similarity similarity, Similarity::Create(gaussian));
    // Checks everything.
    DPKDE_RETURN_IF_ERROR(MakeLandmarkDesign(similarity, dimension(), absl::nullopt, map.landmarks()).status());
    const proto::LandmarkSpec& landmarks = map.landmarks();
    map_ = MakeLandmarkMap(gaussian, {landmarks.points().data(), landmarks.landmarks(), dimension()},
                           {landmarks.projection().data(), landmarks.landmarks(), landmarks.rank()}, nullptr, 0);
    return absl::OkStatus();
  }

  size_t size() const override { return map_.rank; }

 protected:
  void Map(MatrixView scaled, int32_t* integers) const override {
    std::vector<float> features(scaled.rows * map_.padded_rank());
    LandmarkFeatures(map_, scaled, features.data(), nullptr);
    for (size_t r = 0; r < scaled.rows; ++r) {
      RoundFeatures(features.data() + r * map_.padded_rank(), map_.rank, kGridUnit, integers + r * map_.rank);
    }
  }

 private:
  LandmarkMap map_;
};

template <typename Features>
absl::StatusOr<std::unique_ptr<ClassFeatures>> Make(const proto::ClassFeatureSpec& spec, size_t dimension,
                                                    const absl::optional<Domain>& domain) {
  auto features = std::make_unique<Features>(spec, dimension, domain);
  DPKDE_RETURN_IF_ERROR(features->Init());
  return std::unique_ptr<ClassFeatures>(std::move(features));
}

}  // namespace

void ScaleRecord(const float* x, size_t dimension, bool unit_rows, const absl::optional<Domain>& domain, float* out) {
  for (size_t i = 0; i < dimension; ++i) {
    if (!std::isfinite(x[i])) return std::fill(out, out + dimension, 0.0f);
  }
  std::copy(x, x + dimension, out);
  if (domain.has_value()) domain->Clamp(out, out);
  if (unit_rows) {
    double square = 0;
    for (size_t i = 0; i < dimension; ++i) square += static_cast<double>(out[i]) * out[i];
    const double length = std::sqrt(square);
    for (size_t i = 0; i < dimension; ++i) out[i] = length > 0 ? static_cast<float>(out[i] / length) : 0;
  } else {
    const double root = std::sqrt(dimension / 12.0);
    for (size_t i = 0; i < dimension; ++i) {
      const double scale = domain->is_ball() ? domain->radius() : domain->width(i) * root;
      out[i] = static_cast<float>((out[i] - domain->center(i)) / scale);
    }
  }
  MoveIntoUnitBall(out, dimension);
}

absl::StatusOr<std::unique_ptr<ClassFeatures>> ClassFeatures::Create(const proto::ClassFeatureSpec& spec,
                                                                     size_t dimension,
                                                                     const absl::optional<Domain>& domain) {
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", static_cast<int64_t>(dimension), 1, 65536));
  if (!spec.unit_rows() && !domain.has_value()) {
    return absl::InvalidArgumentError("a classifier needs a domain, or unit rows");
  }
  if (domain.has_value() && domain->dimension() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have ", dimension, " coordinates, but has ", domain->dimension()));
  }
  switch (spec.map_case()) {
    case proto::ClassFeatureSpec::kLinear:
      return Make<LinearFeatures>(spec, dimension, domain);
    case proto::ClassFeatureSpec::kFourier:
      return Make<FourierFeatures>(spec, dimension, domain);
    case proto::ClassFeatureSpec::kHomogeneous:
      return Make<HomogeneousFeatures>(spec, dimension, domain);
    case proto::ClassFeatureSpec::kLandmark:
      return Make<LandmarkClassFeatures>(spec, dimension, domain);
    default:
      return absl::InvalidArgumentError("the features of the classes are missing");
  }
}

}  // namespace dpkde
