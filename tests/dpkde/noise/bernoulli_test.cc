#include "dpkde/noise/bernoulli.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "boost/multiprecision/cpp_int.hpp"
#include "gtest/gtest.h"
#include "tests/testing/scripted_bit_source.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {
namespace {

using BigInt = boost::multiprecision::cpp_int;
using absl::uint128;

constexpr uint64_t kHalf = uint64_t{1} << 63;
constexpr uint64_t kMax = ~uint64_t{0};
constexpr uint64_t kThird = 0x5555555555555555;  // floor(2^64/3)
const uint128 kMaxDenominator = uint128(1) << 127;

struct Script {
  uint64_t p;
  uint64_t q;
  std::vector<uint64_t> words;  // all of them are to be used
  bool heads;
};

const Script kScripts[] = {
    {0, 1, {0}, false},
    {0, kMax, {0}, false},
    {1, 1, {kMax}, true},
    {kMax, kMax, {kMax}, true},
    {1, 2, {kHalf - 1}, true},
    {1, 2, {kHalf}, false},
    // Ties: 1/3 is 0.5555.. in base 16, and every tie leaves 1/3 again.
    {1, 3, {kThird - 1}, true},
    {1, 3, {kThird + 1}, false},
    {1, 3, {kThird, kThird - 1}, true},
    {1, 3, {kThird, kThird + 1}, false},
    {1, 3, {kThird, kThird, kThird, kThird, 0}, true},
    {1, 3, {kThird, kThird, kThird, kThird, kMax}, false},
    // 2/3 leaves 2/3: 2·2^64 − 3·floor(2^65/3) = 2.
    {2, 3, {2 * kThird, 2 * kThird, 2 * kThird - 1}, true},
    {2, 3, {2 * kThird, 2 * kThird, 2 * kThird + 1}, false},
    // In base 2^64, 1/(2^64−1) is 0.111.. and its complement has 2^64−2 for every digit.
    {1, kMax, {0}, true},
    {1, kMax, {1, 0}, true},
    {1, kMax, {1, 1, 2}, false},
    {1, kMax, {2}, false},
    {kMax - 1, kMax, {kMax}, false},
    {kMax - 1, kMax, {kMax - 1, kMax - 1, kMax}, false},
    {kMax - 1, kMax, {kMax - 1, kMax - 2}, true},
};

TEST(BernoulliTest, FollowsTheScript) {
  for (const Script& script : kScripts) {
    ScriptedBitSource bits(script.words);
    EXPECT_EQ(Bernoulli(script.p, script.q, bits), script.heads) << script.p << "/" << script.q;
    EXPECT_TRUE(bits.exhausted()) << script.p << "/" << script.q << ": " << bits.used();
    ScriptedBitSource bits128(script.words);
    EXPECT_EQ(Bernoulli128(script.p, script.q, bits128), script.heads) << script.p << "/" << script.q;
    EXPECT_TRUE(bits128.exhausted()) << script.p << "/" << script.q << ": " << bits128.used();
  }
}

BigInt Big(uint128 x) { return (BigInt(absl::Uint128High64(x)) << 64) + absl::Uint128Low64(x); }

// The definition in unbounded integers: the outcome and the number of words after which it is certain.
std::pair<bool, size_t> Definition(uint128 p, uint128 q, const std::vector<uint64_t>& words) {
  BigInt digits = 0;
  for (size_t used = 1;; ++used) {
    digits = (digits << 64) + words[used - 1];
    const BigInt threshold = Big(p) << (64 * used);
    if (digits * Big(q) >= threshold) return {false, used};
    if ((digits + 1) * Big(q) <= threshold) return {true, used};
  }
}

// Random p/q of all sizes; words equal to the digits of p/q, to force ties, up to a last one that differs.
TEST(BernoulliTest, AgreesWithTheDefinitionInUnboundedIntegers) {
  SeededBitSource random(1);
  size_t longest = 0;
  for (int i = 0; i < 200000; ++i) {
    const bool wide = i % 2 == 1;
    // Up to 127 and up to 64 bits.
    uint128 q = wide ? absl::MakeUint128(random.NextWord(), random.NextWord()) >> (1 + random.NextWord() % 127)
                     : uint128(random.NextWord() >> random.NextWord() % 64);
    if (i % 7 == 0) q = wide ? kMaxDenominator : uint128(kMax);
    if (q == 0) q = 1;
    uint128 p = absl::MakeUint128(random.NextWord(), random.NextWord()) % (q + 1);
    if (i % 5 == 0) p = q - std::min<uint128>(q, random.NextWord() % 3);
    if (i % 11 == 0) p = std::min<uint128>(q, random.NextWord() % 3);
    std::vector<uint64_t> words;
    BigInt rest = Big(p);
    for (uint64_t ties = random.NextWord() % 4; ties > 0; --ties) {
      rest <<= 64;
      const BigInt digit = rest / Big(q);
      rest %= Big(q);
      if (digit > kMax) break;
      words.push_back(static_cast<uint64_t>(digit) + (random.NextWord() % 8 == 0 ? random.NextWord() % 3 - 1 : 0));
    }
    for (int j = 0; j < 4; ++j) words.push_back(random.NextWord());
    const std::pair<bool, size_t> expected = Definition(p, q, words);
    longest = std::max(longest, expected.second);
    words.resize(expected.second);
    if (!wide) {
      ScriptedBitSource bits(words);
      ASSERT_EQ(Bernoulli(static_cast<uint64_t>(p), static_cast<uint64_t>(q), bits), expected.first) << p << "/" << q;
      ASSERT_TRUE(bits.exhausted()) << p << "/" << q;
    }
    ScriptedBitSource bits(words);
    ASSERT_EQ(Bernoulli128(p, q, bits), expected.first) << p << "/" << q;
    ASSERT_TRUE(bits.exhausted()) << p << "/" << q;
  }
  EXPECT_GE(longest, 4u);  // ties were met
}

// A coin of `trials` tosses against a probability, in standard errors of that probability.
constexpr int kTrials = 1000000;
template <typename Coin>
int Heads(uint64_t seed, Coin coin) {
  SeededBitSource bits(seed);
  int heads = 0;
  for (int i = 0; i < kTrials; ++i) heads += coin(bits);
  return heads;
}
double StandardErrors(int heads, double probability) {
  return std::abs(heads - kTrials * probability) / std::sqrt(kTrials * probability * (1 - probability));
}

// 6 standard errors of 1e6 tosses; power: at p = 1/2 an error of 0.003 is seen, at 999/1000 one of 0.0002.
TEST(BernoulliTest, Frequencies) {
  const std::pair<uint64_t, uint64_t> cases[] = {{1, 2}, {1, 3}, {2, 3}, {1, 1000}, {999, 1000}, {kMax / 5, kMax}};
  for (const auto& [p, q] : cases) {
    const int heads = Heads(q, [p = p, q = q](BitSource& bits) { return Bernoulli(p, q, bits); });
    const double probability = static_cast<double>(p) / static_cast<double>(q);
    EXPECT_LT(StandardErrors(heads, probability), 6) << p << "/" << q;
    // Negative control: odds raised by half, 10 standard errors away even at 999/1000.
    const double odds = 1.5 * probability / (1 - probability);
    EXPECT_GT(StandardErrors(heads, odds / (1 + odds)), 6) << p << "/" << q;
  }
}

struct ExpCase {
  uint128 numerator;
  uint128 denominator;
  double gamma;
  double control;  // a gamma that must be told apart; power: 6 standard errors of 1e6 tosses
};

const ExpCase kExpCases[] = {
    {1, 1000, 1e-3, 1.3e-3},
    {1, 3, 1.0 / 3, 1.02 / 3},
    {1, 2, 0.5, 0.51},
    {999, 1000, 0.999, 1.01},
    {1, 1, 1, 1.01},
    {3, 2, 1.5, 1.52},
    {7, 3, 7.0 / 3, 2.36},
    {5, 1, 5, 5.1},
    {10, 1, 10, 12},
    // Denominators at which k·denominator leaves 64 and 128 bits, from k = 2 or 3 on.
    {kMax / 2, kMax, 0.5, 0.51},
    {kMax, kMax, 1, 1.01},
    {kMax / 3, kMax / 2, 2.0 / 3, 0.68},
    {kMaxDenominator / 2, kMaxDenominator, 0.5, 0.51},
    {kMaxDenominator, kMaxDenominator, 1, 1.01},
    {kMaxDenominator / 3 * 4, kMaxDenominator, 4.0 / 3, 1.36},
    {(uint128(1) << 100) * 3, (uint128(1) << 100) * 4 + 1, 0.75, 0.765},
    {uint128(1) << 64, (uint128(1) << 64) + 1, 1, 1.01},
};

TEST(BernoulliExpMinusTest, Frequencies) {
  uint64_t seed = 100;
  for (const ExpCase& c : kExpCases) {
    const int heads = Heads(++seed, [&](BitSource& b) { return BernoulliExpMinus(c.numerator, c.denominator, b); });
    EXPECT_LT(StandardErrors(heads, std::exp(-c.gamma)), 6) << c.numerator << "/" << c.denominator;
    EXPECT_GT(StandardErrors(heads, std::exp(-c.control)), 6) << c.numerator << "/" << c.denominator;
    if (c.numerator > c.denominator || c.denominator > kMax) continue;
    const uint64_t n = static_cast<uint64_t>(c.numerator);
    const uint64_t d = static_cast<uint64_t>(c.denominator);
    const int fraction = Heads(++seed, [&](BitSource& b) { return BernoulliExpMinusFraction(n, d, b); });
    EXPECT_LT(StandardErrors(fraction, std::exp(-c.gamma)), 6) << n << "/" << d;
    EXPECT_GT(StandardErrors(fraction, std::exp(-c.control)), 6) << n << "/" << d;
  }
  const int one = Heads(++seed, BernoulliExpMinusOne);
  EXPECT_LT(StandardErrors(one, std::exp(-1)), 6);
  EXPECT_GT(StandardErrors(one, std::exp(-1.01)), 6);
}

// Outcomes whose opposite has probability below 1e-12 in the million tosses.
TEST(BernoulliExpMinusTest, ZeroTinyAndHugeExponents) {
  EXPECT_EQ(Heads(1, [](BitSource& bits) { return BernoulliExpMinus(0, 1, bits); }), kTrials);
  EXPECT_EQ(Heads(2, [](BitSource& bits) { return BernoulliExpMinus(0, kMaxDenominator, bits); }), kTrials);
  EXPECT_EQ(Heads(3, [](BitSource& bits) { return BernoulliExpMinus(1, kMaxDenominator, bits); }), kTrials);
  EXPECT_EQ(Heads(4, [](BitSource& bits) { return BernoulliExpMinus(1, uint128(1) << 62, bits); }), kTrials);
  EXPECT_EQ(Heads(5, [](BitSource& bits) { return BernoulliExpMinus(50, 1, bits); }), 0);
  EXPECT_EQ(Heads(6, [](BitSource& bits) { return BernoulliExpMinus(absl::Uint128Max(), 1, bits); }), 0);
}

TEST(BernoulliExpMinusTest, FollowsTheScript) {
  struct {
    std::vector<uint64_t> words;
    bool heads;
  } cases[] = {
      // exp(−1/2): A_k ~ Bernoulli(1/(2k)); heads if the first tails is at an odd k.
      {{kHalf}, true},
      {{kHalf - 1, kMax}, false},
      {{0, 0, kMax}, true},
      {{0, 0, 0, kMax}, false},
  };
  for (const auto& c : cases) {
    ScriptedBitSource bits(c.words);
    EXPECT_EQ(BernoulliExpMinus(1, 2, bits), c.heads);
    EXPECT_TRUE(bits.exhausted());
    // exp(−1) starts at k = 2 with Bernoulli(1/2), the other parity.
    ScriptedBitSource one(c.words);
    EXPECT_EQ(BernoulliExpMinusOne(one), !c.heads);
    EXPECT_TRUE(one.exhausted());
    // 3/2 = 1 + 1/2: heads of exp(−1), then the rest.
    std::vector<uint64_t> both = {0, kMax};
    both.insert(both.end(), c.words.begin(), c.words.end());
    ScriptedBitSource three_halves(both);
    EXPECT_EQ(BernoulliExpMinus(3, 2, three_halves), c.heads);
    EXPECT_TRUE(three_halves.exhausted());
  }
  // The boundary of A_2 ~ Bernoulli(1/4).
  ScriptedBitSource boundary({kHalf - 1, kHalf / 2});
  EXPECT_FALSE(BernoulliExpMinus(1, 2, boundary));
  EXPECT_TRUE(boundary.exhausted());
  // Tails of exp(−1) end a huge exponent.
  ScriptedBitSource bits({kMax});
  EXPECT_FALSE(BernoulliExpMinus(absl::Uint128Max(), 1, bits));
}

// The means that bernoulli.h states.
TEST(BernoulliExpMinusTest, WordsPerToss) {
  const auto words = [](auto coin) {
    constexpr int kTosses = 100000;
    std::vector<uint64_t> script(10 * kTosses);
    SeededBitSource random(5);
    for (uint64_t& word : script) word = random.NextWord();
    ScriptedBitSource bits(std::move(script));
    for (int i = 0; i < kTosses; ++i) coin(bits);
    return static_cast<double>(bits.used()) / kTosses;
  };
  EXPECT_NEAR(words(BernoulliExpMinusOne), M_E - 1, 0.02);
  EXPECT_NEAR(words([](BitSource& b) { return BernoulliExpMinusFraction(1000, 1000, b); }), M_E, 0.03);
  EXPECT_LE(words([](BitSource& b) { return BernoulliExpMinusFraction(kMax, kMax, b); }), 4.5);
  EXPECT_LE(words([](BitSource& b) { return BernoulliExpMinus(kMaxDenominator, kMaxDenominator, b); }), 5.5);
  EXPECT_LE(words([](BitSource& b) { return BernoulliExpMinus(absl::Uint128Max(), kMaxDenominator, b); }), 5.5);
  EXPECT_LE(words([](BitSource& b) { return BernoulliExpMinus(absl::Uint128Max(), 1, b); }), 5.5);
}

TEST(BernoulliDeathTest, RangesAreChecked) {
  ScriptedBitSource bits({0, 0, 0, 0});
  EXPECT_DEATH(Bernoulli(2, 1, bits), "at least 0 and at most 1");
  EXPECT_DEATH(Bernoulli(0, 0, bits), "at least 0 and at most 1");
  EXPECT_DEATH(Bernoulli128(2, 1, bits), "at least 0 and at most 1");
  EXPECT_DEATH(Bernoulli128(0, 0, bits), "at least 0 and at most 1");
  EXPECT_DEATH(Bernoulli128(1, kMaxDenominator + 1, bits), "at most 2\\^127");
  EXPECT_DEATH(BernoulliExpMinusFraction(2, 1, bits), "at least 0 and at most 1");
  EXPECT_DEATH(BernoulliExpMinusFraction(0, 0, bits), "at least 0 and at most 1");
  EXPECT_DEATH(BernoulliExpMinus(1, 0, bits), "at least 1 and at most 2\\^127");
  EXPECT_DEATH(BernoulliExpMinus(1, kMaxDenominator + 1, bits), "at least 1 and at most 2\\^127");
}

}  // namespace
}  // namespace dpkde
