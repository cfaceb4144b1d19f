#ifndef DPKDE_CLASSIFIER_POINT_COVARIANCE_H_
#define DPKDE_CLASSIFIER_POINT_COVARIANCE_H_

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/designs/fourier_kernel.h"

namespace dpkde {

// The covariance C of the features of public or released points, for discriminants of thousands of features: only its
// largest eigenvalues are kept, the others count as 0. A ridge below the smallest that is kept would take what is left
// out for directions without variance, so it is raised to that.
//
//   CenterRows(m, features);
//   DPKDE_ASSIGN_OR_RETURN(PointCovariance covariance, PointCovariance::Create(features, m, ridge));
//   std::vector<float> solved = covariance.Solve(rows);   // (C + ridge I)^-1 x of each row x
//
// No privacy effect: points are public or made of what is released. Immutable; thread-safe. The last bits differ
// between machines (LAPACK), those of a row do not depend on the others.
class PointCovariance {
 public:
  // Eigenvalues that are kept. On letter as good as all 1,536 with noise, and nearly without.
  static constexpr size_t kRank = 256;

  // centered: n x m, row-major, n >= 2, of mean 0. ridge > 0, what it is at least. kInternal if LAPACK finds no
  // eigenvalues. Cost: O(n m min(n, m) + min(n, m)^3).
  static absl::StatusOr<PointCovariance> Create(absl::Span<const double> centered, size_t m, double ridge);

  // rows: any number of rows of m values, any floats; as many in return. 2 kRank m multiply-adds a row, by SIMD.
  std::vector<float> Solve(MatrixView rows) const;

 private:
  explicit PointCovariance(double ridge) : ridge_(ridge) {}

  double ridge_;
  std::vector<double> eigenvalues_;  // with ridge
  FrequencyPanels eigenvectors_;     // eigenvectors as rows of m
  FrequencyPanels features_;         // features as rows of their coordinates along those
};

// Subtracts their mean from rows of m values.
void CenterRows(size_t m, std::vector<double>& rows);

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_POINT_COVARIANCE_H_
