#ifndef DPKDE_NOISE_LAZY_REAL_H_
#define DPKDE_NOISE_LAZY_REAL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "boost/multiprecision/cpp_int.hpp"
#include "dpkde/base/wipe.h"
#include "dpkde/noise/bit_source.h"

// Random real numbers, drawn digit by digit: exact, because whatever depends on digits not yet drawn is not decided
// yet.
//
//   LazyReal x = DrawNormal(bits);
//   while (!decided(x)) x.fraction.Extend(bits);
//
// Why this is exact. A real is an infinite sequence of independent fair digits (here 64-bit words). Whoever uses it
// looks at a prefix, decides what the prefix decides for every continuation, and otherwise draws one more word. Which
// words have been drawn is a function of the words drawn, so the others are, given all that happened, still independent
// and fair: the result has the law of the same function of the infinite sequence, as if all of it had been there from
// the start. No precision is chosen, nothing is truncated, no digit is drawn twice.
//
// The number of words drawn, and so the time, depends on the values. Known limit: nothing here hides it.

namespace dpkde {

// An integer of any length that noise can be told from. Memory that held it is wiped; what is short is kept inside of
// the number itself, whose owner calls Wipe() at the end.
using NoiseInteger = boost::multiprecision::number<boost::multiprecision::cpp_int_backend<
    0, 0, boost::multiprecision::signed_magnitude, boost::multiprecision::unchecked,
    WipingAllocator<boost::multiprecision::limb_type>>>;
inline void Wipe(NoiseInteger& value) {
  Wipe(value.backend().limbs(), value.backend().size() * sizeof(boost::multiprecision::limb_type));
}

// Uniform on [0, 1). What has been drawn says: in [W, W + 1] / 2^(64·words()), W the words as one integer, first word
// highest.
class LazyUniform {
 public:
  explicit LazyUniform(BitSource& bits) : first_(bits.NextWord()) {}

  // Draws one more word.
  void Extend(BitSource& bits) { more_.push_back(bits.NextWord()); }

  // Whether this is below `other`. Draws words of both, alternately, as far as those drawn agree: with probability
  // 2^-64.
  bool Less(LazyUniform& other, BitSource& bits) {
    return first_ != other.first_ ? first_ < other.first_ : LessBeyondFirst(other, bits);
  }

  size_t words() const { return 1 + more_.size(); }
  // 0 <= index < words().
  uint64_t word(size_t index) const { return index == 0 ? first_ : more_[index - 1]; }
  // W.
  NoiseInteger Digits() const;

 private:
  bool LessBeyondFirst(LazyUniform& other, BitSource& bits);

  uint64_t first_;
  PrivateVector<uint64_t> more_;
};

// (negative ? −1 : 1)·(integer + fraction).
struct LazyReal {
  bool negative;
  uint64_t integer;
  LazyUniform fraction;
};

// Exponential of mean 1; never negative. 4.3 words on average.
LazyReal DrawExponential(BitSource& bits);

// Normal of mean 0 and variance 1.
LazyReal DrawNormal(BitSource& bits);

// Gamma of integer shape and scale 1: the sum of `shape` exponentials. What has been drawn says: in
// [low(), low() + shape()] / 2^(64·words()).
class LazyGamma {
 public:
  // 1 <= shape < 2^32.
  LazyGamma(uint64_t shape, BitSource& bits);
  ~LazyGamma() { Wipe(low_); }
  LazyGamma(const LazyGamma&) = delete;
  LazyGamma& operator=(const LazyGamma&) = delete;

  // Draws one more word of each exponential.
  void Extend(BitSource& bits);

  uint64_t shape() const { return shape_; }
  size_t words() const { return words_; }
  const NoiseInteger& low() const { return low_; }

 private:
  uint64_t shape_;
  size_t words_ = 1;
  NoiseInteger low_;
  // The fractions of which more than one word had to be drawn already. Almost always none. Of the others nothing is
  // kept but the sum: what is left of each is one more independent fair sequence, whichever it belongs to.
  std::vector<LazyUniform> ahead_;
};

}  // namespace dpkde

#endif  // DPKDE_NOISE_LAZY_REAL_H_
