#ifndef TESTS_BENCHMARKS_WINDOWS_H_
#define TESTS_BENCHMARKS_WINDOWS_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "dpkde/index/corpus/token_sets.h"
#include "tests/testing/vectors.h"

namespace dpkde {

// The means of 2 to 7 successive tokens of each set: real vectors, and many more of them than there are words.
inline Points Windows(const TokenSets& sets) {
  Points points;
  const size_t d = points.columns = sets.view().dimension;
  std::vector<double> sum(d);
  for (size_t i = 0; i < sets.view().size(); ++i) {
    const MatrixView set = sets.view().set(i);
    for (size_t words = 2; words <= 7; ++words) {
      for (size_t begin = 0; begin + words <= set.rows; ++begin) {
        std::fill(sum.begin(), sum.end(), 0);
        for (size_t t = begin; t < begin + words; ++t) {
          for (size_t j = 0; j < d; ++j) sum[j] += set.row(t)[j];
        }
        for (size_t j = 0; j < d; ++j) points.values.push_back(static_cast<float>(sum[j] / words));
      }
    }
  }
  return points;
}

}  // namespace dpkde

#endif  // TESTS_BENCHMARKS_WINDOWS_H_
