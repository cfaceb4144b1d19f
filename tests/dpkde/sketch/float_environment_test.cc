#include "dpkde/base/float_environment.h"

#include <gtest/gtest.h>
#include <xmmintrin.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/sketch/accumulator.h"
#include "tests/testing/raw_sums.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

// An application may have set the floating-point environment of its threads to anything. Raw sums, releases and answers
// must be the same bit for bit.

namespace dpkde {
namespace {

constexpr uint32_t kDefaultMode = 0x1F80;
constexpr uint32_t kFlush = 0x8040;  // FTZ and DAZ
constexpr uint32_t kDown = 0x2000, kUp = 0x4000, kTowardsZero = 0x6000;
constexpr uint16_t kDefaultX87 = 0x037F, kSingleX87 = 0x007F;

struct Mode {
  uint32_t mxcsr;
  uint16_t x87;
};
constexpr Mode kModes[] = {{kDefaultMode | kFlush, kDefaultX87},
                           {kDefaultMode | kUp, kDefaultX87},
                           {kDefaultMode | kDown, kSingleX87},
                           {kDefaultMode | kTowardsZero | kFlush, kSingleX87}};

class ScopedMode {
 public:
  explicit ScopedMode(Mode mode) { Set(mode); }
  ~ScopedMode() { Set({kDefaultMode, kDefaultX87}); }

 private:
  static void Set(Mode mode) {
    _mm_setcsr(mode.mxcsr);
    asm volatile("fldcw %0" : : "m"(mode.x87) : "memory");
  }
};

uint16_t X87() {
  uint16_t mode;
  asm volatile("fnstcw %0" : "=m"(mode));
  return mode;
}

proto::ReleasePlan TestPlan(const Similarity& similarity, const proto::DesignSpec& design, bool weights = false) {
  proto::ReleasePlan plan;
  *plan.mutable_similarity() = similarity.spec();
  plan.set_dimension(2);
  *plan.mutable_domain() = Cube(2, -2, 2).ToProto();
  *plan.mutable_design() = design;
  plan.set_mechanism(proto::LAPLACE);
  *plan.mutable_privacy() = PureAddRemove(1).ToProto();
  plan.set_capacity(uint64_t{1} << 40);
  if (weights) plan.mutable_weights()->set_bound(3);
  return plan;
}

std::vector<proto::ReleasePlan> TestPlans() {
  using Spec = proto::SimilaritySpec;
  return {TestPlan(Gaussian(1), MonteCarloDesign(64)),
          TestPlan(Gaussian(1), MonteCarloDesign(64), true),
          TestPlan(Gaussian(1), MonteCarloDesign(64, true)),
          TestPlan(Laplacian(0.5), MonteCarloDesign(64)),
          TestPlan(Gaussian(1), LatticeDesign(1e-2)),
          TestPlan(Gaussian(1), SplineGridDesign({8, 8})),
          TestPlan(MakeSimilarity(Spec::L2, 0), SliceDesign(16, 9)),
          TestPlan(Gaussian(1), LsqRffDesign(64)),
          TestPlan(MakeSimilarity(Spec::L1, 0), AxisDesign(15)),
          TestPlan(MakeSimilarity(Spec::L2_SQUARED, 0), MomentsDesign()),
          TestPlan(Angular(2), RaceDesign(12, 4)),
          TestPlan(PStable(1), RaceDesign(12, 64))};
}

// Every second row is denormal, and so are the products that hashes and phases are made of.
Points TestPoints() {
  Points points = UniformPoints(3000, 2, -2.2, 2.2, 9);
  for (size_t r = 0; r < points.rows(); r += 2) {
    for (size_t c = 0; c < 2; ++c) points.values[2 * r + c] *= 1e-39f;
  }
  return points;
}

// What an application has: made under the usual mode, whatever is set afterwards.
struct Data {
  Points points = TestPoints();
  std::vector<float> weights;
  Points queries = UniformPoints(200, 2, -1.9, 1.9, 4);

  Data() {
    for (size_t r = 0; r < points.rows(); ++r) weights.push_back(3 * (r % 7) / 7.0f);
  }
};

absl::Status AddTo(Accumulator& accumulator, const Data& data) {
  return accumulator.plan().has_weights() ? accumulator.Add(data.points.view(), data.weights)
                                          : accumulator.Add(data.points.view());
}

struct Outcome {
  std::vector<int64_t> sums;
  std::string release;
  std::vector<double> answers;

  bool operator==(const Outcome& other) const {
    return sums == other.sums && release == other.release && answers == other.answers;
  }
};

// Everything from plan to answers, by `pool`, under the mode that is set.
Outcome EverythingBy(const proto::ReleasePlan& plan, const Data& data, ThreadPool& pool) {
  Accumulator accumulator = *Accumulator::Create(plan, Accumulator::BadRecords::kFail, pool);
  EXPECT_TRUE(AddTo(accumulator, data).ok());
  Outcome outcome;
  outcome.sums = RawSumsTestPeer::Total(accumulator);
  SeededBitSource source(1);
  outcome.release = std::move(accumulator).Privatize(source)->Serialize();
  const Release release = *Release::Deserialize(outcome.release);
  const std::vector<DensityEstimate> estimates = *release.Estimate(data.queries.view(), pool);
  for (const DensityEstimate& estimate : estimates) {
    for (const double value : {estimate.sum, estimate.std_error, estimate.ci95_low, estimate.ci95_high}) {
      outcome.answers.push_back(value);
    }
  }
  return outcome;
}

TEST(FloatEnvironmentTest, IsSetAndRestored) {
  for (const Mode mode : kModes) {
    const ScopedMode scoped(mode);
    {
      const DefaultFloatEnvironment environment;
      EXPECT_EQ(_mm_getcsr() & ~_MM_EXCEPT_MASK, kDefaultMode);
      EXPECT_EQ(X87(), kDefaultX87);
    }
    EXPECT_EQ(_mm_getcsr() & ~_MM_EXCEPT_MASK, mode.mxcsr);
    EXPECT_EQ(X87(), mode.x87);
  }
}

TEST(FloatEnvironmentTest, ChangesNoBitOfSumsReleasesAndAnswers) {
  const Data data;
  ThreadPool usual(1);
  for (const proto::ReleasePlan& plan : TestPlans()) {
    const Outcome expected = EverythingBy(plan, data, usual);
    for (const Mode mode : kModes) {
      for (const int threads : {1, 3}) {
        for (const bool before_the_pool : {true, false}) {
          absl::optional<ScopedMode> scoped;
          if (before_the_pool) scoped.emplace(mode);
          ThreadPool pool(threads);
          pool.ParallelFor(threads, 1, [](size_t, size_t, int) {});  // its threads inherit the mode of this one
          if (!before_the_pool) scoped.emplace(mode);
          const bool equal = EverythingBy(plan, data, pool) == expected;
          scoped.reset();
          EXPECT_TRUE(equal) << plan.ShortDebugString() << " " << std::hex << mode.mxcsr << " " << threads << " "
                             << before_the_pool;
        }
      }
    }
  }
}

// The control: a design that is called without the guard adds up to something else. Flushing moves the counters of a
// hash, and rounding upwards the pairs of frequencies.
TEST(FloatEnvironmentTest, WithoutTheGuardSumsAreOthers) {
  const Points points = TestPoints();
  const auto sums_under = [&](const proto::ReleasePlan& plan, Mode mode, bool guarded) {
    const auto design =
        *CreateDesign(*Similarity::Create(plan.similarity()), 2, *Domain::FromProto(plan.domain()), plan.design());
    std::vector<int64_t> sums(design->num_coordinates());
    const ScopedMode scoped(mode);
    absl::optional<DefaultFloatEnvironment> environment;
    if (guarded) environment.emplace();
    design->Accumulate(points.view(), absl::MakeSpan(sums));
    return sums;
  };
  const Mode usual = {kDefaultMode, kDefaultX87};
  const proto::ReleasePlan race = TestPlan(Angular(2), RaceDesign(12, 4));
  const Mode flush = {kDefaultMode | kFlush, kDefaultX87};
  EXPECT_NE(sums_under(race, flush, false), sums_under(race, usual, false));
  EXPECT_EQ(sums_under(race, flush, true), sums_under(race, usual, false));
  const proto::ReleasePlan fourier = TestPlan(Gaussian(1), MonteCarloDesign(64));
  const Mode up = {kDefaultMode | kUp, kDefaultX87};
  EXPECT_NE(sums_under(fourier, up, false), sums_under(fourier, usual, false));
  EXPECT_EQ(sums_under(fourier, up, true), sums_under(fourier, usual, false));
}

}  // namespace
}  // namespace dpkde
