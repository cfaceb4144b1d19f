#ifndef DPKDE_DESIGNS_SPLINE_AXIS_H_
#define DPKDE_DESIGNS_SPLINE_AXIS_H_

#include <array>
#include <cstddef>
#include <vector>

#include "dpkde/similarity/similarity.h"

namespace dpkde {

// One axis of a spline grid: [0, width] cut into equal cells that carry cells + degree uniform B-splines of degree 1, 2
// or 3, and the least-squares fit of the kernel's factor f(. - y) in them.
//
// The fit minimises integral_0^width (f(x - y) - sum_j psi_j B_j(x))^2 dx + ridge * cell * |psi|^2. The ridge keeps the
// functions at the ends, of which the box sees little, from growing large coefficients and with them noise.
//
// Immutable; thread-safe.
class SplineAxis {
 public:
  SplineAxis(const Similarity& similarity, double width, size_t cells, double ridge, size_t degree = 3);

  const Similarity& similarity() const { return similarity_; }
  size_t cells() const { return cells_; }
  size_t degree() const { return degree_; }
  size_t functions() const { return cells_ + degree_; }
  double width() const { return width_; }

  // The cell of x (in [0, width]) and the values of the degree + 1 functions there, cell .. cell + degree:
  // non-negative, sum 1; the other weights are 0.
  size_t Weights(double x, std::array<double, 4>& weights) const;

  // psi(y), functions() values. y may lie outside [0, width]. O(cells + 8 evaluations of f a cell within f's reach).
  void Fit(double y, double* psi) const;

  // Measured on a fine grid of x and y.
  struct Quality {
    double sup_error = 0;              // sup over x and y in [0, width] of |f(x - y) - sum_j psi_j(y) B_j(x)|
    double mean_sup_error = 0;         // root mean square over y of the sup over x
    double mean_square_weight = 0;     // mean over y of |psi(y)|^2
    double relative_square_error = 0;  // integral over x and y of the squared error, over that of f^2
  };
  Quality MeasureQuality() const;

 private:
  Similarity similarity_;
  double width_;
  size_t cells_;
  size_t degree_;
  double cell_;
  double reach_;  // f is negligible beyond
  // Cholesky factor of the banded normal matrix, lower: factor_[4 * j + b] = L(j, j - b), the diagonal inverted.
  std::vector<double> factor_;
};

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_SPLINE_AXIS_H_
