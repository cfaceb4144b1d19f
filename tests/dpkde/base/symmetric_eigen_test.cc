#include "dpkde/base/symmetric_eigen.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

std::vector<double> Symmetric(size_t n) {
  const Points points = UniformPoints(n, n, -1, 1, 3);
  std::vector<double> matrix(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) matrix[i * n + j] = points.values[i * n + j] + points.values[j * n + i];
  }
  return matrix;
}

// Row e of the vectors has length 1 and is stretched by value e.
void ExpectEigen(const std::vector<double>& matrix, size_t n, const SymmetricEigen& eigen) {
  for (size_t e = 0; e < eigen.values.size(); ++e) {
    double square = 0;
    for (size_t i = 0; i < n; ++i) {
      double image = 0;
      for (size_t j = 0; j < n; ++j) image += matrix[i * n + j] * eigen.vectors[e * n + j];
      EXPECT_NEAR(image, eigen.values[e] * eigen.vectors[e * n + i], 1e-12 * n);
      square += eigen.vectors[e * n + i] * eigen.vectors[e * n + i];
    }
    EXPECT_NEAR(square, 1, 1e-12);
    if (e > 0) {
      EXPECT_GE(eigen.values[e], eigen.values[e - 1]);
    }
  }
}

TEST(SymmetricEigenTest, VectorsAreStretchedByTheirValues) {
  for (size_t n : {1, 2, 17}) {
    const std::vector<double> matrix = Symmetric(n);
    const auto eigen = EigenOfSymmetric(matrix, n);
    ASSERT_TRUE(eigen.ok()) << eigen.status();
    ASSERT_EQ(eigen->values.size(), n);
    ExpectEigen(matrix, n, *eigen);
  }
}

TEST(SymmetricEigenTest, LargestAreTheLastOfAll) {
  for (size_t n : {1, 2, 17}) {
    const std::vector<double> matrix = Symmetric(n);
    const auto all = EigenOfSymmetric(matrix, n);
    for (size_t count = 1; count <= n; count += 5) {
      const auto largest = LargestEigenOfSymmetric(matrix, n, count);
      ASSERT_TRUE(largest.ok()) << largest.status();
      ASSERT_EQ(largest->values.size(), count);
      ASSERT_EQ(largest->vectors.size(), count * n);
      ExpectEigen(matrix, n, *largest);
      for (size_t e = 0; e < count; ++e) EXPECT_NEAR(largest->values[e], all->values[n - count + e], 1e-12 * n);
    }
  }
}

}  // namespace
}  // namespace dpkde
