#include "dpkde/noise/lazy_real.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/numeric/int128.h"
#include "boost/math/distributions/gamma.hpp"
#include "gtest/gtest.h"
#include "tests/testing/goodness_of_fit.h"
#include "tests/testing/scripted_bit_source.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {
namespace {

using cpp_int = NoiseInteger;

constexpr uint64_t kOnes = ~uint64_t{0};
constexpr uint64_t kHalf = uint64_t{1} << 63;
constexpr uint64_t kQuarter = uint64_t{1} << 62;
constexpr double kGrid = 1e12;

double Value(const LazyReal& x) {
  const double magnitude = static_cast<double>(x.integer) + std::ldexp(static_cast<double>(x.fraction.word(0)), -64);
  return x.negative ? -magnitude : magnitude;
}

std::vector<absl::int128> DrawOnGrid(absl::FunctionRef<double()> draw, size_t count) {
  std::vector<absl::int128> draws;
  while (draws.size() < count) draws.push_back(static_cast<absl::int128>(std::round(draw() * kGrid)));
  return draws;
}

double ExponentialCdf(double x) { return x < 0 ? 0 : -std::expm1(-x); }
double NormalCdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// 1e5 draws, critical distance 0.0085. Power: scales 1.1 times as large are 0.035 (exponential) and 0.023 (normal)
// away.
constexpr size_t kDraws = 100000;
const double kCritical = KolmogorovSmirnovCriticalDistance(kDraws, kRejectionLevel);

TEST(LazyUniformTest, ComparesFirstWords) {
  ScriptedBitSource bits({5, 6});
  LazyUniform five(bits);
  LazyUniform six(bits);
  EXPECT_TRUE(five.Less(six, bits));
  EXPECT_FALSE(six.Less(five, bits));
  EXPECT_EQ(five.words(), 1u);
}

TEST(LazyUniformTest, TiesAreDecidedByFurtherWordsWhichAreKept) {
  ScriptedBitSource bits({5, 5, 7, 7, 9, 8, 8});
  LazyUniform a(bits);
  LazyUniform b(bits);
  EXPECT_FALSE(a.Less(b, bits));  // 5 7 9 against 5 7 8
  EXPECT_TRUE(b.Less(a, bits));   // nothing is drawn again
  EXPECT_EQ(a.Digits(), (cpp_int(5) << 128) + (cpp_int(7) << 64) + 9);
  EXPECT_EQ(b.Digits(), (cpp_int(5) << 128) + (cpp_int(7) << 64) + 8);
  EXPECT_EQ(bits.used(), 6u);
  b.Extend(bits);
  EXPECT_EQ(b.words(), 4u);
}

TEST(LazyUniformTest, ATieWithAnotherThatIsAheadUsesItsWords) {
  ScriptedBitSource bits({5, 5, 7, 6});
  LazyUniform a(bits);
  LazyUniform b(bits);
  b.Extend(bits);  // 5 7
  EXPECT_TRUE(a.Less(b, bits));
  EXPECT_EQ(a.word(1), 6u);
  EXPECT_EQ(b.words(), 2u);
  EXPECT_TRUE(bits.exhausted());
}

TEST(DrawExponentialTest, Law) {
  SeededBitSource bits(1);
  const auto draws = DrawOnGrid([&] { return Value(DrawExponential(bits)); }, kDraws);
  EXPECT_LT(KolmogorovSmirnovDistance(draws, kGrid, ExponentialCdf), kCritical);
  EXPECT_GT(KolmogorovSmirnovDistance(draws, 1.1 * kGrid, ExponentialCdf), kCritical);
  EXPECT_GT(KolmogorovSmirnovDistance(draws, kGrid / 1.1, ExponentialCdf), kCritical);
}

// Descending runs below x = 1/2: the longest of even length keeps x.
TEST(DrawExponentialTest, RunsOfAScript) {
  ScriptedBitSource kept({kHalf, kOnes});  // no run
  EXPECT_EQ(Value(DrawExponential(kept)), 0.5);
  EXPECT_TRUE(kept.exhausted());
  ScriptedBitSource even({kHalf, kQuarter, 1, 2});
  EXPECT_EQ(Value(DrawExponential(even)), 0.5);
  EXPECT_TRUE(even.exhausted());
  // 1/2 > 1/4, a run of one: thrown away, and the integer part is 1.
  ScriptedBitSource odd({kHalf, kQuarter, kOnes, kQuarter, kHalf});
  EXPECT_EQ(Value(DrawExponential(odd)), 1.25);
  EXPECT_TRUE(odd.exhausted());
}

TEST(DrawNormalTest, Law) {
  SeededBitSource bits(2);
  const auto draws = DrawOnGrid([&] { return Value(DrawNormal(bits)); }, kDraws);
  EXPECT_LT(KolmogorovSmirnovDistance(draws, kGrid, NormalCdf), kCritical);
  EXPECT_GT(KolmogorovSmirnovDistance(draws, 1.1 * kGrid, NormalCdf), kCritical);
  EXPECT_GT(KolmogorovSmirnovDistance(draws, kGrid / 1.1, NormalCdf), kCritical);
}

// The tail is there and of the right weight: P(|g| > 3) = 0.0027. 6 standard errors of 1e6 draws are 311; a law cut at
// 3 has none, Karney's algorithm without its coin of exp(−k(k−1)/2) has thousands more.
TEST(DrawNormalTest, TailAndFourthMoment) {
  constexpr int kMany = 1000000;
  SeededBitSource bits(3);
  int beyond_three = 0;
  double fourth = 0;
  for (int i = 0; i < kMany; ++i) {
    const double g = Value(DrawNormal(bits));
    beyond_three += std::abs(g) > 3 ? 1 : 0;
    fourth += g * g * g * g / kMany;
  }
  const double expected = kMany * std::erfc(3 / std::sqrt(2.0));
  EXPECT_NEAR(beyond_three, expected, 6 * std::sqrt(expected));
  EXPECT_NEAR(fourth, 3, 6 * std::sqrt(96.0 / kMany));  // Var g^4 = 105 − 9
}

TEST(LazyGammaTest, LawAfterTheFirstWordAndAfterTheThird) {
  for (uint64_t shape : {1, 2, 5, 129}) {
    SeededBitSource bits(shape);
    std::vector<absl::int128> first;
    std::vector<absl::int128> third;
    for (size_t i = 0; i < 20000; ++i) {
      LazyGamma gamma(shape, bits);
      first.push_back(static_cast<absl::int128>(static_cast<double>(gamma.low()) * std::ldexp(kGrid, -64)));
      gamma.Extend(bits);
      gamma.Extend(bits);
      third.push_back(static_cast<absl::int128>(static_cast<double>(gamma.low()) * std::ldexp(kGrid, -192)));
    }
    const double critical = KolmogorovSmirnovCriticalDistance(first.size(), kRejectionLevel);
    const double k = static_cast<double>(shape);
    const auto cdf = [k](double x) {
      return x <= 0 ? 0 : boost::math::cdf(boost::math::gamma_distribution<double>(k), x);
    };
    EXPECT_LT(KolmogorovSmirnovDistance(first, kGrid, cdf), critical) << shape;
    EXPECT_LT(KolmogorovSmirnovDistance(third, kGrid, cdf), critical) << shape;
    // Power: one exponential too few is 0.035 away at 129, the scale 1.1 at 1.
    const auto control = [k](double x) {
      return x <= 0 ? 0 : boost::math::cdf(boost::math::gamma_distribution<double>(k == 1 ? 1.1 : k - 1), x);
    };
    EXPECT_GT(KolmogorovSmirnovDistance(third, kGrid, control), critical) << shape;
  }
}

// What has been said about the sum stays true: each interval lies in the one before.
TEST(LazyGammaTest, IntervalsAreNested) {
  for (uint64_t shape : {1, 2, 100}) {
    SeededBitSource bits(shape);
    LazyGamma gamma(shape, bits);
    for (size_t words = 2; words < 6; ++words) {
      const cpp_int before = gamma.low();
      gamma.Extend(bits);
      ASSERT_EQ(gamma.words(), words);
      EXPECT_GE(gamma.low(), before << 64);
      EXPECT_LE(gamma.low() + gamma.shape(), (before + gamma.shape()) << 64);
      EXPECT_NE(gamma.low(), before << 64);
    }
  }
}

// The words that a tie had to draw belong to the sum, once, at their places; then all parts go on together.
TEST(LazyGammaTest, KeepsWordsThatATieDrew) {
  // First exponential: x = 1/2, u ties on one word, then x's second word 3 is below u's 4: no run, kept.
  // Second: x = 1/4, no run.
  ScriptedBitSource bits({kHalf, kHalf, 4, 3, kQuarter, kOnes, 100, 10, 20});
  LazyGamma gamma(2, bits);
  EXPECT_EQ(bits.used(), 6u);
  EXPECT_EQ(gamma.low(), cpp_int(kHalf) + kQuarter);
  gamma.Extend(bits);
  EXPECT_EQ(bits.used(), 7u);  // only the second needed a word
  EXPECT_EQ(gamma.low(), ((cpp_int(kHalf) + kQuarter) << 64) + 3 + 100);
  gamma.Extend(bits);
  EXPECT_EQ(gamma.low(), ((((cpp_int(kHalf) + kQuarter) << 64) + 103) << 64) + 30);
  EXPECT_TRUE(bits.exhausted());
}

}  // namespace
}  // namespace dpkde
