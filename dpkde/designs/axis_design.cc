#include "dpkde/designs/axis_design.h"

#include <algorithm>
#include <boost/math/constants/constants.hpp>
#include <boost/math/quadrature/tanh_sinh.hpp>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/axis_tables.h"
#include "dpkde/designs/convex_regression.h"
#include "dpkde/designs/fourier_kernel.h"

namespace dpkde {
namespace {

constexpr double kPi = boost::math::constants::pi<double>();
constexpr int64_t kMostValues = int64_t{1} << 22;

// Table nodes a period of the highest harmonic: cubic interpolation is then off by less than 0.1 % of that harmonic,
// the smallest of all.
constexpr size_t kNodesPerPeriod = 16;

class AxisFunction final : public ReleasedFunction {
 public:
  AxisFunction(AxisTables tables, bool is_convex, double constant, double noise_variance, double count_covariance)
      : tables_(std::move(tables)),
        is_convex_(is_convex),
        constant_(constant),
        noise_variance_(noise_variance),
        count_covariance_(count_covariance) {}

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    std::vector<double> sums(queries.rows, constant_);
    tables_.AddSums(interpolation_, queries, absl::MakeSpan(sums));
    for (size_t q = 0; q < queries.rows; ++q) {
      answers[q].sum = sums[q];
      answers[q].noise_variance = noise_variance_;
      answers[q].count_covariance = count_covariance_;
    }
  }

  // A sum of |x - y|^p is convex in y, whatever the constant.
  void Project() override {
    if (!is_convex_) return;
    for (size_t i = 0; i < tables_.axes(); ++i) {
      const absl::Span<double> nodes = tables_.nodes(i);
      ProjectToConvex(nodes.subspan(1, nodes.size() - 2));  // those inside the domain
    }
    interpolation_ = AxisTables::Interpolation::kLinear;
  }

 private:
  AxisTables tables_;
  AxisTables::Interpolation interpolation_ = AxisTables::Interpolation::kCubic;
  bool is_convex_;
  double constant_;
  double noise_variance_;
  double count_covariance_;
};

class AxisDesign final : public Design {
 public:
  AxisDesign(double p, const Domain& domain, const proto::AxisSpec& spec) : domain_(domain) {
    *spec_.mutable_axis() = spec;
    is_convex_ = p >= 1;
    // The tail is followed far beyond the cut to bound what is dropped; past that the terms fall at least like k^-(1 +
    // p).
    const size_t cut = spec.harmonics();
    const std::vector<double> series = PowerCosineCoefficients(p, 16 * cut);
    double dropped = 0, dropped_square = 0;
    std::vector<float> turns;
    std::vector<bool> wide;
    for (size_t k = 1; k < series.size(); ++k) {
      if (k > cut) {
        dropped += std::abs(series[k]);
        dropped_square += series[k] * series[k];
      } else if (series[k] != 0) {
        harmonics_.push_back(static_cast<uint32_t>(k));
        coefficients_.push_back(series[k]);
        turns.push_back(static_cast<float>(k));
        // Columns are scaled so that the first harmonic makes a quarter turn either side of the centre.
        wide.push_back(k / 4.0 > kNarrowTurns);
      }
    }
    const double last = series.size() - 1;
    const double tail = std::abs(series.back()) + std::abs(series[series.size() - 2]);
    dropped += tail * last / std::min(p, 1.0);
    panels_ = MakeFrequencyPanels(turns, 1, wide);

    double count_coefficient = 0;
    for (size_t i = 0; i < domain.dimension(); ++i) {
      const double scale = std::pow(domain.width(i), p);
      axis_scales_.push_back(scale);
      count_coefficient += scale * series[0];
      sup_error_ += scale * dropped;
      mean_square_error_ += scale * scale * dropped_square / 2;
    }
    count_coefficient_ = count_coefficient;

    const size_t h = harmonics_.size();
    for (size_t i = 0; i < domain.dimension(); ++i) {
      for (size_t k = 0; k < h; ++k) {
        groups_.push_back(DiskGroup(2 * h * i + k, h, kFourierPairNorm, axis_scales_[i] * coefficients_[k]));
      }
    }
    groups_.push_back(CountGroup(count_coordinate(), count_coefficient_));
  }

  size_t dimension() const override { return domain_.dimension(); }
  size_t count_coordinate() const override { return 2 * harmonics_.size() * dimension(); }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return sup_error_; }
  QueryRegion query_region() const override { return QueryRegion::kBoundingBox; }

  double PredictedApproximationError(double n, double) const override {
    // Over queries uniform on the axes; worst case over the data.
    return n * std::sqrt(mean_square_error_);
  }

  double TypicalApproximationError(double n, double) const override {
    // Queries at the records themselves, where |t| has its kink, err by up to the supremum, and data are mostly asked
    // about where they are: the geometric mean of both (9 columns of integers, measured: 1.1 times that).
    return n * std::sqrt(sup_error_ * std::sqrt(mean_square_error_));
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    const size_t d = dimension(), h = harmonics_.size();
    std::vector<float> clamped(d), columns(d * rows.rows);
    for (size_t r = 0; r < rows.rows; ++r) {
      domain_.Clamp(rows.row(r).data(), clamped.data());
      for (size_t i = 0; i < d; ++i) columns[i * rows.rows + r] = Scale(clamped[i], i);
    }
    PrivateVector<int64_t> cos_sums(panels_.padded()), sin_sums(panels_.padded());
    for (size_t i = 0; i < d; ++i) {
      std::fill(cos_sums.begin(), cos_sums.end(), 0);
      std::fill(sin_sums.begin(), sin_sums.end(), 0);
      AccumulateFourier(panels_, {columns.data() + i * rows.rows, rows.rows, 1}, cos_sums.data(), sin_sums.data());
      for (size_t k = 0; k < h; ++k) {
        sums[2 * h * i + k] += cos_sums[panels_.column_of[k]];
        sums[2 * h * i + h + k] += sin_sums[panels_.column_of[k]];
      }
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const size_t d = dimension(), h = harmonics_.size();
    const double unit = kGridUnit;
    const size_t steps = std::max<size_t>(8, kNodesPerPeriod * harmonics_.back() / 2);
    AxisTables tables(domain_, steps);
    // In the scaled coordinate, [-1/4, 1/4].
    std::vector<float> points(tables.nodes_each());
    for (size_t j = 0; j < points.size(); ++j) points[j] = static_cast<float>((j - 1.0) / steps / 2 - 0.25);
    std::vector<double> cos_weights(panels_.padded()), sin_weights(panels_.padded());
    double noise_variance = 0;
    for (size_t i = 0; i < d; ++i) {
      for (size_t k = 0; k < h; ++k) {
        const double c = axis_scales_[i] * coefficients_[k] / unit;
        cos_weights[panels_.column_of[k]] = c * values[2 * h * i + k];
        sin_weights[panels_.column_of[k]] = c * values[2 * h * i + h + k];
        noise_variance += c * c * variances[h * i + k];
      }
      EvaluateFourier(panels_, {points.data(), points.size(), 1}, cos_weights.data(), sin_weights.data(),
                      tables.nodes(i).data(), nullptr);
    }
    const double c0 = count_coefficient_ / unit;
    const double count_variance = variances[h * d];
    return std::make_unique<AxisFunction>(std::move(tables), is_convex_, c0 * values[count_coordinate()],
                                          noise_variance + c0 * c0 * count_variance, c0 * count_variance / unit);
  }

 private:
  // Phases of the k-th harmonic are k times this, in turns.
  float Scale(float x, size_t axis) const {
    const float center = static_cast<float>(domain_.center(axis));
    const float inverse = static_cast<float>(0.5 / domain_.width(axis));
    return (x - center) * inverse;
  }

  Domain domain_;
  proto::DesignSpec spec_;
  std::vector<uint32_t> harmonics_;
  std::vector<double> coefficients_;
  std::vector<double> axis_scales_;
  double count_coefficient_ = 0;
  bool is_convex_ = false;
  double sup_error_ = 0;
  double mean_square_error_ = 0;
  FrequencyPanels panels_;
  std::vector<CoordinateGroup> groups_;
};

}  // namespace

std::vector<double> PowerCosineCoefficients(double p, size_t harmonics) {
  // a_k = 2 I_k, I_k = integral_0^1 u^p cos(pi k u) du. Few half-periods: quadrature, each on its own. Many:
  // integration by parts, with the singularity at 0 contributing Gamma(p + 1) cos(pi (p + 1) / 2) / w^(p + 1) and the
  // end at 1 the series
  // (-1)^k [p / w^2 - p (p-1)(p-2) / w^4 + ...], w = pi k.
  constexpr size_t kQuadrature = 12;
  std::vector<double> coefficients = {1 / (p + 1)};
  boost::math::quadrature::tanh_sinh<double> quadrature;
  for (size_t k = 1; k <= harmonics; ++k) {
    const double w = kPi * k;
    const double sign = k % 2 == 0 ? 1 : -1;
    double integral = 0;
    if (p == 1) {
      integral = (sign - 1) / (w * w);
    } else if (p == 2) {
      integral = 2 * sign / (w * w);
    } else if (k <= kQuadrature) {
      for (size_t part = 0; part < 2 * k; ++part) {
        integral += quadrature.integrate([&](double u) { return std::pow(u, p) * std::cos(w * u); }, part / (2.0 * k),
                                         (part + 1) / (2.0 * k));
      }
    } else {
      integral = std::tgamma(p + 1) * std::cos(kPi * (p + 1) / 2) / std::pow(w, p + 1);
      double term = p / (w * w);
      for (int j = 1; j < 8; ++j) {
        integral += sign * term;
        term *= -(p - 2 * j + 1) * (p - 2 * j) / (w * w);
      }
    }
    coefficients.push_back(2 * integral);
  }
  return coefficients;
}

absl::StatusOr<std::unique_ptr<Design>> MakeAxisDesign(const Similarity& similarity, const Domain& domain,
                                                       const proto::AxisSpec& spec) {
  double p;
  if (similarity.kind() == proto::SimilaritySpec::L1) {
    p = 1;
  } else if (similarity.kind() == proto::SimilaritySpec::LP_POWER) {
    p = similarity.spec().p();
  } else {
    return absl::InvalidArgumentError(absl::StrCat(similarity.name(), " is not a sum of powers over axes"));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("harmonics", spec.harmonics(), 1, 1 << 16));
  DPKDE_RETURN_IF_ERROR(CheckInRange("harmonics times dimension",
                                     static_cast<int64_t>(spec.harmonics()) * domain.dimension(), 1, kMostValues));
  auto design = std::make_unique<AxisDesign>(p, domain, spec);
  if (!std::isfinite(*design->SupError())) {
    return absl::InvalidArgumentError(absl::StrCat("p is too small for a cosine series: ", p));
  }
  return std::unique_ptr<Design>(std::move(design));
}

}  // namespace dpkde
