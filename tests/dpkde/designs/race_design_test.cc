#include "dpkde/designs/race_design.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "dpkde/base/thread_pool.h"
#include "tests/testing/answers.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

std::unique_ptr<Design> Make(const Similarity& similarity, size_t dimension, uint32_t rows, uint32_t buckets,
                             uint64_t seed) {
  auto design = MakeRaceDesign(similarity, dimension, absl::nullopt,
                               RaceDesign(rows, RaceBuckets(similarity, buckets), seed).race());
  EXPECT_TRUE(design.ok()) << design.status();
  return *std::move(design);
}

struct Case {
  Similarity similarity, other;  // the other one is told apart
};

std::vector<Case> Cases() {
  return {
      {Laplacian(2), Laplacian(2.6)}, {PStable(2), PStable(2.6)}, {Angular(1), Angular(2)}, {Angular(4), Angular(3)}};
}

// Many rows, few buckets (so that what they share counts): the exact sums within 5 standard errors, and those of
// another bandwidth or power not. The error of few rows is at most, and not far below, what is predicted.
TEST(RaceDesignTest, IsUnbiasedWithTheErrorOfTheTheory) {
  ThreadPool pool(1);
  Points points = UniformPoints(40, 2, -2, 2, 1), queries = UniformPoints(30, 2, -2, 2, 2);
  // Nowhere and far away.
  points.values[0] = points.values[1] = 0;
  queries.values[0] = 1e6f;
  for (const Case& test : Cases()) {
    std::vector<double> exact(30), wrong(30);
    test.similarity.Sum(points.view(), queries.view(), pool, absl::MakeSpan(exact));
    test.other.Sum(points.view(), queries.view(), pool, absl::MakeSpan(wrong));
    const std::vector<Answer> answers =
        NoiselessAnswers(*Make(test.similarity, 2, 20000, 8, 1), points.view(), queries.view());
    double largest = 0, control = 0, similarity = 0;
    for (size_t q = 0; q < 30; ++q) {
      const double error = std::sqrt(*answers[q].total_variance);
      largest = std::max(largest, std::abs(answers[q].sum - exact[q]) / error);
      control = std::max(control, std::abs(answers[q].sum - wrong[q]) / error);
      similarity += exact[q] / 40 / 30;
    }
    EXPECT_LE(largest, 5) << test.similarity.name();
    EXPECT_GT(control, 5) << test.similarity.name();

    double square = 0;
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const std::vector<Answer> few =
          NoiselessAnswers(*Make(test.similarity, 2, 50, 64, seed), points.view(), queries.view());
      for (size_t q = 0; q < 30; ++q) square += std::pow(few[q].sum - exact[q], 2) / (40 * 30);
    }
    const double predicted = RaceApproximationError(40, similarity, 50, RaceShare(test.similarity, 64));
    EXPECT_LE(std::sqrt(square), 1.2 * predicted) << test.similarity.name();
    // Of directions all around, signs err in opposite ways.
    EXPECT_GE(std::sqrt(square), predicted / (test.similarity.is_shift_invariant() ? 3 : 20)) << test.similarity.name();
  }
}

// All records in one place and a query of similarity 1/2 to it: n sqrt(s (1 - s) / rows) exactly.
TEST(RaceDesignTest, ErrorOfRecordsInOnePlaceIsThatOfTheTheory) {
  Points points, query;
  points.columns = query.columns = 2;
  for (int i = 0; i < 100; ++i) points.values.insert(points.values.end(), {1, 0});
  query.values = {0, 3};
  double square = 0;
  constexpr int kSeeds = 400;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    square +=
        std::pow(NoiselessAnswers(*Make(Angular(1), 2, 20, 2, seed), points.view(), query.view())[0].sum - 50, 2) /
        kSeeds;
  }
  EXPECT_NEAR(std::sqrt(square) / RaceApproximationError(100, 0.5, 20, 0), 1, 0.15);
  // The control: of twice the rows.
  EXPECT_GT(std::sqrt(square) / RaceApproximationError(100, 0.5, 40, 0), 1.2);
}

// Records and query in independent directions of many dimensions: all at one distance, or angle, from each other.
TEST(RaceDesignTest, ErrorOfRecordsAroundOneCenterIsTypical) {
  ThreadPool pool(1);
  const struct {
    Similarity similarity;
    double shift;  // of the cloud from the origin, for angles below 90 degrees
  } cases[] = {{PStable(30), 0}, {PStable(10), 0}, {Laplacian(60), 0}, {Angular(2), 1.2}, {Angular(4), 2}};
  for (const auto& test : cases) {
    constexpr size_t kDimension = 60, kRecords = 50, kQueries = 40;
    const double low = -1.5 + test.shift, high = 1.5 + test.shift;
    const Points points = UniformPoints(kRecords, kDimension, low, high, 1);
    const Points queries = UniformPoints(kQueries, kDimension, low, high, 2);
    std::vector<double> exact(kQueries);
    test.similarity.Sum(points.view(), queries.view(), pool, absl::MakeSpan(exact));
    double square = 0, similarity = 0;
    for (double sum : exact) similarity += sum / kRecords / kQueries;
    constexpr int kSeeds = 50;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      const std::vector<Answer> answers =
          NoiselessAnswers(*Make(test.similarity, kDimension, 40, 4096, seed), points.view(), queries.view());
      for (size_t q = 0; q < kQueries; ++q) square += std::pow(answers[q].sum - exact[q], 2) / (kSeeds * kQueries);
    }
    // What a record alone adds: n s (1 - s) / rows.
    const double share = RaceShare(test.similarity, 4096);
    const double typical = std::hypot(TypicalRaceApproximationError(test.similarity, kRecords, similarity, 40, share),
                                      std::sqrt(kRecords * similarity * (1 - similarity) / 40));
    const double measured = std::sqrt(square);
    std::printf("%s: similarity %.3f, error %.3f, typical %.3f, worst %.3f\n", test.similarity.name().c_str(),
                similarity, measured, typical, RaceApproximationError(kRecords, similarity, 40, share));
    EXPECT_LE(measured, 1.2 * typical) << test.similarity.name();
    EXPECT_GE(measured, typical / 1.5) << test.similarity.name();
  }
}

// sqrt(2 rows) / epsilon, with 1 % or more of epsilon for the count.
TEST(RaceDesignTest, NoiseIsThatOfTheTheory) {
  const Points queries = UniformPoints(40, 3, -9, 9, 3);
  for (const Case& test : Cases()) {
    const auto design = Make(test.similarity, 3, 50, 64, 7);
    const auto measure = [&](double epsilon) {
      return MeasureNoise(*design, PureAddRemove(epsilon), queries.view(), /*releases=*/200);
    };
    const double theory = std::sqrt(100.0) / 0.5;
    const NoiseErrors errors = measure(0.5);
    EXPECT_NEAR(errors.measured / theory, 1, 0.1);
    EXPECT_NEAR(errors.stated / theory, 1, 0.1);
    EXPECT_LT(measure(0.65).measured / theory, 0.9);
  }
}

TEST(RaceDesignTest, RefusesWhatItCannotDo) {
  const auto code = [](const Similarity& similarity, const proto::RaceSpec& spec) {
    return MakeRaceDesign(similarity, 2, absl::nullopt, spec).status().code();
  };
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code(Gaussian(1), RaceDesign(8, 64).race()), kBad);
  EXPECT_EQ(code(Laplacian(1), RaceDesign(0, 64).race()), kBad);
  EXPECT_EQ(code(Laplacian(1), RaceDesign(8, 1).race()), kBad);
  EXPECT_EQ(code(Laplacian(1), RaceDesign(60000, 1 << 20).race()), kBad);
  // 2^p counters, no more of them, and no more entries than fit.
  EXPECT_EQ(code(Angular(3), RaceDesign(8, 8).race()), absl::StatusCode::kOk);
  EXPECT_EQ(code(Angular(3), RaceDesign(8, 16).race()), kBad);
  EXPECT_EQ(code(Angular(16), RaceDesign(512, 1 << 16).race()), kBad);
  proto::RaceSpec spec = Make(Laplacian(2), 2, 8, 64, 1)->spec().race();
  EXPECT_EQ(code(Laplacian(2), spec), absl::StatusCode::kOk);
  EXPECT_EQ(code(Laplacian(1), spec), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace dpkde
