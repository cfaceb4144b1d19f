#include "dpkde/designs/landmark_design.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "dpkde/base/thread_pool.h"
#include "tests/testing/answers.h"
#include "tests/testing/landmarks.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

constexpr double kUnit = 1 << 20;

// The condition of GroupShape::kResidual, and the joint ball: for whatever record, and whatever W.
TEST(LandmarkDesignTest, FeaturesAndResidualStayInTheBallTogether) {
  const Points points = UniformPoints(20, 3, -3, 3, 5);
  Points records = UniformPoints(3000, 3, -4, 4, 6);
  records.values.insert(records.values.end(), points.values.begin(), points.values.end());
  const float corners[] = {0.0f, 1e30f, -1e30f, 3.4e38f, std::numeric_limits<float>::infinity(), std::nanf("")};
  for (float corner : corners) records.values.insert(records.values.end(), {corner, 0.5f, corner});
  for (const bool is_distance : {false, true}) {
    const Similarity similarity = is_distance ? MakeSimilarity(Spec::L1, 0) : Gaussian(2);
    for (float foreign : {1.0f, 5.0f}) {
      proto::DesignSpec spec =
          is_distance ? WhitenedLandmarks(similarity, points, 6, {0, 0.5f, 0}) : WhitenedLandmarks(similarity, points);
      for (float& value : *spec.mutable_landmark()->mutable_projection()) value *= foreign;
      for (const absl::optional<Domain>& domain : {absl::optional<Domain>(), absl::make_optional(Cube(3, -3, 3))}) {
        const auto design = MakeLandmarkDesign(similarity, 3, domain, spec.landmark());
        ASSERT_TRUE(design.ok()) << design.status();
        double largest = 0;
        for (size_t r = 0; r < records.rows(); ++r) {
          std::vector<int64_t> q((*design)->num_coordinates());
          (*design)->Accumulate(records.view().Slice(r, r + 1), absl::MakeSpan(q));
          double square = 0;
          for (size_t j = 0; j < 20; ++j) square += static_cast<double>(q[j]) * q[j];
          ASSERT_LE(square, kUnit * kUnit);
          ASSERT_GE(q[20], 0);
          ASSERT_LE(q[20] * kUnit, kUnit * kUnit - square);
          if (is_distance) {
            ASSERT_GE(q[21], 0);
            ASSERT_LE(q[21], kUnit);
          }
          largest = std::max(largest, std::sqrt(square) / kUnit);
        }
        EXPECT_GT(largest, 0.9);
      }
    }
  }
}

// Sums over the landmarks' own span are exact; elsewhere within bias_bound, which is tight where one record is the
// query itself.
TEST(LandmarkDesignTest, ErrorsAreWithinTheBiasBound) {
  ThreadPool pool(1);
  const Points points = UniformPoints(30, 4, -1, 1, 5);
  const Points records = UniformPoints(500, 4, -1.5, 1.5, 6);
  const Points queries = UniformPoints(200, 4, -1.5, 1.5, 7);
  std::vector<Similarity> similarities = AllKernels(2);
  similarities.push_back(MakeSimilarity(Spec::L1, 0));
  similarities.push_back(MakeSimilarity(Spec::L2, 0));
  similarities.push_back(MakeSimilarity(Spec::LP_POWER, 0, 0.5));
  for (const Similarity& similarity : similarities) {
    const auto spec = similarity.is_kernel() ? WhitenedLandmarks(similarity, points)
                                             : WhitenedLandmarks(similarity, points, 7, {0, 0, 0, 0});
    const auto design = MakeLandmarkDesign(similarity, 4, absl::nullopt, spec.landmark());
    ASSERT_TRUE(design.ok()) << design.status();
    std::vector<double> exact(200);
    similarity.Sum(records.view(), queries.view(), pool, absl::MakeSpan(exact));
    const std::vector<Answer> answers = NoiselessAnswers(**design, records.view(), queries.view());
    double error = 0, bound = 0;
    for (size_t q = 0; q < 200; ++q) {
      ASSERT_LE(std::abs(answers[q].sum - exact[q]), *answers[q].bias_bound + 1e-3 * exact[q]) << similarity.name();
      error = std::max(error, std::abs(answers[q].sum - exact[q]));
      bound += *answers[q].bias_bound / 200;
    }
    EXPECT_GT(bound, 0);
    // One record, and that record as the query: r(x, x) itself.
    const MatrixView one = queries.view().Slice(0, 1);
    const Answer own = NoiselessAnswers(**design, one, one)[0];
    const double truth = similarity.is_kernel() ? 1 : 0;
    EXPECT_NEAR(std::abs(own.sum - truth), *own.bias_bound, 0.02 * *own.bias_bound + 1e-4) << similarity.name();
    // At a landmark nothing is missed.
    similarity.Sum(records.view(), points.view(), pool, absl::MakeSpan(exact).subspan(0, 30));
    const std::vector<Answer> at = NoiselessAnswers(**design, records.view(), points.view());
    for (size_t l = 0; l < 30; ++l) EXPECT_NEAR(at[l].sum, exact[l], 0.002 * exact[l] + 0.5) << similarity.name();
    EXPECT_GT(error, 0.01);  // so the bound was put to the test
  }
}

// Records beyond the radius count as moved to it.
TEST(LandmarkDesignTest, FarRecordsAreMovedToTheRadius) {
  ThreadPool pool(1);
  for (const Similarity& similarity :
       {MakeSimilarity(Spec::L1, 0), MakeSimilarity(Spec::L2, 0), MakeSimilarity(Spec::LP_POWER, 0, 0.5)}) {
    const Points points = UniformPoints(15, 2, -1, 1, 5);
    const auto spec = WhitenedLandmarks(similarity, points, 3, {0.5f, 0});
    const auto design = MakeLandmarkDesign(similarity, 2, absl::nullopt, spec.landmark());
    Points far;
    far.columns = 2;
    far.values = {40.5f, 30};
    std::vector<double> exact(1);
    const auto distance = [&](double factor) {
      const std::vector<float> x = {static_cast<float>(0.5 + factor * 40), static_cast<float>(factor * 30)};
      return similarity.Evaluate(x, std::vector<float>{0.5f, 0});
    };
    double low = 0, high = 1;
    for (int step = 0; step < 60; ++step) (distance((low + high) / 2) < 3 ? low : high) = (low + high) / 2;
    Points moved;
    moved.columns = 2;
    moved.values = {static_cast<float>(0.5 + low * 40), static_cast<float>(low * 30)};
    for (size_t q = 0; q < 15; ++q) {
      const MatrixView query = points.view().Slice(q, q + 1);
      EXPECT_NEAR(NoiselessAnswers(**design, far.view(), query)[0].sum,
                  NoiselessAnswers(**design, moved.view(), query)[0].sum, 1e-4);
    }
  }
}

// 500 records from another place are noticed; 500 like the reference are not.
TEST(LandmarkDesignTest, NoticesRecordsThatAreUnlikeTheReference) {
  const Points points = UniformPoints(40, 2, -1, 1, 5);
  proto::DesignSpec spec = WhitenedLandmarks(Gaussian(0.3), points);
  const Points alike = UniformPoints(500, 2, -1, 1, 6), other = UniformPoints(500, 2, 1.5, 3, 6);
  const auto residual = [&](const Points& records) {
    const auto design = MakeLandmarkDesign(Gaussian(0.3), 2, absl::nullopt, spec.landmark());
    std::vector<int64_t> sums((*design)->num_coordinates());
    (*design)->Accumulate(records.view(), absl::MakeSpan(sums));
    return sums[40] / kUnit / 500;
  };
  spec.mutable_landmark()->set_residual_mean(residual(UniformPoints(500, 2, -1, 1, 7)));
  spec.mutable_landmark()->set_residual_deviation(0.1);
  EXPECT_LT(residual(alike), residual(other) / 2);
  const auto design = MakeLandmarkDesign(Gaussian(0.3), 2, absl::nullopt, spec.landmark());
  EXPECT_FALSE(NoiselessAnswers(**design, alike.view(), points.view())[0].is_unlike_plan);
  EXPECT_TRUE(NoiselessAnswers(**design, other.view(), points.view())[0].is_unlike_plan);
}

TEST(LandmarkDesignTest, RefusesWhatIsIncompleteOrOutOfRange) {
  const Points points = UniformPoints(5, 2, -1, 1, 5);
  const proto::DesignSpec good = WhitenedLandmarks(Gaussian(1), points);
  const auto message = [&](const auto& change) {
    proto::LandmarkSpec spec = good.landmark();
    change(spec);
    return std::string(MakeLandmarkDesign(Gaussian(1), 2, absl::nullopt, spec).status().message());
  };
  EXPECT_EQ(message([](auto&) {}), "");
  EXPECT_EQ(message([](auto& spec) { spec.set_rank(6); }), "rank must be at least 1 and at most 5, but is 6");
  EXPECT_EQ(message([](auto& spec) { spec.set_landmarks(0); }),
            "landmarks must be at least 1 and at most 8192, but is 0");
  EXPECT_EQ(message([](auto& spec) { spec.mutable_points()->RemoveLast(); }),
            "landmark must have 10 values, but has 9");
  EXPECT_EQ(message([](auto& spec) { spec.set_projection(3, std::nanf("")); }),
            "projection must be finite, but is nan");
  EXPECT_EQ(message([](auto& spec) { spec.add_origin(1); }), "origin must have 0 values, but has 1");
  EXPECT_EQ(message([](auto& spec) { spec.set_mean_square_bias(INFINITY); }),
            "what is expected of landmarks must be finite, but is inf");
  EXPECT_FALSE(MakeLandmarkDesign(MakeSimilarity(Spec::L2_SQUARED, 0), 2, absl::nullopt, good.landmark()).ok());
  EXPECT_FALSE(MakeLandmarkDesign(MakeSimilarity(Spec::L1, 0), 2, absl::nullopt, good.landmark()).ok());
  EXPECT_FALSE(MakeLandmarkDesign(Gaussian(1), 3, absl::nullopt, good.landmark()).ok());
}

}  // namespace
}  // namespace dpkde
