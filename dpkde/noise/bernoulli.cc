#include "dpkde/noise/bernoulli.h"

#include <limits>

#include "dpkde/noise/fatal.h"

// Bernoulli(exp(−gamma)) is Algorithm 1 of Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy",
// NeurIPS 2020, arXiv 2004.00010: for gamma in [0, 1] toss A_k ~ Bernoulli(gamma/k), k = 1, 2, .., until
// the first tails, at K. P(K > k) = gamma^k/k!, so P(K odd) = Σ_k (−gamma)^k/k! = exp(−gamma).

namespace dpkde {

namespace noise_internal {

bool BernoulliSlow(uint64_t p, uint64_t q, BitSource& bits) {
  if (p > q || q == 0) Fatal("Bernoulli: p/q must be at least 0 and at most 1");
  return Bernoulli(p, q, bits);
}

}  // namespace noise_internal

namespace {

using Uint128 = unsigned __int128;

constexpr Uint128 kMaxDenominator = Uint128{1} << 127;
constexpr Uint128 kMaxWord = std::numeric_limits<uint64_t>::max();

// The comparison of Bernoulli() with a 192-bit product, p <= q <= 2^127.
bool Bernoulli128Unchecked(Uint128 p, Uint128 q, BitSource& bits) {
  while (true) {
    if (q <= kMaxWord) return Bernoulli(static_cast<uint64_t>(p), static_cast<uint64_t>(q), bits);
    // word·q = high·2^64 + low; high <= (2^64−1)² + 2^64−1 < 2^128.
    const Uint128 word = bits.NextWord();
    const Uint128 lower = word * static_cast<uint64_t>(q);
    const Uint128 high = word * static_cast<uint64_t>(q >> 64) + (lower >> 64);
    const uint64_t low = static_cast<uint64_t>(lower);
    if (high >= p) return false;
    // distance = p·2^64 − word·q = gap·2^64 − low >= q?
    const Uint128 gap = p - high;
    if (gap > kMaxWord) return true;  // distance > 2^128 − 2^64 > 2^127 >= q
    const Uint128 distance = (gap << 64) - low;
    if (distance >= q) return true;
    p = distance;
  }
}

// One toss of Bernoulli(p/(q·k)), q·k not computed where it would exceed the coin's range: then the product of
// independent Bernoulli(p/q) and Bernoulli(1/k), the same probability.
bool BernoulliOver(uint64_t p, uint64_t q, uint64_t k, BitSource& bits) {
  uint64_t scaled;
  if (!__builtin_mul_overflow(q, k, &scaled)) return Bernoulli(p, scaled, bits);
  return Bernoulli(p, q, bits) && Bernoulli(1, k, bits);
}

bool BernoulliOver(Uint128 p, Uint128 q, uint64_t k, BitSource& bits) {
  Uint128 scaled;
  if (!__builtin_mul_overflow(q, Uint128{k}, &scaled) && scaled <= kMaxDenominator) {
    return Bernoulli128Unchecked(p, scaled, bits);
  }
  return Bernoulli128Unchecked(p, q, bits) && Bernoulli(1, k, bits);
}

// Algorithm 1, 0 <= numerator <= denominator. k does not wrap: reaching 2^64 takes 2^64 heads in a row.
template <typename Unsigned>
bool BernoulliExpMinusUnit(Unsigned numerator, Unsigned denominator, BitSource& bits) {
  if (numerator == 0) return true;
  uint64_t k = 1;
  while (BernoulliOver(numerator, denominator, k, bits)) ++k;
  return k % 2 == 1;
}

}  // namespace

bool Bernoulli128(absl::uint128 p, absl::uint128 q, BitSource& bits) {
  if (p > q || q == 0 || q > kMaxDenominator) {
    Fatal("Bernoulli128: p/q must be at least 0 and at most 1, and q at most 2^127");
  }
  return Bernoulli128Unchecked(static_cast<Uint128>(p), static_cast<Uint128>(q), bits);
}

bool BernoulliExpMinusOne(BitSource& bits) {
  uint64_t k = 2;  // A_1 is heads for certain
  while (Bernoulli(1, k, bits)) ++k;
  return k % 2 == 1;
}

bool BernoulliExpMinusFraction(uint64_t numerator, uint64_t denominator, BitSource& bits) {
  if (numerator > denominator || denominator == 0) {
    Fatal("BernoulliExpMinusFraction: the exponent must be at least 0 and at most 1");
  }
  return BernoulliExpMinusUnit(numerator, denominator, bits);
}

bool BernoulliExpMinus(absl::uint128 numerator, absl::uint128 denominator, BitSource& bits) {
  if (denominator == 0 || denominator > kMaxDenominator) {
    Fatal("BernoulliExpMinus: the denominator must be at least 1 and at most 2^127");
  }
  Uint128 n = static_cast<Uint128>(numerator);
  const Uint128 d = static_cast<Uint128>(denominator);
  // exp(−n/d) = exp(−1)^floor(n/d) · exp(−(n mod d)/d). The first tails ends the loop, after 1/(1 − 1/e) tosses on
  // average: a huge quotient costs no time.
  if (n > d) {
    for (Uint128 whole = n / d; whole > 0; --whole) {
      if (!BernoulliExpMinusOne(bits)) return false;
    }
    n %= d;
  }
  if (d <= kMaxWord) return BernoulliExpMinusUnit(static_cast<uint64_t>(n), static_cast<uint64_t>(d), bits);
  return BernoulliExpMinusUnit(n, d, bits);
}

}  // namespace dpkde
