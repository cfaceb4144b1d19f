#include "dpkde/index/search/vector_scores.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "dpkde/index/search/recall.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

using Metric = VectorIndexOptions::Metric;

constexpr size_t kDimension = 21;

struct Vectors {
  std::vector<float> x, y;
  std::vector<double> origin;
};

Vectors Random(double origin, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal;
  Vectors vectors;
  for (size_t j = 0; j < kDimension; ++j) {
    vectors.x.push_back(normal(engine));
    vectors.y.push_back(normal(engine));
    vectors.origin.push_back(origin == 0 ? 0 : origin + static_cast<double>(j));
  }
  if (origin == 0) vectors.origin.clear();
  return vectors;
}

long double Naive(Metric metric, const Vectors& v) {
  long double product = 0, xx = 0, yy = 0, distance = 0;
  for (size_t j = 0; j < kDimension; ++j) {
    const long double o = v.origin.empty() ? 0 : v.origin[j], x = v.x[j] + o, y = v.y[j] + o;
    const long double difference = static_cast<long double>(v.x[j]) - v.y[j];
    product += x * y, xx += x * x, yy += y * y, distance += difference * difference;
  }
  return metric == Metric::kInnerProduct ? product : metric == Metric::kL2 ? distance : product / std::sqrt(xx * yy);
}

TEST(VectorScorerTest, AgreesWithItsDefinition) {
  for (const double origin : {0.0, 1000.0, -1e9}) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      const Vectors v = Random(origin, seed);
      for (const Metric metric : {Metric::kInnerProduct, Metric::kCosine, Metric::kL2}) {
        const VectorScorer scorer(metric, v.origin, v.x);
        const double expected = static_cast<double>(Naive(metric, v));
        const double tolerance = metric == Metric::kCosine ? 5e-15 : 1e-14 * std::max(std::abs(expected), 20.0);
        EXPECT_NEAR(scorer.Score(v.y.data()), expected, tolerance) << origin << " " << static_cast<int>(metric);
      }
    }
  }
}

TEST(VectorScorerTest, VectorsOfOneDirectionHaveOneCosine) {
  const Vectors v = Random(0, 1);
  const VectorScorer scorer(Metric::kCosine, {}, v.x);
  for (const float factor : {3.0f, 0.1f, 7e5f}) {
    std::vector<float> scaled = v.x;
    for (float& value : scaled) value *= factor;
    EXPECT_NEAR(scorer.Score(scaled.data()), 1, 1e-6);
  }
  const std::vector<float> twice = {2, 2}, one = {1, 1}, thrice = {3, 3}, zero = {0, 0};
  const VectorScorer diagonal(Metric::kCosine, {}, one);
  EXPECT_EQ(diagonal.Score(twice.data()), 1);
  EXPECT_EQ(diagonal.Score(thrice.data()), 1);
  EXPECT_EQ(diagonal.Score(zero.data()), 0);
  EXPECT_EQ(VectorScorer(Metric::kCosine, {}, zero).Score(one.data()), 0);
}

// The first stage's scores, plus their constants, are the scores; its vectors are small where the origin is among them.
TEST(FirstStageTest, KeepsScoresAndDifferences) {
  for (const Metric metric : {Metric::kInnerProduct, Metric::kCosine, Metric::kL2}) {
    for (const double origin : {0.0, 1000.0}) {
      const Vectors v = Random(origin, 3);
      proto::IndexConfig config;
      config.mutable_tokens()->set_single_vectors(true);
      config.mutable_vector_index()->set_metric(ToProto(metric));
      for (const double value : v.origin) config.add_origin(value);
      const FirstStage stage(config);
      std::vector<float> vectors, queries;
      std::vector<double> constants;
      const MatrixView y = stage.Vectors({v.y.data(), 1, kDimension}, &vectors);
      const MatrixView x = stage.Queries({v.x.data(), 1, kDimension}, &queries, &constants);
      const Metric of_stage = FirstStage::Options(config)->metric;
      EXPECT_EQ(of_stage == metric, metric != Metric::kCosine || origin == 0);
      double product = 0, distance = 0, length = 0;
      for (size_t j = 0; j < kDimension; ++j) {
        product += static_cast<double>(x.row(0)[j]) * y.row(0)[j];
        distance += std::pow(static_cast<double>(x.row(0)[j]) - y.row(0)[j], 2);
        length += static_cast<double>(y.row(0)[j]) * y.row(0)[j];
      }
      if (metric == Metric::kCosine && origin == 0) continue;  // the index normalises
      const double expected = static_cast<double>(Naive(metric, v));
      const double got = (of_stage == Metric::kL2 ? distance : product) + constants[0];
      EXPECT_NEAR(got, expected, (metric == Metric::kCosine ? 1e-9 : 1e-6) * std::max(1.0, std::abs(expected)));
      EXPECT_TRUE(metric != Metric::kCosine || length < 1e-4) << length;
    }
  }
}

TEST(CountTiesTest, AMillionth) {
  EXPECT_EQ(CountTies({1}, {1}), 1u);
  EXPECT_EQ(CountTies({1 + 9e-7}, {1}), 1u);
  EXPECT_EQ(CountTies({1 + 2e-6}, {1}), 0u);
  EXPECT_EQ(CountTies({-1e-9}, {-1e-9 - 1e-16}), 1u);
  EXPECT_EQ(CountTies({-1e-9}, {-1.1e-9}), 0u);
  EXPECT_EQ(CountTies({0, 0, 0}, {0, 0}), 2u);
  EXPECT_EQ(CountTies({3, 1, 2}, {2, 4, 1}), 2u);
  EXPECT_EQ(CountTies({}, {1}), 0u);
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(CountTies({-infinity}, {-infinity}), 1u);
  EXPECT_EQ(CountTies({-infinity}, {1}), 0u);
}

}  // namespace
}  // namespace dpkde
