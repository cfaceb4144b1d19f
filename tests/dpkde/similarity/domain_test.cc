#include "dpkde/similarity/domain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

}  // namespace
}  // namespace dpkde
