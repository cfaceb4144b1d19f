#include "dpkde/index/search/weighted_sample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

// The largest difference between the share of draws that have a row and `expected`, in standard errors.
double WorstScore(const std::vector<int>& counts, const std::vector<double>& expected, int draws) {
  double worst = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double spread = std::sqrt(std::max(expected[i] * (1 - expected[i]), 1e-9) / draws);
    worst = std::max(worst, std::abs(1.0 * counts[i] / draws - expected[i]) / spread);
  }
  return worst;
}

TEST(WeightedSampleTest, RowsAreDrawnInProportionToTheirSizes) {
  std::vector<double> sizes = {0, 100, 3, 3, 0, 1e-3, 40, 2.5};
  for (int i = 0; i < 60; ++i) sizes.push_back(0.1 + 0.05 * (i % 7));
  constexpr int kDraws = 20000;
  constexpr size_t kCount = 14;
  boost::random::mt19937_64 engine = PublicStream(1, "weighted sample test", 0);
  std::vector<int> counts(sizes.size());
  double step = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const WeightedSample sample = DrawBySize(sizes, kCount, engine);
    ASSERT_EQ(sample.rows.size(), kCount);
    ASSERT_EQ(std::set<uint32_t>(sample.rows.begin(), sample.rows.end()).size(), kCount);
    ASSERT_EQ(sample.certain, 5);  // 100, 40, 3, 3, 2.5
    step = sample.step;
    for (const uint32_t row : sample.rows) ++counts[row];
  }
  const double rest = std::accumulate(sizes.begin(), sizes.end(), 0.0) - 148.5;
  EXPECT_NEAR(step, rest / 9, 1e-9);
  std::vector<double> expected(sizes.size()), uniform(sizes.size(), 1.0 * kCount / sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) expected[i] = std::min(1.0, sizes[i] / step);
  EXPECT_LT(WorstScore(counts, expected, kDraws), 5);
  EXPECT_GT(WorstScore(counts, uniform, kDraws), 5);  // the control
}

TEST(WeightedSampleTest, EqualSizesAreASampleWithoutReplacement) {
  const std::vector<double> sizes(50, 0.3);
  boost::random::mt19937_64 engine = PublicStream(2, "weighted sample test", 0);
  std::vector<int> counts(50), pairs(49);
  constexpr int kDraws = 20000;
  for (int draw = 0; draw < kDraws; ++draw) {
    const WeightedSample sample = DrawBySize(sizes, 10, engine);
    ASSERT_EQ(sample.rows.size(), 10);
    ASSERT_EQ(sample.certain, 0);
    std::vector<bool> has(50);
    for (const uint32_t row : sample.rows) has[row] = true;
    for (size_t i = 0; i < 50; ++i) counts[i] += has[i];
    for (size_t i = 0; i < 49; ++i) pairs[i] += has[i] && has[i + 1];
  }
  EXPECT_LT(WorstScore(counts, std::vector<double>(50, 0.2), kDraws), 5);
  // Neighbours in the order of rows are no less likely together than others: a walk in that order would never have
  // both.
  EXPECT_LT(WorstScore(pairs, std::vector<double>(49, 10 * 9 / (50.0 * 49)), kDraws), 5);
}

TEST(WeightedSampleTest, FewRows) {
  boost::random::mt19937_64 engine = PublicStream(3, "weighted sample test", 0);
  EXPECT_TRUE(DrawBySize({}, 3, engine).rows.empty());
  EXPECT_TRUE(DrawBySize(std::vector<double>(4, 0.0), 3, engine).rows.empty());
  const WeightedSample all = DrawBySize(std::vector<double>{0, 2, 1}, 2, engine);
  EXPECT_EQ(all.rows, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(all.certain, 2);
  EXPECT_EQ(all.step, 0);
  const WeightedSample one = DrawBySize(std::vector<double>{1e30, 1e-30}, 1, engine);
  EXPECT_EQ(one.rows, std::vector<uint32_t>{0});
}

}  // namespace
}  // namespace dpkde
