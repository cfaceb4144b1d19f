#include "dpkde/designs/centered_blocks.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/specs.h"

namespace dpkde {
namespace {

std::vector<float> Centered(const std::vector<float>& values, size_t columns, size_t block_rows, const Domain* domain,
                            const std::vector<float>& center) {
  std::vector<float> all;
  const size_t rows = values.size() / columns;
  ForCenteredBlocks({values.data(), rows, columns}, block_rows, domain, center, [&](size_t begin, MatrixView block) {
    EXPECT_EQ(begin * center.size(), all.size());
    EXPECT_EQ(block.columns, center.size());
    EXPECT_LE(block.rows, block_rows);
    EXPECT_GT(block.rows, 0u);
    all.insert(all.end(), block.data, block.data + block.rows * block.columns);
  });
  return all;
}

TEST(ForCenteredBlocksTest, ClampsAndCentersEachRow) {
  const std::vector<float> values = {0, 1, -9, 2, 3, 9};
  const Domain domain = Cube(2, -4, 5);
  for (size_t block_rows : {1, 2, 3, 100}) {
    EXPECT_EQ(Centered(values, 2, block_rows, nullptr, {0.5f, 1}), (std::vector<float>{-0.5f, 0, -9.5f, 1, 2.5f, 8}));
    EXPECT_EQ(Centered(values, 2, block_rows, &domain, {0.5f, 1}), (std::vector<float>{-0.5f, 0, -4.5f, 1, 2.5f, 4}));
    // A last column of ones.
    EXPECT_EQ(Centered(values, 2, block_rows, &domain, {0, 0, -1}), (std::vector<float>{0, 1, 1, -4, 2, 1, 3, 5, 1}));
  }
  EXPECT_TRUE(Centered({}, 2, 7, nullptr, {0, 0}).empty());
}

}  // namespace
}  // namespace dpkde
