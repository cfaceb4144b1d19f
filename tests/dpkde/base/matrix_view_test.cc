#include "dpkde/base/matrix_view.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;

TEST(MatrixViewTest, IsEmptyByDefault) {
  const MatrixView view;
  EXPECT_EQ(view.data, nullptr);
  EXPECT_EQ(view.rows, 0);
  EXPECT_EQ(view.columns, 0);
}

TEST(MatrixViewTest, GivesRowsAndSlices) {
  const float data[] = {0, 1, 10, 11, 20, 21, 30, 31};
  const MatrixView view{data, 4, 2};
  EXPECT_THAT(view.row(0), ElementsAre(0, 1));
  EXPECT_THAT(view.row(3), ElementsAre(30, 31));

  const MatrixView middle = view.Slice(1, 3);
  EXPECT_EQ(middle.rows, 2);
  EXPECT_EQ(middle.columns, 2);
  EXPECT_THAT(middle.row(0), ElementsAre(10, 11));
  EXPECT_THAT(middle.row(1), ElementsAre(20, 21));

  EXPECT_EQ(view.Slice(4, 4).rows, 0);
}

}  // namespace
}  // namespace dpkde
