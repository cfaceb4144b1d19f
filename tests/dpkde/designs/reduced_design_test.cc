#include "dpkde/designs/reduced_design.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/design_factory.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

proto::DesignSpec Reduced(proto::DesignSpec spec, uint32_t dimension, bool hadamard, uint64_t seed) {
  spec.mutable_reduction()->set_dimension(dimension);
  spec.mutable_reduction()->set_hadamard(hadamard);
  spec.mutable_reduction()->set_public_seed(seed);
  return spec;
}

// Without noise: answers minus exact sums.
std::vector<double> Errors(const Similarity& similarity, const Design& design, const Points& points,
                           const Points& queries, double* deviation = nullptr) {
  ThreadPool pool(1);
  std::vector<int64_t> sums(design.num_coordinates());
  design.Accumulate(points.view(), absl::MakeSpan(sums));
  std::vector<Answer> answers(queries.rows());
  design.MakeReleasedFunction(sums, std::vector<double>(design.groups().size()))
      ->Evaluate(queries.view(), absl::MakeSpan(answers));
  std::vector<double> errors(queries.rows());
  similarity.Sum(points.view(), queries.view(), pool, absl::MakeSpan(errors));
  for (size_t q = 0; q < errors.size(); ++q) {
    errors[q] = answers[q].sum - errors[q];
    if (deviation != nullptr) *deviation = std::sqrt(*answers[q].total_variance);
  }
  return errors;
}

// Errors of the map alone, in front of moments, which have none: as predicted for records in one corner, where all
// errors add up, and less for a cloud; the deviation that answers state covers both.
TEST(ReducedDesignTest, ErrorsAreAsPredicted) {
  const Similarity similarity = MakeSimilarity(Spec::L2_SQUARED, 0);
  const Points queries = UniformPoints(40, 100, -1, 1, 5), cloud = UniformPoints(100, 100, -1, 1, 6);
  Points corner;
  corner.columns = 100;
  corner.values.assign(100, 1);
  for (bool hadamard : {false, true}) {
    for (uint32_t dimension : {8, 60}) {
      double square[2] = {}, stated[2] = {};
      constexpr int kSeeds = 60;
      for (int seed = 0; seed < kSeeds; ++seed) {
        const auto design =
            CreateDesign(similarity, 100, Cube(100, -1, 1), Reduced(MomentsDesign(), dimension, hadamard, seed));
        ASSERT_TRUE(design.ok()) << design.status();
        for (int set = 0; set < 2; ++set) {
          double deviation = 0;
          for (double error : Errors(similarity, **design, set == 0 ? corner : cloud, queries, &deviation)) {
            square[set] += error * error / 40 / kSeeds;
          }
          stated[set] += deviation * deviation / kSeeds;
        }
      }
      const double predicted = ReductionError(similarity, Cube(100, -1, 1), dimension, 1);
      std::printf("%s K=%u corner: error/predicted %.3f, /stated %.3f; cloud %.3f, %.3f\n",
                  hadamard ? "hadamard" : "dense", dimension, std::sqrt(square[0]) / predicted,
                  std::sqrt(square[0] / stated[0]), std::sqrt(square[1]) / 100 / predicted,
                  std::sqrt(square[1] / stated[1]));
      EXPECT_LE(std::sqrt(square[0]), 1.2 * predicted);
      EXPECT_GE(std::sqrt(square[0]), 0.5 * predicted);
      EXPECT_LE(std::sqrt(square[1]), 100 * predicted);
      EXPECT_LE(std::sqrt(square[0]), 1.2 * std::sqrt(stated[0]));
      EXPECT_LE(std::sqrt(square[1]), 1.2 * std::sqrt(stated[1]));
    }
  }
}

// In front of every kind of design that takes a ball of few dimensions.
TEST(ReducedDesignTest, OtherDesignsStandBehindIt) {
  const struct {
    Similarity similarity;
    proto::DesignSpec design;
    uint32_t dimension;
  } cases[] = {
      {Gaussian(6), MonteCarloDesign(2048), 40},
      {Gaussian(6), HadamardDesign(2048), 70},
      {MakeSimilarity(Spec::EXPONENTIAL, 8), MonteCarloDesign(2048, true), 32},
      {MakeSimilarity(Spec::L2, 0), SliceDesign(500, 15), 50},
      {Gaussian(9), SplineGridDesign({8, 8}), 2},
      {Gaussian(9), LatticeDesign(1e-3), 2},
  };
  const Points points = UniformPoints(50, 100, -1, 1, 1), queries = UniformPoints(20, 100, -1, 1, 2);
  for (const auto& test : cases) {
    double square = 0, predicted = 0;
    for (int seed = 0; seed < 6; ++seed) {
      const auto design = CreateDesign(test.similarity, 100, Cube(100, -1, 1),
                                       Reduced(test.design, test.dimension, seed % 2 == 0, seed));
      ASSERT_TRUE(design.ok()) << design.status();
      EXPECT_FALSE((*design)->SupError().has_value());
      predicted = (*design)->PredictedApproximationError(50, 1);
      for (double error : Errors(test.similarity, **design, points, queries)) square += error * error / 20 / 6;
    }
    EXPECT_LE(std::sqrt(square), 1.2 * predicted) << DescribeDesign(test.design);
    EXPECT_GE(std::sqrt(square), predicted / 100) << DescribeDesign(test.design);
  }
}

TEST(ReducedDesignTest, RefusesWhatItCannotDo) {
  const Domain domain = Cube(100, 0, 1);
  const auto status = [&](const Similarity& similarity, size_t d, const absl::optional<Domain>& box,
                          const proto::DesignSpec& spec) { return CreateDesign(similarity, d, box, spec).status(); };
  const proto::DesignSpec good = Reduced(MonteCarloDesign(8), 10, true, 1);
  EXPECT_TRUE(status(Gaussian(1), 100, domain, good).ok());
  EXPECT_FALSE(status(Gaussian(1), 100, absl::nullopt, good).ok());
  EXPECT_FALSE(status(Laplacian(1), 100, domain, good).ok());
  EXPECT_FALSE(status(Gaussian(1), 30, Cube(30, 0, 1), good).ok());  // hadamard
  EXPECT_TRUE(status(Gaussian(1), 30, Cube(30, 0, 1), Reduced(MonteCarloDesign(8), 10, false, 1)).ok());
  EXPECT_FALSE(status(Gaussian(1), 100, domain, Reduced(MonteCarloDesign(8), 0, true, 1)).ok());
  EXPECT_FALSE(status(Gaussian(1), 100, domain, Reduced(MonteCarloDesign(8), 100, true, 1)).ok());
  for (bool hadamard : {false, true}) {
    const auto design = CreateDesign(Gaussian(1), 100, domain, Reduced(MonteCarloDesign(8), 10, hadamard, 1));
    proto::DesignSpec spec = (*design)->spec();
    EXPECT_TRUE(status(Gaussian(1), 100, domain, spec).ok());
    spec.mutable_reduction()->set_public_seed(2);
    EXPECT_EQ(status(Gaussian(1), 100, domain, spec).code(), absl::StatusCode::kFailedPrecondition);
    spec = (*design)->spec();
    spec.mutable_reduction()->set_scheme_version(9);
    EXPECT_EQ(status(Gaussian(1), 100, domain, spec).code(), absl::StatusCode::kFailedPrecondition);
  }
}

}  // namespace
}  // namespace dpkde
