#include "dpkde/designs/spline_grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/kernel_mixture.h"
#include "dpkde/designs/spline_axis.h"
#include "dpkde/designs/spline_function.h"

namespace dpkde {
namespace {

constexpr size_t kLargestDimension = 4;
constexpr size_t kLargestWeights = 256;  // 4^4
constexpr int64_t kMostFunctions = int64_t{1} << 22;

size_t Degree(const proto::SplineGridSpec& spec) { return spec.degree() == 0 ? 3 : spec.degree(); }

// The most that the squares of an axis' weights add up to. At u of a cell, w = u (1 - u), those of linear splines are
// 1 - 2 w, at most 1, at a knot; of quadratic ones 1/2 + 3/2 w^2, at most 19/32, in the middle; of cubic ones at most
// 1/2, at a knot.
double LargestSquare(size_t degree) { return degree == 1 ? 1 : degree == 2 ? 19.0 / 32 : 0.5; }

// What a grid can tell apart: narrower terms of a mixture are left out.
double NarrowestBandwidth(const Domain& domain, const proto::SplineGridSpec& spec) {
  double narrowest = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < domain.dimension(); ++i) narrowest = std::min(narrowest, domain.width(i) / spec.cells(i) / 8);
  return narrowest;
}

// Mean of f g over pairs of points of the domain, two terms of a mixture, by the midpoint rule on a scale that resolves
// the narrower.
double MeanProduct(const Similarity& f, const Similarity& g, const Domain& domain) {
  constexpr int kSteps = 100;
  double product = 1;
  for (size_t i = 0; i < domain.dimension(); ++i) {
    const double width = domain.width(i), reach = std::min(width, 12 * std::min(f.bandwidth(), g.bandwidth()));
    double sum = 0;
    for (int step = 0; step < kSteps; ++step) {
      const double t = (step + 0.5) / kSteps * reach;
      sum += f.EvaluateAxis(t) * g.EvaluateAxis(t) * (1 - t / width);
    }
    product *= 2 * sum * reach / kSteps / width;
  }
  return product;
}

// Mean over the places of one axis of the products of the terms' fits, terms x terms: like those of
// SplineAxis::MeasureQuality, ends and one cell in the middle.
std::vector<double> MeanGram(const std::vector<SplineTerm>& terms, size_t axis) {
  constexpr int kPerCell = 2;
  constexpr size_t kEndCells = 8;
  const size_t cells = terms[0].axes[axis].cells(), functions = terms[0].axes[axis].functions(), count = terms.size();
  const size_t half = (cells + 1) / 2, end_cells = std::min(kEndCells, half);
  std::vector<double> gram(count * count), fits(count * functions);
  double total = 0;
  const auto visit = [&](size_t cell, double stands_for) {
    for (int step = 0; step < kPerCell; ++step) {
      const double y = (cell + (step + 0.5) / kPerCell) * terms[0].axes[axis].width() / cells;
      for (size_t m = 0; m < count; ++m) terms[m].axes[axis].Fit(y, &fits[m * functions]);
      for (size_t m = 0; m < count; ++m) {
        for (size_t l = 0; l <= m; ++l) {
          const double dot = stands_for * std::inner_product(&fits[m * functions], &fits[m * functions] + functions,
                                                             &fits[l * functions], 0.0);
          gram[m * count + l] += dot;
          if (l != m) gram[l * count + m] += dot;
        }
      }
      total += stands_for;
    }
  };
  for (size_t cell = 0; cell < end_cells; ++cell) visit(cell, 1);
  if (half > end_cells) visit(half - 1, static_cast<double>(half - end_cells));
  for (double& value : gram) value /= total;
  return gram;
}

class SplineGridDesign final : public Design {
 public:
  SplineGridDesign(const KernelMixture& mixture, const Domain& domain, const proto::SplineGridSpec& spec)
      : domain_(domain) {
    *spec_.mutable_spline_grid() = spec;
    const size_t d = domain.dimension();
    for (const KernelMixture::Term& term : mixture.terms) {
      terms_.push_back({term.weight, {}});
      for (size_t i = 0; i < d; ++i) {
        terms_.back().axes.emplace_back(term.kernel, domain.width(i), spec.cells(i), spec.ridge(), Degree(spec));
      }
    }
    for (const SplineAxis& axis : axes()) functions_ *= axis.functions();

    sup_error_ = mean_error_ = mixture.error;
    double mean_square_weight = 1, square_root = 0;
    for (const KernelMixture::Term& term : mixture.terms) {
      double error_factor = 1, mean_error_factor = 1, relative_square_error = 0;
      SplineAxis::Quality quality;
      for (size_t i = 0; i < d; ++i) {
        if (i == 0 || domain.width(i) != domain.width(i - 1) || spec.cells(i) != spec.cells(i - 1)) {
          quality = MeasureQuality(mixture, term, i);
        }
        // |prod s_i - prod f_i| <= prod (1 + e_i) - 1, since 0 <= f_i <= 1.
        error_factor *= 1 + quality.sup_error;
        mean_error_factor *= 1 + quality.mean_sup_error;
        relative_square_error += std::log1p(quality.relative_square_error);
        mean_square_weight *= quality.mean_square_weight;
      }
      sup_error_ += term.weight * (error_factor - 1);
      // Of terms so narrow that the grid hardly sees them, all is missing, but not more.
      mean_error_ += term.weight * (terms_.size() == 1 ? mean_error_factor - 1 : std::min(mean_error_factor - 1, 1.0));
      relative_square_error_ = std::expm1(relative_square_error);
      square_root += term.weight * std::sqrt(relative_square_error_ * MeanProduct(term.kernel, term.kernel, domain));
    }
    if (terms_.size() > 1) {
      std::vector<double> products;
      for (const SplineTerm& term : terms_) {
        for (const SplineTerm& other : terms_) products.push_back(term.weight * other.weight);
      }
      for (size_t i = 0; i < d; ++i) {
        const std::vector<double> gram = MeanGram(terms_, i);
        for (size_t k = 0; k < products.size(); ++k) products[k] *= gram[k];
      }
      mean_square_weight = std::accumulate(products.begin(), products.end(), 0.0);
      // Errors of all terms as if they were of one shape and sign.
      double mean_square = 0;
      for (const KernelMixture::Term& term : mixture.terms) {
        for (const KernelMixture::Term& other : mixture.terms) {
          mean_square += term.weight * other.weight * MeanProduct(term.kernel, other.kernel, domain);
        }
      }
      relative_square_error_ = square_root * square_root / mean_square;
    }

    CoordinateGroup grid;
    grid.first = 0;
    grid.count = functions_;
    const double largest_l2 =
        std::ceil(kGridUnit * std::sqrt(std::pow(LargestSquare(Degree(spec)), d))) + std::pow(Degree(spec) + 1, d);
    l2_bound_ = static_cast<uint64_t>(std::min<double>(largest_l2, kGridUnit));
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
                    4.35 * std::sqrt(relative_square_error_) * std::pow(near, near < 1 ? 0.5 : 0.628));
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
    std::call_once(tables_once_, [&] { tables_ = MakeSplineTables(terms_); });
    return MakeSplineFunction(terms_, tables_, domain_, std::move(scaled), variances[0] / (unit * unit));
  }

 private:
  // Those of the grid, which all terms share.
  const std::vector<SplineAxis>& axes() const { return terms_[0].axes; }

  // Of one term on one axis. In a mixture, terms wider than three cells err less than one of three cells does.
  SplineAxis::Quality MeasureQuality(const KernelMixture& mixture, const KernelMixture::Term& term, size_t axis) const {
    const double three_cells = 3 * domain_.width(axis) / spec_.spline_grid().cells(axis);
    if (mixture.terms.size() == 1) return axes()[axis].MeasureQuality();
    proto::SimilaritySpec kernel = term.kernel.spec();
    kernel.set_bandwidth(std::min(kernel.bandwidth(), three_cells));
    return SplineAxis(*Similarity::Create(kernel), domain_.width(axis), spec_.spline_grid().cells(axis),
                      spec_.spline_grid().ridge(), Degree(spec_.spline_grid()))
        .MeasureQuality();
  }

  // All weights are 1 if `record_weights` is null.
  void Add(MatrixView rows, const int32_t* record_weights, absl::Span<int64_t> sums) const {
    const size_t d = dimension(), per_axis = Degree(spec_.spline_grid()) + 1;
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
        const size_t cell = axes()[i].Weights(static_cast<double>(x[i]) - domain_.lower()[i], axis_weights);
        // Expanded from the back, so that nothing is overwritten before it is read.
        for (size_t j = count; j-- > 0;) {
          const double weight = weights[j];
          const size_t place = places[j] * axes()[i].functions() + cell;
          for (size_t s = 0; s < per_axis; ++s) {
            weights[per_axis * j + s] = weight * axis_weights[s];
            places[per_axis * j + s] = place + s;
          }
        }
        count *= per_axis;
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
  std::vector<SplineTerm> terms_;
  // Made for the first release: planning needs none.
  mutable std::once_flag tables_once_;
  mutable std::shared_ptr<const SplineTables> tables_;
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
  if (!similarity.is_kernel() || !similarity.is_shift_invariant()) {
    return absl::InvalidArgumentError(absl::StrCat(similarity.name(), " is no kernel of x - y and has no spline grid"));
  }
  if (similarity.kind() == proto::SimilaritySpec::P_STABLE && domain.dimension() > 1) {
    return absl::InvalidArgumentError(
        "p_stable is no mixture of product kernels and has a spline grid in one dimension only");
  }
  if (spec.cells_size() != static_cast<int>(domain.dimension())) {
    return absl::InvalidArgumentError(absl::StrCat("a spline grid in ", domain.dimension(),
                                                   " dimensions must name the cells of each, but names ",
                                                   spec.cells_size()));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("degree of a spline grid (0: cubic)", spec.degree(), 0, 2));
  int64_t functions = 1;
  for (uint32_t cells : spec.cells()) {
    DPKDE_RETURN_IF_ERROR(CheckInRange("cells of a spline grid's axis", cells, 1, 4096));
    functions *= cells + Degree(spec);
    if (functions > kMostFunctions) {
      return absl::InvalidArgumentError(absl::StrCat("a spline grid has at most ", kMostFunctions, " functions"));
    }
  }
  DPKDE_RETURN_IF_ERROR(CheckPositive("ridge of a spline grid", spec.ridge()));
  // One axis needs no mixture.
  KernelMixture mixture;
  if (domain.dimension() == 1) {
    mixture.terms.push_back({1, similarity});
  } else {
    mixture = MakeKernelMixture(similarity, NarrowestBandwidth(domain, spec), domain.Diameter());
  }
  if (mixture.terms.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the cells of a spline grid must not be far wider than the bandwidth, but they cannot tell ",
                     similarity.bandwidth(), " from 0"));
  }
  return std::unique_ptr<Design>(std::make_unique<SplineGridDesign>(mixture, domain, spec));
}

}  // namespace dpkde
