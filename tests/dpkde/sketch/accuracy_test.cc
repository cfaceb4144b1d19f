// Predictions against real data: the zip codes and the letters, over 1,000 query points each. What --dry_run prints is
// what Plan predicts, so a prediction that holds here holds for the tool.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "dpkde/designs/design_factory.h"
#include "dpkde/planner/planner.h"
#include "dpkde/sketch/accumulator.h"
#include "tests/testing/answers.h"
#include "tests/testing/raw_sums.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

struct Dataset {
  Points points;
  Points queries;  // 1,000 of the points
  std::vector<double> exact;
};

Dataset MakeDataset(const std::string& file, const Similarity& similarity) {
  Dataset dataset;
  dataset.points = LoadPoints("tests/testdata/" + file);
  dataset.queries = SampleRows(dataset.points, 1000, 1);
  dataset.exact.resize(1000);
  ThreadPool pool;
  similarity.Sum(dataset.points.view(), dataset.queries.view(), pool, absl::MakeSpan(dataset.exact));
  return dataset;
}

const Dataset& ZipCodes() {
  static const Dataset& dataset = *new Dataset(MakeDataset("us_zipcodes.npy", Gaussian(1)));
  return dataset;
}

const Dataset& Letters() {
  static const Dataset& dataset = *new Dataset(MakeDataset("letter.npy", Gaussian(4)));
  return dataset;
}

constexpr double kAny = std::numeric_limits<double>::infinity();

struct Case {
  std::string name;
  bool letters;
  std::string design;
  proto::Mechanism mechanism;
  absl::optional<uint32_t> features;
  double epsilon;
  absl::optional<double> delta;
  double coverage_at_most;
  // What is promised in the README besides.
  double largest_noise = kAny;
  double largest_total = kAny;
};

std::vector<Case> Cases() {
  const double delta = 1e-6;
  return {
      {"zip_grid_laplace", false, "spline_grid", proto::LAPLACE, absl::nullopt, 1, absl::nullopt, 0.97, kAny, 6},
      {"zip_grid_gaussian", false, "spline_grid", proto::GAUSSIAN, absl::nullopt, 1, delta, 0.97, kAny, kAny},
      {"zip_lattice_laplace", false, "lattice", proto::LAPLACE, absl::nullopt, 1, absl::nullopt, 0.97, kAny, kAny},
      {"zip_lattice_gaussian", false, "lattice", proto::GAUSSIAN, absl::nullopt, 1, delta, 0.97, 4.5, kAny},
      {"zip_lattice_knorm", false, "lattice", proto::KNORM, absl::nullopt, 1, absl::nullopt, 0.97, kAny, kAny},
      {"letter_orthogonal_knorm", true, "orthogonal", proto::KNORM, 1024, 1, absl::nullopt, 1, kAny, kAny},
      {"zip_monte_carlo_laplace", false, "monte_carlo", proto::LAPLACE, 1024, 1, absl::nullopt, 1, kAny, kAny},
      {"zip_monte_carlo_gaussian", false, "monte_carlo", proto::GAUSSIAN, 1024, 1, delta, 1, kAny, kAny},
      {"zip_orthogonal_gaussian", false, "orthogonal", proto::GAUSSIAN, 1024, 1, delta, 1, kAny, kAny},
      {"letter_monte_carlo_laplace", true, "monte_carlo", proto::LAPLACE, 1024, 1, absl::nullopt, 1, kAny, kAny},
      {"letter_monte_carlo_gaussian", true, "monte_carlo", proto::GAUSSIAN, 1024, 1, delta, 1, kAny, kAny},
      {"letter_orthogonal_laplace", true, "orthogonal", proto::LAPLACE, 1024, 1, absl::nullopt, 1, kAny, kAny},
      {"letter_orthogonal_gaussian", true, "orthogonal", proto::GAUSSIAN, 1024, 1, delta, 1, kAny, kAny},
      {"zip_grid_laplace_small_epsilon", false, "spline_grid", proto::LAPLACE, absl::nullopt, 0.1, absl::nullopt, 0.97,
       kAny, kAny},
  };
}

PlanInputs InputsOf(const Case& test, uint64_t public_seed) {
  const PrivacySpec privacy =
      test.delta.has_value() ? ApproximateAddRemove(test.epsilon, *test.delta) : PureAddRemove(test.epsilon);
  PlanInputs inputs{test.letters ? Gaussian(4) : Gaussian(1), test.letters ? size_t{16} : size_t{2},
                    test.letters ? Cube(16, 0, 15) : ZipCodeDomain(), privacy};
  // What anybody may know: about 42,000 zip codes, a typical one within a degree or two of one in 75; 20,000 letters.
  inputs.public_n = test.letters ? 20000 : 42000;
  if (!test.letters) inputs.expected_similarity = 1 / 75.0;
  inputs.design = test.design;
  inputs.mechanism = test.mechanism;
  inputs.features = test.features;
  inputs.public_seed = public_seed;
  return inputs;
}

double Rms(const std::vector<double>& errors) {
  double square = 0;
  for (double error : errors) square += error * error;
  return std::sqrt(square / errors.size());
}

class AccuracyTest : public testing::TestWithParam<Case> {};

// 8 releases, each with public randomness of its own. The noise RMSE over 8,000 answers scatters by a few per cent; a
// tenth more noise than is stated stays unseen here and is seen by the tests of the samplers.
TEST_P(AccuracyTest, PredictionsHold) {
  const Case& test = GetParam();
  const Dataset& dataset = test.letters ? Letters() : ZipCodes();
  ThreadPool pool;
  std::vector<double> noise_errors, total_errors;
  size_t covered = 0;
  double noise_predicted = 0, total_predicted = 0;
  for (uint64_t round = 0; round < 8; ++round) {
    const PlanInputs inputs = InputsOf(test, round);
    const PlanResult plan = *Plan(inputs);
    noise_predicted = plan.candidates[0].noise_error;
    total_predicted = plan.candidates[0].total_error();
    Accumulator accumulator =
        *Accumulator::Create(MakeReleasePlan(inputs, plan.candidates[0]), Accumulator::BadRecords::kFail, pool);
    ASSERT_TRUE(accumulator.Add(dataset.points.view()).ok());

    // Without noise, to tell noise from approximation.
    const std::vector<int64_t> raw = RawSumsTestPeer::Total(accumulator);
    const auto design = CreateDesign(inputs.similarity, inputs.dimension, inputs.domain, accumulator.plan().design());
    std::vector<Answer> noiseless(1000);
    (*design)
        ->MakeReleasedFunction(raw, std::vector<double>((*design)->groups().size()))
        ->Evaluate(dataset.queries.view(), absl::MakeSpan(noiseless));

    SeededBitSource source(round);
    const Release release = *std::move(accumulator).Privatize(source);
    const std::vector<DensityEstimate> estimates = *release.Estimate(dataset.queries.view(), pool);
    for (size_t i = 0; i < 1000; ++i) {
      noise_errors.push_back(estimates[i].sum - noiseless[i].sum);
      total_errors.push_back(estimates[i].sum - dataset.exact[i]);
      covered += estimates[i].ci95_low <= dataset.exact[i] && dataset.exact[i] <= estimates[i].ci95_high;
      if (estimates[i].bias_bound.has_value()) {
        // The bound is a statement about all data; its own count is noised, hence the 1 %.
        EXPECT_LE(std::abs(noiseless[i].sum - dataset.exact[i]), *estimates[i].bias_bound * 1.01 + 1e-3);
      }
    }
  }
  const double noise = Rms(noise_errors), total = Rms(total_errors);
  const double coverage = covered / 8000.0;
  double mean = 0;
  for (double sum : dataset.exact) mean += sum / 1000;
  std::printf(
      "%-32s mean answer %8.1f | noise rmse %8.3f predicted %8.3f | total rmse %8.3f predicted %8.3f | 95 %% covers "
      "%.4f\n",
      test.name.c_str(), mean, noise, noise_predicted, total, total_predicted, coverage);
  EXPECT_LE(noise, 1.2 * noise_predicted);
  EXPECT_GE(noise, noise_predicted / 1.2);
  EXPECT_LE(total, 1.2 * total_predicted);
  EXPECT_GE(coverage, 0.93);
  EXPECT_LE(coverage, test.coverage_at_most);
  EXPECT_LE(noise, test.largest_noise);
  EXPECT_LE(total, test.largest_total);
}

INSTANTIATE_TEST_SUITE_P(Designs, AccuracyTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// The mean of 2,000 releases is the noiseless answer within 6 standard errors at 50 queries: noise has mean zero.
// Power: a bias of a fifth of the noise would be 9 standard errors; the control shows it.
TEST(UnbiasednessTest, TheMeanOfManyReleasesIsTheAnswer) {
  constexpr int kReleases = 2000;
  constexpr size_t kQueries = 50;
  const Dataset& dataset = ZipCodes();
  const MatrixView queries = dataset.queries.view().Slice(0, kQueries);
  struct Structure {
    proto::DesignSpec design;
    proto::Mechanism mechanism;
  };
  for (const Structure& structure :
       {Structure{SplineGridDesign({60, 28}), proto::LAPLACE}, Structure{SplineGridDesign({60, 28}), proto::GAUSSIAN},
        Structure{LatticeDesign(1e-2), proto::LAPLACE}, Structure{LatticeDesign(1e-2), proto::GAUSSIAN},
        Structure{MonteCarloDesign(256), proto::KNORM}, Structure{MonteCarloDesign(256), proto::LAPLACE},
        Structure{MonteCarloDesign(256), proto::GAUSSIAN}}) {
    const auto design = CreateDesign(Gaussian(1), 2, ZipCodeDomain(), structure.design);
    const auto mechanism =
        Mechanism::Calibrate(structure.mechanism, (*design)->groups(), ApproximateAddRemove(1, 1e-6));
    const std::vector<int64_t> raw = SumsOf(**design, dataset.points.view());
    const std::vector<Answer> noiseless = Answers(**design, raw, mechanism->variances(), queries);
    std::vector<double> sums(kQueries), squares(kQueries);
    SeededBitSource source(11);
    for (int round = 0; round < kReleases; ++round) {
      std::vector<int64_t> values = raw;
      mechanism->AddNoise(absl::MakeSpan(values), source);
      const std::vector<Answer> answers = Answers(**design, values, mechanism->variances(), queries);
      for (size_t i = 0; i < kQueries; ++i) {
        const double error = answers[i].sum - noiseless[i].sum;
        sums[i] += error;
        squares[i] += error * error;
      }
    }
    for (size_t i = 0; i < kQueries; ++i) {
      const double deviation = std::sqrt(noiseless[i].noise_variance);
      const double standard_error = deviation / std::sqrt(double{kReleases});
      EXPECT_LE(std::abs(sums[i] / kReleases), 6 * standard_error);
      EXPECT_GT(std::abs(sums[i] / kReleases + deviation / 5), 3 * standard_error);  // the control
      // The stated standard error of every answer is right too: 2,000 draws know it to 2 %.
      EXPECT_NEAR(std::sqrt(squares[i] / kReleases) / deviation, 1, 0.12);
      if ((*design)->SupError().has_value()) {
        EXPECT_LE(std::abs(noiseless[i].sum - dataset.exact[i]), *(*design)->SupError() * dataset.points.rows() + 1e-3);
      }
    }
  }
}

}  // namespace
}  // namespace dpkde
