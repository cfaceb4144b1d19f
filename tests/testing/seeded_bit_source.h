#ifndef TESTS_TESTING_SEEDED_BIT_SOURCE_H_
#define TESTS_TESTING_SEEDED_BIT_SOURCE_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "boost/random/mersenne_twister.hpp"
#include "dpkde/noise/bit_source.h"

namespace dpkde {

// The words of Boost's mt19937_64: a stream that is the same in every run, for statistical tests that must not flake.
//
// Noise drawn from it is predictable: not differentially private.
class SeededBitSource final : public BitSource {
 public:
  explicit SeededBitSource(uint64_t seed, size_t buffer_words = kBufferWords)
      : BitSource(buffer_words), engine_(seed) {}

 private:
  void Refill(absl::Span<uint64_t> words) override {
    for (uint64_t& word : words) word = engine_();
  }

  boost::random::mt19937_64 engine_;
};

}  // namespace dpkde

#endif  // TESTS_TESTING_SEEDED_BIT_SOURCE_H_
