// Weighted sums: exact integers, what is refused, and answers in units of the weights.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "dpkde/planner/planner.h"
#include "dpkde/sketch/accumulator.h"
#include "tests/testing/raw_sums.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using BadRecords = Accumulator::BadRecords;

const float kNan = std::nanf("");
const float kInf = std::numeric_limits<float>::infinity();

proto::ReleasePlan TestPlan(const proto::DesignSpec& design, double bound, bool allow_negative = false,
                            Neighboring neighboring = Neighboring::kAddRemove, double epsilon = 1) {
  proto::ReleasePlan plan;
  *plan.mutable_similarity() = Gaussian(1).spec();
  plan.set_dimension(2);
  *plan.mutable_domain() = Cube(2, -2, 2).ToProto();
  *plan.mutable_design() = design;
  plan.set_mechanism(proto::LAPLACE);
  *plan.mutable_privacy() = PrivacySpec::Pure(epsilon, neighboring)->ToProto();
  plan.set_capacity(uint64_t{1} << 40);
  plan.mutable_weights()->set_bound(bound);
  plan.mutable_weights()->set_allow_negative(allow_negative);
  return plan;
}

std::vector<proto::DesignSpec> Designs() {
  return {LatticeDesign(1e-6), MonteCarloDesign(500), SplineGridDesign({20, 20})};
}

// Weights in [low, high], and their exact weighted sums at the queries.
struct Weighted {
  Points points, queries;
  std::vector<float> weights;
  std::vector<double> exact;
  double weight_sum = 0;
};

Weighted MakeWeighted(size_t n, double low, double high) {
  Weighted data{UniformPoints(n, 2, -2, 2, 1), UniformPoints(20, 2, -2, 2, 2), UniformPoints(n, 1, low, high, 3).values,
                std::vector<double>(20), 0};
  for (size_t i = 0; i < n; ++i) {
    data.weight_sum += data.weights[i];
    for (size_t q = 0; q < 20; ++q) {
      data.exact[q] += data.weights[i] * Gaussian(1).Evaluate(data.points.view().row(i), data.queries.view().row(q));
    }
  }
  return data;
}

// At epsilon = 1000 noise is far below one bound.
TEST(WeightsTest, AnswersAreWeightedSums) {
  ThreadPool pool(2);
  for (const bool allow_negative : {false, true}) {
    for (const double bound : {0.01, 1.0, 250.0}) {
      for (const Neighboring neighboring : {Neighboring::kAddRemove, Neighboring::kReplace}) {
        const Weighted data = MakeWeighted(400, allow_negative ? -bound : 0, bound);
        for (const proto::DesignSpec& design : Designs()) {
          Accumulator accumulator =
              *Accumulator::Create(TestPlan(design, bound, allow_negative, neighboring, 1000), BadRecords::kFail, pool);
          ASSERT_TRUE(accumulator.Add(data.points.view(), data.weights).ok());
          SeededBitSource source(1);
          const Release made = *std::move(accumulator).Privatize(source);
          const auto loaded = Release::Deserialize(made.Serialize());
          ASSERT_TRUE(loaded.ok()) << loaded.status();
          const auto estimates = *loaded->Estimate(data.queries.view(), pool);
          EXPECT_NEAR(loaded->count().value, data.weight_sum, bound);
          EXPECT_GT(loaded->count().std_error, 0);
          for (size_t q = 0; q < estimates.size(); ++q) {
            const DensityEstimate& e = estimates[q];
            const double approximation = design.has_monte_carlo() ? 20 : 0.05;
            EXPECT_LT(std::abs(e.sum - data.exact[q]), 6 * e.std_error + approximation * bound);
            EXPECT_EQ(e.bias_bound.has_value(), !design.has_monte_carlo() && !allow_negative);
            if (!allow_negative) {
              EXPECT_NEAR(*e.mean, e.sum / data.weight_sum, 0.02);
            }
          }
          EXPECT_NE(loaded->DebugString().find("sum of weights"), std::string::npos);
        }
      }
    }
  }
}

// The noise of an answer is the bound times that of a release without weights; under REPLACE a little more than that,
// since the sum of weights is not public and takes its share.
TEST(WeightsTest, NoiseIsProportionalToTheBound) {
  ThreadPool pool(1);
  const std::vector<float> query = {0.3f, -0.2f};
  const auto std_error = [&](proto::ReleasePlan plan) {
    SeededBitSource source(1);
    const Release release = *std::move(*Accumulator::Create(plan, BadRecords::kFail, pool)).Privatize(source);
    return (*release.Estimate({query.data(), 1, 2}, pool))[0].std_error;
  };
  for (const proto::DesignSpec& design : Designs()) {
    proto::ReleasePlan plain = TestPlan(design, 1);
    plain.clear_weights();
    const double one = std_error(plain);
    EXPECT_NEAR(std_error(TestPlan(design, 7)), 7 * one, 1e-6 * one);
    EXPECT_NEAR(std_error(TestPlan(design, 7, true)), 7 * one, 1e-6 * one);
    const double replace = std_error(TestPlan(design, 7, false, Neighboring::kReplace));
    EXPECT_NEAR(std_error(TestPlan(design, 7, true, Neighboring::kReplace)) / replace, 1, 0.1);
    EXPECT_GT(replace, 1.5 * 7 * one);
  }
}

// Weights of the bound are no weights, to the last bit; order, batches, shards and threads change nothing.
TEST(WeightsTest, SumsAreExactIntegers) {
  ThreadPool one(1), three(3);
  const Weighted data = MakeWeighted(3000, -2, 2);
  for (const proto::DesignSpec& design : Designs()) {
    proto::ReleasePlan plan = TestPlan(design, 2, true);
    Accumulator whole = *Accumulator::Create(plan, BadRecords::kFail, three);
    ASSERT_TRUE(whole.Add(data.points.view(), data.weights).ok());
    Accumulator first = *Accumulator::Create(plan, BadRecords::kFail, one);
    Accumulator second = *Accumulator::Create(plan, BadRecords::kFail, one);
    const absl::Span<const float> weights = data.weights;
    ASSERT_TRUE(second.Add(data.points.view().Slice(1237, 3000), weights.subspan(1237)).ok());
    ASSERT_TRUE(first.Add(data.points.view().Slice(0, 1), weights.subspan(0, 1)).ok());
    ASSERT_TRUE(first.Add(data.points.view().Slice(1, 1237), weights.subspan(1, 1236)).ok());
    ASSERT_TRUE(first.Merge(std::move(second)).ok());
    EXPECT_EQ(RawSumsTestPeer::Total(whole), RawSumsTestPeer::Total(first));

    Accumulator heavy = *Accumulator::Create(plan, BadRecords::kFail, three);
    ASSERT_TRUE(heavy.Add(data.points.view(), std::vector<float>(3000, 2)).ok());
    plan.clear_weights();
    Accumulator plain = *Accumulator::Create(plan, BadRecords::kFail, three);
    ASSERT_TRUE(plain.Add(data.points.view()).ok());
    EXPECT_EQ(RawSumsTestPeer::Total(heavy), RawSumsTestPeer::Total(plain));
    EXPECT_FALSE(plain.Merge(std::move(heavy)).ok());
  }
}

TEST(WeightsTest, BadWeightsAreRefusedByRowOrReplaced) {
  ThreadPool pool(2);
  const Points points = UniformPoints(5, 2, -2, 2, 1);
  const struct {
    float weight;
    bool allow_negative;
    bool good;
    float counts_as;  // where bad ones are replaced
  } cases[] = {
      {0, false, true, 0},          {-0.0f, false, true, 0},     {0.1f, false, true, 0.1f},
      {-0.05f, true, true, -0.05f}, {-0.1f, true, true, -0.1f},  {1e-45f, false, true, 0},
      {-1e-45f, false, false, 0},   {-0.05f, false, false, 0},   {std::nextafter(0.1f, 1.0f), false, false, 0.1f},
      {-0.11f, true, false, -0.1f}, {kNan, false, false, 0},     {kNan, true, false, 0},
      {kInf, false, false, 0.1f},   {-kInf, true, false, -0.1f}, {1e30f, false, false, 0.1f},
  };
  for (const auto& test : cases) {
    // 0.1 as a double is less than as a float: still a weight of 0.1 is within the bound of 0.1.
    const proto::ReleasePlan plan = TestPlan(MonteCarloDesign(8), 0.1, test.allow_negative);
    std::vector<float> weights(5, 0.03f);
    weights[3] = test.weight;
    Accumulator failing = *Accumulator::Create(plan, BadRecords::kFail, pool);
    ASSERT_TRUE(failing.Add(points.view().Slice(0, 2), {0.01f, 0.1f}).ok());
    const auto before = RawSumsTestPeer::Total(failing);
    const absl::Status status = failing.Add(points.view(), weights);
    EXPECT_EQ(status.ok(), test.good) << test.weight;
    if (!test.good) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_NE(std::string(status.message()).find("weight of row 5 (counting from 0): must be between"),
                std::string::npos)
          << status;
      EXPECT_EQ(RawSumsTestPeer::Total(failing), before);
    }
    Accumulator replacing = *Accumulator::Create(plan, BadRecords::kReplace, pool);
    ASSERT_TRUE(replacing.Add(points.view(), weights).ok());
    weights[3] = test.counts_as;
    Accumulator expected = *Accumulator::Create(plan, BadRecords::kFail, pool);
    ASSERT_TRUE(expected.Add(points.view(), weights).ok());
    EXPECT_EQ(RawSumsTestPeer::Total(replacing), RawSumsTestPeer::Total(expected)) << test.weight;
  }
}

TEST(WeightsTest, RefusesPlansAndCallsThatDoNotFit) {
  ThreadPool pool(1);
  for (const double bound : {0.0, -1.0, std::nan(""), double{kInf}}) {
    EXPECT_FALSE(Accumulator::Create(TestPlan(MonteCarloDesign(8), bound), BadRecords::kFail, pool).ok());
  }
  const Points points = UniformPoints(5, 2, -2, 2, 1);
  proto::ReleasePlan plan = TestPlan(MonteCarloDesign(8), 1);
  Accumulator weighted = *Accumulator::Create(plan, BadRecords::kFail, pool);
  EXPECT_FALSE(weighted.Add(points.view()).ok());
  EXPECT_FALSE(weighted.Add(points.view(), {1, 1, 1, 1}).ok());
  Accumulator other = *Accumulator::Create(TestPlan(MonteCarloDesign(8), 2), BadRecords::kFail, pool);
  EXPECT_NE(std::string(weighted.Merge(std::move(other)).message()).find("weights.bound"), std::string::npos);
  plan.clear_weights();
  Accumulator plain = *Accumulator::Create(plan, BadRecords::kFail, pool);
  EXPECT_FALSE(plain.Add(points.view(), {1, 1, 1, 1, 1}).ok());
}

// Predictions are in units of the weights, and a plan says what its release does.
TEST(WeightsTest, ThePlannerKnowsTheBound) {
  PlanInputs inputs{Gaussian(1), 2, Cube(2, -2, 2), *PrivacySpec::Pure(1, Neighboring::kReplace)};
  inputs.public_n = 1000;
  inputs.design = "monte_carlo";
  inputs.features = 64;
  inputs.mechanism = proto::KNORM;
  const Candidate plain = Plan(inputs)->candidates[0];
  inputs.weights.emplace();
  inputs.weights->set_bound(5);
  const Candidate weighted = Plan(inputs)->candidates[0];
  EXPECT_NEAR(weighted.approximation_error, 5 * plain.approximation_error, 1e-9);
  // The sum of weights costs its share of the budget, which the public count does not.
  EXPECT_GT(weighted.noise_error, 5 * plain.noise_error);
  EXPECT_LT(weighted.noise_error, 5.2 * plain.noise_error);
  EXPECT_EQ(MakeReleasePlan(inputs, weighted).weights().bound(), 5);
  inputs.weights->set_bound(0);
  EXPECT_FALSE(Plan(inputs).ok());
}

}  // namespace
}  // namespace dpkde
