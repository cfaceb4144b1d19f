#include "dpkde/classifier/point_covariance.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "dpkde/base/status_macros.h"
#include "dpkde/base/symmetric_eigen.h"

// BLAS, as OpenBLAS exports it.
extern "C" {
void dsyrk_(const char* uplo, const char* trans, const int* n, const int* k, const double* alpha, const double* a,
            const int* lda, const double* beta, double* c, const int* ldc);
void dgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k, const double* alpha,
            const double* a, const int* lda, const double* b, const int* ldb, const double* beta, double* c,
            const int* ldc);
}

namespace dpkde {
namespace {

// Rows that meet the basis together, so that it is read from memory once for all of them.
constexpr size_t kBlockRows = 8;
// Partial sums of a product, in one fixed order that the compiler may keep in vectors.
constexpr size_t kLanes = 8;
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

std::vector<double> RowProducts(absl::Span<const double> rows, absl::Span<const double> others, size_t m) {
  const int left = static_cast<int>(others.size() / m), right = static_cast<int>(rows.size() / m);
  const int inner = static_cast<int>(m);
  const double one = 1, zero = 0;
  std::vector<double> products(static_cast<size_t>(left) * right);
  // Our rows are columns to BLAS: others^T rows, by columns.
  dgemm_("T", "N", &left, &right, &inner, &one, others.data(), &inner, rows.data(), &inner, &zero, products.data(),
         &left);
  return products;
}

absl::StatusOr<PointCovariance> PointCovariance::Create(absl::Span<const double> centered, size_t m, double ridge) {
  const size_t n = centered.size() / m;
  // Of the m x m covariance and the n x n products of points, which have the same eigenvalues, the smaller.
  const bool by_points = n < m;
  const int order = static_cast<int>(by_points ? n : m), inner = static_cast<int>(by_points ? m : n);
  const int features_stride = static_cast<int>(m);
  const double scale = 1.0 / n, one = 1, zero = 0;
  std::vector<double> products(static_cast<size_t>(order) * order);
  // To LAPACK our rows are columns.
  dsyrk_("L", by_points ? "T" : "N", &order, &inner, &scale, centered.data(), &features_stride, &zero, products.data(),
         &order);
  DPKDE_ASSIGN_OR_RETURN(const SymmetricEigen eigen,
                         LargestEigenOfSymmetric(std::move(products), order, std::min<size_t>(kRank, order)));

  PointCovariance covariance(m, ridge);
  const size_t found = eigen.values.size();
  const double least = std::max(kRounding * eigen.values.back(), 0.0);
  size_t first = 0;
  while (first < found && !(eigen.values[first] > least)) ++first;
  const size_t k = found - first;
  covariance.basis_.assign(m * k, 0.0);
  if (k == 0) return covariance;
  if (found < static_cast<size_t>(order)) covariance.ridge_ = std::max(ridge, eigen.values[first]);
  for (size_t e = first; e < found; ++e) covariance.eigenvalues_.push_back(eigen.values[e] + covariance.ridge_);
  if (by_points) {
    // X^T v / sqrt(n e), of the rows v of eigen.vectors; the result as k x m columns, that is m x k by rows.
    std::vector<double> vectors(k * n);
    for (size_t e = 0; e < k; ++e) {
      const double length = std::sqrt(n * eigen.values[first + e]);
      for (size_t r = 0; r < n; ++r) vectors[e * n + r] = eigen.vectors[(first + e) * n + r] / length;
    }
    const int rank = static_cast<int>(k), points = static_cast<int>(n);
    dgemm_("T", "T", &rank, &features_stride, &points, &one, vectors.data(), &points, centered.data(), &features_stride,
           &zero, covariance.basis_.data(), &rank);
  } else {
    for (size_t e = 0; e < k; ++e) {
      for (size_t j = 0; j < m; ++j) covariance.basis_[j * k + e] = eigen.vectors[(first + e) * m + j];
    }
  }
  return covariance;
}

// (C + r I)^-1 x = (x - V s V^T x) / r, V the eigenvectors, s = e / (e + r) = 1 - r / (e + r).
void PointCovariance::Solve(absl::Span<double> rows) const {
  const size_t total = rows.size() / m_, k = rank();
  std::vector<double> parts(kBlockRows * k);
  for (size_t begin = 0; begin < total; begin += kBlockRows) {
    const size_t count = std::min(kBlockRows, total - begin);
    double* const block = rows.data() + begin * m_;
    std::fill(parts.begin(), parts.end(), 0.0);
    for (size_t j = 0; j < m_; ++j) {
      const double* const vector = basis_.data() + j * k;
      for (size_t b = 0; b < count; ++b) {
        const double x = block[b * m_ + j];
        double* const part = parts.data() + b * k;
        for (size_t e = 0; e < k; ++e) part[e] += x * vector[e];
      }
    }
    for (size_t b = 0; b < count; ++b) {
      for (size_t e = 0; e < k; ++e) parts[b * k + e] *= 1 - ridge_ / eigenvalues_[e];
    }
    for (size_t j = 0; j < m_; ++j) {
      const double* const vector = basis_.data() + j * k;
      for (size_t b = 0; b < count; ++b) {
        const double* const part = parts.data() + b * k;
        double lanes[kLanes] = {};
        size_t e = 0;
        for (; e + kLanes <= k; e += kLanes) {
          for (size_t l = 0; l < kLanes; ++l) lanes[l] += part[e + l] * vector[e + l];
        }
        for (; e < k; ++e) lanes[0] += part[e] * vector[e];
        double sum = 0;
        for (double lane : lanes) sum += lane;
        block[b * m_ + j] = (block[b * m_ + j] - sum) / ridge_;
      }
    }
  }
}

}  // namespace dpkde
