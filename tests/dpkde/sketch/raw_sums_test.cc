#include "dpkde/sketch/raw_sums.h"

#include <utility>
#include <vector>

#include "dpkde/base/thread_pool.h"
#include "dpkde/proto/density.pb.h"
#include "gtest/gtest.h"
#include "tests/testing/raw_sums.h"

namespace dpkde {
namespace {

using Values = std::vector<int64_t>;

RawSums MakeSums(const Values& values, uint64_t records = 1, uint64_t capacity = 10) {
  RawSums sums(values.size(), capacity, 3);
  for (size_t j = 0; j < values.size(); ++j) sums.OfWorker(j % 3)[j] += values[j];
  sums.Count(records);
  return sums;
}

Values Taken(RawSums& sums) {
  const PrivateVector<int64_t> values = sums.Take();
  return Values(values.begin(), values.end());
}
Values Taken(RawSums&& sums) { return Taken(sums); }

absl::Status MergeEqualPlans(RawSums& to, RawSums& from) {
  const proto::ReleasePlan plan;
  return to.Merge(std::move(from), plan, plan);
}

void ExpectClosedAndEmpty(RawSums& sums) {
  EXPECT_EQ(sums.CheckOpen().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(sums.records(), 0u);
  for (const int64_t value : RawSumsTestPeer::Total(sums)) EXPECT_EQ(value, 0);
  RawSums open = MakeSums({1, 1});
  EXPECT_EQ(MergeEqualPlans(open, sums).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(MergeEqualPlans(sums, open).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Taken(open), (Values{1, 1})) << "a refused merge must leave both as they were";
}

TEST(RawSumsTest, AddUpOverWorkers) {
  ThreadPool pool(3);
  RawSums sums(2, 1000, pool.threads());
  pool.ParallelFor(1000, 7, [&](size_t begin, size_t end, int worker) {
    for (size_t r = begin; r < end; ++r) {
      sums.OfWorker(worker)[0] += r;
      sums.OfWorker(worker)[1] -= 1;
    }
  });
  sums.Count(1000);
  EXPECT_EQ(sums.records(), 1000u);
  EXPECT_EQ(RawSumsTestPeer::Total(sums), (Values{499500, -1000}));
  EXPECT_EQ(Taken(sums), (Values{499500, -1000}));
  EXPECT_EQ(Taken(RawSums(3, 1, 2)), Values(3, 0));
}

TEST(RawSumsTest, AreTakenOnce) {
  RawSums sums = MakeSums({5, 6, 7, 8});
  EXPECT_TRUE(sums.CheckOpen().ok());
  EXPECT_EQ(Taken(sums), (Values{5, 6, 7, 8}));
  ExpectClosedAndEmpty(sums);
}

TEST(RawSumsTest, WhatIsMovedFromIsClosed) {
  RawSums from = MakeSums({5, 6}), other = MakeSums({1, 2}, 4);
  RawSums to = std::move(from);
  ExpectClosedAndEmpty(from);
  to = std::move(other);
  ExpectClosedAndEmpty(other);
  EXPECT_EQ(to.records(), 4u);
  EXPECT_EQ(Taken(to), (Values{1, 2}));
  from = MakeSums({3, 4});
  EXPECT_EQ(Taken(from), (Values{3, 4})) << "what is assigned to is open again";
}

TEST(RawSumsTest, MergeAddsAndCloses) {
  RawSums a = MakeSums({1, 2, 3, 4}, 4), b = MakeSums({10, 20, 30, 40}, 6);
  ASSERT_TRUE(MergeEqualPlans(a, b).ok());
  ExpectClosedAndEmpty(b);
  EXPECT_EQ(a.records(), 10u);
  EXPECT_EQ(a.CheckCapacity(1).message(), "the accumulator would exceed its capacity of 10 records");
  EXPECT_EQ(Taken(a), (Values{11, 22, 33, 44}));
}

TEST(RawSumsTest, ARefusedMergeLeavesBothAsTheyWere) {
  RawSums a = MakeSums({1, 2}, 5), b = MakeSums({10, 20}, 6);
  EXPECT_EQ(MergeEqualPlans(a, b).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(MergeEqualPlans(a, a).message(), "an accumulator cannot be merged with itself");
  proto::ReleasePlan plan, other;
  plan.set_dimension(2);
  other.set_dimension(3);
  other.set_capacity(7);
  EXPECT_EQ(a.Merge(std::move(b), plan, other).message(),
            "accumulators of different plans cannot be merged: modified: dimension: 2 -> 3");
  EXPECT_EQ(a.records(), 5u);
  EXPECT_EQ(b.records(), 6u);
  EXPECT_EQ(Taken(a), (Values{1, 2}));
  EXPECT_EQ(Taken(b), (Values{10, 20}));
}

TEST(RawSumsTest, CapacityDoesNotWrap) {
  RawSums sums = MakeSums({1}, 3);
  EXPECT_TRUE(sums.CheckCapacity(7).ok());
  EXPECT_EQ(sums.CheckCapacity(8).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(sums.CheckCapacity(~uint64_t{0}).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace dpkde
