#ifndef TESTS_TESTING_GOODNESS_OF_FIT_H_
#define TESTS_TESTING_GOODNESS_OF_FIT_H_

#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/numeric/int128.h"
#include "absl/types/span.h"

namespace dpkde {

// The level at which the statistical tests of this repository reject: a correct sampler fails one seed in a million.
inline constexpr double kRejectionLevel = 1e-6;

// Pearson's chi-square test of integers against a probability mass function that is symmetric about 0, with one bin per
// integer where 5 or more are expected and the tails merged into the two outermost bins. Returns the p-value.
double ChiSquarePValue(absl::Span<const absl::int128> draws, absl::FunctionRef<double(int64_t)> mass);

// Kolmogorov and Smirnov's distance between integers and a continuous law rounded to the nearest integer:
// sup over z of |(share of draws <= z) − cdf((z + 1/2)/scale)|.
double KolmogorovSmirnovDistance(absl::Span<const absl::int128> draws, double scale,
                                 absl::FunctionRef<double(double)> cdf);

// The distance that n draws of the law itself exceed with probability about `level`: sqrt(ln(2/level)/(2n)); 0.0085 for
// n = 1e5 and level 1e-6.
double KolmogorovSmirnovCriticalDistance(size_t n, double level);

}  // namespace dpkde

#endif  // TESTS_TESTING_GOODNESS_OF_FIT_H_
