#ifndef TESTS_TESTING_RAW_SUMS_H_
#define TESTS_TESTING_RAW_SUMS_H_

#include <cstdint>
#include <vector>

#include "dpkde/sketch/raw_sums.h"

namespace dpkde {

// The raw sums, which nothing but a test may see.
class RawSumsTestPeer {
 public:
  static std::vector<int64_t> Total(const RawSums& sums) {
    std::vector<int64_t> total(sums.size_);
    for (const PrivateVector<int64_t>& part : sums.of_worker_) {
      for (size_t j = 0; j < part.size(); ++j) total[j] += part[j];
    }
    return total;
  }

  // Of any accumulator.
  template <typename AnyAccumulator>
  static std::vector<int64_t> Total(const AnyAccumulator& accumulator) {
    return Total(accumulator.sums_);
  }
};

}  // namespace dpkde

#endif  // TESTS_TESTING_RAW_SUMS_H_
