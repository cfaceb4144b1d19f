#include "dpkde/base/record_error.h"

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

TEST(RecordErrorTest, HasATextForTheCuratorAndOneForEverybody) {
  const absl::Status status = RecordError(absl::StatusCode::kInvalidArgument, "row 7 (counting from 0)", "is nan");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "row 7 (counting from 0): is nan");
  EXPECT_TRUE(HidesPlace(status));
  EXPECT_EQ(MessageForEverybody(status), "a record: is nan");

  const absl::Status count = CountError(absl::StatusCode::kDataLoss, "has 7 rows", "has too few rows");
  EXPECT_EQ(count.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(count.message(), "has 7 rows");
  EXPECT_EQ(MessageForEverybody(count), "has too few rows");
}

TEST(RecordErrorTest, NamesStandBeforeBothTexts) {
  absl::Status status = RecordError(absl::StatusCode::kInvalidArgument, "row 7", "is nan");
  status.SetPayload("other", absl::Cord("kept"));
  const absl::Status named = Named("a.npy", status);
  EXPECT_EQ(named.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(named.message(), "a.npy: row 7: is nan");
  EXPECT_EQ(MessageForEverybody(named), "a.npy: a record: is nan");
  EXPECT_EQ(named.GetPayload("other"), absl::Cord("kept"));

  // What has one text keeps one.
  const absl::Status plain = Named("a.npy", absl::NotFoundError("does not exist"));
  EXPECT_EQ(plain.message(), "a.npy: does not exist");
  EXPECT_FALSE(HidesPlace(plain));
  EXPECT_EQ(MessageForEverybody(plain), "a.npy: does not exist");
  EXPECT_TRUE(Named("a.npy", absl::OkStatus()).ok());
}

TEST(RecordErrorTest, PublicFilesHideNothing) {
  const absl::Status status =
      AboutPublicFile(Named("queries.csv", RecordError(absl::StatusCode::kInvalidArgument, "row 7", "is nan")));
  EXPECT_FALSE(HidesPlace(status));
  EXPECT_EQ(MessageForEverybody(status), "queries.csv: row 7: is nan");
  EXPECT_TRUE(AboutPublicFile(absl::OkStatus()).ok());
}

}  // namespace
}  // namespace dpkde
