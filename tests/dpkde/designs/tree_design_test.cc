#include "dpkde/designs/tree_design.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dpkde/base/thread_pool.h"
#include "tests/testing/answers.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Tree = proto::TreeSpec;

Similarity Power(double p) { return MakeSimilarity(proto::SimilaritySpec::LP_POWER, 0, p); }
Similarity L1() { return MakeSimilarity(proto::SimilaritySpec::L1, 0); }

std::unique_ptr<Design> Make(const Similarity& similarity, const Domain& domain, Tree::Variant variant, uint32_t levels,
                             double alpha = 0) {
  auto design = MakeTreeDesign(similarity, domain, TreeDesign(variant, levels, alpha).tree());
  EXPECT_TRUE(design.ok()) << design.status();
  return *std::move(design);
}

// Without noise, sums are off by no more than the bound on the bias, and not by far less.
TEST(TreeDesignTest, SumsAgreeWithTheExactOnes) {
  ThreadPool pool(1);
  const struct {
    Similarity similarity;
    Tree::Variant variant;
    uint32_t levels;
    double alpha;
  } cases[] = {
      {L1(), Tree::RINGS, 9, 0.01},     {L1(), Tree::RINGS, 6, 0.5},
      {L1(), Tree::RINGS, 1, 2},        {Power(0.5), Tree::RINGS, 10, 0.05},
      {Power(2), Tree::RINGS, 8, 0.3},  {L1(), Tree::SUMS, 7, 0},
      {L1(), Tree::SUMS, 1, 0},         {L1(), Tree::CENTERED, 7, 0},
      {Power(1), Tree::CENTERED, 2, 0},
  };
  for (const auto& test : cases) {
    for (size_t d : {1, 3}) {
      std::vector<double> lower, upper;
      for (size_t i = 0; i < d; ++i) lower.push_back(5.0 * i - 1), upper.push_back(5.0 * i + 1 + i);
      const Domain domain = *Domain::Box(lower, upper);
      const auto design = Make(test.similarity, domain, test.variant, test.levels, test.alpha);
      // Records and queries close together on each axis, where cells matter, and the ends of the domain.
      Points points = UniformPoints(100, d, 0.4, 0.6, 1), queries = UniformPoints(60, d, 0, 1, 2);
      for (Points* set : {&points, &queries}) {
        for (size_t j = 0; j < set->values.size(); ++j) {
          set->values[j] = domain.lower()[j % d] + set->values[j] * static_cast<float>(domain.width(j % d));
        }
      }
      for (size_t i = 0; i < d; ++i) {
        queries.values[i] = domain.lower()[i];
        queries.values[d + i] = domain.upper()[i];
      }
      const std::vector<Answer> answers = NoiselessAnswers(*design, points.view(), queries.view());
      std::vector<double> exact(queries.rows());
      test.similarity.Sum(points.view(), queries.view(), pool, absl::MakeSpan(exact));
      double worst = 0;
      for (size_t q = 0; q < queries.rows(); ++q) {
        worst = std::max(worst, std::abs(answers[q].sum - exact[q]));
        // Without rings a tree falls short, by records in the query's own cell.
        EXPECT_TRUE(test.variant == Tree::RINGS || answers[q].sum <= exact[q] + 1e-3);
      }
      const double bound = 100 * *design->SupError();
      EXPECT_LE(worst, bound * 1.01) << test.variant << " " << test.levels << " " << d;
      EXPECT_GE(worst, bound / 100) << test.variant << " " << test.levels << " " << d;
    }
  }
}

// Rings are biased upwards, by no more than 1 + alpha.
TEST(TreeDesignTest, RingsOverstateByUpToTheirRatio) {
  const double alpha = 0.25;
  const auto design = Make(L1(), Cube(1, 0, 1), Tree::RINGS, 14, alpha);
  Points query;
  query.columns = 1;
  query.values = {0.3f};
  double least = 10, most = 0;
  for (int i = 0; i < 1000; ++i) {
    const float x = i / 1000.0f;
    if (std::abs(x - 0.3) < 0.01) continue;
    const double ratio = NoiselessAnswers(*design, {&x, 1, 1}, query.view())[0].sum / std::abs(x - 0.3);
    least = std::min(least, ratio);
    most = std::max(most, ratio);
  }
  EXPECT_GE(least, 0.99);
  EXPECT_LE(least, 1.05);
  EXPECT_LE(most, (1 + alpha) * 1.01);
  EXPECT_GE(most, 1 + alpha * 0.9);
}

// What an answer states as its variance is that of the weights it has, read off one unit vector at a time.
TEST(TreeDesignTest, NoiseVarianceIsThatOfTheWeights) {
  const Points queries = UniformPoints(9, 2, 0, 4, 3);
  for (const auto& [variant, alpha] :
       {std::make_pair(Tree::RINGS, 0.4), std::make_pair(Tree::SUMS, 0.0), std::make_pair(Tree::CENTERED, 0.0)}) {
    const auto design = Make(L1(), Cube(2, 0, 4), variant, 4, alpha);
    std::vector<double> variances, of_coordinate(design->num_coordinates());
    for (const CoordinateGroup& group : design->groups()) {
      variances.push_back(1e12 * (1 + variances.size()));
      for (size_t j = 0; j < group.count; ++j) of_coordinate[group.first + j * group.stride] = variances.back();
    }
    std::vector<double> expected(queries.rows());
    for (size_t j = 0; j < design->num_coordinates(); ++j) {
      std::vector<int64_t> values(design->num_coordinates());
      values[j] = kGridUnit;
      const std::vector<Answer> answers = Answers(*design, values, variances, queries.view());
      for (size_t q = 0; q < queries.rows(); ++q) {
        expected[q] += answers[q].sum * answers[q].sum * of_coordinate[j] / kGridUnit / kGridUnit;
      }
    }
    const std::vector<Answer> answers =
        Answers(*design, std::vector<int64_t>(design->num_coordinates()), variances, queries.view());
    for (size_t q = 0; q < queries.rows(); ++q) {
      EXPECT_NEAR(answers[q].noise_variance / expected[q], 1, 1e-9) << variant;
      EXPECT_GT(expected[q], 0);
    }
  }
}

TEST(TreeDesignTest, NoiseIsThatOfTheTheory) {
  const double width = 8, epsilon = 0.5;
  const Points queries = UniformPoints(200, 1, 0, 8, 4);
  const Domain domain = Cube(1, 0, 8);
  const auto errors = [&](const Design& design) {
    // The measured one and a control: noise for a larger epsilon.
    return std::make_pair(MeasureNoise(design, PureAddRemove(epsilon), queries.view(), 60).measured,
                          MeasureNoise(design, PureAddRemove(1.5 * epsilon), queries.view(), 60).measured);
  };
  // 6.7 R / epsilon, whatever the number of levels.
  for (uint32_t levels : {8, 11}) {
    const auto [measured, control] = errors(*Make(L1(), domain, Tree::CENTERED, levels));
    EXPECT_NEAR(measured / (6.7 * width / epsilon), 1, 0.15) << levels;
    EXPECT_LT(control / (6.7 * width / epsilon), 0.85);
  }
  // Mean over t of levels (1 + t^2) 2 (2 levels / epsilon)^2.
  {
    const auto [measured, control] = errors(*Make(L1(), domain, Tree::SUMS, 10));
    const double theory = width * std::sqrt(10 * 4.0 / 3 * 2) * 20 / epsilon;
    EXPECT_NEAR(measured / theory, 1, 0.15);
    EXPECT_LT(control / theory, 0.85);
  }
  // One level: the other half's count, weighed with a ring of radius 1, 1/2: middles are 1/4 to 3/4 away.
  {
    const auto [measured, control] = errors(*Make(L1(), domain, Tree::RINGS, 1, 1));
    const double theory = width * std::sqrt(2 * (0.5 * 1 + 0.5 * 0.25)) / epsilon;
    EXPECT_NEAR(measured / theory, 1, 0.15);
    EXPECT_LT(control / theory, 0.85);
  }
}

TEST(TreeDesignTest, RefusesWhatItCannotDo) {
  const Domain domain = Cube(1, 0, 1);
  const auto code = [&](const Similarity& similarity, Tree::Variant variant, uint32_t levels, double alpha) {
    return MakeTreeDesign(similarity, domain, TreeDesign(variant, levels, alpha).tree()).status().code();
  };
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code(Gaussian(1), Tree::RINGS, 4, 0.5), kBad);
  EXPECT_EQ(code(L1(), Tree::RINGS, 0, 0.5), kBad);
  EXPECT_EQ(code(L1(), Tree::RINGS, 21, 0.5), kBad);
  EXPECT_EQ(code(L1(), Tree::RINGS, 4, 0), kBad);
  EXPECT_EQ(code(L1(), Tree::RINGS, 4, std::nan("")), kBad);
  EXPECT_EQ(code(L1(), Tree::SUMS, 4, 0.5), kBad);
  EXPECT_EQ(code(Power(0.5), Tree::SUMS, 4, 0), kBad);
  EXPECT_EQ(code(L1(), Tree::VARIANT_UNSPECIFIED, 4, 0), kBad);
  EXPECT_FALSE(MakeTreeDesign(L1(), Cube(100, 0, 1), TreeDesign(Tree::SUMS, 16).tree()).ok());
}

}  // namespace
}  // namespace dpkde
