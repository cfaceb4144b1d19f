// Classifiers of the kernel model: a density release for each class, by any design.
#include "dpkde/classifier/class_kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "dpkde/base/thread_pool.h"
#include "dpkde/classifier/class_accumulator.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/classifier/classifier_parts.h"
#include "dpkde/classifier/classifier_planner.h"
#include "dpkde/designs/design.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"
#include "dpkde/similarity/similarity.h"
#include "tests/testing/landmarks.h"
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

using Kind = proto::SimilaritySpec;
using BadRecords = ClassAccumulator::BadRecords;

constexpr auto kAddRemove = Neighboring::kAddRemove;

// As good as no noise.
const PrivacySpec kAmple = *PrivacySpec::Pure(1000, kAddRemove);

struct Labelled {
  Points points;
  std::vector<uint32_t> classes;
};

// Zip codes by the nearest of three meridians.
Labelled ZipCodes(size_t count, uint64_t seed) {
  Labelled data{SampleRows(LoadPoints("tests/testdata/us_zipcodes.npy"), count, seed), {}};
  for (size_t r = 0; r < count; ++r) {
    float* const x = data.points.values.data() + 2 * r;
    // As records are, so that the oracle knows no others.
    ZipCodeDomain().Clamp(x, x);
    const float longitude = x[0];
    data.classes.push_back(longitude < -100 ? 0 : longitude < -85 ? 1 : 2);
  }
  return data;
}

// Letters by the parity of their first coordinate, scaled to [0, 1]^16.
Labelled Letters(size_t count, uint64_t seed) {
  Labelled data{SampleRows(LoadPoints("tests/testdata/letter.npy"), count, seed), {}};
  for (size_t r = 0; r < count; ++r) data.classes.push_back(static_cast<int>(data.points.values[16 * r]) % 3);
  for (float& value : data.points.values) value /= 15;
  return data;
}

ClassifierInputs MakeInputs(const Similarity& similarity, const absl::optional<Domain>& domain, size_t dimension,
                            const PrivacySpec& privacy) {
  ClassifierInputs inputs{dimension, domain, false, {"a", "b", "c"}, privacy};
  inputs.public_n = 3000;
  inputs.model = proto::ClassifierPlan_Model_KERNEL;
  inputs.kernel = KernelInputs{similarity};
  return inputs;
}

proto::ClassifierPlan MakePlan(const ClassifierInputs& inputs) {
  ThreadPool pool(2);
  const auto choice = PlanClassifier(inputs, pool);
  EXPECT_TRUE(choice.ok()) << choice.status();
  return choice->plan;
}

ClassAccumulator Accumulate(const proto::ClassifierPlan& plan, const Labelled& data, ThreadPool& pool,
                            BadRecords bad = BadRecords::kFail) {
  auto accumulator = ClassAccumulator::Create(plan, bad, pool);
  EXPECT_TRUE(accumulator.ok()) << accumulator.status();
  const absl::Status added = accumulator->Add(data.points.view(), data.classes);
  EXPECT_TRUE(added.ok()) << added;
  return *std::move(accumulator);
}

Classifier Release(const proto::ClassifierPlan& plan, const Labelled& data, uint64_t seed) {
  ThreadPool pool(2);
  SeededBitSource noise(seed);
  auto classifier = Accumulate(plan, data, pool).Privatize(noise);
  EXPECT_TRUE(classifier.ok()) << classifier.status();
  return *std::move(classifier);
}

std::vector<Prediction> Classify(const Classifier& classifier, const Points& queries, int threads = 2) {
  ThreadPool pool(threads);
  auto predictions = classifier.Classify(queries.view(), pool);
  EXPECT_TRUE(predictions.ok()) << predictions.status();
  return *std::move(predictions);
}

// [query][class]: the oracle's mean similarity.
std::vector<std::vector<double>> ExactMeans(const Similarity& similarity, const Labelled& data, const Points& queries) {
  std::vector<std::vector<double>> means(queries.rows(), std::vector<double>(3));
  ThreadPool pool(2);
  for (uint32_t c = 0; c < 3; ++c) {
    Points of_class{{}, data.points.columns};
    for (size_t r = 0; r < data.classes.size(); ++r) {
      if (data.classes[r] != c) continue;
      const auto row = data.points.view().row(r);
      of_class.values.insert(of_class.values.end(), row.begin(), row.end());
    }
    std::vector<double> sums(queries.rows());
    similarity.Sum(of_class.view(), queries.view(), pool, absl::MakeSpan(sums));
    for (size_t q = 0; q < sums.size(); ++q) means[q][c] = sums[q] / of_class.rows();
  }
  return means;
}

// Without noise, scores are the exact means, by whatever design; what a design errs is bounded by the tolerance.
TEST(ClassKernelTest, WithoutNoiseScoresAreExactMeanSimilarities) {
  const Labelled zips = ZipCodes(1200, 1), letters = Letters(1200, 2);
  const Points zip_queries = SampleRows(zips.points, 20, 3), letter_queries = SampleRows(letters.points, 20, 4);
  const struct {
    Similarity similarity;
    proto::DesignSpec design;
    bool zips;
    double tolerance;
  } kCases[] = {
      {Gaussian(5), SplineGridDesign({40, 20}), true, 2e-3},
      {Gaussian(5), LatticeDesign(1e-4), true, 2e-3},
      {Laplacian(10), MonteCarloDesign(4096), true, 0.06},
      {MakeSimilarity(Kind::L1, 0), AxisDesign(1024), true, 0.1},
      {MakeSimilarity(Kind::L2, 0), SliceDesign(512, 127), true, 0.5},
      {MakeSimilarity(Kind::L2_SQUARED, 0), MomentsDesign(), true, 0.5},
      {Gaussian(0.5), MonteCarloDesign(4096, true), false, 0.02},
      {Gaussian(0.5), WhitenedLandmarks(Gaussian(0.5), Letters(200, 7).points), false, 0.02},
      {MakeSimilarity(Kind::COSINE, 0), MomentsDesign(), false, 1e-4},
      {MakeSimilarity(Kind::INNER_PRODUCT, 0), MomentsDesign(), false, 1e-3},
      {Angular(2), RaceDesign(2048, 4), false, 0.05},
  };
  for (const auto& test : kCases) {
    const Labelled& data = test.zips ? zips : letters;
    const Points& queries = test.zips ? zip_queries : letter_queries;
    ClassifierInputs inputs =
        MakeInputs(Gaussian(5), test.zips ? ZipCodeDomain() : Cube(16, 0, 1), data.points.columns, kAmple);
    inputs.kernel->design = "monte_carlo";
    inputs.kernel->features = 1;
    proto::ClassifierPlan plan = MakePlan(inputs);
    *plan.mutable_kernel()->mutable_similarity() = test.similarity.spec();
    *plan.mutable_kernel()->mutable_design() = test.design;
    plan.set_mechanism(proto::LAPLACE);
    const std::vector<Prediction> predictions = Classify(Release(plan, data, 1), queries);
    const auto means = ExactMeans(test.similarity, data, queries);
    const double sign = test.similarity.is_distance() ? -1 : 1;
    for (size_t q = 0; q < predictions.size(); ++q) {
      for (size_t c = 0; c < 3; ++c) {
        // Counts err by 1 in 1,000.
        EXPECT_NEAR(predictions[q].scores[c], sign * means[q][c],
                    test.tolerance + 1e-3 * means[q][c] + 6 * predictions[q].std_errors[c])
            << test.similarity.name() << " " << DescribeDesign(test.design);
      }
    }
  }
}

// The nearest class, too, by its mean distance.
TEST(ClassKernelTest, KernelsAndDistancesClassify) {
  const Labelled data = ZipCodes(6000, 5), queries = ZipCodes(500, 6);
  for (const Similarity& similarity :
       {Gaussian(2), Laplacian(3), MakeSimilarity(Kind::L1, 0), MakeSimilarity(Kind::L2_SQUARED, 0)}) {
    const proto::ClassifierPlan plan =
        MakePlan(MakeInputs(similarity, ZipCodeDomain(), 2, *PrivacySpec::Pure(2, kAddRemove)));
    const std::vector<Prediction> predictions = Classify(Release(plan, data, 7), queries.points);
    const auto means = ExactMeans(similarity, data, queries.points);
    double right = 0, exactly_right = 0;
    for (size_t q = 0; q < predictions.size(); ++q) {
      right += predictions[q].label == queries.classes[q];
      const auto& m = means[q];
      const auto best =
          similarity.is_distance() ? std::min_element(m.begin(), m.end()) : std::max_element(m.begin(), m.end());
      exactly_right += best - m.begin() == queries.classes[q];
    }
    EXPECT_GE(right / 500, exactly_right / 500 - 0.03) << similarity.name();
    EXPECT_GE(right / 500, 0.85) << similarity.name();
  }
}

// std_errors are the standard deviation of what the noise of sums does to scores; that of counts comes on top.
TEST(ClassKernelTest, StandardErrorsAreThoseOfTheNoise) {
  const Labelled data = ZipCodes(20000, 8);
  std::vector<double> records(3);
  for (uint32_t c : data.classes) ++records[c];
  const Points queries = SampleRows(data.points, 20, 9);
  const proto::ClassifierPlan plan =
      MakePlan(MakeInputs(Gaussian(1), ZipCodeDomain(), 2, *PrivacySpec::Pure(1, kAddRemove)));
  ThreadPool pool(1);
  const double count_error =
      std::sqrt(ClassAccumulator::Create(plan, BadRecords::kFail, pool)->mechanism().variances().back()) / kGridUnit;
  const std::vector<Prediction> exact = Classify(
      [&] {
        proto::ClassifierPlan ample = plan;
        *ample.mutable_privacy() = kAmple.ToProto();
        return Release(ample, data, 1);
      }(),
      queries);
  double square = 0;
  constexpr int kReleases = 40;
  for (int seed = 0; seed < kReleases; ++seed) {
    const std::vector<Prediction> noised = Classify(Release(plan, data, 100 + seed), queries);
    for (size_t q = 0; q < queries.rows(); ++q) {
      for (size_t c = 0; c < 3; ++c) {
        const double error = std::hypot(noised[q].std_errors[c], exact[q].scores[c] * count_error / records[c]);
        square += std::pow((noised[q].scores[c] - exact[q].scores[c]) / error, 2);
      }
    }
  }
  // 120 independent vectors: the standard deviation of the mean of squares is at most .13.
  const double ratio = std::sqrt(square / (kReleases * queries.rows() * 3));
  EXPECT_GE(ratio, 0.8);
  EXPECT_LE(ratio, 1.25);
}

// Small classes, whose means are noisier, do not win by their noise: .35 of the labels are right, and without shrinkage
// .25.
TEST(ClassKernelTest, SmallClassesDoNotWinByTheirNoise) {
  // 24 classes of 25, 50, .. 600 records around points of the cube.
  const Points centers = UniformPoints(24, 8, 0.3, 0.7, 1);
  Labelled data{UniformPoints(7500, 8, -0.3, 0.3, 2), {}};
  for (uint32_t c = 0; c < 24; ++c) data.classes.insert(data.classes.end(), 25 * (c + 1), c);
  for (size_t i = 0; i < data.points.values.size(); ++i) {
    data.points.values[i] += centers.values[data.classes[i / 8] * 8 + i % 8];
  }
  ClassifierInputs inputs = MakeInputs(Gaussian(0.3), Cube(8, 0, 1), 8, *PrivacySpec::Approximate(1, 1e-6, kAddRemove));
  inputs.labels.clear();
  for (int c = 0; c < 24; ++c) inputs.labels.push_back(std::to_string(c));
  inputs.public_n = 8000;
  inputs.kernel->design = "orthogonal";
  inputs.kernel->features = 2048;
  const proto::ClassifierPlan plan = MakePlan(inputs);
  Labelled queries{Points{{}, 8}, {}};
  for (size_t r = 0; r < data.classes.size(); r += 5) {
    const auto row = data.points.view().row(r);
    queries.points.values.insert(queries.points.values.end(), row.begin(), row.end());
    queries.classes.push_back(data.classes[r]);
  }
  double right = 0;
  for (int seed = 0; seed < 3; ++seed) {
    const std::vector<Prediction> predictions = Classify(Release(plan, data, 30 + seed), queries.points);
    for (size_t q = 0; q < predictions.size(); ++q) right += predictions[q].label == queries.classes[q];
  }
  EXPECT_GE(right / queries.classes.size() / 3, 0.3);
}

// Unit rows have one answer, whatever their length: that of the same vectors of length 1.
TEST(ClassKernelTest, UnitRowsAreScaledToLengthOne) {
  Labelled data = Letters(2000, 11);
  Points queries = SampleRows(data.points, 30, 12);
  ClassifierInputs inputs = MakeInputs(Gaussian(0.5), absl::nullopt, 16, kAmple);
  inputs.unit_rows = true;
  const Classifier classifier = Release(MakePlan(inputs), data, 1);
  const std::vector<Prediction> predictions = Classify(classifier, queries);
  const auto to_unit = [](Points& points) {
    for (size_t r = 0; r < points.rows(); ++r) {
      float* const x = points.values.data() + r * points.columns;
      const double length = std::sqrt(std::inner_product(x, x + points.columns, x, 0.0));
      for (size_t i = 0; i < points.columns; ++i) x[i] = static_cast<float>(x[i] / length);
    }
  };
  to_unit(data.points);
  to_unit(queries);
  const std::vector<Prediction> of_unit = Classify(classifier, queries);
  const auto means = ExactMeans(Gaussian(0.5), data, queries);
  for (size_t q = 0; q < queries.rows(); ++q) {
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(predictions[q].scores[c], of_unit[q].scores[c], 1e-5);
      EXPECT_NEAR(predictions[q].scores[c], means[q][c], 0.05);
    }
  }
}

// A lattice has no answers outside the box; queries are moved into it, as records are.
TEST(ClassKernelTest, QueriesOutsideTheDomainAreMovedIntoIt) {
  ClassifierInputs inputs = MakeInputs(Gaussian(5), ZipCodeDomain(), 2, *PrivacySpec::Pure(1, kAddRemove));
  inputs.kernel->design = "lattice";
  const Classifier classifier = Release(MakePlan(inputs), ZipCodes(2000, 13), 1);
  const std::vector<Prediction> predictions =
      Classify(classifier, Points{{-300, 40, -180, 40, -90, 1e30f, -90, 72}, 2});
  EXPECT_EQ(predictions[0].scores, predictions[1].scores);
  EXPECT_EQ(predictions[2].scores, predictions[3].scores);
}

// A replaced record that changes its class changes two classes, each by no more than a record more or less, and not the
// third.
TEST(ClassKernelTest, ReplacedRecordChangesTwoClasses) {
  ThreadPool pool(1);
  const proto::ClassifierPlan plan =
      MakePlan(MakeInputs(Gaussian(5), ZipCodeDomain(), 2, *PrivacySpec::Pure(1, Neighboring::kReplace)));
  const auto parts = BuildClassifierPlan(plan);
  ASSERT_TRUE(parts.ok()) << parts.status();
  ClassAccumulator before = Accumulate(plan, {Points{{-90, 40, -80, 30}, 2}, {0, 2}}, pool);
  ClassAccumulator after = Accumulate(plan, {Points{{-70, 45, -80, 30}, 2}, {1, 2}}, pool);
  const std::vector<int64_t> a = RawSumsTestPeer::Total(before), b = RawSumsTestPeer::Total(after);
  const size_t size = parts->class_size();
  for (size_t c = 0; c < 3; ++c) {
    for (const CoordinateGroup& group : parts->groups) {
      double l1 = 0;
      for (size_t k = 0; k < group.count; ++k) {
        const size_t j = c * size + group.first + k * group.stride;
        l1 += std::abs(static_cast<double>(a[j] - b[j]));
      }
      EXPECT_LE(l1, group.add_remove.l1);
      EXPECT_EQ(l1 > 0, c < 2);
      EXPECT_EQ(group.replace.l1, 2 * group.add_remove.l1);
    }
  }
}

TEST(ClassKernelTest, ReplacedBadRecordCountsAtTheCentre) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ThreadPool pool(1);
  const proto::ClassifierPlan plan =
      MakePlan(MakeInputs(Gaussian(5), ZipCodeDomain(), 2, *PrivacySpec::Pure(1, kAddRemove)));
  ClassAccumulator bad = Accumulate(plan, {Points{{-100, nan}, 2}, {1}}, pool, BadRecords::kReplace);
  ClassAccumulator centre = Accumulate(plan, {Points{{-120, 43.5f}, 2}, {1}}, pool);
  EXPECT_EQ(RawSumsTestPeer::Total(bad), RawSumsTestPeer::Total(centre));
}

// Nobody in the data, and next to no noise: still a label of the set.
TEST(ClassKernelTest, EmptyDatasetHasAnswers) {
  ClassifierInputs inputs = MakeInputs(Gaussian(5), ZipCodeDomain(), 2, kAmple);
  inputs.kernel->design = "monte_carlo";
  inputs.kernel->features = 16;
  for (const Prediction& p : Classify(Release(MakePlan(inputs), {Points{{}, 2}, {}}, 3), Points{{-90, 40, 0, 0}, 2})) {
    EXPECT_LT(p.label, 3);
    for (double score : p.scores) EXPECT_TRUE(std::isfinite(score));
  }
}

TEST(ClassKernelTest, PlannerChoosesForOneClassAtTheStepsBudget) {
  ThreadPool pool(2);
  ClassifierInputs inputs = MakeInputs(Gaussian(2), ZipCodeDomain(), 2, *PrivacySpec::Pure(1, Neighboring::kReplace));
  const auto density = PlanClassDensity(inputs, pool);
  ASSERT_TRUE(density.ok()) << density.status();
  EXPECT_EQ(density->inputs.public_n, 1000);
  EXPECT_EQ(density->inputs.privacy.epsilon(), 0.5);
  EXPECT_EQ(density->inputs.privacy.neighboring(), kAddRemove);
  const auto planned = Plan(density->inputs);
  ASSERT_TRUE(planned.ok()) << planned.status();
  EXPECT_EQ(MakePlan(inputs).kernel().design().SerializeAsString(), planned->candidates[0].design.SerializeAsString());
  EXPECT_EQ(DesignName(planned->candidates[0].design), "spline_grid");

  // Of landmarks, enough to tell classes apart, where the least error of a sum has few.
  const Points reference = Letters(400, 7).points;
  ClassifierInputs letters = MakeInputs(Gaussian(0.5), Cube(16, 0, 1), 16, *PrivacySpec::Pure(1, kAddRemove));
  letters.reference = reference.view();
  const auto landmarks = PlanClassDensity(letters, pool);
  ASSERT_TRUE(landmarks.ok()) << landmarks.status();
  const auto least_error = Plan(landmarks->inputs);
  ASSERT_TRUE(least_error.ok()) << least_error.status();
  EXPECT_LE(least_error->candidates[0].design.landmark().rank(), 16);
  EXPECT_GE(landmarks->result.candidates[0].design.landmark().rank(), 24);
  EXPECT_LE(landmarks->result.candidates[0].design.landmark().rank(), 0.55 * std::sqrt(3000));

  // Where noise affords more than there are landmarks, another design, unless landmarks are asked for.
  letters.privacy = *PrivacySpec::Approximate(4, 1e-6, kAddRemove);
  const auto others = PlanClassDensity(letters, pool);
  ASSERT_TRUE(others.ok()) << others.status();
  EXPECT_EQ(DesignName(others->result.candidates[0].design), "orthogonal");
  letters.kernel->design = "landmark";
  const auto all = PlanClassDensity(letters, pool);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_GE(all->result.candidates[0].design.landmark().rank(), 200);

  // Of many classes, what all together can hold.
  inputs.labels.clear();
  for (int c = 0; c < 60000; ++c) inputs.labels.push_back(std::to_string(c));
  const proto::ClassifierPlan plan = MakePlan(inputs);
  const auto parts = BuildClassifierPlan(plan);
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_LE(static_cast<int64_t>(parts->class_size()) * 60000, kMostClassValues);
}

TEST(ClassKernelTest, RoundTripAndDescription) {
  const Labelled data = Letters(500, 14);
  const Points reference = Letters(100, 15).points;
  ClassifierInputs inputs = MakeInputs(Gaussian(0.5), Cube(16, 0, 1), 16, *PrivacySpec::Pure(1, kAddRemove));
  inputs.reference = reference.view();
  inputs.kernel->design = "landmark";
  const Classifier classifier = Release(MakePlan(inputs), data, 1);
  const std::string bytes = classifier.Serialize();
  const auto loaded = Classifier::Deserialize(bytes);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->Serialize(), bytes);
  const std::vector<Prediction> a = Classify(classifier, reference, 1), b = Classify(*loaded, reference, 2);
  for (size_t q = 0; q < a.size(); ++q) EXPECT_EQ(a[q].scores, b[q].scores);
  EXPECT_THAT(classifier.DebugString(), testing::HasSubstr("gaussian bandwidth=0.5"));
  EXPECT_THAT(classifier.DebugString(), testing::HasSubstr("landmarks are public points"));
  EXPECT_EQ(classifier.Outline().plan().kernel().design().landmark().points_size(), 0);
  EXPECT_EQ(classifier.Outline().class_sums_size(), 0);
}

// A file of the first version of the format, as it was released.
TEST(ClassKernelTest, ReadsVersionOne) {
  const auto bytes = ReadFile("tests/testdata/classifier_kernel_v1", 1 << 20);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto classifier = Classifier::Deserialize(*bytes);
  ASSERT_TRUE(classifier.ok()) << classifier.status();
  EXPECT_EQ(classifier->plan().model(), proto::ClassifierPlan_Model_KERNEL);
  EXPECT_EQ(DescribeDesign(classifier->plan().kernel().design()), "spline_grid cells=5x5 ridge=0.001");
  const std::vector<Prediction> predictions = Classify(*classifier, Points{{-0.5f, -0.5f, 0.5f, -0.5f, 0, 0.5f}, 2});
  for (size_t q = 0; q < 3; ++q) EXPECT_EQ(predictions[q].label, q);
  EXPECT_NEAR(predictions[0].scores[0], 0.931526528, 1e-6);
  EXPECT_EQ(classifier->Serialize(), *bytes);
}

// Well-formed envelopes whose content does not hold together.
TEST(ClassKernelTest, LoadingIsBuilding) {
  ClassifierInputs inputs = MakeInputs(Gaussian(0.5), Cube(16, 0, 1), 16, *PrivacySpec::Pure(1, kAddRemove));
  inputs.kernel->design = "monte_carlo";
  inputs.kernel->features = 16;
  inputs.unit_rows = true;
  const Classifier classifier = Release(MakePlan(inputs), Letters(500, 16), 1);
  using Message = proto::ClassifierRelease;
  const auto code = [&](const auto& change) {
    Message message = ClassifierTestPeer::Message(classifier);
    change(message);
    return Classifier::Deserialize(SealEnvelope("classify", Classifier::kVersion, message.SerializeAsString()))
        .status()
        .code();
  };
  EXPECT_EQ(code([](Message&) {}), absl::StatusCode::kOk);
  const auto damaged = [&](const auto& change) { return code(change) == absl::StatusCode::kDataLoss; };
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_plan()->clear_kernel(); }));
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_plan()->mutable_kernel()->clear_similarity(); }));
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_plan()->mutable_kernel()->clear_design(); }));
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_plan()->mutable_features()->mutable_linear(); }));
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_plan()->set_second_moment_share(0.5); }));
  // More features than there are values, so many that they would fill the memory.
  EXPECT_TRUE(damaged([](Message& m) {
    m.mutable_plan()->mutable_kernel()->mutable_design()->mutable_monte_carlo()->set_features(1 << 20);
  }));
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_class_sums(1)->add_values(0); }));
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_class_sums(0)->clear_values(); }));
  EXPECT_TRUE(damaged([](Message& m) { m.add_second_moment(0); }));
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_scales()->Clear(); }));
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_certificate()->set_epsilon_spent(0.9); }));
  EXPECT_TRUE(damaged([](Message& m) { m.mutable_plan()->mutable_domain()->mutable_lower()->RemoveLast(); }));
  // A domain of another dimension, which unit rows need not have.
  EXPECT_TRUE(damaged([](Message& m) {
    m.mutable_plan()->mutable_domain()->mutable_lower()->RemoveLast();
    m.mutable_plan()->mutable_domain()->mutable_upper()->RemoveLast();
  }));
  EXPECT_EQ(code([](Message& m) {
              m.mutable_plan()->mutable_kernel()->mutable_design()->mutable_monte_carlo()->set_public_seed(99);
            }),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace dpkde
