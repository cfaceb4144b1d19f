// Sums of distances at pure epsilon = 1: the planner's choice against exact sums, over many draws of the noise.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <ostream>
#include <tuple>

#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/planner/planner.h"
#include "tests/testing/answers.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

struct Measured {
  double total = 0, noise = 0, predicted = 0, predicted_noise = 0, coverage = 0;
};

// Root mean squares over `draws` of the noise and the queries.
Measured Measure(const PlanInputs& inputs, const Points& points, const Points& queries, int draws) {
  ThreadPool pool;
  std::vector<double> exact(queries.rows());
  inputs.similarity.Sum(points.view(), queries.view(), pool, absl::MakeSpan(exact));
  const Candidate choice = Plan(inputs)->candidates[0];
  const auto design = CreateDesign(inputs.similarity, inputs.dimension, inputs.domain, choice.design);
  const auto mechanism = Mechanism::Calibrate(choice.mechanism, (*design)->groups(), inputs.privacy);
  const std::vector<int64_t> raw = SumsOf(**design, points.view());
  const std::vector<Answer> noiseless = Answers(**design, raw, mechanism->variances(), queries.view());
  Measured measured;
  SeededBitSource source(17);
  const double weight = 1.0 / draws / queries.rows();
  for (int draw = 0; draw < draws; ++draw) {
    std::vector<int64_t> values = raw;
    mechanism->AddNoise(absl::MakeSpan(values), source);
    const std::vector<Answer> answers = Answers(**design, values, mechanism->variances(), queries.view());
    for (size_t q = 0; q < queries.rows(); ++q) {
      measured.total += std::pow(answers[q].sum - exact[q], 2) * weight;
      measured.noise += std::pow(answers[q].sum - noiseless[q].sum, 2) * weight;
      measured.coverage += (std::abs(answers[q].sum - exact[q]) <=
                            1.96 * std::sqrt(answers[q].total_variance.value_or(answers[q].noise_variance))) *
                           weight;
    }
  }
  measured.total = std::sqrt(measured.total);
  measured.noise = std::sqrt(measured.noise);
  measured.predicted = choice.total_error();
  measured.predicted_noise = choice.noise_error;
  std::printf("%-28s %-8s n=%-7zu noise %7.3f predicted %7.3f | total %7.3f predicted %7.3f | 95 %% covers %.3f\n",
              DescribeDesign(choice.design).c_str(), MechanismName(choice.mechanism).c_str(), points.rows(),
              measured.noise, measured.predicted_noise, measured.total, measured.predicted, measured.coverage);
  return measured;
}

// 100 atoms, each with a hundredth of the records.
Points Atoms(size_t n, uint64_t seed) {
  const Points places = UniformPoints(100, 1, 0, 1, seed);
  Points points;
  points.columns = 1;
  for (size_t i = 0; i < n; ++i) points.values.push_back(places.values[i % 100]);
  return points;
}

// Number of records, whether they are atoms, relation.
class L1InOneDimensionTest : public ::testing::TestWithParam<std::tuple<size_t, bool, Neighboring>> {};

// l1 in one dimension: 3.2 R with a private count and 3.9 R with a public one, whatever the number of records and
// however they lie. 300 draws know an RMSE to about 4 %.
TEST_P(L1InOneDimensionTest, IsAsAccurateAsPredicted) {
  const auto [n, atoms, neighboring] = GetParam();
  const Points queries = UniformPoints(200, 1, 0, 1, 5);
  const Points points = atoms ? Atoms(n, 2) : UniformPoints(n, 1, 0, 1, 1);
  PlanInputs inputs{MakeSimilarity(proto::SimilaritySpec::L1, 0), 1, Cube(1, 0, 1), *PrivacySpec::Pure(1, neighboring)};
  inputs.public_n = n;
  const Measured measured = Measure(inputs, points, queries, 300);
  EXPECT_LE(measured.total, neighboring == Neighboring::kAddRemove ? 3.2 : 3.9);
  EXPECT_LE(measured.noise, 1.2 * measured.predicted_noise);
  EXPECT_GE(measured.noise, measured.predicted_noise / 1.2);
  EXPECT_LE(measured.total, 1.2 * measured.predicted);
  EXPECT_GE(measured.coverage, 0.93);
}

constexpr Neighboring kRelations[] = {Neighboring::kAddRemove, Neighboring::kReplace};

INSTANTIATE_TEST_SUITE_P(DistanceAccuracy, L1InOneDimensionTest,
                         ::testing::Combine(::testing::Values(1000, 100000), ::testing::Bool(),
                                            ::testing::ValuesIn(kRelations)));

struct Distance {
  proto::SimilaritySpec::Kind kind;
  double p;
  size_t dimension;
  bool delta;
};

constexpr Distance kDistances[] = {
    {proto::SimilaritySpec::L1, 0, 8, false},
    {proto::SimilaritySpec::L1, 0, 8, true},
    {proto::SimilaritySpec::LP_POWER, 0.5, 2, false},
    {proto::SimilaritySpec::LP_POWER, 1.5, 2, false},
    {proto::SimilaritySpec::L2, 0, 1, false},
    {proto::SimilaritySpec::L2, 0, 2, false},
    {proto::SimilaritySpec::L2, 0, 2, true},
    {proto::SimilaritySpec::L2, 0, 8, false},
    {proto::SimilaritySpec::L2, 0, 100, false},
    {proto::SimilaritySpec::L2, 0, 100, true},
    {proto::SimilaritySpec::L2_SQUARED, 0, 8, false},
    {proto::SimilaritySpec::L2_SQUARED, 0, 8, true},
    {proto::SimilaritySpec::L2_SQUARED, 0, 100, false},
    {proto::SimilaritySpec::INNER_PRODUCT, 0, 8, false},
    {proto::SimilaritySpec::INNER_PRODUCT, 0, 8, true},
    {proto::SimilaritySpec::COSINE, 0, 8, false},
};

void PrintTo(const Distance& test, std::ostream* out) {
  *out << proto::SimilaritySpec::Kind_Name(test.kind) << " " << test.p << ", " << test.dimension << " dimensions";
}

class OtherDistancesTest : public ::testing::TestWithParam<std::tuple<Distance, Neighboring>> {};

TEST_P(OtherDistancesTest, AreAsAccurateAsPredicted) {
  const auto& [test, neighboring] = GetParam();
  PlanInputs inputs{
      MakeSimilarity(test.kind, 0, test.p), test.dimension, Cube(test.dimension, -2, 3),
      test.delta ? *PrivacySpec::Approximate(1, 1e-6, neighboring) : *PrivacySpec::Pure(1, neighboring)};
  inputs.public_n = 2000;
  const Measured measured = Measure(inputs, UniformPoints(2000, test.dimension, -2, 3, 1),
                                    UniformPoints(60, test.dimension, -2, 3, 2), 700);
  EXPECT_LE(measured.noise, 1.2 * measured.predicted_noise);
  EXPECT_GE(measured.noise, measured.predicted_noise / 1.2);
  EXPECT_LE(measured.total, 1.2 * measured.predicted);
  EXPECT_GE(measured.coverage, 0.93);
}

INSTANTIATE_TEST_SUITE_P(DistanceAccuracy, OtherDistancesTest,
                         ::testing::Combine(::testing::ValuesIn(kDistances), ::testing::ValuesIn(kRelations)));

}  // namespace
}  // namespace dpkde
