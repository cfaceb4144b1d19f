#include "dpkde/planner/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "dpkde/designs/design_factory.h"
#include "dpkde/designs/fourier_design.h"
#include "tests/testing/specs.h"

namespace dpkde {
namespace {

PlanInputs ZipCodeInputs(PrivacySpec privacy) {
  PlanInputs inputs{Gaussian(1), 2, ZipCodeDomain(), privacy};
  inputs.public_n = 42000;
  inputs.expected_similarity = 0.01;
  return inputs;
}

TEST(PlannerTest, ChoosesTheSplineGridForALocalKernelInThePlane) {
  const auto plan = Plan(ZipCodeInputs(PureAddRemove(1)));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(DesignName(plan->candidates[0].design), "spline_grid");
  EXPECT_LT(plan->candidates[0].typical_error(), 4);
}

TEST(PlannerTest, ChoosesFrequenciesInManyDimensions) {
  PlanInputs inputs{Gaussian(4), 16, Cube(16, 0, 15), PureAddRemove(1)};
  inputs.public_n = 20000;
  const auto plan = Plan(inputs);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(DesignName(plan->candidates[0].design), "orthogonal");
  EXPECT_EQ(plan->exclusions.size(), 7u);  // landmark, grid, lattice, axis, slice, moments, hadamard
}

TEST(PlannerTest, ChoosesStructuredFrequenciesFromSixtyFourDimensions) {
  PlanInputs inputs{Gaussian(4), 64, Cube(64, 0, 1), ApproximateAddRemove(1, 1e-6)};
  inputs.public_n = 20000;
  const auto plan = Plan(inputs);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(DesignName(plan->candidates[0].design), "hadamard");
  EXPECT_EQ(plan->candidates[0].design.monte_carlo().features(), 65536u);
}

// Gaussian noise does not grow with the number of features; what they cost a query does.
TEST(PlannerTest, TakesManyFeaturesOnlyWhereTheyAreWorthIt) {
  PlanInputs inputs{Gaussian(4), 16, Cube(16, 0, 15), ApproximateAddRemove(10, 1e-6)};
  inputs.public_n = 20000;
  inputs.expected_similarity = 0.05;
  const auto features = [&] { return Plan(inputs)->candidates[0].design.monte_carlo().features(); };
  EXPECT_EQ(features(), 65536u);
  // Noise as large as the approximation of a few thousand.
  inputs.privacy = ApproximateAddRemove(0.05, 1e-6);
  EXPECT_LE(features(), 8192u);
  EXPECT_GE(features(), 2048u);
  // With pure budgets noise grows.
  inputs.privacy = PureAddRemove(1);
  EXPECT_LE(features(), 4096u);
  // Directions of 1,000 dimensions take memory without structure: one number each with it.
  inputs.privacy = ApproximateAddRemove(10, 1e-6);
  inputs.dimension = 1000;
  inputs.domain = Cube(1000, 0, 1);
  inputs.design = "orthogonal";
  EXPECT_EQ(features(), 4096u);
  inputs.design = "hadamard";
  EXPECT_EQ(features(), 65536u);
}

// Wider cells of lower degree where noise is large, cubics where it is small.
TEST(PlannerTest, ChoosesTheDegreeOfSplines) {
  PlanInputs inputs = ZipCodeInputs(PureAddRemove(0.05));
  EXPECT_EQ(Plan(inputs)->candidates[0].design.spline_grid().degree(), 1u);
  inputs.privacy = PureAddRemove(0.2);
  EXPECT_EQ(Plan(inputs)->candidates[0].design.spline_grid().degree(), 2u);
  inputs.privacy = PureAddRemove(5);
  EXPECT_EQ(Plan(inputs)->candidates[0].design.spline_grid().degree(), 0u);
}

// Pure noise on the moments of few records is worth a map to fewer dimensions, that of many is not.
TEST(PlannerTest, OffersAReductionWhereItHelps) {
  PlanInputs inputs{MakeSimilarity(proto::SimilaritySpec::L2_SQUARED, 0), 1000, Cube(1000, 0, 1), PureAddRemove(1)};
  inputs.public_n = 50;
  auto plan = Plan(inputs);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->candidates[0].design.has_reduction());
  inputs.public_n = 1e5;
  EXPECT_FALSE(Plan(inputs)->candidates[0].design.has_reduction());
  // Asked for, it is in every candidate and in its error.
  inputs.reduce_to = 100;
  plan = Plan(inputs);
  for (const Candidate& candidate : plan->candidates) {
    EXPECT_EQ(candidate.design.reduction().dimension(), 100u);
    EXPECT_GE(candidate.approximation_error, 0.999 * 1e5 * std::sqrt(2.0 / 100) * 1000 / 3);
  }
  inputs.similarity = MakeSimilarity(proto::SimilaritySpec::L1, 0);
  EXPECT_FALSE(Plan(inputs).ok());
}

TEST(PlannerTest, ChoosesByWhatTheSimilarityIs) {
  PlanInputs l1{MakeSimilarity(proto::SimilaritySpec::L1, 0), 1, Cube(1, 0, 1), PureAddRemove(1)};
  l1.public_n = 1e5;
  auto plan = Plan(l1);
  EXPECT_EQ(DesignName(plan->candidates[0].design), "axis");
  EXPECT_TRUE(plan->candidates[0].mechanism == proto::KNORM);
  EXPECT_LT(plan->candidates[0].total_error(), 3.2);
  EXPECT_TRUE(plan->assumptions.empty());  // a distance has no expected similarity
  PlanInputs squared{MakeSimilarity(proto::SimilaritySpec::L2_SQUARED, 0), 10, Cube(10, 0, 1), PureAddRemove(1)};
  plan = Plan(squared);
  EXPECT_EQ(DesignName(plan->candidates[0].design), "moments");
  EXPECT_TRUE(plan->candidates[0].mechanism == proto::KNORM);
}

// With Gaussian noise the error of l2 does not grow with the dimension but for the radius: 8.8 sigma R.
TEST(PlannerTest, ChoosesSlicesForEuclideanDistances) {
  for (size_t d : {1, 3, 4096}) {
    const double side = 2 / std::sqrt(static_cast<double>(d));  // radius 1
    PlanInputs inputs{MakeSimilarity(proto::SimilaritySpec::L2, 0), d, Cube(d, 0, side), ApproximateAddRemove(1, 1e-6)};
    inputs.public_n = 1000;
    const auto plan = Plan(inputs);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(DesignName(plan->candidates[0].design), "slice");
    EXPECT_LT(plan->candidates[0].noise_error, 4.3 * 8.9) << d;
    if (d > 20) {
      EXPECT_GT(plan->candidates[0].noise_error, 4.2 * 8) << d;
    }
    EXPECT_LT(plan->candidates[0].typical_approximation_error, 10) << d;
  }
}

TEST(PlannerTest, SortsByTypicalErrorUpToOnePercent) {
  const auto plan = Plan(ZipCodeInputs(ApproximateAddRemove(1, 1e-6)));
  for (size_t i = 2; i < plan->candidates.size(); ++i) {
    EXPECT_LE(plan->candidates[i - 1].typical_error(), plan->candidates[i].typical_error());
  }
  EXPECT_LE(plan->candidates[0].typical_error(), 1.01 * plan->candidates[1].typical_error());
  for (const Candidate& candidate : plan->candidates) {
    EXPECT_DOUBLE_EQ(candidate.total_error(), std::hypot(candidate.noise_error, candidate.approximation_error));
    EXPECT_LE(candidate.typical_error(), candidate.total_error());
  }
}

// A noise that cannot be calibrated leaves the others: here the discrete Gaussian is too far from the continuous one.
TEST(PlannerTest, ANoiseThatCannotBeDoesNotCostTheDesign) {
  const auto plan = Plan(ZipCodeInputs(ApproximateAddRemove(1, 1e-200)));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto pure = Plan(ZipCodeInputs(PureAddRemove(1)));
  EXPECT_EQ(plan->candidates.size(), pure->candidates.size());
  EXPECT_EQ(DescribeDesign(plan->candidates[0].design), DescribeDesign(pure->candidates[0].design));
  const auto& exclusions = plan->exclusions;
  EXPECT_EQ(std::count_if(exclusions.begin(), exclusions.end(),
                          [](const std::string& text) {
                            return text.find("with gaussian noise: delta must be at least 1000 times") !=
                                   std::string::npos;
                          }),
            4)  // grid, lattice, orthogonal, monte_carlo
      << exclusions.size();
}

// More budget never plans a larger error: of the best candidate not at all, and of the chosen one by no more than what
// the choice of fewer coordinates may cost.
TEST(PlannerTest, ErrorsFallWithEpsilon) {
  std::vector<PlanInputs> all;
  all.push_back({MakeSimilarity(proto::SimilaritySpec::L2, 0), 16, Cube(16, 0, 15), ApproximateAddRemove(1, 1e-6)});
  all.push_back({Gaussian(4), 64, Cube(64, 0, 1), ApproximateAddRemove(1, 1e-6)});
  for (PlanInputs& inputs : all) {
    inputs.public_n = 20000;
    double last = std::numeric_limits<double>::infinity(), last_chosen = last;
    for (double epsilon : {2.0, 5.0, 10.0, 20.0}) {
      inputs.privacy = ApproximateAddRemove(epsilon, 1e-6);
      const auto plan = Plan(inputs);
      ASSERT_TRUE(plan.ok()) << plan.status();
      double best = std::numeric_limits<double>::infinity();
      for (const Candidate& candidate : plan->candidates) best = std::min(best, candidate.typical_error());
      const double chosen = plan->candidates[0].typical_error();
      EXPECT_LE(best, last) << inputs.similarity.name() << " " << epsilon;
      EXPECT_LE(chosen, 1.01 * last_chosen) << inputs.similarity.name() << " " << epsilon;
      last = best, last_chosen = chosen;
      if (epsilon >= 10) {
        EXPECT_EQ(plan->candidates[0].mechanism, proto::GAUSSIAN) << inputs.similarity.name() << " " << epsilon;
      }
    }
  }
}

TEST(PlannerTest, RestrictionsHold) {
  PlanInputs inputs = ZipCodeInputs(ApproximateAddRemove(1, 1e-6));
  inputs.design = "lattice";
  inputs.mechanism = proto::GAUSSIAN;
  auto plan = Plan(inputs);
  for (const Candidate& candidate : plan->candidates) {
    EXPECT_EQ(DesignName(candidate.design), "lattice");
    EXPECT_TRUE(candidate.mechanism == proto::GAUSSIAN);
  }
  inputs.design = "monte_carlo";
  inputs.features = 777;
  plan = Plan(inputs);
  ASSERT_EQ(plan->candidates.size(), 1u);
  EXPECT_EQ(plan->candidates[0].design.monte_carlo().features(), 777u);
  EXPECT_EQ(plan->candidates[0].num_coordinates, 2 * 777u + 1);
}

TEST(PlannerTest, SaysWhyNothingIsAdmissible) {
  PlanInputs inputs{Laplacian(1), 3, absl::nullopt, PureAddRemove(1)};
  inputs.public_n = 1000;
  const auto status = Plan(inputs).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* reason :
       {"spline_grid: needs a domain", "lattice: the lattice design needs a domain", "monte_carlo:"}) {
    EXPECT_NE(std::string(status.message()).find(reason), std::string::npos) << status;
  }
}

TEST(PlannerTest, SaysWhatItAssumed) {
  PlanInputs inputs = ZipCodeInputs(PureAddRemove(1));
  EXPECT_TRUE(Plan(inputs)->assumptions.empty());
  inputs.expected_similarity = absl::nullopt;
  const auto plan = Plan(inputs);
  ASSERT_EQ(plan->assumptions.size(), 1u);
  EXPECT_NE(plan->assumptions[0].find("a mean similarity of 0.03"), std::string::npos) << plan->assumptions[0];
  // Predicted is the worst case; but the choice is not made for it: it is nearly as good as with the hint.
  const PlanResult hinted = *Plan(ZipCodeInputs(PureAddRemove(1)));
  EXPECT_GT(plan->candidates[0].total_error(), 2 * hinted.candidates[0].total_error());
  for (const Candidate& candidate : hinted.candidates) {
    if (DescribeDesign(candidate.design) != DescribeDesign(plan->candidates[0].design)) continue;
    EXPECT_LE(candidate.typical_error(), 1.1 * hinted.candidates[0].typical_error());
  }
}

TEST(PlannerTest, MoreDataMeansFinerApproximation) {
  PlanInputs inputs = ZipCodeInputs(PureAddRemove(1));
  inputs.design = "spline_grid";
  size_t previous = 0;
  for (double n : {1e2, 1e4, 1e6, 1e8}) {
    inputs.public_n = n;
    const size_t values = Plan(inputs)->candidates[0].num_coordinates;
    EXPECT_GE(values, previous);
    previous = values;
  }
}

TEST(PlannerTest, WarnsWhereTooFewRecordsMatter) {
  PlanInputs inputs = ZipCodeInputs(PureAddRemove(1));
  EXPECT_TRUE(Plan(inputs)->warnings.empty());
  inputs.expected_similarity = 1e-5;  // less than one record to an answer
  ASSERT_EQ(Plan(inputs)->warnings.size(), 1u);
  EXPECT_NE(Plan(inputs)->warnings[0].find("about 0.42 records,"), std::string::npos) << Plan(inputs)->warnings[0];
  // Without a hint: 42,000 records spread evenly have 2 pi h^2 / (120 * 57) of them near a query, 38.6 at 1 degree (a
  // little less at the edges) and 0.39 at a tenth of it.
  inputs.expected_similarity = absl::nullopt;
  EXPECT_TRUE(Plan(inputs)->warnings.empty());
  inputs.similarity = Gaussian(0.1);
  ASSERT_EQ(Plan(inputs)->warnings.size(), 1u);
  EXPECT_NE(Plan(inputs)->warnings[0].find("0.385 records if they were spread evenly"), std::string::npos)
      << Plan(inputs)->warnings[0];
}

// What is suggested reaches the target, and hardly anything less does.
TEST(SuggestTest, FeaturesForATargetError) {
  for (const absl::optional<double>& s :
       {absl::optional<double>(), absl::make_optional(0.3), absl::make_optional(1e-4)}) {
    for (double target : {3.0, 40.0, 1e6}) {
      const auto features = SuggestFeatures(1000, s, target);
      ASSERT_TRUE(features.ok()) << features.status();
      EXPECT_LE(MonteCarloApproximationError(1000, s.value_or(1), *features), target);
      if (*features > 1) {
        EXPECT_GT(MonteCarloApproximationError(1000, s.value_or(1), *features - 1.0), target);
      }
    }
  }
  EXPECT_EQ(*SuggestFeatures(1000, absl::nullopt, 10), 5000u);
  for (double bad : {0.0, -1.0, std::nan(""), 1e-9}) EXPECT_FALSE(SuggestFeatures(1000, 0.5, bad).ok());
  for (double bad : {0.0, 1.0, -1.0, std::nan("")}) EXPECT_FALSE(SuggestFeatures(1000, bad, 10).ok());
  EXPECT_FALSE(SuggestFeatures(0, absl::nullopt, 10).ok());
}

TEST(SuggestTest, HarmonicsForATargetError) {
  const Domain domain = *Domain::Box({0, -2}, {1, 3});
  for (double target : {1.0, 20.0, 200.0}) {
    const auto harmonics = SuggestHarmonics(1000, domain, target);
    ASSERT_TRUE(harmonics.ok()) << harmonics.status();
    const auto error = [&](uint32_t highest) {
      proto::DesignSpec spec;
      spec.mutable_axis()->set_harmonics(highest);
      return (*CreateDesign(MakeSimilarity(proto::SimilaritySpec::L1, 0), 2, domain, spec))
          ->PredictedApproximationError(1000, 1);
    };
    EXPECT_LE(error(*harmonics), target);
    if (*harmonics > 4) {
      EXPECT_GT(error(*harmonics - 4), target);
    }
  }
  EXPECT_FALSE(SuggestHarmonics(1e12, domain, 1).ok());
  EXPECT_FALSE(SuggestHarmonics(1000, domain, 0).ok());
}

TEST(PlannerTest, RefusesHintsThatAreNone) {
  PlanInputs inputs = ZipCodeInputs(PureAddRemove(1));
  for (double bad : {0.0, -1.0, 1.5, std::nan("")}) {
    inputs.expected_similarity = bad;
    EXPECT_FALSE(Plan(inputs).ok());
  }
  inputs = ZipCodeInputs(PureAddRemove(1));
  inputs.public_n = std::nan("");
  EXPECT_FALSE(Plan(inputs).ok());
}

// Equal public inputs give byte-equal plans: there is nothing else for them to depend on.
TEST(PlannerTest, IsAFunctionOfItsInputs) {
  const PlanInputs inputs = ZipCodeInputs(PureAddRemove(1));
  const std::string once = MakeReleasePlan(inputs, Plan(inputs)->candidates[0]).SerializeAsString();
  EXPECT_EQ(once, MakeReleasePlan(inputs, Plan(inputs)->candidates[0]).SerializeAsString());
}

// Published mechanisms are there for whoever asks for them, and for nobody else.
TEST(PlannerTest, PublishedMechanismsOnlyIfAskedFor) {
  PlanInputs l1{MakeSimilarity(proto::SimilaritySpec::L1, 0), 1, Cube(1, 0, 1), PureAddRemove(1)};
  PlanInputs kernel{Gaussian(1), 2, Cube(2, -3, 3), PureAddRemove(1)};
  l1.public_n = kernel.public_n = 1e5;
  const auto count = [](const PlanInputs& inputs, const std::string& name) {
    const auto plan = Plan(inputs);
    EXPECT_TRUE(plan.ok()) << plan.status();
    size_t found = 0;
    for (const Candidate& candidate : plan->candidates) found += DesignName(candidate.design) == name;
    return found;
  };
  for (const char* name : {"tree", "tree_sums", "tree_centered"}) {
    EXPECT_EQ(count(l1, name), 0u);
    PlanInputs asked = l1;
    asked.design = name;
    EXPECT_GT(count(asked, name), 0u);
  }
  // Of l2: with so many projections as are asked for, or several to choose from.
  PlanInputs l2{MakeSimilarity(proto::SimilaritySpec::L2, 0), 3, Cube(3, 0, 1), PureAddRemove(1)};
  l2.public_n = 1e5;
  EXPECT_EQ(count(l2, "tree_sums"), 0u);
  l2.design = "tree_sums";
  EXPECT_GT(count(l2, "tree_sums"), 30u);
  l2.reduce_to = 7;
  EXPECT_EQ(Plan(l2)->candidates[0].design.reduction().dimension(), 7u);
  // Behind a reduction.
  PlanInputs reduced = kernel;
  reduced.dimension = 9;
  reduced.domain = Cube(9, -3, 3);
  reduced.reduce_to = 2;
  for (const char* name : {"lsq_rff", "lsq_fgt"}) {
    reduced.design = name;
    EXPECT_GT(count(reduced, name), 0u);
    EXPECT_EQ(Plan(reduced)->candidates[0].design.reduction().dimension(), 2u);
  }
  reduced.design = "race";
  reduced.similarity = Laplacian(1);
  EXPECT_FALSE(Plan(reduced).ok());
  for (const char* name : {"lsq_rff", "lsq_fgt", "race", "exponential_sum"}) {
    PlanInputs asked = kernel;
    if (name == std::string("race")) asked.similarity = Laplacian(1);
    if (name == std::string("exponential_sum")) asked.similarity = MakeSimilarity(proto::SimilaritySpec::CAUCHY, 1);
    EXPECT_EQ(count(asked, name), 0u);
    asked.design = name;
    EXPECT_GT(count(asked, name), 0u);
  }
  // But angles have no other design.
  PlanInputs angles{Angular(3), 7, absl::nullopt, PureAddRemove(1)};
  angles.public_n = 1e5;
  angles.expected_similarity = 0.2;
  EXPECT_EQ(Plan(angles)->candidates[0].design.race().buckets(), 8u);
  EXPECT_EQ(count(angles, "race"), Plan(angles)->candidates.size());
  angles.similarity = PStable(3);
  angles.domain = Cube(7, -1, 1);
  EXPECT_GT(count(angles, "race"), 0u);
  EXPECT_LT(count(angles, "race"), Plan(angles)->candidates.size());
  kernel.design = "lsq_rff";
  kernel.features = 100;
  EXPECT_EQ(Plan(kernel)->candidates[0].design.lsq_rff().features(), 100u);
}

}  // namespace
}  // namespace dpkde
