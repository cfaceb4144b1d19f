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
  // r_1 = 3.5, r_2^2 = 5.25; bandwidth 2.
  using Spec = proto::SimilaritySpec;
  const double r2 = std::sqrt(5.25);
  EXPECT_NEAR(MakeSimilarity(Spec::EXPONENTIAL, 2).Evaluate(x, y), std::exp(-r2 / 2), 1e-15);
  EXPECT_NEAR(MakeSimilarity(Spec::MATERN, 2, 0.5).Evaluate(x, y), std::exp(-r2 / 2), 1e-15);
  // 2^(1-nu) / Gamma(nu) s^nu K_nu(s), with mpmath.
  EXPECT_NEAR(MakeSimilarity(Spec::MATERN, 2, 1.5).Evaluate(x, y), 0.4102683784883142, 1e-14);
  EXPECT_NEAR(MakeSimilarity(Spec::MATERN, 2, 2.5).Evaluate(x, y), 0.4436716927252919, 1e-14);
  EXPECT_NEAR(MakeSimilarity(Spec::RATIONAL_QUADRATIC, 2, 0.7).Evaluate(x, y), std::pow(1 + 5.25 / 5.6, -0.7), 1e-15);
  EXPECT_NEAR(MakeSimilarity(Spec::CAUCHY, 2).Evaluate(x, y), 1 / (1 + 5.25 / 4), 1e-15);
  EXPECT_NEAR(MakeSimilarity(Spec::INVERSE_L2, 2).Evaluate(x, y), 1 / (1 + r2 / 2), 1e-15);
  EXPECT_NEAR(MakeSimilarity(Spec::INVERSE_L1, 2).Evaluate(x, y), 1 / (1 + 3.5 / 2), 1e-15);
  EXPECT_NEAR(MakeSimilarity(Spec::PRODUCT_CAUCHY, 2).Evaluate(x, y), 1 / (1.25 * 2 * 1.0625), 1e-15);
  EXPECT_NEAR(MakeSimilarity(Spec::L1, 0).Evaluate(x, y), 3.5, 1e-15);
  EXPECT_NEAR(MakeSimilarity(Spec::LP_POWER, 0, 0.5).Evaluate(x, y), 1 + std::sqrt(2.0) + std::sqrt(0.5), 1e-15);
  EXPECT_NEAR(MakeSimilarity(Spec::L2, 0).Evaluate(x, y), r2, 1e-15);
  EXPECT_NEAR(MakeSimilarity(Spec::L2_SQUARED, 0).Evaluate(x, y), 5.25, 1e-15);
}

TEST(SimilarityTest, ProductsFollowTheirDefinitions) {
  const std::vector<float> x = {3, 4, 0}, y = {1, -2, 2}, zero = {0, 0, 0};
  const Similarity cosine = MakeSimilarity(proto::SimilaritySpec::COSINE, 0);
  EXPECT_EQ(MakeSimilarity(proto::SimilaritySpec::INNER_PRODUCT, 0).Evaluate(x, y), -5);
  EXPECT_NEAR(cosine.Evaluate(x, y), -5.0 / 15, 1e-15);
  EXPECT_EQ(cosine.Evaluate(x, zero), 0);
  EXPECT_FALSE(cosine.is_kernel());
  EXPECT_FALSE(cosine.is_distance());
  EXPECT_FALSE(Gaussian(1).is_distance());
  for (const auto kind : {proto::SimilaritySpec::L1, proto::SimilaritySpec::L2, proto::SimilaritySpec::L2_SQUARED}) {
    EXPECT_TRUE(MakeSimilarity(kind, 0).is_distance());
  }
}

// p_stable: the probability that a shift even in [0, h] does not part two points whose projections differ by r g, g
// normal, by the midpoint rule over g.
TEST(SimilarityTest, KernelsOfHashesFollowTheirDefinitions) {
  using Spec = proto::SimilaritySpec;
  for (double r : {1e-3, 0.2, 1.0, 5.0, 300.0}) {
    const double h = 1.5;
    double expected = 0;
    constexpr int kSteps = 200000;
    const double reach = std::min(9.0, h / r);
    for (int step = 0; step < kSteps; ++step) {
      const double g = (step + 0.5) / kSteps * reach;
      expected += std::sqrt(2 / std::acos(-1)) * std::exp(-g * g / 2) * (1 - r * g / h) * reach / kSteps;
    }
    EXPECT_NEAR(MakeSimilarity(Spec::P_STABLE, h).EvaluateAxis(r), expected, 1e-9) << r;
  }
  const std::vector<float> x = {2, 0}, y = {1, 1}, minus = {-3, 0}, nearby = {2, 1e-10f}, zero = {0, 0};
  const auto angular = [](double p) { return MakeSimilarity(Spec::ANGULAR, 0, p); };
  EXPECT_NEAR(angular(1).Evaluate(x, y), 0.75, 1e-15);
  EXPECT_NEAR(angular(3).Evaluate(x, y), 0.421875, 1e-15);
  EXPECT_EQ(angular(1).Evaluate(x, x), 1);
  EXPECT_NEAR(angular(1).Evaluate(x, minus), 0, 1e-15);
  EXPECT_NEAR((1 - angular(1).Evaluate(x, nearby)) * std::acos(-1) / 5e-11, 1, 1e-5);
  EXPECT_NEAR(angular(2).Evaluate(x, zero), 0.25, 1e-15);
  EXPECT_EQ(angular(2).Evaluate(zero, zero), 1);
  EXPECT_TRUE(angular(1).is_kernel());
  EXPECT_FALSE(angular(1).is_shift_invariant());
  for (double p : {0.0, -1.0, 1.5, 17.0, std::nan("")}) {
    Spec spec;
    spec.set_kind(Spec::ANGULAR);
    spec.set_p(p);
    EXPECT_FALSE(Similarity::Create(spec).ok()) << p;
  }
}

TEST(SimilarityTest, KernelsAreOneAtZeroAndDistancesZero) {
  const std::vector<float> x = {1, 2, 3};
  for (const Similarity& kernel : AllKernels(0.1)) EXPECT_EQ(kernel.Evaluate(x, x), 1) << kernel.name();
  for (auto kind : {proto::SimilaritySpec::L1, proto::SimilaritySpec::L2, proto::SimilaritySpec::L2_SQUARED}) {
    EXPECT_EQ(MakeSimilarity(kind, 0).Evaluate(x, x), 0);
  }
}

TEST(SimilarityTest, RefusesParametersOfOtherKinds) {
  const auto status_of = [](const auto& change) {
    proto::SimilaritySpec spec;
    spec.set_kind(proto::SimilaritySpec::GAUSSIAN);
    spec.set_bandwidth(1);
    change(spec);
    return std::string(Similarity::Create(spec).status().message());
  };
  EXPECT_EQ(status_of([](auto& spec) { spec.set_nu(1.5); }), "nu is not taken by gaussian");
  EXPECT_EQ(status_of([](auto& spec) { spec.set_kind(proto::SimilaritySpec::L1); }), "bandwidth is not taken by l1");
  EXPECT_EQ(status_of([](auto& spec) { spec.set_kind(proto::SimilaritySpec::MATERN), spec.set_nu(1); }),
            "nu must be 0.5, 1.5 or 2.5, but is 1");
  EXPECT_EQ(status_of([](auto& spec) { spec.set_kind(proto::SimilaritySpec::RATIONAL_QUADRATIC); }),
            "alpha must be finite and positive, but is 0");
  EXPECT_EQ(status_of([](auto& spec) {
              spec.set_kind(proto::SimilaritySpec::LP_POWER), spec.set_bandwidth(0), spec.set_p(2.5);
            }),
            "p must be greater than 0 and at most 2, but is 2.5");
}

TEST(SimilarityTest, IsAProductOverAxes) {
  const std::vector<float> x = {1, -2}, y = {0.5, 1};
  for (const Similarity& similarity : AllKernels(1.5)) {
    if (!similarity.is_product()) continue;
    EXPECT_NEAR(similarity.EvaluateAxis(0.5) * similarity.EvaluateAxis(-3), similarity.Evaluate(x, y), 1e-15);
  }
}

TEST(SimilarityTest, SumEqualsTheNaiveLoopForAnyNumberOfThreads) {
  const Points points = UniformPoints(5001, 7, -1, 1, 1);
  const Points queries = UniformPoints(83, 7, -1, 1, 2);
  ThreadPool one(1), three(3);
  for (const Similarity& similarity : AllKernels(0.7)) {
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
  EXPECT_EQ(
      SimilarityKindFromName("Gaussian").status().message(),
      "unknown similarity 'Gaussian'; known are gaussian, laplacian, exponential, matern, rational_quadratic, cauchy, "
      "inverse_l2, inverse_l1, product_cauchy, p_stable, angular, l1, lp_power, l2, l2_squared, cosine, "
      "inner_product");
  EXPECT_FALSE(Similarity::Create(proto::SimilaritySpec()).ok());
}

}  // namespace
}  // namespace dpkde
