#include "dpkde/designs/axis_design.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dpkde/base/thread_pool.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

Similarity Power(double p) { return MakeSimilarity(proto::SimilaritySpec::LP_POWER, 0, p); }
Similarity L1() { return MakeSimilarity(proto::SimilaritySpec::L1, 0); }

proto::AxisSpec Harmonics(uint32_t harmonics) {
  proto::AxisSpec spec;
  spec.set_harmonics(harmonics);
  return spec;
}

// References: 2 * integral_0^1 u^p cos(pi k u) du, with mpmath at 30 digits. They span both sides of the change of
// method.
TEST(PowerCosineCoefficientsTest, MatchReferences) {
  const struct {
    double p;
    size_t k;
    double coefficient;
  } cases[] = {
      {0.25, 1, -0.2124012311090582},    {0.25, 5, -0.02420010608209024},   {0.25, 12, -0.007074887337297237},
      {0.25, 13, -0.007018835106705106}, {0.25, 40, -0.001617179362469573}, {0.25, 301, -0.0001328547239233128},
      {0.5, 1, -0.3214004167833828},     {0.5, 5, -0.02417261274202617},    {0.5, 12, -0.00471131085143366},
      {0.5, 13, -0.00540124272551314},   {0.5, 40, -0.0008263804454430844}, {0.5, 301, -4.421912752196109e-5},
      {1, 1, -0.4052847345693511},       {1, 5, -0.01621138938277404},      {1, 13, -0.002398134524079001},
      {1, 301, -4.47329206707819e-6},    {1.5, 1, -0.417640700957805},      {1.5, 5, -0.01409311882792727},
      {1.5, 12, 0.001895789791820306},   {1.5, 13, -0.001975237200912034},  {1.5, 40, 0.0001793601768129383},
      {1.5, 301, -3.423339153447514e-6}, {1.9, 1, -0.4087446328916303},     {1.9, 5, -0.01560067160860233},
      {1.9, 12, 0.002658582509689497},   {1.9, 13, -0.002290512838475985},  {1.9, 40, 0.0002401720104523602},
      {1.9, 301, -4.250969444689019e-6},
  };
  for (const auto& test : cases) {
    EXPECT_NEAR(PowerCosineCoefficients(test.p, test.k)[test.k], test.coefficient, 1e-10 * std::abs(test.coefficient))
        << test.p << " " << test.k;
  }
  EXPECT_DOUBLE_EQ(PowerCosineCoefficients(0.5, 1)[0], 1 / 1.5);
  EXPECT_EQ(PowerCosineCoefficients(1, 6)[6], 0);
}

// Without noise, sums over many records agree with the exact ones within the bound on the bias, and the bound is not
// idle.
TEST(AxisDesignTest, SumsAgreeWithTheExactOnes) {
  ThreadPool pool(1);
  for (const Similarity& similarity : {L1(), Power(0.5), Power(1), Power(1.5), Power(2)}) {
    for (size_t d : {1, 3}) {
      // Boxes of different widths, off the origin.
      std::vector<double> lower, upper;
      for (size_t i = 0; i < d; ++i) lower.push_back(5.0 * i - 1), upper.push_back(5.0 * i + 1 + i);
      const Domain domain = *Domain::Box(lower, upper);
      const auto design = MakeAxisDesign(similarity, domain, Harmonics(200));
      ASSERT_TRUE(design.ok()) << design.status();
      Points points = UniformPoints(100, d, 0, 1, 1), queries = UniformPoints(60, d, 0, 1, 2);
      for (Points* set : {&points, &queries}) {
        for (size_t j = 0; j < set->values.size(); ++j) {
          set->values[j] = domain.lower()[j % d] + set->values[j] * static_cast<float>(domain.width(j % d));
        }
      }
      // The ends of the domain, where a table could overrun.
      for (size_t i = 0; i < d; ++i) {
        queries.values[i] = domain.lower()[i];
        queries.values[d + i] = domain.upper()[i];
      }
      std::vector<int64_t> sums((*design)->num_coordinates());
      (*design)->Accumulate(points.view(), absl::MakeSpan(sums));
      std::vector<Answer> answers(queries.rows());
      (*design)
          ->MakeReleasedFunction(sums, std::vector<double>((*design)->groups().size()))
          ->Evaluate(queries.view(), absl::MakeSpan(answers));
      std::vector<double> exact(queries.rows());
      similarity.Sum(points.view(), queries.view(), pool, absl::MakeSpan(exact));
      double worst = 0;
      for (size_t q = 0; q < queries.rows(); ++q) worst = std::max(worst, std::abs(answers[q].sum - exact[q]));
      EXPECT_LE(worst, 100 * *(*design)->SupError() * 1.01) << similarity.name() << " " << d;
      EXPECT_GE(worst, 100 * *(*design)->SupError() / 1000) << similarity.name() << " " << d;
    }
  }
}

// One record and a query on top of it: the cusp, where the series converges most slowly; the bound is nearly met.
TEST(AxisDesignTest, TheBiasBoundIsTight) {
  const auto design = MakeAxisDesign(L1(), Cube(1, 0, 1), Harmonics(99));
  const float x = 0.37f;
  std::vector<int64_t> sums((*design)->num_coordinates());
  (*design)->Accumulate({&x, 1, 1}, absl::MakeSpan(sums));
  Answer answer;
  (*design)
      ->MakeReleasedFunction(sums, std::vector<double>((*design)->groups().size()))
      ->Evaluate({&x, 1, 1}, absl::MakeSpan(&answer, 1));
  EXPECT_LE(std::abs(answer.sum), *(*design)->SupError());
  EXPECT_GE(std::abs(answer.sum), 0.8 * *(*design)->SupError());
  EXPECT_LE(*(*design)->SupError(), 0.25 / 99);  // 2 / (pi^2 k) = 0.2 / k
}

TEST(AxisDesignTest, RefusesWhatItCannotDo) {
  EXPECT_FALSE(MakeAxisDesign(Gaussian(1), Cube(1, 0, 1), Harmonics(5)).ok());
  EXPECT_FALSE(MakeAxisDesign(L1(), Cube(1, 0, 1), Harmonics(0)).ok());
  EXPECT_FALSE(MakeAxisDesign(L1(), Cube(1, 0, 1), Harmonics(70000)).ok());
  EXPECT_FALSE(MakeAxisDesign(L1(), Cube(1000, 0, 1), Harmonics(10000)).ok());
}

}  // namespace
}  // namespace dpkde
