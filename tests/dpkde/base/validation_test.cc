#include "dpkde/base/validation.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dpkde/base/record_error.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kSmallest = std::numeric_limits<double>::denorm_min();
constexpr double kLargest = std::numeric_limits<double>::max();
constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

TEST(CheckFiniteTest, RefusesNanAndInfinities) {
  for (const double value : {0.0, -0.0, -1.5, kSmallest, kLargest, -kLargest}) {
    EXPECT_EQ(CheckFinite("x", value), absl::OkStatus()) << value;
  }
  EXPECT_EQ(CheckFinite("shift", std::nan("")), absl::InvalidArgumentError("shift must be finite, but is nan"));
  EXPECT_EQ(CheckFinite("shift", kInfinity), absl::InvalidArgumentError("shift must be finite, but is inf"));
  EXPECT_EQ(CheckFinite("shift", -kInfinity), absl::InvalidArgumentError("shift must be finite, but is -inf"));
}

TEST(CheckPositiveTest, RefusesAllButFinitePositiveValues) {
  for (const double value : {kSmallest, 1.0, kLargest}) EXPECT_EQ(CheckPositive("x", value), absl::OkStatus()) << value;
  const auto refusal = [](const char* value) {
    return absl::InvalidArgumentError(std::string("epsilon must be finite and positive, but is ") + value);
  };
  EXPECT_EQ(CheckPositive("epsilon", 0), refusal("0"));
  EXPECT_EQ(CheckPositive("epsilon", -0.0), refusal("-0"));
  EXPECT_EQ(CheckPositive("epsilon", -2.5), refusal("-2.5"));
  EXPECT_EQ(CheckPositive("epsilon", -kSmallest), refusal("-4.94066e-324"));
  EXPECT_EQ(CheckPositive("epsilon", kInfinity), refusal("inf"));
  EXPECT_EQ(CheckPositive("epsilon", -kInfinity), refusal("-inf"));
  EXPECT_EQ(CheckPositive("epsilon", std::nan("")), refusal("nan"));
}

TEST(CheckInRangeTest, IncludesBothEnds) {
  for (const int64_t value : {-1, 0, 7}) EXPECT_EQ(CheckInRange("x", value, -1, 7), absl::OkStatus()) << value;
  EXPECT_EQ(CheckInRange("x", kLowest, kLowest, kHighest), absl::OkStatus());
  EXPECT_EQ(CheckInRange("x", kHighest, kLowest, kHighest), absl::OkStatus());
  EXPECT_EQ(CheckInRange("rows", 8, -1, 7),
            absl::InvalidArgumentError("rows must be at least -1 and at most 7, but is 8"));
  EXPECT_EQ(CheckInRange("rows", -2, -1, 7),
            absl::InvalidArgumentError("rows must be at least -1 and at most 7, but is -2"));
  EXPECT_EQ(CheckInRange("rows", kLowest, 1, 2),
            absl::InvalidArgumentError("rows must be at least 1 and at most 2, but is -9223372036854775808"));
}

TEST(CheckFiniteRowsTest, NamesTheFirstBadValueByRowAndColumn) {
  std::vector<float> values = {0, -0.0f, 1e38f, 1e-45f, 5, 6};
  EXPECT_EQ(CheckFiniteRows({values.data(), 3, 2}, 7), absl::OkStatus());
  EXPECT_EQ(CheckFiniteRows({nullptr, 0, 2}, 7), absl::OkStatus());
  values[5] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(CheckFiniteRows({values.data(), 3, 2}, 7),
            RecordError(absl::StatusCode::kInvalidArgument, "row 9, column 1 (counting from 0)",
                        "must be finite, but is -inf"));
  values[2] = std::nanf("");
  EXPECT_EQ(CheckFiniteRows({values.data(), 3, 2}, 0),
            RecordError(absl::StatusCode::kInvalidArgument, "row 1, column 0 (counting from 0)",
                        "must be finite, but is nan"));
}

}  // namespace
}  // namespace dpkde
