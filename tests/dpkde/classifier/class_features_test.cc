#include "dpkde/classifier/class_features.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "dpkde/classifier/second_moment.h"
#include "dpkde/designs/design.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Spec = proto::ClassFeatureSpec;

constexpr int64_t kBound = kGridUnit * kGridUnit;

Domain UnitBox(size_t d) { return *Domain::Box(std::vector<double>(d, -1.0), std::vector<double>(d, 1.0)); }

Spec Linear(uint32_t reduce_to) {
  Spec spec;
  spec.mutable_linear()->set_reduce_to(reduce_to);
  return spec;
}

Spec Fourier(uint32_t frequencies) {
  Spec spec;
  spec.mutable_fourier()->set_frequencies(frequencies);
  spec.mutable_fourier()->set_bandwidth(0.3);
  return spec;
}

// Three landmarks on the axes with a W that is too long: the check of norms must hold all the same.
Spec Landmarks(size_t d) {
  Spec spec;
  spec.mutable_landmark()->set_bandwidth(0.5);
  proto::LandmarkSpec& landmarks = *spec.mutable_landmark()->mutable_landmarks();
  landmarks.set_landmarks(3);
  landmarks.set_rank(3);
  for (size_t l = 0; l < 3; ++l) {
    for (size_t i = 0; i < d; ++i) landmarks.add_points(i == l ? 0.5f : 0.0f);
    for (size_t j = 0; j < 3; ++j) landmarks.add_projection(j == l ? 1.5f : 0.2f);
    landmarks.add_feature_weight(1);
  }
  return spec;
}

Spec Homogeneous() {
  Spec spec;
  spec.mutable_homogeneous();
  return spec;
}

std::vector<Spec> AllSpecs(size_t d) {
  Spec unit = Linear(0);
  unit.set_unit_rows(true);
  return {Linear(0), Linear(3), Fourier(1), Fourier(37), Landmarks(d), Homogeneous(), unit};
}

Points Corners(size_t d) {
  Points points = UniformPoints(2000, d, -1.2, 1.2, 7);
  const float huge = std::numeric_limits<float>::max(), tiny = std::numeric_limits<float>::denorm_min();
  for (float value : {0.0f, -0.0f, 1.0f, -1.0f, std::nextafter(1.0f, 2.0f), 1e30f, huge, -huge, tiny,
                      std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    points.values.insert(points.values.end(), d, value);
    points.values.insert(points.values.end(), d - 1, 0.25f);
    points.values.push_back(value);
  }
  return points;
}

std::unique_ptr<ClassFeatures> Make(const Spec& spec, size_t d) {
  auto features = ClassFeatures::Create(spec, d, UnitBox(d));
  EXPECT_TRUE(features.ok()) << features.status();
  return *std::move(features);
}

TEST(ClassFeaturesTest, NormNeverExceedsTheBallAndReachesIt) {
  for (size_t d : {3, 16}) {
    for (const Spec& spec : AllSpecs(d)) {
      const auto features = Make(spec, d);
      const Points points = Corners(d);
      std::vector<int32_t> integers(points.rows() * features->size());
      features->Compute(points.view(), absl::MakeSpan(integers));
      int64_t largest = 0;
      for (size_t r = 0; r < points.rows(); ++r) {
        int64_t square = 0;
        for (size_t j = 0; j < features->size(); ++j) {
          const int64_t q = integers[r * features->size() + j];
          square += q * q;
        }
        ASSERT_LE(square, kBound) << spec.ShortDebugString() << ", row " << r;
        largest = std::max(largest, square);
      }
      EXPECT_GE(largest, 0.9 * 0.9 * kBound) << spec.ShortDebugString();
    }
  }
}

TEST(ClassFeaturesTest, RowsDependOnThemselvesAlone) {
  constexpr size_t d = 5;
  const Points points = Corners(d);
  for (const Spec& spec : AllSpecs(d)) {
    const auto features = Make(spec, d);
    const size_t m = features->size();
    std::vector<int32_t> together(points.rows() * m), alone(m);
    features->Compute(points.view(), absl::MakeSpan(together));
    for (size_t r = 0; r < points.rows(); r += r < 200 ? 1 : 17) {
      features->Compute(points.view().Slice(r, r + 1), absl::MakeSpan(alone));
      ASSERT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + r * m)) << spec.ShortDebugString() << r;
    }
  }
}

TEST(ClassFeaturesTest, FourierFeaturesApproximateTheGaussianKernel) {
  const auto features = Make(Fourier(2000), 2);
  const std::vector<float> rows = {0.1f, 0.2f, 0.4f, -0.1f};
  std::vector<int32_t> q(2 * features->size());
  features->Compute({rows.data(), 2, 2}, absl::MakeSpan(q));
  double product = 0;
  for (size_t j = 0; j < features->size(); ++j) {
    product += static_cast<double>(q[j]) * q[features->size() + j] / kBound;
  }
  // Box of width 2 in two dimensions: z = x / (2 sqrt(2 / 12)).
  const double square = (0.3 * 0.3 + 0.3 * 0.3) / (4.0 / 6);
  EXPECT_NEAR(product, std::exp(-square / (2 * 0.3 * 0.3)), 5 / std::sqrt(2 * 2000.0));
}

TEST(ClassFeaturesTest, HomogeneousFeaturesAreZAndOne) {
  const auto features = Make(Homogeneous(), 2);
  ASSERT_EQ(features->size(), 3u);
  const std::vector<float> row = {0.3f, -0.2f};
  std::vector<int32_t> q(3);
  features->Compute({row.data(), 1, 2}, absl::MakeSpan(q));
  const double scale = kGridUnit / std::sqrt(2.0), box = 2 * std::sqrt(2.0 / 12);
  EXPECT_NEAR(q[0], 0.3 / box * scale, 3);
  EXPECT_NEAR(q[1], -0.2 / box * scale, 3);
  EXPECT_NEAR(q[2], scale, 3);
}

TEST(ClassFeaturesTest, SeedMattersAndFingerprintIsHeld) {
  const Spec complete = Make(Fourier(8), 3)->spec();
  EXPECT_EQ(complete.fourier().fingerprint().size(), 32);
  Spec other = complete;
  other.mutable_fourier()->set_public_seed(1);
  EXPECT_EQ(ClassFeatures::Create(other, 3, UnitBox(3)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(ClassFeatures::Create(complete, 3, UnitBox(3)).ok());
}

TEST(ClassFeaturesTest, RefusesWhatIsOutOfRange) {
  const auto refused = [](const Spec& spec, const absl::optional<Domain>& domain) {
    return ClassFeatures::Create(spec, 3, domain).status().code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused(Spec(), UnitBox(3)));
  EXPECT_TRUE(refused(Linear(0), absl::nullopt));
  EXPECT_TRUE(refused(Linear(0), UnitBox(2)));
  EXPECT_TRUE(refused(Linear(4), UnitBox(3)));
  EXPECT_TRUE(refused(Fourier(0), UnitBox(3)));
  for (double bandwidth : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    Spec spec = Fourier(2);
    spec.mutable_fourier()->set_bandwidth(bandwidth);
    EXPECT_TRUE(refused(spec, UnitBox(3))) << bandwidth;
  }
}

TEST(SecondMomentTest, NormIsThatOfTheMatrixAtMost) {
  const auto features = Make(Fourier(9), 4);
  const Points points = Corners(4);
  std::vector<int32_t> q(features->size());
  std::vector<int64_t> sums(SecondMomentSize(q.size()));
  double largest = 0;
  for (size_t r = 0; r < points.rows(); ++r) {
    features->Compute(points.view().Slice(r, r + 1), absl::MakeSpan(q));
    std::fill(sums.begin(), sums.end(), 0);
    AddSecondMoment(q, absl::MakeSpan(sums));
    __int128 square = 0;
    for (int64_t value : sums) square += static_cast<__int128>(value) * value;
    ASSERT_TRUE(square <= static_cast<__int128>(kBound)) << r;
    largest = std::max(largest, static_cast<double>(square));
  }
  EXPECT_GE(largest, 0.9 * 0.9 * kBound);
}

TEST(SecondMomentTest, HoldsTheProducts) {
  const std::vector<int32_t> q = {kGridUnit / 2, -kGridUnit / 4};
  std::vector<int64_t> sums(3);
  AddSecondMoment(q, absl::MakeSpan(sums));
  EXPECT_EQ(sums[0], kGridUnit / 4);
  EXPECT_NEAR(sums[1], -std::sqrt(2.0) * kGridUnit / 8, 1.5);
  EXPECT_EQ(sums[2], kGridUnit / 16);
}

TEST(SecondMomentTest, MatrixUndoesTheTriangle) {
  const std::vector<int32_t> q = {kGridUnit / 2, -kGridUnit / 4};
  std::vector<int64_t> sums(3);
  AddSecondMoment(q, absl::MakeSpan(sums));
  AddSecondMoment(q, absl::MakeSpan(sums));
  const std::vector<double> matrix = SecondMomentMatrix(sums, 2, 4);
  const double expected[] = {1.0 / 8, -1.0 / 16, -1.0 / 16, 1.0 / 32};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(matrix[i], expected[i], 2e-6) << i;
}

}  // namespace
}  // namespace dpkde
