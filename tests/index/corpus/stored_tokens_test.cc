#include "dpkde/index/corpus/stored_tokens.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;

// Stores and loads again.
std::vector<float> RoundTrip(TokenFormat format, const std::vector<float>& values, size_t dimension) {
  const MatrixView tokens{values.data(), values.size() / dimension, dimension};
  std::string bytes;
  std::vector<float> scales;
  EXPECT_TRUE(StoreTokens(format, tokens, &bytes, &scales).ok());
  EXPECT_EQ(bytes.size(), tokens.rows * TokenStride(format, dimension));
  EXPECT_EQ(scales.size(), format == TokenFormat::kInt8 ? tokens.rows : 0);
  std::vector<float> loaded(values.size());
  LoadTokens({format, dimension, tokens.rows, bytes.data(), scales.data()}, loaded.data());
  return loaded;
}

TEST(StoredTokensTest, Float32IsExact) {
  const std::vector<float> values = {0.1f, -1e30f, 1e-40f, -0.0f, 3, 7};
  EXPECT_EQ(RoundTrip(TokenFormat::kFloat32, values, 3), values);
  EXPECT_EQ(TokenStride(TokenFormat::kFloat32, 3), 12u);
}

TEST(StoredTokensTest, Float16IsWithinItsBound) {
  std::vector<float> values = {0, -0.0f, 1, -65504, 0x1p-24f, 0x1p-26f};
  for (float x = 1e-9f; x < 60000; x *= -1.0317f) values.push_back(x);
  for (const size_t dimension : {1, 3}) {
    values.resize(values.size() / dimension * dimension);
    const std::vector<float> loaded = RoundTrip(TokenFormat::kFloat16, values, dimension);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_LE(std::abs(loaded[i] - values[i]), 0x1p-11 * std::abs(values[i]) + 0x1p-25) << values[i];
    }
  }
  EXPECT_EQ(TokenStride(TokenFormat::kFloat16, 3), 6u);
}

TEST(StoredTokensTest, Float16RefusesWhatDoesNotFit) {
  const std::vector<float> values = {1, 2, 3, 4, 5, -65505};
  std::string bytes = "as before";
  std::vector<float> scales;
  const absl::Status status = StoreTokens(TokenFormat::kFloat16, {values.data(), 2, 3}, &bytes, &scales);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "row 1, column 2 (counting from 0): does not fit into float16");
  EXPECT_EQ(bytes, "as before");
}

TEST(StoredTokensTest, Int8IsWithinItsBound) {
  for (const size_t dimension : {1, 2, 3, 4, 5, 100}) {
    for (const float size : {1.0f, 1e-30f, 3e38f}) {
      std::vector<float> values;
      for (size_t i = 0; i < 7 * dimension; ++i) values.push_back(size * std::sin(static_cast<float>(i * i)));
      const std::vector<float> loaded = RoundTrip(TokenFormat::kInt8, values, dimension);
      for (size_t row = 0; row < 7; ++row) {
        float largest = 0;
        for (size_t i = 0; i < dimension; ++i) largest = std::max(largest, std::abs(values[row * dimension + i]));
        for (size_t i = row * dimension; i < (row + 1) * dimension; ++i) {
          EXPECT_LE(std::abs(loaded[i] - values[i]), 0.50001 * largest / 127) << values[i];
        }
      }
    }
  }
}

TEST(StoredTokensTest, Int8BytesAreAsDocumented) {
  const std::vector<float> values = {127, -127, 0, 63.4f, -1, 0, 0, 0, 0, 0};
  std::string bytes;
  std::vector<float> scales;
  ASSERT_TRUE(StoreTokens(TokenFormat::kInt8, {values.data(), 2, 5}, &bytes, &scales).ok());
  EXPECT_THAT(scales, ElementsAre(1, 0));
  EXPECT_THAT(std::vector<uint8_t>(bytes.begin(), bytes.end()),
              ElementsAre(255, 1, 128, 191, 127, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128));
}

TEST(StoredTokensTest, NothingIsStoredOfNothing) {
  for (const TokenFormat format : {TokenFormat::kFloat32, TokenFormat::kFloat16, TokenFormat::kInt8}) {
    std::string bytes;
    std::vector<float> scales;
    EXPECT_TRUE(StoreTokens(format, {nullptr, 0, 7}, &bytes, &scales).ok());
    EXPECT_TRUE(bytes.empty());
    EXPECT_TRUE(scales.empty());
    LoadTokens({format, 7, 0, nullptr, nullptr}, nullptr);
  }
}

}  // namespace
}  // namespace dpkde
