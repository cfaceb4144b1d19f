#include "dpkde/similarity/domain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace dpkde {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(DomainTest, ClampsToTheNearestPoint) {
  const Domain domain = *Domain::Box({-1, 0}, {1, 5});
  const float points[][2] = {{0, 3}, {-7, 9}, {1e30f, -1e30f}, {kInf, -kInf}, {std::nanf(""), 2}};
  const float clamped[][2] = {{0, 3}, {-1, 5}, {1, 0}, {1, 0}, {-1, 2}};
  for (int i = 0; i < 5; ++i) {
    float out[2];
    domain.Clamp(points[i], out);
    EXPECT_EQ(out[0], clamped[i][0]);
    EXPECT_EQ(out[1], clamped[i][1]);
  }
}

TEST(DomainTest, ContainsItsCornersAndNothingBeyond) {
  const Domain domain = *Domain::Box({-1}, {1});
  EXPECT_TRUE(domain.Contains({-1.0f}));
  EXPECT_TRUE(domain.Contains({1.0f}));
  EXPECT_FALSE(domain.Contains({std::nextafter(1.0f, 2.0f)}));
  EXPECT_FALSE(domain.Contains({std::nanf("")}));
}

TEST(DomainTest, RefusesBadBounds) {
  const struct {
    std::vector<double> lower, upper;
    const char* phrase;
  } cases[] = {
      {{}, {}, "at least one coordinate"},
      {{0}, {1, 2}, "as many lower as upper"},
      {{1}, {1}, "lower bounds below upper"},
      {{2}, {1}, "lower bounds below upper"},
      {{std::nan("")}, {1}, "must be finite"},
      {{0}, {std::numeric_limits<double>::infinity()}, "must be finite"},
      {{0}, {1e300}, "must be finite"},                // not in float32
      {{1}, {1 + 1e-12}, "lower bounds below upper"},  // equal in float32
  };
  for (const auto& test : cases) {
    const auto status = Domain::Box(test.lower, test.upper).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(status.message()).find(test.phrase), std::string::npos) << status;
  }
}

TEST(DomainTest, SurvivesItsProto) {
  const Domain domain = *Domain::Box({-180, 15.1}, {-60, 72});
  const Domain copy = *Domain::FromProto(domain.ToProto());
  EXPECT_EQ(copy.DebugString(), domain.DebugString());
  EXPECT_EQ(copy.lower()[1], domain.lower()[1]);
  EXPECT_DOUBLE_EQ(Domain::Box({0, 0}, {3, 4})->Diameter(), 5);
}

// What is inside stays; what is outside goes to the sphere, in the direction of the center, and is inside afterwards
// whatever rounding does.
TEST(DomainTest, BallClampsRadially) {
  std::mt19937_64 engine(1);
  std::normal_distribution<double> normal;
  for (const size_t d : {1, 2, 8, 100, 1000}) {
    for (const double offset : {0.0, 3.0, -2000.0}) {
      for (const double radius : {1e-3, 0.7, 40.0}) {
        const absl::StatusOr<Domain> ball = Domain::Ball(std::vector<double>(d, offset), radius);
        if (!ball.ok()) {
          EXPECT_LT(radius, std::abs(offset) * std::sqrt(d) * 1e-5) << ball.status();
          continue;
        }
        for (const double reach : {0.5, 0.999999, 1.0, 1.0001, 3.0, 1e6, 1e30}) {
          std::vector<double> direction(d);
          double length = 0;
          for (double& value : direction) {
            value = normal(engine);
            length += value * value;
          }
          length = std::sqrt(length);
          std::vector<float> x(d), out(d);
          for (size_t i = 0; i < d; ++i) x[i] = offset + direction[i] / length * reach * radius;
          const bool inside = ball->Contains(x);
          ball->Clamp(x.data(), out.data());
          if (inside) {
            EXPECT_EQ(out, x);
          }
          EXPECT_TRUE(ball->Contains(out)) << d << " " << offset << " " << radius << " " << reach;
          EXPECT_TRUE(ball->BoxContains(out));
          double distance = 0, along = 0;
          for (size_t i = 0; i < d; ++i) {
            const double difference = out[i] - offset;
            distance += difference * difference;
            along += difference * direction[i] / length;
          }
          // Slack: what float32 resolves at this offset.
          const double slack = 1e-6 * (radius + std::abs(offset) * std::sqrt(d));
          EXPECT_NEAR(std::sqrt(distance), std::min(reach, 1.0) * radius, slack);
          EXPECT_NEAR(along, std::min(reach, 1.0) * radius, slack);
          // In place, and again: nothing changes any more.
          ball->Clamp(x.data(), x.data());
          EXPECT_EQ(x, out);
          ball->Clamp(x.data(), x.data());
          EXPECT_EQ(x, out);
        }
      }
    }
  }
}

TEST(DomainTest, BallOfSpecialValues) {
  const Domain ball = *Domain::Ball({1, -2}, 3);
  const float points[][2] = {{kInf, 0}, {0, -kInf}, {std::nanf(""), 2}, {1e-45f, -0.0f}, {3.4e38f, -3.4e38f}};
  for (const auto& point : points) {
    float out[2];
    ball.Clamp(point, out);
    EXPECT_TRUE(ball.Contains(out));
    EXPECT_EQ(std::isfinite(point[0] + point[1]) && std::abs(point[0]) < 1e38f, out[0] == point[0]) << point[0];
  }
  EXPECT_FALSE(ball.Contains({std::nanf(""), 0}));
}

TEST(DomainTest, EachShapeHasTheOthersAtHand) {
  const Domain ball = *Domain::Ball({1, -2}, 3);
  EXPECT_TRUE(ball.is_ball());
  EXPECT_DOUBLE_EQ(ball.Diameter(), 6);
  EXPECT_NEAR(ball.lower()[1], -5, 1e-6);
  EXPECT_NEAR(ball.upper()[0], 4, 1e-6);
  const float direction[] = {3, -4};
  EXPECT_DOUBLE_EQ(ball.Reach(direction), 15);
  EXPECT_EQ(ball.DebugString(), "ball of radius 3 around (1, -2)");
  EXPECT_EQ(Domain::Ball({0, 0}, 3)->DebugString(), "ball of radius 3 around the origin");
  const Domain box = *Domain::Box({0, 2}, {6, 10});
  EXPECT_FALSE(box.is_ball());
  EXPECT_DOUBLE_EQ(box.radius(), 5);
  EXPECT_DOUBLE_EQ(box.center(1), 6);
  EXPECT_DOUBLE_EQ(box.Reach(direction), 25);

  const Domain copy = *Domain::FromProto(ball.ToProto());
  EXPECT_EQ(copy.DebugString(), ball.DebugString());
  EXPECT_EQ(copy.lower()[0], ball.lower()[0]);
  proto::DomainSpec both = ball.ToProto();
  both.add_lower(0);
  EXPECT_FALSE(Domain::FromProto(both).ok());
}

TEST(DomainTest, RefusesBadBalls) {
  const double inf = std::numeric_limits<double>::infinity();
  const struct {
    std::vector<double> center;
    double radius;
    const char* phrase;
  } cases[] = {
      {{}, 1, "at least one coordinate"}, {{0}, 0, "finite and positive"},
      {{0}, -1, "finite and positive"},   {{0}, std::nan(""), "finite and positive"},
      {{0}, inf, "finite and positive"},  {{std::nan("")}, 1, "must be finite"},
      {{1e300}, 1, "must be finite"},     {{0}, 1e39, "must be finite"},
      {{3.4e38}, 1e38, "must be finite"}, {{1e6}, 0.1, "large enough"},
      {{0, 0}, 1e-45, "large enough"},
  };
  for (const auto& test : cases) {
    const auto status = Domain::Ball(test.center, test.radius).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(status.message()).find(test.phrase), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace dpkde
