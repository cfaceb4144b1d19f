#include "dpkde/index/corpus/vector_origin.h"

#include <cmath>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<double> Of(const std::vector<float>& column) { return SuggestOrigin({column.data(), column.size(), 1}); }

TEST(SuggestOriginTest, NoneWhereZeroServes) {
  EXPECT_THAT(Of({}), IsEmpty());
  EXPECT_THAT(Of({0, 0, 0}), IsEmpty());
  EXPECT_THAT(Of({-1, 1, 2}), IsEmpty());
  EXPECT_THAT(Of({0, 1, 2, 3, 4}), IsEmpty());
  EXPECT_THAT(Of({1, 2, 3, 4, 5}), IsEmpty());  // 3 is less than four times 2
  std::mt19937_64 engine(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(1000);
  for (float& value : values) value = normal(engine);
  EXPECT_THAT(Of(values), IsEmpty());
}

TEST(SuggestOriginTest, AFewDigitsOfTheMiddle) {
  // Whole numbers, so that they stay whole.
  EXPECT_THAT(Of({2000, 2005, 2012, 2020, 2025}), ElementsAre(2016));
  EXPECT_THAT(Of({-2000, -2005, -2012, -2020, -2025}), ElementsAre(-2016));
  // One value that is missing changes nothing where there are many.
  std::vector<float> places(100, 0);
  for (size_t i = 1; i < places.size(); ++i) places[i] = 37.7f + 0.001f * static_cast<float>(i);
  EXPECT_THAT(Of(places), ElementsAre(37.75));
  // What is left is exact.
  for (const float place : places) {
    const double left = place - 37.75;
    EXPECT_EQ(static_cast<float>(left), left);
  }
  // Equal values: twenty digits.
  ASSERT_EQ(Of({0.1f, 0.1f}).size(), 1u);
  EXPECT_NEAR(Of({0.1f, 0.1f})[0], 0.1, 1e-6);
  EXPECT_THAT(Of({7, 7, 7}), ElementsAre(7));
  EXPECT_THAT(Of({1e18f, 1e18f}), ElementsAre(testing::DoubleNear(1e18, 1e12)));
}

TEST(SuggestOriginTest, ColumnsAreTheirOwn) {
  const std::vector<float> rows = {0, 1000, 1, 1001, -1, 1002, 2, 1003, -2, 1001};
  EXPECT_THAT(SuggestOrigin({rows.data(), 5, 2}), ElementsAre(0, 1000));
}

TEST(LoseTheirDifferencesTest, FarFromZeroForTheirSpread) {
  const auto lose = [](const std::vector<float>& column) {
    return LoseTheirDifferences({column.data(), column.size(), 1});
  };
  EXPECT_FALSE(lose({}));
  EXPECT_FALSE(lose({0, 1, 2}));
  EXPECT_FALSE(lose({10000, 10001, 10002}));
  EXPECT_TRUE(lose({20000, 20001, 20002}));
  EXPECT_TRUE(lose({-1e8f, -1e8f + 32, -1e8f + 64}));
  EXPECT_FALSE(lose({1e8f, 1e8f}));  // nothing tells how far they would differ
}

}  // namespace
}  // namespace dpkde
