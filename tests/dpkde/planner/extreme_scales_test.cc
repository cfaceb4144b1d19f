// Whatever the bandwidth, the domain and the parameters: an answer or a sentence, at once. Loops without a bound would
// run into the test's timeout.
#include <cmath>
#include <string>
#include <vector>

#include "dpkde/planner/planner.h"
#include "gtest/gtest.h"
#include "tests/testing/specs.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

constexpr const char* kDesigns[] = {"spline_grid", "lattice", "axis", "slice", "moments", "hadamard", "orthogonal",
                                    "monte_carlo", "lsq_rff", "lsq_fgt", "exponential_sum", "race", "tree",
                                    "tree_sums", "tree_centered"};

// How many of the plans were made; each is finite.
int Plans(const PlanInputs& inputs) {
  const auto plan = Plan(inputs);
  if (!plan.ok()) {
    EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument) << plan.status();
    EXPECT_FALSE(plan.status().message().empty());
    return 0;
  }
  for (const Candidate& candidate : plan->candidates) {
    EXPECT_TRUE(std::isfinite(candidate.total_error()) && std::isfinite(candidate.typical_error()))
        << inputs.similarity.name() << " " << inputs.similarity.bandwidth() << " "
        << candidate.design.ShortDebugString();
  }
  return 1;
}

TEST(ExtremeScalesTest, EveryKernelAndDesignAtEveryBandwidth) {
  int made = 0, refused = 0;
  for (const double bandwidth : {1e-300, 1e-30, 1e-12, 1e-9, 1e-4, 1.0, 1e9, 1e30, 1e300}) {
    std::vector<Similarity> kernels = AllKernels(bandwidth);
    kernels.push_back(PStable(bandwidth));
    for (const Similarity& similarity : kernels) {
      for (const double width : {1e-20, 10.0, 1e20}) {
        for (const char* design : kDesigns) {
          PlanInputs inputs{similarity, 2, Cube(2, -width / 2, width / 2), PureAddRemove(1)};
          inputs.design = design;
          // Enough to see whether they can be drawn.
          if (std::string(design) == "monte_carlo" || std::string(design) == "orthogonal") inputs.features = 64;
          inputs.public_n = 1000;
          (Plans(inputs) > 0 ? made : refused)++;
        }
      }
      PlanInputs unbounded{similarity, 2, absl::nullopt, PureAddRemove(1)};
      unbounded.public_n = 1000;
      (Plans(unbounded) > 0 ? made : refused)++;
    }
  }
  EXPECT_GT(made, 50);
  EXPECT_GT(refused, 1000);
}

TEST(ExtremeScalesTest, DistancesAndProductsInEveryDomain) {
  for (const Similarity& similarity :
       {MakeSimilarity(Spec::L1, 0), MakeSimilarity(Spec::L2, 0), MakeSimilarity(Spec::L2_SQUARED, 0),
        MakeSimilarity(Spec::LP_POWER, 0, 1e-3), MakeSimilarity(Spec::LP_POWER, 0, 2),
        MakeSimilarity(Spec::INNER_PRODUCT, 0), MakeSimilarity(Spec::COSINE, 0), Angular(16)}) {
    for (const double width : {1e-40, 1e-20, 1.0, 1e20, 3e38}) {
      PlanInputs inputs{similarity, 2, Cube(2, -width / 2, width / 2), PureAddRemove(1)};
      inputs.public_n = 1000;
      const int made = Plans(inputs);
      if (width == 1.0) {
        EXPECT_EQ(made, 1) << similarity.name();
      }
    }
  }
}

TEST(ExtremeScalesTest, EveryEpsilonAndParameter) {
  for (const double epsilon : {1e-300, 1e-30, 1e-9, 1.0, 1000.0}) {
    const auto privacy = PrivacySpec::Pure(epsilon, Neighboring::kAddRemove);
    ASSERT_TRUE(privacy.ok()) << privacy.status();
    PlanInputs inputs{Gaussian(1), 2, Cube(2, 0, 10), *privacy};
    inputs.public_n = 1000;
    Plans(inputs);
  }
  for (const double alpha : {1e-300, 1e-6, 1.0, 1e6, 1e300}) {
    proto::SimilaritySpec spec;
    spec.set_kind(Spec::RATIONAL_QUADRATIC);
    spec.set_bandwidth(1);
    spec.set_alpha(alpha);
    const auto similarity = Similarity::Create(spec);
    ASSERT_TRUE(similarity.ok()) << similarity.status();
    for (const char* design : {"spline_grid", "monte_carlo", "exponential_sum"}) {
      PlanInputs inputs{*similarity, 2, Cube(2, 0, 10), PureAddRemove(1)};
      inputs.design = design;
      inputs.public_n = 1000;
      const int made = Plans(inputs);
      if (alpha == 1.0) {
        EXPECT_EQ(made, 1) << design;
      }
      if (alpha < 1e-6 || alpha > 1e6) {
        EXPECT_EQ(made, 0) << alpha;
      }
    }
  }
  for (const double p : {1e-300, 1e-3, 2.0}) {
    proto::SimilaritySpec spec;
    spec.set_kind(Spec::LP_POWER);
    spec.set_p(p);
    PlanInputs inputs{*Similarity::Create(spec), 2, Cube(2, 0, 10), PureAddRemove(1)};
    inputs.public_n = 1000;
    EXPECT_EQ(Plans(inputs), p >= 1e-3) << p;
  }
}

}  // namespace
}  // namespace dpkde
