// VoteAccumulator and Histogram: sensitivities by brute force, the guarantee by an event-ratio test, noise in every
// count, files.
#include "dpkde/sketch/histogram.h"

#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "dpkde/designs/design.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"
#include "dpkde/privacy/gaussian_calibration.h"
#include "dpkde/sketch/histogram_parts.h"
#include "dpkde/sketch/vote_accumulator.h"
#include "tests/testing/raw_sums.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {
namespace {

using Votes = std::vector<uint32_t>;

constexpr auto kAddRemove = Neighboring::kAddRemove;
constexpr auto kReplace = Neighboring::kReplace;

proto::HistogramPlan MakePlan(int items, uint32_t votes, const PrivacySpec& privacy) {
  proto::HistogramPlan plan;
  for (int i = 0; i < items; ++i) plan.add_item(absl::StrCat("d", i));
  plan.set_votes(votes);
  plan.set_mechanism(privacy.allows_gaussian() ? proto::GAUSSIAN : proto::LAPLACE);
  *plan.mutable_privacy() = privacy.ToProto();
  plan.set_capacity(uint64_t{1} << 40);
  plan.add_asserted_public("items");
  return plan;
}

VoteAccumulator MakeAccumulator(const proto::HistogramPlan& plan, const std::vector<Votes>& records = {}) {
  auto accumulator = VoteAccumulator::Create(plan);
  EXPECT_TRUE(accumulator.ok()) << accumulator.status();
  for (const Votes& votes : records) EXPECT_TRUE(accumulator->Add(votes).ok());
  return *std::move(accumulator);
}

Histogram Release(const proto::HistogramPlan& plan, const std::vector<Votes>& records, BitSource& source) {
  auto histogram = MakeAccumulator(plan, records).Privatize(source);
  EXPECT_TRUE(histogram.ok()) << histogram.status();
  return *std::move(histogram);
}

PrivacySpec Pure(double epsilon, Neighboring neighboring = kAddRemove) {
  return *PrivacySpec::Pure(epsilon, neighboring);
}

proto::HistogramRelease Message(const Histogram& histogram) {
  proto::HistogramRelease message;
  const std::string bytes = histogram.Serialize();
  EXPECT_TRUE(message.ParseFromString(std::string(OpenEnvelope("votes", Histogram::kVersion, bytes)->payload)));
  return message;
}

// Every set of votes that a record may cast, over few items: the largest L1 and L2 of what one step between neighbours
// changes are the declared ones exactly.
TEST(VoteAccumulatorTest, SensitivitiesAreExact) {
  for (int items = 1; items <= 6; ++items) {
    for (int votes = 1; votes <= items; ++votes) {
      const proto::HistogramPlan plan = MakePlan(items, votes, Pure(1));
      std::vector<std::vector<int64_t>> added;
      for (int mask = 0; mask < 1 << items; ++mask) {
        Votes record;
        for (int i = 0; i < items; ++i) {
          if (mask >> i & 1) record.push_back(i);
        }
        VoteAccumulator accumulator = MakeAccumulator(plan);
        if (accumulator.Add(record).ok()) added.push_back(RawSumsTestPeer::Total(accumulator));
      }
      ASSERT_GT(added.size(), 1u);
      Sensitivity most[2];  // add_remove, replace
      for (const auto& a : added) {
        for (const auto& b : added) {
          uint64_t l1 = 0;
          for (int i = 0; i < items; ++i) l1 += std::abs(a[i] - b[i]);
          const double square = static_cast<double>(l1) * kGridUnit;  // each changed count by one unit
          const bool from_nothing = std::all_of(b.begin(), b.end(), [](int64_t value) { return value == 0; });
          for (int replace = from_nothing ? 0 : 1; replace < 2; ++replace) {
            most[replace].l1 = std::max(most[replace].l1, l1);
            most[replace].l2 = std::max(most[replace].l2, static_cast<uint64_t>(std::ceil(std::sqrt(square))));
          }
        }
      }
      const CoordinateGroup group = VoteGroups(items, votes)[0];
      EXPECT_EQ(group.add_remove.l1, most[0].l1) << items << " " << votes;
      EXPECT_EQ(group.add_remove.l2, most[0].l2) << items << " " << votes;
      EXPECT_EQ(group.replace.l1, most[1].l1) << items << " " << votes;
      EXPECT_EQ(group.replace.l2, most[1].l2) << items << " " << votes;
      EXPECT_EQ(group.count, static_cast<size_t>(items));
    }
  }
  // Of many items: k and sqrt(k), 2 k and sqrt(2 k), rounded up.
  const CoordinateGroup group = VoteGroups(1000, 50)[0];
  EXPECT_EQ(group.add_remove.l1, 50u << 20);
  EXPECT_EQ(group.replace.l1, 100u << 20);
  EXPECT_EQ(group.add_remove.l2, static_cast<uint64_t>(std::ceil(std::sqrt(50.0) * kGridUnit)));
  EXPECT_EQ(group.replace.l2, 10u << 20);
}

// Whoever casts the votes: the norms are held here.
TEST(VoteAccumulatorTest, RefusesVotesThatCountTooMuch) {
  VoteAccumulator accumulator = MakeAccumulator(MakePlan(4, 2, Pure(1)));
  ASSERT_TRUE(accumulator.Add({}).ok());
  EXPECT_EQ(accumulator.Add({0, 1, 2}).message(), "votes of record 1 (counting from 0): must be at most 2");
  EXPECT_EQ(accumulator.Add({3, 3}).message(), "votes of record 1 (counting from 0): must be for different items");
  EXPECT_EQ(accumulator.Add({4}).message(), "votes of record 1 (counting from 0): must be below 4");
  EXPECT_EQ(RawSumsTestPeer::Total(accumulator), std::vector<int64_t>(4, 0));
  SeededBitSource source(1);
  ASSERT_TRUE(std::move(accumulator).Privatize(source).ok());
  EXPECT_EQ(std::move(accumulator).Privatize(source).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(accumulator.Add({0}).code(), absl::StatusCode::kFailedPrecondition);

  proto::HistogramPlan plan = MakePlan(4, 2, Pure(1));
  plan.set_capacity(2);
  VoteAccumulator small = MakeAccumulator(plan, {{0}, {1}});
  EXPECT_EQ(small.Add({2}).code(), absl::StatusCode::kResourceExhausted);
}

TEST(VoteAccumulatorTest, ShardsAddUpInAnyOrder) {
  const proto::HistogramPlan plan = MakePlan(5, 2, Pure(1));
  const std::vector<Votes> records = {{0, 1}, {1, 2}, {4}, {1, 0}, {3, 4}};
  VoteAccumulator whole = MakeAccumulator(plan, records);
  VoteAccumulator a = MakeAccumulator(plan, {{3, 4}, {1, 2}}), b = MakeAccumulator(plan, {{4}, {0, 1}, {0, 1}});
  ASSERT_TRUE(a.Merge(std::move(b)).ok());
  EXPECT_EQ(RawSumsTestPeer::Total(a), RawSumsTestPeer::Total(whole));
  EXPECT_EQ(RawSumsTestPeer::Total(whole)[1], 3 * kGridUnit);
  EXPECT_EQ(b.Add({0}).code(), absl::StatusCode::kFailedPrecondition);
  VoteAccumulator other = MakeAccumulator(MakePlan(5, 3, Pure(1)));
  EXPECT_EQ(a.Merge(std::move(other)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(a.Merge(std::move(a)).code(), absl::StatusCode::kInvalidArgument);
}

TEST(VoteAccumulatorTest, RefusesPlansByName) {
  const auto message = [](const auto& change) {
    proto::HistogramPlan plan = MakePlan(4, 2, Pure(1));
    change(plan);
    return std::string(VoteAccumulator::Create(plan).status().message());
  };
  using Plan = proto::HistogramPlan;
  EXPECT_EQ(message([](Plan&) {}), "");
  EXPECT_EQ(message([](Plan& p) { p.clear_item(); }),
            "number of items must be at least 1 and at most 134217728, but is 0");
  EXPECT_EQ(message([](Plan& p) { p.set_votes(5); }), "votes must be at least 1 and at most 4, but is 5");
  EXPECT_EQ(message([](Plan& p) { p.set_votes(0); }), "votes must be at least 1 and at most 4, but is 0");
  EXPECT_EQ(message([](Plan& p) { p.set_item(2, "d0"); }), "item 'd0' comes twice");
  EXPECT_EQ(message([](Plan& p) { p.set_item(2, ""); }), "an item has no name");
  EXPECT_EQ(message([](Plan& p) { p.set_threshold(NAN); }), "threshold must be finite, but is nan");
  EXPECT_EQ(message([](Plan& p) { p.set_threshold(-INFINITY); }), "threshold must be finite, but is -inf");
  EXPECT_EQ(message([](Plan& p) { p.set_mechanism(proto::KNORM); }),
            "the mechanism of a histogram must be laplace or gaussian");
  EXPECT_EQ(message([](Plan& p) { p.set_mechanism(proto::GAUSSIAN); }),
            "the gaussian mechanism needs delta or rho: it cannot be pure");
  EXPECT_EQ(message([](Plan& p) { p.set_collection("short"); }), "the collection's fingerprint must have 32 bytes");
  EXPECT_EQ(message([](Plan& p) { p.set_capacity(0); }),
            "capacity must be at least 1 and at most 1099511627776, but is 0");
  EXPECT_TRUE(absl::StrContains(message([](Plan& p) { p.mutable_privacy()->set_epsilon(NAN); }), "epsilon"));
  EXPECT_TRUE(absl::StrContains(message([](Plan& p) { p.mutable_privacy()->clear_neighboring(); }), "neighboring"));
  EXPECT_TRUE(absl::StrContains(message([](Plan& p) { p.mutable_privacy()->set_epsilon(1e-13); }), "too small"));
}

// The kind whose variance a count sees: L1 = k grows faster than L2 = sqrt(k).
TEST(VoteAccumulatorTest, ChoosesTheNoiseOfLeastVariance) {
  const auto choose = [](uint64_t votes, const PrivacySpec& privacy) { return *ChooseVoteNoise(1000, votes, privacy); };
  EXPECT_EQ(choose(1, Pure(1)), proto::LAPLACE);
  EXPECT_EQ(choose(100, Pure(1)), proto::LAPLACE);
  for (const Neighboring relation : {kAddRemove, kReplace}) {
    const PrivacySpec approximate = *PrivacySpec::Approximate(1, 1e-6, relation);
    EXPECT_EQ(choose(1, approximate), proto::LAPLACE);
    EXPECT_EQ(choose(50, approximate), proto::GAUSSIAN);
    EXPECT_EQ(choose(1, *PrivacySpec::Zcdp(0.1, relation)), proto::GAUSSIAN);
    for (const uint64_t votes : {1, 3, 9, 30}) {
      const auto groups = VoteGroups(1000, votes);
      const double chosen = Mechanism::Calibrate(choose(votes, approximate), groups, approximate)->variances()[0];
      for (const auto kind : {proto::LAPLACE, proto::GAUSSIAN}) {
        EXPECT_LE(chosen, Mechanism::Calibrate(kind, groups, approximate)->variances()[0]);
      }
    }
  }
  EXPECT_FALSE(ChooseVoteNoise(1000, 1, Pure(1e-13)).ok());
}

// The worst neighbours and the event that tells them apart best, by the released counts: votes for `gone` (REPLACE)
// against votes for `come`. Pure: all of `come` at least 1 and all of `gone` at most 0, whose ratio is e^epsilon.
// Gaussian: the linear statistic beyond its middle, whose difference is delta(0) of the declared mu.
struct EventCase {
  const char* name;
  PrivacySpec promised;
  PrivacySpec control;  // nine tenths of the noise
  Votes gone, come;
  int draws;
};

double Excess(const EventCase& test, const PrivacySpec& privacy, uint64_t seed) {
  const proto::HistogramPlan plan = MakePlan(3, 2, privacy);
  const bool gaussian = privacy.allows_gaussian();
  SeededBitSource source(seed);
  double share[2];
  for (const int with : {0, 1}) {
    int hits = 0;
    for (int i = 0; i < test.draws; ++i) {
      const Votes& votes = with == 1 ? test.come : test.gone;
      const Histogram histogram =
          Release(plan, votes.empty() && test.gone.empty() ? std::vector<Votes>{} : std::vector<Votes>{votes}, source);
      bool hit = true;
      double sum = 0;
      for (const uint32_t item : test.come) {
        if (std::count(test.gone.begin(), test.gone.end(), item) > 0) continue;
        hit &= histogram.count(item) >= 1;
        sum += histogram.count(item) - 0.5;
      }
      for (const uint32_t item : test.gone) {
        if (std::count(test.come.begin(), test.come.end(), item) > 0) continue;
        hit &= histogram.count(item) <= 0;
        sum -= histogram.count(item) - 0.5;
      }
      hits += gaussian ? sum >= 0 : hit;
    }
    share[with] = static_cast<double>(hits) / test.draws;
  }
  const double factor = gaussian ? 1 : std::exp(test.promised.epsilon());
  const double slack =
      gaussian ? *GaussianDelta(0, VoteAccumulator::Create(MakePlan(3, 2, test.promised))->mechanism().guarantee().mu)
               : 0;
  const double variance = (share[1] * (1 - share[1]) + factor * factor * share[0] * (1 - share[0])) / test.draws;
  return (share[1] - factor * share[0] - slack) / std::sqrt(variance);
}

// Power: at epsilon = 2 the Laplace event has probability 1/4 or 1/8 with the record; 60,000 draws a side put the
// control 6 standard errors and more beyond, as at mu = 1 the Gaussian one.
TEST(HistogramTest, EventRatioIsWithinTheGuaranteeAndOfWeakerNoiseIsNot) {
  const std::vector<EventCase> cases = {
      {"laplace add_remove", Pure(2), Pure(2 / 0.9), {}, {0, 1}, 60000},
      {"laplace replace", Pure(2, kReplace), Pure(2 / 0.9, kReplace), {0, 1}, {2}, 120000},
      {"gaussian add_remove",
       *PrivacySpec::Zcdp(0.5, kAddRemove),
       *PrivacySpec::Zcdp(0.5 / 0.81, kAddRemove),
       {},
       {0, 1},
       60000},
      {"gaussian replace",
       *PrivacySpec::Zcdp(0.5, kReplace),
       *PrivacySpec::Zcdp(0.5 / 0.81, kReplace),
       {0, 1},
       {2},
       60000},
  };
  for (const EventCase& test : cases) {
    const double excess = Excess(test, test.promised, 1), control = Excess(test, test.control, 2);
    std::printf("%-20s excess %.1f, control %.1f standard errors\n", test.name, excess, control);
    EXPECT_LE(excess, 6) << test.name;
    EXPECT_GT(control, 6) << test.name;
  }
}

// Of many releases: every count, voted for or not, has the mean that it should have and the declared noise. The control
// has nine tenths of the noise.
TEST(HistogramTest, EveryCountIsUnbiasedAndNoised) {
  constexpr int kItems = 30, kReleases = 3000;
  const std::vector<Votes> records = {{0, 1}, {0, 2}, {0, 1}, {3, 4}, {0, 29}};
  std::vector<double> exact(kItems);
  for (const Votes& votes : records) {
    for (const uint32_t item : votes) ++exact[item];
  }
  // The farthest mean of a count, in standard errors, and the mean square over all counts, both by `declared` noise.
  const auto measure = [&](const proto::HistogramPlan& plan, double declared, double& farthest, double& mean_square) {
    std::vector<double> sum(kItems);
    SeededBitSource source(3);
    mean_square = 0;
    for (int i = 0; i < kReleases; ++i) {
      const Histogram histogram = Release(plan, records, source);
      for (int j = 0; j < kItems; ++j) {
        const double noise = (histogram.count(j) - exact[j]) / declared;
        EXPECT_NE(noise, 0);
        sum[j] += noise;
        mean_square += noise * noise / kItems / kReleases;
      }
    }
    farthest = 0;
    for (int j = 0; j < kItems; ++j) farthest = std::max(farthest, std::abs(sum[j]) / std::sqrt(kReleases));
  };
  const struct {
    PrivacySpec privacy, control;
  } cases[] = {{Pure(1), Pure(1 / 0.9)},
               {Pure(1, kReplace), Pure(1 / 0.9, kReplace)},
               {*PrivacySpec::Zcdp(0.1, kAddRemove), *PrivacySpec::Zcdp(0.1 / 0.81, kAddRemove)}};
  for (const auto& test : cases) {
    SeededBitSource source(4);
    const proto::HistogramPlan plan = MakePlan(kItems, 2, test.privacy);
    const double declared = Release(plan, {}, source).std_error();
    double farthest, mean_square;
    measure(plan, declared, farthest, mean_square);
    EXPECT_LE(farthest, 6);
    // 90,000 squares; those of Laplace noise have variance 5: a standard error of 0.0075.
    EXPECT_NEAR(mean_square, 1, 0.045);
    measure(MakePlan(kItems, 2, test.control), declared, farthest, mean_square);
    EXPECT_LT(mean_square, 1 - 0.045);
  }
}

TEST(HistogramTest, NobodyAtAllGetsAnOrdinaryRelease) {
  SeededBitSource source(4);
  const Histogram histogram = Release(MakePlan(100, 3, Pure(1)), {}, source);
  std::set<int64_t> different;
  const proto::HistogramRelease message = Message(histogram);
  for (const int64_t value : message.count()) {
    EXPECT_NE(value, 0);
    different.insert(value);
  }
  EXPECT_GT(different.size(), 95u);
  EXPECT_TRUE(Histogram::Deserialize(histogram.Serialize()).ok());
}

TEST(HistogramTest, ThresholdsActOnNoisedCounts) {
  SeededBitSource source(5);
  std::vector<Votes> records(200, Votes{7});
  records.resize(300, Votes{3});
  const Histogram histogram = Release(MakePlan(50, 1, Pure(1)), records, source);
  const std::vector<uint32_t> above = histogram.Above(20);
  EXPECT_EQ(above, (std::vector<uint32_t>{7, 3}));
  EXPECT_EQ(histogram.Above(-1e9).size(), 50u);
  for (const double threshold : {-3.0, 0.0, 2.0}) {
    const std::vector<uint32_t> items = histogram.Above(threshold);
    size_t expected = 0;
    for (size_t i = 0; i < 50; ++i) expected += histogram.count(i) > threshold;
    EXPECT_EQ(items.size(), expected);
    EXPECT_GT(items.size(), 2u) << "counts that nobody voted for pass as noise does";
    for (size_t i = 0; i + 1 < items.size(); ++i) EXPECT_GE(histogram.count(items[i]), histogram.count(items[i + 1]));
  }
}

TEST(HistogramTest, DrawsInProportionToWhatIsAboveTheThreshold) {
  SeededBitSource source(6);
  std::vector<Votes> records(200, Votes{7});
  records.resize(300, Votes{3});
  records.resize(330, Votes{0});
  const Histogram histogram = Release(MakePlan(50, 1, Pure(1)), records, source);
  constexpr size_t kDraws = 100000;
  const auto chi_square = [&](const std::vector<uint32_t>& drawn, double threshold) {
    std::vector<double> weight(50), times(50);
    double total = 0, value = 0;
    for (size_t i = 0; i < 50; ++i) total += weight[i] = std::max(histogram.count(i) - threshold, 0.0);
    for (const uint32_t item : drawn) ++times[item];
    for (size_t i = 0; i < 50; ++i) {
      const double expected = weight[i] / total * kDraws;
      if (expected == 0) {
        EXPECT_EQ(times[i], 0) << i;
      } else {
        value += (times[i] - expected) * (times[i] - expected) / expected;
      }
    }
    return value;
  };
  const auto drawn = histogram.Draw(kDraws, 10, 1);
  ASSERT_TRUE(drawn.ok());
  // Two degrees of freedom: 27.6 at 1e-6.
  EXPECT_LE(chi_square(*drawn, 10), 27.6);
  EXPECT_GT(chi_square(*drawn, 13), 27.6) << "another threshold is told apart";
  EXPECT_EQ(*histogram.Draw(kDraws, 10, 1), *drawn);
  EXPECT_NE(*histogram.Draw(kDraws, 10, 2), *drawn);
  // The first of them, on every machine.
  EXPECT_EQ(std::vector<uint32_t>(drawn->begin(), drawn->begin() + 8), (std::vector<uint32_t>{7, 7, 7, 7, 7, 7, 0, 0}));

  EXPECT_EQ(histogram.Draw(0, 10, 1)->size(), 0u);
  EXPECT_EQ(histogram.Draw(5, 1000, 1).status().message(), "no noised count is above the threshold, 1000");
  EXPECT_EQ(histogram.Draw(5, NAN, 1).status().message(), "threshold must be finite, but is nan");
  EXPECT_EQ(histogram.Draw(5, -1e308, 1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(HistogramTest, CertifiesWhatWasConsumed) {
  SeededBitSource source(7);
  const Histogram pure = Release(MakePlan(9, 4, Pure(0.5)), {}, source);
  EXPECT_LE(pure.certificate().epsilon_spent(), 0.5);
  EXPECT_GT(pure.certificate().epsilon_spent(), 0.5 - 1e-6);
  EXPECT_EQ(pure.certificate().delta_spent(), 0);
  EXPECT_EQ(pure.certificate().l1_sensitivity(), 4u << 20);
  EXPECT_NEAR(pure.certificate().l2_sensitivity(), 2 << 20, 1);
  EXPECT_NEAR(pure.std_error(), std::sqrt(2.0) * 4 / 0.5, 0.01);
  const Histogram replace = Release(MakePlan(9, 4, Pure(0.5, kReplace)), {}, source);
  EXPECT_EQ(replace.certificate().l1_sensitivity(), 8u << 20);
  const Histogram gaussian = Release(MakePlan(9, 4, *PrivacySpec::Approximate(1, 1e-6, kAddRemove)), {}, source);
  EXPECT_LE(gaussian.certificate().delta_spent(), 1e-6);
  EXPECT_GT(gaussian.certificate().delta_spent(), 0.99e-6);
  EXPECT_NEAR(gaussian.std_error(), 2 * 4.225, 0.01);
  const Histogram rho = Release(MakePlan(9, 4, *PrivacySpec::Zcdp(0.1, kAddRemove)), {}, source);
  EXPECT_LE(rho.certificate().rho_spent(), 0.1 * (1 + 1e-12));
  EXPECT_GT(rho.certificate().rho_spent(), 0.0999);
  const std::string text = pure.DebugString();
  EXPECT_TRUE(absl::StrContains(text, "items             9 (public)")) << text;
  EXPECT_TRUE(absl::StrContains(text, "votes             4 distinct items a record")) << text;
  EXPECT_TRUE(absl::StrContains(text, "sensitivity       L1 4194304, L2 2.09715e+06")) << text;
}

Histogram Small() {
  SeededBitSource source(8);
  proto::HistogramPlan plan = MakePlan(6, 2, Pure(1));
  plan.set_threshold(1.5);
  plan.set_collection(std::string(32, 'x'));
  return Release(plan, {{0, 1}, {1, 2}}, source);
}

TEST(HistogramTest, SurvivesItsBytesAndNoticesDamage) {
  const Histogram histogram = Small();
  const std::string bytes = histogram.Serialize();
  EXPECT_TRUE(Histogram::IsHistogram(bytes));
  EXPECT_FALSE(Histogram::IsHistogram(SealEnvelope("release", 1, "")));
  EXPECT_FALSE(Histogram::IsHistogram(""));
  const auto copy = Histogram::Deserialize(bytes);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(copy->Serialize(), bytes);
  EXPECT_EQ(copy->DebugString(), histogram.DebugString());
  EXPECT_EQ(copy->threshold(), 1.5);
  EXPECT_EQ(copy->item(2), "d2");
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(Histogram::Deserialize(bytes.substr(0, i)).ok()) << i;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[i] ^= 1 << bit;
      EXPECT_FALSE(Histogram::Deserialize(flipped).ok()) << i << " " << bit;
    }
  }
  EXPECT_FALSE(Histogram::Deserialize(bytes + '\0').ok());
  EXPECT_EQ(Histogram::Deserialize(SealEnvelope("votes", Histogram::kVersion + 1, "")).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Histogram::Deserialize(SealEnvelope("release", 1, "")).status().code(), absl::StatusCode::kDataLoss);
}

// A file of the first version of the format, as it was released.
TEST(HistogramTest, ReadsVersionOne) {
  const auto bytes = ReadFile("tests/testdata/histogram_v1", 1 << 20);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto histogram = Histogram::Deserialize(*bytes);
  ASSERT_TRUE(histogram.ok()) << histogram.status();
  ASSERT_EQ(histogram->size(), 4u);
  const double counts[] = {1.914241791, -3.578009605, -1.714118958, -3.878202438};
  const char* const names[] = {"north", "south", "east", "west"};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(histogram->count(i), counts[i], 1e-8);
    EXPECT_EQ(histogram->item(i), names[i]);
  }
  EXPECT_EQ(histogram->threshold(), 1.5);
  EXPECT_EQ(histogram->plan().votes(), 2u);
  EXPECT_NEAR(histogram->certificate().epsilon_spent(), 1, 1e-6);
  EXPECT_EQ(histogram->Serialize(), *bytes);
}

// Behind a valid checksum: errors or a histogram, never a crash and never a large allocation (run under ASan).
TEST(HistogramTest, ForgedPayloadsAreRefusedOrRead) {
  google::protobuf::SetLogHandler(nullptr);  // it complains of each on stderr
  const std::string payload = Message(Small()).SerializeAsString();
  int read = 0;
  for (size_t i = 0; i < payload.size(); ++i) {
    for (const int change : {1, 0x40, 0xff}) {
      std::string forged = payload;
      forged[i] ^= change;
      read += Histogram::Deserialize(SealEnvelope("votes", Histogram::kVersion, forged)).ok();
    }
    EXPECT_FALSE(Histogram::Deserialize(SealEnvelope("votes", Histogram::kVersion, payload.substr(0, i))).ok());
  }
  EXPECT_GT(read, 0);
  EXPECT_LT(read, static_cast<int>(2 * payload.size()));
}

TEST(HistogramTest, LoadingIsBuilding) {
  const Histogram histogram = Small();
  const auto refused = [&](const auto& change) {
    proto::HistogramRelease message = Message(histogram);
    change(message);
    return Histogram::Deserialize(SealEnvelope("votes", Histogram::kVersion, message.SerializeAsString()))
               .status()
               .code() == absl::StatusCode::kDataLoss;
  };
  using Message = proto::HistogramRelease;
  EXPECT_FALSE(refused([](Message&) {}));
  EXPECT_FALSE(refused([](Message& m) { m.mutable_plan()->set_threshold(-7); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->set_threshold(INFINITY); }));
  EXPECT_TRUE(refused([](Message& m) { m.add_count(0); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_count()->RemoveLast(); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->set_item(1, "d0"); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->set_votes(7); }));
  // More votes, or less epsilon, than the noise pays for.
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->set_votes(3); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->mutable_privacy()->set_epsilon(0.9); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->mutable_privacy()->set_neighboring(proto::REPLACE); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_certificate()->set_epsilon_spent(0.9); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_scales()->set_scale(0, m.scales().scale(0) * 9 / 10); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_scales()->Clear(); }));
  EXPECT_TRUE(refused([](Message& m) { m.mutable_plan()->set_collection("x"); }));
}

// Datasets that differ in their number of records only: nothing but the noised counts differs.
TEST(HistogramTest, TellsTheNoisedCountsAndNothingElse) {
  std::vector<std::string> rests;
  for (const size_t n : {3, 70}) {
    SeededBitSource source(9);
    const Histogram histogram = Release(MakePlan(6, 2, Pure(1)), std::vector<Votes>(n, Votes{0, 1}), source);
    proto::HistogramRelease message = Message(histogram);
    message.clear_count();
    rests.push_back(message.SerializeAsString());
    const proto::HistogramRelease outline = histogram.Outline();
    EXPECT_EQ(outline.count_size(), 0);
    EXPECT_EQ(outline.plan().item_size(), 0);
  }
  EXPECT_EQ(rests[0], rests[1]);
}

}  // namespace
}  // namespace dpkde
