// bias_bound is never below the true error: exact sums in double of coordinates in double, designs x offsets x
// bandwidths. The noise at epsilon = 1000 is far below a record.
#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/uniform_01.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "dpkde/base/row_origin.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/sketch/accumulator.h"
#include "dpkde/sketch/release.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"

namespace dpkde {
namespace {

using Spec = proto::SimilaritySpec;

// f(x, y) in double.
double Exact(const Similarity& similarity, const double* x, const double* y, size_t d) {
  double l1 = 0, square = 0, powers = 0, dot = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < d; ++i) {
    const double t = std::abs(x[i] - y[i]);
    l1 += t;
    square += t * t;
    powers += std::pow(t, similarity.spec().p());
    dot += x[i] * y[i];
    xx += x[i] * x[i];
    yy += y[i] * y[i];
  }
  const double h = similarity.bandwidth();
  switch (similarity.kind()) {
    case Spec::GAUSSIAN:
      return std::exp(-square / (2 * h * h));
    case Spec::LAPLACIAN:
      return std::exp(-l1 / h);
    case Spec::EXPONENTIAL:
      return std::exp(-std::sqrt(square) / h);
    case Spec::CAUCHY:
      return 1 / (1 + square / (h * h));
    case Spec::L1:
      return l1;
    case Spec::LP_POWER:
      return powers;
    case Spec::L2:
      return std::sqrt(square);
    case Spec::L2_SQUARED:
      return square;
    case Spec::INNER_PRODUCT:
      return dot;
    case Spec::COSINE:
      return xx == 0 || yy == 0 ? 0 : dot / std::sqrt(xx * yy);
    default:
      ADD_FAILURE() << "no oracle for " << similarity.name();
      return 0;
  }
}

struct Case {
  Similarity similarity;
  size_t dimension;
  double width;
  proto::DesignSpec design;
};

std::vector<Case> Cases() {
  const Similarity l1 = MakeSimilarity(Spec::L1, 0), l2 = MakeSimilarity(Spec::L2, 0);
  return {
      {Gaussian(1), 1, 10, SplineGridDesign({20})},
      {Gaussian(1), 1, 10, SplineGridDesign({20}, 1e-4, 1)},
      {Gaussian(1), 2, 10, SplineGridDesign({14, 14}, 1e-4)},
      {MakeSimilarity(Spec::CAUCHY, 1), 2, 4, SplineGridDesign({14, 14}, 1e-4)},
      {Gaussian(.01), 1, 10, SplineGridDesign({2000})},
      {Gaussian(1), 1, 10, LatticeDesign(1e-3)},
      {Gaussian(1), 2, 10, LatticeDesign(1e-5)},
      {Laplacian(.5), 1, 10, LatticeDesign(1e-2)},
      {MakeSimilarity(Spec::EXPONENTIAL, 1), 1, 10, LatticeDesign(1e-2)},
      {Gaussian(1e-3), 1, 10, LatticeDesign(1e-3)},
      {Gaussian(1), 1, 10, LsqFgtDesign({10}, 8)},
      {Gaussian(1), 2, 10, LsqFgtDesign({10, 10}, 4)},
      {l1, 1, 10, AxisDesign(64)},
      {l1, 3, 1e-3, AxisDesign(511)},
      {MakeSimilarity(Spec::LP_POWER, 0, .5), 2, 10, AxisDesign(64)},
      {MakeSimilarity(Spec::LP_POWER, 0, 1.5), 2, 1e6, AxisDesign(64)},
      {l1, 2, 10, TreeDesign(proto::TreeSpec::RINGS, 10, .01)},
      {l1, 2, 10, TreeDesign(proto::TreeSpec::SUMS, 10)},
      {l1, 2, 10, TreeDesign(proto::TreeSpec::CENTERED, 10)},
      {MakeSimilarity(Spec::L2_SQUARED, 0), 3, 10, MomentsDesign()},
      {MakeSimilarity(Spec::INNER_PRODUCT, 0), 3, 10, MomentsDesign()},
      {MakeSimilarity(Spec::COSINE, 0), 3, 10, MomentsDesign()},
      {l2, 1, 10, SliceDesign(1, 255)},
      {l2, 2, 10, SliceDesign(32, 63)},
  };
}

TEST(BiasBoundTest, HoldsForEveryDesignAtEveryOffset) {
  ThreadPool pool(2);
  for (const Case& test : Cases()) {
    for (const double offset : {0.0, 5.8e6, 1.7e9}) {
      for (const bool centered : {true, false}) {
        const size_t d = test.dimension;
        if (!test.similarity.is_shift_invariant() && (centered || offset > 0)) continue;
        const std::vector<double> low(d, offset), high(d, offset + test.width);
        const auto domain = centered ? Domain::CenteredBox(low, high) : Domain::Box(low, high);
        if (!domain.ok()) continue;  // float32 cannot even tell the bounds apart
        proto::ReleasePlan plan;
        *plan.mutable_similarity() = test.similarity.spec();
        plan.set_dimension(static_cast<uint32_t>(d));
        *plan.mutable_domain() = domain->ToProto();
        *plan.mutable_origin() = {domain->origin().begin(), domain->origin().end()};
        *plan.mutable_design() = test.design;
        plan.set_mechanism(proto::LAPLACE);
        *plan.mutable_privacy() = PrivacySpec::Pure(1000, Neighboring::kReplace)->ToProto();
        plan.set_capacity(1 << 20);
        SCOPED_TRACE(testing::Message() << test.similarity.name() << " " << test.design.ShortDebugString() << " offset "
                                        << offset << (centered ? " centered" : ""));
        auto accumulator = Accumulator::Create(plan, Accumulator::BadRecords::kFail, pool);
        ASSERT_TRUE(accumulator.ok()) << accumulator.status();

        // Half of the records in one place, where errors add up, the others anywhere; one outside.
        constexpr size_t kRecords = 4000;
        boost::random::mt19937_64 engine(7);
        boost::random::uniform_01<double> uniform;
        std::vector<double> records;
        for (size_t r = 0; r < kRecords; ++r) {
          for (size_t i = 0; i < d; ++i) {
            records.push_back(offset + test.width * (r % 2 == 0 ? .637 : r == 1 ? 1.5 : uniform(engine)));
          }
        }
        std::vector<double> queries;
        for (const double place : {0.0, .637, .6371, .5, 1.0}) queries.insert(queries.end(), d, offset + test.width * place);
        for (size_t i = 0; i < 5 * d; ++i) queries.push_back(offset + test.width * uniform(engine));
        const size_t asked = queries.size() / d;
        const std::vector<float> rows = SubtractOrigin(records, d, domain->origin());
        const std::vector<float> places = SubtractOrigin(queries, d, domain->origin());
        ASSERT_TRUE(accumulator->Add(CenteredRows({rows.data(), kRecords, d})).ok());
        SeededBitSource noise(3);
        const auto release = std::move(*accumulator).Privatize(noise);
        ASSERT_TRUE(release.ok()) << release.status();
        const auto estimates = release->Estimate(CenteredRows({places.data(), asked, d}), pool);
        ASSERT_TRUE(estimates.ok()) << estimates.status();
        for (size_t q = 0; q < asked; ++q) {
          double exact = 0;
          for (size_t r = 0; r < kRecords; ++r) {
            std::vector<double> x(records.begin() + r * d, records.begin() + (r + 1) * d);
            for (double& value : x) value = std::min(std::max(value, offset), offset + test.width);
            exact += Exact(test.similarity, x.data(), &queries[q * d], d);
          }
          const DensityEstimate& estimate = (*estimates)[q];
          ASSERT_TRUE(estimate.bias_bound.has_value());
          EXPECT_LE(std::abs(estimate.sum - exact), *estimate.bias_bound + 6 * estimate.std_error) << "query " << q;
        }
      }
    }
  }
}

// The bound is in proportion to the number of records, which is known within noise only: where that is negative, the
// error is not.
TEST(BiasBoundTest, HoldsWhereNoiseHidesTheCount) {
  ThreadPool pool(1);
  const std::vector<float> records(10, 4.0f);
  proto::ReleasePlan plan;
  *plan.mutable_similarity() = Gaussian(1).spec();
  plan.set_dimension(1);
  *plan.mutable_domain() = Domain::Box({0}, {10})->ToProto();
  *plan.mutable_design() = SplineGridDesign({14}, 1e-4, 1);
  plan.set_mechanism(proto::LAPLACE);
  plan.set_capacity(1 << 20);
  const auto release_of = [&](const PrivacySpec& privacy, uint64_t seed) {
    *plan.mutable_privacy() = privacy.ToProto();
    Accumulator accumulator = *Accumulator::Create(plan, Accumulator::BadRecords::kFail, pool);
    EXPECT_TRUE(accumulator.Add(MatrixView{records.data(), records.size(), 1}).ok());
    SeededBitSource noise(seed);
    return *std::move(accumulator).Privatize(noise);
  };
  const auto bound_of = [&](const Release& release) {
    const float query = 4.3f;
    return *(*release.Estimate(MatrixView{&query, 1, 1}, pool))[0].bias_bound;
  };
  // Under replace the count is exact.
  const double bound = bound_of(release_of(*PrivacySpec::Pure(1, Neighboring::kReplace), 1));
  EXPECT_GT(bound, 0);
  int too_few = 0;  // control: the noised count itself would not do
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const Release release = release_of(*PrivacySpec::Pure(.2, Neighboring::kAddRemove), seed);
    too_few += release.count().value < 10;
    EXPECT_GE(bound_of(release), bound) << "seed " << seed << ": " << release.count().value << " +- "
                                         << release.count().std_error;
  }
  EXPECT_GT(too_few, 20);
}

}  // namespace
}  // namespace dpkde
