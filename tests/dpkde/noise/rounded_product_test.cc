#include "dpkde/noise/rounded_product.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/testing/scripted_bit_source.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {
namespace {

using cpp_int = NoiseInteger;

constexpr uint64_t kOnes = ~uint64_t{0};
constexpr uint64_t kHalf = uint64_t{1} << 63;

// A lazily drawn uniform times `bound`/`epsilon`.
class UniformScale final : public LazyScale {
 public:
  UniformScale(uint64_t bound, double epsilon, BitSource& bits) : scale_(bound, epsilon), uniform_(bits) { Update(); }
  void Extend(BitSource& bits) override {
    uniform_.Extend(bits);
    Update();
  }
  const LazyUniform& uniform() const { return uniform_; }

 private:
  void Update() {
    const int64_t fraction_bits = 64 * static_cast<int64_t>(uniform_.words());
    Set(uniform_.words(), scale_.Times({uniform_.Digits(), uniform_.Digits() + 1, -fraction_bits}));
  }
  NoiseScale scale_;
  LazyUniform uniform_;
};

cpp_int Magnitude(absl::int128 value) {
  const absl::int128 magnitude = value < 0 ? -value : value;
  cpp_int big = absl::Int128High64(magnitude);
  big <<= 64;
  big += absl::Int128Low64(magnitude);
  return big;
}

// Whether |scale·x|·epsilon lies within epsilon/2 of |rounded|·epsilon for every continuation of the digits: both sides
// are integers over a power of two, so this involves no rounding.
bool IsNearest(absl::int128 rounded, uint64_t bound, double epsilon, const LazyUniform& scale, const LazyReal& x) {
  int exponent;
  const int64_t mantissa = static_cast<int64_t>(std::ldexp(std::frexp(epsilon, &exponent), 53));
  exponent -= 53;  // epsilon = mantissa·2^exponent
  const int64_t scale_bits = 64 * static_cast<int64_t>(scale.words());
  const int64_t x_bits = 64 * static_cast<int64_t>(x.fraction.words());
  const cpp_int digits = (cpp_int(x.integer) << x_bits) + x.fraction.Digits();
  // In units of 2^-bits/2.
  const int64_t bits = scale_bits + x_bits;
  cpp_int low = scale.Digits() * digits * bound * 2;
  cpp_int high = (scale.Digits() + 1) * (digits + 1) * bound * 2;
  const cpp_int magnitude = Magnitude(rounded) * 2;
  cpp_int floor = (magnitude - 1) * mantissa;
  cpp_int ceiling = (magnitude + 1) * mantissa;
  const int64_t shift = bits + exponent;
  if (shift >= 0) {
    floor <<= shift;
    ceiling <<= shift;
  } else {
    low <<= -shift;
    high <<= -shift;
  }
  return floor <= low && high <= ceiling && (rounded == 0 || (rounded < 0) == x.negative);
}

struct Case {
  uint64_t bound;
  double epsilon;
};

// Against the definition, in exact arithmetic: at small scales, where 63 bits decide, and at large ones, where they
// cannot.
TEST(RoundedProductTest, IsTheNearestInteger) {
  const Case cases[] = {{1, 1},
                        {1, 1e-3},
                        {3, 0.7},
                        {1, 100},
                        {1, 1e300},
                        {1 << 20, 0.1},
                        {uint64_t{1} << 40, 3},
                        {uint64_t{1} << 62, 1.0},
                        {(uint64_t{1} << 50) + 1, std::ldexp(1.1, -12)},
                        {1, std::ldexp(1.0, -62)}};
  for (const Case& c : cases) {
    SeededBitSource bits(7);
    size_t most_words = 0;
    bool positive = false;
    bool negative = false;
    for (int i = 0; i < 2000; ++i) {
      UniformScale scale(c.bound, c.epsilon, bits);
      LazyReal x = DrawNormal(bits);
      const absl::int128 rounded = RoundedProduct(scale, x, bits);
      ASSERT_TRUE(IsNearest(rounded, c.bound, c.epsilon, scale.uniform(), x)) << c.bound << " " << c.epsilon;
      // The control: the neighbours are not.
      ASSERT_FALSE(IsNearest(rounded + 1, c.bound, c.epsilon, scale.uniform(), x));
      ASSERT_FALSE(IsNearest(rounded - 1, c.bound, c.epsilon, scale.uniform(), x));
      most_words = std::max(most_words, scale.words());
      positive = positive || rounded > 0;
      negative = negative || rounded < 0;
    }
    const double scale = static_cast<double>(c.bound) / c.epsilon;
    EXPECT_EQ(positive && negative, scale > 0.1);
    if (scale > std::ldexp(1.0, 60)) {
      EXPECT_GE(most_words, 2u);
    }
    if (scale < std::ldexp(1.0, 41)) {
      EXPECT_EQ(most_words, 1u);
    }
  }
}

// scale·x just below one half: in [0.4999.., 0.5] after one word of each and after two; the third of the scale decides.
TEST(RoundedProductTest, ExtendsUntilDecided) {
  ScriptedBitSource bits({kOnes, kHalf - 1, kOnes, kOnes, kOnes, 0});
  UniformScale scale(1, 1, bits);
  LazyReal x{true, 0, LazyUniform(bits)};
  EXPECT_EQ(RoundedProduct(scale, x, bits), 0);
  EXPECT_EQ(x.fraction.words(), 3u);
  EXPECT_EQ(scale.words(), 3u);
  EXPECT_TRUE(bits.exhausted());
}

TEST(RoundedProductTest, RoundsMagnitudesAlikeOnBothSides) {
  for (bool negative : {false, true}) {
    ScriptedBitSource bits({kOnes, kHalf, kOnes, 1 << 10});
    UniformScale scale(1, 1, bits);
    LazyReal x{negative, 0, LazyUniform(bits)};  // just above 1/2
    EXPECT_EQ(RoundedProduct(scale, x, bits), negative ? -1 : 1);
    EXPECT_TRUE(bits.exhausted());
  }
}

TEST(RoundedProductTest, ClampsWhereInt128WouldNotDo) {
  for (bool negative : {false, true}) {
    SeededBitSource bits(3);
    UniformScale scale(uint64_t{1} << 62, 1, bits);
    LazyReal x{negative, kOnes, LazyUniform(bits)};
    LazyReal y{negative, kOnes, LazyUniform(bits)};
    const absl::int128 product = RoundedProduct(scale, x, bits);
    EXPECT_LT(product < 0 ? -product : product, absl::int128(1) << 126);
    UniformScale larger(uint64_t{1} << 62, std::ldexp(1.0, -30), bits);
    EXPECT_EQ(RoundedProduct(larger, y, bits), (negative ? -1 : 1) * (absl::int128(1) << 126));
  }
}

TEST(NoiseScaleTest, IsExact) {
  SeededBitSource bits(5);
  for (double epsilon : {1.0, 0.1, 3.0, 1e-9, 1e9, std::numeric_limits<double>::denorm_min(), 1e300}) {
    const NoiseScale scale(1000003, epsilon);
    const RealInterval interval = scale.Times({1, 1, 0});
    int exponent;
    cpp_int mantissa = static_cast<int64_t>(std::ldexp(std::frexp(epsilon, &exponent), 53));
    // low·epsilon <= bound <= high·epsilon, within one unit.
    const int64_t shift = interval.exponent + exponent - 53;
    ASSERT_LT(shift, 0);
    const cpp_int bound = cpp_int(1000003) << -shift;
    EXPECT_LE(interval.low * mantissa, bound);
    EXPECT_GE(interval.high * mantissa, bound);
    EXPECT_LE(interval.high - interval.low, 1);
    EXPECT_GT(interval.low, 2000);
  }
  EXPECT_DOUBLE_EQ(NoiseScale(5, 0.1).value(), 50);
}

TEST(CheckNoiseScaleTest, Limits) {
  EXPECT_TRUE(CheckNoiseScale("radius", 1, 1e300).ok());
  EXPECT_TRUE(CheckNoiseScale("radius", uint64_t{1} << 62, 1).ok());
  const double infinity = std::numeric_limits<double>::infinity();
  const std::pair<Case, std::string> refused[] = {
      {{0, 1}, "radius must be at least 1 and at most 4611686018427387904, but is 0"},
      {{(uint64_t{1} << 62) + 1, 1},
       "radius must be at least 1 and at most 4611686018427387904, but is 4611686018427387905"},
      {{1, 0}, "epsilon must be finite and positive, but is 0"},
      {{1, -1}, "epsilon must be finite and positive, but is -1"},
      {{1, infinity}, "epsilon must be finite and positive, but is inf"},
      {{1, std::numeric_limits<double>::quiet_NaN()}, "epsilon must be finite and positive, but is nan"},
      {{1, 1e-300}, "radius/epsilon must be at most 4611686018427387904, but is 1e+300"},
      {{1, std::numeric_limits<double>::denorm_min()},
       "radius/epsilon must be at most 4611686018427387904, but is inf"},
  };
  for (const auto& [arguments, message] : refused) {
    const absl::Status status = CheckNoiseScale("radius", arguments.bound, arguments.epsilon);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(status.message()), message);
  }
}

}  // namespace
}  // namespace dpkde
