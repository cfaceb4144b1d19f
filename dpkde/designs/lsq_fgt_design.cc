#include "dpkde/designs/lsq_fgt_design.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"

namespace dpkde {
namespace {

constexpr int64_t kMostValues = int64_t{1} << 22;
// Cells farther than this, in units of sqrt(2) h, add less than e^-16.
constexpr double kReach = 4;
constexpr double kCramer = 1.086435;
constexpr int kSteps = 2048;

// One axis of the transform.
struct FgtAxis {
  double lower = 0;
  double side = 0;  // of a cell
  size_t cells = 1;
  size_t terms = 1;
  double unit = 1;  // sqrt(2) h
  double reach() const { return side / 2 / unit; }

  size_t Cell(double x) const {
    const double position = (x - lower) / side;
    return position > 0 ? std::min(static_cast<size_t>(position), cells - 1) : 0;
  }
  double Middle(size_t cell) const { return lower + (cell + 0.5) * side; }

  // phi_0 .. phi_(terms - 1) for a record in this cell.
  void Phi(double x, size_t cell, double* phi) const {
    const double s = std::min(std::max((x - Middle(cell)) / unit, -reach()), reach());
    phi[0] = 1;
    for (size_t k = 1; k < terms; ++k) phi[k] = phi[k - 1] * s * std::sqrt(2.0 / k);
  }

  // psi_0 .. of a cell for a query.
  void Psi(double y, size_t cell, double* psi) const {
    const double t = (y - Middle(cell)) / unit;
    // H_(k+1) = 2 t H_k - 2 k H_(k-1), normalised.
    psi[0] = std::exp(-t * t);
    if (terms > 1) psi[1] = std::sqrt(2.0) * t * psi[0];
    for (size_t k = 2; k < terms; ++k) {
      psi[k] = std::sqrt(2.0 / k) * t * psi[k - 1] - std::sqrt((k - 1.0) / k) * psi[k - 2];
    }
  }

  // The cells that a query uses: [first, last].
  size_t First(double y) const { return Cell(y - kReach * unit); }
  size_t Last(double y) const { return Cell(y + kReach * unit); }
};

// What a query has on one axis.
struct AxisQuery {
  size_t first = 0;
  std::vector<double> psi;  // cells x terms
};

AxisQuery QueryOf(const FgtAxis& axis, double y) {
  AxisQuery query;
  query.first = axis.First(y);
  const size_t cells = axis.Last(y) - query.first + 1;
  query.psi.resize(cells * axis.terms);
  for (size_t c = 0; c < cells; ++c) axis.Psi(y, query.first + c, &query.psi[c * axis.terms]);
  return query;
}

class LsqFgtFunction final : public ReleasedFunction {
 public:
  LsqFgtFunction(const std::vector<FgtAxis>* axes, size_t block) : axes_(axes), block_(block) {}

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    const size_t d = axes_->size();
    const size_t terms = (*axes_)[0].terms;
    std::vector<AxisQuery> parts(d);
    for (size_t q = 0; q < queries.rows; ++q) {
      double square = 1;  // sum of squared weights, a product over axes
      for (size_t i = 0; i < d; ++i) {
        parts[i] = QueryOf((*axes_)[i], queries.row(q)[i]);
        double axis_square = 0;
        for (double value : parts[i].psi) axis_square += value * value;
        square *= axis_square;
      }
      double sum = 0;
      // All combinations of the axes' (cell, term) pairs.
      std::vector<size_t> at(d);
      while (true) {
        double weight = 1;
        size_t cell = 0, term = 0;
        for (size_t i = 0; i < d; ++i) {
          weight *= parts[i].psi[at[i]];
          cell = cell * (*axes_)[i].cells + parts[i].first + at[i] / terms;
          term = term * terms + at[i] % terms;
        }
        sum += weight * values_[cell * block_ + term];
        size_t axis = d;
        while (axis > 0 && ++at[axis - 1] == parts[axis - 1].psi.size()) at[--axis] = 0;
        if (axis == 0) break;
      }
      answers[q].sum = sum;
      answers[q].noise_variance = square * variance_;
      answers[q].count_covariance = 0;
    }
  }

 private:
  friend class LsqFgtDesign;

  const std::vector<FgtAxis>* axes_;
  size_t block_;  // values a cell
  std::vector<double> values_;
  double variance_ = 0;
};

class LsqFgtDesign final : public Design {
 public:
  LsqFgtDesign(std::vector<FgtAxis> axes, const Domain& domain, const proto::LsqFgtSpec& spec)
      : axes_(std::move(axes)), domain_(domain) {
    *spec_.mutable_lsq_fgt() = spec;
    const size_t d = dimension(), terms = spec.terms();
    double l1 = 1, l2_square = 1, weight = 1, sup = 1, square_error = 0;
    cells_ = block_ = 1;
    for (const FgtAxis& axis : axes_) {
      cells_ *= axis.cells;
      block_ *= terms;
      double axis_l1 = 0, axis_square = 0, tail = 0, term = 1;
      for (size_t k = 0; k < 200; ++k) {
        if (k > 0) term *= std::sqrt(2.0 / k) * axis.reach();
        if (k < terms) {
          axis_l1 += term;
          axis_square += term * term;
        } else {
          tail += term;
        }
      }
      l1 *= axis_l1;
      l2_square *= axis_square;
      sup *= 1 + kCramer * tail + std::exp(-kReach * kReach);
      // Over queries spread evenly: squared weights; squared error for a record at the edge of a cell, and its square
      // on the other axes.
      double axis_weight = 0, axis_error = 0, other = 1;
      std::vector<double> phi(terms), psi(terms);
      const double x = axis.Middle(axis.cells / 2) + axis.side / 2 * (1 - 1e-12);
      const size_t cell = axis.cells / 2;
      axis.Phi(x, cell, phi.data());
      for (int step = 0; step < kSteps; ++step) {
        const double y = axis.lower + (step + 0.5) / kSteps * axis.side * axis.cells;
        for (double value : QueryOf(axis, y).psi) axis_weight += value * value / kSteps;
        axis.Psi(y, cell, psi.data());
        double error = -std::exp(-std::pow((x - y) / axis.unit, 2));
        for (size_t k = 0; k < terms; ++k) error += phi[k] * psi[k];
        axis_error += error * error / kSteps;
      }
      for (const FgtAxis& others : axes_) {
        if (&others == &axis) continue;
        // Mean of exp(-2 t^2) over an axis.
        other *= std::min(1.0, std::sqrt(1.5707963) * others.unit / (others.side * others.cells));
      }
      weight *= axis_weight;
      square_error += axis_error * other;
    }
    sup_error_ = sup - 1 + block_ * std::pow(kCramer, d) / kGridUnit;
    predicted_error_ = std::sqrt(square_error);
    const double rounding = static_cast<double>(block_);
    CoordinateGroup group;
    group.count = count_coordinate();
    group.add_remove.l1 = static_cast<uint64_t>(std::ceil(l1 * kGridUnit * (1 + 1e-12) + rounding));
    group.add_remove.l2 = static_cast<uint64_t>(std::ceil(std::sqrt(l2_square) * kGridUnit * (1 + 1e-12) + rounding));
    group.replace = {2 * group.add_remove.l1, 2 * group.add_remove.l2};
    group.mean_square_weight = weight;
    groups_ = {group, CountGroup(count_coordinate(), 0)};
  }

  size_t dimension() const override { return axes_.size(); }
  size_t count_coordinate() const override { return cells_ * block_; }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return sup_error_; }
  double PredictedApproximationError(double n, double) const override { return n * predicted_error_; }
  double TypicalApproximationError(double n, double expected_similarity) const override {
    // Of records in many places, errors of either sign.
    return n * predicted_error_ * std::sqrt(expected_similarity);
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    const size_t d = dimension(), terms = axes_[0].terms;
    std::vector<float> x(d);
    std::vector<double> phi(d * terms);
    PrivateVector<int64_t> q(block_);
    for (size_t r = 0; r < rows.rows; ++r) {
      domain_.Clamp(rows.row(r).data(), x.data());
      size_t cell = 0;
      for (size_t i = 0; i < d; ++i) {
        const size_t at = axes_[i].Cell(x[i]);
        cell = cell * axes_[i].cells + at;
        axes_[i].Phi(x[i], at, &phi[i * terms]);
      }
      uint64_t l1 = 0;
      double l2_square = 0;
      for (size_t j = 0; j < block_; ++j) {
        double product = 1;
        size_t rest = j;
        for (size_t i = d; i-- > 0; rest /= terms) product *= phi[i * terms + rest % terms];
        q[j] = std::llrint(product * kGridUnit);
        l1 += std::abs(q[j]);
        // Exact: integers below 2^26, squared and added.
        l2_square += static_cast<double>(q[j]) * q[j];
      }
      const Sensitivity& bound = groups_[0].add_remove;
      if (l1 > bound.l1 || l2_square > static_cast<double>(bound.l2) * bound.l2) {
        std::fill(q.begin(), q.end(), 0);
        q[0] = kGridUnit;
      }
      for (size_t j = 0; j < block_; ++j) sums[cell * block_ + j] += q[j];
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const double unit = kGridUnit;
    auto function = std::make_unique<LsqFgtFunction>(&axes_, block_);
    function->values_.reserve(count_coordinate());
    for (size_t j = 0; j < count_coordinate(); ++j) function->values_.push_back(values[j] / unit);
    function->variance_ = variances[0] / (unit * unit);
    return function;
  }

 private:
  std::vector<FgtAxis> axes_;
  Domain domain_;
  proto::DesignSpec spec_;
  size_t cells_ = 0, block_ = 0;
  std::vector<CoordinateGroup> groups_;
  double sup_error_ = 0, predicted_error_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Design>> MakeLsqFgtDesign(const Similarity& similarity, const Domain& domain,
                                                         const proto::LsqFgtSpec& spec) {
  if (similarity.kind() != proto::SimilaritySpec::GAUSSIAN) {
    return absl::InvalidArgumentError(absl::StrCat("the fast Gauss transform is for gaussian, not ", similarity.name()));
  }
  const size_t d = domain.dimension();
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension of a fast Gauss transform", d, 1, 3));
  DPKDE_RETURN_IF_ERROR(CheckInRange("number of axes with cells", spec.cells_size(), d, d));
  DPKDE_RETURN_IF_ERROR(CheckInRange("terms", spec.terms(), 1, 16));
  std::vector<FgtAxis> axes(d);
  int64_t values = 1;
  for (size_t i = 0; i < d; ++i) {
    DPKDE_RETURN_IF_ERROR(CheckInRange("cells", spec.cells(static_cast<int>(i)), 1, 4096));
    FgtAxis& axis = axes[i];
    axis.lower = domain.lower()[i];
    axis.cells = spec.cells(static_cast<int>(i));
    axis.terms = spec.terms();
    axis.side = domain.width(i) / axis.cells;
    axis.unit = std::sqrt(2.0) * similarity.bandwidth();
    if (!(axis.side <= 4 * similarity.bandwidth())) {
      return absl::InvalidArgumentError(absl::StrCat("cells must be at most 4 bandwidths wide, but axis ", i, " has ",
                                                     axis.side / similarity.bandwidth()));
    }
    values = std::min(values * static_cast<int64_t>(axis.cells * axis.terms), kMostValues + 1);
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("values of all cells", values, 1, kMostValues));
  return std::unique_ptr<Design>(std::make_unique<LsqFgtDesign>(std::move(axes), domain, spec));
}

}  // namespace dpkde
