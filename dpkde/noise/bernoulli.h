#ifndef DPKDE_NOISE_BERNOULLI_H_
#define DPKDE_NOISE_BERNOULLI_H_

#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/numeric/int128.h"
#include "dpkde/noise/bit_source.h"

// Exact coins: integers decide, no floating point anywhere. Ranges are checked; a value outside one aborts the process
// (a coin has no error to return that a caller could not forget).
//
// The number of words drawn, and so the time, depends on the outcome. Known limit: nothing here hides it.

namespace dpkde {

namespace noise_internal {
bool BernoulliSlow(uint64_t p, uint64_t q, BitSource& bits);
}  // namespace noise_internal

// True with probability exactly p/q; 0 <= p <= q, 1 <= q <= 2^64−1. One word but with probability at most 2^-64.
//
// Compares the binary expansion of a uniform U in [0, 1) with p/q, 64 digits at a time. A word w says
// w <= 2^64·U < w+1:
//   w·q >= p·2^64       U >= p/q: false. Since w·q = h·2^64 + low with low < 2^64, this is h >= p.
//   (w+1)·q <= p·2^64   U < p/q: true. This is distance = p·2^64 − w·q >= q.
//   otherwise           0 < distance < q, and U < p/q if the fraction of 2^64·U, again uniform, is below distance/q.
//                       Only one w can have p·2^64 strictly between w·q and (w+1)·q: hence 2^-64.
// p·2^64 and w·q are below 2^128: nothing overflows.
inline bool Bernoulli(uint64_t p, uint64_t q, BitSource& bits) {
  if (ABSL_PREDICT_FALSE(p > q || q == 0)) return noise_internal::BernoulliSlow(p, q, bits);
  const unsigned __int128 product = static_cast<unsigned __int128>(bits.NextWord()) * q;
  if (static_cast<uint64_t>(product >> 64) >= p) return false;
  const unsigned __int128 distance = (static_cast<unsigned __int128>(p) << 64) - product;
  if (ABSL_PREDICT_TRUE(distance >= q)) return true;
  return noise_internal::BernoulliSlow(static_cast<uint64_t>(distance), q, bits);
}

// The same for 0 <= p <= q, 1 <= q <= 2^127.
bool Bernoulli128(absl::uint128 p, absl::uint128 q, BitSource& bits);

// True with probability exactly exp(−1). About 1.7 words.
bool BernoulliExpMinusOne(BitSource& bits);

// True with probability exactly exp(−numerator/denominator), 0 <= numerator <= denominator, 1 <= denominator < 2^64.
// At most e words on average; up to 4.5 where the denominator is so near 2^64 that a toss is split in two.
bool BernoulliExpMinusFraction(uint64_t numerator, uint64_t denominator, BitSource& bits);

// True with probability exactly exp(−numerator/denominator); any numerator, 1 <= denominator <= 2^127. At most 5.5
// words on average, whatever the quotient.
bool BernoulliExpMinus(absl::uint128 numerator, absl::uint128 denominator, BitSource& bits);

}  // namespace dpkde

#endif  // DPKDE_NOISE_BERNOULLI_H_
