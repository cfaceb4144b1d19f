#include "dpkde/designs/landmark_design.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/landmark_kernel.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

constexpr int64_t kMostLandmarks = 8192;
constexpr int64_t kMostFloats = int64_t{1} << 26;
constexpr uint32_t kBall = 1;

// Rows whose features are in memory at a time.
constexpr size_t kBlockRows = 96;

// What is computed with these in float32 stays far below its largest number: coordinates, whose squares are added up,
// and projections.
constexpr double kLargestCoordinate = 1e16, kLargestProjection = 1e18;
// Landmarks lie within the radius, but for what a stranger may have put into a file.
constexpr double kMostRadii = 1e6;

absl::Status CheckFloats(const char* name, const google::protobuf::RepeatedField<float>& values, int64_t expected,
                         double largest = std::numeric_limits<double>::infinity()) {
  if (values.size() != expected) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must have ", expected, " values, but has ", values.size()));
  }
  for (float value : values) {
    DPKDE_RETURN_IF_ERROR(CheckFinite(name, value));
    if (std::abs(value) > largest) {
      return absl::InvalidArgumentError(absl::StrCat(name, " must be at most ", largest, " in size, but is ", value));
    }
  }
  return absl::OkStatus();
}

MatrixView View(const google::protobuf::RepeatedField<float>& values, size_t columns) {
  return {values.data(), values.size() / columns, columns};
}

class LandmarkFunction final : public ReleasedFunction {
 public:
  std::shared_ptr<const LandmarkMap> map;
  std::vector<double> sums;       // of the features, in units of 1
  std::vector<double> variances;  // the same
  double scale = 1;               // 1, or -2 R
  // Distances: sum f(x, z_0) and its variance.
  double origin_sum = 0;
  double origin_variance = 0;
  double count = 0;
  double count_variance = 0;
  double residual = 0;  // released, and two standard deviations more
  // As large as their noise admits (kPlausibleSds): what a bound must allow for.
  double most_records = 0;
  double most_residual = 0;
  // Of total_variance: see Evaluate.
  double mean_square_error = 0;
  double typical_residual = 0;
  bool is_unlike_reference = false;

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    const size_t m = sums.size();
    std::vector<float> features(std::min(kBlockRows, queries.rows) * map->padded_rank()), distances(kBlockRows);
    for (size_t begin = 0; begin < queries.rows; begin += kBlockRows) {
      const size_t count_rows = std::min(kBlockRows, queries.rows - begin);
      LandmarkFeatures(*map, queries.Slice(begin, begin + count_rows), features.data(), distances.data());
      for (size_t r = 0; r < count_rows; ++r) {
        const float* psi = features.data() + r * map->padded_rank();
        double sum = 0, variance = 0, square = 0;
        for (size_t j = 0; j < m; ++j) {
          const double weight = psi[j];
          sum += weight * sums[j];
          variance += weight * weight * variances[j];
          square += weight * weight;
        }
        Answer& answer = answers[begin + r];
        answer.sum = scale * sum;
        answer.noise_variance = scale * scale * variance;
        double diagonal = 1;
        if (map->has_origin) {
          const double distance = distances[r];
          answer.sum += origin_sum + count * distance;
          answer.noise_variance += origin_variance + distance * distance * count_variance;
          answer.count_covariance = distance * count_variance;
          diagonal = -2 * distance / scale;
        }
        const double left = std::max(diagonal - square, 0.0);
        const double bound = std::abs(scale) * std::sqrt(left * std::max(count, 0.0) * std::max(residual, 0.0));
        answer.bias_bound = std::abs(scale) * std::sqrt(left * most_records * most_residual);
        // Queries that the landmarks miss more than usual have errors that are larger in proportion.
        const double relative = typical_residual > 0 ? std::min(left / typical_residual, 4.0) : 1;
        answer.total_variance = answer.noise_variance + std::min(mean_square_error * relative, bound * bound);
        answer.is_unlike_plan = is_unlike_reference;
      }
    }
  }
};

class LandmarkDesign final : public Design {
 public:
  LandmarkDesign(const Similarity& similarity, size_t dimension, const absl::optional<Domain>& domain,
                 const proto::LandmarkSpec& spec)
      : similarity_(similarity), domain_(domain), groups_(LandmarkGroups(similarity, spec)) {
    *spec_.mutable_landmark() = spec;
    map_ = std::make_shared<const LandmarkMap>(
        MakeLandmarkMap(similarity.spec(), View(spec.points(), dimension), View(spec.projection(), spec.rank()),
                        spec.origin().empty() ? nullptr : spec.origin().data(), 2 * spec.radius()));
  }

  size_t dimension() const override { return map_->dimension; }
  size_t count_coordinate() const override { return map_->rank + (map_->has_origin ? 2 : 1); }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return absl::nullopt; }
  double PredictedApproximationError(double n, double) const override {
    return LandmarkApproximationError(spec_.landmark(), n);
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    const size_t d = dimension(), m = map_->rank;
    const size_t block_rows = std::min(kBlockRows, rows.rows);
    std::vector<float> block(block_rows * d), features(block_rows * map_->padded_rank());
    PrivateVector<int64_t> diagonals(block_rows, kGridUnit);
    PrivateVector<int32_t> integers(m);
    for (size_t begin = 0; begin < rows.rows; begin += kBlockRows) {
      const size_t count = std::min(kBlockRows, rows.rows - begin);
      for (size_t r = 0; r < count; ++r) {
        float* x = block.data() + r * d;
        std::copy(rows.row(begin + r).begin(), rows.row(begin + r).end(), x);
        if (domain_.has_value()) domain_->Clamp(x, x);
        if (map_->has_origin) diagonals[r] = MoveToRadius(x);
      }
      LandmarkFeatures(*map_, {block.data(), count, d}, features.data(), nullptr);
      for (size_t r = 0; r < count; ++r) {
        sums[m] += RoundFeatures(features.data() + r * map_->padded_rank(), m, diagonals[r], integers.data());
        for (size_t j = 0; j < m; ++j) sums[j] += integers[j];
        if (map_->has_origin) sums[m + 1] += diagonals[r];
      }
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const size_t m = map_->rank;
    const double unit = kGridUnit;
    const proto::LandmarkSpec& spec = spec_.landmark();
    auto function = std::make_unique<LandmarkFunction>();
    function->map = map_;
    for (size_t j = 0; j < m; ++j) {
      function->sums.push_back(values[j] / unit);
      function->variances.push_back(variances[j] / (unit * unit));
    }
    if (map_->has_origin) {
      function->scale = -2 * spec.radius();
      function->origin_sum = spec.radius() * values[m + 1] / unit;
      function->origin_variance = spec.radius() * spec.radius() * variances[m + 1] / (unit * unit);
    }
    function->count = values[count_coordinate()] / unit;
    function->count_variance = variances[groups_.size() - 1] / (unit * unit);
    const double deviation = std::sqrt(variances[m]) / unit;
    function->most_records = std::max(function->count + kPlausibleSds * std::sqrt(function->count_variance), 0.0);
    function->residual = values[m] / unit + 2 * deviation;
    function->most_residual = std::max(values[m] / unit + kPlausibleSds * deviation, 0.0);
    function->typical_residual = spec.residual_mean();
    const double n = std::max(function->count, 0.0);
    function->mean_square_error = n * n * spec.mean_square_bias() + n * spec.mean_square_residual();
    function->is_unlike_reference = ResidualExcess(spec, function->count, values[m] / unit, deviation) > 3;
    return function;
  }

 private:
  // Moves x towards the origin until f(x, z_0) <= R; returns round(2^20 f(x, z_0) / R).
  int64_t MoveToRadius(float* x) const {
    const proto::LandmarkSpec& spec = spec_.landmark();
    const absl::Span<const float> origin(spec.origin().data(), dimension());
    const absl::Span<const float> point(x, dimension());
    double distance = similarity_.Evaluate(point, origin);
    // An infinite or NaN distance, of a record without a domain: the record counts as the origin.
    if (!std::isfinite(distance)) {
      std::copy(origin.begin(), origin.end(), x);
      return 0;
    }
    if (distance > spec.radius()) {
      const double power = similarity_.kind() == Spec::LP_POWER ? 1 / similarity_.spec().p() : 1;
      const double factor = std::pow(spec.radius() / distance, power);
      for (size_t i = 0; i < dimension(); ++i) {
        x[i] = static_cast<float>(origin[i] + factor * (static_cast<double>(x[i]) - origin[i]));
      }
      distance = similarity_.Evaluate(point, origin);
    }
    return std::llrint(std::min(distance / spec.radius(), 1.0) * kGridUnit);
  }

  Similarity similarity_;
  absl::optional<Domain> domain_;
  proto::DesignSpec spec_;
  std::vector<CoordinateGroup> groups_;
  std::shared_ptr<const LandmarkMap> map_;
};

}  // namespace

bool HasLandmarks(const Similarity& similarity) {
  return (similarity.is_kernel() && !similarity.is_hash_kernel()) || similarity.kind() == Spec::L1 ||
         similarity.kind() == Spec::L2 || similarity.kind() == Spec::LP_POWER;
}

std::vector<CoordinateGroup> LandmarkGroups(const Similarity& similarity, const proto::LandmarkSpec& spec) {
  const bool is_distance = !similarity.is_kernel();
  const double scale = is_distance ? 2 * spec.radius() : 1;
  const uint64_t unit = kGridUnit;
  std::vector<CoordinateGroup> groups;
  for (uint32_t j = 0; j < spec.rank(); ++j) {
    CoordinateGroup group;
    group.first = j;
    group.count = 1;
    group.shape = GroupShape::kBall;
    group.ball = kBall;
    group.add_remove = {unit, unit};
    group.replace = {2 * unit, 2 * unit};
    group.mean_square_weight =
        scale * scale * (static_cast<int>(j) < spec.feature_weight_size() ? spec.feature_weight(j) : 0.0);
    groups.push_back(group);
  }
  CoordinateGroup residual;
  residual.first = spec.rank();
  residual.count = 1;
  residual.shape = GroupShape::kResidual;
  residual.ball = kBall;
  residual.add_remove = residual.replace = {unit, unit};
  groups.push_back(residual);
  if (is_distance) {
    CoordinateGroup origin;
    origin.first = spec.rank() + 1;
    origin.count = 1;
    origin.add_remove = origin.replace = {unit, unit};
    origin.mean_square_weight = spec.radius() * spec.radius();
    groups.push_back(origin);
  }
  groups.push_back(CountGroup(spec.rank() + (is_distance ? 2 : 1), std::sqrt(std::max(spec.origin_weight(), 0.0))));
  return groups;
}

double ResidualExcess(const proto::LandmarkSpec& spec, double count, double residual, double deviation) {
  const double n = std::max(count, 1.0);
  // Of the released sum, of the records' own spread, and of the mean over the reference.
  const double error = std::hypot(deviation / n, spec.residual_deviation() / std::sqrt(n),
                                  spec.residual_deviation() / std::sqrt(std::max<double>(spec.landmarks(), 1)));
  return error > 0 ? (residual / n - spec.residual_mean()) / error : 0;
}

double LandmarkApproximationError(const proto::LandmarkSpec& spec, double n) {
  return std::sqrt(n * n * spec.mean_square_bias() + n * spec.mean_square_residual());
}

absl::StatusOr<std::unique_ptr<Design>> MakeLandmarkDesign(const Similarity& similarity, size_t dimension,
                                                           const absl::optional<Domain>& domain,
                                                           const proto::LandmarkSpec& spec) {
  if (!HasLandmarks(similarity)) {
    return absl::InvalidArgumentError(
        absl::StrCat(similarity.name(), " is neither a kernel nor a distance that landmarks serve"));
  }
  if (domain.has_value() && domain->dimension() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have ", dimension, " coordinates, but has ", domain->dimension()));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", dimension, 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("landmarks", spec.landmarks(), 1, kMostLandmarks));
  DPKDE_RETURN_IF_ERROR(CheckInRange("rank", spec.rank(), 1, spec.landmarks()));
  const int64_t floats = static_cast<int64_t>(spec.landmarks()) * static_cast<int64_t>(dimension);
  DPKDE_RETURN_IF_ERROR(CheckInRange("landmarks times dimension", floats, 1, kMostFloats));
  DPKDE_RETURN_IF_ERROR(CheckFloats("landmark", spec.points(), floats, kLargestCoordinate));
  DPKDE_RETURN_IF_ERROR(
      CheckFloats("projection", spec.projection(), static_cast<int64_t>(spec.landmarks()) * spec.rank(),
                  kLargestProjection));
  DPKDE_RETURN_IF_ERROR(CheckFloats("feature weight", spec.feature_weight(), spec.rank()));
  if (similarity.is_kernel()) {
    DPKDE_RETURN_IF_ERROR(CheckFloats("origin", spec.origin(), 0));
  } else {
    DPKDE_RETURN_IF_ERROR(
        CheckFloats("origin", spec.origin(), static_cast<int64_t>(dimension), kLargestCoordinate));
    DPKDE_RETURN_IF_ERROR(CheckPositive("radius", spec.radius()));
    if (!(spec.radius() >= 1e-30 && spec.radius() <= 1e30)) {
      return absl::InvalidArgumentError(
          absl::StrCat("radius of landmarks must be between 1e-30 and 1e30, but is ", spec.radius()));
    }
    const MatrixView points = View(spec.points(), dimension);
    for (size_t l = 0; l < points.rows; ++l) {
      if (similarity.Evaluate(points.row(l), {spec.origin().data(), dimension}) <= kMostRadii * spec.radius()) continue;
      return absl::InvalidArgumentError(absl::StrCat("radius of landmarks must reach them, but is ", spec.radius()));
    }
  }
  for (double value : {spec.origin_weight(), spec.mean_square_bias(), spec.mean_square_residual(), spec.residual_mean(),
                       spec.residual_deviation()}) {
    DPKDE_RETURN_IF_ERROR(CheckFinite("what is expected of landmarks", value));
  }
  return std::unique_ptr<Design>(std::make_unique<LandmarkDesign>(similarity, dimension, domain, spec));
}

}  // namespace dpkde
