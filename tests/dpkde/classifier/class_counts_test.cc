#include "dpkde/classifier/class_counts.h"

#include <gtest/gtest.h>

#include <numeric>

namespace dpkde {
namespace {

TEST(ClassCountsTest, WithoutNoiseCountsAreAsTheyAre) {
  const ClassCounts counts = EstimateClassCounts({10, 500, 0}, 1e-9);
  EXPECT_NEAR(counts.records[0], 10, 1e-6);
  EXPECT_NEAR(counts.records[1], 500, 1e-6);
  EXPECT_EQ(counts.records[2], 1);
  EXPECT_EQ(counts.is_some, (std::vector<bool>{true, true, false}));
  EXPECT_EQ(counts.total, std::accumulate(counts.records.begin(), counts.records.end(), 0.0));
}

// What noise explains is no difference; what it does not is kept, nearly.
TEST(ClassCountsTest, DifferencesThatNoiseExplainsAreNone) {
  const ClassCounts equal = EstimateClassCounts({900, 1000, 1100, 1000}, 100 * 100);
  for (double records : equal.records) EXPECT_EQ(records, 1000);
  EXPECT_EQ(equal.kept, 0);
  const ClassCounts different = EstimateClassCounts({1000, 5000, 9000}, 100 * 100);
  EXPECT_GT(different.kept, 0.99);
  EXPECT_LT(different.records[0], 1100);
}

TEST(ClassCountsTest, NegativeAndHugeCountsStayPositive) {
  for (const std::vector<double>& noised :
       {std::vector<double>{-50, -60}, {-8e12, 8e12}, {0, 0, 0}, {-1e6}, {8e12, 8e12}}) {
    const ClassCounts counts = EstimateClassCounts(noised, 400);
    for (double records : counts.records) EXPECT_GE(records, 1);
    EXPECT_GE(counts.total, noised.size());
  }
}

// Noise of 100 records makes no class of 1,000 look empty; noise of 236 may.
TEST(ClassCountsTest, EmptyClassesAreToldOnlyWhereNoiseIsSmall) {
  EXPECT_EQ(EstimateClassCounts({1500, 1500, 20}, 80 * 80).is_some, (std::vector<bool>{true, true, false}));
  EXPECT_EQ(EstimateClassCounts({1500, 1500, 20}, 236 * 236).is_some, (std::vector<bool>{true, true, true}));
  // Nobody at all, and next to no noise: some class must be predicted.
  EXPECT_EQ(EstimateClassCounts({0, 0.01}, 1e-4).is_some, (std::vector<bool>{true, true}));
}

}  // namespace
}  // namespace dpkde
