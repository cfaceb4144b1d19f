// Landmark releases of the letters against exact sums: 15,000 private, 700 others the reference, 200 more the queries.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "dpkde/designs/design_factory.h"
#include "dpkde/planner/planner.h"
#include "dpkde/sketch/accumulator.h"
#include "tests/testing/answers.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

Points Part(const Points& points, size_t begin, size_t end) {
  return {{points.values.begin() + begin * points.columns, points.values.begin() + end * points.columns},
          points.columns};
}

const Points& Letters() {
  static const Points& letters = *new Points(Shuffled(LoadPoints("tests/testdata/letter.npy"), 1));
  return letters;
}

struct Errors {
  double noise = 0, noise_predicted = 0, total = 0, total_predicted = 0, coverage = 0, bias_covered = 0;
};

// 200 releases that differ in noise alone.
Errors Measure(const PlanInputs& inputs, const Candidate& choice, const Points& records, const Points& queries) {
  ThreadPool pool;
  const size_t count = queries.rows();
  std::vector<double> exact(count);
  inputs.similarity.Sum(records.view(), queries.view(), pool, absl::MakeSpan(exact));
  const auto design =
      *CreateDesign(inputs.similarity, inputs.dimension, inputs.domain, MakeReleasePlan(inputs, choice).design());
  const auto mechanism = *Mechanism::Calibrate(choice.mechanism, design->groups(), inputs.privacy);
  const std::vector<int64_t> sums = SumsOf(*design, records.view());
  const std::vector<Answer> raw = Answers(*design, sums, mechanism.variances(), queries.view());
  Errors errors;
  errors.noise_predicted = choice.noise_error;
  errors.total_predicted = choice.total_error();
  SeededBitSource source(5);
  constexpr int kReleases = 200;
  std::vector<double> means(count);
  for (int release = 0; release < kReleases; ++release) {
    std::vector<int64_t> values = sums;
    mechanism.AddNoise(absl::MakeSpan(values), source);
    const std::vector<Answer> answers = Answers(*design, values, mechanism.variances(), queries.view());
    for (size_t q = 0; q < count; ++q) {
      const double share = 1.0 / count / kReleases;
      const double error = answers[q].sum - exact[q];
      means[q] += (answers[q].sum - raw[q].sum) / kReleases;
      errors.noise += std::pow(answers[q].sum - raw[q].sum, 2) * share;
      errors.total += error * error * share;
      const double half =
          1.96 * std::sqrt(*answers[q].total_variance) + (answers[q].is_unlike_plan ? *answers[q].bias_bound : 0);
      errors.coverage += (std::abs(error) <= half) * share;
      errors.bias_covered +=
          (std::abs(error) <= 3 * std::sqrt(answers[q].noise_variance) + *answers[q].bias_bound) * share;
    }
  }
  // Unbiased: within 6 standard errors; off by half the noise it would not be.
  for (size_t q = 0; q < count; ++q) {
    const double deviation = std::sqrt(raw[q].noise_variance);
    EXPECT_LT(std::abs(means[q]), 6 * deviation / std::sqrt(double{kReleases}));
    EXPECT_GT(std::abs(means[q] + deviation / 2), deviation / std::sqrt(double{kReleases}));
  }
  errors.noise = std::sqrt(errors.noise);
  errors.total = std::sqrt(errors.total);
  return errors;
}

TEST(LandmarkAccuracyTest, PredictionsHold) {
  const Points records = Part(Letters(), 0, 15000), queries = Part(Letters(), 15000, 15200);
  const Points reference = Part(Letters(), 16000, 16700);
  ThreadPool pool;
  for (const Similarity& similarity : {Gaussian(4), Laplacian(20), MakeSimilarity(Spec::L1, 0),
                                       MakeSimilarity(Spec::L2, 0), MakeSimilarity(Spec::LP_POWER, 0, 0.5)}) {
    const auto fit = std::make_shared<const LandmarkFit>(
        *LandmarkFit::Create(similarity, Cube(16, 0, 15), reference.view(), LandmarkFitOptions(), pool));
    for (Neighboring neighboring : {Neighboring::kAddRemove, Neighboring::kReplace}) {
      for (proto::Mechanism mechanism : {proto::KNORM, proto::LAPLACE, proto::GAUSSIAN}) {
        PlanInputs inputs{similarity, 16, Cube(16, 0, 15), *PrivacySpec::Approximate(1, 1e-6, neighboring)};
        inputs.public_n = 15000;
        inputs.landmarks = fit;
        inputs.design = "landmark";
        inputs.mechanism = mechanism;
        const PlanResult plan = *Plan(inputs);
        const Errors errors = Measure(inputs, plan.candidates[0], records, queries);
        const std::string name = similarity.name() + " " + MechanismName(mechanism) +
                                 (neighboring == Neighboring::kAddRemove ? " add_remove" : " replace");
        std::printf("%-32s %-24s noise %8.3f predicted %8.3f | total %8.3f predicted %8.3f | 95 %% covers %.4f\n",
                    name.c_str(), DescribeDesign(plan.candidates[0].design).c_str(), errors.noise,
                    errors.noise_predicted, errors.total, errors.total_predicted, errors.coverage);
        EXPECT_LE(errors.noise, 1.2 * errors.noise_predicted) << name;
        EXPECT_GE(errors.noise, errors.noise_predicted / 1.2) << name;
        EXPECT_LE(errors.total, 1.2 * errors.total_predicted) << name;
        EXPECT_GE(errors.coverage, 0.93) << name;
        EXPECT_GE(errors.bias_covered, 0.999) << name;
      }
    }
  }
}

// Letters that are wide, where the reference has narrow ones only: the error is many times what was predicted, which
// the release notices, and within the bias bound.
TEST(LandmarkAccuracyTest, TheBiasBoundCoversWhatTheReferenceLacks) {
  Points narrow, wide;
  narrow.columns = wide.columns = 16;
  for (size_t i = 0; i < Letters().rows(); ++i) {
    const auto row = Letters().view().row(i);
    // Column 2 is the width.
    if (row[2] <= 4) narrow.values.insert(narrow.values.end(), row.begin(), row.end());
    if (row[2] >= 8) wide.values.insert(wide.values.end(), row.begin(), row.end());
  }
  ThreadPool pool;
  const Points reference = Part(narrow, 0, 600), records = Part(wide, 0, 2000), queries = Part(wide, 2000, 2200);
  PlanInputs inputs{Gaussian(4), 16, Cube(16, 0, 15), PureAddRemove(1)};
  inputs.public_n = 2000;
  inputs.design = "landmark";
  inputs.landmarks = std::make_shared<const LandmarkFit>(
      *LandmarkFit::Create(Gaussian(4), Cube(16, 0, 15), reference.view(), LandmarkFitOptions(), pool));
  const PlanResult plan = *Plan(inputs);
  const Errors errors = Measure(inputs, plan.candidates[0], records, queries);
  EXPECT_GT(errors.total, 3 * errors.total_predicted);
  EXPECT_GE(errors.bias_covered, 0.999);
  EXPECT_GE(errors.coverage, 0.95);  // the intervals were widened

  Accumulator accumulator =
      *Accumulator::Create(MakeReleasePlan(inputs, plan.candidates[0]), Accumulator::BadRecords::kFail, pool);
  ASSERT_TRUE(accumulator.Add(records.view()).ok());
  SeededBitSource source(5);
  const Release release = *std::move(accumulator).Privatize(source);
  EXPECT_NE(release.DebugString().find("WARNING"), std::string::npos);
  // A file is the same release.
  const auto loaded = Release::Deserialize(release.Serialize());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded->Estimate(queries.view(), pool))[7].sum, (*release.Estimate(queries.view(), pool))[7].sum);
}

}  // namespace
}  // namespace dpkde
