#ifndef DPKDE_NOISE_ROUNDED_PRODUCT_H_
#define DPKDE_NOISE_ROUNDED_PRODUCT_H_

#include <cstddef>
#include <cstdint>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/lazy_real.h"

// The nearest integer to (random scale)·(random coordinate), exactly: what rounded continuous noise is made of. The
// ideal noise is a real vector scale·(x_1, .., x_d); rounding what it is added to is post-processing, so an integer sum
// plus round(scale·x_i) keeps every guarantee of the continuous law.

namespace dpkde {

// The largest number of coordinates of K-norm noise.
inline constexpr uint64_t kMaxKNormDimension = uint64_t{1} << 26;

// A real that lies in [low, high]·2^exponent; 0 <= low <= high.
struct RealInterval {
  NoiseInteger low;
  NoiseInteger high;
  int64_t exponent;
};

// bound/epsilon, exactly: a double is an integer times a power of two.
class NoiseScale {
 public:
  // 1 <= bound <= kMaxNoiseScale, epsilon > 0 and finite (checked by CheckNoiseScale below).
  NoiseScale(uint64_t bound, double epsilon);

  // An interval that holds bound/epsilon times any real of `factor`. Rounding widens it by less than 2^-11
  // of what one unit of `factor` is worth.
  RealInterval Times(const RealInterval& factor) const;

  // bound/epsilon, for variances.
  double value() const;

 private:
  uint64_t bound_;
  uint64_t odd_;  // epsilon = odd_·2^exponent_
  int64_t exponent_;
};

// "<name> ..." unless 1 <= bound <= kMaxNoiseScale, epsilon is positive and finite, and bound/epsilon <=
// kMaxNoiseScale, which keeps noise far inside int128.
absl::Status CheckNoiseScale(absl::string_view name, uint64_t bound, double epsilon);

// A positive random real that is refined by drawing more of what it is made of.
class LazyScale {
 public:
  virtual ~LazyScale() {
    Wipe(interval_.low);
    Wipe(interval_.high);
  }
  LazyScale(const LazyScale&) = delete;
  LazyScale& operator=(const LazyScale&) = delete;

  // Narrows interval() to about 2^-64 of its width.
  virtual void Extend(BitSource& bits) = 0;

  // Words drawn of each part.
  size_t words() const { return words_; }
  const RealInterval& interval() const { return interval_; }

  // The same, rounded outwards to 63 bits: in [short_low, short_high]·2^short_exponent, short_high <= 2^63.
  uint64_t short_low() const { return short_low_; }
  uint64_t short_high() const { return short_high_; }
  int64_t short_exponent() const { return short_exponent_; }

 protected:
  LazyScale() = default;
  void Set(size_t words, RealInterval interval);

 private:
  size_t words_ = 0;
  RealInterval interval_;
  uint64_t short_low_ = 0;
  uint64_t short_high_ = 0;
  int64_t short_exponent_ = 0;
};

// The integer nearest to scale·x, x extended and the scale with it until all reals that both can still be round to one
// integer: almost surely after finitely many words, since the product is half an integer with probability 0. Mostly at
// once, in 128-bit arithmetic; it takes more with probability near |result|·2^-59.
//
// Clamped to ±2^126, beyond which no sum with an int64 tells the difference.
absl::int128 RoundedProduct(LazyScale& scale, LazyReal& x, BitSource& bits);

}  // namespace dpkde

#endif  // DPKDE_NOISE_ROUNDED_PRODUCT_H_
