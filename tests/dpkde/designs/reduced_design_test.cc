#include "dpkde/designs/reduced_design.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/design_factory.h"
#include "tests/testing/answers.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

// Without noise: answers minus exact sums.
std::vector<double> Errors(const Similarity& similarity, const Design& design, const Points& points,
                           const Points& queries, double* deviation = nullptr) {
  ThreadPool pool(1);
  const std::vector<Answer> answers = NoiselessAnswers(design, points.view(), queries.view());
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
      {Gaussian(6), LsqRffDesign(2048), 40},
      {Gaussian(9), LsqFgtDesign({8, 8}, 4), 2},
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

proto::DesignSpec Projected(proto::TreeSpec::Variant variant, uint32_t levels, double alpha, uint32_t count,
                            uint64_t seed) {
  return Reduced(TreeDesign(variant, levels, alpha), count, false, seed);
}

// Trees of l2 that are so fine that the projections are all their error: unbiased, and for records in one place with
// the variance (pi / 2 - 1) / K of the theory, in any dimension and whether K is more or less than it.
TEST(ReducedDesignTest, TreesOfL2AreUnbiasedAndErrAsTheTheorySays) {
  const Similarity l2 = MakeSimilarity(Spec::L2, 0);
  for (const auto& [d, count] : {std::make_pair(1, 3), std::make_pair(2, 12), std::make_pair(30, 6)}) {
    Points corner, query = UniformPoints(1, d, -1, 1, 3);
    corner.columns = d;
    corner.values.assign(d, 1);
    const double exact = l2.Evaluate(corner.view().row(0), query.view().row(0));
    for (const auto variant : {proto::TreeSpec::RINGS, proto::TreeSpec::SUMS, proto::TreeSpec::CENTERED}) {
      const double alpha = variant == proto::TreeSpec::RINGS ? 0.05 : 0;
      constexpr int kSeeds = 200;
      double mean = 0, square = 0, stated = 0;
      for (int seed = 0; seed < kSeeds; ++seed) {
        const auto design = CreateDesign(l2, d, Cube(d, -1, 1), Projected(variant, 8, alpha, count, seed));
        ASSERT_TRUE(design.ok()) << design.status();
        double deviation = 0;
        const double error = Errors(l2, **design, corner, query, &deviation)[0] / exact;
        mean += error / kSeeds;
        square += error * error / kSeeds;
        stated += deviation * deviation / (exact * exact) / kSeeds;
      }
      const double theory = std::sqrt((std::acos(-1) / 2 - 1) / count);
      EXPECT_NEAR(std::sqrt(square) / theory, 1, 0.15) << d << " " << variant;
      EXPECT_NEAR(std::sqrt(stated) / theory, 1, 0.15) << d << " " << variant;
      // Of rings at most alpha, and half of it on average.
      EXPECT_LE(std::abs(mean - alpha / 2), 5 * theory / std::sqrt(kSeeds)) << d << " " << variant;
      // The control: the mean absolute projection without its factor sqrt(pi / 2).
      EXPECT_GT(std::abs(mean - alpha / 2 - 0.2), 5 * theory / std::sqrt(kSeeds)) << d << " " << variant;
    }
  }
}

// K trees of `levels` levels share epsilon evenly: for counts and sums a Laplace scale 2 K levels / epsilon. With t the
// query's place on an axis of width 8 r / sqrt(K), here the middle, an answer has the variance pi / (2 K) K levels (8
// r)^2 / K (1 + t^2) 2 (2 K levels / epsilon)^2.
TEST(ReducedDesignTest, NoiseOfTreesOfL2IsThatOfTheTheory) {
  constexpr double kRadius = 3, kEpsilon = 0.5;
  Points query;
  query.columns = 5;
  query.values.assign(5, 0);
  for (uint32_t count : {4, 32}) {
    for (uint32_t levels : {3, 6}) {
      const auto design = CreateDesign(MakeSimilarity(Spec::L2, 0), 5, Ball(5, kRadius),
                                       Projected(proto::TreeSpec::SUMS, levels, 0, count, 1));
      const double theory = std::sqrt(std::acos(-1) / 2 * levels * 64 * kRadius * kRadius / count * 1.25 * 2) * 2 *
                            count * levels / kEpsilon;
      for (double share : {1.0, 1.5}) {
        const NoiseErrors errors =
            MeasureNoise(**design, PureAddRemove(share * kEpsilon), query.view(), /*releases=*/600);
        EXPECT_NEAR(errors.stated / theory, 1 / share, 0.03);
        // The count has a share of 1 %. The control: a larger epsilon.
        if (share == 1) {
          EXPECT_NEAR(errors.measured / theory, 1, 0.15);
        } else {
          EXPECT_LT(errors.measured / theory, 0.85);
        }
      }
    }
  }
}

// A record outside counts as what it is clamped to before the map.
TEST(ReducedDesignTest, TreesOfL2ClampRecordsAndRefuseQueriesOutside) {
  const auto design =
      CreateDesign(MakeSimilarity(Spec::L2, 0), 3, Cube(3, -2, 2), Projected(proto::TreeSpec::CENTERED, 6, 0, 8, 1));
  const float far[] = {1e30f, 0, -7}, end[] = {2, 0, -2};
  std::vector<int64_t> of_far((*design)->num_coordinates()), of_end(of_far.size());
  (*design)->Accumulate({far, 1, 3}, absl::MakeSpan(of_far));
  (*design)->Accumulate({end, 1, 3}, absl::MakeSpan(of_end));
  EXPECT_EQ(of_far, of_end);
  EXPECT_EQ((*design)->query_region(), Design::QueryRegion::kDomain);
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
  // No function of Euclidean distance, or one that the design behind it does not know.
  const Similarity l1 = MakeSimilarity(Spec::L1, 0), l2 = MakeSimilarity(Spec::L2, 0);
  EXPECT_EQ(status(Laplacian(1), 100, domain, Reduced(RaceDesign(4, 16), 10, false, 1)).message(),
            "a reduction needs a function of Euclidean distance, which laplacian is not");
  EXPECT_FALSE(status(l1, 100, domain, Projected(proto::TreeSpec::SUMS, 3, 0, 10, 1)).ok());
  EXPECT_FALSE(status(Gaussian(1), 100, domain, Projected(proto::TreeSpec::SUMS, 3, 0, 10, 1)).ok());
  EXPECT_FALSE(status(Gaussian(1), 100, domain, Reduced(LsqFgtDesign({2, 2, 2, 2}, 2), 4, false, 1)).ok());
  EXPECT_FALSE(status(l2, 100, domain, Reduced(LsqRffDesign(8), 10, false, 1)).ok());
  // Trees of l2: normal projections, and not none.
  EXPECT_TRUE(status(l2, 100, domain, Projected(proto::TreeSpec::SUMS, 3, 0, 200, 1)).ok());
  EXPECT_FALSE(status(l2, 100, domain, Projected(proto::TreeSpec::SUMS, 3, 0, 0, 1)).ok());
  EXPECT_FALSE(status(l2, 100, domain, Reduced(TreeDesign(proto::TreeSpec::SUMS, 3), 10, true, 1)).ok());
  EXPECT_EQ(status(l2, 100, domain, TreeDesign(proto::TreeSpec::SUMS, 3)).message(),
            "l2 is not a sum of powers over axes: it needs a reduction to one");
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
