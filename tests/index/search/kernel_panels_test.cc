#include "dpkde/index/search/kernel_panels.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "absl/status/status.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

std::vector<uint32_t> Reversed(size_t count) {
  std::vector<uint32_t> order(count);
  std::iota(order.rbegin(), order.rend(), 0);
  return order;
}

std::vector<float> Values(const Similarity& kernel, MatrixView queries, const KernelPanels& panels, size_t first,
                          size_t last) {
  std::vector<float> values(queries.rows * KernelPanels::Stride(last - first), -1);
  KernelValues(kernel, queries, panels, first, last, values.data());
  return values;
}

TEST(KernelPanelsTest, EveryKernelIsThatOfTheOracle) {
  for (const size_t d : {1, 2, 17}) {
    const Points rows = UniformPoints(150, d, -1, 1, 1), queries = UniformPoints(9, d, -1, 1, 2);
    const std::vector<uint32_t> order = Reversed(150);
    const KernelPanels panels(rows.view(), order);
    EXPECT_EQ(panels.rows(), 150);
    for (const Similarity& kernel : AllKernels(0.7)) {
      for (const size_t count : {1, 2, 3, 7, 9}) {
        for (const auto& [first, last] : {std::pair<size_t, size_t>{0, 150}, {64, 65}, {64, 128}, {128, 150}}) {
          const size_t stride = KernelPanels::Stride(last - first);
          const std::vector<float> values = Values(kernel, queries.view().Slice(0, count), panels, first, last);
          for (size_t q = 0; q < count; ++q) {
            for (size_t i = 0; i < stride; ++i) {
              const float value = values[q * stride + i];
              if (first + i >= last) {
                ASSERT_EQ(value, 0) << kernel.name();
                continue;
              }
              const double truth = kernel.Evaluate(rows.view().row(order[first + i]), queries.view().row(q));
              ASSERT_NEAR(value, truth, 2e-6 * (1 - std::log(truth)) * truth) << kernel.name() << " " << q << " " << i;
            }
          }
        }
      }
    }
  }
}

// So that sums depend neither on the batch nor on the machine.
TEST(KernelPanelsTest, BitsAreThoseOfQueryAndRowAlone) {
  const Points rows = UniformPoints(130, 33, -1, 1, 3), queries = UniformPoints(8, 33, -1, 1, 4);
  const KernelPanels panels(rows.view(), Reversed(130));
  const size_t stride = KernelPanels::Stride(130);
  for (const Similarity& kernel : AllKernels(0.9)) {
    const std::vector<float> together = Values(kernel, queries.view(), panels, 0, 130);
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(target);
      for (size_t q = 0; q < 8; ++q) {
        const std::vector<float> alone = Values(kernel, queries.view().Slice(q, q + 1), panels, 64, 130);
        for (size_t i = 64; i < 130; ++i) {
          ASSERT_EQ(alone[i - 64], together[q * stride + i]) << kernel.name() << " " << hwy::TargetName(target);
        }
      }
      hwy::SetSupportedTargetsForTest(0);
    }
  }
}

TEST(KernelPanelsTest, Exponentials) {
  const Points rows = UniformPoints(70, 5, -1, 1, 5), queries = UniformPoints(4, 5, -3, 3, 6);
  const KernelPanels panels(rows.view(), Reversed(70));
  const std::vector<float> offsets = {0, 1, -2, 200};
  const size_t stride = KernelPanels::Stride(70);
  std::vector<float> values(4 * stride);
  ExponentialValues(queries.view(), offsets.data(), panels, 0, 70, values.data());
  for (size_t q = 0; q < 4; ++q) {
    for (size_t i = 0; i < 70; ++i) {
      double product = -offsets[q];
      for (size_t j = 0; j < 5; ++j)
        product += static_cast<double>(queries.view().row(q)[j]) * rows.view().row(69 - i)[j];
      ASSERT_NEAR(values[q * stride + i], std::exp(product), 1e-5 * std::exp(product) + 1e-37);
    }
  }
}

TEST(KernelPanelsTest, SumsAndProducts) {
  for (const size_t count : {1, 8, 77, 128}) {
    const Points values = UniformPoints(3, count, 0, 1, 7);
    Moments moments;
    AddMoments(values.values.data(), count, &moments);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; ++i) {
      sum += values.values[i];
      squares += static_cast<double>(values.values[i]) * values.values[i];
    }
    EXPECT_NEAR(moments.sum, sum, 1e-12 * count);
    EXPECT_NEAR(moments.squares, squares, 1e-12 * count);
    for (const size_t columns : {1, 2, 64, 101}) {
      const Points weights = UniformPoints(count, columns, -1, 1, 8);
      std::vector<double> out(3 * columns, 0.5);
      AddProducts(values.values.data(), 3, count, weights.view(), out.data());
      for (size_t q = 0; q < 3; ++q) {
        for (size_t c = 0; c < columns; ++c) {
          double truth = 0.5;
          for (size_t i = 0; i < count; ++i) {
            truth += static_cast<double>(values.values[q * count + i]) * weights.values[i * columns + c];
          }
          ASSERT_NEAR(out[q * columns + c], truth, 1e-5) << count << " " << columns;
        }
      }
    }
  }
}

TEST(KernelPanelsTest, RefusesQueriesOfAnotherDimensionOrThatAreNotFinite) {
  Points narrow = UniformPoints(2, 1, 0, 1, 9), wide = UniformPoints(2, 2, 0, 1, 9);
  EXPECT_EQ(CheckQueries(narrow.view(), wide.view()).message(), "queries must have 2 columns, but have 1");
  EXPECT_TRUE(CheckQueries(wide.view(), wide.view()).ok());
  wide.values[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(CheckQueries(wide.view(), wide.view()).message(), "column 1 of query 1 must be finite, but is nan");
}

}  // namespace
}  // namespace dpkde
