#include "dpkde/base/status_macros.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

absl::StatusOr<std::unique_ptr<int>> Half(int number) {
  if (number % 2 != 0) return absl::InvalidArgumentError("odd");
  return std::make_unique<int>(number / 2);
}

absl::Status CheckEven(int number) {
  DPKDE_RETURN_IF_ERROR(Half(number).status());
  return absl::OkStatus();
}

absl::StatusOr<int> Quarter(int number) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<int> half, Half(number));
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<int> quarter, Half(*half));
  return *quarter;
}

TEST(StatusMacrosTest, ReturnErrorsAndGoOnOtherwise) {
  EXPECT_EQ(CheckEven(2), absl::OkStatus());
  EXPECT_EQ(CheckEven(3), absl::InvalidArgumentError("odd"));
}

TEST(StatusMacrosTest, AssignValuesThatOnlyMove) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(7).status(), absl::InvalidArgumentError("odd"));
  EXPECT_EQ(Quarter(6).status(), absl::InvalidArgumentError("odd"));
}

}  // namespace
}  // namespace dpkde
