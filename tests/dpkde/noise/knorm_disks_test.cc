#include "dpkde/noise/knorm_disks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/types/span.h"
#include "boost/math/distributions/gamma.hpp"
#include "gtest/gtest.h"
#include "tests/dpkde/noise/knorm_testing.h"
#include "tests/testing/goodness_of_fit.h"
#include "tests/testing/scripted_bit_source.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {
namespace {

constexpr uint64_t kUnit = uint64_t{1} << 20;

// ‖z‖_K; the last coordinate of an odd number is the count.
double KNorm(absl::Span<const double> z, double modulus, double count_bound) {
  double norm = 0;
  for (size_t k = 0; k + 1 < z.size(); k += 2) norm = std::max(norm, std::hypot(z[k], z[k + 1]) / modulus);
  return z.size() % 2 == 0 ? norm : std::max(norm, std::abs(z.back()) / count_bound);
}

std::vector<double> ToDoubles(const PrivateVector<absl::int128>& draw) {
  std::vector<double> doubles;
  for (absl::int128 value : draw) doubles.push_back(static_cast<double>(value));
  return doubles;
}

double GammaCdf(double shape, double x) {
  return x <= 0 ? 0 : boost::math::cdf(boost::math::gamma_distribution<double>(shape), x);
}

// epsilon·‖draw‖_K of many draws, in units of 1e-12.
constexpr double kGrid = 1e12;
std::vector<absl::int128> Norms(const DiskProductNoise& noise, double modulus, double count_bound, double epsilon,
                                size_t count, uint64_t seed) {
  SeededBitSource bits(seed);
  std::vector<absl::int128> norms;
  while (norms.size() < count) {
    const double norm = KNorm(ToDoubles(noise.Sample(bits)), modulus, count_bound);
    norms.push_back(static_cast<absl::int128>(std::round(epsilon * norm * kGrid)));
  }
  return norms;
}

// ‖z‖_K ~ Gamma(d, 1/epsilon). At modulus 2^62 the first words never decide, so that this tests extension as well.
// Power: 2e4 draws, critical distance 0.019; the shape d + 1 is 0.035 away at d = 129, the scale 0.9 at d = 2 0.05, and
// both more elsewhere.
TEST(DiskProductNoiseTest, NormHasAGammaLaw) {
  constexpr size_t kDraws = 20000;
  const double critical = KolmogorovSmirnovCriticalDistance(kDraws, kRejectionLevel);
  for (uint64_t pairs : {1, 2, 64}) {
    for (bool count : {false, true}) {
      for (uint64_t modulus : {kUnit, uint64_t{1} << 62}) {
        const double epsilon = modulus == kUnit ? 0.1 : 1.0;
        const uint64_t count_bound = modulus / 2 + 1;
        const DiskProductNoise noise =
            count ? DiskProductNoise::CreateWithCount(pairs, modulus, count_bound, epsilon).value()
                  : DiskProductNoise::Create(pairs, modulus, epsilon).value();
        const std::vector<absl::int128> norms = Norms(noise, static_cast<double>(modulus),
                                                      static_cast<double>(count_bound), epsilon, kDraws, pairs + count);
        const double d = static_cast<double>(noise.dimension());
        const auto distance = [&](double shape, double scale) {
          return KolmogorovSmirnovDistance(norms, scale * kGrid, [shape](double x) { return GammaCdf(shape, x); });
        };
        EXPECT_LT(distance(d, 1), critical) << pairs << count << modulus;
        EXPECT_GT(distance(d + 1, 1), critical) << pairs << count << modulus;
        EXPECT_GT(distance(d, 0.9), critical) << pairs << count << modulus;
      }
    }
  }
}

// E[r^4]/E[r^2]^2.
double RadiusKurtosis(double d) { return (d + 3) * (d + 4) / ((d + 1) * (d + 2)); }

TEST(DiskProductNoiseTest, Moments) {
  for (uint64_t pairs : {1, 3, 16}) {
    const double epsilon = 0.5;
    const DiskProductNoise noise = DiskProductNoise::CreateWithCount(pairs, kUnit, 2 * kUnit, epsilon).value();
    const double d = static_cast<double>(noise.dimension());
    const double variance = noise.PairVariance();
    const double count_variance = noise.CountVariance();
    // The closed forms of the design, m pairs with n.
    const double m = static_cast<double>(pairs);
    const double t = static_cast<double>(kUnit) / epsilon;
    EXPECT_NEAR(variance / ((2 * m + 2) * (2 * m + 3) / 4 * t * t), 1, 1e-9);
    EXPECT_NEAR(count_variance / ((2 * m + 2) * (2 * m + 3) / 3 * 4 * t * t), 1, 1e-9);
    Mean cosine, sine, cosine_square, sine_square, cosine_fourth, count_square, product, square_product;
    SeededBitSource bits(pairs);
    for (int i = 0; i < 300000; ++i) {
      const std::vector<double> z = ToDoubles(noise.Sample(bits));
      const double c = z[0] / std::sqrt(variance);
      const double s = z[1] / std::sqrt(variance);
      const double n = z.back() / std::sqrt(count_variance);
      cosine.Add(c);
      sine.Add(s);
      cosine_square.Add(c * c);
      sine_square.Add(s * s);
      cosine_fourth.Add(c * c * c * c);
      count_square.Add(n * n);
      product.Add(c * s);
      square_product.Add(c * c * n * n);
    }
    EXPECT_LT(cosine.ErrorsFrom(0), 6);
    EXPECT_LT(sine.ErrorsFrom(0), 6);
    EXPECT_LT(product.ErrorsFrom(0), 6);
    EXPECT_LT(cosine_square.ErrorsFrom(1), 6);
    EXPECT_LT(sine_square.ErrorsFrom(1), 6);
    EXPECT_LT(count_square.ErrorsFrom(1), 6);
    // E[x^4] = 1/8 in the disk; one radius for all coordinates.
    EXPECT_LT(cosine_fourth.ErrorsFrom(2 * RadiusKurtosis(d)), 6);
    EXPECT_LT(square_product.ErrorsFrom(RadiusKurtosis(d)), 6);
    // Controls: 3 % of the variance; E[x^4] of an interval; independent radii (1.105 is expected at d = 33).
    EXPECT_GT(cosine_square.ErrorsFrom(1.03), 6);
    EXPECT_GT(count_square.ErrorsFrom(1.03), 6);
    EXPECT_GT(cosine_fourth.ErrorsFrom(1.8 * RadiusKurtosis(d)), 6);
    EXPECT_GT(square_product.ErrorsFrom(1), 6);
  }
}

TEST(DiskProductNoiseTest, VarianceWithoutCount) {
  for (uint64_t pairs : {1, 2, 64, 2048}) {
    const DiskProductNoise noise = DiskProductNoise::Create(pairs, kUnit, 2).value();
    const double m = static_cast<double>(pairs);
    const double t = static_cast<double>(kUnit) / 2;
    EXPECT_NEAR(noise.PairVariance() / ((m + 0.5) * (m + 1) * t * t), 1, 1e-9);
    EXPECT_EQ(noise.CountVariance(), 0);
  }
  // 40 vectors of 2,048 pairs. The radius is common: its square has a relative standard deviation of 2/sqrt(d) = 3.1 %
  // a vector, 0.5 % over 40, and the coordinates themselves add 0.3 %.
  const DiskProductNoise noise = DiskProductNoise::Create(2048, kUnit, 1).value();
  SeededBitSource bits(4);
  double square = 0;
  for (int i = 0; i < 40; ++i) {
    for (absl::int128 z : noise.Sample(bits)) square += static_cast<double>(z) * static_cast<double>(z) / (40 * 4096);
  }
  EXPECT_NEAR(square / noise.PairVariance(), 1, 0.035);
  EXPECT_GT(std::abs(square / (1.1 * noise.PairVariance()) - 1), 0.035);
}

// At the scale of the grid itself rounding matters: 1/12 more, up to 1e-3 of the variance, see the header.
TEST(DiskProductNoiseTest, VarianceOfCoarseNoise) {
  const DiskProductNoise noise = DiskProductNoise::Create(1, 1, 1).value();
  SeededBitSource bits(5);
  Mean square;
  for (int i = 0; i < 1000000; ++i) {
    const auto z = noise.Sample(bits);
    square.Add(static_cast<double>(z[0]) * static_cast<double>(z[0]));
  }
  EXPECT_LT(square.ErrorsFrom(noise.PairVariance()), 6);
  EXPECT_GT(square.ErrorsFrom(noise.PairVariance() - 1.0 / 12), 6);
}

double AngleCdf(double turn) { return std::clamp(turn, 0.0, 1.0); }

TEST(DiskProductNoiseTest, AnglesAreUniform) {
  constexpr size_t kDraws = 100000;
  const double critical = KolmogorovSmirnovCriticalDistance(kDraws, kRejectionLevel);
  const DiskProductNoise noise = DiskProductNoise::Create(2, kUnit, 1).value();
  SeededBitSource bits(6);
  std::vector<absl::int128> angles;
  std::vector<absl::int128> independent;  // the control: a square in place of the disk
  double last = 1;
  while (angles.size() < kDraws) {
    const std::vector<double> z = ToDoubles(noise.Sample(bits));
    const auto turn = [](double y, double x) { return (std::atan2(y, x) / M_PI + 1) / 2; };
    angles.push_back(static_cast<absl::int128>(turn(z[3], z[2]) * kGrid));
    const double x = static_cast<double>(static_cast<int64_t>(bits.NextWord()));
    independent.push_back(static_cast<absl::int128>(turn(last, x) * kGrid));
    last = static_cast<double>(static_cast<int64_t>(bits.NextWord()));
  }
  EXPECT_LT(KolmogorovSmirnovDistance(angles, kGrid, AngleCdf), critical);
  EXPECT_GT(KolmogorovSmirnovDistance(independent, kGrid, AngleCdf), critical);
}

// The whole sampler again, in long double and straight from the words: the same integers wherever long double can tell.
// Nothing is extended here: that takes less than 2^-30 of the draws at this scale.
TEST(DiskProductNoiseTest, AgreesWithLongDoubleOnTheSameWords) {
  constexpr uint64_t kPairs = 3;
  constexpr double kEpsilon = 0.3;
  const DiskProductNoise noise = DiskProductNoise::CreateWithCount(kPairs, kUnit, kUnit + 7, kEpsilon).value();
  SeededBitSource bits(8);
  SeededBitSource words(8);
  const auto uniform = [&] { return std::ldexp(static_cast<long double>(words.NextWord()) + 0.5L, -64); };
  const auto exponential = [&] {
    for (int integer = 0;; ++integer) {
      const long double x = uniform();
      int run = 0;
      for (long double last = x, next = uniform(); next < last; last = next, next = uniform()) ++run;
      if (run % 2 == 0) return integer + x;
    }
  };
  int compared = 0;
  for (int i = 0; i < 20000; ++i) {
    long double radius = 0;
    for (uint64_t j = 0; j < 2 * kPairs + 2; ++j) radius += exponential();
    std::vector<long double> z;
    while (z.size() < 2 * kPairs) {
      const long double x = uniform();
      const long double y = uniform();
      if (x * x + y * y >= 1) continue;
      const uint64_t signs = words.NextWord();
      z.push_back((signs & 1 ? -x : x) * radius * kUnit / kEpsilon);
      z.push_back((signs & 2 ? -y : y) * radius * kUnit / kEpsilon);
    }
    const long double n = uniform();
    z.push_back((words.NextWord() & 1 ? -n : n) * radius * (kUnit + 7) / kEpsilon);
    const auto draw = noise.Sample(bits);
    ASSERT_EQ(draw.size(), z.size());
    for (size_t j = 0; j < z.size(); ++j) {
      const long double distance_to_half = std::abs(z[j] - (std::floor(z[j]) + 0.5L));
      if (distance_to_half < 1e-9L) continue;
      ASSERT_EQ(draw[j], static_cast<absl::int128>(std::round(z[j])));
      ++compared;
    }
  }
  EXPECT_GT(compared, 20000 * 7 - 10);
  EXPECT_EQ(bits.NextWord(), words.NextWord());
}

// Points so near the circle that the first words do not tell.
TEST(DiskProductNoiseTest, TheCircleIsDecidedByFurtherWords) {
  constexpr uint64_t kOnes = ~uint64_t{0};
  constexpr uint64_t kQuarter = uint64_t{1} << 62;
  const DiskProductNoise noise = DiskProductNoise::Create(1, 1000, 1).value();
  const std::vector<uint64_t> radius = {kQuarter, kOnes, kQuarter, kOnes, kQuarter, kOnes};  // 3/4
  const auto sample = [&](std::vector<uint64_t> rest) {
    std::vector<uint64_t> words = radius;
    words.insert(words.end(), rest.begin(), rest.end());
    ScriptedBitSource bits(words);
    const auto draw = noise.Sample(bits);
    EXPECT_TRUE(bits.exhausted());
    return draw;
  };
  // x = 1 − 2^-64 + .., y = 5·2^-128: inside, after a second word of each.
  EXPECT_EQ(sample({kOnes, 0, 0, 5, 2}), (PrivateVector<absl::int128>{750, 0}));
  // y² = 2^-62 nearly, which 63 bits do not see but 64 do: outside, and drawn again, (1/4, 1/4 + 1/8).
  EXPECT_EQ(sample({kOnes, (uint64_t{1} << 33) - (1 << 20), kQuarter, kQuarter + kQuarter / 2, 1}),
            (PrivateVector<absl::int128>{-188, 281}));
}

// trust.md, 8: events where the log likelihood ratio is nearly epsilon = 1, fixed beforehand. Noise that is right stays
// below 1 within 4 standard errors (0.01 each), and with 0.9 times the noise the ratio is near 1.1, which is seen.
struct EventCase {
  uint64_t modulus;
  uint64_t count_bound;  // 0 is none
  std::vector<int64_t> shift;
  double threshold;
};

TEST(DiskProductNoiseTest, EventRatio) {
  const int64_t unit = static_cast<int64_t>(kUnit);
  const EventCase cases[] = {{kUnit, 0, {unit, 0}, 0.97},
                             {5 * kUnit, 0, {3 * unit, -4 * unit}, 0.97},
                             {5, 0, {3, 4}, 0.97},  // a grid nearly as coarse as the noise
                             {kUnit, 3 * kUnit, {unit, 0, -3 * unit}, 0.97}};
  for (const EventCase& c : cases) {
    const auto estimate = [&](double epsilon, uint64_t seed) {
      const DiskProductNoise noise =
          c.count_bound == 0 ? DiskProductNoise::Create(1, c.modulus, epsilon).value()
                             : DiskProductNoise::CreateWithCount(1, c.modulus, c.count_bound, epsilon).value();
      SeededBitSource bits(seed);
      return EstimateEventRatio(
          c.shift, c.threshold,
          [&](absl::Span<const double> z) {
            return KNorm(z, static_cast<double>(c.modulus), static_cast<double>(c.count_bound));
          },
          [&] { return noise.Sample(bits); });
    };
    const EventRatio right = estimate(1, 21);
    EXPECT_LT(right.log_ratio, 1 + 4 * right.standard_error) << c.modulus;
    EXPECT_GT(right.log_ratio, 0.95 - 4 * right.standard_error) << c.modulus;
    const EventRatio too_little = estimate(1 / 0.9, 22);
    EXPECT_GT(too_little.log_ratio, 1 + 4 * too_little.standard_error) << c.modulus;
  }
}

// Neighbours reach the same outputs: every residue, odd and even, at every scale, so that no low bit tells anything.
TEST(DiskProductNoiseTest, LowBitsAreFair) {
  for (uint64_t modulus : {kUnit, (uint64_t{1} << 40) + 1, uint64_t{1} << 62}) {
    const DiskProductNoise noise = DiskProductNoise::Create(500, modulus, 1).value();
    SeededBitSource bits(modulus);
    std::vector<int> ones(16, 0);
    for (int i = 0; i < 100; ++i) {
      for (absl::int128 z : noise.Sample(bits)) {
        for (int bit = 0; bit < 16; ++bit) ones[bit] += (absl::Int128Low64(z) >> bit) & 1;
      }
    }
    // 6 standard errors of 1e5 coordinates; a bit that is stuck is 50 % off.
    for (int count : ones) EXPECT_NEAR(count, 50000, 950) << modulus;
  }
}

TEST(DiskProductNoiseTest, AddToAddsASampleAndSaturates) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr uint64_t kPairs = 100;
  const DiskProductNoise noise = DiskProductNoise::CreateWithCount(kPairs, uint64_t{1} << 57, 1 << 20, 1).value();
  const DiskProductNoise without = DiskProductNoise::Create(kPairs, 1 << 20, 1).value();
  int clamped = 0;
  for (int64_t start : {kMin, int64_t{-1}, int64_t{0}, kMax}) {
    std::vector<int64_t> cosines(kPairs, start), sines(kPairs, start);
    int64_t count = start;
    SeededBitSource bits(9), again(9);
    noise.AddTo(absl::MakeSpan(cosines), absl::MakeSpan(sines), count, bits);
    const auto draw = noise.Sample(again);
    const auto expected = [&](absl::int128 z) {
      clamped += z + start < kMin || z + start > kMax ? 1 : 0;
      return static_cast<int64_t>(std::clamp<absl::int128>(z + start, kMin, kMax));
    };
    for (uint64_t k = 0; k < kPairs; ++k) {
      ASSERT_EQ(cosines[k], expected(draw[2 * k]));
      ASSERT_EQ(sines[k], expected(draw[2 * k + 1]));
    }
    EXPECT_EQ(count, expected(draw.back()));
    without.AddTo(absl::MakeSpan(cosines), absl::MakeSpan(sines), bits);
  }
  EXPECT_GT(clamped, 0);
}

TEST(DiskProductNoiseDeathTest, SpansOfTheWrongKindAbort) {
  const DiskProductNoise with = DiskProductNoise::CreateWithCount(2, 5, 5, 1).value();
  const DiskProductNoise without = DiskProductNoise::Create(2, 5, 1).value();
  SeededBitSource bits(1);
  std::vector<int64_t> two(2), three(3);
  int64_t count = 0;
  EXPECT_DEATH(with.AddTo(absl::MakeSpan(two), absl::MakeSpan(two), bits), "has a count, and none was given");
  EXPECT_DEATH(without.AddTo(absl::MakeSpan(two), absl::MakeSpan(two), count, bits), "has no count");
  EXPECT_DEATH(without.AddTo(absl::MakeSpan(two), absl::MakeSpan(three), bits), "one cosine and one sine a pair");
  EXPECT_DEATH(without.AddTo(absl::MakeSpan(three), absl::MakeSpan(two), bits), "one cosine and one sine a pair");
}

TEST(DiskProductNoiseTest, Limits) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(DiskProductNoise::Create(4096, uint64_t{1} << 40, 1e-6).ok());
  EXPECT_EQ(std::string(DiskProductNoise::Create(0, 1, 1).status().message()),
            "pairs must be at least 1 and at most 33554431, but is 0");
  EXPECT_FALSE(DiskProductNoise::Create(kMaxKNormDimension / 2, 1, 1).ok());
  EXPECT_FALSE(DiskProductNoise::Create(std::numeric_limits<uint64_t>::max(), 1, 1).ok());
  EXPECT_FALSE(DiskProductNoise::Create(1, 0, 1).ok());
  EXPECT_FALSE(DiskProductNoise::CreateWithCount(1, 1, 0, 1).ok());
  EXPECT_FALSE(DiskProductNoise::CreateWithCount(1, 1, uint64_t{1} << 62, 0.5).ok());
  for (double epsilon : {0.0, -1.0, nan, std::numeric_limits<double>::infinity(), 1e-300}) {
    EXPECT_FALSE(DiskProductNoise::Create(1, 1, epsilon).ok()) << epsilon;
    EXPECT_FALSE(DiskProductNoise::CreateWithCount(1, 1, 1, epsilon).ok()) << epsilon;
  }
  // An epsilon so large that all noise rounds to zero is still a law.
  SeededBitSource bits(2);
  EXPECT_EQ(DiskProductNoise::Create(1, 1, 1e300).value().Sample(bits), PrivateVector<absl::int128>(2, 0));
}

}  // namespace
}  // namespace dpkde
