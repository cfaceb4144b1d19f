#include "dpkde/index/encoding/matrix_product.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

std::vector<float> Multiply(MatrixView vectors, MatrixView matrix, int threads = 1) {
  ThreadPool pool(threads);
  std::vector<float> out(vectors.rows * matrix.rows, std::nanf(""));
  MatrixProduct(vectors, PackedMatrix(matrix), pool, out.data());
  return out;
}

// The promise is of bits: a chain of fused multiply-adds.
TEST(MatrixProductTest, EqualsTheChainOfFusedMultiplyAdds) {
  for (size_t columns : {1, 3, 255, 256, 257, 600}) {
    for (size_t rows : {1, 5, 6, 13}) {
      for (size_t count : {1, 2, 15, 16, 17, 64, 65, 130}) {
        const Points vectors = UniformPoints(count, columns, -1, 1, 1), matrix = UniformPoints(rows, columns, -1, 1, 2);
        const std::vector<float> out = Multiply(vectors.view(), matrix.view());
        for (size_t i = 0; i < count; ++i) {
          for (size_t j = 0; j < rows; ++j) {
            float sum = 0;
            for (size_t k = 0; k < columns; ++k) {
              sum = std::fma(vectors.values[i * columns + k], matrix.values[j * columns + k], sum);
            }
            ASSERT_EQ(out[i * rows + j], sum) << columns << " " << rows << " " << count;
          }
        }
      }
    }
  }
}

TEST(MatrixProductTest, ManyRowsAndThreads) {
  const Points vectors = UniformPoints(150, 20, -1, 1, 3), matrix = UniformPoints(7000, 20, -1, 1, 4);
  const std::vector<float> together = Multiply(vectors.view(), matrix.view(), 3);
  const std::vector<float> alone = Multiply(vectors.view().Slice(77, 78), matrix.view());
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + 77 * 7000));
  EXPECT_TRUE(Multiply(vectors.view().Slice(0, 0), matrix.view()).empty());
}

TEST(MatrixProductTest, EverySimdTargetGivesTheSameBits) {
  const Points vectors = UniformPoints(70, 300, -1, 1, 5), matrix = UniformPoints(40, 300, -1, 1, 6);
  const std::vector<float> best = Multiply(vectors.view(), matrix.view());
  const int64_t supported = hwy::SupportedTargets();
  int targets = 0;
  for (int64_t target : {HWY_AVX2, HWY_AVX3}) {
    if ((supported & target) == 0) continue;
    hwy::GetChosenTarget().Update(target);
    EXPECT_EQ(Multiply(vectors.view(), matrix.view()), best) << hwy::TargetName(target);
    ++targets;
  }
  hwy::GetChosenTarget().Update(supported);
  EXPECT_GE(targets, 1);
}

}  // namespace
}  // namespace dpkde
