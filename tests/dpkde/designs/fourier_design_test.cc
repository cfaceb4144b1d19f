#include "dpkde/designs/fourier_design.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <numeric>

#include "absl/strings/escaping.h"
#include "tests/testing/answers.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

// <phi(x), psi(y)> for one record, without noise.
double Feature(const Design& design, MatrixView x, MatrixView y) { return NoiselessAnswers(design, x, y)[0].sum; }

TEST(LatticeTest, ApproximatesWithinItsSupError) {
  const struct {
    Similarity similarity;
    size_t dimension;
    double width, tolerance;
  } cases[] = {
      {Gaussian(1), 1, 20, 1e-2},
      {Gaussian(1), 1, 20, 1e-6},
      {Gaussian(30), 1, 20, 1e-4},
      {Gaussian(1), 2, 10, 1e-3},
      {Gaussian(2), 3, 6, 1e-3},
      {Laplacian(1), 1, 10, 1e-2},
      {Laplacian(3), 1, 10, 1e-3},
      {MakeSimilarity(proto::SimilaritySpec::EXPONENTIAL, 2), 1, 10, 1e-2},
      {MakeSimilarity(proto::SimilaritySpec::MATERN, 1, 1.5), 1, 10, 1e-3},
      {MakeSimilarity(proto::SimilaritySpec::MATERN, 1, 2.5), 1, 10, 1e-4},
  };
  for (const auto& test : cases) {
    const Domain domain = Cube(test.dimension, -test.width / 2, test.width / 2);
    proto::LatticeSpec spec;
    spec.set_tolerance(test.tolerance);
    const auto design = MakeLatticeDesign(test.similarity, domain, spec);
    ASSERT_TRUE(design.ok()) << design.status();
    const double sup = *(*design)->SupError();
    EXPECT_LE(sup, test.tolerance);
    const Points points = UniformPoints(400, test.dimension, -test.width / 2, test.width / 2, 1);
    // Corners see the largest aliases.
    Points corners;
    corners.columns = test.dimension;
    corners.values.assign(test.dimension, static_cast<float>(-test.width / 2));
    corners.values.insert(corners.values.end(), test.dimension, static_cast<float>(test.width / 2));
    double worst = 0;
    const auto check = [&](MatrixView x, MatrixView y) {
      worst = std::max(worst, std::abs(Feature(**design, x, y) - test.similarity.Evaluate(x.row(0), y.row(0))));
    };
    for (size_t i = 0; i + 1 < 400; i += 2) check(points.view().Slice(i, i + 1), points.view().Slice(i + 1, i + 2));
    check(corners.view().Slice(0, 1), corners.view().Slice(1, 2));
    check(corners.view().Slice(0, 1), corners.view().Slice(0, 1));
    // Rounding to 2^-20 and float32 phases add a little to what the mathematics promise.
    EXPECT_LE(worst, sup + 3e-5) << test.similarity.name() << " " << test.dimension << " " << test.tolerance;
  }
}

TEST(LatticeTest, RefusesWhatItCannotDo) {
  proto::LatticeSpec spec;
  EXPECT_FALSE(MakeLatticeDesign(Gaussian(1), Cube(1, 0, 1), spec).ok());
  spec.set_tolerance(std::nan(""));
  EXPECT_FALSE(MakeLatticeDesign(Gaussian(1), Cube(1, 0, 1), spec).ok());
  spec.set_tolerance(1e-3);
  EXPECT_FALSE(MakeLatticeDesign(MakeSimilarity(proto::SimilaritySpec::EXPONENTIAL, 1), Cube(2, 0, 1), spec).ok());
  EXPECT_FALSE(MakeLatticeDesign(MakeSimilarity(proto::SimilaritySpec::L1, 0), Cube(1, 0, 1), spec).ok());
  EXPECT_EQ(MakeLatticeDesign(Gaussian(1), Cube(6, 0, 1), spec).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeLatticeDesign(Gaussian(0.001), Cube(3, 0, 1), spec).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(MonteCarloTest, EveryKernelIsUnbiasedOverSeeds) {
  const Points x = UniformPoints(1, 3, -1, 1, 5), y = UniformPoints(1, 3, -1, 1, 6);
  for (const bool orthogonal : {false, true}) {
    std::vector<Similarity> kernels = AllKernels(0.8);
    kernels.push_back(PStable(0.8));
    for (const Similarity& similarity : kernels) {
      if (orthogonal && !similarity.is_euclidean()) continue;
      double sum = 0, squares = 0;
      constexpr int kSeeds = 400;
      for (int seed = 0; seed < kSeeds; ++seed) {
        const auto design =
            MakeMonteCarloDesign(similarity, 3, Cube(3, -1, 1), MonteCarloDesign(64, orthogonal, seed).monte_carlo());
        ASSERT_TRUE(design.ok()) << design.status();
        const double value = Feature(**design, x.view(), y.view());
        sum += value;
        squares += value * value;
      }
      const double mean = sum / kSeeds;
      const double error = std::sqrt((squares / kSeeds - mean * mean) / kSeeds);
      EXPECT_NEAR(mean, similarity.Evaluate(x.view().row(0), y.view().row(0)), 5 * error)
          << similarity.spec().ShortDebugString();
      // The spread is at most that of a cosine, 1 / sqrt(2 m), and the test has power: a bias of 0.03 would show.
      EXPECT_LE(5 * error, 0.03);
    }
  }
}

// Stratified scales: unbiased, and of mixtures with less of a spread than without strata; of cauchy, say, by a factor
// of three and more.
TEST(MonteCarloTest, StrataAreUnbiasedAndLowerTheSpread) {
  using Spec = proto::SimilaritySpec;
  const Points x = UniformPoints(1, 8, -1, 1, 5), y = UniformPoints(1, 8, -1, 1, 6);
  for (const Similarity& similarity :
       {MakeSimilarity(Spec::EXPONENTIAL, 2), MakeSimilarity(Spec::MATERN, 2, 1.5),
        MakeSimilarity(Spec::RATIONAL_QUADRATIC, 2, 0.7), MakeSimilarity(Spec::CAUCHY, 2),
        MakeSimilarity(Spec::INVERSE_L2, 2), MakeSimilarity(Spec::INVERSE_L1, 2), PStable(2)}) {
    for (const bool orthogonal : {false, true}) {
      if (orthogonal != similarity.is_euclidean()) continue;
      double spread[2] = {};
      for (const bool stratified : {false, true}) {
        double sum = 0, squares = 0;
        constexpr int kSeeds = 150;
        for (int seed = 0; seed < kSeeds; ++seed) {
          proto::MonteCarloSpec spec = MonteCarloDesign(64, orthogonal, seed).monte_carlo();
          spec.set_stratified(stratified);
          const auto design = MakeMonteCarloDesign(similarity, 8, Cube(8, -1, 1), spec);
          ASSERT_TRUE(design.ok()) << design.status();
          const double value = Feature(**design, x.view(), y.view());
          sum += value / kSeeds;
          squares += value * value / kSeeds;
        }
        spread[stratified] = std::sqrt(squares - sum * sum);
        EXPECT_NEAR(sum, similarity.Evaluate(x.view().row(0), y.view().row(0)),
                    5 * spread[stratified] / std::sqrt(kSeeds))
            << similarity.spec().ShortDebugString();
      }
      std::printf("%s%s: spread %.4f, stratified %.4f\n", orthogonal ? "orthogonal " : "", similarity.name().c_str(),
                  spread[0], spread[1]);
      // 150 draws know a spread to 6 %.
      EXPECT_LE(spread[1], 1.25 * spread[0]) << similarity.spec().ShortDebugString();
      if (orthogonal && similarity.kind() == Spec::CAUCHY) {
        EXPECT_LE(spread[1], spread[0] / 1.15);
      }
    }
  }
}

TEST(MonteCarloTest, HadamardFrequenciesAreUnbiasedOverSeeds) {
  // A difference along one axis, the worst for structured directions; and a general one, in dimensions that are padded.
  const Points x = UniformPoints(1, 64, -0.2, 0.2, 5);
  const Points y = [&] {
    Points moved = x;
    moved.values[3] += 1;
    return moved;
  }();
  const Points padded_x = UniformPoints(1, 70, -0.2, 0.2, 5), padded_y = UniformPoints(1, 70, -0.2, 0.2, 6);
  using Spec = proto::SimilaritySpec;
  for (const Similarity& similarity :
       {Gaussian(0.8), MakeSimilarity(Spec::EXPONENTIAL, 0.8), MakeSimilarity(Spec::CAUCHY, 0.8)}) {
    for (const auto& [from, to] : {std::make_pair(&x, &y), std::make_pair(&padded_x, &padded_y)}) {
      double sum = 0, squares = 0;
      constexpr int kSeeds = 300;
      for (int seed = 0; seed < kSeeds; ++seed) {
        const auto design = MakeMonteCarloDesign(similarity, from->columns, Cube(from->columns, -2, 2),
                                                 HadamardDesign(64, seed).monte_carlo());
        ASSERT_TRUE(design.ok()) << design.status();
        const double value = Feature(**design, from->view(), to->view());
        sum += value;
        squares += value * value;
      }
      const double mean = sum / kSeeds;
      const double error = std::sqrt((squares / kSeeds - mean * mean) / kSeeds);
      EXPECT_NEAR(mean, similarity.Evaluate(from->view().row(0), to->view().row(0)), 5 * error) << similarity.name();
      EXPECT_LE(5 * error, 0.03);
    }
  }
}

TEST(MonteCarloTest, HadamardErrorsAreAsPredicted) {
  const Points points = UniformPoints(200, 100, -1, 1, 5), queries = UniformPoints(50, 100, -1, 1, 6);
  const Similarity similarity = Gaussian(5);
  double square = 0, mean_similarity = 0;
  for (size_t i = 0; i < 200; ++i) {
    for (size_t j = 0; j < 200; ++j) {
      mean_similarity += similarity.Evaluate(points.view().row(i), points.view().row(j)) / 40000;
    }
  }
  constexpr int kSeeds = 20;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto design =
        MakeMonteCarloDesign(similarity, 100, Cube(100, -1, 1), HadamardDesign(512, seed).monte_carlo());
    std::vector<int64_t> sums((*design)->num_coordinates());
    (*design)->Accumulate(points.view(), absl::MakeSpan(sums));
    std::vector<Answer> answers(50);
    (*design)
        ->MakeReleasedFunction(sums, std::vector<double>((*design)->groups().size()))
        ->Evaluate(queries.view(), absl::MakeSpan(answers));
    for (size_t q = 0; q < 50; ++q) {
      double exact = 0;
      for (size_t i = 0; i < 200; ++i) exact += similarity.Evaluate(points.view().row(i), queries.view().row(q));
      square += std::pow(answers[q].sum - exact, 2) / 50 / kSeeds;
    }
  }
  const double ratio = std::sqrt(square) / MonteCarloApproximationError(200, mean_similarity, 512);
  std::printf("hadamard error / predicted %.3f\n", ratio);
  EXPECT_LE(ratio, 1.2);
  EXPECT_GE(ratio, 0.05);
}

TEST(MonteCarloTest, OrthogonalFrequenciesHaveLessVariance) {
  const Points x = UniformPoints(1, 8, -0.3, 0.3, 5), y = UniformPoints(1, 8, -0.3, 0.3, 6);
  double variance[2] = {0, 0};
  for (int orthogonal = 0; orthogonal < 2; ++orthogonal) {
    for (int seed = 0; seed < 300; ++seed) {
      const auto design = MakeMonteCarloDesign(Gaussian(1), 8, absl::nullopt,
                                               MonteCarloDesign(64, orthogonal == 1, seed).monte_carlo());
      const double error =
          Feature(**design, x.view(), y.view()) - Gaussian(1).Evaluate(x.view().row(0), y.view().row(0));
      variance[orthogonal] += error * error;
    }
  }
  EXPECT_LT(variance[1], 0.7 * variance[0]);
}

// Golden fingerprints: the frequencies that a seed stands for must not change between versions, compilers or machines.
TEST(MonteCarloTest, FrequenciesOfASeedAreFixedForEver) {
  const auto fingerprint = [](const Similarity& similarity, bool orthogonal) {
    const auto design =
        MakeMonteCarloDesign(similarity, 5, Cube(5, -1, 1), MonteCarloDesign(37, orthogonal, 20240501).monte_carlo());
    return absl::BytesToHexString((*design)->spec().monte_carlo().fingerprint());
  };
  EXPECT_EQ(fingerprint(Gaussian(1.5), false), "004a0fadbde73f5fcfd8d2bbaf843273e5fd0d5497e96f5f48cab34134f4f4a0");
  EXPECT_EQ(fingerprint(Gaussian(1.5), true), "5084e05c267282cca18b5380150011d2fb77cdaec22febb4f5cf48837f7ffbe9");
  EXPECT_EQ(fingerprint(Laplacian(1.5), false), "5b179953ca9642acd11ba6acd319869fc7fd09e5df0d0b9a4e42004d2906c463");
}

TEST(MonteCarloTest, HadamardFrequenciesOfASeedAreFixedForEver) {
  const auto design =
      MakeMonteCarloDesign(Gaussian(1.5), 70, Cube(70, -1, 1), HadamardDesign(137, 20240501).monte_carlo());
  EXPECT_EQ(absl::BytesToHexString((*design)->spec().monte_carlo().fingerprint()),
            "282e2adb659c0e373e36b822134d15ad4e4bee352574bf840c42dfc804e61fd8");
  // A file's other fingerprint is refused.
  proto::MonteCarloSpec spec = (*design)->spec().monte_carlo();
  EXPECT_TRUE(MakeMonteCarloDesign(Gaussian(1.5), 70, Cube(70, -1, 1), spec).ok());
  spec.set_public_seed(1);
  EXPECT_EQ(MakeMonteCarloDesign(Gaussian(1.5), 70, Cube(70, -1, 1), spec).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(MonteCarloTest, RefusesOtherFrequenciesAndOtherSchemes) {
  proto::MonteCarloSpec spec = MonteCarloDesign(8).monte_carlo();
  const auto design = MakeMonteCarloDesign(Gaussian(1), 2, absl::nullopt, spec);
  proto::MonteCarloSpec complete = (*design)->spec().monte_carlo();
  EXPECT_TRUE(MakeMonteCarloDesign(Gaussian(1), 2, absl::nullopt, complete).ok());
  complete.set_public_seed(2);
  EXPECT_EQ(MakeMonteCarloDesign(Gaussian(1), 2, absl::nullopt, complete).status().code(),
            absl::StatusCode::kFailedPrecondition);
  spec.set_scheme_version(2);
  EXPECT_EQ(MakeMonteCarloDesign(Gaussian(1), 2, absl::nullopt, spec).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(MonteCarloTest, RefusesWhatItCannotDo) {
  EXPECT_FALSE(MakeMonteCarloDesign(Gaussian(1), 2, absl::nullopt, MonteCarloDesign(0).monte_carlo()).ok());
  EXPECT_FALSE(MakeMonteCarloDesign(Gaussian(1), 0, absl::nullopt, MonteCarloDesign(1).monte_carlo()).ok());
  EXPECT_FALSE(MakeMonteCarloDesign(Gaussian(1), 65536, absl::nullopt, MonteCarloDesign(1 << 20).monte_carlo()).ok());
  EXPECT_FALSE(MakeMonteCarloDesign(Gaussian(1), 3, Cube(2, 0, 1), MonteCarloDesign(1).monte_carlo()).ok());
  EXPECT_FALSE(MakeMonteCarloDesign(Laplacian(1), 2, absl::nullopt, MonteCarloDesign(1).monte_carlo()).ok());
  EXPECT_FALSE(MakeMonteCarloDesign(Laplacian(1), 2, Cube(2, 0, 1), MonteCarloDesign(1, true).monte_carlo()).ok());
  EXPECT_FALSE(MakeMonteCarloDesign(Gaussian(1), 63, absl::nullopt, HadamardDesign(1).monte_carlo()).ok());
  EXPECT_FALSE(MakeMonteCarloDesign(Laplacian(1), 64, Cube(64, 0, 1), HadamardDesign(1).monte_carlo()).ok());
  proto::MonteCarloSpec both = HadamardDesign(1).monte_carlo();
  both.set_orthogonal(true);
  EXPECT_FALSE(MakeMonteCarloDesign(Gaussian(1), 64, absl::nullopt, both).ok());
}

// Cauchy frequencies have no bound; phases of thousands of turns must still be right.
TEST(MonteCarloTest, WideFrequenciesKeepTheirPrecision) {
  const Similarity similarity = Laplacian(0.001);
  const auto design = MakeMonteCarloDesign(similarity, 1, Cube(1, -100, 100), MonteCarloDesign(4096).monte_carlo());
  const float x = 12.3456f, near = 12.3459f;
  EXPECT_NEAR(Feature(**design, {&x, 1, 1}, {&near, 1, 1}), similarity.EvaluateAxis(double{x} - near),
              5 / std::sqrt(8192.0));
}

}  // namespace
}  // namespace dpkde
