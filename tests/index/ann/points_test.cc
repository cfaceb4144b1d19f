#include "dpkde/index/ann/points.h"

#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

TEST(CheckPointsTest, NamesTheFirstBadPoint) {
  std::vector<float> values = {0, -0.0f, 3.16e18f, 0, 5, 6};
  const MatrixView points{values.data(), 3, 2};
  EXPECT_TRUE(CheckPoints("row", points).ok());
  values[3] = 1e18f;
  EXPECT_EQ(CheckPoints("row", points), absl::InvalidArgumentError("the squared norm of row 1 must be at most 1e+37"));
  values[3] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(CheckPoints("row", points), absl::InvalidArgumentError("column 1 of row 1 must be finite, but is inf"));
  values[2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(CheckPoints("query", points), absl::InvalidArgumentError("column 0 of query 1 must be finite, but is nan"));
  EXPECT_TRUE(CheckPoints("row", {}).ok());
}

}  // namespace
}  // namespace dpkde
