#include "dpkde/index/corpus/token_sets.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;

TEST(TokenSetsTest, NoSets) {
  const TokenSetsView none;
  EXPECT_EQ(none.size(), 0);
  EXPECT_EQ(none.token_count(), 0);
  EXPECT_EQ(none.all().rows, 0);
  EXPECT_EQ(none.Slice(0, 0).size(), 0);
  EXPECT_EQ(TokenSets(3).size(), 0);
  EXPECT_EQ(TokenSets(3).view().size(), 0);
  EXPECT_EQ(TokenSets(3).view().dimension, 3);
}

TEST(TokenSetsTest, KeepsSetsAlsoEmptyOnes) {
  const float first[] = {0, 1, 2, 3};
  const float last[] = {4, 5};
  TokenSets sets(2);
  sets.Append({});
  sets.Append({first, 2, 2});
  sets.Append({nullptr, 0, 2});
  sets.Append({last, 1, 2});
  EXPECT_EQ(sets.size(), 4);

  const TokenSetsView view = sets.view();
  ASSERT_EQ(view.size(), 4);
  EXPECT_EQ(view.token_count(), 3);
  EXPECT_EQ(view.set(0).rows, 0);
  ASSERT_EQ(view.set(1).rows, 2);
  EXPECT_THAT(view.set(1).row(1), ElementsAre(2, 3));
  EXPECT_EQ(view.set(2).rows, 0);
  ASSERT_EQ(view.set(3).rows, 1);
  EXPECT_EQ(view.set(3).columns, 2);
  EXPECT_THAT(view.set(3).row(0), ElementsAre(4, 5));
}

TEST(TokenSetsTest, SlicesKeepTheirTokens) {
  const TokenSets sets(2, {0, 1, 2, 3, 4, 5}, {0, 1, 1, 3});
  const TokenSetsView tail = sets.view().Slice(1, 3);
  ASSERT_EQ(tail.size(), 2);
  EXPECT_EQ(tail.offsets[0], 1);
  EXPECT_EQ(tail.token_count(), 2);
  EXPECT_EQ(tail.set(0).rows, 0);
  EXPECT_THAT(tail.set(1).row(0), ElementsAre(2, 3));
  ASSERT_EQ(tail.all().rows, 2);
  EXPECT_THAT(tail.all().row(1), ElementsAre(4, 5));
  EXPECT_EQ(sets.view().Slice(3, 3).size(), 0);
}

}  // namespace
}  // namespace dpkde
