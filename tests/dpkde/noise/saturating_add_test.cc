#include "dpkde/noise/saturating_add.h"

#include <cstdint>
#include <limits>

#include "absl/numeric/int128.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr absl::int128 kHuge = absl::MakeInt128(int64_t{1} << 62, 0);  // 2^126

TEST(SaturatingAddTest, ClampsAndNeverWraps) {
  const struct {
    int64_t value;
    absl::int128 noise;
    int64_t sum;
  } cases[] = {
      {0, 0, 0},
      {1, -2, -1},
      {kMax, 0, kMax},
      {kMax, 1, kMax},
      {kMax, -1, kMax - 1},
      {kMax - 1, 1, kMax},
      {kMax - 1, 2, kMax},
      {kMin, 0, kMin},
      {kMin, -1, kMin},
      {kMin, 1, kMin + 1},
      {kMin, absl::int128(kMax) + 1, 0},
      {kMax, absl::int128(kMin) * 2, kMin + 0},  // 2^63 − 1 − 2^64 = −2^63 − 1, clamped
      {kMax, absl::int128(kMin) * 2 + 1, kMin},  // −2^63 exactly
      {kMax, absl::int128(kMin) * 2 + 2, kMin + 1},
      {kMax, kHuge, kMax},
      {kMin, kHuge, kMax},
      {kMax, -kHuge, kMin},
      {kMin, -kHuge, kMin},
  };
  for (const auto& c : cases) EXPECT_EQ(SaturatingAdd(c.value, c.noise), c.sum) << c.value << " + " << c.noise;
}

}  // namespace
}  // namespace dpkde
