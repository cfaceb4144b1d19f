#include "dpkde/designs/moments_design.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dpkde/base/thread_pool.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

Similarity L2Squared() { return MakeSimilarity(proto::SimilaritySpec::L2_SQUARED, 0); }

TEST(MomentsDesignTest, SumsAreExactUpToRounding) {
  ThreadPool pool(1);
  for (size_t d : {1, 2, 50}) {
    const auto design = MakeMomentsDesign(L2Squared(), Cube(d, 3, 7), {});
    ASSERT_TRUE(design.ok()) << design.status();
    const Points points = UniformPoints(200, d, 3, 7, 1), queries = UniformPoints(20, d, -10, 20, 2);
    std::vector<int64_t> sums((*design)->num_coordinates());
    (*design)->Accumulate(points.view(), absl::MakeSpan(sums));
    std::vector<Answer> answers(queries.rows());
    (*design)->MakeReleasedFunction(sums, {0, 0, 0})->Evaluate(queries.view(), absl::MakeSpan(answers));
    std::vector<double> exact(queries.rows());
    L2Squared().Sum(points.view(), queries.view(), pool, absl::MakeSpan(exact));
    for (size_t q = 0; q < queries.rows(); ++q) EXPECT_NEAR(answers[q].sum, exact[q], 1e-5 * exact[q]);
  }
}

// The variance that is stated is that of the linear form: unit noise in one coordinate at a time.
TEST(MomentsDesignTest, NoiseVarianceIsThatOfTheAnswer) {
  const auto design = MakeMomentsDesign(L2Squared(), Cube(3, -1, 1), {});
  const std::vector<float> query = {0.5f, -0.25f, 2};
  const double unit = kGridUnit;
  const std::vector<double> variances = {2 * unit * unit, 3 * unit * unit, 5 * unit * unit};
  Answer stated;
  const std::vector<int64_t> zero((*design)->num_coordinates());
  (*design)->MakeReleasedFunction(zero, variances)->Evaluate({query.data(), 1, 3}, absl::MakeSpan(&stated, 1));
  double variance = 0;
  for (size_t j = 0; j < zero.size(); ++j) {
    std::vector<int64_t> basis = zero;
    basis[j] = kGridUnit;
    Answer psi;
    (*design)->MakeReleasedFunction(basis, variances)->Evaluate({query.data(), 1, 3}, absl::MakeSpan(&psi, 1));
    variance += psi.sum * psi.sum * (j < 3 ? 2 : j == 3 ? 3 : 5);
  }
  EXPECT_NEAR(stated.noise_variance, variance, 1e-9 * variance);
}

TEST(MomentsDesignTest, IsForSquaredDistancesOnly) {
  EXPECT_FALSE(MakeMomentsDesign(Gaussian(1), Cube(1, 0, 1), {}).ok());
}

}  // namespace
}  // namespace dpkde
