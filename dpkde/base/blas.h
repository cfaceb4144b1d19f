#ifndef DPKDE_BASE_BLAS_H_
#define DPKDE_BASE_BLAS_H_

namespace dpkde {

// To be held while BLAS or LAPACK works. OpenBLAS maps a large buffer for each call that runs at a time, keeps it, and
// where it cannot be had tries again for ever: so this throws std::bad_alloc instead. Thread-safe.
//
//   const BlasCall call;
//   dgemm_(...);
class BlasCall {
 public:
  BlasCall();
  ~BlasCall();
  BlasCall(const BlasCall&) = delete;
  BlasCall& operator=(const BlasCall&) = delete;
};

}  // namespace dpkde

#endif  // DPKDE_BASE_BLAS_H_
