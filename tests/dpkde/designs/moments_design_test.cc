#include "dpkde/designs/moments_design.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dpkde/base/thread_pool.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

Similarity L2Squared() { return MakeSimilarity(proto::SimilaritySpec::L2_SQUARED, 0); }

Similarity InnerProduct() { return MakeSimilarity(proto::SimilaritySpec::INNER_PRODUCT, 0); }
Similarity Cosine() { return MakeSimilarity(proto::SimilaritySpec::COSINE, 0); }

TEST(MomentsDesignTest, SumsAreExactUpToRounding) {
  ThreadPool pool(1);
  for (const Similarity& similarity : {L2Squared(), InnerProduct(), Cosine()}) {
    for (size_t d : {1, 2, 50}) {
      const auto design = MakeMomentsDesign(similarity, d, Cube(d, 3, 7));
      ASSERT_TRUE(design.ok()) << design.status();
      const Points points = UniformPoints(200, d, 3, 7, 1), queries = UniformPoints(20, d, -10, 20, 2);
      std::vector<int64_t> sums((*design)->num_coordinates());
      (*design)->Accumulate(points.view(), absl::MakeSpan(sums));
      std::vector<Answer> answers(queries.rows());
      (*design)
          ->MakeReleasedFunction(sums, std::vector<double>((*design)->groups().size()))
          ->Evaluate(queries.view(), absl::MakeSpan(answers));
      std::vector<double> exact(queries.rows());
      similarity.Sum(points.view(), queries.view(), pool, absl::MakeSpan(exact));
      for (size_t q = 0; q < queries.rows(); ++q) {
        EXPECT_NEAR(answers[q].sum, exact[q], 1e-5 * (std::abs(exact[q]) + 200)) << similarity.name() << " " << d;
      }
    }
  }
}

// In a ball features are scaled by its radius, not by half the diagonal of its box, which is sqrt(d) times as long:
// the same noise is worth that much less. And what is predicted is the mean over queries uniform in the ball.
TEST(MomentsDesignTest, BallIsUsedAsABall) {
  constexpr size_t kDimension = 9;
  ThreadPool pool(1);
  std::vector<float> queries;
  const Points candidates = UniformPoints(200000, kDimension, -2, 2, 3);
  const Domain ball = Ball(kDimension, 2);
  for (size_t r = 0; r < candidates.rows(); ++r) {
    const auto row = candidates.view().row(r);
    if (ball.Contains(row)) queries.insert(queries.end(), row.begin(), row.end());
  }
  const size_t count = queries.size() / kDimension;
  ASSERT_GT(count, 500u);
  for (const Similarity& similarity : {L2Squared(), InnerProduct()}) {
    const auto design = MakeMomentsDesign(similarity, kDimension, ball);
    const auto in_box = MakeMomentsDesign(similarity, kDimension, Cube(kDimension, -2, 2));
    EXPECT_NEAR((*design)->groups()[0].mean_square_weight / (*in_box)->groups()[0].mean_square_weight,
                1.0 / kDimension * (4.0 / (kDimension + 2)) / (4.0 / 3), 1e-6 * kDimension)
        << similarity.name();
    std::vector<double> variances((*design)->groups().size(), 0.0);
    std::vector<Answer> answers(count);
    for (size_t g = 0; g < variances.size(); ++g) {
      std::fill(variances.begin(), variances.end(), 0.0);
      variances[g] = std::pow(static_cast<double>(kGridUnit), 2);
      (*design)
          ->MakeReleasedFunction(std::vector<int64_t>((*design)->num_coordinates()), variances)
          ->Evaluate({queries.data(), count, kDimension}, absl::MakeSpan(answers));
      double mean = 0;
      for (const Answer& answer : answers) mean += answer.noise_variance / count;
      EXPECT_NEAR(mean, (*design)->groups()[g].mean_square_weight, 0.05 * mean + 1e-12) << similarity.name() << g;
    }
  }
  // Records outside count as their projections.
  const auto design = MakeMomentsDesign(L2Squared(), kDimension, ball);
  const Points far = UniformPoints(50, kDimension, 5, 100, 4);
  Points projected = far;
  for (size_t r = 0; r < far.rows(); ++r) {
    ball.Clamp(&projected.values[r * kDimension], &projected.values[r * kDimension]);
  }
  std::vector<int64_t> sums((*design)->num_coordinates()), expected((*design)->num_coordinates());
  (*design)->Accumulate(far.view(), absl::MakeSpan(sums));
  (*design)->Accumulate(projected.view(), absl::MakeSpan(expected));
  EXPECT_EQ(sums, expected);
  EXPECT_GT(sums[kDimension], 0.9999 * 50 * kGridUnit);  // sum ||z||^2: all on the sphere
}

// Cosine needs no domain; zero vectors, as records and as queries, have a cosine of 0.
TEST(MomentsDesignTest, CosineOfUnboundedAndOfZeroVectors) {
  const auto design = MakeMomentsDesign(Cosine(), 2, absl::nullopt);
  ASSERT_TRUE(design.ok()) << design.status();
  const std::vector<float> points = {3e30f, 4e30f, 0, 0, 1e-20f, 0}, queries = {2, 0, 0, 0};
  std::vector<int64_t> sums((*design)->num_coordinates());
  (*design)->Accumulate({points.data(), 3, 2}, absl::MakeSpan(sums));
  std::vector<Answer> answers(2);
  (*design)->MakeReleasedFunction(sums, {1, 0})->Evaluate({queries.data(), 2, 2}, absl::MakeSpan(answers));
  EXPECT_NEAR(answers[0].sum, 0.6 + 1, 1e-5);
  EXPECT_EQ(answers[1].sum, 0);
  EXPECT_EQ(answers[1].noise_variance, 0);
}

// The variance that is stated is that of the linear form: unit noise in one coordinate at a time.
TEST(MomentsDesignTest, NoiseVarianceIsThatOfTheAnswer) {
  const std::vector<float> query = {0.5f, -0.25f, 2};
  const double unit = kGridUnit;
  for (const Similarity& similarity : {L2Squared(), InnerProduct(), Cosine()}) {
    const auto design = MakeMomentsDesign(similarity, 3, Cube(3, -1, 2));
    std::vector<double> variances;
    for (size_t g = 0; g < (*design)->groups().size(); ++g) variances.push_back((2 + g) * unit * unit);
    const auto answer_of = [&](const std::vector<int64_t>& values) {
      Answer answer;
      (*design)->MakeReleasedFunction(values, variances)->Evaluate({query.data(), 1, 3}, absl::MakeSpan(&answer, 1));
      return answer;
    };
    const std::vector<int64_t> zero((*design)->num_coordinates());
    double variance = 0;
    for (size_t g = 0; g < variances.size(); ++g) {
      const CoordinateGroup& group = (*design)->groups()[g];
      for (size_t j = 0; j < group.count; ++j) {
        std::vector<int64_t> basis = zero;
        basis[group.first + j] = kGridUnit;
        variance += std::pow(answer_of(basis).sum, 2) * (2 + g);
      }
    }
    EXPECT_NEAR(answer_of(zero).noise_variance, variance, 1e-9 * variance) << similarity.name();
  }
}

TEST(MomentsDesignTest, RefusesWhatItCannotDo) {
  EXPECT_FALSE(MakeMomentsDesign(Gaussian(1), 1, Cube(1, 0, 1)).ok());
  EXPECT_FALSE(MakeMomentsDesign(L2Squared(), 1, absl::nullopt).ok());
  EXPECT_FALSE(MakeMomentsDesign(InnerProduct(), 1, absl::nullopt).ok());
  EXPECT_FALSE(MakeMomentsDesign(Cosine(), 2, Cube(1, 0, 1)).ok());
  EXPECT_FALSE(MakeMomentsDesign(Cosine(), 0, absl::nullopt).ok());
}

}  // namespace
}  // namespace dpkde
