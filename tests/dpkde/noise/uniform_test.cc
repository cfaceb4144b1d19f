#include "dpkde/noise/uniform.h"

#include <cstdint>
#include <vector>

#include "boost/math/distributions/chi_squared.hpp"
#include "gtest/gtest.h"
#include "tests/testing/goodness_of_fit.h"
#include "tests/testing/scripted_bit_source.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {
namespace {

constexpr uint64_t kMax = ~uint64_t{0};

struct Script {
  uint64_t n;
  std::vector<uint64_t> words;
  uint64_t value;
};

// 2^64 mod 3 = 1: low = 0 is drawn again, and only that. For n = 2^63 + 1, 2^64 mod n = 2^63 − 1.
const Script kScripts[] = {
    {1, {0}, 0},
    {1, {kMax}, 0},
    {2, {0}, 0},  // low = 0 < n, but 2^64 mod 2 = 0
    {2, {uint64_t{1} << 63}, 1},
    {3, {0, 0, kMax}, 2},
    {3, {1}, 0},
    {3, {0x5555555555555555}, 0},
    {3, {0x5555555555555556}, 1},
    {uint64_t{1} << 63, {kMax}, (uint64_t{1} << 63) - 1},
    {(uint64_t{1} << 63) + 1, {0, kMax}, uint64_t{1} << 63},
    {kMax, {0, 1}, 0},  // 2^64 mod n = 1
    {kMax, {kMax}, kMax - 1},
};

TEST(UniformTest, FollowsTheScript) {
  for (const Script& script : kScripts) {
    ScriptedBitSource bits(script.words);
    EXPECT_EQ(Uniform(script.n, bits), script.value) << script.n;
    EXPECT_TRUE(bits.exhausted()) << script.n;
  }
}

// Chi-square of 2e5 draws in `bins` equal bins.
double PValue(uint64_t n, uint64_t bins, bool biased) {
  constexpr int kDraws = 200000;
  SeededBitSource bits(n);
  std::vector<double> observed(bins, 0.0);
  for (int i = 0; i < kDraws; ++i) {
    // The control: multiply and shift without rejection.
    const uint64_t value =
        biased ? static_cast<uint64_t>((static_cast<unsigned __int128>(bits.NextWord()) * n) >> 64) : Uniform(n, bits);
    EXPECT_LT(value, n);
    ++observed[value / (n / bins)];
  }
  const double expected = kDraws / static_cast<double>(bins);
  double statistic = 0;
  for (double count : observed) statistic += (count - expected) * (count - expected) / expected;
  return boost::math::cdf(boost::math::complement(boost::math::chi_squared(bins - 1.0), statistic));
}

TEST(UniformTest, IsUniform) {
  EXPECT_GT(PValue(6, 6, false), kRejectionLevel);
  EXPECT_GT(PValue(100, 100, false), kRejectionLevel);
  EXPECT_GT(PValue(uint64_t{1} << 40, 64, false), kRejectionLevel);
  // n = 3·2^62: rejection matters most, a third of the values twice as likely without it, spread evenly.
  EXPECT_GT(PValue(uint64_t{3} << 62, 3, false), kRejectionLevel);
}

// Without rejection every third value of n = 3·2^62 is twice as likely as the others.
TEST(UniformTest, RemaindersAreUniformWhereRejectionMatters) {
  const uint64_t n = uint64_t{3} << 62;
  for (bool biased : {false, true}) {
    SeededBitSource bits(3);
    double counts[3] = {};
    constexpr int kDraws = 200000;
    for (int i = 0; i < kDraws; ++i) {
      const uint64_t value = biased ? static_cast<uint64_t>((static_cast<unsigned __int128>(bits.NextWord()) * n) >> 64)
                                    : Uniform(n, bits);
      ++counts[value % 3];
    }
    double statistic = 0;
    for (double count : counts) statistic += (count - kDraws / 3.0) * (count - kDraws / 3.0) / (kDraws / 3.0);
    const double p = boost::math::cdf(boost::math::complement(boost::math::chi_squared(2.0), statistic));
    if (biased) {
      EXPECT_LT(p, kRejectionLevel);
    } else {
      EXPECT_GT(p, kRejectionLevel);
    }
  }
}

TEST(UniformDeathTest, ZeroIsRefused) {
  ScriptedBitSource bits({0});
  EXPECT_DEATH(Uniform(0, bits), "n must be at least 1");
}

}  // namespace
}  // namespace dpkde
