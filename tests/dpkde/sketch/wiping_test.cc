#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dpkde/base/thread_pool.h"
#include "dpkde/base/wipe.h"
#include "dpkde/io/envelope.h"
#include "dpkde/sketch/accumulator.h"
#include "dpkde/sketch/release.h"
#include "tests/testing/raw_sums.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

// Memory that is given back holds neither raw sums nor noise: operator delete looks.

namespace {

constexpr size_t kMostSecrets = 4096;
int64_t secrets[kMostSecrets];
size_t secret_count = 0;  // 0: nobody looks
int64_t found = 0;

void Look(void* memory) {
  if (memory == nullptr || secret_count == 0) return;
  const size_t words = malloc_usable_size(memory) / sizeof(int64_t);
  for (size_t i = 0; i < words; ++i) {
    int64_t word;
    std::memcpy(&word, static_cast<const char*>(memory) + i * sizeof(word), sizeof(word));
    for (size_t s = 0; s < secret_count; ++s) found += word == secrets[s];
  }
}

}  // namespace

void* operator new(std::size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, malloc_usable_size(memory));  // of what this test itself has freed
  return memory;
}
void operator delete(void* memory) noexcept {
  Look(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  Look(memory);
  std::free(memory);
}

namespace dpkde {
namespace {

// Looks for these while it lives. Small numbers are everywhere and prove nothing.
class Search {
 public:
  explicit Search(const std::vector<int64_t>& values) {
    found = 0;
    size_t count = 0;
    for (const int64_t value : values) {
      if (std::abs(value) > (int64_t{1} << 16) && count < kMostSecrets) secrets[count++] = value;
    }
    EXPECT_GT(count, 5u);
    secret_count = count;
  }
  ~Search() { secret_count = 0; }
};

// Fails after some words, as a source may whose owner throws.
class FailingBitSource final : public BitSource {
 public:
  explicit FailingBitSource(int refills) : BitSource(1), left_(refills) {}

 private:
  void Refill(absl::Span<uint64_t> words) override {
    if (left_-- == 0) throw std::runtime_error("no more");
    words[0] = 0x9E3779B97F4A7C15ull * static_cast<uint64_t>(left_ + 12345);
  }
  int left_;
};

struct Case {
  Similarity similarity;
  proto::DesignSpec design;
  proto::Mechanism mechanism;
  bool weights;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const proto::Mechanism mechanism : {proto::LAPLACE, proto::KNORM, proto::GAUSSIAN}) {
    for (const bool weights : {false, true}) {
      cases.push_back({Gaussian(1), MonteCarloDesign(20), mechanism, weights});
      cases.push_back({Gaussian(1), LatticeDesign(1e-2), mechanism, weights});
      cases.push_back({Gaussian(1), SplineGridDesign({4, 4}), mechanism, weights});
    }
  }
  return cases;
}

Accumulator Filled(const Case& test, const Points& points, ThreadPool& pool) {
  proto::ReleasePlan plan;
  *plan.mutable_similarity() = test.similarity.spec();
  plan.set_dimension(2);
  *plan.mutable_domain() = Cube(2, -2, 2).ToProto();
  *plan.mutable_design() = test.design;
  plan.set_mechanism(test.mechanism);
  *plan.mutable_privacy() =
      (test.mechanism == proto::GAUSSIAN ? ApproximateAddRemove(1, 1e-6) : PureAddRemove(1)).ToProto();
  plan.set_capacity(1 << 20);
  if (test.weights) plan.mutable_weights()->set_bound(1);
  Accumulator accumulator = *Accumulator::Create(plan, Accumulator::BadRecords::kReplace, pool);
  const std::vector<float> weights(points.rows(), 0.75f);
  const absl::Status added = test.weights ? accumulator.Add(points.view(), weights) : accumulator.Add(points.view());
  EXPECT_TRUE(added.ok()) << added;
  return accumulator;
}

TEST(WipingTest, NothingIsLeftOfRawSumsAndNoise) {
  const Points points = UniformPoints(300, 2, -1.9, 1.9, 4);  // one chunk: its sums are all sums
  ThreadPool pool(2);
  for (const Case& test : Cases()) {
    std::vector<int64_t> values;
    {
      Accumulator accumulator = Filled(test, points, pool);
      values = RawSumsTestPeer::Total(accumulator);
      SeededBitSource source(7);
      const std::string bytes = std::move(accumulator).Privatize(source)->Serialize();
      proto::Release release;
      ASSERT_TRUE(release.ParseFromString(std::string(OpenEnvelope("release", Release::kVersion, bytes)->payload)));
      const int count = static_cast<int>(values.size());
      for (int j = 0; j < count; ++j) values.push_back(release.values(j) - values[j]);
    }
    const Search search(values);
    Accumulator accumulator = Filled(test, points, pool);
    Accumulator moved = std::move(accumulator);
    SeededBitSource source(7);
    EXPECT_TRUE(std::move(moved).Privatize(source).ok());
    EXPECT_EQ(found, 0) << test.design.ShortDebugString() << test.mechanism << test.weights;
  }
}

TEST(WipingTest, NothingIsLeftWhereARunFails) {
  const Points points = UniformPoints(300, 2, -1.9, 1.9, 4);
  ThreadPool pool(2);
  for (const Case& test : Cases()) {
    std::vector<int64_t> values = RawSumsTestPeer::Total(Filled(test, points, pool));
    const Search search(values);
    {
      Accumulator accumulator = Filled(test, points, pool);
      FailingBitSource source(20);
      EXPECT_EQ(std::move(accumulator).Privatize(source).status().code(), absl::StatusCode::kInternal);
      EXPECT_FALSE(accumulator.Add(points.view()).ok());
    }
    EXPECT_EQ(found, 0) << test.design.ShortDebugString() << test.mechanism << test.weights;
  }
}

// The control: what an ordinary vector held is found.
TEST(WipingTest, AnOrdinaryVectorLeavesItsValues) {
  std::vector<int64_t> values;
  for (int64_t i = 1; i < 10; ++i) values.push_back(i * 123456789);
  const Search search(values);
  { const PrivateVector<int64_t> wiped(values.begin(), values.end()); }
  EXPECT_EQ(found, 0);
  {
    PrivateVector<int64_t> grows;
    for (const int64_t value : values) grows.push_back(value);
  }
  EXPECT_EQ(found, 0);
  { const std::vector<int64_t> left(values); }
  EXPECT_EQ(found, 9);
}

}  // namespace
}  // namespace dpkde
