#include "dpkde/similarity/similarity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

TEST(SimilarityTest, EvaluatesTheDefinitions) {
  const std::vector<float> x = {1, 2, 3}, y = {2, 0, 3.5};
  EXPECT_NEAR(Gaussian(2).Evaluate(x, y), std::exp(-(1 + 4 + 0.25) / 8), 1e-15);
  EXPECT_NEAR(Laplacian(2).Evaluate(x, y), std::exp(-(1 + 2 + 0.5) / 2), 1e-15);
  EXPECT_EQ(Gaussian(0.1).Evaluate(x, x), 1);
  EXPECT_EQ(Laplacian(0.1).Evaluate(x, x), 1);
}

TEST(SimilarityTest, IsAProductOverAxes) {
  const std::vector<float> x = {1, -2}, y = {0.5, 1};
  for (const Similarity& similarity : {Gaussian(1.5), Laplacian(1.5)}) {
    EXPECT_NEAR(similarity.EvaluateAxis(0.5) * similarity.EvaluateAxis(-3), similarity.Evaluate(x, y), 1e-15);
  }
}

TEST(SimilarityTest, SumEqualsTheNaiveLoopForAnyNumberOfThreads) {
  const Points points = UniformPoints(5001, 7, -1, 1, 1);
  const Points queries = UniformPoints(83, 7, -1, 1, 2);
  ThreadPool one(1), three(3);
  for (const Similarity& similarity : {Gaussian(0.7), Laplacian(0.7)}) {
    std::vector<double> alone(queries.rows()), together(queries.rows());
    similarity.Sum(points.view(), queries.view(), one, absl::MakeSpan(alone));
    similarity.Sum(points.view(), queries.view(), three, absl::MakeSpan(together));
    EXPECT_EQ(alone, together);
    for (size_t j = 0; j < queries.rows(); ++j) {
      double naive = 0;
      for (size_t i = 0; i < points.rows(); ++i) {
        naive += similarity.Evaluate(points.view().row(i), queries.view().row(j));
      }
      EXPECT_NEAR(alone[j], naive, 1e-9 * naive);
    }
  }
}

TEST(SimilarityTest, SumOverNothingIsZero) {
  ThreadPool pool(1);
  std::vector<double> sums(1, 7);
  const std::vector<float> query = {1};
  Gaussian(1).Sum({nullptr, 0, 1}, {query.data(), 1, 1}, pool, absl::MakeSpan(sums));
  EXPECT_EQ(sums[0], 0);
}

TEST(SimilarityTest, RefusesBadBandwidthsByOnePhrase) {
  const double inf = std::numeric_limits<double>::infinity();
  for (double bandwidth : {0.0, -1.0, inf, -inf, std::nan("")}) {
    proto::SimilaritySpec spec;
    spec.set_kind(proto::SimilaritySpec::GAUSSIAN);
    spec.set_bandwidth(bandwidth);
    const auto status = Similarity::Create(spec).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(status.message()).find("bandwidth must be finite and positive"), std::string::npos);
  }
}

TEST(SimilarityTest, KnowsItsNames) {
  EXPECT_TRUE(*SimilarityKindFromName("laplacian") == proto::SimilaritySpec::LAPLACIAN);
  EXPECT_EQ(SimilarityKindFromName("Gaussian").status().message(),
            "unknown similarity 'Gaussian'; known are gaussian, laplacian");
  EXPECT_FALSE(Similarity::Create(proto::SimilaritySpec()).ok());
}

}  // namespace
}  // namespace dpkde
