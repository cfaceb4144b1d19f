#include "dpkde/base/symmetric_eigen.h"

#include <utility>

#include "absl/status/status.h"
#include "dpkde/base/blas.h"

extern "C" {
void dsyevd_(const char* job, const char* uplo, const int* n, double* a, const int* lda, double* w, double* work,
             const int* lwork, int* iwork, const int* liwork, int* info);
void dsyevr_(const char* job, const char* range, const char* uplo, const int* n, double* a, const int* lda,
             const double* vl, const double* vu, const int* il, const int* iu, const double* abstol, int* m, double* w,
             double* z, const int* ldz, int* isuppz, double* work, const int* lwork, int* iwork, const int* liwork,
             int* info);
}

namespace dpkde {

absl::StatusOr<SymmetricEigen> EigenOfSymmetric(std::vector<double> matrix, size_t n) {
  SymmetricEigen eigen;
  eigen.values.resize(n);
  const int order = static_cast<int>(n);
  int work_size = -1, iwork_size = -1, info = 0, iwork_query = 0;
  double work_query = 0;
  const BlasCall call;
  dsyevd_("V", "L", &order, matrix.data(), &order, eigen.values.data(), &work_query, &work_size, &iwork_query,
          &iwork_size, &info);
  std::vector<double> work(static_cast<size_t>(work_query));
  std::vector<int> iwork(iwork_query);
  work_size = static_cast<int>(work.size());
  iwork_size = static_cast<int>(iwork.size());
  dsyevd_("V", "L", &order, matrix.data(), &order, eigen.values.data(), work.data(), &work_size, iwork.data(),
          &iwork_size, &info);
  if (info != 0) return absl::InternalError("the eigenvalues of a matrix were not found");
  eigen.vectors = std::move(matrix);  // LAPACK's columns are our rows
  return eigen;
}

absl::StatusOr<SymmetricEigen> LargestEigenOfSymmetric(std::vector<double> matrix, size_t n, size_t count) {
  SymmetricEigen eigen;
  eigen.values.resize(n);
  eigen.vectors.resize(count * n);
  const int order = static_cast<int>(n), first = static_cast<int>(n - count + 1);
  const double unused = 0, exact = 0;
  std::vector<int> support(2 * count);
  int found = 0, info = 0, work_size = -1, iwork_size = -1, iwork_query = 0;
  double work_query = 0;
  const BlasCall call;
  dsyevr_("V", "I", "L", &order, matrix.data(), &order, &unused, &unused, &first, &order, &exact, &found,
          eigen.values.data(), eigen.vectors.data(), &order, support.data(), &work_query, &work_size, &iwork_query,
          &iwork_size, &info);
  std::vector<double> work(static_cast<size_t>(work_query));
  std::vector<int> iwork(iwork_query);
  work_size = static_cast<int>(work.size());
  iwork_size = static_cast<int>(iwork.size());
  dsyevr_("V", "I", "L", &order, matrix.data(), &order, &unused, &unused, &first, &order, &exact, &found,
          eigen.values.data(), eigen.vectors.data(), &order, support.data(), work.data(), &work_size, iwork.data(),
          &iwork_size, &info);
  if (info != 0 || found != static_cast<int>(count)) {
    return absl::InternalError("the eigenvalues of a matrix were not found");
  }
  eigen.values.resize(count);
  return eigen;
}

}  // namespace dpkde
