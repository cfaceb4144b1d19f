// Event-ratio tests of whole mechanisms on small instances: for each design and noise and both relations, the worst
// pair of neighbours that a search over records finds, and the event that tells them apart best. Pure noise: the
// probability of {log-likelihood ratio >= t} grows by no more than e^epsilon; Gaussian noise: by no more than delta(0)
// of the declared mu. The control, nine tenths of the noise (or less, where no pair comes near the sensitivity), is
// told apart every time.
//
// Small, since on large vectors the loss concentrates far below epsilon and everything passes. The threshold t is fixed
// on a pilot run with other seeds. Power: both sides draw so often that the control is beyond 6 standard errors.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "dpkde/designs/design_factory.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/privacy/gaussian_calibration.h"
#include "tests/testing/landmarks.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

struct Instance {
  std::string name;
  Similarity similarity;
  Domain domain;
  proto::DesignSpec design;
};

std::vector<Instance> Instances() {
  const Similarity l1 = MakeSimilarity(Spec::L1, 0);
  return {
      {"one_cell", Gaussian(1), Cube(1, -1, 1), SplineGridDesign({1})},
      {"grid", Gaussian(1), Cube(1, -1, 1), SplineGridDesign({4})},
      {"linear_grid", Gaussian(1), Cube(1, -1, 1), SplineGridDesign({2}, 1e-4, 1)},
      {"quadratic_grid", Gaussian(1), Cube(1, -1, 1), SplineGridDesign({1}, 1e-4, 2)},
      {"lattice", Gaussian(2), Cube(1, -1, 1), LatticeDesign(0.4)},
      {"one_pair", Gaussian(1), Cube(1, -3, 3), MonteCarloDesign(1)},
      {"two_pairs", Gaussian(1), Cube(1, -9, 9), MonteCarloDesign(2)},
      {"orthogonal", Gaussian(1), Cube(2, -9, 9), MonteCarloDesign(2, true)},
      {"axis", l1, Cube(1, -1, 1), AxisDesign(1)},
      {"landmark", Gaussian(1), Cube(1, -9, 9), WhitenedLandmarks(Gaussian(1), UniformPoints(1, 1, -1, 1, 5))},
      {"landmarks", Gaussian(1), Cube(1, -9, 9), WhitenedLandmarks(Gaussian(1), UniformPoints(2, 1, -1, 1, 5))},
      {"landmark_l1", l1, Cube(1, -1, 1), WhitenedLandmarks(l1, UniformPoints(1, 1, -1, 1, 5), 1, {0})},
      {"lsq_rff", Gaussian(1), Cube(1, -9, 9), LsqRffDesign(2)},
      {"tree", l1, Cube(1, -1, 1), TreeDesign(proto::TreeSpec::RINGS, 1, 0.5)},
      {"tree_sums", l1, Cube(1, -1, 1), TreeDesign(proto::TreeSpec::SUMS, 1)},
      {"tree_centered", l1, Cube(1, -1, 1), TreeDesign(proto::TreeSpec::CENTERED, 1)},
      {"tree_l2", MakeSimilarity(Spec::L2, 0), Cube(1, -1, 1), Reduced(TreeDesign(proto::TreeSpec::CENTERED, 1), 1)},
      {"lsq_fgt", Gaussian(1), Cube(1, -1, 1), LsqFgtDesign({1}, 2)},
      {"race", Laplacian(1), Cube(1, -9, 9), RaceDesign(1, 2)},
      {"exponential_sum", MakeSimilarity(Spec::CAUCHY, 1), Cube(1, -9, 9), ExponentialSumDesign(1, 0.4)},
      {"race_p_stable", PStable(1), Cube(1, -9, 9), RaceDesign(1, 2)},
      {"race_angular", Angular(1), Cube(1, -9, 9), RaceDesign(1, 2)},
      {"hadamard", Gaussian(2), Cube(64, -1, 1), HadamardDesign(1)},
      {"slice", MakeSimilarity(Spec::L2, 0), Cube(1, -1, 1), SliceDesign(1, 1)},
      {"l2_squared", MakeSimilarity(Spec::L2_SQUARED, 0), Cube(1, -1, 1), MomentsDesign()},
      {"inner_product", MakeSimilarity(Spec::INNER_PRODUCT, 0), Ball(2, 1), MomentsDesign()},
      {"cosine", MakeSimilarity(Spec::COSINE, 0), Cube(2, -1, 1), MomentsDesign()},
  };
}

// Minus the logarithm of the density of the noise at z, from what the mechanism publishes, up to a constant.
class NoiseLaw {
 public:
  NoiseLaw(const Mechanism& mechanism, const std::vector<CoordinateGroup>& groups, Neighboring neighboring)
      : kind_(mechanism.kind()), scales_(mechanism.scales()), groups_(groups), neighboring_(neighboring) {}

  double Loss(const std::vector<double>& z) const {
    if (kind_ == proto::KNORM) return KNormLoss(z);
    double loss = 0;
    for (size_t g = 0; g < groups_.size(); ++g) {
      const double scale = scales_.scale(static_cast<int>(g));
      if (scale == 0) continue;
      for (size_t j = 0; j < groups_[g].count; ++j) {
        const double ratio = At(z, g, j) / scale;
        loss += kind_ == proto::LAPLACE ? std::abs(ratio) : ratio * ratio / 2;
      }
    }
    return loss;
  }

 private:
  double At(const std::vector<double>& z, size_t g, size_t j) const {
    return z[groups_[g].first + j * groups_[g].stride];
  }

  double KNormLoss(const std::vector<double>& z) const {
    std::vector<double> square(scales_.block_epsilon_size()), norm(scales_.block_epsilon_size());
    for (size_t g = 0; g < groups_.size(); ++g) {
      const int block = static_cast<int>(scales_.block(static_cast<int>(g))) - 1;
      if (block < 0) continue;
      const Sensitivity& sensitivity = SensitivityOf(groups_[g], neighboring_);
      double squares = 0, absolutes = 0;
      for (size_t j = 0; j < groups_[g].count; ++j) {
        squares += At(z, g, j) * At(z, g, j);
        absolutes += std::abs(At(z, g, j));
      }
      if (groups_[g].shape == GroupShape::kBall) {
        square[block] += squares / (static_cast<double>(sensitivity.l2) * sensitivity.l2);
        norm[block] = std::sqrt(square[block]);
      } else if (groups_[g].shape == GroupShape::kDisk) {
        norm[block] = std::max(norm[block], std::sqrt(squares) / sensitivity.l2);
      } else {
        norm[block] = std::max(norm[block], absolutes / sensitivity.l1);
      }
    }
    double loss = 0;
    for (size_t b = 0; b < norm.size(); ++b) loss += scales_.block_epsilon(static_cast<int>(b)) * norm[b];
    return loss;
  }

  const proto::Mechanism kind_;
  const proto::NoiseScales scales_;
  const std::vector<CoordinateGroup>& groups_;
  const Neighboring neighboring_;
};

std::vector<double> Minus(std::vector<double> a, const std::vector<double>& b) {
  for (size_t j = 0; j < a.size(); ++j) a[j] -= b[j];
  return a;
}

// Of the differences that a step between neighbours makes, the one of the greatest loss.
std::vector<double> WorstDifference(const Design& design, const NoiseLaw& law, Neighboring neighboring) {
  const bool replace = neighboring == Neighboring::kReplace;
  Points records = UniformPoints(replace ? 300 : 20000, design.dimension(), -9, 9, 1);
  const Points inside = UniformPoints(replace ? 300 : 20000, design.dimension(), -1, 1, 2);
  records.values.insert(records.values.end(), inside.values.begin(), inside.values.end());
  // Exactly at the ends and in the middle.
  for (float value : {-9.0f, -1.0f, 0.0f, 1.0f, 9.0f}) {
    records.values.insert(records.values.end(), design.dimension(), value);
  }
  std::vector<std::vector<double>> added;
  for (size_t r = 0; r < records.rows(); ++r) {
    std::vector<int64_t> q(design.num_coordinates());
    design.Accumulate(records.view().Slice(r, r + 1), absl::MakeSpan(q));
    added.emplace_back(q.begin(), q.end());
  }
  std::vector<double> worst;
  double greatest = -1;
  const auto consider = [&](const std::vector<double>& difference) {
    const double loss = law.Loss(difference);
    if (loss <= greatest) return;
    greatest = loss;
    worst = difference;
  };
  for (const std::vector<double>& a : added) {
    if (!replace) consider(a);
    for (const std::vector<double>& b : added) {
      if (!replace) break;
      consider(Minus(a, b));
    }
  }
  return worst;
}

// Log-likelihood ratios, of `with` against `without` the difference, of draws of either.
struct Ratios {
  std::vector<double> with, without;
};

Ratios Draw(const Mechanism& mechanism, const NoiseLaw& law, const std::vector<double>& difference, int draws,
            uint64_t seed) {
  Ratios ratios;
  SeededBitSource source(seed);
  std::vector<int64_t> values;
  for (const bool with : {true, false}) {
    for (int i = 0; i < draws; ++i) {
      values.assign(difference.size(), 0);
      if (with) {
        for (size_t j = 0; j < values.size(); ++j) values[j] = static_cast<int64_t>(difference[j]);
      }
      mechanism.AddNoise(absl::MakeSpan(values), source);
      const std::vector<double> z(values.begin(), values.end());
      (with ? ratios.with : ratios.without).push_back(law.Loss(z) - law.Loss(Minus(z, difference)));
    }
  }
  return ratios;
}

double Share(const std::vector<double>& ratios, double threshold) {
  return std::count_if(ratios.begin(), ratios.end(), [&](double ratio) { return ratio >= threshold; }) /
         static_cast<double>(ratios.size());
}

// (p1 - factor p0 - slack) in standard errors.
double Excess(const Ratios& ratios, double threshold, double factor, double slack) {
  const double n = static_cast<double>(ratios.with.size());
  const double p1 = Share(ratios.with, threshold), p0 = Share(ratios.without, threshold);
  const double variance = (p1 * (1 - p1) + factor * factor * p0 * (1 - p0)) / n;
  return (p1 - factor * p0 - slack) / std::sqrt(variance + 1e-12);
}

bool HasShape(const Instance& instance) {
  const auto design = CreateDesign(instance.similarity, instance.domain.dimension(), instance.domain, instance.design);
  return std::any_of((*design)->groups().begin(), (*design)->groups().end(),
                     [](const CoordinateGroup& group) { return group.shape != GroupShape::kCross; });
}

struct Case {
  Instance instance;
  proto::Mechanism mechanism;
  Neighboring neighboring;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const Instance& instance : Instances()) {
    for (proto::Mechanism mechanism : {proto::LAPLACE, proto::KNORM, proto::GAUSSIAN}) {
      // Of some nothing but L1 is known, and K-norm noise is Laplace noise.
      if (mechanism == proto::KNORM && !HasShape(instance)) continue;
      for (Neighboring neighboring : {Neighboring::kAddRemove, Neighboring::kReplace}) {
        cases.push_back({instance, mechanism, neighboring});
      }
    }
  }
  return cases;
}

class EventRatioTest : public testing::TestWithParam<Case> {};

TEST_P(EventRatioTest, IsWithinTheGuaranteeAndTheControlIsNot) {
  const Case& test = GetParam();
  const auto design = CreateDesign(test.instance.similarity, test.instance.domain.dimension(), test.instance.domain,
                                   test.instance.design);
  ASSERT_TRUE(design.ok()) << design.status();
  const bool gaussian = test.mechanism == proto::GAUSSIAN;
  // mu = 1, or epsilon = 2.
  constexpr double kEpsilon = 2;
  const auto with_noise = [&](double share) {
    return Mechanism::Calibrate(test.mechanism, (*design)->groups(),
                                gaussian ? *PrivacySpec::Zcdp(0.5 / (share * share), test.neighboring)
                                         : *PrivacySpec::Pure(kEpsilon / share, test.neighboring));
  };
  const auto mechanism = with_noise(1);
  ASSERT_TRUE(mechanism.ok()) << mechanism.status();
  const NoiseLaw law(*mechanism, (*design)->groups(), test.neighboring);
  const std::vector<double> difference = WorstDifference(**design, law, test.neighboring);
  const double loss = gaussian ? std::sqrt(2 * law.Loss(difference)) : law.Loss(difference);
  const double promised = gaussian ? mechanism->guarantee().mu : mechanism->guarantee().epsilon;
  EXPECT_LE(loss, promised * (1 + 1e-12));
  // Some pairs of records cannot differ as much as what bounds them: then the control has that much less noise.
  const auto control = with_noise(0.9 * loss / promised);
  ASSERT_TRUE(control.ok()) << control.status();

  double threshold = 0, factor = 1, slack = 0;
  const int draws = gaussian ? 100000 : difference.size() > 3 ? 400000 : 150000;
  if (gaussian) {
    slack = *GaussianDelta(0, mechanism->guarantee().mu);
  } else {
    factor = std::exp(kEpsilon);
    const Ratios pilot = Draw(*control, law, difference, draws / 2, 3);
    double best = 0;
    for (int step = 10; step < 50; ++step) {
      const double excess = Excess(pilot, step / 50.0 * loss, factor, 0);
      if (excess <= best) continue;
      best = excess;
      threshold = step / 50.0 * loss;
    }
  }
  const double excess = Excess(Draw(*mechanism, law, difference, draws, 1), threshold, factor, slack);
  const double control_excess = Excess(Draw(*control, law, difference, draws, 2), threshold, factor, slack);
  std::printf("%-14s %-8s %-10s %zu coordinates: loss %.4f of %.4f, t = %.2f, excess %.1f, control %.1f\n",
              test.instance.name.c_str(), proto::Mechanism_Name(test.mechanism).c_str(),
              NeighboringName(test.neighboring).c_str(), difference.size(), loss, promised, threshold, excess,
              control_excess);
  EXPECT_LE(excess, 6);
  EXPECT_GT(control_excess, 6);
}

INSTANTIATE_TEST_SUITE_P(All, EventRatioTest, testing::ValuesIn(Cases()), [](const auto& info) {
  return info.param.instance.name + "_" + proto::Mechanism_Name(info.param.mechanism) + "_" +
         NeighboringName(info.param.neighboring);
});

}  // namespace
}  // namespace dpkde
