#include "dpkde/designs/lsq_rff_design.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dpkde/base/thread_pool.h"
#include "tests/testing/answers.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

std::unique_ptr<Design> Make(const Similarity& similarity, size_t dimension, uint32_t features, uint64_t seed) {
  absl::optional<Domain> domain;
  if (similarity.kind() == proto::SimilaritySpec::LAPLACIAN) domain = Cube(dimension, -3, 3);
  auto design = MakeLsqRffDesign(similarity, dimension, domain, LsqRffDesign(features, seed).lsq_rff());
  EXPECT_TRUE(design.ok()) << design.status();
  return *std::move(design);
}

// Over 400 draws of the features the mean answer is the exact sum; that of another bandwidth, it is not.
TEST(LsqRffDesignTest, IsUnbiased) {
  ThreadPool pool(1);
  const Points points = UniformPoints(40, 2, -2, 2, 1), queries = UniformPoints(5, 2, -2, 2, 2);
  for (const auto& [similarity, other] :
       {std::make_pair(Gaussian(1), Gaussian(1.3)), std::make_pair(Laplacian(2), Laplacian(2.6))}) {
    std::vector<double> exact(5), wrong(5), mean(5), square(5);
    similarity.Sum(points.view(), queries.view(), pool, absl::MakeSpan(exact));
    other.Sum(points.view(), queries.view(), pool, absl::MakeSpan(wrong));
    constexpr int kDraws = 400;
    for (int seed = 0; seed < kDraws; ++seed) {
      const std::vector<Answer> answers =
          NoiselessAnswers(*Make(similarity, 2, 64, seed), points.view(), queries.view());
      for (size_t q = 0; q < 5; ++q) {
        mean[q] += answers[q].sum / kDraws;
        square[q] += answers[q].sum * answers[q].sum / kDraws;
      }
    }
    double largest = 0, control = 0;
    for (size_t q = 0; q < 5; ++q) {
      const double error = std::sqrt((square[q] - mean[q] * mean[q]) / kDraws);
      largest = std::max(largest, std::abs(mean[q] - exact[q]) / error);
      control = std::max(control, std::abs(mean[q] - wrong[q]) / error);
    }
    EXPECT_LE(largest, 5);
    EXPECT_GT(control, 5);
  }
}

// All records in one place and queries where the kernel is nearly 0: the worst case, which the prediction is for.
TEST(LsqRffDesignTest, ApproximationErrorIsThatOfTheTheory) {
  Points points, query;
  points.columns = query.columns = 2;
  points.values.assign(200, 1.5f);
  query.values = {-4, -4};
  double square = 0;
  constexpr int kDraws = 300;
  for (int seed = 0; seed < kDraws; ++seed) {
    square +=
        std::pow(NoiselessAnswers(*Make(Gaussian(1), 2, 32, seed), points.view(), query.view())[0].sum, 2) / kDraws;
  }
  const double predicted = LsqRffApproximationError(100, 1, 32);
  EXPECT_LE(std::sqrt(square), 1.2 * predicted);
  EXPECT_GE(std::sqrt(square), predicted / 1.2);
}

// 2 sqrt(m) / epsilon; noise for a 1.4 times larger epsilon does not pass for it.
TEST(LsqRffDesignTest, NoiseIsThatOfTheTheory) {
  const auto design = Make(Gaussian(1), 3, 128, 7);
  const Points queries = UniformPoints(40, 3, -2, 2, 3);
  const auto measure = [&](double epsilon) {
    return MeasureNoise(*design, PureAddRemove(epsilon), queries.view(), /*releases=*/100);
  };
  const double theory = 2 * std::sqrt(128.0) / 0.5;
  const NoiseErrors errors = measure(0.5);
  EXPECT_NEAR(errors.measured / theory, 1, 0.15);
  EXPECT_NEAR(errors.stated / theory, 1, 0.15);
  EXPECT_NEAR(errors.measured / errors.stated, 1, 0.1);
  EXPECT_LT(measure(0.7).measured / theory, 0.85);
}

TEST(LsqRffDesignTest, RefusesWhatItCannotDo) {
  const auto make = [](const Similarity& similarity, const proto::LsqRffSpec& spec) {
    return MakeLsqRffDesign(similarity, 2, absl::nullopt, spec).status().code();
  };
  EXPECT_EQ(make(Gaussian(1), LsqRffDesign(0).lsq_rff()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(make(Laplacian(1), LsqRffDesign(8).lsq_rff()), absl::StatusCode::kInvalidArgument);  // without a domain
  EXPECT_EQ(make(MakeSimilarity(proto::SimilaritySpec::L1, 0), LsqRffDesign(8).lsq_rff()),
            absl::StatusCode::kInvalidArgument);
  proto::LsqRffSpec spec = Make(Gaussian(1), 2, 8, 1)->spec().lsq_rff();
  EXPECT_EQ(make(Gaussian(1), spec), absl::StatusCode::kOk);
  spec.mutable_fingerprint()->at(3) ^= 1;
  EXPECT_EQ(make(Gaussian(1), spec), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace dpkde
