#include "dpkde/index/maxsim/ball_carving.h"

#include <cmath>
#include <vector>

#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/index/maxsim/maxsim.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

std::vector<float> Carve(const std::vector<float>& values, size_t columns, double least_cosine) {
  return CarveBalls({values.data(), values.size() / columns, columns}, least_cosine);
}

TEST(BallCarvingTest, GroupsGreedilyInOrder) {
  // Directions of 0, 40, 80 and 30 degrees: with cos 45 the first takes the second and the last, though the third is as
  // near to the second as the first is.
  const double degree = std::acos(-1.0) / 180;
  std::vector<float> tokens;
  for (const double angle : {0, 40, 80, 30}) {
    tokens.push_back(std::cos(angle * degree));
    tokens.push_back(std::sin(angle * degree));
  }
  const std::vector<float> carved = Carve(tokens, 2, std::cos(45 * degree));
  ASSERT_EQ(carved.size(), 4u);
  EXPECT_FLOAT_EQ(carved[0], tokens[0] + tokens[2] + tokens[6]);
  EXPECT_FLOAT_EQ(carved[1], tokens[1] + tokens[3] + tokens[7]);
  EXPECT_EQ(carved[2], tokens[4]);
  EXPECT_EQ(carved[3], tokens[5]);
}

TEST(BallCarvingTest, LengthsDoNotMatter) {
  EXPECT_THAT(Carve({1, 0, 100, 1, 0, 0.001f}, 2, 0.7), ElementsAre(101, 1, 0, 0.001f));
}

TEST(BallCarvingTest, Extremes) {
  const std::vector<float> tokens = {1, 0, 1, 0, 0, 0, -1, 2};
  EXPECT_THAT(Carve(tokens, 2, 1.01), ElementsAreArray(tokens));
  EXPECT_THAT(Carve(tokens, 2, -1), ElementsAre(1, 2));
  EXPECT_THAT(Carve(tokens, 2, 0.7), ElementsAre(2, 0, 0, 0, -1, 2));  // zeros stay by themselves
  EXPECT_THAT(Carve({}, 2, 0.7), ElementsAre());
}

TEST(BallCarvingTest, NeverScoresMoreAndNearlyTheSame) {
  // Tokens around a few directions, as word pieces of one subject are.
  constexpr size_t kDimension = 16, kTokens = 32;
  std::vector<float> query, document;
  for (size_t i = 0; i < kTokens; ++i) {
    for (size_t j = 0; j < kDimension; ++j) {
      query.push_back(std::sin(1.0 + (i % 5) * 7 * j) + 0.3 * std::sin(2.0 + i * j));
      document.push_back(std::sin(1.0 + (i % 9) * 7 * j) + 0.3 * std::sin(3.0 + i * j));
    }
  }
  const StoredTokens stored = StoredFloats({document.data(), kTokens, kDimension});
  float whole, score;
  ASSERT_TRUE(
      Chamfer(MaxSimQuery({query.data(), kTokens, kDimension}, TokenFormat::kFloat32), {&stored, 1}, {&whole, 1}).ok());
  for (const double least_cosine : {-1.0, 0.5, 0.7, 0.9}) {
    const std::vector<float> carved = CarveBalls({query.data(), kTokens, kDimension}, least_cosine);
    const MatrixView tokens{carved.data(), carved.size() / kDimension, kDimension};
    EXPECT_LT(tokens.rows, kTokens);
    ASSERT_TRUE(Chamfer(MaxSimQuery(tokens, TokenFormat::kFloat32), {&stored, 1}, {&score, 1}).ok());
    EXPECT_LE(score, whole + 1e-3);
    EXPECT_GE(score, least_cosine >= 0.5 ? 0.9 * whole : 0);
  }
}

}  // namespace
}  // namespace dpkde
