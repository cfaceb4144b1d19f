#include "dpkde/designs/landmark_kernel.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/testing/landmarks.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

std::vector<Similarity> Distances() {
  return {MakeSimilarity(Spec::L1, 0), MakeSimilarity(Spec::L2, 0), MakeSimilarity(Spec::LP_POWER, 0, 0.5),
          MakeSimilarity(Spec::LP_POWER, 0, 1.7)};
}

std::vector<Similarity> All() {
  std::vector<Similarity> all = AllKernels(4);
  for (const Similarity& similarity : Distances()) all.push_back(similarity);
  return all;
}

LandmarkMap MakeMap(const Similarity& similarity, size_t landmarks, size_t dimension) {
  const Points points = UniformPoints(landmarks, dimension, -3, 3, 5);
  const std::vector<float> origin =
      similarity.is_kernel() ? std::vector<float>() : std::vector<float>(dimension, 0.25f);
  const proto::LandmarkSpec spec =
      WhitenedLandmarks(similarity, points, similarity.is_kernel() ? 0 : 40, origin).landmark();
  return MakeLandmarkMap(similarity.spec(), points.view(), {spec.projection().data(), landmarks, landmarks},
                         origin.empty() ? nullptr : origin.data(), 80);
}

std::vector<float> Features(const LandmarkMap& map, MatrixView rows) {
  std::vector<float> features(rows.rows * map.padded_rank());
  LandmarkFeatures(map, rows, features.data(), nullptr);
  return features;
}

// Against double precision, for every similarity: <phi(x), phi(z)> = k(x, z) at landmarks z, up to float32 and the
// ridge.
TEST(LandmarkKernelTest, ReproducesTheKernelAtLandmarks) {
  for (const Similarity& similarity : All()) {
    for (size_t dimension : {1, 7}) {
      const size_t landmarks = dimension == 1 ? 3 : 70;
      const LandmarkMap map = MakeMap(similarity, landmarks, dimension);
      const Points rows = UniformPoints(53, dimension, -3, 3, 6);
      const Points points = UniformPoints(landmarks, dimension, -3, 3, 5);
      const std::vector<float> origin(dimension, 0.25f);
      const std::vector<float> phi = Features(map, rows.view()), psi = Features(map, points.view());
      double worst = 0;
      for (size_t r = 0; r < rows.rows(); ++r) {
        for (size_t l = 0; l < landmarks; ++l) {
          double product = 0;
          for (size_t j = 0; j < map.rank; ++j) {
            product += static_cast<double>(phi[r * map.padded_rank() + j]) * psi[l * map.padded_rank() + j];
          }
          const auto x = rows.view().row(r), z = points.view().row(l);
          double k = similarity.Evaluate(x, z);
          if (!similarity.is_kernel()) {
            k = (similarity.Evaluate(x, origin) + similarity.Evaluate(z, origin) - k) / 80;
          }
          worst = std::max(worst, std::abs(product - k));
        }
      }
      EXPECT_LT(worst, 2e-3) << similarity.name() << " " << dimension;
    }
  }
}

// As fourier_kernel_test.cc; its control holds here too.
TEST(LandmarkKernelTest, ARowsFeaturesDependOnThatRowAlone) {
  for (const Similarity& similarity : All()) {
    for (size_t dimension : {1, 33}) {
      const LandmarkMap map = MakeMap(similarity, 3 + 2 * dimension, dimension);
      const Points rows = UniformPoints(61, dimension, -5, 5, 12);
      std::vector<std::vector<float>> alone;
      for (size_t r = 0; r < rows.rows(); ++r) alone.push_back(Features(map, rows.view().Slice(r, r + 1)));
      for (size_t begin = 0; begin < rows.rows(); ++begin) {
        const size_t end = begin % 2 == 0 ? rows.rows() : std::min(begin + 1 + begin % 13, rows.rows());
        const std::vector<float> together = Features(map, rows.view().Slice(begin, end));
        for (size_t r = begin; r < end; ++r) {
          for (size_t j = 0; j < map.padded_rank(); ++j) {
            ASSERT_EQ(together[(r - begin) * map.padded_rank() + j], alone[r][j]) << similarity.name();
          }
        }
      }
    }
  }
}

TEST(LandmarkKernelTest, EverySimdTargetGivesTheSameFeatures) {
  const int64_t supported = hwy::SupportedTargets();
  int targets = 0;
  for (const Similarity& similarity : All()) {
    const LandmarkMap map = MakeMap(similarity, 70, 37);
    const Points rows = UniformPoints(500, 37, -5, 5, 13);
    const std::vector<float> best = Features(map, rows.view());
    for (int64_t target : {HWY_AVX2, HWY_AVX3}) {
      if ((supported & target) == 0) continue;
      hwy::GetChosenTarget().Update(target);
      EXPECT_EQ(Features(map, rows.view()), best) << similarity.name() << " " << hwy::TargetName(target);
      ++targets;
    }
    hwy::GetChosenTarget().Update(supported);
  }
  EXPECT_GE(targets, 1);
  RecordProperty("targets", targets);
}

TEST(RoundFeaturesTest, KeepsTheNorm) {
  constexpr int64_t kUnit = 1 << 20;
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> cases = {{1, 0, 0},
                                                 {1, 1, 1},
                                                 {-2, 2, 2},
                                                 {0.6f, 0.8f, 0},
                                                 {0.57735f, 0.57735f, 0.57736f},
                                                 {2.1f, 0, 0},
                                                 {infinity, 0, 0},
                                                 {0, 0, std::nanf("")},
                                                 {1e-45f, -0.0f, 0},
                                                 {0, 0, 0}};
  for (const std::vector<float>& features : cases) {
    for (int64_t diagonal : {kUnit, kUnit / 3, int64_t{1}, int64_t{0}}) {
      int32_t integers[3];
      const int64_t residual = RoundFeatures(features.data(), 3, diagonal, integers);
      int64_t square = 0;
      for (int32_t value : integers) square += static_cast<int64_t>(value) * value;
      EXPECT_LE(square, diagonal * kUnit);
      EXPECT_GE(residual, 0);
      // The condition that makes the residual free.
      EXPECT_LE(residual * kUnit, kUnit * kUnit - square);
      EXPECT_EQ(residual, (diagonal * kUnit - square) >> 20);
    }
  }
  int32_t integers[3];
  EXPECT_LE(RoundFeatures(cases[3].data(), 3, kUnit, integers), 1);  // of a unit vector next to nothing is lost
  EXPECT_NEAR(integers[0], 0.6 * kUnit, 2);
  EXPECT_EQ(RoundFeatures(cases[6].data(), 3, kUnit, integers), kUnit);
}

}  // namespace
}  // namespace dpkde
