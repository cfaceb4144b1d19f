#include "dpkde/classifier/normal_points.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

namespace dpkde {
namespace {

// Of (z, 1) / sqrt 2, for z of this mean and covariance in the plane.
std::vector<double> Moment(double x, double y, double xx, double xy, double yy) {
  return {(xx + x * x) / 2, (xy + x * y) / 2, x / 2, (xy + x * y) / 2, (yy + y * y) / 2, y / 2, x / 2, y / 2, 0.5};
}

struct Sample {
  double mean[2] = {0, 0};
  double xx = 0, xy = 0, yy = 0;
};
Sample Describe(const std::vector<float>& points) {
  Sample sample;
  const size_t n = points.size() / 2;
  for (size_t i = 0; i < points.size(); ++i) sample.mean[i % 2] += points[i] / n;
  for (size_t r = 0; r < n; ++r) {
    const double x = points[2 * r] - sample.mean[0], y = points[2 * r + 1] - sample.mean[1];
    sample.xx += x * x / n;
    sample.xy += x * y / n;
    sample.yy += y * y / n;
  }
  return sample;
}

TEST(NormalPointsTest, HaveTheMeanAndTheCovariance) {
  const auto points = NormalPoints(Moment(0.3, -0.2, 0.04, 0.015, 0.01), 2, 0, 1, 20000);
  ASSERT_TRUE(points.ok()) << points.status();
  const Sample sample = Describe(*points);
  // Four standard errors and more.
  EXPECT_NEAR(sample.mean[0], 0.3, 0.006);
  EXPECT_NEAR(sample.mean[1], -0.2, 0.003);
  EXPECT_NEAR(sample.xx, 0.04, 0.002);
  EXPECT_NEAR(sample.xy, 0.015, 0.001);
  EXPECT_NEAR(sample.yy, 0.01, 0.0005);
}

// A covariance that noise has made indefinite.
TEST(NormalPointsTest, NoDirectionIsThinnerThanTheNoiseAllows) {
  constexpr double kNoise = 0.01;
  const auto points = NormalPoints(Moment(0, 0, 0.02, 0, -0.03), 2, kNoise, 1, 20000);
  ASSERT_TRUE(points.ok()) << points.status();
  const Sample sample = Describe(*points);
  EXPECT_NEAR(sample.xx, 0.02, 0.001);
  EXPECT_NEAR(sample.yy, 0.1 * 2 * 2 * kNoise, 0.0003);
}

TEST(NormalPointsTest, SeedDecides) {
  const std::vector<double> moment = Moment(0, 0, 1, 0, 1);
  EXPECT_EQ(*NormalPoints(moment, 2, 0, 1, 10), *NormalPoints(moment, 2, 0, 1, 10));
  EXPECT_NE(*NormalPoints(moment, 2, 0, 1, 10), *NormalPoints(moment, 2, 0, 2, 10));
}

}  // namespace
}  // namespace dpkde
