#include "dpkde/base/row_products.h"

#include <gtest/gtest.h>

#include <vector>

namespace dpkde {
namespace {

const std::vector<double> kRows = {-2, -1, 0, 3, 2, -2};

TEST(AddRowProductsTest, ProductsAreThoseOfRows) {
  const std::vector<double> others = {1, 0, 2, 1};
  std::vector<double> products(6);
  AddRowProducts(1, {kRows.data(), 3, 2, 2}, {others.data(), 2, 2, 2}, true, products.data());
  EXPECT_EQ(products, (std::vector<double>{-2, -5, 0, 3, 2, 2}));
}

TEST(AddRowProductsTest, AddsAMultipleOfPartsOfMatrices) {
  // The first column of the rows, of stride 2, by one row of three.
  const std::vector<double> right = {1, 10, 100};
  std::vector<double> sums(9, 1.0);
  AddRowProducts(0.5, {kRows.data(), 3, 1, 2}, {right.data(), 1, 3, 3}, false, sums.data());
  EXPECT_EQ(sums, (std::vector<double>{0, -9, -99, 1, 1, 1, 2, 11, 101}));
  AddRowProducts(1, {kRows.data(), 3, 0, 2}, {right.data(), 0, 3, 3}, false, sums.data());
  EXPECT_EQ(sums[0], 0) << "nothing is added";
}

}  // namespace
}  // namespace dpkde
