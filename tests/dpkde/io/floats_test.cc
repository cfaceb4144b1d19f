#include "dpkde/io/floats.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace dpkde {
namespace {

// From the definition of the format: 1 bit sign, 5 bits exponent, 10 bits fraction.
float HalfByDefinition(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  float magnitude;
  if (exponent == 31) {
    magnitude = fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  }
  return std::copysign(magnitude, half >> 15 ? -1.0f : 1.0f);
}

TEST(HalfToFloatTest, IsExactForEveryHalf) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  // Once by eights and once one at a time.
  for (const size_t step : {size_t{65536}, size_t{1}}) {
    std::vector<float> floats(halves.size());
    for (size_t i = 0; i < halves.size(); i += step) {
      HalfToFloat(reinterpret_cast<const char*>(&halves[i]), step, &floats[i]);
    }
    for (size_t i = 0; i < halves.size(); ++i) {
      const float expected = HalfByDefinition(halves[i]);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(floats[i])) << i;
      } else {
        ASSERT_EQ(std::memcmp(&floats[i], &expected, sizeof(expected)), 0) << i;
      }
    }
  }
}

TEST(HalfToFloatTest, AcceptsAnyAddress) {
  alignas(16) char bytes[1 + 18] = {};
  const uint16_t one = 0x3c00;
  for (int i = 0; i < 9; ++i) std::memcpy(bytes + 1 + 2 * i, &one, sizeof(one));
  float floats[9] = {};
  HalfToFloat(bytes + 1, 9, floats);
  for (const float value : floats) EXPECT_EQ(value, 1);
}

TEST(FirstNonFiniteTest, FindsTheFirstWhereverItIs) {
  const float bad_values[] = {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                              std::numeric_limits<float>::signaling_NaN(), std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity()};
  for (const size_t count : {1, 7, 31, 32, 33, 64, 100}) {
    for (size_t first = 0; first < count; ++first) {
      for (const float bad : bad_values) {
        std::vector<float> values(count, std::numeric_limits<float>::max());
        values[first] = bad;
        values.back() = first + 1 < count ? bad : values.back();
        ASSERT_EQ(FirstNonFinite(values.data(), count), first) << count;
      }
    }
  }
}

TEST(FirstNonFiniteTest, FindsNothingAmongFiniteValues) {
  EXPECT_EQ(FirstNonFinite(nullptr, 0), 0);
  std::vector<float> values;
  for (int i = 0; i < 30; ++i) {
    values.insert(values.end(), {0.0f, -0.0f, std::numeric_limits<float>::denorm_min(),
                                 -std::numeric_limits<float>::max(), std::numeric_limits<float>::max()});
  }
  for (size_t count = 0; count <= values.size(); ++count) {
    EXPECT_EQ(FirstNonFinite(values.data(), count), count);
  }
}

}  // namespace
}  // namespace dpkde
