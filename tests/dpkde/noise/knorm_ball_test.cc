#include "dpkde/noise/knorm_ball.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/types/span.h"
#include "boost/math/distributions/gamma.hpp"
#include "dpkde/noise/lazy_real.h"
#include "gtest/gtest.h"
#include "tests/dpkde/noise/knorm_testing.h"
#include "tests/testing/goodness_of_fit.h"
#include "tests/testing/scripted_bit_source.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {
namespace {

constexpr uint64_t kUnit = uint64_t{1} << 20;
constexpr double kGrid = 1e12;

double Length(absl::Span<const double> z) {
  double square = 0;
  for (double value : z) square += value * value;
  return std::sqrt(square);
}

std::vector<double> SampleDoubles(const BallNoise& noise, BitSource& bits) {
  std::vector<double> doubles;
  for (absl::int128 value : noise.Sample(bits)) doubles.push_back(static_cast<double>(value));
  return doubles;
}

// ‖z‖_2 ~ Gamma(d, radius/epsilon): odd and even dimensions are built differently. At radius 2^62 the first words never
// decide, so that this tests extension as well. Power: 2e4 draws, critical distance 0.019; the shape d + 1 is 0.035
// away at d = 129, the scale 0.9 at d = 1 0.04, and both more elsewhere.
TEST(BallNoiseTest, LengthHasAGammaLaw) {
  constexpr size_t kDraws = 20000;
  const double critical = KolmogorovSmirnovCriticalDistance(kDraws, kRejectionLevel);
  for (uint64_t dimension : {1, 2, 3, 4, 129}) {
    for (uint64_t radius : {kUnit, uint64_t{1} << 62}) {
      if (dimension == 129 && radius != kUnit) continue;
      const double epsilon = radius == kUnit ? 0.1 : 1;
      const BallNoise noise = BallNoise::Create(dimension, radius, epsilon).value();
      SeededBitSource bits(dimension);
      std::vector<absl::int128> lengths;
      while (lengths.size() < kDraws) {
        const double length = Length(SampleDoubles(noise, bits)) * epsilon / static_cast<double>(radius);
        lengths.push_back(static_cast<absl::int128>(std::round(length * kGrid)));
      }
      const auto distance = [&](double shape, double scale) {
        return KolmogorovSmirnovDistance(lengths, scale * kGrid, [shape](double x) {
          return x <= 0 ? 0 : boost::math::cdf(boost::math::gamma_distribution<double>(shape), x);
        });
      };
      const double d = static_cast<double>(dimension);
      EXPECT_LT(distance(d, 1), critical) << dimension << " " << radius;
      EXPECT_GT(distance(d + 1, 1), critical) << dimension << " " << radius;
      EXPECT_GT(distance(d, 0.9), critical) << dimension << " " << radius;
    }
  }
}

TEST(BallNoiseTest, OneDimensionIsLaplace) {
  constexpr size_t kDraws = 100000;
  const double critical = KolmogorovSmirnovCriticalDistance(kDraws, kRejectionLevel);
  const BallNoise noise = BallNoise::Create(1, 3 * kUnit, 2).value();
  SeededBitSource bits(1);
  std::vector<absl::int128> draws;
  while (draws.size() < kDraws) draws.push_back(noise.Sample(bits)[0]);
  const auto cdf = [](double x) { return x < 0 ? 0.5 * std::exp(x) : 1 - 0.5 * std::exp(-x); };
  const double scale = 1.5 * static_cast<double>(kUnit);
  EXPECT_LT(KolmogorovSmirnovDistance(draws, scale, cdf), critical);
  EXPECT_GT(KolmogorovSmirnovDistance(draws, 1.1 * scale, cdf), critical);
  // As coarse as its grid: Laplace of scale 1 rounded, P(0) = 1 − e^-1/2, P(z) = e^-|z|·sinh(1/2). The control is
  // discrete Laplace of the same scale, P(0) = tanh(1/2) = 0.462 against 0.393.
  const BallNoise coarse = BallNoise::Create(1, 1, 1).value();
  for (absl::int128& draw : draws) draw = coarse.Sample(bits)[0];
  EXPECT_GT(ChiSquarePValue(
                draws, [](int64_t z) { return z == 0 ? 1 - std::exp(-0.5) : std::exp(-std::abs(z)) * std::sinh(0.5); }),
            kRejectionLevel);
  EXPECT_LT(ChiSquarePValue(draws, [](int64_t z) { return std::exp(-std::abs(z)) * std::tanh(0.5); }), kRejectionLevel);
}

TEST(BallNoiseTest, Moments) {
  for (uint64_t dimension : {2, 3, 8}) {
    const BallNoise noise = BallNoise::Create(dimension, kUnit, 0.5).value();
    const double d = static_cast<double>(dimension);
    const double variance = noise.Variance();
    EXPECT_NEAR(variance / ((d + 1) * 4 * static_cast<double>(kUnit) * static_cast<double>(kUnit)), 1, 1e-9);
    Mean first, first_square, last_square, first_fourth, product, square_product;
    SeededBitSource bits(dimension);
    for (int i = 0; i < 200000; ++i) {
      const std::vector<double> z = SampleDoubles(noise, bits);
      const double a = z.front() / std::sqrt(variance);
      const double b = z.back() / std::sqrt(variance);
      first.Add(a);
      first_square.Add(a * a);
      last_square.Add(b * b);
      first_fourth.Add(a * a * a * a);
      product.Add(a * b);
      square_product.Add(a * a * b * b);
    }
    // E[V²] = (d + 1)(d + 3), of which fourth moments are made: one V for all.
    const double kurtosis = (d + 3) / (d + 1);
    EXPECT_LT(first.ErrorsFrom(0), 6);
    EXPECT_LT(product.ErrorsFrom(0), 6);
    EXPECT_LT(first_square.ErrorsFrom(1), 6);
    EXPECT_LT(last_square.ErrorsFrom(1), 6);
    EXPECT_LT(first_fourth.ErrorsFrom(3 * kurtosis), 6);
    EXPECT_LT(square_product.ErrorsFrom(kurtosis), 6);
    // Controls: 5 % of the variance; independent coordinates.
    EXPECT_GT(first_square.ErrorsFrom(1.05), 6);
    EXPECT_GT(last_square.ErrorsFrom(0.95), 6);
    EXPECT_GT(square_product.ErrorsFrom(1), 6);
  }
}

// The direction is uniform on the circle; the control has the angles of a square.
TEST(BallNoiseTest, AnglesAreUniform) {
  constexpr size_t kDraws = 100000;
  const double critical = KolmogorovSmirnovCriticalDistance(kDraws, kRejectionLevel);
  const BallNoise noise = BallNoise::Create(2, kUnit, 1).value();
  SeededBitSource bits(6);
  std::vector<absl::int128> angles;
  std::vector<absl::int128> of_a_square;
  const auto turn = [](double y, double x) { return (std::atan2(y, x) / M_PI + 1) / 2; };
  while (angles.size() < kDraws) {
    const std::vector<double> z = SampleDoubles(noise, bits);
    angles.push_back(static_cast<absl::int128>(turn(z[1], z[0]) * kGrid));
    const double x = static_cast<double>(static_cast<int64_t>(bits.NextWord()));
    const double y = static_cast<double>(static_cast<int64_t>(bits.NextWord()));
    of_a_square.push_back(static_cast<absl::int128>(turn(y, x) * kGrid));
  }
  const auto cdf = [](double x) { return std::clamp(x, 0.0, 1.0); };
  EXPECT_LT(KolmogorovSmirnovDistance(angles, kGrid, cdf), critical);
  EXPECT_GT(KolmogorovSmirnovDistance(of_a_square, kGrid, cdf), critical);
}

// The same reals (drawn by lazy_real, which has its own tests) multiplied in long double: the same integers wherever
// long double can tell. Nothing is extended: at this scale that takes less than 2^-30 of the draws.
TEST(BallNoiseTest, AgreesWithLongDoubleOnTheSameWords) {
  constexpr double kEpsilon = 0.3;
  const auto value = [](const LazyReal& x) {
    const long double fraction = std::ldexp(static_cast<long double>(x.fraction.word(0)) + 0.5L, -64);
    return (x.negative ? -1 : 1) * (static_cast<long double>(x.integer) + fraction);
  };
  for (uint64_t dimension : {1, 2, 3, 10}) {
    const BallNoise noise = BallNoise::Create(dimension, kUnit + 7, kEpsilon).value();
    SeededBitSource bits(dimension);
    SeededBitSource words(dimension);
    size_t compared = 0;
    constexpr size_t kDraws = 5000;
    for (size_t i = 0; i < kDraws; ++i) {
      long double v = 0;
      for (uint64_t j = 0; j < (dimension + 1) / 2; ++j) v += 2 * value(DrawExponential(words));
      if (dimension % 2 == 0) v += std::pow(value(DrawNormal(words)), 2.0L);
      const auto draw = noise.Sample(bits);
      ASSERT_EQ(draw.size(), dimension);
      for (absl::int128 rounded : draw) {
        const long double z =
            value(DrawNormal(words)) * std::sqrt(v) * (kUnit + 7) / static_cast<long double>(kEpsilon);
        if (std::abs(z - (std::floor(z) + 0.5L)) < 1e-9L) continue;
        ASSERT_EQ(rounded, static_cast<absl::int128>(std::round(z)));
        ++compared;
      }
    }
    EXPECT_GT(compared, kDraws * dimension - 10);
    EXPECT_EQ(bits.NextWord(), words.NextWord());
  }
}

// A tie drew two words of the normal in V before any was asked for: V uses the first, and the second when it is
// refined, and no word is drawn for it again.
TEST(BallNoiseTest, WordsDrawnByATieAreUsedOnce) {
  constexpr uint64_t kOnes = ~uint64_t{0};
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  const std::vector<uint64_t> v = {kHalf, kOnes,                    // Gamma(1) = 1/2
                                   0,     kOnes,                    // |normal| below 1:
                                   kHalf, kHalf, kOnes, kHalf, 0};  // 1/2 + 2^-65, after a tie
  const std::vector<uint64_t> x = {0, kOnes, kHalf + kHalf / 2, kOnes};
  const auto script = [&](std::vector<uint64_t> first, std::vector<uint64_t> second) {
    std::vector<uint64_t> words = v;
    for (const auto& rest : {first, second}) {
      words.insert(words.end(), x.begin(), x.end());
      words.insert(words.end(), rest.begin(), rest.end());
    }
    return words;
  };
  // sqrt(2·1/2 + 1/4)·3/4 = 0.8385.
  ScriptedBitSource coarse(script({0}, {1}));
  EXPECT_EQ(BallNoise::Create(2, 1000, 1).value().Sample(coarse), (PrivateVector<absl::int128>{839, -839}));
  EXPECT_TRUE(coarse.exhausted());
  // The second word of x, then one of the Gamma alone; with them the next coordinate is decided at once.
  ScriptedBitSource fine(script({0, 5, 7}, {1}));
  const auto draw = BallNoise::Create(2, uint64_t{1} << 62, 1).value().Sample(fine);
  EXPECT_TRUE(fine.exhausted());
  EXPECT_NEAR(static_cast<double>(draw[0]), std::ldexp(0.75 * std::sqrt(1.25), 62), std::ldexp(1, 11));
  EXPECT_EQ(draw[1], -draw[0]);
}

// trust.md, 8: events where the log likelihood ratio is nearly epsilon = 1, fixed beforehand. Noise that is right stays
// below 1 within 4 standard errors, and with 0.9 times the noise the ratio is near 1.1, which is seen.
TEST(BallNoiseTest, EventRatio) {
  const int64_t unit = static_cast<int64_t>(kUnit);
  struct Case {
    uint64_t radius;
    std::vector<int64_t> shift;
    double threshold;
  };
  const Case cases[] = {{kUnit, {unit}, 0.97},
                        {5, {3, -4}, 0.96},  // a grid nearly as coarse as the noise
                        {3 * kUnit, {unit, -2 * unit, 2 * unit}, 0.94}};
  for (const Case& c : cases) {
    const auto estimate = [&](double epsilon, uint64_t seed) {
      const BallNoise noise = BallNoise::Create(c.shift.size(), c.radius, epsilon).value();
      SeededBitSource bits(seed);
      return EstimateEventRatio(
          c.shift, c.threshold, [&](absl::Span<const double> z) { return Length(z) / static_cast<double>(c.radius); },
          [&] { return noise.Sample(bits); });
    };
    const EventRatio right = estimate(1, 31);
    EXPECT_LT(right.log_ratio, 1 + 4 * right.standard_error) << c.shift.size();
    EXPECT_GT(right.log_ratio, 0.93 - 4 * right.standard_error) << c.shift.size();
    const EventRatio too_little = estimate(1 / 0.9, 32);
    EXPECT_GT(too_little.log_ratio, 1 + 4 * too_little.standard_error) << c.shift.size();
  }
}

TEST(BallNoiseTest, LowBitsAreFair) {
  for (uint64_t radius : {kUnit, (uint64_t{1} << 40) + 1, uint64_t{1} << 62}) {
    const BallNoise noise = BallNoise::Create(1000, radius, 1).value();
    SeededBitSource bits(radius);
    std::vector<int> ones(16, 0);
    for (int i = 0; i < 100; ++i) {
      for (absl::int128 z : noise.Sample(bits)) {
        for (int bit = 0; bit < 16; ++bit) ones[bit] += (absl::Int128Low64(z) >> bit) & 1;
      }
    }
    // 6 standard errors of 1e5 coordinates; a bit that is stuck is 50 % off.
    for (int count : ones) EXPECT_NEAR(count, 50000, 950) << radius;
  }
}

TEST(BallNoiseTest, AddToAddsASampleAndSaturates) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const BallNoise noise = BallNoise::Create(100, uint64_t{1} << 60, 1).value();
  int clamped = 0;
  int inside = 0;
  for (int64_t start : {kMin, int64_t{-1}, int64_t{0}, kMax}) {
    std::vector<int64_t> values(100, start);
    SeededBitSource bits(9), again(9);
    noise.AddTo(absl::MakeSpan(values), bits);
    const auto draw = noise.Sample(again);
    for (size_t i = 0; i < values.size(); ++i) {
      const absl::int128 sum = draw[i] + start;
      ASSERT_EQ(values[i], static_cast<int64_t>(std::clamp<absl::int128>(sum, kMin, kMax)));
      ++(sum < kMin || sum > kMax ? clamped : inside);
    }
  }
  EXPECT_GT(clamped, 0);
  EXPECT_GT(inside, 0);
}

TEST(BallNoiseDeathTest, SpanOfTheWrongSizeAborts) {
  const BallNoise noise = BallNoise::Create(2, 5, 1).value();
  SeededBitSource bits(1);
  std::vector<int64_t> three(3);
  EXPECT_DEATH(noise.AddTo(absl::MakeSpan(three), bits), "as many values as dimensions");
}

TEST(BallNoiseTest, Limits) {
  EXPECT_TRUE(BallNoise::Create(100, uint64_t{1} << 40, 1e-6).ok());
  EXPECT_EQ(std::string(BallNoise::Create(0, 1, 1).status().message()),
            "dimension must be at least 1 and at most 67108864, but is 0");
  EXPECT_FALSE(BallNoise::Create(kMaxKNormDimension + 1, 1, 1).ok());
  EXPECT_FALSE(BallNoise::Create(std::numeric_limits<uint64_t>::max(), 1, 1).ok());
  EXPECT_FALSE(BallNoise::Create(1, 0, 1).ok());
  for (double epsilon :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e-300}) {
    EXPECT_FALSE(BallNoise::Create(1, 1, epsilon).ok()) << epsilon;
  }
  // An epsilon so large that all noise rounds to zero is still a law.
  SeededBitSource bits(2);
  EXPECT_EQ(BallNoise::Create(3, 1, 1e300).value().Sample(bits), PrivateVector<absl::int128>(3, 0));
}

}  // namespace
}  // namespace dpkde
