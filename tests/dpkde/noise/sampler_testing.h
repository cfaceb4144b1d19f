#ifndef TESTS_DPKDE_NOISE_SAMPLER_TESTING_H_
#define TESTS_DPKDE_NOISE_SAMPLER_TESTING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/types/span.h"
#include "dpkde/noise/bit_source.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {

template <typename Law>
std::vector<absl::int128> DrawNoise(uint64_t scale, size_t count, uint64_t seed) {
  SeededBitSource bits(seed);
  const Law law = Law::Create(scale).value();
  std::vector<absl::int128> draws(count);
  for (absl::int128& draw : draws) draw = law.Sample(bits);
  return draws;
}

// Mean and second moment about zero of draws/scale, in standard errors from 0 and `variance` (of the draws), for a law
// of this kurtosis.
struct MomentErrors {
  double mean;
  double variance;
};
inline MomentErrors StandardErrorsOfMoments(absl::Span<const absl::int128> draws, double scale, double variance,
                                            double kurtosis) {
  double sum = 0;
  double squares = 0;
  for (absl::int128 draw : draws) {
    const double z = static_cast<double>(draw) / scale;
    sum += z;
    squares += z * z;
  }
  const double n = static_cast<double>(draws.size());
  const double expected = variance / (scale * scale);
  return {std::abs(sum / n) / std::sqrt(expected / n),
          std::abs(squares / n - expected) / (expected * std::sqrt((kurtosis - 1) / n))};
}

// AddTo equals Sample on the same words, in 128 bits, clamped; at a scale of 2^62 both ends are met.
template <typename Law>
void ExpectAddToSaturates() {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr size_t kCount = 20000;
  const Law law = Law::Create(uint64_t{1} << 62).value();
  for (int64_t start : {kMin, int64_t{-1}, int64_t{0}, int64_t{1}, kMax}) {
    std::vector<int64_t> values(kCount, start);
    SeededBitSource bits(9);
    law.AddTo(absl::MakeSpan(values), bits);
    const std::vector<absl::int128> noise = DrawNoise<Law>(uint64_t{1} << 62, kCount, 9);
    size_t low = 0;
    size_t high = 0;
    size_t inside = 0;
    for (size_t i = 0; i < kCount; ++i) {
      const absl::int128 sum = noise[i] + start;
      ASSERT_EQ(values[i], static_cast<int64_t>(std::clamp<absl::int128>(sum, kMin, kMax)));
      if (sum < kMin) ++low;
      if (sum > kMax) ++high;
      if (sum >= kMin && sum <= kMax) ++inside;
    }
    EXPECT_GT(inside, 0u);
    if (start <= 1) {
      EXPECT_GT(low, 0u);
    }
    if (start >= -1) {
      EXPECT_GT(high, 0u);
    }
  }
}

// The mean number of words that a draw uses.
template <typename Law>
double WordsPerDraw(uint64_t scale) {
  class CountingBitSource final : public BitSource {
   public:
    CountingBitSource() : BitSource(1) {}
    size_t used = 0;

   private:
    void Refill(absl::Span<uint64_t> words) override {
      words[0] = source_.NextWord();
      ++used;
    }
    SeededBitSource source_{11};
  };
  constexpr int kDraws = 100000;
  CountingBitSource bits;
  const Law law = Law::Create(scale).value();
  for (int i = 0; i < kDraws; ++i) law.Sample(bits);
  return static_cast<double>(bits.used) / kDraws;
}

}  // namespace dpkde

#endif  // TESTS_DPKDE_NOISE_SAMPLER_TESTING_H_
