#include "dpkde/classifier/class_accumulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "dpkde/base/thread_pool.h"
#include "dpkde/classifier/classifier_planner.h"
#include "dpkde/classifier/second_moment.h"
#include "dpkde/designs/design.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"
#include "tests/testing/raw_sums.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {

class ClassifierTestPeer {
 public:
  static const proto::ClassifierRelease& Message(const Classifier& classifier) { return classifier.message_; }
};

namespace {

using Plan = proto::ClassifierPlan;
using BadRecords = ClassAccumulator::BadRecords;

constexpr auto kAddRemove = Neighboring::kAddRemove;
constexpr auto kReplace = Neighboring::kReplace;

Plan MakePlan(const PrivacySpec& privacy, proto::ClassifierPlan_Model model = proto::ClassifierPlan_Model_DISCRIMINANT,
              size_t d = 4, std::vector<std::string> labels = {"a", "b", "c"}) {
  ThreadPool pool(1);
  ClassifierInputs inputs{d, *Domain::Box(std::vector<double>(d, -1.0), std::vector<double>(d, 1.0)), false,
                          std::move(labels), privacy};
  inputs.public_n = 1000;
  inputs.model = model;
  if (model == proto::ClassifierPlan_Model_KERNEL) {
    inputs.kernel = KernelInputs{Gaussian(0.4)};
    inputs.kernel->design = "orthogonal";
    inputs.kernel->features = 20;
  }
  const auto choice = PlanClassifier(inputs, pool);
  EXPECT_TRUE(choice.ok()) << choice.status();
  Plan plan = choice->plan;
  // The coordinates, whose sums are easy to predict; for Fourier features see ClassifierPlannerTest.
  if (model == proto::ClassifierPlan_Model_MOMENTS) plan.mutable_features()->mutable_linear();
  return plan;
}

PrivacySpec Pure(double epsilon, Neighboring neighboring = kAddRemove) {
  return *PrivacySpec::Pure(epsilon, neighboring);
}

// Class c around (c - 1) / 2 on every axis.
struct Blobs {
  Points points;
  std::vector<uint32_t> classes;
};
Blobs MakeBlobs(size_t rows, size_t d, uint64_t seed) {
  Blobs blobs{UniformPoints(rows, d, -0.4, 0.4, seed), {}};
  for (size_t r = 0; r < rows; ++r) {
    blobs.classes.push_back(r % 3);
    for (size_t i = 0; i < d; ++i) blobs.points.values[r * d + i] += (static_cast<float>(r % 3) - 1) / 2;
  }
  return blobs;
}

ClassAccumulator MakeAccumulator(const Plan& plan, ThreadPool& pool, BadRecords bad = BadRecords::kFail) {
  auto accumulator = ClassAccumulator::Create(plan, bad, pool);
  EXPECT_TRUE(accumulator.ok()) << accumulator.status();
  return *std::move(accumulator);
}

Classifier Release(const Plan& plan, const Blobs& blobs, uint64_t seed) {
  ThreadPool pool(2);
  ClassAccumulator accumulator = MakeAccumulator(plan, pool);
  EXPECT_TRUE(accumulator.Add(blobs.points.view(), blobs.classes).ok());
  SeededBitSource noise(seed);
  auto classifier = std::move(accumulator).Privatize(noise);
  EXPECT_TRUE(classifier.ok()) << classifier.status();
  return *std::move(classifier);
}

double Accuracy(const Classifier& classifier, const Blobs& queries) {
  ThreadPool pool(2);
  const auto predictions = *classifier.Classify(queries.points.view(), pool);
  double right = 0;
  for (size_t q = 0; q < predictions.size(); ++q) right += predictions[q].label == queries.classes[q];
  return right / predictions.size();
}

bool Holds(const CoordinateGroup& group, size_t coordinate) {
  return coordinate >= group.first && (coordinate - group.first) % group.stride == 0 &&
         (coordinate - group.first) / group.stride < group.count;
}

// A discriminant of 40 Fourier features whose covariance is that of normal points.
Plan MakeNormalPlan(const PrivacySpec& privacy, size_t d = 4, std::vector<std::string> labels = {"a", "b", "c"}) {
  Plan plan = MakePlan(privacy, proto::ClassifierPlan_Model_MOMENTS, d, std::move(labels));
  plan.set_model(proto::ClassifierPlan_Model_DISCRIMINANT);
  plan.set_covariance(proto::ClassifierPlan_Covariance_OF_NORMAL_POINTS);
  plan.set_second_moment_share(0.2);
  plan.mutable_features()->mutable_fourier()->set_frequencies(20);
  plan.mutable_features()->mutable_fourier()->set_bandwidth(0.5);
  return plan;
}

// Of every kind of sums.
std::vector<Plan> MakePlans(const PrivacySpec& privacy) {
  return {MakePlan(privacy, proto::ClassifierPlan_Model_KERNEL), MakePlan(privacy, proto::ClassifierPlan_Model_MOMENTS),
          MakePlan(privacy, proto::ClassifierPlan_Model_DISCRIMINANT), MakeNormalPlan(privacy)};
}

TEST(ClassAccumulatorTest, OneRecordChangesOneViewWithinItsSensitivities) {
  ThreadPool pool(1);
  for (const Plan& plan : MakePlans(Pure(1))) {
    const auto parts = BuildClassifierPlan(plan);
    ASSERT_TRUE(parts.ok());
    const size_t m = parts->class_size() - 1;
    Blobs blobs = MakeBlobs(200, 4, 3);
    for (float value : {0.0f, 1.0f, -1.0f, 1e30f}) {
      blobs.points.values.insert(blobs.points.values.end(), 4, value);
      blobs.classes.push_back(2);
    }
    ClassAccumulator accumulator = MakeAccumulator(plan, pool);
    std::vector<int64_t> before = RawSumsTestPeer::Total(accumulator);
    std::vector<double> largest(parts->groups.size(), 0);
    for (size_t r = 0; r < blobs.classes.size(); ++r) {
      ASSERT_TRUE(accumulator.Add(blobs.points.view().Slice(r, r + 1), {&blobs.classes[r], 1}).ok());
      const std::vector<int64_t> after = RawSumsTestPeer::Total(accumulator);
      std::vector<double> l1(parts->groups.size(), 0), l2(parts->groups.size(), 0);
      for (size_t j = 0; j < after.size(); ++j) {
        const double change = static_cast<double>(after[j] - before[j]);
        const bool second = j >= 3 * (m + 1);
        if (!second && j / (m + 1) != blobs.classes[r]) {
          ASSERT_EQ(change, 0) << "another class changed";
          continue;
        }
        const size_t coordinate = second             ? m + (j - 3 * (m + 1))
                                  : j % (m + 1) == m ? parts->view_size() - 1
                                                     : j % (m + 1);
        size_t group = 0;
        while (!Holds(parts->groups[group], coordinate)) ++group;
        l1[group] += std::abs(change);
        l2[group] += change * change;
      }
      for (size_t g = 0; g < parts->groups.size(); ++g) {
        EXPECT_LE(l1[g], parts->groups[g].add_remove.l1);
        EXPECT_LE(std::sqrt(l2[g]), parts->groups[g].add_remove.l2);
        largest[g] = std::max(largest[g], std::sqrt(l2[g]));
      }
      before = after;
    }
    EXPECT_GE(largest.front(), 0.9 * parts->groups.front().add_remove.l2);
    EXPECT_GE(largest.back(), parts->groups.back().add_remove.l2);
    if (parts->has_second_moment()) {
      EXPECT_GE(largest[1], 0.8 * parts->groups[1].add_remove.l2);
    }
  }
}

TEST(ClassAccumulatorTest, OrderBatchesThreadsAndShardsDoNotMatter) {
  const Blobs blobs = MakeBlobs(1500, 4, 5);
  ThreadPool one(1), two(2);
  for (const Plan& plan : MakePlans(Pure(1))) {
    ClassAccumulator whole = MakeAccumulator(plan, two), left = MakeAccumulator(plan, one),
                     right = MakeAccumulator(plan, one);
    ASSERT_TRUE(whole.Add(blobs.points.view(), blobs.classes).ok());
    ASSERT_TRUE(left.Add(blobs.points.view().Slice(701, 1500), absl::MakeConstSpan(blobs.classes).subspan(701)).ok());
    for (size_t r = 701; r-- > 0;) {
      ASSERT_TRUE(right.Add(blobs.points.view().Slice(r, r + 1), {&blobs.classes[r], 1}).ok());
    }
    ASSERT_TRUE(left.Merge(std::move(right)).ok());
    EXPECT_EQ(RawSumsTestPeer::Total(left), RawSumsTestPeer::Total(whole)) << plan.ShortDebugString();
  }
}

TEST(ClassAccumulatorTest, ClassifiesWellAtALargeEpsilonAndNotAtASmallOne) {
  const Blobs blobs = MakeBlobs(3000, 4, 11), queries = MakeBlobs(600, 4, 12);
  for (const Plan& plan : MakePlans(Pure(10))) {
    EXPECT_GE(Accuracy(Release(plan, blobs, 1), queries), 0.9) << plan.ShortDebugString();
  }
  for (const Plan& plan : MakePlans(Pure(1e-4))) {
    // Noise of about 10^5 records.
    double sum = 0;
    for (int seed = 0; seed < 5; ++seed) sum += Accuracy(Release(plan, blobs, seed), queries) / 5;
    EXPECT_LE(sum, 0.75) << plan.ShortDebugString();
  }
}

// Empty classes are not predicted; but where the noise of counts is as large as the classes (1,000 records, a standard
// error of 236), none is left out, which would cost a third of the answers.
TEST(ClassAccumulatorTest, LeavesOutEmptyClassesOnly) {
  const Blobs blobs = MakeBlobs(3000, 4, 11), queries = MakeBlobs(600, 4, 12);
  const std::vector<std::string> labels = {"a", "b", "c", "none", "nobody"};
  for (const auto model : {proto::ClassifierPlan_Model_KERNEL, proto::ClassifierPlan_Model_MOMENTS}) {
    EXPECT_GE(Accuracy(Release(MakePlan(Pure(5), model, 4, labels), blobs, 1), queries), 0.9) << model;
  }
  for (int seed = 0; seed < 5; ++seed) {
    const Plan plan = MakePlan(Pure(0.3), proto::ClassifierPlan_Model_MOMENTS);
    EXPECT_GE(Accuracy(Release(plan, blobs, seed), queries), 0.75) << seed;
  }
}

TEST(ClassAccumulatorTest, EmptyClassAndEmptyDatasetGetNoiseLikeAnyOther) {
  for (const Plan& plan : MakePlans(Pure(1))) {
    const Classifier classifier = Release(plan, Blobs{Points{{}, 4}, {}}, 3);
    const auto& message = ClassifierTestPeer::Message(classifier);
    ASSERT_EQ(message.class_sums_size(), 3);
    for (const auto& sums : message.class_sums()) {
      for (int64_t value : sums.values()) EXPECT_NE(value, 0);
    }
    for (int64_t value : message.second_moment()) EXPECT_NE(value, 0);
    ThreadPool pool(1);
    const std::vector<float> query(4, 0.5f);
    const auto predictions = classifier.Classify({query.data(), 1, 4}, pool);
    ASSERT_TRUE(predictions.ok());
    for (double score : (*predictions)[0].scores) EXPECT_TRUE(std::isfinite(score));
  }
}

TEST(ClassAccumulatorTest, ReplaceIsTwoStepsAtHalfOfEpsilon) {
  const Blobs blobs = MakeBlobs(300, 4, 2);
  const std::vector<Plan> halves = MakePlans(Pure(0.5, kAddRemove)), wholes = MakePlans(Pure(1, kReplace)),
                          approximate = MakePlans(*PrivacySpec::Approximate(1, 1e-6, kReplace)),
                          concentrated = MakePlans(*PrivacySpec::Zcdp(0.1, kReplace));
  for (size_t i = 0; i < halves.size(); ++i) {
    const Classifier add_remove = Release(halves[i], blobs, 1);
    const Classifier replace = Release(wholes[i], blobs, 1);
    // The same noise to the bit: scales are those of epsilon 1/2.
    EXPECT_EQ(ClassifierTestPeer::Message(add_remove).scales().SerializeAsString(),
              ClassifierTestPeer::Message(replace).scales().SerializeAsString());
    EXPECT_EQ(replace.certificate().l1_sensitivity(), 2 * add_remove.certificate().l1_sensitivity());
    EXPECT_LE(replace.certificate().epsilon_spent(), 1);
    EXPECT_GE(replace.certificate().epsilon_spent(), 1 - 1e-6);
    EXPECT_NE(replace.DebugString().find("may change its class"), std::string::npos);
    EXPECT_NE(add_remove.DebugString().find("parallel"), std::string::npos);

    const Classifier gaussian = Release(approximate[i], blobs, 1);
    EXPECT_LE(gaussian.certificate().delta_spent(), 1e-6);
    EXPECT_GE(gaussian.certificate().delta_spent(), gaussian.plan().mechanism() == proto::GAUSSIAN ? 0.9e-6 : 0);
    const Classifier rho = Release(concentrated[i], blobs, 1);
    EXPECT_LE(rho.certificate().rho_spent(), 0.1 * (1 + 1e-12));
    EXPECT_GE(rho.certificate().rho_spent(), 0.0999);
  }
}

TEST(ClassAccumulatorTest, RefusesBadRecordsClassesAndSecondReleases) {
  ThreadPool pool(1);
  ClassAccumulator accumulator = MakeAccumulator(MakePlan(Pure(1)), pool);
  std::vector<float> row = {0, std::nanf(""), 0, 0};
  std::vector<uint32_t> classes = {1};
  EXPECT_EQ(accumulator.Add({row.data(), 1, 4}, classes).message(),
            "row 0, column 1 (counting from 0): must be finite, but is nan");
  row[1] = 0;
  classes[0] = 3;
  EXPECT_EQ(accumulator.Add({row.data(), 1, 4}, classes).message(),
            "class of row 0 (counting from 0): must be below 3");
  EXPECT_FALSE(accumulator.Add({row.data(), 1, 4}, {}).ok());
  EXPECT_FALSE(accumulator.Add({row.data(), 1, 3}, {classes.data(), 1}).ok());
  for (int64_t value : RawSumsTestPeer::Total(accumulator)) EXPECT_EQ(value, 0);

  ClassAccumulator other = MakeAccumulator(MakePlan(Pure(2)), pool);
  EXPECT_EQ(accumulator.Merge(std::move(other)).code(), absl::StatusCode::kInvalidArgument);

  SeededBitSource noise(1);
  ASSERT_TRUE(std::move(accumulator).Privatize(noise).ok());
  EXPECT_EQ(std::move(accumulator).Privatize(noise).status().code(), absl::StatusCode::kFailedPrecondition);
  classes[0] = 0;
  EXPECT_EQ(accumulator.Add({row.data(), 1, 4}, classes).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ClassAccumulatorTest, ReplacedBadRecordCountsAtTheCenter) {
  ThreadPool pool(1);
  const Plan plan = MakePlan(Pure(1), proto::ClassifierPlan_Model_MOMENTS);
  ClassAccumulator accumulator = MakeAccumulator(plan, pool, BadRecords::kReplace);
  const std::vector<float> row = {0, std::nanf(""), 1, 1};
  const std::vector<uint32_t> classes = {1};
  ASSERT_TRUE(accumulator.Add({row.data(), 1, 4}, classes).ok());
  const std::vector<int64_t> total = RawSumsTestPeer::Total(accumulator);
  for (size_t j = 0; j < total.size(); ++j) EXPECT_EQ(total[j], j == 9 ? kGridUnit : 0) << j;
}

// Event-ratio tests of pure epsilon = 1. Noise is Laplace in one dimension. Under ADD_REMOVE, no record against one of
// class a: the event {sum >= 1 and count >= 1} has the largest ratio, e: probability 1/4 with the record and 1/4 e^-1
// without. Under REPLACE, a record of class b against the same in class a: that, and {sum <= 0 and count <= 0} of class
// b, 1/16 and 1/16 e^-1. 20,000 a side see an excess of .032 and .017 (5 sigma); noise for epsilon = 1.25 has .055, for
// epsilon = 2 .039.
double ExcessOfEvent(double epsilon, Neighboring neighboring, proto::ClassifierPlan_Model model) {
  constexpr int kTrials = 20000;
  const bool replace = neighboring == kReplace;
  ThreadPool pool(1);
  Plan plan = MakePlan(Pure(epsilon, neighboring), model, 1, {"a", "b"});
  if (model == proto::ClassifierPlan_Model_KERNEL) {
    // One coordinate, x itself.
    *plan.mutable_kernel()->mutable_similarity() = MakeSimilarity(proto::SimilaritySpec::INNER_PRODUCT, 0).spec();
    *plan.mutable_kernel()->mutable_design() = MomentsDesign();
    plan.set_mechanism(proto::LAPLACE);
  }
  SeededBitSource noise(17);
  const std::vector<float> row = {1.0f};  // z = 1 after scaling and moving into the ball
  double share[2];
  for (int with : {0, 1}) {
    const std::vector<uint32_t> classes = {with == 1 ? 0u : 1u};
    int hits = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      ClassAccumulator accumulator = MakeAccumulator(plan, pool);
      if (with == 1 || replace) {
        EXPECT_TRUE(accumulator.Add({row.data(), 1, 1}, classes).ok());
      }
      const auto classifier = std::move(accumulator).Privatize(noise);
      const auto& message = ClassifierTestPeer::Message(*classifier);
      const auto &a = message.class_sums(0).values(), &b = message.class_sums(1).values();
      const bool gained = a[0] >= kGridUnit * (1 - 2e-6) && a[1] >= kGridUnit;
      hits += gained && (!replace || (b[0] <= 0 && b[1] <= 0));
    }
    share[with] = static_cast<double>(hits) / kTrials;
  }
  return share[1] - std::exp(1.0) * share[0];
}

TEST(ClassAccumulatorTest, EventRatioIsWithinEpsilonAndOfWeakerNoiseIsNot) {
  for (const auto model : {proto::ClassifierPlan_Model_MOMENTS, proto::ClassifierPlan_Model_KERNEL}) {
    const double add_remove = ExcessOfEvent(1, kAddRemove, model), replace = ExcessOfEvent(1, kReplace, model);
    EXPECT_LE(add_remove, 0.032);
    EXPECT_GE(add_remove, -0.032) << "the event is not the worst one";
    EXPECT_GT(ExcessOfEvent(1.25, kAddRemove, model), 0.032) << "the control must fail";
    EXPECT_LE(replace, 0.017);
    EXPECT_GE(replace, -0.017) << "the event is not the worst one";
    EXPECT_GT(ExcessOfEvent(2, kReplace, model), 0.017) << "the control must fail";
  }
}

TEST(ClassifierTest, RoundTripAndDamage) {
  const Blobs blobs = MakeBlobs(300, 4, 2), queries = MakeBlobs(50, 4, 9);
  for (const Plan& plan : MakePlans(Pure(1))) {
    const Classifier classifier = Release(plan, blobs, 1);
    const std::string bytes = classifier.Serialize();
    EXPECT_TRUE(Classifier::IsClassifier(bytes));
    const auto loaded = Classifier::Deserialize(bytes);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->Serialize(), bytes);
    ThreadPool pool(1);
    const auto a = *classifier.Classify(queries.points.view(), pool),
               b = *loaded->Classify(queries.points.view(), pool);
    for (size_t q = 0; q < a.size(); ++q) EXPECT_EQ(a[q].scores, b[q].scores);
    for (size_t size = 0; size < bytes.size(); size += 1 + size / 50) {
      EXPECT_FALSE(Classifier::Deserialize(bytes.substr(0, size)).ok()) << size;
    }
  }
}

// A file of the first version of the format, as it was released.
TEST(ClassifierTest, ReadsVersionOne) {
  const auto bytes = ReadFile("tests/testdata/classifier_v1", 1 << 20);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto classifier = Classifier::Deserialize(*bytes);
  ASSERT_TRUE(classifier.ok()) << classifier.status();
  EXPECT_EQ(classifier->plan().model(), proto::ClassifierPlan_Model_DISCRIMINANT);
  EXPECT_NEAR(classifier->certificate().epsilon_spent(), 1, 1e-6);
  const std::vector<float> queries = {-0.5f, -0.5f, 0.5f, -0.5f, 0, 0.5f, 0.1f, 0.1f};
  ThreadPool pool(1);
  const auto predictions = classifier->Classify({queries.data(), 4, 2}, pool);
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  const size_t labels[] = {0, 1, 2, 2};
  for (size_t q = 0; q < 4; ++q) EXPECT_EQ((*predictions)[q].label, labels[q]) << q;
  const auto& message = ClassifierTestPeer::Message(*classifier);
  ASSERT_EQ(message.class_sums_size(), 3);
  EXPECT_EQ(message.second_moment_size(), 3);
  EXPECT_EQ(classifier->Serialize(), *bytes);
}

TEST(ClassifierTest, ReadsVersionOneWithTheCovarianceOfPoints) {
  const auto bytes = ReadFile("tests/testdata/classifier_points_v1", 1 << 20);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto classifier = Classifier::Deserialize(*bytes);
  ASSERT_TRUE(classifier.ok()) << classifier.status();
  EXPECT_EQ(classifier->plan().covariance(), proto::ClassifierPlan_Covariance_OF_NORMAL_POINTS);
  const std::vector<float> queries = {-0.5f, -0.5f, 0.5f, -0.5f, 0, 0.5f};
  ThreadPool pool(1);
  const auto predictions = classifier->Classify({queries.data(), 3, 2}, pool);
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  for (size_t q = 0; q < 3; ++q) EXPECT_EQ((*predictions)[q].label, q);
  // As they were on the day of the release, but for the last bits of float32 and LAPACK.
  EXPECT_NEAR((*predictions)[0].scores[0], 15.16223604, 1e-4);
  EXPECT_EQ(classifier->Serialize(), *bytes);
}

// Well-formed envelopes whose content does not hold together.
TEST(ClassifierTest, LoadingIsBuilding) {
  const Classifier classifier = Release(MakePlan(Pure(1)), MakeBlobs(300, 4, 2), 1);
  const auto refused = [&](const auto& change) {
    proto::ClassifierRelease message = ClassifierTestPeer::Message(classifier);
    change(message);
    const auto status =
        Classifier::Deserialize(SealEnvelope("classify", Classifier::kVersion, message.SerializeAsString())).status();
    return status.code() == absl::StatusCode::kDataLoss;
  };
  using Message = proto::ClassifierRelease;
  EXPECT_FALSE(refused([](Message&) {}));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_class_sums()->RemoveLast(); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_class_sums(1)->add_values(0); }));
  EXPECT_TRUE(refused([](Message& m) { m.add_second_moment(0); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->set_label(1, "a"); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->mutable_privacy()->set_epsilon(0.5); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_certificate()->set_epsilon_spent(0.9); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->set_second_moment_share(1); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_scales()->Clear(); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->clear_model(); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->clear_domain(); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->mutable_kernel(); }));
  // Its second moment would be of (z, 1), but linear features have their own.
  EXPECT_TRUE(
      refused([](Message& m) { m.mutable_plan()->set_covariance(proto::ClassifierPlan_Covariance_OF_NORMAL_POINTS); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->set_covariance(static_cast<Plan::Covariance>(9)); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->add_reference(0); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->mutable_features()->mutable_homogeneous(); }));
  EXPECT_EQ(Classifier::Deserialize(SealEnvelope("classify", Classifier::kVersion + 1, "")).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// A discriminant of Fourier features with the covariance of public points, those of `blobs` but for their classes.
Plan MakeReferencePlan(const PrivacySpec& privacy, const Blobs& blobs) {
  Plan plan = MakeNormalPlan(privacy, blobs.points.columns);
  plan.set_covariance(proto::ClassifierPlan_Covariance_OF_REFERENCE);
  plan.set_second_moment_share(0);
  for (float value : blobs.points.values) plan.add_reference(value);
  return plan;
}

TEST(ClassifierTest, ReferenceOfACovarianceIsChecked) {
  const Blobs reference = MakeBlobs(100, 4, 5);
  const Plan good = MakeReferencePlan(Pure(1), reference);
  const auto refused = [&](const auto& change) {
    Plan plan = good;
    change(plan);
    return std::string(BuildClassifierPlan(plan).status().message());
  };
  EXPECT_EQ(refused([](Plan&) {}), "");
  EXPECT_EQ(refused([](Plan& p) { p.add_reference(0); }), "reference points do not fit the dimension");
  EXPECT_EQ(refused([](Plan& p) { p.clear_reference(); }),
            "number of reference points must be at least 16 and at most 1536, but is 0");
  EXPECT_THAT(refused([](Plan& p) { p.set_reference(7, std::nanf("")); }), testing::HasSubstr("row 1"));
  EXPECT_EQ(refused([](Plan& p) { p.set_second_moment_share(0.1); }), "second moment share must be 0, but is 0.1");
  EXPECT_EQ(refused([](Plan& p) { p.set_model(proto::ClassifierPlan_Model_MOMENTS); }),
            "the covariance of points is for discriminants of fourier features");
  const Classifier classifier = Release(good, MakeBlobs(300, 4, 2), 1);
  EXPECT_EQ(classifier.Outline().plan().reference_size(), 0);
  EXPECT_THAT(classifier.DebugString(), testing::HasSubstr("of 100 public points, in the clear"));
  EXPECT_EQ(Classifier::Deserialize(classifier.Serialize())->Serialize(), classifier.Serialize());
}

// Two classes that differ in the first coordinate, by less than both coordinates scatter together: only their
// difference tells the classes. Nearest means do not see that; a covariance does, of points as of records, public or
// released.
TEST(ClassifierTest, CovarianceOfPointsTellsDirectionsApart) {
  const auto make = [](size_t rows, uint64_t seed) {
    const Points scatter = UniformPoints(rows, 3, -1, 1, seed);
    Blobs blobs{Points{{}, 2}, {}};
    for (size_t r = 0; r < rows; ++r) {
      const auto row = scatter.view().row(r);
      blobs.classes.push_back(r % 2);
      blobs.points.values.push_back(0.5f * row[0] + 0.07f * row[1] + (r % 2 == 0 ? -0.1f : 0.1f));
      blobs.points.values.push_back(0.5f * row[0] + 0.07f * row[2]);
    }
    return blobs;
  };
  const Blobs blobs = make(2000, 1), queries = make(1000, 2), reference = make(400, 3);
  const std::vector<std::string> labels = {"a", "b"};
  const PrivacySpec privacy = *PrivacySpec::Approximate(1, 1e-6, kAddRemove);
  Plan moments = MakeNormalPlan(privacy, 2, labels);
  moments.mutable_features()->mutable_fourier()->set_frequencies(200);
  Plan normal = moments, of_reference = moments;
  moments.set_model(proto::ClassifierPlan_Model_MOMENTS);
  moments.set_covariance(proto::ClassifierPlan_Covariance_OF_FEATURES);
  moments.set_second_moment_share(0);
  of_reference.set_covariance(proto::ClassifierPlan_Covariance_OF_REFERENCE);
  of_reference.set_second_moment_share(0);
  const double scale = 2 * std::sqrt(2.0 / 12);
  for (float value : reference.points.values) of_reference.add_reference(static_cast<float>(value / scale));
  double without = 0, with_normal = 0, with_reference = 0;
  for (int seed = 0; seed < 5; ++seed) {
    without += Accuracy(Release(moments, blobs, seed), queries) / 5;
    with_normal += Accuracy(Release(normal, blobs, seed), queries) / 5;
    with_reference += Accuracy(Release(of_reference, blobs, seed), queries) / 5;
  }
  EXPECT_GE(with_normal, without + 0.05) << without;
  EXPECT_GE(with_reference, without + 0.05) << without;
}

// The smallest of three classes has 150 records, whose mean noise of 2.4 a feature drowns in most of the 400.
TEST(ClassifierTest, UnevenClassesComeUpAsOftenAsTheyShould) {
  const auto make = [](size_t rows, uint64_t seed) {
    Blobs blobs{UniformPoints(rows, 4, -0.4, 0.4, seed), {}};
    for (size_t r = 0; r < rows; ++r) {
      blobs.classes.push_back(r % 20 == 0 ? 2 : r % 20 < 4 ? 1 : 0);
      for (size_t i = 0; i < 4; ++i) blobs.points.values[r * 4 + i] += (static_cast<float>(blobs.classes[r]) - 1) / 2;
    }
    return blobs;
  };
  const Blobs blobs = make(3000, 11), queries = make(1000, 12);
  Plan plan = MakeNormalPlan(*PrivacySpec::Approximate(2, 1e-6, kAddRemove));
  plan.mutable_features()->mutable_fourier()->set_frequencies(200);
  ThreadPool pool(2);
  double right = 0, predicted[3] = {0, 0, 0};
  constexpr int kReleases = 5;
  for (int seed = 0; seed < kReleases; ++seed) {
    const Classifier classifier = Release(plan, blobs, seed);
    right += Accuracy(classifier, queries) / kReleases;
    const auto predictions = *classifier.Classify(queries.points.view(), pool);
    for (const Prediction& p : predictions) predicted[p.label] += 1e-3 / kReleases;
  }
  EXPECT_GE(right, 0.85);
  EXPECT_NEAR(predicted[0], 0.8, 0.1);
  EXPECT_NEAR(predicted[1], 0.15, 0.1);
  EXPECT_NEAR(predicted[2], 0.05, 0.05);
}

// With the covariance of public points the noise is that of class means alone, and differences of scores scatter as
// Prediction::std_errors say, to a quarter of the variance: offsets and spreads, which depend on noise too, are not in
// them.
TEST(ClassifierTest, StandardErrorsAreThoseOfTheNoise) {
  const Blobs blobs = MakeBlobs(3000, 2, 1), queries = MakeBlobs(20, 2, 2);
  const Plan plan = MakeReferencePlan(*PrivacySpec::Approximate(4, 1e-6, kAddRemove), MakeBlobs(200, 2, 3));
  constexpr int kReleases = 300;
  ThreadPool pool(1);
  const size_t values = queries.classes.size() * 3;
  std::vector<double> sum(values), square(values), claimed(values);
  for (int seed = 0; seed < kReleases; ++seed) {
    const auto predictions = *Release(plan, blobs, seed).Classify(queries.points.view(), pool);
    for (size_t i = 0; i < values; ++i) {
      // Of differences: the quadratic terms of the classes are in all scores alike.
      const double score =
          predictions[i / 3].scores[i % 3] - predictions[(i / 3 + 3) % queries.classes.size()].scores[i % 3];
      sum[i] += score / kReleases;
      square[i] += score * score / kReleases;
      claimed[i] += predictions[i / 3].std_errors[i % 3] / kReleases;
    }
  }
  double ratio = 0;
  for (size_t i = 0; i < values; ++i) {
    EXPECT_GT(claimed[i], 0);
    ratio += (square[i] - sum[i] * sum[i]) / (claimed[i] * claimed[i]) / values;
  }
  EXPECT_NEAR(ratio, 2, 0.5);
}

TEST(ClassifierPlannerTest, SaysWhatIsMissing) {
  ThreadPool pool(1);
  const auto message = [&](const auto& change) {
    ClassifierInputs inputs{2, absl::nullopt, true, {"0", "1"}, Pure(1)};
    inputs.public_n = 1000;
    change(inputs);
    return std::string(PlanClassifier(inputs, pool).status().message());
  };
  EXPECT_EQ(message([](ClassifierInputs&) {}), "");
  EXPECT_EQ(message([](ClassifierInputs& i) { i.unit_rows = false; }), "a classifier needs a domain, or unit rows");
  EXPECT_EQ(message([](ClassifierInputs& i) { i.labels = {"0", "0"}; }), "label '0' comes twice");
  EXPECT_EQ(message([](ClassifierInputs& i) { i.labels = {}; }),
            "number of labels must be at least 1 and at most 65536, but is 0");
  EXPECT_EQ(message([](ClassifierInputs& i) { i.model = proto::ClassifierPlan_Model_LANDMARK_RIDGE; }),
            "the landmark_ridge model needs reference points");
  EXPECT_EQ(message([](ClassifierInputs& i) { i.mechanism = proto::GAUSSIAN; }),
            "the gaussian mechanism needs delta or rho: it cannot be pure");
  const auto as_kernel = [](ClassifierInputs& i) {
    i.model = proto::ClassifierPlan_Model_KERNEL;
    i.kernel = KernelInputs{Gaussian(1)};
  };
  EXPECT_EQ(message(as_kernel), "");
  EXPECT_EQ(message([](ClassifierInputs& i) { i.model = proto::ClassifierPlan_Model_KERNEL; }),
            "the kernel model, and no other, needs a similarity");
  EXPECT_EQ(message([](ClassifierInputs& i) { i.kernel = KernelInputs{Gaussian(1)}; }),
            "the kernel model, and no other, needs a similarity");
  EXPECT_EQ(message([&](ClassifierInputs& i) {
              as_kernel(i);
              i.features = 10;
            }),
            "the kernel model takes neither class features nor their bandwidth");
  EXPECT_EQ(message([&](ClassifierInputs& i) {
              as_kernel(i);
              i.domain = Cube(3, 0, 1);
            }),
            "domain must have 2 coordinates, but has 3");
  EXPECT_EQ(message([&](ClassifierInputs& i) {
              as_kernel(i);
              i.kernel->design = "landmark";
            }),
            "no design is admissible: landmark: needs public reference points");
}

// Three kinds of points on a line, the middle one within the others' reach: too little noise for a covariance, and too
// few coordinates for their means alone.
TEST(ClassifierPlannerTest, MomentsOfFewCoordinatesAreOfFourierFeatures) {
  ThreadPool pool(2);
  const Blobs blobs = MakeBlobs(20000, 1, 21), queries = MakeBlobs(300, 1, 22);
  ClassifierInputs inputs{
      1, *Domain::Box({-1.0}, {1.0}), false, {"a", "b", "c"}, *PrivacySpec::Approximate(0.2, 1e-6, kAddRemove)};
  inputs.public_n = 20000;
  inputs.model = proto::ClassifierPlan_Model_MOMENTS;
  const auto choice = PlanClassifier(inputs, pool);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_TRUE(choice->plan.features().has_fourier());
  EXPECT_GE(Accuracy(Release(choice->plan, blobs, 4), queries), 0.75) << choice->reason;
}

// As classifier_planner.h says: of the features that are taken, whoever chose their number.
TEST(ClassifierPlannerTest, BandwidthFollowsModelAndFeatures) {
  ThreadPool pool(1);
  const auto bandwidth = [&](proto::ClassifierPlan_Model model, uint32_t features) {
    ClassifierInputs inputs{
        2, *Domain::Box({-1.0, -1.0}, {1.0, 1.0}), false, {"a", "b"}, *PrivacySpec::Approximate(4, 1e-6, kAddRemove)};
    inputs.public_n = 100000;
    inputs.model = model;
    inputs.features = features;
    const auto choice = PlanClassifier(inputs, pool);
    EXPECT_TRUE(choice.ok()) << choice.status();
    EXPECT_EQ(2 * choice->plan.features().fourier().frequencies(), features);
    return choice->plan.features().fourier().bandwidth();
  };
  EXPECT_EQ(bandwidth(proto::ClassifierPlan_Model_MOMENTS, 500), 0.35);
  EXPECT_EQ(bandwidth(proto::ClassifierPlan_Model_MOMENTS, 512), 0.2);
  EXPECT_EQ(bandwidth(proto::ClassifierPlan_Model_DISCRIMINANT, 192), 0.35);
  EXPECT_EQ(bandwidth(proto::ClassifierPlan_Model_DISCRIMINANT, 384), 0.28);
}

// Classes of one size: a noised count tells nothing of them, and must not decide. With counts that are taken at their
// word, errors of 250 records of 1,000 halve the accuracy.
TEST(ClassifierTest, NoiseOfCountsDecidesNothingAmongEqualClasses) {
  const Blobs blobs = MakeBlobs(3000, 4, 11), queries = MakeBlobs(600, 4, 12);
  double sum = 0;
  for (int seed = 0; seed < 10; ++seed) {
    sum += Accuracy(Release(MakePlan(Pure(0.3), proto::ClassifierPlan_Model_KERNEL), blobs, seed), queries) / 10;
  }
  EXPECT_GE(sum, 0.8);
}

ClassifierInputs InputsWithReference(bool pure, double epsilon, const Points& reference) {
  ClassifierInputs inputs{4,
                          *Domain::Box(std::vector<double>(4, -1.0), std::vector<double>(4, 1.0)),
                          false,
                          {"a", "b", "c"},
                          pure ? Pure(epsilon) : *PrivacySpec::Approximate(epsilon, 1e-6, kAddRemove)};
  inputs.public_n = 2000;
  inputs.reference = reference.view();
  return inputs;
}

TEST(ClassifierPlannerTest, ReferencePointsGiveLandmarks) {
  ThreadPool pool(2);
  const Blobs blobs = MakeBlobs(2000, 4, 21), queries = MakeBlobs(300, 4, 22);
  const Points reference = MakeBlobs(120, 4, 23).points;
  for (const bool pure : {true, false}) {
    const auto choice = PlanClassifier(InputsWithReference(pure, 2, reference), pool);
    ASSERT_TRUE(choice.ok()) << choice.status();
    EXPECT_TRUE(choice->plan.features().has_landmark());
    EXPECT_EQ(choice->plan.second_moment_share(), 0);
    EXPECT_GE(Accuracy(Release(choice->plan, blobs, 4), queries), 0.9) << choice->reason;
  }
}

// With more classes than coordinates Gaussian noise affords many Fourier features.
ClassifierInputs CrowdedInputs(const PrivacySpec& privacy, size_t d = 8) {
  ClassifierInputs inputs{d,
                          *Domain::Box(std::vector<double>(d, -1.0), std::vector<double>(d, 1.0)),
                          false,
                          {"a", "b", "c", "d", "e", "f", "g", "h", "i"},
                          privacy};
  inputs.public_n = 20000;
  return inputs;
}

TEST(ClassifierPlannerTest, ReferencePointsOfCrowdedClassesGiveACovariance) {
  ThreadPool pool(2);
  const Blobs blobs = MakeBlobs(2000, 8, 21), queries = MakeBlobs(300, 8, 22);
  const Points reference = MakeBlobs(120, 8, 23).points;
  for (const bool pure : {true, false}) {
    ClassifierInputs inputs = CrowdedInputs(pure ? Pure(2) : *PrivacySpec::Approximate(2, 1e-6, kAddRemove));
    inputs.reference = reference.view();
    const auto choice = PlanClassifier(inputs, pool);
    ASSERT_TRUE(choice.ok()) << choice.status();
    EXPECT_EQ(choice->plan.features().has_landmark(), pure);
    EXPECT_EQ(choice->plan.reference_size(), pure ? 0 : 120 * 8);
    EXPECT_EQ(choice->plan.second_moment_share(), 0);
    EXPECT_GE(Accuracy(Release(choice->plan, blobs, 4), queries), 0.9) << choice->reason;
    inputs.model = proto::ClassifierPlan_Model_LANDMARK_RIDGE;
    EXPECT_TRUE(PlanClassifier(inputs, pool)->plan.features().has_landmark());
  }
}

// More classes than coordinates, without public points.
TEST(ClassifierPlannerTest, CrowdedClassesGetManyFeaturesAndTheCovarianceOfNormalPoints) {
  ThreadPool pool(1);
  const PrivacySpec gaussian = *PrivacySpec::Approximate(0.5, 1e-6, kAddRemove);
  ClassifierInputs inputs = CrowdedInputs(gaussian);
  EXPECT_EQ(PlanClassifier(inputs, pool)->plan.covariance(), proto::ClassifierPlan_Covariance_OF_NORMAL_POINTS);
  inputs.model = proto::ClassifierPlan_Model_MOMENTS;
  EXPECT_EQ(PlanClassifier(inputs, pool)->plan.covariance(), proto::ClassifierPlan_Covariance_OF_FEATURES);
  for (const ClassifierInputs& others :
       {CrowdedInputs(Pure(0.5)), CrowdedInputs(gaussian, 7), CrowdedInputs(gaussian, 9)}) {
    EXPECT_EQ(PlanClassifier(others, pool)->plan.covariance(), proto::ClassifierPlan_Covariance_OF_FEATURES);
  }
}

// Landmarks are too fine where noise is large; only who asks for them gets them then.
TEST(ClassifierPlannerTest, LeavesTheReferenceOutWhereNoiseIsLarge) {
  ThreadPool pool(1);
  const Points reference = MakeBlobs(120, 4, 23).points;
  for (const bool pure : {true, false}) {
    ClassifierInputs inputs = InputsWithReference(pure, 0.05, reference);
    const auto left_out = PlanClassifier(inputs, pool);
    ASSERT_TRUE(left_out.ok()) << left_out.status();
    EXPECT_FALSE(left_out->plan.features().has_landmark());
    EXPECT_THAT(left_out->reason, testing::HasSubstr("the reference is left out"));
    inputs.features = 20;
    const auto asked_for = PlanClassifier(inputs, pool);
    ASSERT_TRUE(asked_for.ok()) << asked_for.status();
    EXPECT_TRUE(asked_for->plan.features().has_landmark());
    // What is left out is checked all the same.
    inputs.features = absl::nullopt;
    inputs.dimension = 3;
    inputs.domain = *Domain::Box(std::vector<double>(3, -1.0), std::vector<double>(3, 1.0));
    EXPECT_EQ(PlanClassifier(inputs, pool).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace dpkde
