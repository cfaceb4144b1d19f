// What one record adds never exceeds the declared sensitivity, for any record; and comes near it, so that no noise is
// wasted.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "dpkde/designs/design_factory.h"
#include "tests/testing/landmarks.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

struct Case {
  std::string name;
  Similarity similarity;
  absl::optional<Domain> domain;
  size_t dimension;
  proto::DesignSpec design;
};

proto::DesignSpec Foreign(proto::DesignSpec spec) {
  for (float& value : *spec.mutable_landmark()->mutable_projection()) value *= 10;
  return spec;
}

std::vector<Case> Cases() {
  return {
      {"lattice_1d", Gaussian(1), Cube(1, -3, 3), 1, LatticeDesign(1e-4)},
      {"lattice_2d", Gaussian(1), Cube(2, -3, 3), 2, LatticeDesign(1e-3)},
      {"lattice_laplacian", Laplacian(1), Cube(1, -3, 3), 1, LatticeDesign(1e-2)},
      {"monte_carlo_2d", Gaussian(1), absl::nullopt, 2, MonteCarloDesign(64)},
      {"monte_carlo_100d", Gaussian(5), Cube(100, -3, 3), 100, MonteCarloDesign(130)},
      {"monte_carlo_laplacian", Laplacian(0.01), Cube(2, -3, 3), 2, MonteCarloDesign(64)},
      {"orthogonal_16d", Gaussian(2), Cube(16, -3, 3), 16, MonteCarloDesign(64, true)},
      {"hadamard_100d", Gaussian(5), absl::nullopt, 100, HadamardDesign(130)},
      {"hadamard_exponential", MakeSimilarity(proto::SimilaritySpec::EXPONENTIAL, 0.1), Cube(64, -3, 3), 64,
       HadamardDesign(64)},
      {"axis_l1_1d", MakeSimilarity(proto::SimilaritySpec::L1, 0), Cube(1, -3, 3), 1, AxisDesign(9)},
      {"axis_lp_3d", MakeSimilarity(proto::SimilaritySpec::LP_POWER, 0, 0.5), Cube(3, -3, 3), 3, AxisDesign(70)},
      {"moments_1d", MakeSimilarity(proto::SimilaritySpec::L2_SQUARED, 0), Cube(1, -3, 3), 1, MomentsDesign()},
      {"moments_20d", MakeSimilarity(proto::SimilaritySpec::L2_SQUARED, 0), Cube(20, -3, 3), 20, MomentsDesign()},
      {"moments_inner_product", MakeSimilarity(proto::SimilaritySpec::INNER_PRODUCT, 0), Cube(2, -3, 3), 2,
       MomentsDesign()},
      {"moments_cosine", MakeSimilarity(proto::SimilaritySpec::COSINE, 0), absl::nullopt, 3, MomentsDesign()},
      {"moments_ball_20d", MakeSimilarity(proto::SimilaritySpec::L2_SQUARED, 0), Ball(20, 3), 20, MomentsDesign()},
      {"lattice_ball_2d", Gaussian(1), Ball(2, 3), 2, LatticeDesign(1e-3)},
      {"slice_1d", MakeSimilarity(proto::SimilaritySpec::L2, 0), Cube(1, -3, 3), 1, SliceDesign(1, 9)},
      {"slice_2d", MakeSimilarity(proto::SimilaritySpec::L2, 0), Cube(2, -3, 3), 2, SliceDesign(7, 31)},
      {"slice_8d", MakeSimilarity(proto::SimilaritySpec::L2, 0), Cube(8, -3, 3), 8, SliceDesign(70, 5)},
      {"slice_ball_3d", MakeSimilarity(proto::SimilaritySpec::L2, 0), Ball(3, 3), 3, SliceDesign(20, 5)},
      {"slice_100d", MakeSimilarity(proto::SimilaritySpec::L2, 0), Cube(100, -3, 3), 100, SliceDesign(130, 3)},
      {"reduced_moments", MakeSimilarity(proto::SimilaritySpec::L2_SQUARED, 0), Cube(80, -3, 3), 80,
       Reduced(MomentsDesign(), 5, true)},
      {"reduced_grid", Gaussian(1), Cube(9, -3, 3), 9, Reduced(SplineGridDesign({7, 6}), 2)},
      {"reduced_lsq_rff", Gaussian(3), Cube(9, -3, 3), 9, Reduced(LsqRffDesign(3), 4)},
      {"reduced_lsq_fgt", Gaussian(3), Cube(9, -3, 3), 9, Reduced(LsqFgtDesign({5, 6}, 3), 2)},
      {"tree_l2_rings_1d", MakeSimilarity(proto::SimilaritySpec::L2, 0), Cube(1, -3, 3), 1,
       Reduced(TreeDesign(proto::TreeSpec::RINGS, 5, 0.5), 4)},
      {"tree_l2_rings_9d", MakeSimilarity(proto::SimilaritySpec::L2, 0), Cube(9, -3, 3), 9,
       Reduced(TreeDesign(proto::TreeSpec::RINGS, 4, 0.5), 3)},
      {"tree_l2_centered_ball_3d", MakeSimilarity(proto::SimilaritySpec::L2, 0), Ball(3, 3), 3,
       Reduced(TreeDesign(proto::TreeSpec::CENTERED, 4), 5)},
      {"spline_grid_1d", Gaussian(1), Cube(1, -3, 3), 1, SplineGridDesign({7})},
      {"spline_grid_2d", Gaussian(1), Cube(2, -3, 3), 2, SplineGridDesign({7, 6})},
      {"linear_grid_2d", Gaussian(1), Cube(2, -3, 3), 2, SplineGridDesign({7, 6}, 1e-4, 1)},
      {"quadratic_grid_1d", Gaussian(1), Cube(1, -3, 3), 1, SplineGridDesign({7}, 1e-4, 2)},
      {"quadratic_grid_2d", Gaussian(1), Cube(2, -3, 3), 2, SplineGridDesign({7, 6}, 1e-4, 2)},
      {"spline_grid_3d", Laplacian(1), Cube(3, -3, 3), 3, SplineGridDesign({4, 3, 2})},
      // Ten times what whitens: a map that would exceed the ball if nothing checked it.
      {"landmark_3d", Gaussian(2), Cube(3, -3, 3), 3,
       Foreign(WhitenedLandmarks(Gaussian(2), UniformPoints(20, 3, -3, 3, 5)))},
      {"landmark_l1", MakeSimilarity(proto::SimilaritySpec::L1, 0), Cube(2, -3, 3), 2,
       Foreign(WhitenedLandmarks(MakeSimilarity(proto::SimilaritySpec::L1, 0), UniformPoints(20, 2, -3, 3, 5), 5,
                                 {0.5f, 0}))},
      {"lsq_rff_2d", Gaussian(1), absl::nullopt, 2, LsqRffDesign(64)},
      // Few features: no random record of so many dimensions meets all at their ends.
      {"lsq_rff_100d", Gaussian(5), Cube(100, -3, 3), 100, LsqRffDesign(3)},
      {"lsq_fgt_1d", Gaussian(1), Cube(1, -3, 3), 1, LsqFgtDesign({5}, 4)},
      {"lsq_fgt_2d", Gaussian(1), Cube(2, -3, 3), 2, LsqFgtDesign({4, 6}, 3)},
      {"lsq_fgt_3d", Gaussian(2), Cube(3, -3, 3), 3, LsqFgtDesign({2, 3, 1}, 2)},
      {"exponential_sum_2d", MakeSimilarity(proto::SimilaritySpec::CAUCHY, 1), absl::nullopt, 2,
       ExponentialSumDesign(3, 0.1)},
      {"exponential_sum_reduced", MakeSimilarity(proto::SimilaritySpec::INVERSE_L2, 1), Cube(5, -3, 3), 5,
       Reduced(ExponentialSumDesign(2, 0.2), 2)},
      {"race_2d", Laplacian(1), Cube(2, -3, 3), 2, RaceDesign(20, 64)},
      {"race_p_stable", PStable(2), Cube(3, -3, 3), 3, RaceDesign(12, 32)},
      {"race_angular", Angular(3), absl::nullopt, 5, RaceDesign(12, 8)},
      {"race_100d", Laplacian(50), absl::nullopt, 100, RaceDesign(7, 16)},
      {"tree_rings_1d", MakeSimilarity(proto::SimilaritySpec::L1, 0), Cube(1, -3, 3), 1,
       TreeDesign(proto::TreeSpec::RINGS, 6, 0.5)},
      {"tree_rings_lp_3d", MakeSimilarity(proto::SimilaritySpec::LP_POWER, 0, 0.5), Cube(3, -3, 3), 3,
       TreeDesign(proto::TreeSpec::RINGS, 3, 0.1)},
      {"tree_sums_2d", MakeSimilarity(proto::SimilaritySpec::L1, 0), Cube(2, -3, 3), 2,
       TreeDesign(proto::TreeSpec::SUMS, 5)},
      {"tree_centered_1d", MakeSimilarity(proto::SimilaritySpec::L1, 0), Cube(1, -3, 3), 1,
       TreeDesign(proto::TreeSpec::CENTERED, 8)},
      {"tree_centered_ball_3d", MakeSimilarity(proto::SimilaritySpec::L1, 0), Ball(3, 3), 3,
       TreeDesign(proto::TreeSpec::CENTERED, 4)},
      {"spline_grid_4d", Gaussian(2), Cube(4, -3, 3), 4, SplineGridDesign({2, 2, 2, 2})},
  };
}

// 10^4 random records, some far outside the domain, and the corners of float32 in every coordinate.
Points Records(size_t dimension) {
  Points records = UniformPoints(9000, dimension, -3, 3, 1);
  const Points outside = UniformPoints(1000, dimension, -1e4, 1e4, 2);
  records.values.insert(records.values.end(), outside.values.begin(), outside.values.end());
  const float inf = std::numeric_limits<float>::infinity();
  const float corners[] = {0.0f,
                           -0.0f,
                           3,
                           -3,
                           std::nextafter(3.0f, 4.0f),
                           std::nextafter(-3.0f, -4.0f),
                           1e-45f,
                           -1e-40f,
                           1.5f,
                           0.857142857f,
                           1e30f,
                           -1e30f,
                           3.4e38f,
                           inf,
                           -inf,
                           std::nanf("")};
  for (float a : corners) {
    records.values.insert(records.values.end(), dimension, a);
    // The same in one coordinate only.
    records.values.insert(records.values.end(), dimension, 0.25f);
    records.values.back() = a;
  }
  return records;
}

struct Norms {
  double l1 = 0, l2 = 0;
};

Norms GroupNorms(const CoordinateGroup& group, const std::vector<int64_t>& vector, const std::vector<int64_t>* minus) {
  Norms norms;
  for (size_t j = 0; j < group.count; ++j) {
    const size_t at = group.first + j * group.stride;
    const double value = static_cast<double>(vector[at] - (minus == nullptr ? 0 : (*minus)[at]));
    norms.l1 += std::abs(value);
    norms.l2 += value * value;
  }
  norms.l2 = std::sqrt(norms.l2);
  return norms;
}

class SensitivityTest : public testing::TestWithParam<Case> {};

TEST_P(SensitivityTest, NoRecordExceedsItAndSomeComeNear) {
  const Case& test = GetParam();
  const auto design = CreateDesign(test.similarity, test.dimension, test.domain, test.design);
  ASSERT_TRUE(design.ok()) << design.status();
  const Points records = Records(test.dimension);
  double add_l1 = 0, add_l2 = 0, replace_l1 = 0, replace_l2 = 0;  // largest ratios to what is declared
  std::vector<int64_t> previous;
  for (size_t r = 0; r < records.rows(); ++r) {
    std::vector<int64_t> q((*design)->num_coordinates());
    (*design)->Accumulate(records.view().Slice(r, r + 1), absl::MakeSpan(q));
    for (const CoordinateGroup& group : (*design)->groups()) {
      const Norms added = GroupNorms(group, q, nullptr);
      ASSERT_LE(added.l1, group.add_remove.l1) << "record " << r;
      ASSERT_LE(added.l2, group.add_remove.l2) << "record " << r;
      const bool is_count = group.first == (*design)->count_coordinate();
      if (!is_count) {
        add_l1 = std::max(add_l1, added.l1 / group.add_remove.l1);
        add_l2 = std::max(add_l2, added.l2 / group.add_remove.l2);
      }
      if (previous.empty()) continue;
      const Norms replaced = GroupNorms(group, q, &previous);
      ASSERT_LE(replaced.l1, group.replace.l1) << "record " << r;
      ASSERT_LE(replaced.l2, group.replace.l2) << "record " << r;
      if (!is_count) {
        replace_l1 = std::max(replace_l1, replaced.l1 / group.replace.l1);
        replace_l2 = std::max(replace_l2, replaced.l2 / group.replace.l2);
      }
    }
    previous = q;
  }
  EXPECT_GE(add_l1, 0.9);
  EXPECT_GE(add_l2, 0.9);
  std::printf("%-24s of the declared sensitivity: add_remove L1 %.4f L2 %.4f, replace L1 %.4f L2 %.4f\n",
              test.name.c_str(), add_l1, add_l2, replace_l1, replace_l2);
}

// The same for weighted records: nothing goes beyond the declared groups, in either mode and under either relation; a
// weight of the bound adds the record's own vector, and a weight the same multiple of every coordinate up to rounding.
TEST_P(SensitivityTest, NoWeightedRecordExceedsIt) {
  const Case& test = GetParam();
  const auto design = CreateDesign(test.similarity, test.dimension, test.domain, test.design);
  const Points records = Records(test.dimension);
  constexpr int32_t kUnit = kGridUnit;
  const int32_t weights[] = {kUnit, -kUnit, kUnit - 1, 1 - kUnit, 1, -1, kUnit / 2, -kUnit / 3, 0};
  const std::vector<CoordinateGroup> groups[] = {WeightedGroups((*design)->groups(), false),
                                                 WeightedGroups((*design)->groups(), true)};
  double largest[2] = {0, 0};  // ratio under REPLACE, of L2
  std::vector<int64_t> previous[2];
  for (size_t r = 0; r < records.rows(); r += 7) {
    const MatrixView row = records.view().Slice(r, r + 1);
    const int32_t weight = weights[r / 7 % 9];
    std::vector<int64_t> q((*design)->num_coordinates()), weighted(q.size());
    (*design)->Accumulate(row, absl::MakeSpan(q));
    (*design)->AccumulateWeighted(row, {weight}, absl::MakeSpan(weighted));
    for (size_t j = 0; j < q.size(); ++j) {
      ASSERT_LE(std::abs(weighted[j]), std::abs(q[j]));
      ASSERT_LE(std::abs(static_cast<double>(weighted[j]) * kUnit - static_cast<double>(q[j]) * weight), kUnit / 2);
      ASSERT_TRUE(weight != kUnit || weighted[j] == q[j]);
    }
    for (int mode : {0, 1}) {
      if (mode == 0 && weight < 0) continue;
      for (const CoordinateGroup& group : groups[mode]) {
        const Norms added = GroupNorms(group, weighted, nullptr);
        ASSERT_LE(added.l1, group.add_remove.l1);
        ASSERT_LE(added.l2, group.add_remove.l2);
        if (previous[mode].empty()) continue;
        const Norms replaced = GroupNorms(group, weighted, &previous[mode]);
        ASSERT_LE(replaced.l1, group.replace.l1);
        ASSERT_LE(replaced.l2, group.replace.l2);
        largest[mode] = std::max(largest[mode], replaced.l2 / group.replace.l2);
      }
      previous[mode] = weighted;
    }
  }
  // The count changes by a whole bound, and by two of them.
  EXPECT_GE(largest[0], 0.9);
  EXPECT_GE(largest[1], 0.9);
}

// In batches a weighted record adds what it adds alone.
TEST_P(SensitivityTest, WeightedBatchesAddUp) {
  const Case& test = GetParam();
  const auto design = CreateDesign(test.similarity, test.dimension, test.domain, test.design);
  const Points records = UniformPoints(50, test.dimension, -4, 4, 7);
  std::vector<int32_t> weights;
  std::vector<int64_t> together((*design)->num_coordinates()), apart(together.size());
  for (int32_t r = 0; r < 50; ++r) {
    weights.push_back((r - 25) * 41943);
    (*design)->AccumulateWeighted(records.view().Slice(r, r + 1), {weights.back()}, absl::MakeSpan(apart));
  }
  (*design)->AccumulateWeighted(records.view(), weights, absl::MakeSpan(together));
  EXPECT_EQ(together, apart);
}

// Groups cover every coordinate once, so that no coordinate is without noise or counted twice.
TEST_P(SensitivityTest, GroupsPartitionTheVector) {
  const Case& test = GetParam();
  const auto design = CreateDesign(test.similarity, test.dimension, test.domain, test.design);
  std::vector<int> covered((*design)->num_coordinates());
  for (const CoordinateGroup& group : (*design)->groups()) {
    for (size_t j = 0; j < group.count; ++j) ++covered.at(group.first + j * group.stride);
  }
  for (int times : covered) EXPECT_EQ(times, 1);
}

// acc(X + x) - acc(X) = q(x), exactly.
TEST_P(SensitivityTest, ARecordAddsItsOwnVectorWhateverTheOthers) {
  const Case& test = GetParam();
  const auto design = CreateDesign(test.similarity, test.dimension, test.domain, test.design);
  const Points records = UniformPoints(1000, test.dimension, -4, 4, 7);
  std::vector<int64_t> running((*design)->num_coordinates());
  for (size_t r = 0; r < records.rows(); ++r) {
    // A batch that ends with record r, and the same batch without it.
    const size_t begin = r - std::min<size_t>(r, r % 61);
    std::vector<int64_t> with(running.size()), without(running.size()), alone(running.size());
    (*design)->Accumulate(records.view().Slice(begin, r + 1), absl::MakeSpan(with));
    (*design)->Accumulate(records.view().Slice(begin, r), absl::MakeSpan(without));
    (*design)->Accumulate(records.view().Slice(r, r + 1), absl::MakeSpan(alone));
    for (size_t j = 0; j < with.size(); ++j) ASSERT_EQ(with[j] - without[j], alone[j]);
  }
}

INSTANTIATE_TEST_SUITE_P(Designs, SensitivityTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace dpkde
