#include "dpkde/noise/lazy_real.h"

#include <utility>

#include "dpkde/noise/bernoulli.h"
#include "dpkde/noise/uniform.h"

namespace dpkde {
namespace {

NoiseInteger ToInteger(unsigned __int128 value) {
  return (NoiseInteger(static_cast<uint64_t>(value >> 64)) << 64) + static_cast<uint64_t>(value);
}

// Draws u_1, u_2, .. uniform as long as they descend from x (x > u_1 > u_2 > ..) and `coin`, tossed after each, falls
// heads. Whether an even number did. With heads of probability p, n or more do with probability (x·p)^n/n!, so an even
// number does with probability Σ_n (−x·p)^n/n! = exp(−x·p), given x (von Neumann 1951).
template <typename Coin>
bool EvenDescent(LazyUniform& x, BitSource& bits, Coin coin) {
  LazyUniform last(bits);
  if (!last.Less(x, bits) || !coin()) return true;
  bool even = false;
  while (true) {
    LazyUniform next(bits);
    if (!next.Less(last, bits) || !coin()) return even;
    last = std::move(next);
    even = !even;
  }
}

// True with probability exp(−x) given x.
bool ExpMinus(LazyUniform& x, BitSource& bits) {
  return EvenDescent(x, bits, [] { return true; });
}

// True with probability p = (2k + x)/(2k + 2) given x: of 2k + 2 equally probable cases 2k, and one more with
// probability x.
bool Thinning(uint64_t k, LazyUniform& x, BitSource& bits) {
  const uint64_t choice = Uniform(2 * k + 2, bits);
  if (choice != 2 * k) return choice < 2 * k;
  LazyUniform other(bits);
  return other.Less(x, bits);
}

// True with probability exp(−x·(2k + x)/(2k + 2)) given x (Karney 2016, Algorithm B).
bool ExpMinusThinned(uint64_t k, LazyUniform& x, BitSource& bits) {
  return EvenDescent(x, bits, [&] { return Thinning(k, x, bits); });
}

// True with probability exp(−k(k−1)/2).
bool ExpMinusTriangular(uint64_t k, BitSource& bits) {
  for (uint64_t i = 1; i < k; ++i) {
    for (uint64_t j = 0; j < i; ++j) {
      if (!BernoulliExpMinusOne(bits)) return false;
    }
  }
  return true;
}

bool ExpMinusThinnedTimes(uint64_t times, uint64_t k, LazyUniform& x, BitSource& bits) {
  for (uint64_t i = 0; i < times; ++i) {
    if (!ExpMinusThinned(k, x, bits)) return false;
  }
  return true;
}

}  // namespace

NoiseInteger LazyUniform::Digits() const {
  NoiseInteger digits = first_;
  for (uint64_t word : more_) digits = (digits << 64) + word;
  return digits;
}

bool LazyUniform::LessBeyondFirst(LazyUniform& other, BitSource& bits) {
  for (size_t i = 1;; ++i) {
    if (words() == i) Extend(bits);
    if (other.words() == i) other.Extend(bits);
    if (word(i) != other.word(i)) return word(i) < other.word(i);
  }
}

// Von Neumann 1951. A uniform x is kept with probability exp(−x), that is 1 − 1/e in all: the kept one has the density
// of the exponential's fraction, and the number of those thrown away before it, P(j) = e^-j·(1 − 1/e), the law of its
// integer part; fraction and integer part of an exponential are independent, and so are these.
LazyReal DrawExponential(BitSource& bits) {
  for (uint64_t integer = 0;; ++integer) {
    LazyUniform fraction(bits);
    if (ExpMinus(fraction, bits)) return {false, integer, std::move(fraction)};
  }
}

// Algorithm N of Karney, "Sampling exactly from the normal distribution", ACM TOMS 42 (2016), arXiv 1303.6257. k is
// proposed with P(k) ∝ exp(−k/2) and kept with probability exp(−k(k−1)/2): so far P(k) ∝ exp(−k²/2). x is kept with
// probability exp(−x·(2k + x)/(2k + 2))^(k+1) = exp(−kx − x²/2). Together (k, x) has density ∝ exp(−(k + x)²/2).
LazyReal DrawNormal(BitSource& bits) {
  while (true) {
    uint64_t k = 0;
    while (BernoulliExpMinusFraction(1, 2, bits)) ++k;
    if (!ExpMinusTriangular(k, bits)) continue;
    LazyUniform x(bits);
    if (!ExpMinusThinnedTimes(k + 1, k, x, bits)) continue;
    const bool negative = bits.NextWord() % 2 == 1;
    return {negative, k, std::move(x)};
  }
}

LazyGamma::LazyGamma(uint64_t shape, BitSource& bits) : shape_(shape) {
  unsigned __int128 integers = 0;
  unsigned __int128 fractions = 0;
  for (uint64_t i = 0; i < shape; ++i) {
    LazyReal exponential = DrawExponential(bits);
    integers += exponential.integer;
    fractions += exponential.fraction.word(0);
    if (exponential.fraction.words() > 1) ahead_.push_back(std::move(exponential.fraction));
  }
  low_ = (ToInteger(integers) << 64) + ToInteger(fractions);
}

void LazyGamma::Extend(BitSource& bits) {
  unsigned __int128 sum = 0;
  uint64_t to_draw = shape_;
  for (const LazyUniform& fraction : ahead_) {
    if (fraction.words() <= words_) continue;
    sum += fraction.word(words_);
    --to_draw;
  }
  for (uint64_t i = 0; i < to_draw; ++i) sum += bits.NextWord();
  low_ = (low_ << 64) + ToInteger(sum);
  ++words_;
}

}  // namespace dpkde
