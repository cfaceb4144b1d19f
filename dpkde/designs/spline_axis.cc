#include "dpkde/designs/spline_axis.h"

#include <algorithm>
#include <boost/math/quadrature/gauss.hpp>
#include <cmath>
#include <utility>

namespace dpkde {
namespace {

// Eight points integrate polynomials of degree 15 exactly, far beyond spline times kernel on one cell.
using Quadrature = boost::math::quadrature::gauss<double, 8>;

// The degree + 1 uniform B-splines on a cell, u in [0, 1].
std::array<double, 4> BSpline(size_t degree, double u) {
  const double v = 1 - u;
  if (degree == 1) return {v, u, 0, 0};
  if (degree == 2) return {v * v / 2, 0.5 + u * v, u * u / 2, 0};
  return {v * v * v / 6, (3 * u * u * u - 6 * u * u + 4) / 6, (3 * v * v * v - 6 * v * v + 4) / 6, u * u * u / 6};
}

// Integrates over a part of a cell: sum over nodes of f(u) times `weighted_splines`.
struct QuadratureNode {
  double u;
  std::array<double, 4> weighted_splines;
};
using CellQuadrature = std::array<QuadratureNode, 8>;

CellQuadrature MakeCellQuadrature(size_t degree, double from, double to) {
  const double middle = (from + to) / 2, half = (to - from) / 2;
  CellQuadrature nodes;
  for (size_t k = 0; k < 4; ++k) {
    for (size_t side = 0; side < 2; ++side) {
      QuadratureNode& node = nodes[2 * k + side];
      node.u = middle + (side == 0 ? -half : half) * Quadrature::abscissa()[k];
      node.weighted_splines = BSpline(degree, node.u);
      for (double& value : node.weighted_splines) value *= half * Quadrature::weights()[k];
    }
  }
  return nodes;
}

}  // namespace

SplineAxis::SplineAxis(const Similarity& similarity, double width, size_t cells, double ridge, size_t degree)
    : similarity_(similarity), width_(width), cells_(cells), degree_(degree), cell_(width / cells) {
  reach_ = cell_;
  while (similarity_.EvaluateAxis(reach_) > 1e-12) reach_ *= 1.25;

  // Gram matrix of the functions over [0, width], a sum over cells of the same block, plus the ridge.
  double block[4][4];
  for (size_t s = 0; s <= degree; ++s) {
    for (size_t t = 0; t <= degree; ++t) {
      block[s][t] = cell_ * Quadrature::integrate(
                                [&](double u) { return BSpline(degree, u)[s] * BSpline(degree, u)[t]; }, 0.0, 1.0);
    }
  }
  const size_t n = functions();
  factor_.assign(4 * n, 0.0);
  for (size_t j = 0; j < n; ++j) factor_[4 * j] = ridge * cell_;
  for (size_t cell = 0; cell < cells_; ++cell) {
    for (size_t s = 0; s <= degree; ++s) {
      for (size_t t = 0; t <= s; ++t) factor_[4 * (cell + s) + (s - t)] += block[s][t];
    }
  }
  // Banded Cholesky, in place.
  for (size_t j = 0; j < n; ++j) {
    for (size_t b = std::min(degree, j) + 1; b-- > 0;) {
      const size_t i = j - b;
      double value = factor_[4 * j + b];
      for (size_t e = b + 1; e <= degree && e <= j; ++e) value -= factor_[4 * j + e] * factor_[4 * i + (e - b)];
      // The diagonal is stored as its inverse: what the substitutions multiply with.
      factor_[4 * j + b] = b == 0 ? 1 / std::sqrt(value) : value * factor_[4 * i];
    }
  }
}

size_t SplineAxis::Weights(double x, std::array<double, 4>& weights) const {
  const double t = x / cell_;
  const size_t cell = std::min(static_cast<size_t>(std::max(t, 0.0)), cells_ - 1);
  weights = BSpline(degree_, std::min(std::max(t - cell, 0.0), 1.0));
  return cell;
}

void SplineAxis::Fit(double y, double* psi) const {
  const size_t n = functions();
  std::fill(psi, psi + n, 0.0);
  // Right-hand side: integral of f(x - y) B_j(x), cell by cell within reach.
  const double first = std::floor((y - reach_) / cell_), last = std::floor((y + reach_) / cell_);
  if (last < 0 || first >= static_cast<double>(cells_)) return;
  const auto add = [&](size_t cell, const CellQuadrature& quadrature) {
    for (const QuadratureNode& node : quadrature) {
      const double f = similarity_.EvaluateAxis((cell + node.u) * cell_ - y) * cell_;
      for (size_t s = 0; s <= degree_; ++s) psi[cell + s] += f * node.weighted_splines[s];
    }
  };
  const size_t begin = static_cast<size_t>(std::max(first, 0.0));
  const size_t end = static_cast<size_t>(std::min(last + 1, static_cast<double>(cells_)));
  static const CellQuadrature whole_cells[] = {MakeCellQuadrature(1, 0, 1), MakeCellQuadrature(2, 0, 1),
                                               MakeCellQuadrature(3, 0, 1)};
  for (size_t cell = begin; cell < end; ++cell) {
    const double u = y / cell_ - cell;
    if (u > 0 && u < 1) {
      // The kernel may have a cusp at y.
      add(cell, MakeCellQuadrature(degree_, 0, u));
      add(cell, MakeCellQuadrature(degree_, u, 1));
    } else {
      add(cell, whole_cells[degree_ - 1]);
    }
  }
  // Forward and backward substitution; everything before the first cell in reach is zero on the way forward.
  for (size_t j = begin; j < n; ++j) {
    for (size_t b = 1; b <= degree_ && b <= j; ++b) psi[j] -= factor_[4 * j + b] * psi[j - b];
    psi[j] *= factor_[4 * j];
  }
  for (size_t j = n; j-- > 0;) {
    for (size_t b = 1; b <= degree_ && j + b < n; ++b) psi[j] -= factor_[4 * (j + b) + b] * psi[j + b];
    psi[j] *= factor_[4 * j];
  }
}

SplineAxis::Quality SplineAxis::MeasureQuality() const {
  // Away from the ends every cell looks the same, so a run of cells at one end and one in the middle stand for all (the
  // axis is symmetric).
  constexpr int kPerCell = 8;
  constexpr size_t kEndCells = 12;
  const size_t half = (cells_ + 1) / 2;
  const size_t end_cells = std::min(kEndCells, half);
  std::vector<double> psi(functions());
  Quality quality;
  double total = 0, error_square = 0, kernel_square = 0;
  const auto visit = [&](size_t cell, double cells_it_stands_for) {
    for (int step = 0; step < kPerCell; ++step) {
      const double y = (cell + (step + 0.5) / kPerCell) * cell_;
      Fit(y, psi.data());
      double sup = 0, square = 0;
      for (double value : psi) square += value * value;
      const auto near = [&](double x) {
        std::array<double, 4> weights;
        const size_t at = Weights(x, weights);
        double fit = 0;
        for (size_t s = 0; s <= degree_; ++s) fit += weights[s] * psi[at + s];
        const double f = similarity_.EvaluateAxis(x - y);
        sup = std::max(sup, std::abs(fit - f));
        return std::make_pair((fit - f) * (fit - f), f * f);
      };
      // Errors are largest near y and at the ends; beyond the reach they only decay.
      const double from = std::max(0.0, y - reach_ - 4 * cell_), to = std::min(width_, y + reach_ + 4 * cell_);
      for (double x = from; x < to; x += cell_ / kPerCell) {
        const auto [error, kernel] = near(x);
        error_square += cells_it_stands_for * error;
        kernel_square += cells_it_stands_for * kernel;
      }
      near(0);
      near(width_);
      near(y);
      quality.sup_error = std::max(quality.sup_error, sup);
      quality.mean_sup_error += cells_it_stands_for * sup * sup;
      quality.mean_square_weight += cells_it_stands_for * square;
      total += cells_it_stands_for;
    }
  };
  for (size_t cell = 0; cell < end_cells; ++cell) visit(cell, 1);
  if (half > end_cells) visit(half - 1, static_cast<double>(half - end_cells));
  quality.mean_sup_error = std::sqrt(quality.mean_sup_error / total);
  quality.mean_square_weight /= total;
  quality.relative_square_error = error_square / kernel_square;
  return quality;
}

}  // namespace dpkde
