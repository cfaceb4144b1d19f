#include "dpkde/noise/mechanism.h"

#include <gtest/gtest.h>

#include <boost/math/distributions/laplace.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "absl/numeric/int128.h"
#include "dpkde/privacy/gaussian_calibration.h"
#include "tests/testing/goodness_of_fit.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"

namespace dpkde {
namespace {

constexpr uint64_t kUnit = uint64_t{1} << 20;

CoordinateGroup Group(size_t first, size_t count, size_t stride, uint64_t l1, uint64_t l2, double weight) {
  CoordinateGroup group;
  group.first = first;
  group.count = count;
  group.stride = stride;
  group.add_remove = {l1, l2};
  group.replace = {2 * l1, 2 * l2};
  group.mean_square_weight = weight;
  return group;
}

// Three pairs of decreasing weight and a count with a least share and, under REPLACE, no sensitivity.
std::vector<CoordinateGroup> PairsAndCount() {
  std::vector<CoordinateGroup> groups;
  for (size_t k = 0; k < 3; ++k) groups.push_back(Group(k, 2, 3, 1482912, 1048578, std::pow(0.1, k)));
  CoordinateGroup count = Group(6, 1, 1, kUnit, kUnit, 1e-9);
  count.replace = {0, 0};
  count.least_share = 0.01;
  groups.push_back(count);
  return groups;
}

double LaplaceLoss(const std::vector<CoordinateGroup>& groups, const proto::NoiseScales& scales,
                   Neighboring neighboring) {
  double loss = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (scales.scale(g) > 0) loss += SensitivityOf(groups[g], neighboring).l1 / static_cast<double>(scales.scale(g));
  }
  return loss;
}

TEST(MechanismTest, LaplaceSpendsEpsilonAndNoMore) {
  for (double epsilon : {0.01, 1.0, 10.0}) {
    for (Neighboring neighboring : {Neighboring::kAddRemove, Neighboring::kReplace}) {
      const auto groups = PairsAndCount();
      const auto mechanism = Mechanism::Calibrate(proto::LAPLACE, groups, *PrivacySpec::Pure(epsilon, neighboring));
      ASSERT_TRUE(mechanism.ok()) << mechanism.status();
      const double loss = LaplaceLoss(groups, mechanism->scales(), neighboring);
      EXPECT_LE(loss, epsilon);
      EXPECT_GE(loss, epsilon * (1 - 1e-5));
      EXPECT_GE(mechanism->guarantee().epsilon, loss);
      EXPECT_LE(mechanism->guarantee().epsilon, epsilon);
      EXPECT_EQ(mechanism->guarantee().delta, 0);
    }
  }
}

TEST(MechanismTest, GaussianSpendsMuAndNoMore) {
  for (Neighboring neighboring : {Neighboring::kAddRemove, Neighboring::kReplace}) {
    const auto groups = PairsAndCount();
    const auto mechanism =
        Mechanism::Calibrate(proto::GAUSSIAN, groups, *PrivacySpec::Approximate(1, 1e-6, neighboring));
    ASSERT_TRUE(mechanism.ok()) << mechanism.status();
    double mu_square = 0;
    for (size_t g = 0; g < groups.size(); ++g) {
      if (mechanism->scales().scale(g) == 0) continue;
      const double ratio = SensitivityOf(groups[g], neighboring).l2 / static_cast<double>(mechanism->scales().scale(g));
      mu_square += ratio * ratio;
    }
    EXPECT_GE(mechanism->guarantee().mu, std::sqrt(mu_square));
    EXPECT_LE(*GaussianDelta(1, std::sqrt(mu_square)) + mechanism->guarantee().sampler_delta, 1e-6);
    EXPECT_GT(mechanism->guarantee().delta, 0.998e-6);
    EXPECT_LT(mechanism->guarantee().sampler_delta, 1e-9);
    EXPECT_GT(mechanism->guarantee().sampler_delta, 0);
  }
}

// More budget, less noise, whatever the number of values: also where e^epsilon times the total variation of the sampler
// is far beyond delta (the last line: so it is here).
TEST(MechanismTest, GaussianNoiseFallsWithEpsilonForAnyNumberOfValues) {
  std::vector<std::vector<CoordinateGroup>> all;
  for (size_t m : {1, 512, 65536, 1 << 20}) {
    all.push_back({Group(0, m, 1, kUnit * m, kUnit, 1)});
    all.back()[0].shape = GroupShape::kBall;
  }
  // Pairs of falling weight, and a count of which most is asked.
  all.emplace_back();
  for (size_t k = 0; k < 1024; ++k) all.back().push_back(Group(2 * k, 2, 1, 1482912, 1048578, 1.0 / (k + 1)));
  all.back().push_back(Group(2048, 1, 1, kUnit, kUnit, 1e4));
  constexpr double kDelta = 1e-6;
  std::vector<double> last(all.size(), std::numeric_limits<double>::infinity());
  double largest = 0;
  for (double epsilon : {0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 6.0, 8.0, 9.0, 10.0, 12.0, 15.0, 20.0}) {
    for (size_t i = 0; i < all.size(); ++i) {
      const auto mechanism = Mechanism::Calibrate(proto::GAUSSIAN, all[i], ApproximateAddRemove(epsilon, kDelta));
      ASSERT_TRUE(mechanism.ok()) << mechanism.status() << " " << i << " " << epsilon;
      const NoiseGuarantee& guarantee = mechanism->guarantee();
      EXPECT_LE(guarantee.delta, kDelta);
      EXPECT_GT(guarantee.delta, 0.998 * kDelta);
      EXPECT_LT(guarantee.sampler_delta, 1e-5 * kDelta);
      EXPECT_LT(mechanism->PredictedVariance(), last[i]) << i << " " << epsilon;
      last[i] = mechanism->PredictedVariance();
      largest = std::max(largest, std::exp(epsilon) * guarantee.total_variation / kDelta);
    }
  }
  EXPECT_GT(largest, 1);
}

// sum (Delta / sigma)^2 / 2 <= rho, without anything set aside for the sampler; pure noise of epsilon = sqrt(2 rho).
TEST(MechanismTest, ZcdpSpendsRhoAndNoMore) {
  for (double rho : {1e-4, 0.05, 2.0}) {
    for (Neighboring neighboring : {Neighboring::kAddRemove, Neighboring::kReplace}) {
      const auto groups = PairsAndCount();
      const PrivacySpec privacy = *PrivacySpec::Zcdp(rho, neighboring);
      for (proto::Mechanism kind : {proto::GAUSSIAN, proto::LAPLACE, proto::KNORM}) {
        const auto mechanism = Mechanism::Calibrate(kind, groups, privacy);
        ASSERT_TRUE(mechanism.ok()) << mechanism.status();
        const NoiseGuarantee& guarantee = mechanism->guarantee();
        EXPECT_LE(guarantee.rho, rho);
        EXPECT_GE(guarantee.rho, rho * (1 - 3e-5));
        EXPECT_EQ(guarantee.delta, 0);
        if (kind == proto::GAUSSIAN) {
          EXPECT_EQ(guarantee.epsilon, 0);  // there is none without a delta
          EXPECT_GT(guarantee.total_variation, 0);
          long double loss = 0;
          for (size_t g = 0; g < groups.size(); ++g) {
            const long double sigma = mechanism->scales().scale(g);
            if (sigma == 0) continue;
            const long double l2 = SensitivityOf(groups[g], neighboring).l2;
            loss += l2 * l2 / (2 * sigma * sigma);
          }
          EXPECT_LE(loss, guarantee.rho);
        } else {
          EXPECT_GE(guarantee.rho, guarantee.epsilon * guarantee.epsilon / 2);
          EXPECT_EQ(guarantee.mu, 0);
        }
        // The controls: a tenth less noise anywhere, and a smaller rho than was paid for.
        EXPECT_TRUE(Mechanism::FromScales(kind, groups, mechanism->scales(), privacy).ok());
        EXPECT_FALSE(
            Mechanism::FromScales(kind, groups, mechanism->scales(), *PrivacySpec::Zcdp(rho * 0.999, neighboring))
                .ok());
        for (int g = 0; g < mechanism->scales().scale_size(); ++g) {
          if (mechanism->scales().scale(g) == 0) continue;
          auto scales = mechanism->scales();
          scales.set_scale(g, scales.scale(g) * 9 / 10);
          EXPECT_FALSE(Mechanism::FromScales(kind, groups, scales, privacy).ok());
        }
      }
    }
  }
  const auto one = Mechanism::Calibrate(proto::GAUSSIAN, {Group(0, 5, 1, kUnit, kUnit, 1)},
                                        *PrivacySpec::Zcdp(0.02, Neighboring::kAddRemove));
  EXPECT_NEAR(static_cast<double>(one->scales().scale(0)) / kUnit, 5, 1e-5);  // 1 / sqrt(2 rho)
  EXPECT_FALSE(
      Mechanism::Calibrate(proto::GAUSSIAN, PairsAndCount(), *PrivacySpec::Zcdp(1e-25, Neighboring::kReplace)).ok());
}

// One group of sensitivity 1 record: the textbook scales.
TEST(MechanismTest, OneGroupGetsTheTextbookScale) {
  const std::vector<CoordinateGroup> groups = {Group(0, 5, 1, kUnit, kUnit, 1)};
  const auto laplace = Mechanism::Calibrate(proto::LAPLACE, groups, PureAddRemove(0.5));
  EXPECT_NEAR(static_cast<double>(laplace->scales().scale(0)) / kUnit, 2, 1e-5);
  EXPECT_NEAR(laplace->PredictedVariance() / kUnit / kUnit, 8, 1e-4);
  const auto gaussian = Mechanism::Calibrate(proto::GAUSSIAN, groups, ApproximateAddRemove(1, 1e-6));
  EXPECT_NEAR(static_cast<double>(gaussian->scales().scale(0)) / kUnit, 4.225, 1e-3);
}

// No other split of the budget, within the least share, predicts less variance.
TEST(MechanismTest, SharesAreOptimal) {
  for (proto::Mechanism kind : {proto::LAPLACE, proto::GAUSSIAN}) {
    auto groups = PairsAndCount();
    groups.back().least_share = 0;
    groups.back().mean_square_weight = 0.5;
    const PrivacySpec privacy = ApproximateAddRemove(1, 1e-6);
    const auto mechanism = Mechanism::Calibrate(kind, groups, privacy);
    for (size_t a = 0; a < groups.size(); ++a) {
      for (size_t b = 0; b < groups.size(); ++b) {
        if (a == b) continue;
        // Takes a little noise from a and gives b what keeps the loss.
        auto scales = mechanism->scales();
        const auto loss = [&](size_t g, double scale) {
          const double ratio = (kind == proto::LAPLACE ? groups[g].add_remove.l1 : groups[g].add_remove.l2) / scale;
          return kind == proto::LAPLACE ? ratio : ratio * ratio;
        };
        const double before = loss(a, scales.scale(a)) + loss(b, scales.scale(b));
        scales.set_scale(a, static_cast<uint64_t>(scales.scale(a) * 0.99));
        const double left = before - loss(a, scales.scale(a));
        const double sensitivity = kind == proto::LAPLACE ? groups[b].add_remove.l1 : groups[b].add_remove.l2;
        scales.set_scale(
            b, static_cast<uint64_t>(std::ceil(sensitivity / (kind == proto::LAPLACE ? left : std::sqrt(left)))) + 2);
        const auto other = Mechanism::FromScales(kind, groups, scales, privacy);
        ASSERT_TRUE(other.ok()) << other.status();
        EXPECT_GT(other->PredictedVariance(), mechanism->PredictedVariance());
      }
    }
  }
}

TEST(MechanismTest, TheCountGetsItsLeastShare) {
  const auto laplace = Mechanism::Calibrate(proto::LAPLACE, PairsAndCount(), PureAddRemove(1));
  EXPECT_NEAR(static_cast<double>(kUnit) / laplace->scales().scale(3), 0.01, 1e-5);
  const auto gaussian = Mechanism::Calibrate(proto::GAUSSIAN, PairsAndCount(), ApproximateAddRemove(1, 1e-6));
  const double ratio = static_cast<double>(kUnit) / gaussian->scales().scale(3) / gaussian->guarantee().mu;
  EXPECT_NEAR(ratio * ratio, 0.01, 1e-5);
}

TEST(MechanismTest, WithoutSensitivityThereIsNoNoise) {
  const auto mechanism =
      Mechanism::Calibrate(proto::LAPLACE, PairsAndCount(), *PrivacySpec::Pure(1, Neighboring::kReplace));
  EXPECT_EQ(mechanism->scales().scale(3), 0u);
  EXPECT_EQ(mechanism->variances()[3], 0);
  std::vector<int64_t> values(7, 123);
  SeededBitSource source(1);
  mechanism->AddNoise(absl::MakeSpan(values), source);
  EXPECT_EQ(values[6], 123);
  for (size_t j = 0; j < 6; ++j) EXPECT_NE(values[j], 123);
}

// The control of every guarantee: a file whose noise is a tenth too small is refused.
TEST(MechanismTest, RefusesScalesThatGuaranteeLess) {
  const auto groups = PairsAndCount();
  for (proto::Mechanism kind : {proto::LAPLACE, proto::GAUSSIAN}) {
    const PrivacySpec privacy = ApproximateAddRemove(1, 1e-6);
    const auto mechanism = Mechanism::Calibrate(kind, groups, privacy);
    EXPECT_TRUE(Mechanism::FromScales(kind, groups, mechanism->scales(), privacy).ok());
    for (size_t g = 0; g < groups.size(); ++g) {
      auto scales = mechanism->scales();
      scales.set_scale(g, scales.scale(g) * 9 / 10);
      EXPECT_FALSE(Mechanism::FromScales(kind, groups, scales, privacy).ok());
      scales.set_scale(g, 0);
      EXPECT_FALSE(Mechanism::FromScales(kind, groups, scales, privacy).ok());
    }
    proto::NoiseScales too_few;
    too_few.add_scale(mechanism->scales().scale(0));
    EXPECT_FALSE(Mechanism::FromScales(kind, groups, too_few, privacy).ok());
  }
}

TEST(MechanismTest, RefusesWhatItCannotDo) {
  const auto groups = PairsAndCount();
  EXPECT_EQ(Mechanism::Calibrate(proto::GAUSSIAN, groups, PureAddRemove(1)).status().message(),
            "the gaussian mechanism needs delta or rho: it cannot be pure");
  EXPECT_FALSE(Mechanism::Calibrate(proto::MECHANISM_UNSPECIFIED, groups, PureAddRemove(1)).ok());
  // Noise that 63 bits cannot hold is refused when the mechanism is made, never wrapped later.
  for (double epsilon : {1e-12, 1e-300, std::numeric_limits<double>::denorm_min()}) {
    EXPECT_FALSE(Mechanism::Calibrate(proto::LAPLACE, groups, PureAddRemove(epsilon)).ok());
  }
  EXPECT_FALSE(Mechanism::Calibrate(proto::GAUSSIAN, groups, ApproximateAddRemove(1e-12, 1e-15)).ok());
}

TEST(MechanismTest, SumsSaturate) {
  const std::vector<CoordinateGroup> groups = {Group(0, 200, 1, kUnit, kUnit, 1)};
  const auto mechanism = Mechanism::Calibrate(proto::LAPLACE, groups, PureAddRemove(1));
  std::vector<int64_t> values(200, std::numeric_limits<int64_t>::max());
  SeededBitSource source(1);
  mechanism->AddNoise(absl::MakeSpan(values), source);
  int at_the_end = 0;
  for (int64_t value : values) {
    EXPECT_GT(value, std::numeric_limits<int64_t>::max() - int64_t{100} * kUnit);
    at_the_end += value == std::numeric_limits<int64_t>::max();
  }
  EXPECT_GT(at_the_end, 50);
}

// What AddNoise adds has the law that was promised: KS over 10^5 coordinates at the level of 10^-6; a law 1.1 times as
// wide is told apart (its distance is above 0.02).
TEST(MechanismTest, NoiseHasThePromisedLaw) {
  constexpr size_t kCount = 100000;
  const std::vector<CoordinateGroup> groups = {Group(0, kCount / 2, 2, kUnit, kUnit, 1),
                                               Group(1, kCount / 2, 2, 3 * kUnit, 2 * kUnit, 1)};
  const boost::math::laplace laplace_law;
  const boost::math::normal normal_law;
  for (proto::Mechanism kind : {proto::LAPLACE, proto::GAUSSIAN}) {
    const auto mechanism = Mechanism::Calibrate(kind, groups, ApproximateAddRemove(1, 1e-6));
    std::vector<int64_t> values(kCount);
    SeededBitSource source(7);
    mechanism->AddNoise(absl::MakeSpan(values), source);
    for (size_t g = 0; g < 2; ++g) {
      std::vector<absl::int128> draws;
      for (size_t j = g; j < kCount; j += 2) draws.push_back(values[j]);
      const auto distance = [&](double factor) {
        return KolmogorovSmirnovDistance(draws, factor * mechanism->scales().scale(g), [&](double x) {
          return kind == proto::LAPLACE ? cdf(laplace_law, x) : cdf(normal_law, x);
        });
      };
      const double critical = KolmogorovSmirnovCriticalDistance(draws.size(), kRejectionLevel);
      EXPECT_LT(distance(1), critical);
      EXPECT_GT(distance(1.1), critical);
    }
  }
}

// Disks of the weights of the l1 series, odd harmonics, and a count that matters.
std::vector<CoordinateGroup> DisksAndCount(size_t disks) {
  std::vector<CoordinateGroup> groups;
  for (size_t k = 0; k < disks; ++k) {
    CoordinateGroup group = Group(k, 2, disks, 1482912, 1048578, std::pow(0.405 / std::pow(2 * k + 1, 2), 2));
    group.shape = GroupShape::kDisk;
    groups.push_back(group);
  }
  CoordinateGroup count = Group(2 * disks, 1, 1, kUnit, kUnit, 0.25);
  count.replace = {0, 0};
  count.least_share = 0.01;
  groups.push_back(count);
  return groups;
}

// The constants that Hardt and Talwar's mechanism in blocks reaches for the l1 series in one dimension of width 1,
// epsilon 1: 2.95 with a private count, 3.64 without and twice the radius; Laplace noise: 4.2. They hardly grow with
// the number of harmonics, though the weights of the last are 1e-17 of the first's.
TEST(KNormMechanismTest, ReachesTheKnownConstants) {
  for (size_t disks : {4000, 10000}) {
    const auto groups = DisksAndCount(disks);
    const auto rmse = [&](proto::Mechanism kind, Neighboring neighboring) {
      const auto mechanism = Mechanism::Calibrate(kind, groups, *PrivacySpec::Pure(1, neighboring));
      EXPECT_TRUE(mechanism.ok()) << mechanism.status();
      return std::sqrt(mechanism->PredictedVariance()) / kUnit;
    };
    EXPECT_LE(rmse(proto::KNORM, Neighboring::kAddRemove), 3.0) << disks;
    EXPECT_LE(rmse(proto::KNORM, Neighboring::kReplace), 3.75) << disks;
    EXPECT_GE(rmse(proto::LAPLACE, Neighboring::kAddRemove), 4.1) << disks;
  }
}

TEST(KNormMechanismTest, EqualDisksShareOneBlockAndHalveTheNoiseOfLaplace) {
  auto groups = DisksAndCount(2048);
  for (CoordinateGroup& group : groups) group.mean_square_weight = 1.0 / 2048 / 2048;
  groups.back().mean_square_weight = 0;
  const auto knorm = Mechanism::Calibrate(proto::KNORM, groups, PureAddRemove(1));
  const auto laplace = Mechanism::Calibrate(proto::LAPLACE, groups, PureAddRemove(1));
  EXPECT_EQ(knorm->scales().block_epsilon_size(), 2);  // the disks, the count
  EXPECT_LE(std::sqrt(knorm->PredictedVariance() / laplace->PredictedVariance()), 0.51);
}

TEST(KNormMechanismTest, SpendsEpsilonAndNoMore) {
  for (double epsilon : {0.01, 1.0, 10.0}) {
    for (Neighboring neighboring : {Neighboring::kAddRemove, Neighboring::kReplace}) {
      const auto mechanism =
          Mechanism::Calibrate(proto::KNORM, DisksAndCount(100), *PrivacySpec::Pure(epsilon, neighboring));
      ASSERT_TRUE(mechanism.ok()) << mechanism.status();
      double sum = 0;
      for (double part : mechanism->scales().block_epsilon()) sum += part;
      EXPECT_LE(sum, epsilon);
      EXPECT_GE(sum, epsilon * (1 - 1e-6));
      EXPECT_GE(mechanism->guarantee().epsilon, sum);
      EXPECT_EQ(mechanism->guarantee().delta, 0);
    }
  }
}

TEST(KNormMechanismTest, RefusesBlocksThatGuaranteeLessOrDoNotFit) {
  const auto groups = DisksAndCount(100);
  const auto mechanism = Mechanism::Calibrate(proto::KNORM, groups, PureAddRemove(1));
  const auto refused = [&](const auto& change) {
    proto::NoiseScales scales = mechanism->scales();
    change(scales);
    return !Mechanism::FromScales(proto::KNORM, groups, scales, PureAddRemove(1)).ok();
  };
  EXPECT_FALSE(refused([](proto::NoiseScales&) {}));
  EXPECT_TRUE(refused([](auto& scales) { scales.set_block_epsilon(0, scales.block_epsilon(0) * 1.1); }));
  EXPECT_TRUE(refused([](auto& scales) { scales.set_block_epsilon(0, 0); }));
  EXPECT_TRUE(refused([](auto& scales) { scales.set_block_epsilon(0, std::nan("")); }));
  EXPECT_TRUE(refused([](auto& scales) { scales.set_block(5, 0); }));
  EXPECT_TRUE(refused([](auto& scales) { scales.set_block(5, 1000); }));
  EXPECT_TRUE(refused([](auto& scales) { scales.add_block_epsilon(1e-9); }));
  EXPECT_TRUE(refused([](auto& scales) { scales.mutable_block()->RemoveLast(); }));
  // Balls do not share.
  auto balls = groups;
  for (size_t k = 0; k < 100; ++k) balls[k].shape = GroupShape::kBall;
  EXPECT_FALSE(Mechanism::FromScales(proto::KNORM, balls, mechanism->scales(), PureAddRemove(1)).ok());
}

// The variances that are stated are those of what is added: 4,000 draws of a vector with blocks of several sizes, a
// joint count, a ball and a plain group; each group's mean square within 6 standard errors (about 20 %), a control 1.5
// times as large not.
TEST(KNormMechanismTest, NoiseHasTheStatedVariances) {
  auto groups = DisksAndCount(6);
  CoordinateGroup ball = Group(12, 5, 1, 3 * kUnit, kUnit, 0.01);
  ball.shape = GroupShape::kBall;
  CoordinateGroup plain = Group(17, 3, 1, kUnit, kUnit, 0.01);
  CoordinateGroup count = groups.back();
  count.first = 20;
  groups.back() = ball;
  groups.push_back(plain);
  groups.push_back(count);
  const auto mechanism = Mechanism::Calibrate(proto::KNORM, groups, PureAddRemove(1));
  ASSERT_TRUE(mechanism.ok()) << mechanism.status();
  std::vector<double> squares(groups.size());
  SeededBitSource source(3);
  constexpr int kDraws = 4000;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<int64_t> values(21);
    mechanism->AddNoise(absl::MakeSpan(values), source);
    for (size_t g = 0; g < groups.size(); ++g) {
      for (size_t j = 0; j < groups[g].count; ++j) {
        const double value = static_cast<double>(values[groups[g].first + j * groups[g].stride]);
        squares[g] += value * value / groups[g].count / kDraws;
      }
    }
  }
  for (size_t g = 0; g < groups.size(); ++g) {
    EXPECT_NEAR(squares[g] / mechanism->variances()[g], 1, 0.2) << g;
    EXPECT_GT(std::abs(1.5 * squares[g] / mechanism->variances()[g] - 1), 0.2) << g;
  }
}

// Parts of one ball of radius kUnit, with falling weights, its residual and a count.
std::vector<CoordinateGroup> BallParts(const std::vector<size_t>& sizes) {
  std::vector<CoordinateGroup> groups;
  size_t first = 0;
  double weight = 1;
  for (size_t size : sizes) {
    CoordinateGroup part =
        Group(first, size, 1, static_cast<uint64_t>(std::ceil(std::sqrt(size) * kUnit)), kUnit, weight);
    part.shape = GroupShape::kBall;
    part.ball = 1;
    groups.push_back(part);
    first += size;
    weight /= 8;
  }
  CoordinateGroup residual = Group(first, 1, 1, kUnit, kUnit, 0);
  residual.shape = GroupShape::kResidual;
  residual.ball = 1;
  residual.replace = residual.add_remove;
  groups.push_back(residual);
  groups.push_back(Group(first + 1, 1, 1, kUnit, kUnit, 1e-9));
  groups.back().least_share = 0.01;
  groups.back().replace = {0, 0};
  return groups;
}

// The largest privacy loss over random neighbours in a ball is within what is certified, and
// near it. Loss of pure noise: sum of distances over scales; of Gaussian noise: mu^2.
TEST(BallPartsTest, CertifiesTheWorstNeighbours) {
  const auto groups = BallParts({1, 3, 20});
  for (Neighboring neighboring : {Neighboring::kAddRemove, Neighboring::kReplace}) {
    for (proto::Mechanism kind : {proto::KNORM, proto::LAPLACE, proto::GAUSSIAN}) {
      const auto mechanism = Mechanism::Calibrate(kind, groups, *PrivacySpec::Approximate(1, 1e-6, neighboring));
      ASSERT_TRUE(mechanism.ok()) << mechanism.status();
      const auto& scales = mechanism->scales();
      // What a change of length t (in units of the radius under ADD_REMOVE) in part g costs at most, and of the
      // residual; the parts' worst directions are the diagonals for Laplace noise.
      const auto loss = [&](size_t g, double t) {
        const double radius = SensitivityOf(groups[g], neighboring).l2;
        if (kind == proto::KNORM) {
          const double epsilon = scales.block_epsilon(scales.block(g) - 1);
          return epsilon * t * kUnit /
                 (groups[g].shape == GroupShape::kResidual ? SensitivityOf(groups[g], neighboring).l1 : radius);
        }
        const double ratio = t * kUnit / scales.scale(g);
        return kind == proto::LAPLACE ? ratio * std::sqrt(groups[g].count) : ratio * ratio;
      };
      std::mt19937_64 random(7);
      std::exponential_distribution<double> exponential;
      std::uniform_real_distribution<double> uniform;
      double worst = 0;
      for (int trial = 0; trial < 200000; ++trial) {
        double square[2] = {0, 0}, v[2][3];
        for (int side = 0; side < (neighboring == Neighboring::kAddRemove ? 1 : 2); ++side) {
          double sum = 0;
          for (double& part : v[side]) sum += part = std::sqrt(exponential(random));
          double length = 0;
          for (double& part : v[side]) part = std::pow(part / sum, trial % 3 + 0.5), length += part * part;
          const double norm = trial % 2 == 0 ? 1 : uniform(random);
          for (double& part : v[side]) part *= norm / std::sqrt(length), square[side] += part * part;
        }
        double total = 0;
        for (size_t g = 0; g < 3; ++g) {
          total += loss(g, v[0][g] + (neighboring == Neighboring::kAddRemove ? 0 : v[1][g]));
        }
        total += loss(3, neighboring == Neighboring::kAddRemove ? 1 - square[0] : std::abs(square[0] - square[1]));
        worst = std::max(worst, total);
      }
      double certified = mechanism->guarantee().epsilon;
      double count_part = loss(4, 1);
      if (neighboring == Neighboring::kReplace) count_part = 0;
      if (kind == proto::GAUSSIAN) certified = mechanism->guarantee().mu * mechanism->guarantee().mu;
      EXPECT_LE(worst + count_part, certified) << kind;
      EXPECT_GE(worst + count_part, 0.97 * certified) << kind;
      EXPECT_LE(mechanism->guarantee().epsilon, 1);
    }
  }
}

// The residual costs nothing, and blocks beat the single ball where weights fall.
TEST(BallPartsTest, ResidualIsFreeAndPartsBeatTheBall) {
  const PrivacySpec privacy = ApproximateAddRemove(1, 1e-6);
  const auto groups = BallParts({1, 3, 20});
  auto without = groups;
  without.erase(without.begin() + 3);
  auto whole = without;
  for (size_t g = 0; g < 3; ++g) whole[g].mean_square_weight = whole[g].count;
  for (proto::Mechanism kind : {proto::KNORM, proto::LAPLACE, proto::GAUSSIAN}) {
    const auto mechanism = Mechanism::Calibrate(kind, groups, privacy);
    EXPECT_NEAR(mechanism->PredictedVariance() / Mechanism::Calibrate(kind, without, privacy)->PredictedVariance(), 1,
                1e-6);
    const auto one = Mechanism::Calibrate(kind, whole, privacy);
    double single = 0;
    for (size_t g = 0; g < 3; ++g) single += without[g].mean_square_weight * one->variances()[g];
    if (kind == proto::GAUSSIAN) {
      EXPECT_NEAR(mechanism->PredictedVariance() / single, 1, 1e-3);
    } else {
      EXPECT_LT(mechanism->PredictedVariance(), 0.7 * single);
    }
  }
}

TEST(BallPartsTest, RefusesMoreResidualThanIsFree) {
  const auto groups = BallParts({1, 3, 20});
  for (proto::Mechanism kind : {proto::KNORM, proto::LAPLACE, proto::GAUSSIAN}) {
    const PrivacySpec privacy = ApproximateAddRemove(1, 1e-6);
    proto::NoiseScales scales = Mechanism::Calibrate(kind, groups, privacy)->scales();
    EXPECT_TRUE(Mechanism::FromScales(kind, groups, scales, privacy).ok());
    if (kind == proto::KNORM) {
      const int block = static_cast<int>(scales.block(3)) - 1;
      scales.set_block_epsilon(block, 1.01 * scales.block_epsilon(block));
    } else {
      scales.set_scale(3, static_cast<uint64_t>(scales.scale(3) / 1.01));
    }
    EXPECT_FALSE(Mechanism::FromScales(kind, groups, scales, privacy).ok()) << kind;
  }
  // Parts of different radii, a residual without a ball.
  auto odd = groups;
  odd[1].add_remove.l2 += 1;
  EXPECT_FALSE(Mechanism::Calibrate(proto::KNORM, odd, PureAddRemove(1)).ok());
  odd = groups;
  odd[3].ball = 2;
  EXPECT_FALSE(Mechanism::Calibrate(proto::KNORM, odd, PureAddRemove(1)).ok());
}

// Two parts of one coordinate each against the neighbour that loses most, event {loss >= 0.9999} fixed beforehand: 2
// 10^5 draws a side see an excess of 5 % (6 standard errors); noise of 0.9 times the scale fails.
TEST(BallPartsTest, EventRatio) {
  auto groups = BallParts({1, 1});
  groups.erase(groups.begin() + 2, groups.end());
  groups[1].mean_square_weight = 1.0 / 64;
  const auto mechanism = Mechanism::Calibrate(proto::KNORM, groups, PureAddRemove(1));
  const auto& scales = mechanism->scales();
  ASSERT_EQ(scales.block_epsilon_size(), 2);
  const double epsilons[] = {scales.block_epsilon(scales.block(0) - 1), scales.block_epsilon(scales.block(1) - 1)};
  const double norm = std::hypot(epsilons[0], epsilons[1]);
  const auto excess = [&](double factor) {
    SeededBitSource source(11);
    constexpr int kDraws = 200000;
    int counts[2] = {0, 0};
    for (int side = 0; side < 2; ++side) {
      for (int draw = 0; draw < kDraws; ++draw) {
        std::vector<int64_t> values(2);
        mechanism->AddNoise(absl::MakeSpan(values), source);
        double loss = 0;
        for (int j = 0; j < 2; ++j) {
          const double shift = epsilons[j] / norm;
          const double z = factor * values[j] / kUnit + (side == 1 ? shift : 0);
          loss += epsilons[j] * (std::abs(z) - std::abs(z - shift));
        }
        counts[side] += loss >= 0.9999;
      }
    }
    const double ratio = static_cast<double>(counts[1]) / counts[0];
    const double error = ratio * std::sqrt(1.0 / counts[0] + 1.0 / counts[1]);
    return (ratio - std::exp(1.0)) / error;
  };
  EXPECT_LT(excess(1), 6);
  EXPECT_GT(excess(0.9), 6);
}

}  // namespace
}  // namespace dpkde
