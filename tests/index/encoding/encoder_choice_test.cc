#include "dpkde/index/encoding/encoder_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/match.h"

namespace dpkde {
namespace {

// Documents of `tokens` words each, out of `words` unit vectors that lean towards a common direction.
TokenSets RandomDocuments(size_t count, size_t tokens, size_t words, size_t dimension, uint64_t seed) {
  boost::random::mt19937_64 engine(seed);
  boost::random::normal_distribution<double> normal(0.5, 1);
  std::vector<std::vector<float>> vocabulary(words);
  for (auto& word : vocabulary) {
    std::vector<double> values(dimension);
    double squares = 0;
    for (double& value : values) {
      value = normal(engine);
      squares += value * value;
    }
    for (double value : values) word.push_back(static_cast<float>(value / std::sqrt(squares)));
  }
  boost::random::uniform_int_distribution<size_t> pick(0, words - 1);
  TokenSets sets(dimension);
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> set;
    for (size_t t = 0; t < tokens; ++t) {
      const std::vector<float>& word = vocabulary[pick(engine)];
      set.insert(set.end(), word.begin(), word.end());
    }
    sets.Append({set.data(), tokens, dimension});
  }
  return sets;
}

EncoderChoice Choose(TokenSetsView documents, const EncoderChoiceOptions& options = {}) {
  ThreadPool pool(2);
  auto choice = ChooseEncoder(documents, options, pool);
  EXPECT_TRUE(choice.ok()) << choice.status();
  return *std::move(choice);
}

TEST(EncoderChoiceTest, TakesTheSmallestThatReachesTheTarget) {
  const TokenSets documents = RandomDocuments(250, 5, 150, 16, 1);
  EncoderChoiceOptions options;
  options.candidates = 100;
  options.target_recall = 0.8;
  options.margin = 0.05;
  const EncoderChoice choice = Choose(documents.view(), options);
  ASSERT_GE(choice.trials.size(), 3u) << choice.DebugString();
  const EncoderTrial* chosen = nullptr;
  for (const EncoderTrial& trial : choice.trials) {
    EXPECT_GE(trial.recall, 0);
    EXPECT_LE(trial.recall, 1);
    if (!trial.chosen) continue;
    EXPECT_EQ(chosen, nullptr);
    chosen = &trial;
  }
  ASSERT_NE(chosen, nullptr);
  EXPECT_GE(chosen->recall, 0.85) << choice.DebugString();
  for (const EncoderTrial& trial : choice.trials) {
    if (trial.recall >= 0.85) {
      EXPECT_GE(trial.dimension, chosen->dimension) << choice.DebugString();
    }
  }
  EXPECT_EQ(choice.encoder->dimension(), chosen->dimension);
  EXPECT_TRUE(choice.encoder->spec().has_regression());
  EXPECT_TRUE(absl::StrContains(choice.reason, chosen->name)) << choice.reason;
  EXPECT_TRUE(absl::StrContains(choice.DebugString(), "fde, oblivious")) << choice.DebugString();
  // The encoder is whole: it encodes what was held out as well.
  ThreadPool pool(1);
  std::vector<float> out(250 * choice.encoder->dimension());
  EXPECT_TRUE(choice.encoder->EncodeDocuments(documents.view(), pool, absl::MakeSpan(out)).ok());
}

TEST(EncoderChoiceTest, TakesTheBestWhereNoneReachesTheTarget) {
  const TokenSets documents = RandomDocuments(200, 4, 5000, 12, 2);
  EncoderChoiceOptions options;
  options.k = 5;
  options.candidates = 5;
  options.target_recall = 1;
  const EncoderChoice choice = Choose(documents.view(), options);
  double best = 0, chosen = -1;
  for (const EncoderTrial& trial : choice.trials) {
    best = std::max(best, trial.recall);
    if (trial.chosen) chosen = trial.recall;
  }
  ASSERT_LT(best, 1) << choice.DebugString();
  EXPECT_EQ(chosen, best);
  EXPECT_TRUE(absl::StrContains(choice.reason, "no encoder reached the target")) << choice.reason;
}

TEST(EncoderChoiceTest, TooFewDocumentsToMeasure) {
  for (size_t count : {0, 1, 49}) {
    const EncoderChoice choice = Choose(RandomDocuments(count, 3, 20, 24, 3).view());
    EXPECT_TRUE(choice.trials.empty());
    EXPECT_TRUE(choice.encoder->spec().has_fde());
    EXPECT_EQ(choice.encoder->token_dimension(), 24u);
    EXPECT_TRUE(absl::StrContains(choice.reason, "too few to measure with")) << choice.reason;
  }
  // Documents without tokens do not count.
  TokenSets empty(4);
  for (int i = 0; i < 100; ++i) empty.Append({nullptr, 0, 4});
  EXPECT_TRUE(Choose(empty.view()).trials.empty());
}

TEST(EncoderChoiceTest, Refusals) {
  ThreadPool pool(1);
  const TokenSets documents = RandomDocuments(60, 3, 20, 4, 4);
  const auto error = [&](auto change) {
    EncoderChoiceOptions options;
    change(options);
    return std::string(ChooseEncoder(documents.view(), options, pool).status().message());
  };
  EXPECT_EQ(error([](auto& o) { o.k = 0; }), "k must be at least 1 and at most 1048576, but is 0");
  EXPECT_EQ(error([](auto& o) { o.candidates = 9; }),
            "candidates must be at least 10 and at most 1099511627776, but is 9");
  EXPECT_EQ(error([](auto& o) { o.target_recall = 1.5; }),
            "target_recall must be greater than 0 and at most 1, but is 1.5");
  EXPECT_EQ(error([](auto& o) { o.margin = -1; }), "margin must be at least 0 and at most 0.5, but is -1");
  const TokenSets bad(4, std::vector<float>(60 * 4, std::numeric_limits<float>::quiet_NaN()), [] {
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i <= 60; ++i) offsets.push_back(i);
    return offsets;
  }());
  EXPECT_EQ(ChooseEncoder(bad.view(), {}, pool).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace dpkde
