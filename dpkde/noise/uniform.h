#ifndef DPKDE_NOISE_UNIFORM_H_
#define DPKDE_NOISE_UNIFORM_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "dpkde/noise/bit_source.h"

namespace dpkde {

namespace noise_internal {
uint64_t UniformSlow(uint64_t word, uint64_t n, BitSource& bits);
}  // namespace noise_internal

// Exactly uniform on {0, .., n−1}; n >= 1 (checked, aborts). One word but with probability below n/2^64 (Lemire 2019,
// "Fast random integer generation in an interval").
//
// Proof: word·n = value·2^64 + low. For each value, the words w with value·2^64 <= w·n < (value+1)·2^64 have lows that
// run from some first one below n in steps of n. Those with low >= 2^64 mod n are floor(2^64/n) in number, the same for
// every value; the others are drawn again. low >= n > 2^64 mod n needs no division.
inline uint64_t Uniform(uint64_t n, BitSource& bits) {
  const uint64_t word = bits.NextWord();
  const unsigned __int128 product = static_cast<unsigned __int128>(word) * n;
  if (ABSL_PREDICT_TRUE(static_cast<uint64_t>(product) >= n && n != 0)) return static_cast<uint64_t>(product >> 64);
  return noise_internal::UniformSlow(word, n, bits);
}

}  // namespace dpkde

#endif  // DPKDE_NOISE_UNIFORM_H_
