#include "dpkde/designs/spline_grid.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dpkde/designs/spline_axis.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

TEST(SplineAxisTest, WeightsAreAPartitionOfUnityWithBoundedSquares) {
  const SplineAxis axis(Gaussian(1), 10, 7, 1e-6);
  double largest = 0;
  for (int i = 0; i <= 10000; ++i) {
    std::array<double, 4> weights;
    const size_t cell = axis.Weights(10.0 * i / 10000, weights);
    EXPECT_LT(cell, 7u);
    double sum = 0, square = 0;
    for (double weight : weights) {
      EXPECT_GE(weight, 0);
      sum += weight;
      square += weight * weight;
    }
    EXPECT_NEAR(sum, 1, 1e-15);
    largest = std::max(largest, square);
  }
  EXPECT_NEAR(largest, 0.5, 1e-12);
}

// The fit solves the normal equations: compared with a dense solution by brute-force quadrature.
TEST(SplineAxisTest, FitMinimisesTheRidgeObjective) {
  for (const Similarity& similarity : {Gaussian(1.3), Laplacian(1.3)}) {
    const double width = 6, ridge = 1e-3;
    const SplineAxis axis(similarity, width, 5, ridge);
    const double cell = width / 5;
    for (double y : {0.0, 0.7, 3.0, 6.0, -2.0}) {
      std::vector<double> psi(axis.functions());
      axis.Fit(y, psi.data());
      // At a minimum every directional derivative vanishes: integral (fit - f) B_j + ridge cell psi_j = 0.
      std::vector<double> gradient(axis.functions());
      constexpr int kSteps = 20000;
      for (int i = 0; i < kSteps; ++i) {
        const double x = width * (i + 0.5) / kSteps;
        std::array<double, 4> weights;
        const size_t at = axis.Weights(x, weights);
        double fit = 0;
        for (int s = 0; s < 4; ++s) fit += weights[s] * psi[at + s];
        for (int s = 0; s < 4; ++s) {
          gradient[at + s] += (fit - similarity.EvaluateAxis(x - y)) * weights[s] * width / kSteps;
        }
      }
      for (size_t j = 0; j < psi.size(); ++j) EXPECT_NEAR(gradient[j] + ridge * cell * psi[j], 0, 2e-7) << y;
    }
  }
}

TEST(SplineAxisTest, ErrorFallsWithTheFourthPowerOfTheCell) {
  const double coarse = SplineAxis(Gaussian(1), 40, 40, 1e-9).MeasureQuality().mean_sup_error;
  const double fine = SplineAxis(Gaussian(1), 40, 80, 1e-9).MeasureQuality().mean_sup_error;
  EXPECT_GT(coarse / fine, 12);
}

TEST(SplineGridTest, ApproximatesWithinItsSupError) {
  const struct {
    Similarity similarity;
    std::vector<uint32_t> cells;
    double ridge;
  } cases[] = {
      {Gaussian(1), {12}, 1e-6},         {Gaussian(1), {20}, 1e-3},    {Gaussian(20), {1}, 1e-6},
      {Laplacian(1), {30}, 1e-4},        {Gaussian(1), {12, 9}, 1e-4}, {Gaussian(2), {6, 6, 6}, 1e-4},
      {Gaussian(4), {3, 3, 3, 3}, 1e-4},
  };
  for (const auto& test : cases) {
    const size_t d = test.cells.size();
    const auto design =
        MakeSplineGridDesign(test.similarity, Cube(d, -5, 5), SplineGridDesign(test.cells, test.ridge).spline_grid());
    ASSERT_TRUE(design.ok()) << design.status();
    const Points points = UniformPoints(2000, d, -5, 5, 1);
    double worst = 0;
    for (size_t i = 0; i + 1 < points.rows(); i += 2) {
      std::vector<int64_t> sums((*design)->num_coordinates());
      (*design)->Accumulate(points.view().Slice(i, i + 1), absl::MakeSpan(sums));
      EXPECT_EQ(sums[(*design)->count_coordinate()], kGridUnit);
      Answer answer;
      const std::vector<double> variances(2);
      (*design)
          ->MakeReleasedFunction(sums, variances)
          ->Evaluate(points.view().Slice(i + 1, i + 2), absl::MakeSpan(&answer, 1));
      worst = std::max(worst,
                       std::abs(answer.sum - test.similarity.Evaluate(points.view().row(i), points.view().row(i + 1))));
    }
    EXPECT_LE(worst, *(*design)->SupError() * 1.02 + 1e-5);
    // The bound is not idle: it is met within a factor that grows with the dimension.
    EXPECT_GE(worst, *(*design)->SupError() / 200);
  }
}

TEST(SplineGridTest, NoiseVarianceIsTheSquaredLengthOfTheFit) {
  const auto design = MakeSplineGridDesign(Gaussian(1), Cube(2, 0, 5), SplineGridDesign({5, 4}).spline_grid());
  const std::vector<int64_t> zero((*design)->num_coordinates());
  const double unit = kGridUnit;
  const std::vector<double> variances = {9 * unit * unit, 0};
  const auto function = (*design)->MakeReleasedFunction(zero, variances);
  const std::vector<float> query = {2.2f, 3.1f};
  Answer answer;
  function->Evaluate({query.data(), 1, 2}, absl::MakeSpan(&answer, 1));
  // psi_j(y) itself, from unit vectors.
  double square = 0;
  for (size_t j = 0; j < (*design)->count_coordinate(); ++j) {
    std::vector<int64_t> basis((*design)->num_coordinates());
    basis[j] = kGridUnit;
    Answer psi;
    (*design)->MakeReleasedFunction(basis, variances)->Evaluate({query.data(), 1, 2}, absl::MakeSpan(&psi, 1));
    square += psi.sum * psi.sum;
  }
  EXPECT_NEAR(answer.noise_variance, 9 * square, 1e-9 * square);
}

TEST(SplineGridTest, RefusesWhatItCannotDo) {
  const auto refused = [](size_t d, std::vector<uint32_t> cells, double ridge) {
    return !MakeSplineGridDesign(Gaussian(1), Cube(d, 0, 1), SplineGridDesign(cells, ridge).spline_grid()).ok();
  };
  EXPECT_TRUE(refused(1, {}, 1e-3));
  EXPECT_TRUE(refused(1, {0}, 1e-3));
  EXPECT_TRUE(refused(1, {5000}, 1e-3));
  EXPECT_TRUE(refused(1, {5, 5}, 1e-3));
  EXPECT_TRUE(refused(2, {4096, 4096}, 1e-3));
  EXPECT_TRUE(refused(5, {1, 1, 1, 1, 1}, 1e-3));
  EXPECT_TRUE(refused(1, {5}, 0));
  EXPECT_TRUE(refused(1, {5}, std::nan("")));
  EXPECT_FALSE(refused(1, {5}, 1e-3));
}

}  // namespace
}  // namespace dpkde
