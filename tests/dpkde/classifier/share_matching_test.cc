#include "dpkde/classifier/share_matching.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

// Mean over rows of the softmax of scores and offsets.
std::vector<double> MeanShares(const std::vector<double>& scores, const std::vector<double>& offsets) {
  const size_t classes = offsets.size(), n = scores.size() / classes;
  std::vector<double> mean(classes);
  for (size_t r = 0; r < n; ++r) {
    double sum = 0;
    for (size_t c = 0; c < classes; ++c) sum += std::exp(scores[r * classes + c] + offsets[c]);
    for (size_t c = 0; c < classes; ++c) mean[c] += std::exp(scores[r * classes + c] + offsets[c]) / sum / n;
  }
  return mean;
}

TEST(OffsetsOfSharesTest, ClassesComeUpAsOftenAsTheyShould) {
  const Points points = UniformPoints(500, 3, -4, 4, 1);
  const std::vector<double> scores(points.values.begin(), points.values.end());
  for (const std::vector<double>& shares : {std::vector<double>{0.7, 0.2, 0.1}, {0.01, 0.01, 0.98}}) {
    const std::vector<double> mean = MeanShares(scores, OffsetsOfShares(scores, shares));
    for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(mean[c], shares[c], 0.01 * shares[c]) << c;
    // Their logarithms alone do not do that.
    std::vector<double> logarithms;
    for (double share : shares) logarithms.push_back(std::log(share));
    EXPECT_GT(std::abs(MeanShares(scores, logarithms)[0] / shares[0] - 1), 0.05);
  }
}

// Scores that say nothing leave the shares; those that are far off are made up for.
TEST(OffsetsOfSharesTest, ScoresThatSayNothingLeaveTheShares) {
  const std::vector<double> shares = {0.5, 0.25, 0.25};
  const std::vector<double> offsets = OffsetsOfShares({0, 0, 9, 0, 0, 9}, shares);
  EXPECT_NEAR(offsets[0] - offsets[1], std::log(2.0), 1e-6);
  EXPECT_NEAR(offsets[1] - offsets[2], 9, 1e-6);
  EXPECT_EQ(OffsetsOfShares({3, 4}, {1}), std::vector<double>{0});
}

}  // namespace
}  // namespace dpkde
