#include "dpkde/designs/spline_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "dpkde/designs/kernel_mixture.h"
#include "dpkde/designs/spline_axis.h"
#include "dpkde/designs/spline_function.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

TEST(SplineAxisTest, WeightsAreAPartitionOfUnityWithBoundedSquares) {
  const double largest_squares[] = {1, 19.0 / 32, 0.5};
  for (size_t degree : {1, 2, 3}) {
    const SplineAxis axis(Gaussian(1), 10, 7, 1e-6, degree);
    EXPECT_EQ(axis.functions(), 7 + degree);
    double largest = 0;
    for (int i = 0; i <= 14000; ++i) {
      std::array<double, 4> weights;
      const size_t cell = axis.Weights(10.0 * i / 14000, weights);
      EXPECT_LT(cell, 7u);
      double sum = 0, square = 0;
      for (size_t s = 0; s < 4; ++s) {
        EXPECT_GE(weights[s], 0);
        EXPECT_TRUE(s <= degree || weights[s] == 0);
        sum += weights[s];
        square += weights[s] * weights[s];
      }
      EXPECT_NEAR(sum, 1, 1e-15);
      largest = std::max(largest, square);
    }
    EXPECT_NEAR(largest, largest_squares[degree - 1], 1e-12);
  }
}

// The fit solves the normal equations: compared with a dense solution by brute-force quadrature.
TEST(SplineAxisTest, FitMinimisesTheRidgeObjective) {
  for (const auto& [similarity, degree] : {std::make_pair(Gaussian(1.3), 1), std::make_pair(Laplacian(1.3), 2),
                                           std::make_pair(Gaussian(1.3), 3), std::make_pair(Laplacian(1.3), 3)}) {
    const double width = 6, ridge = 1e-3;
    const SplineAxis axis(similarity, width, 5, ridge, degree);
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
        for (int s = 0; s <= degree; ++s) fit += weights[s] * psi[at + s];
        for (int s = 0; s <= degree; ++s) {
          gradient[at + s] += (fit - similarity.EvaluateAxis(x - y)) * weights[s] * width / kSteps;
        }
      }
      for (size_t j = 0; j < psi.size(); ++j) EXPECT_NEAR(gradient[j] + ridge * cell * psi[j], 0, 2e-7) << y;
    }
  }
}

TEST(SplineAxisTest, ErrorFallsWithAPowerOfTheCell) {
  for (size_t degree : {1, 2, 3}) {
    const double coarse = SplineAxis(Gaussian(1), 40, 40, 1e-9, degree).MeasureQuality().mean_sup_error;
    const double fine = SplineAxis(Gaussian(1), 40, 80, 1e-9, degree).MeasureQuality().mean_sup_error;
    EXPECT_GT(coarse / fine, 0.75 * std::exp2(degree + 1)) << degree;
  }
}

// What older programs made of a cubic grid, and what the other degrees declare and add.
TEST(SplineGridTest, CoordinatesAndSensitivitiesAreAsWrittenDown) {
  const struct {
    uint32_t degree;
    std::vector<int64_t> sums;  // of a record at 1.0, a knot, and one at 2.5, a middle
    uint64_t l2, plane_l2;
  } cases[] = {
      {0, {0, 174763, 720895, 677206, 502443, 21845, 0}, 741460, 524304},
      {1, {0, 1048576, 524288, 524288, 0}, 1048576, 1048576},
      {2, {0, 524288, 655360, 786432, 131072, 0}, 807986, 622601},
  };
  for (const auto& test : cases) {
    const auto line =
        *MakeSplineGridDesign(Gaussian(1), Cube(1, 0, 4), SplineGridDesign({4}, 1e-4, test.degree).spline_grid());
    std::vector<int64_t> sums(line->num_coordinates());
    const std::vector<float> records = {1, 2.5f};
    line->Accumulate({records.data(), 2, 1}, absl::MakeSpan(sums));
    EXPECT_EQ(sums.back(), 2 * kGridUnit);
    sums.pop_back();
    EXPECT_EQ(sums, test.sums) << test.degree;
    EXPECT_EQ(line->groups()[0].add_remove.l1, kGridUnit);
    EXPECT_EQ(line->groups()[0].add_remove.l2, test.l2) << test.degree;
    const auto plane =
        *MakeSplineGridDesign(Gaussian(1), Cube(2, 0, 4), SplineGridDesign({4, 3}, 1e-4, test.degree).spline_grid());
    EXPECT_EQ(plane->groups()[0].add_remove.l1, kGridUnit);
    EXPECT_EQ(plane->groups()[0].add_remove.l2, test.plane_l2) << test.degree;
  }
}

TEST(SplineGridTest, ApproximatesWithinItsSupError) {
  const struct {
    Similarity similarity;
    std::vector<uint32_t> cells;
    double ridge;
    uint32_t degree = 0;
  } cases[] = {
      {Gaussian(1), {12}, 1e-6},
      {Gaussian(1), {20}, 1e-3},
      {Gaussian(20), {1}, 1e-6},
      {Laplacian(1), {30}, 1e-4},
      {Gaussian(1), {12, 9}, 1e-4},
      {Gaussian(2), {6, 6, 6}, 1e-4},
      {Gaussian(4), {3, 3, 3, 3}, 1e-4},
      {Gaussian(1), {20}, 1e-4, 1},
      {Laplacian(1), {14, 10}, 1e-4, 1},
      {Gaussian(1), {12, 9}, 1e-4, 2},
      {Gaussian(2), {6, 6, 6}, 1e-4, 1},
      {MakeSimilarity(proto::SimilaritySpec::EXPONENTIAL, 2), {14, 10}, 1e-4, 2},
      // Mixtures of products.
      {MakeSimilarity(proto::SimilaritySpec::EXPONENTIAL, 2), {14, 10}, 1e-4},
      {MakeSimilarity(proto::SimilaritySpec::MATERN, 2, 2.5), {8, 9}, 1e-4},
      {MakeSimilarity(proto::SimilaritySpec::RATIONAL_QUADRATIC, 1.5, 0.7), {9, 11}, 1e-4},
      {MakeSimilarity(proto::SimilaritySpec::CAUCHY, 3), {6, 6, 6}, 1e-4},
      {MakeSimilarity(proto::SimilaritySpec::INVERSE_L2, 2), {12, 12}, 1e-4},
      {MakeSimilarity(proto::SimilaritySpec::INVERSE_L1, 2), {12, 12}, 1e-4},
      {MakeSimilarity(proto::SimilaritySpec::MATERN, 3, 1.5), {7, 6, 5}, 1e-3},
  };
  for (const auto& test : cases) {
    const size_t d = test.cells.size();
    const auto design = MakeSplineGridDesign(test.similarity, Cube(d, -5, 5),
                                             SplineGridDesign(test.cells, test.ridge, test.degree).spline_grid());
    ASSERT_TRUE(design.ok()) << design.status();
    const Points points = UniformPoints(4, d, -5, 5, 1);
    Points queries = UniformPoints(500, d, -5, 5, 2);
    // On and near the records, where cusps are.
    for (size_t i = 0; i < 100 * d; ++i) {
      queries.values[i] =
          points.values[i % points.values.size()] + (i < points.values.size() ? 0 : queries.values[i] / 9);
      queries.values[i] = std::min(std::max(queries.values[i], -5.0f), 5.0f);
    }
    double worst = 0;
    for (size_t i = 0; i < points.rows(); ++i) {
      std::vector<int64_t> sums((*design)->num_coordinates());
      (*design)->Accumulate(points.view().Slice(i, i + 1), absl::MakeSpan(sums));
      EXPECT_EQ(sums[(*design)->count_coordinate()], kGridUnit);
      std::vector<Answer> answers(queries.rows());
      (*design)->MakeReleasedFunction(sums, std::vector<double>(2))->Evaluate(queries.view(), absl::MakeSpan(answers));
      for (size_t q = 0; q < queries.rows(); ++q) {
        worst = std::max(
            worst, std::abs(answers[q].sum - test.similarity.Evaluate(points.view().row(i), queries.view().row(q))));
      }
    }
    EXPECT_LE(worst, *(*design)->SupError() * 1.02 + 1e-5);
    // The bound is not idle: it is met within a factor that grows with the dimension.
    EXPECT_GE(worst, *(*design)->SupError() / 200);
    std::printf("%-20s d=%zu worst %.2e bound %.2e\n", test.similarity.name().c_str(), d, worst,
                *(*design)->SupError());
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
  // Both are interpolated, each for itself.
  EXPECT_NEAR(answer.noise_variance / (9 * square), 1, 5e-3);
}

// Tables against the fit itself, which grids too large for a table use: the same domain, once cut so finely along one
// axis that its table would be too large.
TEST(SplineGridTest, TablesAgreeWithFits) {
  for (const auto& [similarity, degree] :
       {std::make_pair(Gaussian(1), 3), std::make_pair(Laplacian(1.5), 3), std::make_pair(Gaussian(1), 1),
        std::make_pair(Gaussian(1), 2), std::make_pair(MakeSimilarity(proto::SimilaritySpec::EXPONENTIAL, 1), 3)}) {
    const KernelMixture mixture = MakeKernelMixture(similarity, 0.1, 15);
    const Domain domain = *Domain::Box({-3, 2}, {4, 8});
    std::vector<SplineTerm> terms;
    for (const KernelMixture::Term& term : mixture.terms) {
      terms.push_back(
          {term.weight, {SplineAxis(term.kernel, 7, 9, 1e-4, degree), SplineAxis(term.kernel, 6, 11, 1e-4, degree)}});
    }
    // Values as noise has them, the roughest there are.
    const Points values = UniformPoints(1, (9 + degree) * (11 + degree), -1, 1, 9);
    const auto tables = MakeSplineTables(terms);
    const auto table = MakeSplineFunction(terms, tables, domain, {values.values.begin(), values.values.end()}, 1);
    const Domain elsewhere = *Domain::Box({-3, 2}, {-2.999, 2.001});  // all queries are outside and fitted
    const auto fit = MakeSplineFunction(terms, tables, elsewhere, {values.values.begin(), values.values.end()}, 1);
    Points queries = UniformPoints(300, 2, 0, 1, 10);
    for (size_t q = 0; q < 300; ++q) {
      queries.values[2 * q] = -3 + 7 * queries.values[2 * q];
      queries.values[2 * q + 1] = 2.01f + 5.99f * queries.values[2 * q + 1];
    }
    std::vector<Answer> by_table(300), by_fit(300);
    table->Evaluate(queries.view(), absl::MakeSpan(by_table));
    fit->Evaluate(queries.view(), absl::MakeSpan(by_fit));
    double error = 0, size = 0, ratio = 0;
    for (size_t q = 0; q < 300; ++q) {
      error += std::pow(by_table[q].sum - by_fit[q].sum, 2) / 300;
      size += by_fit[q].noise_variance / 3 / 300;
      ratio += by_table[q].noise_variance / by_fit[q].noise_variance / 300;
      // Near the ends, where least squares of a cusp amplify most.
      EXPECT_NEAR(by_table[q].noise_variance / by_fit[q].noise_variance, 1, 0.15);
    }
    EXPECT_NEAR(ratio, 1, 0.02);
    std::printf("%-12s table against fit %.2e of the noise\n", similarity.name().c_str(), std::sqrt(error / size));
    EXPECT_LE(std::sqrt(error / size), mixture.terms.size() == 1 ? 0.01 : 0.06);
    EXPECT_GT(error, 0);
  }
}

double MixtureAt(const KernelMixture& mixture, double distance) {
  double sum = 0;
  for (const KernelMixture::Term& term : mixture.terms) sum += term.weight * term.kernel.EvaluateAxis(distance);
  return sum;
}

TEST(KernelMixtureTest, TermsAddUpToTheKernel) {
  for (const Similarity& similarity : AllKernels(0.8)) {
    const KernelMixture mixture = MakeKernelMixture(similarity, 1e-3, 50);
    // Only the tails of narrow terms, cut at the narrowest, are missing.
    EXPECT_LE(mixture.error, 1e-2) << similarity.spec().ShortDebugString();
    if (similarity.kind() != proto::SimilaritySpec::INVERSE_L1) {
      EXPECT_LE(std::abs(mixture.terms.size() == 1 ? 0 : MixtureAt(mixture, 0.1) - similarity.EvaluateAxis(0.1)), 1e-4);
    }
    EXPECT_LE(mixture.terms.size(), 60u);
    // In three dimensions, off the axis.
    const Points points = UniformPoints(100, 3, -3, 3, 4);
    for (size_t i = 1; i < 100; ++i) {
      double sum = 0;
      for (const KernelMixture::Term& term : mixture.terms) {
        sum += term.weight * term.kernel.Evaluate(points.view().row(0), points.view().row(i));
      }
      EXPECT_NEAR(sum, similarity.Evaluate(points.view().row(0), points.view().row(i)), 1.01 * mixture.error + 1e-12);
    }
  }
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
  // Cubic splines have one name.
  EXPECT_FALSE(MakeSplineGridDesign(Gaussian(1), Cube(1, 0, 1), SplineGridDesign({5}, 1e-3, 3).spline_grid()).ok());
  EXPECT_FALSE(refused(1, {5}, 1e-3));
}

}  // namespace
}  // namespace dpkde
