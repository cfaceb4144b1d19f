#include "dpkde/classifier/point_covariance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

constexpr double kRidge = 0.01;

// Rows whose coordinates count less and less.
std::vector<double> Rows(size_t n, size_t m, uint64_t seed) {
  const Points points = UniformPoints(n, m, -1, 1, seed);
  std::vector<double> rows(points.values.begin(), points.values.end());
  for (size_t r = 0; r < n; ++r) {
    for (size_t j = 0; j < m; ++j) rows[r * m + j] = (rows[r * m + j] + 0.5) / (1.0 + j);
  }
  return rows;
}

std::vector<double> Centered(size_t n, size_t m, uint64_t seed) {
  std::vector<double> rows = Rows(n, m, seed);
  CenterRows(m, rows);
  return rows;
}

// (C + ridge I) x of centered features, the long way.
std::vector<double> Multiply(const std::vector<double>& features, size_t m, double ridge, const float* x) {
  const size_t n = features.size() / m;
  std::vector<double> product(m);
  for (size_t r = 0; r < n; ++r) {
    double along = 0;
    for (size_t j = 0; j < m; ++j) along += features[r * m + j] * x[j];
    for (size_t j = 0; j < m; ++j) product[j] += features[r * m + j] * along / n;
  }
  for (size_t j = 0; j < m; ++j) product[j] += ridge * x[j];
  return product;
}

TEST(PointCovarianceTest, SolvesWithFewPointsAndWithMany) {
  constexpr size_t m = 40, count = 19;
  for (size_t n : {2, 30, 39, 40, 200}) {
    const std::vector<double> features = Centered(n, m, n);
    const std::vector<double> wide = Rows(count, m, 1);
    const std::vector<float> rows(wide.begin(), wide.end());
    const auto covariance = PointCovariance::Create(features, m, kRidge);
    ASSERT_TRUE(covariance.ok()) << covariance.status();
    const std::vector<float> solved = covariance->Solve({rows.data(), count, m});
    for (size_t r = 0; r < count; ++r) {
      const std::vector<double> product = Multiply(features, m, kRidge, solved.data() + r * m);
      for (size_t j = 0; j < m; ++j) ASSERT_NEAR(product[j], rows[r * m + j], 1e-4) << n << " " << r;
    }
  }
}

TEST(PointCovarianceTest, RowsDoNotDependOnOthers) {
  constexpr size_t m = 33, count = 21;
  const auto covariance = PointCovariance::Create(Centered(50, m, 3), m, kRidge);
  ASSERT_TRUE(covariance.ok());
  const std::vector<double> wide = Rows(count, m, 4);
  const std::vector<float> rows(wide.begin(), wide.end());
  const std::vector<float> together = covariance->Solve({rows.data(), count, m});
  for (size_t r = 0; r < count; ++r) {
    const std::vector<float> alone = covariance->Solve({rows.data() + r * m, 1, m});
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + r * m)) << r;
  }
}

// More directions than are kept: what is left out must not look like directions without variance.
TEST(PointCovarianceTest, RidgeIsNoSmallerThanWhatIsLeftOut) {
  constexpr size_t m = PointCovariance::kRank + 60;
  Points points = UniformPoints(4000, m, -1, 1, 5);
  std::vector<double> features(points.values.begin(), points.values.end());
  CenterRows(m, features);
  const auto covariance = PointCovariance::Create(features, m, 1e-9);
  ASSERT_TRUE(covariance.ok());
  // All eigenvalues are near 1/3, so the inverse is near 1 / (2/3) where they are kept, and at most 1 / (1/3 - .15)
  // elsewhere.
  const std::vector<float> row(m, static_cast<float>(1 / std::sqrt(m)));
  double square = 0;
  for (double value : covariance->Solve({row.data(), 1, m})) square += value * value;
  EXPECT_LE(square, std::pow(1 / (1.0 / 3 - 0.15), 2));
  EXPECT_GE(square, 1);
}

// Equal points have no covariance at all.
TEST(PointCovarianceTest, EqualPointsLeaveTheRidgeAlone) {
  const auto covariance = PointCovariance::Create(std::vector<double>(5 * 3, 0.0), 3, 0.5);
  ASSERT_TRUE(covariance.ok());
  const std::vector<float> row = {1, 2, 3};
  EXPECT_EQ(covariance->Solve({row.data(), 1, 3}), (std::vector<float>{2, 4, 6}));
}

TEST(CenterRowsTest, CenteredRowsHaveNoMean) {
  std::vector<double> rows = {1, 2, 3, 6, 5, 1};
  CenterRows(2, rows);
  EXPECT_EQ(rows, (std::vector<double>{-2, -1, 0, 3, 2, -2}));
}

}  // namespace
}  // namespace dpkde
