#include "dpkde/classifier/point_covariance.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "dpkde/base/blas.h"
#include "dpkde/base/row_products.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/symmetric_eigen.h"

// BLAS, as OpenBLAS exports it.
extern "C" void dsyrk_(const char* uplo, const char* trans, const int* n, const int* k, const double* alpha,
                       const double* a, const int* lda, const double* beta, double* c, const int* ldc);

namespace dpkde {
namespace {

// Of the largest eigenvalue: what is below is rounding.
constexpr double kRounding = 1e-10;

}  // namespace

void CenterRows(size_t m, std::vector<double>& rows) {
  const size_t n = rows.size() / m;
  std::vector<double> mean(m);
  for (size_t r = 0; r < n; ++r) {
    for (size_t j = 0; j < m; ++j) mean[j] += rows[r * m + j] / n;
  }
  for (size_t r = 0; r < n; ++r) {
    for (size_t j = 0; j < m; ++j) rows[r * m + j] -= mean[j];
  }
}

absl::StatusOr<PointCovariance> PointCovariance::Create(absl::Span<const double> centered, size_t m, double ridge) {
  const size_t n = centered.size() / m;
  // Of the m x m covariance and the n x n products of points, which have the same eigenvalues, the smaller.
  const bool by_points = n < m;
  const int order = static_cast<int>(by_points ? n : m), inner = static_cast<int>(by_points ? m : n);
  const int features_stride = static_cast<int>(m);
  const double scale = 1.0 / n, zero = 0;
  std::vector<double> products(static_cast<size_t>(order) * order);
  // To LAPACK our rows are columns.
  {
    const BlasCall call;
    dsyrk_("L", by_points ? "T" : "N", &order, &inner, &scale, centered.data(), &features_stride, &zero,
           products.data(), &order);
  }
  DPKDE_ASSIGN_OR_RETURN(const SymmetricEigen eigen,
                         LargestEigenOfSymmetric(std::move(products), order, std::min<size_t>(kRank, order)));

  PointCovariance covariance(ridge);
  const size_t found = eigen.values.size();
  const double least = std::max(kRounding * eigen.values.back(), 0.0);
  size_t first = 0;
  while (first < found && !(eigen.values[first] > least)) ++first;
  const size_t k = found - first;
  if (k == 0) return covariance;
  if (found < static_cast<size_t>(order)) covariance.ridge_ = std::max(ridge, eigen.values[first]);
  for (size_t e = first; e < found; ++e) covariance.eigenvalues_.push_back(eigen.values[e] + covariance.ridge_);
  // k x m.
  std::vector<double> basis;
  if (by_points) {
    // X^T v / sqrt(n e), of the rows v of eigen.vectors.
    std::vector<double> vectors(k * n);
    for (size_t e = 0; e < k; ++e) {
      const double length = std::sqrt(n * eigen.values[first + e]);
      for (size_t r = 0; r < n; ++r) vectors[e * n + r] = eigen.vectors[(first + e) * n + r] / length;
    }
    basis.resize(k * m);
    AddRowProducts(1, {vectors.data(), k, n, n}, {centered.data(), n, m, m}, false, basis.data());
  } else {
    basis.assign(eigen.vectors.begin() + first * m, eigen.vectors.end());
  }
  const std::vector<float> rows(basis.begin(), basis.end());
  std::vector<float> columns(m * k);
  for (size_t e = 0; e < k; ++e) {
    for (size_t j = 0; j < m; ++j) columns[j * k + e] = rows[e * m + j];
  }
  covariance.eigenvectors_ = MakeFrequencyPanels(rows, m, std::vector<bool>(k, false));
  covariance.features_ = MakeFrequencyPanels(columns, k, std::vector<bool>(m, false));
  return covariance;
}

// (C + r I)^-1 x = (x - V s V^T x) / r, V the eigenvectors, s = e / (e + r) = 1 - r / (e + r).
std::vector<float> PointCovariance::Solve(MatrixView rows) const {
  const size_t m = rows.columns, k = eigenvalues_.size();
  std::vector<float> solved(rows.data, rows.data + rows.rows * m);
  std::vector<float> along(rows.rows * eigenvectors_.padded()), parts(rows.rows * k),
      explained(rows.rows * features_.padded());
  if (k > 0) {
    FixedOrderProducts(eigenvectors_, rows, along.data());
    for (size_t r = 0; r < rows.rows; ++r) {
      for (size_t e = 0; e < k; ++e) {
        const float coordinate = along[r * eigenvectors_.padded() + eigenvectors_.column_of[e]];
        parts[r * k + e] = static_cast<float>(coordinate * (1 - ridge_ / eigenvalues_[e]));
      }
    }
    FixedOrderProducts(features_, {parts.data(), rows.rows, k}, explained.data());
  }
  for (size_t r = 0; r < rows.rows; ++r) {
    for (size_t j = 0; j < m; ++j) {
      float& x = solved[r * m + j];
      if (k > 0) x -= explained[r * features_.padded() + features_.column_of[j]];
      x = static_cast<float>(x / ridge_);
    }
  }
  return solved;
}

}  // namespace dpkde
