#include "dpkde/sketch/release.h"

#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "absl/strings/match.h"
#include "dpkde/io/envelope.h"
#include "dpkde/sketch/accumulator.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

proto::ReleasePlan TestPlan(const proto::DesignSpec& design) {
  proto::ReleasePlan plan;
  *plan.mutable_similarity() = Gaussian(1).spec();
  plan.set_dimension(2);
  *plan.mutable_domain() = Cube(2, -2, 2).ToProto();
  *plan.mutable_design() = design;
  plan.set_mechanism(proto::LAPLACE);
  *plan.mutable_privacy() = PureAddRemove(1).ToProto();
  plan.set_capacity(uint64_t{1} << 40);
  plan.add_asserted_public("domain");
  return plan;
}

Release MakeRelease(const proto::ReleasePlan& plan, MatrixView rows, uint64_t seed) {
  ThreadPool pool(1);
  SeededBitSource source(seed);
  Accumulator accumulator = *Accumulator::Create(plan, Accumulator::BadRecords::kFail, pool);
  EXPECT_TRUE(accumulator.Add(rows).ok());
  return *std::move(accumulator).Privatize(source);
}

Release SmallRelease() {
  const Points points = UniformPoints(500, 2, -2, 2, 1);
  return MakeRelease(TestPlan(MonteCarloDesign(5)), points.view(), 1);
}

bool Same(const DensityEstimate& a, const DensityEstimate& b) {
  return a.sum == b.sum && a.std_error == b.std_error && a.ci95_low == b.ci95_low && a.ci95_high == b.ci95_high &&
         a.bias_bound == b.bias_bound && a.mean == b.mean && a.mean_std_error == b.mean_std_error;
}

TEST(ReleaseTest, SurvivesItsBytes) {
  ThreadPool pool(1);
  const Points points = UniformPoints(500, 2, -2, 2, 1), queries = UniformPoints(50, 2, -2, 2, 2);
  for (const proto::DesignSpec& design :
       {LatticeDesign(1e-2), MonteCarloDesign(33), MonteCarloDesign(33, true), SplineGridDesign({5, 4})}) {
    const Release release = MakeRelease(TestPlan(design), points.view(), 1);
    const std::string bytes = release.Serialize();
    const auto copy = Release::Deserialize(bytes);
    ASSERT_TRUE(copy.ok()) << copy.status();
    EXPECT_EQ(copy->Serialize(), bytes);
    EXPECT_EQ(copy->DebugString(), release.DebugString());
    const auto before = *release.Estimate(queries.view(), pool), after = *copy->Estimate(queries.view(), pool);
    for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(Same(before[i], after[i]));
  }
}

// Datasets that differ in their number of records only, behind the same noised count: nothing but the noised values
// differs, not even in length.
// The published mechanisms too, under both relations and noises; those whose authors divide by the exact number of
// records say that this differs.
TEST(ReleaseTest, PublishedMechanismsSurviveTheirBytesAndSayHowTheyDiffer) {
  ThreadPool pool(1);
  const Points points = UniformPoints(500, 2, -2, 2, 1), queries = UniformPoints(50, 2, -2, 2, 2);
  const Similarity l1 = MakeSimilarity(proto::SimilaritySpec::L1, 0);
  const struct {
    Similarity similarity;
    proto::DesignSpec design;
    bool note;
  } cases[] = {{Gaussian(1), LsqRffDesign(33), true},
               {Gaussian(1), LsqFgtDesign({4, 5}, 3), true},
               {Laplacian(1), RaceDesign(9, 32), false},
               {PStable(1), RaceDesign(9, 32), false},
               {Angular(2), RaceDesign(9, 4), false},
               {MakeSimilarity(proto::SimilaritySpec::INVERSE_L1, 1), ExponentialSumDesign(9, 0.1), true},
               {l1, TreeDesign(proto::TreeSpec::RINGS, 5, 0.2), false},
               {l1, TreeDesign(proto::TreeSpec::SUMS, 5), false},
               {l1, TreeDesign(proto::TreeSpec::CENTERED, 5), false},
               {MakeSimilarity(proto::SimilaritySpec::L2, 0), Reduced(TreeDesign(proto::TreeSpec::SUMS, 3), 5), false},
               {Gaussian(1), MonteCarloDesign(33), false}};
  for (const auto& test : cases) {
    for (const Neighboring relation : {Neighboring::kAddRemove, Neighboring::kReplace}) {
      for (const bool pure : {true, false}) {
        proto::ReleasePlan plan = TestPlan(test.design);
        *plan.mutable_similarity() = test.similarity.spec();
        plan.set_mechanism(pure ? proto::LAPLACE : proto::GAUSSIAN);
        *plan.mutable_privacy() =
            (pure ? *PrivacySpec::Pure(1, relation) : *PrivacySpec::Approximate(1, 1e-6, relation)).ToProto();
        const Release release = MakeRelease(plan, points.view(), 1);
        const auto copy = Release::Deserialize(release.Serialize());
        ASSERT_TRUE(copy.ok()) << copy.status();
        const auto before = release.Estimate(queries.view(), pool), after = copy->Estimate(queries.view(), pool);
        ASSERT_TRUE(before.ok()) << before.status();
        for (size_t q = 0; q < queries.rows(); ++q) {
          EXPECT_TRUE(Same((*before)[q], (*after)[q]));
          EXPECT_GT((*before)[q].std_error, 0);
        }
        EXPECT_EQ(!copy->certificate().note().empty(), test.note);
        EXPECT_EQ(absl::StrContains(copy->DebugString(), "exact number of records"), test.note);
      }
    }
  }
}

TEST(ReleaseTest, ThePlanTellsTheNoisedCountAndNothingElse) {
  for (const proto::DesignSpec& design : {MonteCarloDesign(20), SplineGridDesign({5, 4})}) {
    proto::ReleasePlan plan = TestPlan(design);
    plan.mutable_planning_count()->set_epsilon(0.01);
    plan.mutable_planning_count()->set_value(512);
    std::vector<std::string> files, rests;
    for (const size_t n : {400, 700}) {
      const Release release = MakeRelease(plan, UniformPoints(n, 2, -2, 2, 1).view(), 1);
      EXPECT_NEAR(release.certificate().epsilon_spent(), 1.01, 1e-6);
      files.push_back(release.Serialize());
      proto::Release message;
      ASSERT_TRUE(
          message.ParseFromString(std::string(OpenEnvelope("release", Release::kVersion, files.back())->payload)));
      message.clear_values();
      rests.push_back(message.SerializeAsString());
    }
    EXPECT_EQ(rests[0], rests[1]);
    EXPECT_EQ(files[0].size(), files[1].size());
    EXPECT_NE(files[0], files[1]);
  }
}

// Range and convexity: answers are where exact sums are, unaffected where they were there anyhow, and the intervals
// keep what they had there. Off unless asked for.
TEST(ReleaseTest, ProjectionUsesWhatIsKnownOfExactSums) {
  ThreadPool pool(1);
  // All records in a corner; most queries see nothing but noise.
  const Points points = UniformPoints(50, 2, -2, -1.5, 1), queries = UniformPoints(200, 2, -2, 2, 2);
  for (const proto::DesignSpec& design : {LatticeDesign(1e-2), MonteCarloDesign(33), SplineGridDesign({5, 4})}) {
    const Release plain = MakeRelease(TestPlan(design), points.view(), 3);
    Release projected = *Release::Deserialize(plain.Serialize());
    projected.Project();
    const auto before = *plain.Estimate(queries.view(), pool), after = *projected.Estimate(queries.view(), pool);
    const double high = std::max(plain.count().value, 0.0);
    int moved = 0;
    for (size_t q = 0; q < before.size(); ++q) {
      EXPECT_EQ(after[q].sum, std::min(std::max(before[q].sum, 0.0), high));
      EXPECT_EQ(after[q].std_error, before[q].std_error);
      EXPECT_GE(after[q].ci95_low, 0);
      EXPECT_EQ(after[q].ci95_low > 0, before[q].ci95_low > 0);
      EXPECT_LE(after[q].ci95_low, after[q].ci95_high);
      EXPECT_LE(after[q].ci95_high, std::max(before[q].ci95_high, 0.0));
      moved += before[q].sum < 0;
    }
    EXPECT_GT(moved, 20);
    EXPECT_EQ(projected.Serialize(), plain.Serialize());
  }
}

// Sums of |x - y|^p are convex on each axis: over 30 releases the projection never makes the error of one much larger,
// and the mean square error smaller. p < 1 is not convex.
TEST(ReleaseTest, ProjectionMakesTablesConvex) {
  ThreadPool pool(1);
  const Points points = UniformPoints(100, 2, -2, 2, 1);
  Points line;
  line.columns = 2;
  for (int i = 0; i <= 400; ++i) line.values.insert(line.values.end(), {-2 + i / 100.0f, 0.5f});
  for (double p : {1.0, 1.5, 0.5}) {
    const Similarity similarity = MakeSimilarity(proto::SimilaritySpec::LP_POWER, 0, p);
    std::vector<double> exact(line.rows());
    similarity.Sum(points.view(), line.view(), pool, absl::MakeSpan(exact));
    double square_before = 0, square_after = 0;
    for (uint64_t seed = 1; seed <= 30; ++seed) {
      proto::ReleasePlan plan = TestPlan(AxisDesign(31));
      *plan.mutable_similarity() = similarity.spec();
      plan.set_mechanism(proto::KNORM);
      const Release plain = MakeRelease(plan, points.view(), seed);
      Release projected = *Release::Deserialize(plain.Serialize());
      projected.Project();
      const auto before = *plain.Estimate(line.view(), pool), after = *projected.Estimate(line.view(), pool);
      bool convex = true;
      for (size_t q = 1; q + 1 < after.size(); ++q) {
        convex &= after[q - 1].sum - 2 * after[q].sum + after[q + 1].sum > -1e-3;
      }
      EXPECT_EQ(convex, p >= 1) << p << " " << seed;
      for (size_t q = 0; q < after.size(); ++q) {
        square_before += std::pow(before[q].sum - exact[q], 2);
        square_after += std::pow(after[q].sum - exact[q], 2);
      }
    }
    std::printf("p = %.1f: rmse %.3f, projected %.3f\n", p, std::sqrt(square_before / 30 / line.rows()),
                std::sqrt(square_after / 30 / line.rows()));
    EXPECT_LE(square_after, square_before * (1 + 1e-9));
    if (p >= 1) {
      EXPECT_LT(square_after, 0.995 * square_before);
    }
  }
}

// Nothing is drawn at query time: the same question has the same answer for ever, in any batch and on any thread.
TEST(ReleaseTest, EqualQueriesGetEqualAnswers) {
  const Points points = UniformPoints(500, 2, -2, 2, 1), queries = UniformPoints(301, 2, -2, 2, 2);
  ThreadPool one(1), three(3);
  for (const proto::DesignSpec& design : {LatticeDesign(1e-2), MonteCarloDesign(33), SplineGridDesign({5, 4})}) {
    const Release release = MakeRelease(TestPlan(design), points.view(), 1);
    const auto all = *release.Estimate(queries.view(), three);
    for (int round = 0; round < 3; ++round) {
      for (size_t i = 0; i < queries.rows(); ++i) {
        EXPECT_TRUE(Same((*release.Estimate(queries.view().Slice(i, i + 1), one))[0], all[i]));
      }
    }
  }
}

TEST(ReleaseTest, EverySingleBitFlipAndEveryTruncationIsNoticed) {
  const std::string bytes = SmallRelease().Serialize();
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(Release::Deserialize(bytes.substr(0, i)).ok()) << i;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[i] ^= 1 << bit;
      EXPECT_FALSE(Release::Deserialize(flipped).ok()) << i << " " << bit;
    }
  }
  EXPECT_FALSE(Release::Deserialize(bytes + '\0').ok());
}

// Behind a valid checksum: a payload that was damaged before it was sealed. Errors or a release, never a crash and
// never a large allocation (run under ASan).
TEST(ReleaseTest, ForgedPayloadsAreRefusedOrRead) {
  google::protobuf::SetLogHandler(nullptr);  // it complains of each on stderr
  const std::string bytes = SmallRelease().Serialize();
  const std::string payload(OpenEnvelope("release", Release::kVersion, bytes)->payload);
  int read = 0;
  for (size_t i = 0; i < payload.size(); ++i) {
    for (int change : {1, 0x40, 0xff}) {
      std::string forged = payload;
      forged[i] ^= change;
      read += Release::Deserialize(SealEnvelope("release", Release::kVersion, forged)).ok();
    }
    EXPECT_FALSE(Release::Deserialize(SealEnvelope("release", Release::kVersion, payload.substr(0, i))).ok());
  }
  // Changes of the noised values and of free text pass; many others do not.
  EXPECT_GT(read, 0);
  EXPECT_LT(read, static_cast<int>(2 * payload.size()));
}

TEST(ReleaseTest, OtherVersionsAndKindsAreRefusedByName) {
  const auto newer = Release::Deserialize(SealEnvelope("release", Release::kVersion + 1, "")).status();
  EXPECT_EQ(newer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(newer.message(), "is of version 3; this program reads")) << newer;
  EXPECT_EQ(Release::Deserialize(SealEnvelope("index", 1, "")).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Release::Deserialize("not ours at all").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Release::Deserialize("").status().code(), absl::StatusCode::kDataLoss);
}

// A file that claims more privacy than its noise gives is not believed.
TEST(ReleaseTest, CertificatesAreCheckedAgainstTheNoise) {
  const std::string bytes = SmallRelease().Serialize();
  proto::Release message;
  const absl::string_view payload = OpenEnvelope("release", Release::kVersion, bytes)->payload;
  ASSERT_TRUE(message.ParseFromArray(payload.data(), payload.size()));
  const auto status_of = [](const proto::Release& changed) {
    return Release::Deserialize(SealEnvelope("release", Release::kVersion, changed.SerializeAsString())).status();
  };
  EXPECT_TRUE(status_of(message).ok());
  proto::Release changed = message;
  changed.mutable_certificate()->set_epsilon_spent(0.5);
  EXPECT_EQ(status_of(changed).code(), absl::StatusCode::kDataLoss);
  changed = message;
  changed.mutable_plan()->mutable_privacy()->set_epsilon(0.5);
  EXPECT_EQ(status_of(changed).code(), absl::StatusCode::kDataLoss);
  changed = message;
  changed.mutable_scales()->set_scale(0, changed.scales().scale(0) * 9 / 10);
  EXPECT_EQ(status_of(changed).code(), absl::StatusCode::kDataLoss);
  changed = message;
  changed.mutable_plan()->mutable_design()->mutable_monte_carlo()->set_public_seed(99);
  EXPECT_EQ(status_of(changed).code(), absl::StatusCode::kFailedPrecondition);
  changed = message;
  changed.add_values(0);
  EXPECT_EQ(status_of(changed).code(), absl::StatusCode::kDataLoss);
}

TEST(ReleaseTest, CertifiesWhatWasConsumed) {
  const Points points = UniformPoints(500, 2, -2, 2, 1);
  proto::ReleasePlan plan = TestPlan(SplineGridDesign({5, 4}));
  plan.mutable_planning_count()->set_epsilon(0.25);
  plan.mutable_planning_count()->set_value(480);
  const Release release = MakeRelease(plan, points.view(), 1);
  EXPECT_EQ(release.certificate().delta_spent(), 0);
  EXPECT_GE(release.certificate().epsilon_spent(), 0.25 + release.mechanism().guarantee().epsilon);
  EXPECT_LE(release.certificate().epsilon_spent(), 1.25 + 1e-12);
  EXPECT_EQ(release.certificate().l1_sensitivity(), 2u << 20);  // a record and the count
  EXPECT_TRUE(absl::StrContains(release.DebugString(), "planning count    480 at epsilon 0.25"));
}

// Every released coordinate is an integer by its type; and whatever the data, every integer is reachable: two
// neighbours' releases differ by noise of full support, so no value tells them apart for certain.
TEST(ReleaseTest, NeighboursReachTheSameValues) {
  const Points points = UniformPoints(3, 2, -2, 2, 1);
  proto::ReleasePlan plan = TestPlan(SplineGridDesign({1, 1}));
  plan.mutable_privacy()->set_epsilon(100);
  bool parity[2][2] = {{false, false}, {false, false}};
  for (uint64_t seed = 0; seed < 60; ++seed) {
    for (size_t rows : {2, 3}) {
      const std::string bytes = MakeRelease(plan, points.view().Slice(0, rows), seed).Serialize();
      proto::Release message;
      const absl::string_view payload = OpenEnvelope("release", Release::kVersion, bytes)->payload;
      ASSERT_TRUE(message.ParseFromArray(payload.data(), payload.size()));
      parity[rows - 2][message.values(0) & 1] = true;
    }
  }
  for (const auto& of_dataset : parity) {
    EXPECT_TRUE(of_dataset[0]);
    EXPECT_TRUE(of_dataset[1]);
  }
}

// No raw sum and no record in the bytes: canaries are searched for. The control: a release whose noise is negligible
// would hold the sums nearly bare, and the search finds an exact sum when there is one.
TEST(ReleaseTest, HoldsNoRecordsAndNoRawSums) {
  std::vector<float> canary;
  for (int i = 0; i < 61; ++i) canary.insert(canary.end(), {1.2345678f, -0.87654321f});
  for (const proto::DesignSpec& design : {LatticeDesign(1e-2), MonteCarloDesign(33), SplineGridDesign({5, 4})}) {
    ThreadPool pool(1);
    const proto::ReleasePlan plan = TestPlan(design);
    const std::string bytes = MakeRelease(plan, {canary.data(), 61, 2}, 1).Serialize();
    const auto holds = [&](const auto& value) {
      return absl::StrContains(bytes, absl::string_view(reinterpret_cast<const char*>(&value), sizeof(value)));
    };
    EXPECT_FALSE(holds(canary[0]));
    EXPECT_FALSE(holds(canary[1]));
    EXPECT_FALSE(holds(double{canary[0]}));
    EXPECT_FALSE(holds(uint64_t{61}));       // the row count
    EXPECT_FALSE(holds(int64_t{61} << 20));  // in grid units
    EXPECT_TRUE(holds(double{-2}));          // the domain, which is public: the search works
  }
}

TEST(ReleaseTest, QueriesAreCheckedByRowAndColumn) {
  ThreadPool pool(1);
  const Points points = UniformPoints(100, 2, -2, 2, 1);
  const Release lattice = MakeRelease(TestPlan(LatticeDesign(1e-2)), points.view(), 1);
  const Release grid = MakeRelease(TestPlan(SplineGridDesign({5, 4})), points.view(), 1);
  std::vector<float> queries = {0, 0, 1, 1, 3, 0};
  const auto outside = lattice.Estimate({queries.data(), 3, 2}, pool).status();
  EXPECT_EQ(outside.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(outside.message(), "row 2")) << outside;
  EXPECT_TRUE(grid.Estimate({queries.data(), 3, 2}, pool).ok());  // extended
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    queries[3] = bad;
    const auto status = grid.Estimate({queries.data(), 3, 2}, pool).status();
    EXPECT_TRUE(absl::StrContains(status.message(), "row 1, column 1")) << status;
  }
  EXPECT_FALSE(grid.Estimate({queries.data(), 2, 3}, pool).ok());
  EXPECT_TRUE(grid.Estimate({nullptr, 0, 2}, pool)->empty());
}

TEST(ReleaseTest, MeansFollowTheCount) {
  ThreadPool pool(1);
  const Points points = UniformPoints(20000, 2, -2, 2, 1);
  const std::vector<float> query = {0.3f, 0.1f};
  proto::ReleasePlan plan = TestPlan(SplineGridDesign({5, 4}));
  const Release many = MakeRelease(plan, points.view(), 3);
  EXPECT_NEAR(many.count().value, 20000, 6 * many.count().std_error);
  const DensityEstimate estimate = (*many.Estimate({query.data(), 1, 2}, pool))[0];
  EXPECT_DOUBLE_EQ(*estimate.mean, estimate.sum / many.count().value);
  EXPECT_GT(*estimate.mean_std_error, 0);
  // Without records the noised count says nothing about a mean.
  int nulls = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Release none = MakeRelease(plan, {nullptr, 0, 2}, seed);
    const DensityEstimate empty = (*none.Estimate({query.data(), 1, 2}, pool))[0];
    EXPECT_EQ(empty.mean.has_value(), none.count().value > 2);
    nulls += !empty.mean_std_error.has_value();
  }
  EXPECT_GE(nulls, 18);
  // Under REPLACE the count is public and exact.
  *plan.mutable_privacy() = PrivacySpec::Pure(1, Neighboring::kReplace)->ToProto();
  const Release replace = MakeRelease(plan, points.view(), 3);
  EXPECT_EQ(replace.count().value, 20000);
  EXPECT_EQ(replace.count().std_error, 0);
}

}  // namespace
}  // namespace dpkde
