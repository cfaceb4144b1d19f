#ifndef DPKDE_CLASSIFIER_SHARE_MATCHING_H_
#define DPKDE_CLASSIFIER_SHARE_MATCHING_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace dpkde {

// Offsets that make scores of points fit what is known of the classes' sizes: with them added, the mean over points of
// softmax(scores) is nearly the share of each class. What a regularised discriminant says of points is neither log
// probability nor fair to classes whose means are noisy, but how often each class should come up is known.
//
//   scores: n x C, row-major, in units in which a difference of 1 makes a class e times as likely; shares: C, positive,
//   of sum 1. n, C >= 1.
//
// The fixed-point iteration that fits the prior of a mixture whose components are given (EM, one step each), 50 times.
// Cost: 50 n C exponentials. No privacy effect: post-processing.
std::vector<double> OffsetsOfShares(absl::Span<const double> scores, absl::Span<const double> shares);

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_SHARE_MATCHING_H_
