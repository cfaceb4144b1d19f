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
