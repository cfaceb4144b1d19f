#include "dpkde/index/encoding/principal_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <cmath>
#include <numeric>

#include "dpkde/index/encoding/gram_factor.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

double Product(const std::vector<float>& matrix, size_t columns, size_t i, size_t j) {
  return std::inner_product(&matrix[i * columns], &matrix[i * columns] + columns, &matrix[j * columns], 0.0);
}

void ExpectOrthonormal(const std::vector<float>& matrix, size_t rows, size_t columns) {
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j <= i; ++j) ASSERT_NEAR(Product(matrix, columns, i, j), i == j, 2e-6) << i << " " << j;
  }
}

TEST(OrthonormalizeTest, KeepsTheSpansOfLeadingRows) {
  ThreadPool pool(2);
  const size_t rows = 300, columns = 310;
  std::vector<float> matrix = UniformPoints(rows, columns, -1, 1, 1).values;
  const std::vector<float> before = matrix;
  Orthonormalize(rows, columns, 1, pool, matrix);
  ExpectOrthonormal(matrix, rows, columns);
  // Row i of before has nothing of the rows after i of the result.
  for (size_t i : {0, 7, 130, 298}) {
    double length = 0, inside = 0;
    for (size_t j = 0; j < columns; ++j) length += std::pow(before[i * columns + j], 2);
    for (size_t k = 0; k <= i; ++k) {
      inside += std::pow(
          std::inner_product(&matrix[k * columns], &matrix[k * columns] + columns, &before[i * columns], 0.0), 2);
    }
    EXPECT_NEAR(inside / length, 1, 1e-5) << i;
  }
}

TEST(OrthonormalizeTest, ReplacesDependentRows) {
  ThreadPool pool(1);
  const size_t columns = 200;
  const std::vector<float> one = UniformPoints(1, columns, -1, 1, 1).values;
  std::vector<float> matrix;
  for (int i = 0; i < 198; ++i) matrix.insert(matrix.end(), one.begin(), one.end());
  matrix.resize(200 * columns);  // and two rows of zeros
  Orthonormalize(200, columns, 1, pool, matrix);
  ExpectOrthonormal(matrix, 200, columns);
}

TEST(PrincipalRowsTest, FindsTheDirectionsOfVariance) {
  // Variances fall by 0.8 a direction, in a rotated frame.
  ThreadPool pool(2);
  const size_t d = 40, n = 3000;
  const std::vector<float> frame = RandomRotation(d, 9, pool);
  ExpectOrthonormal(frame, d, d);
  boost::random::mt19937_64 engine(3);
  boost::random::normal_distribution<double> normal;
  std::vector<float> points(n * d, 0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t e = 0; e < d; ++e) {
      const double along = normal(engine) * std::pow(0.8, e / 2.0);
      for (size_t j = 0; j < d; ++j) points[i * d + j] += static_cast<float>(along * frame[e * d + j]);
    }
  }
  const std::vector<float> rows = PrincipalRows({points.data(), n, d}, d, 12, 1, pool);
  ExpectOrthonormal(rows, 12, d);
  std::vector<double> variance(12, 0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t e = 0; e < 12; ++e) {
      variance[e] += std::pow(std::inner_product(&rows[e * d], &rows[e * d] + d, &points[i * d], 0.0), 2) / n;
    }
  }
  const double best = (1 - std::pow(0.8, 12)) / (1 - 0.8);
  EXPECT_GT(std::accumulate(variance.begin(), variance.end(), 0.0), 0.97 * best);
  EXPECT_GT(variance[0], 0.7);
  EXPECT_GT(variance[0], 2 * variance[6]);
  EXPECT_GT(variance[3], 1.5 * variance[11]);
  // The control: as many random directions hold far less.
  double random = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t e = 0; e < 12; ++e) random += std::pow(points[i * d + e], 2) / n;
  }
  EXPECT_LT(random, 0.5 * best);
}

TEST(PrincipalRowsTest, FewPointsAndMoreRowsThanTheyHaveDirections) {
  ThreadPool pool(1);
  const Points points = UniformPoints(7, 30, -1, 1, 4);
  for (size_t most_rank : {5, 7, 30}) {
    const std::vector<float> rows = PrincipalRows(points.view(), most_rank, 30, 1, pool);
    ExpectOrthonormal(rows, 30, 30);
    if (most_rank < 7) continue;
    // The first seven hold all.
    for (size_t i = 0; i < 7; ++i) {
      double length = 0, inside = 0;
      for (size_t j = 0; j < 30; ++j) length += std::pow(points.values[i * 30 + j], 2);
      for (size_t k = 0; k < 7; ++k) {
        inside += std::pow(std::inner_product(&rows[k * 30], &rows[k * 30] + 30, &points.values[i * 30], 0.0), 2);
      }
      EXPECT_NEAR(inside / length, 1, 1e-5);
    }
  }
}

TEST(GramFactorTest, InvertsTheFactor) {
  ThreadPool pool(2);
  const size_t n = 30;
  const Points rows = UniformPoints(1300, n, -1, 2, 5);
  const double ridge = 0.01;
  std::vector<double> gram(n * n, 0);
  for (size_t i = 0; i < rows.rows(); ++i) {
    for (size_t a = 0; a < n; ++a) {
      for (size_t b = 0; b < n; ++b) gram[a * n + b] += double{rows.values[i * n + a]} * rows.values[i * n + b];
    }
  }
  double trace = 0;
  for (size_t a = 0; a < n; ++a) trace += gram[a * n + a];
  for (size_t a = 0; a < n; ++a) gram[a * n + a] += ridge * trace / n;
  const auto inverse = InverseGramFactor(rows.view(), ridge, pool);
  ASSERT_TRUE(inverse.ok()) << inverse.status();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      if (j > i) {
        EXPECT_EQ((*inverse)[i * n + j], 0);
      }
      double sum = 0;  // of L^-1 G L^-T
      for (size_t a = 0; a < n; ++a) {
        for (size_t b = 0; b < n; ++b) sum += (*inverse)[i * n + a] * gram[a * n + b] * (*inverse)[j * n + b];
      }
      ASSERT_NEAR(sum, i == j, 1e-4) << i << " " << j;
    }
  }
  const std::vector<float> zeros(10 * 3, 0.0f);
  EXPECT_EQ(InverseGramFactor({zeros.data(), 10, 3}, 1e-3, pool).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace dpkde
