#include "dpkde/sketch/accumulator.h"

#include <gtest/gtest.h>

#include <boost/random/mersenne_twister.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <limits>
#include <string>

#include "tests/testing/raw_sums.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using BadRecords = Accumulator::BadRecords;

proto::ReleasePlan TestPlan(const proto::DesignSpec& design, size_t dimension = 2,
                            Similarity similarity = Gaussian(1)) {
  proto::ReleasePlan plan;
  *plan.mutable_similarity() = similarity.spec();
  plan.set_dimension(dimension);
  *plan.mutable_domain() = Cube(dimension, -2, 2).ToProto();
  *plan.mutable_design() = design;
  plan.set_mechanism(proto::LAPLACE);
  *plan.mutable_privacy() = PureAddRemove(1).ToProto();
  plan.set_capacity(uint64_t{1} << 40);
  return plan;
}

std::vector<proto::ReleasePlan> TestPlans() {
  return {TestPlan(LatticeDesign(1e-2)), TestPlan(MonteCarloDesign(70)), TestPlan(MonteCarloDesign(70, true)),
          TestPlan(MonteCarloDesign(70), 2, Laplacian(0.001)), TestPlan(SplineGridDesign({5, 4}))};
}

std::vector<int64_t> Sums(const proto::ReleasePlan& plan, MatrixView rows, ThreadPool& pool) {
  Accumulator accumulator = *Accumulator::Create(plan, BadRecords::kFail, pool);
  EXPECT_TRUE(accumulator.Add(rows).ok());
  return RawSumsTestPeer::Total(accumulator);
}

// trust: 1,000 random orders, batches, splits into shards and numbers of threads give the same bits.
TEST(AccumulatorTest, OrderBatchesShardsAndThreadsDoNotChangeABit) {
  ThreadPool pools[] = {ThreadPool(1), ThreadPool(2), ThreadPool(5)};
  boost::random::mt19937_64 engine(3);
  const auto below = [&](size_t n) { return boost::random::uniform_int_distribution<size_t>(0, n - 1)(engine); };
  for (const proto::ReleasePlan& plan : TestPlans()) {
    const Points points = UniformPoints(307, 2, -3, 3, 9);
    const std::vector<int64_t> expected = Sums(plan, points.view(), pools[0]);
    for (int round = 0; round < 200; ++round) {
      const Points shuffled = Shuffled(points, round);
      std::vector<Accumulator> shards;
      for (size_t s = 0; s < 1 + below(4); ++s) {
        shards.push_back(*Accumulator::Create(plan, BadRecords::kFail, pools[below(3)]));
      }
      for (size_t begin = 0; begin < points.rows();) {
        const size_t end = std::min(points.rows(), begin + below(120));
        ASSERT_TRUE(shards[below(shards.size())].Add(shuffled.view().Slice(begin, end)).ok());
        begin = end;
      }
      for (size_t s = 1; s < shards.size(); ++s) ASSERT_TRUE(shards[0].Merge(std::move(shards[s])).ok());
      ASSERT_EQ(RawSumsTestPeer::Total(shards[0]), expected) << round;
    }
  }
}

// The control of the above: one record changed by one unit in the last place is seen.
TEST(AccumulatorTest, OneChangedBitOfARecordIsSeen) {
  ThreadPool pool(1);
  for (const proto::ReleasePlan& plan : TestPlans()) {
    Points points = UniformPoints(307, 2, -1, 1, 9);
    const std::vector<int64_t> before = Sums(plan, points.view(), pool);
    points.values[100] = std::nextafter(points.values[100] + 1e-4f, 5.0f);
    EXPECT_NE(Sums(plan, points.view(), pool), before);
  }
}

TEST(AccumulatorTest, RecordsOutsideAreClampedAndCountOnce) {
  ThreadPool pool(1);
  const float inf = std::numeric_limits<float>::max();
  for (const proto::ReleasePlan& plan : TestPlans()) {
    const std::vector<float> outside = {1e30f, -7, -inf, 2.5f};
    const std::vector<float> clamped = {2, -2, -2, 2};
    EXPECT_EQ(Sums(plan, {outside.data(), 2, 2}, pool), Sums(plan, {clamped.data(), 2, 2}, pool));
  }
}

// A record of norm 1e30 moves the sums by no more than the declared sensitivity (see sensitivity_test for all designs).
TEST(AccumulatorTest, BadRecordsAreRefusedByRowAndColumn) {
  ThreadPool pool(2);
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  for (float bad : {nan, inf, -inf}) {
    Accumulator accumulator = *Accumulator::Create(TestPlan(MonteCarloDesign(8)), BadRecords::kFail, pool);
    const Points good = UniformPoints(10, 2, -1, 1, 1);
    ASSERT_TRUE(accumulator.Add(good.view()).ok());
    const auto before = RawSumsTestPeer::Total(accumulator);
    Points points = UniformPoints(10, 2, -1, 1, 2);
    points.values[7 * 2 + 1] = bad;
    const auto status = accumulator.Add(points.view());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(status.message()).find("row 17, column 1"), std::string::npos) << status;
    EXPECT_EQ(RawSumsTestPeer::Total(accumulator), before) << "a refused batch must leave no trace";
  }
}

TEST(AccumulatorTest, BadRecordsCanBeReplacedByThePublicCentre) {
  ThreadPool pool(2);
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  proto::ReleasePlan plan = TestPlan(MonteCarloDesign(8));
  *plan.mutable_domain() = Domain::Box({-2, 0}, {2, 6})->ToProto();
  Accumulator replacing = *Accumulator::Create(plan, BadRecords::kReplace, pool);
  const std::vector<float> bad = {0.5f, 1, nan, 1, 1, -inf, 0.25f, 2}, good = {0.5f, 1, 0, 3, 0, 3, 0.25f, 2};
  ASSERT_TRUE(replacing.Add({bad.data(), 4, 2}).ok());
  EXPECT_EQ(RawSumsTestPeer::Total(replacing), Sums(plan, {good.data(), 4, 2}, pool));
}

TEST(AccumulatorTest, DenormalsAndNegativeZeroAreOrdinaryRecords) {
  ThreadPool pool(1);
  for (const proto::ReleasePlan& plan : TestPlans()) {
    const std::vector<float> zero = {0, 0}, tiny = {-0.0f, 1e-45f};
    const auto a = Sums(plan, {zero.data(), 1, 2}, pool), b = Sums(plan, {tiny.data(), 1, 2}, pool);
    for (size_t j = 0; j < a.size(); ++j) EXPECT_LE(std::abs(a[j] - b[j]), 1);
  }
}

TEST(AccumulatorTest, RefusesMoreThanItsCapacityBeforeAnythingHappens) {
  ThreadPool pool(1);
  proto::ReleasePlan plan = TestPlan(MonteCarloDesign(8));
  plan.set_capacity(10);
  Accumulator accumulator = *Accumulator::Create(plan, BadRecords::kFail, pool);
  const Points points = UniformPoints(11, 2, -1, 1, 1);
  EXPECT_EQ(accumulator.Add(points.view()).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(accumulator.Add(points.view().Slice(0, 10)).ok());
  EXPECT_EQ(accumulator.Add(points.view().Slice(0, 1)).code(), absl::StatusCode::kResourceExhausted);
  Accumulator other = *Accumulator::Create(plan, BadRecords::kFail, pool);
  ASSERT_TRUE(other.Add(points.view().Slice(0, 1)).ok());
  EXPECT_EQ(accumulator.Merge(std::move(other)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(other.Add(points.view().Slice(0, 9)).ok()) << "a refused merge must leave both as they were";
  for (uint64_t capacity : {uint64_t{0}, (uint64_t{1} << 40) + 1, std::numeric_limits<uint64_t>::max()}) {
    plan.set_capacity(capacity);
    EXPECT_FALSE(Accumulator::Create(plan, BadRecords::kFail, pool).ok());
  }
}

TEST(AccumulatorTest, MergingDifferentPlansNamesTheField) {
  ThreadPool pool(1);
  const proto::ReleasePlan plan = TestPlan(MonteCarloDesign(8));
  const auto message_of = [&](const proto::ReleasePlan& other_plan) {
    Accumulator accumulator = *Accumulator::Create(plan, BadRecords::kFail, pool);
    Accumulator other = *Accumulator::Create(other_plan, BadRecords::kFail, pool);
    const auto status = accumulator.Merge(std::move(other));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_NE(message_of(TestPlan(MonteCarloDesign(8, false, 2))).find("public_seed"), std::string::npos);
  EXPECT_NE(message_of(TestPlan(MonteCarloDesign(8), 2, Gaussian(1.5))).find("bandwidth"), std::string::npos);
  EXPECT_NE(message_of(TestPlan(MonteCarloDesign(8), 3)).find("dimension"), std::string::npos);
  proto::ReleasePlan other = plan;
  *other.mutable_domain() = Cube(2, -2, 3).ToProto();
  EXPECT_NE(message_of(other).find("domain.upper"), std::string::npos);
  other = plan;
  other.mutable_privacy()->set_epsilon(2);
  EXPECT_NE(message_of(other).find("privacy.epsilon"), std::string::npos);
}

TEST(AccumulatorTest, GivesOneReleaseOnly) {
  ThreadPool pool(1);
  SeededBitSource source(1);
  Accumulator accumulator = *Accumulator::Create(TestPlan(MonteCarloDesign(8)), BadRecords::kFail, pool);
  const Points points = UniformPoints(3, 2, -1, 1, 1);
  ASSERT_TRUE(accumulator.Add(points.view()).ok());
  ASSERT_TRUE(std::move(accumulator).Privatize(source).ok());
  EXPECT_EQ(std::move(accumulator).Privatize(source).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(accumulator.Add(points.view()).code(), absl::StatusCode::kFailedPrecondition);
  Accumulator other = *Accumulator::Create(TestPlan(MonteCarloDesign(8)), BadRecords::kFail, pool);
  EXPECT_EQ(other.Merge(std::move(accumulator)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(other.Merge(std::move(other)).ok());
}

TEST(AccumulatorTest, NoRecordsGiveAnOrdinaryRelease) {
  ThreadPool pool(1);
  SeededBitSource source(1);
  for (const proto::ReleasePlan& plan : TestPlans()) {
    Accumulator accumulator = *Accumulator::Create(plan, BadRecords::kFail, pool);
    ASSERT_TRUE(accumulator.Add({nullptr, 0, 2}).ok());
    const auto release = std::move(accumulator).Privatize(source);
    ASSERT_TRUE(release.ok()) << release.status();
    const std::vector<float> query = {0, 0};
    const auto estimate = release->Estimate({query.data(), 1, 2}, pool);
    EXPECT_LT(std::abs((*estimate)[0].sum), 8 * (*estimate)[0].std_error);
    EXPECT_GT((*estimate)[0].std_error, 0);
  }
}

TEST(AccumulatorTest, RefusesBadPlans) {
  ThreadPool pool(1);
  const auto refused = [&](const auto& change) {
    proto::ReleasePlan plan = TestPlan(MonteCarloDesign(8));
    change(plan);
    return !Accumulator::Create(plan, BadRecords::kFail, pool).ok();
  };
  EXPECT_FALSE(refused([](proto::ReleasePlan&) {}));
  EXPECT_TRUE(refused([](proto::ReleasePlan& plan) { plan.clear_similarity(); }));
  EXPECT_TRUE(refused([](proto::ReleasePlan& plan) { plan.set_dimension(0); }));
  EXPECT_TRUE(refused([](proto::ReleasePlan& plan) { plan.set_dimension(3); }));
  EXPECT_TRUE(refused([](proto::ReleasePlan& plan) { plan.clear_design(); }));
  EXPECT_TRUE(refused([](proto::ReleasePlan& plan) { plan.set_mechanism(proto::GAUSSIAN); }));
  EXPECT_TRUE(refused([](proto::ReleasePlan& plan) { plan.clear_privacy(); }));
  EXPECT_TRUE(refused([](proto::ReleasePlan& plan) { plan.mutable_privacy()->set_epsilon(1e-13); }));
  EXPECT_TRUE(refused([](proto::ReleasePlan& plan) {
    plan.clear_domain(), plan.mutable_similarity()->set_kind(proto::SimilaritySpec::LAPLACIAN);
  }));
}

TEST(PlanningCountTest, IsTheCountWithLaplaceNoise) {
  SeededBitSource source(5);
  double sum = 0, squares = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const auto count = ReleasePlanningCount(1000, 0.1, source);
    const double noise = static_cast<double>(count->value() - 1000);
    EXPECT_LE(count->epsilon(), 0.1);
    sum += noise;
    squares += noise * noise;
  }
  // Scale 11 (10 rounded up to the next integer): variance 242, a mean within 6 standard errors.
  EXPECT_NEAR(sum / kDraws, 0, 6 * std::sqrt(242.0 / kDraws));
  EXPECT_NEAR(squares / kDraws, 242, 0.1 * 242);
  EXPECT_FALSE(ReleasePlanningCount(1, 0, source).ok());
  EXPECT_FALSE(ReleasePlanningCount(1, std::nan(""), source).ok());
  EXPECT_GT(ReleasePlanningCount(std::numeric_limits<uint64_t>::max(), 1, source)->value(), 0);
}

}  // namespace
}  // namespace dpkde
