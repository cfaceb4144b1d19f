#include "dpkde/designs/slice_design.h"

#include <algorithm>
#include <boost/math/constants/constants.hpp>
#include <boost/math/special_functions/bessel.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/centered_blocks.h"
#include "dpkde/designs/directions.h"
#include "dpkde/designs/fourier_kernel.h"
#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

constexpr double kPi = boost::math::constants::pi<double>();
constexpr int64_t kMostValues = int64_t{1} << 22;
constexpr size_t kBlockRows = 48;

// Dimension of the space in which directions are drawn.
size_t SliceDimension(size_t dimension) {
  return dimension < StructuredDirections::kLeastDimension ? dimension
                                                           : StructuredDirections::EmbeddingDimension(dimension);
}

// c_p.
double SliceConstant(size_t p) { return std::sqrt(kPi) * std::exp(std::lgamma((p + 1) / 2.0) - std::lgamma(p / 2.0)); }

double HalfPeriod(const Domain& domain) {
  return std::min(2.0, 7 / std::sqrt(static_cast<double>(SliceDimension(domain.dimension())))) * domain.radius();
}

// Mean over u of cos(z <u, e>), e a unit vector.
double MeanCosine(size_t p, double z) {
  if (z == 0) return 1;
  if (p == 1) return std::cos(z);
  if (p <= 40) {
    const double order = p / 2.0 - 1;
    return std::exp(std::lgamma(p / 2.0) + order * std::log(2 / z)) * boost::math::cyl_bessel_j(order, z);
  }
  // Falls like exp(-z^2 / (2p)); below, the midpoint rule over the angle is exact to rounding.
  if (z > 10 * std::sqrt(static_cast<double>(p))) return 0;
  const int steps = 200 + static_cast<int>(z);
  double sum = 0, weights = 0;
  for (int i = 0; i < steps; ++i) {
    const double angle = kPi * (i + 0.5) / steps;
    const double weight = std::exp((p - 2.0) * std::log(std::sin(angle)));
    sum += weight * std::cos(z * std::cos(angle));
    weights += weight;
  }
  return sum / weights;
}

double SeriesCoefficient(double half_period, size_t k) { return 4 * half_period / (kPi * k * kPi * k); }

// Sum over odd k > harmonics of k^-2 and of k^-4.
double InverseSquareTail(size_t harmonics) {
  double sum = kPi * kPi / 8;
  for (size_t k = 1; k <= harmonics; k += 2) sum -= 1.0 / k / k;
  return sum;
}
double InverseFourthTail(size_t harmonics) {
  double sum = 0;
  size_t k = harmonics + 1 + harmonics % 2;
  for (int term = 0; term < 64; ++term, k += 2) sum += 1.0 / k / k / k / k;
  return sum + 1 / (6 * std::pow(k - 1.0, 3));
}

// Of K equally spaced angles, relative: sup and mean square of (pi / 2K) sum_j |cos(angle - j pi / K)| - 1. With x = pi
// / 2K the sum is cos(a) / sin(x), |a| <= x.
double EqualAnglesSupError(size_t directions) {
  const double x = kPi / (2 * directions);
  return std::max(x / std::sin(x) - 1, 1 - x / std::tan(x));
}
double EqualAnglesMeanSquareError(size_t directions) {
  const double x = kPi / (2 * directions), s = x / std::sin(x);
  // Over a uniform in [-x, x]: mean of (s cos a - 1)^2. By the midpoint rule; the closed form cancels.
  constexpr int kSteps = 1000;
  double sum = 0;
  for (int i = 0; i < kSteps; ++i) sum += std::pow(s * std::cos(x * (i + 0.5) / kSteps) - 1, 2);
  return sum / kSteps;
}

// The directions of a design, scaled so that products are phases of the first harmonic, in turns.
struct Directions {
  absl::optional<StructuredDirections> structured;
  FrequencyPanels dense;
  Sha256Digest digest;

  size_t padded() const { return structured.has_value() ? structured->padded() : dense.padded(); }
  void Products(MatrixView rows, float* out) const {
    if (structured.has_value()) return structured->Products(rows, out);
    FixedOrderProducts(dense, rows, out);
  }
};

Directions DrawDirections(size_t d, const proto::SliceSpec& spec, double scale) {
  constexpr char kPurpose[] = "slice directions";
  const size_t count = spec.directions();
  Directions directions;
  if (d >= StructuredDirections::kLeastDimension) {
    const std::vector<float> scales(count, static_cast<float>(scale));
    directions.structured.emplace(d, scales, spec.public_seed(), kPurpose);
    const std::vector<uint8_t>& signs = directions.structured->signs();
    directions.digest = Sha256({reinterpret_cast<const char*>(signs.data()), signs.size()});
    return directions;
  }
  std::vector<float> turns(count * d);
  std::vector<double> block;
  for (size_t j = 0; j < count; ++j) {
    if (d >= 3 && j % d == 0) block = OrthogonalRows(spec.public_seed(), kPurpose, j / d, d);
    for (size_t i = 0; i < d; ++i) {
      const double angle = kPi * j / count;
      const double value = d == 1 ? 1 : d >= 3 ? block[j % d * d + i] : i == 0 ? std::cos(angle) : std::sin(angle);
      turns[j * d + i] = static_cast<float>(scale * value);
    }
  }
  directions.dense = MakeFrequencyPanels(turns, d, std::vector<bool>(count, false));
  directions.digest = Sha256({reinterpret_cast<const char*>(turns.data()), turns.size() * sizeof(turns[0])});
  return directions;
}

// What of the answers is not noise: see SliceFunction.
struct ApproximationVariance {
  double relative = 0;  // of the square of the sum
  double each = 0;      // of the square of the number of records
};

ApproximationVariance MakeApproximationVariance(const Domain& domain, const proto::SliceSpec& spec,
                                                double mean_square_bias) {
  const size_t p = SliceDimension(domain.dimension());
  const double half_period = HalfPeriod(domain);
  // Harmonics that are cut are missing from each direction, with phases of their own.
  const double cut = std::pow(SliceConstant(p) * SeriesCoefficient(half_period, 1), 2) *
                     InverseFourthTail(spec.harmonics()) / 2 / spec.directions();
  return {SliceRelativeVariance(p, spec.directions()), mean_square_bias + (p == 1 ? 0 : cut)};
}

class SliceFunction final : public ReleasedFunction {
 public:
  const Directions* directions = nullptr;
  std::vector<float> center;
  std::vector<float> harmonics;
  std::vector<std::vector<double>> cos_weights, sin_weights;  // for each harmonic, over the padded directions
  double count = 0;                                           // released number of records
  double count_coefficient = 0;
  double noise_variance = 0;
  double count_covariance = 0;
  absl::optional<ApproximationVariance> random;

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    std::vector<float> phases(kBlockRows * directions->padded());
    ForCenteredBlocks(queries, kBlockRows, nullptr, center, [&](size_t begin, MatrixView block) {
      directions->Products(block, phases.data());
      double sums[kBlockRows] = {}, squares[kBlockRows] = {};
      for (size_t h = 0; h < harmonics.size(); ++h) {
        EvaluatePhases({phases.data(), block.rows, directions->padded()}, harmonics[h], cos_weights[h].data(),
                       sin_weights[h].data(), sums, squares);
      }
      for (size_t r = 0; r < block.rows; ++r) {
        Answer& answer = answers[begin + r];
        answer.sum = count_coefficient * count + sums[r];
        answer.noise_variance = noise_variance;
        answer.count_covariance = count_covariance;
        if (random.has_value()) {
          // Over the directions, Var sum_x e_x <= (sum_x sd(e_x))^2: as if all errors had one sign.
          answer.total_variance = noise_variance + random->relative * std::pow(std::max(answer.sum, 0.0), 2) +
                                  random->each * std::pow(std::max(count, 0.0), 2);
        }
      }
    });
  }
};

class SliceDesign final : public Design {
 public:
  SliceDesign(const Domain& domain, const proto::SliceSpec& spec)
      : domain_(domain),
        half_period_(HalfPeriod(domain)),
        directions_(DrawDirections(domain.dimension(), spec, 0.5 / half_period_)),
        groups_(SliceGroups(domain, spec)),
        mean_square_bias_(SliceMeanSquareBias(domain, spec.harmonics())) {
    proto::SliceSpec& complete = *spec_.mutable_slice();
    complete = spec;
    complete.set_scheme_version(kPublicRandomScheme);
    complete.set_fingerprint(directions_.digest.data(), directions_.digest.size());
    for (size_t k = 1; k <= spec.harmonics(); k += 2) harmonics_.push_back(static_cast<float>(k));
    for (size_t i = 0; i < dimension(); ++i) center_.push_back(static_cast<float>(domain.center(i)));
  }

  size_t dimension() const override { return domain_.dimension(); }
  size_t count_coordinate() const override { return 2 * harmonics_.size() * directions(); }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  QueryRegion query_region() const override { return QueryRegion::kDomain; }

  absl::optional<double> SupError() const override {
    if (dimension() > 2) return absl::nullopt;
    const double cut =
        SliceConstant(dimension()) * SeriesCoefficient(half_period_, 1) * InverseSquareTail(spec_.slice().harmonics());
    return cut + (dimension() == 2 ? EqualAnglesSupError(directions()) * domain_.Diameter() : 0);
  }

  double PredictedApproximationError(double n, double) const override {
    return SliceApproximationError(domain_, spec_.slice(), mean_square_bias_, n);
  }

  double TypicalApproximationError(double n, double) const override {
    return TypicalSliceApproximationError(domain_, spec_.slice(), mean_square_bias_, n);
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    const size_t padded = directions_.padded();
    std::vector<float> phases(kBlockRows * padded);
    PrivateVector<int64_t> cos_sums(harmonics_.size() * padded), sin_sums(harmonics_.size() * padded);
    ForCenteredBlocks(rows, kBlockRows, &domain_, center_, [&](size_t, MatrixView block) {
      directions_.Products(block, phases.data());
      for (size_t h = 0; h < harmonics_.size(); ++h) {
        AccumulatePhases({phases.data(), block.rows, padded}, harmonics_[h], &cos_sums[h * padded],
                         &sin_sums[h * padded]);
      }
    });
    for (size_t h = 0; h < harmonics_.size(); ++h) {
      for (size_t j = 0; j < directions(); ++j) {
        sums[2 * h * directions() + j] += cos_sums[h * padded + Column(j)];
        sums[(2 * h + 1) * directions() + j] += sin_sums[h * padded + Column(j)];
      }
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const double unit = kGridUnit;
    auto function = std::make_unique<SliceFunction>();
    function->directions = &directions_;
    function->center = center_;
    function->harmonics = harmonics_;
    const double constant = SliceConstant(SliceDimension(dimension()));
    for (size_t h = 0; h < harmonics_.size(); ++h) {
      const double c = -constant * SeriesCoefficient(half_period_, 2 * h + 1) / directions() / unit;
      function->cos_weights.emplace_back(directions_.padded());
      function->sin_weights.emplace_back(directions_.padded());
      for (size_t j = 0; j < directions(); ++j) {
        function->cos_weights[h][Column(j)] = c * values[2 * h * directions() + j];
        function->sin_weights[h][Column(j)] = c * values[(2 * h + 1) * directions() + j];
        function->noise_variance += c * c * variances[h * directions() + j];
      }
    }
    const double c0 = constant * half_period_ / 2;
    const double count_variance = variances.back() / (unit * unit);
    function->count = values[count_coordinate()] / unit;
    function->count_coefficient = c0;
    function->noise_variance += c0 * c0 * count_variance;
    function->count_covariance = c0 * count_variance;
    if (dimension() > 2) function->random = MakeApproximationVariance(domain_, spec_.slice(), mean_square_bias_);
    return function;
  }

 private:
  size_t directions() const { return spec_.slice().directions(); }
  size_t Column(size_t direction) const {
    return directions_.structured.has_value() ? direction : directions_.dense.column_of[direction];
  }

  Domain domain_;
  proto::DesignSpec spec_;
  double half_period_;
  Directions directions_;
  std::vector<CoordinateGroup> groups_;
  double mean_square_bias_;
  std::vector<float> harmonics_;
  std::vector<float> center_;
};

}  // namespace

double SliceBias(size_t p, double half_period, size_t harmonics, double distance) {
  double mean = half_period / 2;
  for (size_t k = 1; k <= harmonics; k += 2) {
    mean -= SeriesCoefficient(half_period, k) * MeanCosine(p, kPi * k * distance / half_period);
  }
  return SliceConstant(p) * mean - distance;
}

double SliceRelativeVariance(size_t p, size_t directions) {
  if (p == 1) return 0;
  if (p == 2) return EqualAnglesMeanSquareError(directions);
  // With a, b the first two coordinates of a uniform unit vector: E a^2 = 1/p, E |a b| = 2 / (pi p), (c_p E |a|)^2 = 1.
  const double square = SliceConstant(p) * SliceConstant(p) / p;
  const double variance = square - 1, covariance = 2 / kPi * square - 1;
  double sum = 0;
  for (size_t left = directions; left > 0;) {
    const double block = std::min(left, p);
    sum += block * (variance + (block - 1) * covariance);
    left -= static_cast<size_t>(block);
  }
  return sum / directions / directions;
}

std::vector<CoordinateGroup> SliceGroups(const Domain& domain, const proto::SliceSpec& spec) {
  const size_t directions = spec.directions(), harmonics = (spec.harmonics() + 1) / 2;
  const double constant = SliceConstant(SliceDimension(domain.dimension())), half_period = HalfPeriod(domain);
  std::vector<CoordinateGroup> groups;
  groups.reserve(directions * harmonics + 1);
  for (size_t h = 0; h < harmonics; ++h) {
    const double c = constant * SeriesCoefficient(half_period, 2 * h + 1) / directions;
    for (size_t j = 0; j < directions; ++j) {
      groups.push_back(DiskGroup(2 * h * directions + j, directions, kFourierPairNorm, c));
    }
  }
  groups.push_back(CountGroup(2 * harmonics * directions, constant * half_period / 2));
  return groups;
}

double SliceMeanSquareBias(const Domain& domain, uint32_t harmonics) {
  const size_t d = domain.dimension(), p = SliceDimension(d);
  const double half_period = HalfPeriod(domain);
  if (p == 1) {
    // Parseval; the cusp is too narrow to be sampled.
    return std::pow(SeriesCoefficient(half_period, 1), 2) * InverseFourthTail(harmonics) / 2;
  }
  constexpr int kQueries = 128;
  boost::random::mt19937_64 engine = PublicStream(0, "queries for the bias of slices", 0);
  boost::random::uniform_real_distribution<double> uniform(-0.5, 0.5);
  double sum = 0;
  for (int query = 0; query < kQueries; ++query) {
    double distance = 0;
    if (domain.is_ball()) {
      distance = domain.radius() * std::pow(uniform(engine) + 0.5, 1.0 / d);
    } else {
      for (size_t i = 0; i < d; ++i) distance += std::pow(uniform(engine) * domain.width(i), 2);
      distance = std::sqrt(distance);
    }
    sum += std::pow(SliceBias(p, half_period, harmonics, distance), 2);
  }
  return sum / kQueries;
}

namespace {

// `spread`: the part of the errors of directions that does not average out.
double ErrorOfDirections(const Domain& domain, const proto::SliceSpec& spec, double mean_square_bias, double n,
                         double spread) {
  // The part that grows with the distance is largest for records in a corner of the box or on the sphere, the other for
  // those in the centre.
  const size_t d = domain.dimension();
  double mean_square_distance = 0;
  if (domain.is_ball()) {
    mean_square_distance = domain.radius() * domain.radius() * (1 + d / (d + 2.0));
  } else {
    for (size_t i = 0; i < d; ++i) mean_square_distance += std::pow(domain.width(i), 2) / 3;
  }
  const ApproximationVariance variance = MakeApproximationVariance(domain, spec, mean_square_bias);
  return n * std::sqrt(spread * spread * variance.relative * mean_square_distance + variance.each);
}

}  // namespace

double SliceApproximationError(const Domain& domain, const proto::SliceSpec& spec, double mean_square_bias, double n) {
  return ErrorOfDirections(domain, spec, mean_square_bias, n, 1);
}

double TypicalSliceApproximationError(const Domain& domain, const proto::SliceSpec& spec, double mean_square_bias,
                                      double n) {
  const bool is_block_full = spec.directions() >= SliceDimension(domain.dimension());
  return ErrorOfDirections(domain, spec, mean_square_bias, n, is_block_full ? 0.25 : 0.5);
}

absl::StatusOr<std::unique_ptr<Design>> MakeSliceDesign(const Similarity& similarity, const Domain& domain,
                                                        const proto::SliceSpec& spec) {
  if (similarity.kind() != proto::SimilaritySpec::L2) {
    return absl::InvalidArgumentError(absl::StrCat(similarity.name(), " is not a mean over slices"));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("directions", spec.directions(), 1, domain.dimension() == 1 ? 1 : 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("harmonics", spec.harmonics(), 1, 4095));
  DPKDE_RETURN_IF_ERROR(
      CheckInRange("directions times harmonics", int64_t{spec.directions()} * (spec.harmonics() + 1), 1, kMostValues));
  DPKDE_RETURN_IF_ERROR(CheckPublicRandomScheme("directions", spec.scheme_version()));
  auto design = std::make_unique<SliceDesign>(domain, spec);
  DPKDE_RETURN_IF_ERROR(CheckFingerprint("directions", spec.fingerprint(), design->spec().slice().fingerprint()));
  return std::unique_ptr<Design>(std::move(design));
}

}  // namespace dpkde
