#ifndef DPKDE_DESIGNS_EXPONENTIAL_SUM_DESIGN_H_
#define DPKDE_DESIGNS_EXPONENTIAL_SUM_DESIGN_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/designs/design.h"
#include "dpkde/similarity/domain.h"
#include "dpkde/similarity/similarity.h"

namespace dpkde {

// A smooth kernel as a sum of exponentials, w_0 + sum_j w_j e^(-t_j s), w_j > 0, s a distance relative to the
// bandwidth.
struct ExponentialSum {
  struct Term {
    double weight;
    Similarity kernel;  // e^(-t s)
  };
  std::vector<Term> terms;
  double constant = 0;  // w_0
  // Largest |kernel - sum| over distances within the domain, to about 1 % of itself.
  double error = 0;
};

// Sums of exponentials (Backurs, Lin, Mahabadi, Silwal, Tarnawski 2024, section on smooth kernels), for comparison:
//
//   (1 + s / a)^-a = E e^(-t s), t ~ Gamma(a, rate a)
//
//   inverse_l2           s = r_2 / h           a = 1       e^(-t s) is exponential of bandwidth h / t
//   inverse_l1           s = r_1 / h           a = 1       laplacian, h / t
//   cauchy               s = r_2^2 / h^2       a = 1       gaussian, h / sqrt(2 t)
//   rational_quadratic   s = r_2^2 / (2 h^2)   a = alpha   gaussian, h / sqrt(t)
//
// and the expectation is the trapezoid rule over log t, which is how Sachdeva and Vishnoi 2014, on whom they rest,
// prove that O(log(1 / tolerance)^2) terms do. Each term is answered by an LSQ-RFF design of its kernel
// (lsq_rff_design.h) with random features of its own.
//
// Read into it: the widest step over log t whose error is at most `tolerance`; the terms that are 1 within the domain
// (or, without one, the last ones) make w_0, which the released count multiplies; the same number of features for each
// term. They share the budget evenly; here a Laplace mechanism gives term j epsilon_j ~ w_j^(2/3), which makes the
// noise least, and less than theirs.
//
// Error: biased by at most n `tolerance`. Noise, of Laplace mechanisms: 2 sqrt(m) / epsilon (sum_j w_j^(2/3))^(3/2), m
// the features of a term. Approximation by features: of the terms, times w_j, in quadrature.
//
// Sensitivity: of each term, one group, that of LSQ-RFF; the groups' losses add up.
//
// Layout: the features of each term, n. Cost: that of LSQ-RFF for each term. Conditions: its for those kernels
// (inverse_l1 and inverse_l2 need a domain); kInvalidArgument for other similarities and a tolerance outside [1e-6,
// 0.5].
absl::StatusOr<std::unique_ptr<Design>> MakeExponentialSumDesign(const Similarity& similarity, size_t dimension,
                                                                 const absl::optional<Domain>& domain,
                                                                 const proto::ExponentialSumSpec& spec);

// What such a design has, without drawing its features: for planning.
absl::StatusOr<ExponentialSum> MakeExponentialSum(const Similarity& similarity, const absl::optional<Domain>& domain,
                                                  double tolerance);
std::vector<CoordinateGroup> ExponentialSumGroups(const ExponentialSum& sum, size_t features);
// `typical`: as TypicalLsqRffApproximationError. The mean similarity of a term is that of records at one distance or of
// records that are near or far, whichever errs more.
double ExponentialSumApproximationError(const Similarity& similarity, const ExponentialSum& sum, double n,
                                        double expected_similarity, double features, double dimension, bool typical);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_EXPONENTIAL_SUM_DESIGN_H_
