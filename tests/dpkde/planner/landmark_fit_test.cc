#include "dpkde/planner/landmark_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "dpkde/designs/design_factory.h"
#include "dpkde/planner/planner.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

absl::StatusOr<LandmarkFit> Fit(const Similarity& similarity, const Points& reference,
                                const absl::optional<Domain>& domain = absl::nullopt,
                                const LandmarkFitOptions& options = {}) {
  ThreadPool pool(2);
  return LandmarkFit::Create(similarity, domain, reference.view(), options, pool);
}

std::string Error(const Similarity& similarity, const Points& reference,
                  const absl::optional<Domain>& domain = absl::nullopt) {
  return std::string(Fit(similarity, reference, domain).status().message());
}

// Without noise, the error of sums over 10,000 letters that the fit has not seen is what was predicted, at every rank:
// up to a factor of 1.4, too low, or 3, too high: a few hundred reference points cannot tell a small bias from none.
TEST(LandmarkFitTest, PredictsTheApproximationError) {
  const Points letters = Shuffled(LoadPoints("tests/testdata/letter.npy"), 1);
  const auto part = [&](size_t begin, size_t end) {
    return Points{{letters.values.begin() + begin * 16, letters.values.begin() + end * 16}, 16};
  };
  const Points records = part(0, 10000), queries = part(15000, 15200);
  ThreadPool pool;
  for (const Similarity& similarity : {Gaussian(4), Laplacian(20), MakeSimilarity(Spec::L1, 0)}) {
    // Once with folds, once with points to spare.
    for (size_t reference : {500, 900}) {
      LandmarkFitOptions options;
      options.most_landmarks = 500;
      const auto fit = Fit(similarity, part(16000, 16000 + reference), Cube(16, 0, 15), options);
      ASSERT_TRUE(fit.ok()) << fit.status();
      std::vector<double> exact(200);
      similarity.Sum(records.view(), queries.view(), pool, absl::MakeSpan(exact));
      for (size_t i = 6; i < fit->ranks().size(); i += 11) {
        proto::DesignSpec spec;
        *spec.mutable_landmark() = fit->Complete(fit->outline(i));
        const auto design = CreateDesign(similarity, 16, Cube(16, 0, 15), spec);
        ASSERT_TRUE(design.ok()) << design.status();
        std::vector<int64_t> sums((*design)->num_coordinates());
        (*design)->Accumulate(records.view(), absl::MakeSpan(sums));
        std::vector<Answer> answers(200);
        (*design)
            ->MakeReleasedFunction(sums, std::vector<double>((*design)->groups().size()))
            ->Evaluate(queries.view(), absl::MakeSpan(answers));
        double square = 0, unlike = 0;
        for (size_t q = 0; q < 200; ++q) {
          square += std::pow(answers[q].sum - exact[q], 2) / 200;
          unlike += answers[q].is_unlike_plan;
        }
        const double predicted = (*design)->PredictedApproximationError(10000, 1);
        EXPECT_LT(std::sqrt(square), 1.4 * predicted) << similarity.name() << " rank " << fit->ranks()[i];
        EXPECT_GT(std::sqrt(square), predicted / 3) << similarity.name() << " rank " << fit->ranks()[i];
        EXPECT_EQ(unlike, 0);
      }
    }
  }
}

TEST(LandmarkFitTest, MoreLandmarksHelpAndRanksFall) {
  const Points letters = Shuffled(LoadPoints("tests/testdata/letter.npy"), 2);
  const Points reference{{letters.values.begin(), letters.values.begin() + 1500 * 16}, 16};
  double before = std::numeric_limits<double>::infinity();
  for (size_t most : {50, 200, 800}) {
    LandmarkFitOptions options;
    options.most_landmarks = most;
    const auto fit = Fit(Gaussian(4), reference, absl::nullopt, options);
    ASSERT_TRUE(fit.ok()) << fit.status();
    for (size_t i = 1; i < fit->ranks().size(); ++i) {
      EXPECT_LE(fit->outline(i).mean_square_bias(), fit->outline(i - 1).mean_square_bias());
    }
    const double last = fit->outline(fit->ranks().size() - 1).residual_mean();
    EXPECT_LT(last, before);
    before = last;
  }
}

// A rare kind of points, 1 in 50, which most uniform choices of 20 landmarks miss: the others find it.
TEST(LandmarkFitTest, LeverageAndCentroidsReachRarePoints) {
  Points reference = UniformPoints(980, 2, -1, 1, 5);
  const Points rare = UniformPoints(20, 2, 9, 10, 6);
  reference.values.insert(reference.values.end(), rare.values.begin(), rare.values.end());
  const auto missed = [&](LandmarkChoice choice) {
    double sum = 0;
    for (uint64_t seed = 0; seed < 8; ++seed) {
      LandmarkFitOptions options;
      options.most_landmarks = 20;
      options.choice = choice;
      options.public_seed = seed;
      const auto fit = Fit(Gaussian(1), reference, absl::nullopt, options);
      EXPECT_TRUE(fit.ok()) << fit.status();
      sum += fit->outline(fit->ranks().size() - 1).residual_mean();
    }
    return sum;
  };
  const double uniform = missed(LandmarkChoice::kUniform);
  EXPECT_LT(missed(LandmarkChoice::kLeverage), 0.5 * uniform);
  EXPECT_LT(missed(LandmarkChoice::kKMeans), 0.9 * uniform);
}

// The caution is about the reference's size, not the data: estimates from parts of it scatter by about what it says.
TEST(LandmarkFitTest, CautionIsTheScatterOfTheEstimate) {
  const Points letters = Shuffled(LoadPoints("tests/testdata/letter.npy"), 2);
  constexpr size_t kParts = 12, kRows = 160;
  constexpr size_t kIndex = 7;
  constexpr double kMany = 1e9;  // records: only the bias counts
  std::vector<double> estimates;
  double caution = 0;
  for (size_t part = 0; part < kParts; ++part) {
    const auto begin = letters.values.begin() + part * kRows * 16;
    LandmarkFitOptions options;
    options.most_landmarks = 60;
    options.choice = LandmarkChoice::kUniform;
    const auto fit = Fit(Gaussian(4), {{begin, begin + kRows * 16}, 16}, absl::nullopt, options);
    ASSERT_TRUE(fit.ok()) << fit.status();
    const double expected = fit->outline(kIndex).mean_square_bias();
    estimates.push_back(expected);
    caution += (std::pow(fit->CautiousError(kIndex, kMany) / kMany, 2) - expected) / kParts;
  }
  double mean = 0, square = 0;
  for (double estimate : estimates) mean += estimate / kParts;
  for (double estimate : estimates) square += std::pow(estimate - mean, 2) / (kParts - 1);
  EXPECT_GT(caution, 0.4 * std::sqrt(square));
  EXPECT_LT(caution, 2 * std::sqrt(square));
}

TEST(LandmarkFitTest, IsAFunctionOfReferenceAndSeed) {
  const Points reference = UniformPoints(60, 3, -1, 1, 5);
  const auto bytes = [&](uint64_t seed) {
    LandmarkFitOptions options;
    options.most_landmarks = 30;
    options.public_seed = seed;
    const auto fit = Fit(Gaussian(1), reference, absl::nullopt, options);
    return fit->Complete(fit->outline(3)).SerializeAsString();
  };
  EXPECT_EQ(bytes(1), bytes(1));
  EXPECT_NE(bytes(1), bytes(2));
}

TEST(LandmarkFitTest, ChoosesTheRadiusOfDistances) {
  const Points reference = UniformPoints(100, 2, -1, 1, 5);
  const auto wide = Fit(MakeSimilarity(Spec::L1, 0), reference, Cube(2, -50, 50));
  EXPECT_GT(wide->outline(0).radius(), 1.8);
  EXPECT_LT(wide->outline(0).radius(), 3);  // the reference's own extent
  const auto narrow = Fit(MakeSimilarity(Spec::L1, 0), reference, Cube(2, -0.5, 0.5));
  EXPECT_LT(narrow->outline(0).radius(), 1.3);  // the domain's
}

TEST(LandmarkFitTest, RefusesAReferenceThatCannotServe) {
  EXPECT_EQ(Error(Gaussian(1), UniformPoints(15, 2, 0, 1, 1)),
            "the reference must have at least 16 points, but has 15");
  EXPECT_EQ(Error(Gaussian(1), UniformPoints(20, 2, 0, 1, 1), Cube(3, 0, 1)),
            "the reference must have 3 columns, as the domain has, but has 2");
  EXPECT_EQ(Error(MakeSimilarity(Spec::L2_SQUARED, 0), UniformPoints(20, 2, 0, 1, 1)),
            "l2_squared is neither a kernel nor a distance that landmarks serve");
  EXPECT_EQ(Error(Angular(1), UniformPoints(20, 2, 0, 1, 1)),
            "angular is neither a kernel nor a distance that landmarks serve");
  Points bad = UniformPoints(20, 2, 0, 1, 1);
  bad.values[13] = std::nanf("");
  EXPECT_EQ(Error(Gaussian(1), bad), "the reference: row 6, column 1 (counting from 0): must be finite, but is nan");
  const Points equal{std::vector<float>(40, 0.5f), 2};
  EXPECT_EQ(Error(MakeSimilarity(Spec::L1, 0), equal), "the points of the reference must not all be equal");
  EXPECT_TRUE(Fit(Gaussian(1), equal).ok());  // one direction is all there is
}

TEST(LandmarkPlanTest, LandmarksWinWhereThereAreMany) {
  const Points letters = Shuffled(LoadPoints("tests/testdata/letter.npy"), 1);
  const Points reference{{letters.values.begin(), letters.values.begin() + 600 * 16}, 16};
  PlanInputs inputs{Gaussian(4), 16, Cube(16, 0, 15), PureAddRemove(1)};
  inputs.public_n = 19000;
  const auto without = Plan(inputs);
  inputs.landmarks = std::make_shared<const LandmarkFit>(*Fit(Gaussian(4), reference, Cube(16, 0, 15)));
  const auto with = Plan(inputs);
  EXPECT_EQ(DesignName(with->candidates[0].design), "landmark");
  EXPECT_LT(with->candidates[0].total_error(), without->candidates[0].total_error() / 5);
  EXPECT_TRUE(with->assumptions.empty());  // the reference tells the mean similarity
  const proto::ReleasePlan plan = MakeReleasePlan(inputs, with->candidates[0]);
  EXPECT_EQ(plan.design().landmark().points_size(), 600 * 16);
}

}  // namespace
}  // namespace dpkde
