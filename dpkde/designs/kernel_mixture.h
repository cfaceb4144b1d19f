#ifndef DPKDE_DESIGNS_KERNEL_MIXTURE_H_
#define DPKDE_DESIGNS_KERNEL_MIXTURE_H_

#include <vector>

#include "dpkde/similarity/similarity.h"

namespace dpkde {

// A kernel as a weighted sum of kernels that are products over axes, so that what works axis by axis works for it.
struct KernelMixture {
  struct Term {
    double weight;
    Similarity kernel;  // is_product()
  };
  std::vector<Term> terms;
  // sup over distances up to the diameter of |kernel - sum of terms|.
  double error = 0;
};

// Product kernels: the kernel itself. Others: kernels of Euclidean distance are mixtures of gaussian ones, f(r) = E
// exp(-(T r / h)^2 / 2) with the random T of the Monte-Carlo frequencies (fourier_design.h), inverse_l1 of laplacian
// ones. The expectation is the trapezoid rule over log T, which converges geometrically: error about 1e-5 with some 20
// terms. Terms of bandwidth below `narrowest` are left out (their weight is part of the error: what a grid cannot
// resolve); those far beyond the `diameter` of the domain are put into one.
KernelMixture MakeKernelMixture(const Similarity& similarity, double narrowest, double diameter);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_KERNEL_MIXTURE_H_
