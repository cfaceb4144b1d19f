#include "dpkde/privacy/privacy_spec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dpkde {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(PrivacySpecTest, RefusesEveryEpsilonThatIsNoPromise) {
  for (double epsilon : {0.0, -0.0, -1.0, kInf, -kInf, std::nan("")}) {
    const auto status = PrivacySpec::Pure(epsilon, Neighboring::kAddRemove).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(status.message()).find("epsilon must be finite and positive"), std::string::npos) << status;
  }
  EXPECT_FALSE(PrivacySpec::Pure(1001, Neighboring::kAddRemove).ok());
  EXPECT_TRUE(PrivacySpec::Pure(std::numeric_limits<double>::denorm_min(), Neighboring::kAddRemove).ok());
}

TEST(PrivacySpecTest, RefusesEveryDeltaOutsideTheOpenUnitInterval) {
  for (double delta : {0.0, -1e-9, 1.0, 2.0, kInf, std::nan("")}) {
    const auto status = PrivacySpec::Approximate(1, delta, Neighboring::kReplace).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(status.message()).find("delta must be greater than 0 and less than 1"), std::string::npos);
  }
}

TEST(PrivacySpecTest, HasNoDefaults) {
  proto::PrivacyParameters parameters;
  EXPECT_FALSE(PrivacySpec::FromProto(parameters).ok());
  parameters.set_neighboring(proto::ADD_REMOVE);
  EXPECT_FALSE(PrivacySpec::FromProto(parameters).ok());
  parameters.set_epsilon(1);
  EXPECT_TRUE(PrivacySpec::FromProto(parameters).ok());
  parameters.set_neighboring(proto::NEIGHBORING_UNSPECIFIED);
  EXPECT_FALSE(PrivacySpec::FromProto(parameters).ok());
  parameters.set_neighboring(proto::REPLACE);
  parameters.set_delta(0);  // set, to zero: not the same as unset
  EXPECT_FALSE(PrivacySpec::FromProto(parameters).ok());
}

TEST(PrivacySpecTest, SurvivesItsProto) {
  const PrivacySpec spec = *PrivacySpec::Approximate(0.3, 1e-7, Neighboring::kReplace);
  const PrivacySpec copy = *PrivacySpec::FromProto(spec.ToProto());
  EXPECT_EQ(copy.epsilon(), 0.3);
  EXPECT_EQ(copy.delta(), 1e-7);
  EXPECT_EQ(copy.neighboring(), Neighboring::kReplace);
  EXPECT_FALSE(PrivacySpec::Pure(1, Neighboring::kReplace)->delta().has_value());
}

// Splits of epsilon never add up to more than epsilon.
TEST(PrivacySpecTest, SharesNeverAddUpToMoreThanTheWhole) {
  for (double epsilon : {1.0, 0.1, 0.7, 3e-7}) {
    const PrivacySpec spec = *PrivacySpec::Pure(epsilon, Neighboring::kAddRemove);
    for (double share : {0.01, 0.1, 1.0 / 3, 0.5, 0.9999999}) {
      // In long double, where the sum of two doubles is exact.
      EXPECT_LE(static_cast<long double>(spec.WithShare(share).epsilon()) + spec.WithShare(1 - share).epsilon(),
                epsilon);
      const PrivacySpec zcdp = *PrivacySpec::Zcdp(epsilon, Neighboring::kAddRemove);
      EXPECT_LE(static_cast<long double>(*zcdp.WithShare(share).rho()) + *zcdp.WithShare(1 - share).rho(), epsilon);
      // Pure noise of the one and Gaussian noise of the other.
      const long double pure = zcdp.WithShare(share).epsilon();
      EXPECT_LE(pure * pure / 2 + *zcdp.WithShare(1 - share).rho(), epsilon);
    }
  }
}

TEST(PrivacySpecTest, ZcdpHasARhoOfItsOwn) {
  for (double rho : {0.0, -1.0, kInf, std::nan(""), 500001.0}) {
    const auto status = PrivacySpec::Zcdp(rho, Neighboring::kReplace).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(status.message()).find("rho must be"), std::string::npos) << status;
  }
  const PrivacySpec spec = *PrivacySpec::Zcdp(0.3, Neighboring::kReplace);
  EXPECT_TRUE(spec.allows_gaussian());
  EXPECT_FALSE(spec.delta().has_value());
  EXPECT_NEAR(spec.epsilon(), std::sqrt(0.6), 1e-15);
  const proto::PrivacyParameters parameters = spec.ToProto();
  EXPECT_EQ(parameters.epsilon(), 0);
  EXPECT_EQ(*PrivacySpec::FromProto(parameters)->rho(), 0.3);
  proto::PrivacyParameters both = parameters;
  both.set_epsilon(1);
  EXPECT_FALSE(PrivacySpec::FromProto(both).ok());
  both = parameters;
  both.set_delta(1e-6);
  EXPECT_FALSE(PrivacySpec::FromProto(both).ok());
  both = parameters;
  both.set_rho(0);
  EXPECT_FALSE(PrivacySpec::FromProto(both).ok());
  EXPECT_FALSE(PrivacySpec::Pure(1, Neighboring::kReplace)->allows_gaussian());
  EXPECT_TRUE(PrivacySpec::Approximate(1, 1e-6, Neighboring::kReplace)->allows_gaussian());
}

}  // namespace
}  // namespace dpkde
