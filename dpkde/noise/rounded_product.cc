#include "dpkde/noise/rounded_product.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/noise/discrete_laplace.h"

namespace dpkde {
namespace {

// The nearest integer to value·2^exponent, halves upwards; value >= 0.
NoiseInteger Round(const NoiseInteger& value, int64_t exponent) {
  if (exponent >= 0) return value << exponent;
  return ((value >> (-exponent - 1)) + 1) >> 1;
}

absl::int128 Clamped(const NoiseInteger& magnitude) {
  if (magnitude >= (NoiseInteger(1) << 126)) return absl::int128(1) << 126;
  const NoiseInteger low = magnitude & NoiseInteger(~uint64_t{0});
  const NoiseInteger high = magnitude >> 64;
  return absl::MakeInt128(static_cast<int64_t>(high), static_cast<uint64_t>(low));
}

// The common case: 63 bits of the scale and 60 of the fraction. False if they do not decide.
bool RoundShort(const LazyScale& scale, const LazyReal& x, absl::int128* magnitude) {
  using Uint128 = unsigned __int128;
  constexpr int kFractionBits = 60;
  const int64_t shift = kFractionBits - scale.short_exponent();
  if (x.integer >= 16 || shift < 1 || shift > 126) return false;
  // x is in [a, a + 1]·2^-60, a + 1 <= 2^64; products are at most 2^63·2^64 = 2^127.
  const uint64_t a = (x.integer << kFractionBits) | (x.fraction.word(0) >> (64 - kFractionBits));
  const Uint128 half = Uint128{1} << (shift - 1);
  const Uint128 low = (Uint128{scale.short_low()} * a + half) >> shift;
  const Uint128 high = (scale.short_high() * (Uint128{a} + 1) + half) >> shift;
  if (low != high) return false;
  *magnitude = absl::MakeInt128(static_cast<int64_t>(low >> 64), static_cast<uint64_t>(low));
  return true;
}

absl::int128 RoundMagnitude(LazyScale& scale, LazyReal& x, BitSource& bits) {
  absl::int128 decided;
  if (RoundShort(scale, x, &decided)) return decided;
  while (true) {
    const int64_t fraction_bits = 64 * static_cast<int64_t>(x.fraction.words());
    const NoiseInteger digits = (NoiseInteger(x.integer) << fraction_bits) + x.fraction.Digits();
    const RealInterval& s = scale.interval();
    const int64_t exponent = s.exponent - fraction_bits;
    const NoiseInteger low = Round(s.low * digits, exponent);
    if (low == Round(s.high * (digits + 1), exponent)) return Clamped(low);
    x.fraction.Extend(bits);
    if (x.fraction.words() > scale.words()) scale.Extend(bits);
  }
}

}  // namespace

NoiseScale::NoiseScale(uint64_t bound, double epsilon) : bound_(bound) {
  int exponent;
  odd_ = static_cast<uint64_t>(std::ldexp(std::frexp(epsilon, &exponent), 53));
  exponent_ = exponent - 53;
  while (odd_ % 2 == 0) {
    odd_ /= 2;
    ++exponent_;
  }
}

RealInterval NoiseScale::Times(const RealInterval& factor) const {
  // 64 more bits than the factor has; odd_ is below 2^53.
  const NoiseInteger low = (factor.low * bound_) << 64;
  const NoiseInteger high = (factor.high * bound_) << 64;
  return {low / odd_, (high + (odd_ - 1)) / odd_, factor.exponent - exponent_ - 64};
}

double NoiseScale::value() const {
  return static_cast<double>(bound_) / std::ldexp(static_cast<double>(odd_), exponent_);
}

absl::Status CheckNoiseScale(absl::string_view name, uint64_t bound, double epsilon) {
  DPKDE_RETURN_IF_ERROR(CheckNoiseScale(name, bound));
  DPKDE_RETURN_IF_ERROR(CheckPositive("epsilon", epsilon));
  if (!(static_cast<double>(bound) / epsilon <= static_cast<double>(kMaxNoiseScale))) {
    return absl::InvalidArgumentError(absl::StrCat(name, "/epsilon must be at most ", kMaxNoiseScale, ", but is ",
                                                   static_cast<double>(bound) / epsilon));
  }
  return absl::OkStatus();
}

void LazyScale::Set(size_t words, RealInterval interval) {
  words_ = words;
  interval_ = std::move(interval);
  const int64_t length = interval_.high == 0 ? 0 : msb(interval_.high) + 1;
  const int64_t dropped = length > 63 ? length - 63 : 0;
  short_low_ = static_cast<uint64_t>(NoiseInteger(interval_.low >> dropped));
  short_high_ = static_cast<uint64_t>(NoiseInteger(interval_.high >> dropped)) + 1;
  short_exponent_ = interval_.exponent + dropped;
}

absl::int128 RoundedProduct(LazyScale& scale, LazyReal& x, BitSource& bits) {
  const absl::int128 magnitude = RoundMagnitude(scale, x, bits);
  return x.negative ? -magnitude : magnitude;
}

}  // namespace dpkde
