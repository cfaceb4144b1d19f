#ifndef TESTS_TESTING_ANSWERS_H_
#define TESTS_TESTING_ANSWERS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/designs/design.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/similarity/similarity.h"

// What designs answer, without accumulators and releases around them.

namespace dpkde {

// The integers that an accumulator holds of these records.
std::vector<int64_t> SumsOf(const Design& design, MatrixView records);

std::vector<Answer> Answers(const Design& design, absl::Span<const int64_t> values, absl::Span<const double> variances,
                            MatrixView queries);

// Answers about these records without noise.
std::vector<Answer> NoiselessAnswers(const Design& design, MatrixView records, MatrixView queries);

// The same, less the exact sums.
std::vector<double> NoiselessErrors(const Similarity& similarity, const Design& design, MatrixView records,
                                    MatrixView queries);

struct NoiseErrors {
  double measured = 0;  // root mean square of answers about no records, over releases and queries
  double stated = 0;    // root mean of the variances that the answers state
};

// By `releases` releases with Laplace noise.
NoiseErrors MeasureNoise(const Design& design, const PrivacySpec& privacy, MatrixView queries, int releases);

}  // namespace dpkde

#endif  // TESTS_TESTING_ANSWERS_H_
