#include "dpkde/designs/spline_grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/spline_axis.h"

namespace dpkde {
namespace {

constexpr size_t kLargestDimension = 4;
constexpr size_t kLargestWeights = 256;  // 4^4
constexpr int64_t kMostFunctions = int64_t{1} << 22;

// The fit of one axis, without the ends that are too small to matter.
struct TrimmedFit {
  size_t first = 0;
  std::vector<double> psi;
};

TrimmedFit Trim(const std::vector<double>& psi) {
  double largest = 0;
  for (double value : psi) largest = std::max(largest, std::abs(value));
  // Dropping them is part of the definition of psi; its effect on the error is below 1e-9.
  const auto matters = [&](double value) { return std::abs(value) > 1e-11 * largest; };
  const auto first = std::find_if(psi.begin(), psi.end(), matters);
  const auto last = std::find_if(psi.rbegin(), psi.rend(), matters).base();
  TrimmedFit fit;
  if (first == psi.end()) return fit;
  fit.first = first - psi.begin();
  fit.psi.assign(first, last);
  return fit;
}

class SplineGridFunction final : public ReleasedFunction {
 public:
  SplineGridFunction(const std::vector<SplineAxis>* axes, const Domain* domain, std::vector<double> values,
                     double variance)
      : axes_(axes), domain_(domain), values_(std::move(values)), variance_(variance) {}

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    const size_t d = axes_->size();
    std::vector<double> psi, row;
    std::vector<TrimmedFit> fits(d);
    std::vector<double> squares(d);
    for (size_t q = 0; q < queries.rows; ++q) {
      double weight = 1;
      for (size_t i = 0; i < d; ++i) {
        // Queries on a raster share coordinates with the one before.
        if (q > 0 && queries.row(q)[i] == queries.row(q - 1)[i]) {
          weight *= squares[i];
          continue;
        }
        const SplineAxis& axis = (*axes_)[i];
        psi.resize(axis.functions());
        axis.Fit(static_cast<double>(queries.row(q)[i]) - domain_->lower()[i], psi.data());
        fits[i] = Trim(psi);
        double square = 0;
        for (double value : fits[i].psi) square += value * value;
        squares[i] = square;
        weight *= square;
      }
      row.assign(fits[d - 1].psi.size(), 0.0);
      AddRows(fits, 0, 0, 1, row);
      answers[q].sum = std::inner_product(row.begin(), row.end(), fits[d - 1].psi.begin(), 0.0);
      answers[q].noise_variance = variance_ * weight;
    }
  }

 private:
  // Adds to `row`, over the last axis, the values at `offset` summed over the axes axis .. d - 2 with their
  // coefficients.
  void AddRows(const std::vector<TrimmedFit>& fits, size_t axis, size_t offset, double coefficient,
               std::vector<double>& row) const {
    const TrimmedFit& fit = fits[axis];
    const size_t begin = offset * (*axes_)[axis].functions() + fit.first;
    if (axis + 1 == fits.size()) {
      for (size_t j = 0; j < row.size(); ++j) row[j] += coefficient * values_[begin + j];
      return;
    }
    for (size_t j = 0; j < fit.psi.size(); ++j) AddRows(fits, axis + 1, begin + j, coefficient * fit.psi[j], row);
  }

  const std::vector<SplineAxis>* axes_;
  const Domain* domain_;
  std::vector<double> values_;
  double variance_;
};

class SplineGridDesign final : public Design {
 public:
  SplineGridDesign(const Similarity& similarity, const Domain& domain, const proto::SplineGridSpec& spec)
      : domain_(domain) {
    *spec_.mutable_spline_grid() = spec;
    const size_t d = domain.dimension();
    double error_factor = 1, mean_error_factor = 1, mean_square_weight = 1;
    for (size_t i = 0; i < d; ++i) {
      axes_.emplace_back(similarity, domain.width(i), spec.cells(i), spec.ridge());
      functions_ *= axes_.back().functions();
      const SplineAxis::Quality quality = axes_.back().MeasureQuality();
      // |prod s_i - prod f_i| <= prod (1 + e_i) - 1, since 0 <= f_i <= 1.
      error_factor *= 1 + quality.sup_error;
      mean_error_factor *= 1 + quality.mean_sup_error;
      mean_square_weight *= quality.mean_square_weight;
      relative_square_error_ += std::log1p(quality.relative_square_error);
    }
    relative_square_error_ = std::expm1(relative_square_error_);
    sup_error_ = error_factor - 1;
    mean_error_ = mean_error_factor - 1;

    CoordinateGroup grid;
    grid.first = 0;
    grid.count = functions_;
    const double largest_l2 = std::ceil(std::exp2(kGridBits - d / 2.0)) + std::exp2(2.0 * d);
    l2_bound_ = static_cast<uint64_t>(largest_l2);
    grid.add_remove = {static_cast<uint64_t>(kGridUnit), l2_bound_};
    grid.replace = {static_cast<uint64_t>(2 * kGridUnit), static_cast<uint64_t>(std::ceil(std::sqrt(2.0) * l2_bound_))};
    grid.mean_square_weight = mean_square_weight;
    groups_ = {grid, CountGroup(functions_, 0)};
  }

  size_t dimension() const override { return domain_.dimension(); }
  size_t count_coordinate() const override { return functions_; }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return sup_error_; }

  double PredictedApproximationError(double n, double expected_similarity) const override {
    // Only the records near the query count, as many as the sum itself.
    return n * expected_similarity * mean_error_;
  }

  double TypicalApproximationError(double n, double expected_similarity) const override {
    // About `near` records matter to an answer. If they all lay in one place, their errors would add up to near times
    // the relative error; if each had a place of its own, to the square root of that many times. What lies in between
    // was fitted to geographic data at bandwidths from a street to a state (tests/benchmarks/planner_benchmark.cc),
    // where queries lie in dense places and so the rms answer is up to three times the mean.
    const double near = n * expected_similarity;
    return std::min(PredictedApproximationError(n, expected_similarity),
                    4 * std::sqrt(relative_square_error_) * std::pow(near, near < 1 ? 0.5 : 0.65));
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override { Add(rows, nullptr, sums); }

  // A record touches 4^d of what may be millions of functions, so here a weighted one costs no more.
  void AccumulateWeighted(MatrixView rows, absl::Span<const int32_t> weights, absl::Span<int64_t> sums) const override {
    Add(rows, weights.data(), sums);
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const double unit = kGridUnit;
    std::vector<double> scaled(functions_);
    for (size_t j = 0; j < functions_; ++j) scaled[j] = values[j] / unit;
    return std::make_unique<SplineGridFunction>(&axes_, &domain_, std::move(scaled), variances[0] / (unit * unit));
  }

 private:
  // All weights are 1 if `record_weights` is null.
  void Add(MatrixView rows, const int32_t* record_weights, absl::Span<int64_t> sums) const {
    const size_t d = dimension();
    float x[kLargestDimension];
    for (size_t r = 0; r < rows.rows; ++r) {
      domain_.Clamp(rows.row(r).data(), x);
      size_t count = 1;
      std::array<double, kLargestWeights> weights;
      std::array<size_t, kLargestWeights> places;
      weights[0] = 1;
      places[0] = 0;
      for (size_t i = 0; i < d; ++i) {
        std::array<double, 4> axis_weights;
        const size_t cell = axes_[i].Weights(static_cast<double>(x[i]) - domain_.lower()[i], axis_weights);
        // Expanded from the back, so that nothing is overwritten before it is read.
        for (size_t j = count; j-- > 0;) {
          const double weight = weights[j];
          const size_t place = places[j] * axes_[i].functions() + cell;
          for (size_t s = 0; s < 4; ++s) {
            weights[4 * j + s] = weight * axis_weights[s];
            places[4 * j + s] = place + s;
          }
        }
        count *= 4;
      }
      std::array<int64_t, kLargestWeights> integers;
      Round(absl::MakeConstSpan(weights.data(), count), absl::MakeSpan(integers.data(), count));
      const int32_t scale = record_weights == nullptr ? kGridUnit : record_weights[r];
      for (size_t j = 0; j < count; ++j) sums[places[j]] += ScaleByWeight(integers[j], scale);
      sums[count_coordinate()] += scale;
    }
  }

  // Weights to integers that are non-negative and sum to 2^20, with the norm that the sensitivity declares. The check
  // cannot fail unless the arithmetic above is wrong; then the fixed vector of equal weights takes the record's place,
  // so that the guarantee does not rest on floating point.
  void Round(absl::Span<const double> weights, absl::Span<int64_t> integers) const {
    int64_t sum = 0;
    size_t largest = 0;
    for (size_t j = 0; j < weights.size(); ++j) {
      integers[j] = std::llrint(std::min(std::max(weights[j], 0.0), 1.0) * kGridUnit);
      sum += integers[j];
      if (integers[j] > integers[largest]) largest = j;
    }
    integers[largest] += kGridUnit - sum;
    uint64_t square = 0;
    bool valid = true;
    for (int64_t value : integers) {
      valid = valid && value >= 0 && value <= kGridUnit;
      square += static_cast<uint64_t>(value) * static_cast<uint64_t>(value);
    }
    if (valid && square <= l2_bound_ * l2_bound_) return;
    for (int64_t& value : integers) value = kGridUnit / static_cast<int64_t>(weights.size());
  }

  Domain domain_;
  proto::DesignSpec spec_;
  std::vector<SplineAxis> axes_;
  size_t functions_ = 1;
  uint64_t l2_bound_ = 0;
  double sup_error_ = 0;
  double mean_error_ = 0;
  double relative_square_error_ = 0;
  std::vector<CoordinateGroup> groups_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Design>> MakeSplineGridDesign(const Similarity& similarity, const Domain& domain,
                                                             const proto::SplineGridSpec& spec) {
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension of a spline grid", domain.dimension(), 1, kLargestDimension));
  if (!similarity.is_kernel() || !(similarity.is_product() || domain.dimension() == 1)) {
    return absl::InvalidArgumentError(absl::StrCat(similarity.name(), " has no spline grid in ", domain.dimension(),
                                                   domain.dimension() == 1 ? " dimension" : " dimensions"));
  }
  if (spec.cells_size() != static_cast<int>(domain.dimension())) {
    return absl::InvalidArgumentError(absl::StrCat("a spline grid in ", domain.dimension(),
                                                   " dimensions must name the cells of each, but names ",
                                                   spec.cells_size()));
  }
  int64_t functions = 1;
  for (uint32_t cells : spec.cells()) {
    DPKDE_RETURN_IF_ERROR(CheckInRange("cells of a spline grid's axis", cells, 1, 4096));
    functions *= cells + 3;
    if (functions > kMostFunctions) {
      return absl::InvalidArgumentError(absl::StrCat("a spline grid has at most ", kMostFunctions, " functions"));
    }
  }
  DPKDE_RETURN_IF_ERROR(CheckPositive("ridge of a spline grid", spec.ridge()));
  return std::unique_ptr<Design>(std::make_unique<SplineGridDesign>(similarity, domain, spec));
}

}  // namespace dpkde
