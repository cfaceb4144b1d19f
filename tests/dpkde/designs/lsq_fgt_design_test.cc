#include "dpkde/designs/lsq_fgt_design.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tests/testing/answers.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

std::unique_ptr<Design> Make(const Domain& domain, std::vector<uint32_t> cells, uint32_t terms) {
  auto design = MakeLsqFgtDesign(Gaussian(1), domain, LsqFgtDesign(std::move(cells), terms).lsq_fgt());
  EXPECT_TRUE(design.ok()) << design.status();
  return *std::move(design);
}

// Within its bound of the exact sums, queries outside the domain too; more terms are nearer.
TEST(LsqFgtDesignTest, ApproximatesWithinItsSupError) {
  for (const std::vector<uint32_t>& cells : {std::vector<uint32_t>{5}, {4, 6}, {3, 2, 4}}) {
    const size_t d = cells.size();
    const Points points = UniformPoints(100, d, -3, 3, 1), queries = UniformPoints(60, d, -5, 5, 2);
    double previous = 1e300;
    for (uint32_t terms : {2, 6, 10}) {
      const auto design = Make(Cube(d, -3, 3), cells, terms);
      double worst = 0;
      for (const double error : NoiselessErrors(Gaussian(1), *design, points.view(), queries.view())) {
        worst = std::max(worst, std::abs(error));
      }
      EXPECT_LE(worst, 100 * *design->SupError()) << d << " " << terms;
      EXPECT_LT(worst, previous / 2) << d << " " << terms;
      previous = worst;
    }
  }
}

// Cells of four bandwidths: a record in a corner adds more to one coordinate than 2^40 records may. The capacity of a plan
// is cut to what int64 holds.
TEST(LsqFgtDesignTest, CapacityKeepsSumsBelowTheLargestInteger) {
  const auto design = Make(Cube(3, -4, 4), {2, 2, 2}, 6);
  const std::vector<float> corner(3, 4.0f);
  std::vector<int64_t> sums(design->num_coordinates());
  design->Accumulate({corner.data(), 1, 3}, absl::MakeSpan(sums));
  uint64_t largest = 0;
  for (const int64_t sum : sums) largest = std::max<uint64_t>(largest, std::abs(sum));
  EXPECT_GT(largest, uint64_t{1} << 23);  // 2^40 records of it would overflow
  EXPECT_LE(largest, design->LargestCoordinate());
  EXPECT_LE(LargestCapacity(*design), (uint64_t{1} << 62) / largest);
  EXPECT_LT(LargestCapacity(*design), uint64_t{1} << 40);
}

// One cell and one query: the weights and the noise as worked out by hand.
TEST(LsqFgtDesignTest, NoiseIsThatOfTheTheory) {
  const auto design = Make(Cube(1, -1, 1), {1}, 3);
  Points query;
  query.columns = 1;
  query.values = {1};
  // t = 1 / sqrt(2), psi = e^-t^2 (1, sqrt(2) t, (4 t^2 - 2) / sqrt(8)) = e^-1/2 (1, 1, 0). L1 = 1 + sqrt(2) r + 2 r^2
  // / sqrt(2), r = 1 / sqrt(2), and 1 % of epsilon is the count's.
  const double epsilon = 0.5, l1 = 2 + 1 / std::sqrt(2.0);
  const double theory = std::sqrt(2 * std::exp(-1.0) * 2) * l1 / (0.99 * epsilon);
  const auto measure = [&](double spent) {
    return MeasureNoise(*design, PureAddRemove(spent), query.view(), /*releases=*/4000);
  };
  const NoiseErrors errors = measure(epsilon);
  EXPECT_NEAR(errors.measured / theory, 1, 0.1);
  EXPECT_NEAR(errors.stated / theory, 1, 1e-3);
  EXPECT_LT(measure(1.25 * epsilon).measured / theory, 0.9);
}

// What planning counts on is the mean square of the weights over the domain.
TEST(LsqFgtDesignTest, PredictsItsNoise) {
  const auto design = Make(Cube(2, -4, 4), {6, 7}, 4);
  const Points queries = UniformPoints(2000, 2, -4, 4, 3);
  double mean = 0;
  for (const Answer& answer :
       Answers(*design, std::vector<int64_t>(design->num_coordinates()), {std::ldexp(1.0, 40), 0}, queries.view())) {
    mean += answer.noise_variance / 2000;
  }
  EXPECT_NEAR(mean / design->groups()[0].mean_square_weight, 1, 0.05);
}

TEST(LsqFgtDesignTest, RefusesWhatItCannotDo) {
  const auto code = [](const Similarity& similarity, size_t d, std::vector<uint32_t> cells, uint32_t terms) {
    return MakeLsqFgtDesign(similarity, Cube(d, -3, 3), LsqFgtDesign(std::move(cells), terms).lsq_fgt())
        .status()
        .code();
  };
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code(Gaussian(1), 1, {4}, 3), absl::StatusCode::kOk);
  EXPECT_EQ(code(Laplacian(1), 1, {4}, 3), kBad);
  EXPECT_EQ(code(Gaussian(1), 4, {4, 4, 4, 4}, 3), kBad);
  EXPECT_EQ(code(Gaussian(1), 2, {4}, 3), kBad);
  EXPECT_EQ(code(Gaussian(1), 1, {0}, 3), kBad);
  EXPECT_EQ(code(Gaussian(1), 1, {4}, 0), kBad);
  EXPECT_EQ(code(Gaussian(1), 1, {4}, 17), kBad);
  EXPECT_EQ(code(Gaussian(1), 1, {1}, 3), kBad);  // 6 bandwidths wide
  EXPECT_EQ(code(Gaussian(1), 3, {200, 200, 200}, 3), kBad);
}

}  // namespace
}  // namespace dpkde
