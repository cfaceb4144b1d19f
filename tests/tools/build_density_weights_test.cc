// Weighted sums by "dpkde_build density": files of weights, what is refused, what the release says.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class WeightsTest : public ::testing::Test {
 protected:
  CommandResult Build(const std::string& weights, const Flags& changes, bool terminal = false) const {
    Surroundings surroundings;
    surroundings.terminal = terminal;
    Flags flags = {{"input", input_}, {"output", release_}, {"weights", weights}, {"weight_bound", "2"}};
    for (const auto& [name, value] : changes) flags[name] = value;
    return BuildDensity(flags, surroundings);
  }

  // The sum at the only place where there are records.
  double Sum() const {
    Surroundings queries;
    queries.standard_input = "1,2\n";
    const CommandResult result = QueryDensity(release_, "-", {"--output_format=tsv"}, queries);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
    double sum = NAN;
    EXPECT_TRUE(lines.size() >= 2 &&
                absl::SimpleAtod(std::vector<std::string>(absl::StrSplit(lines[1], '\t'))[1], &sum));
    return sum;
  }

  static std::vector<float> Ramp() {
    std::vector<float> weights;
    for (int i = 0; i < 400; ++i) weights.push_back(static_cast<float>(i % 5) / 2);
    return weights;
  }

  static std::vector<float> Place() {
    std::vector<float> values;
    for (int i = 0; i < 400; ++i) values.insert(values.end(), {1, 2});
    return values;
  }

  const Folder inputs_, outputs_;
  const std::string input_ = inputs_.Write("rows.npy", Npy(Place(), 2));
  const std::string release_ = outputs_.Path("release");
  const Flags precise_ = {{"epsilon", "100"}, {"expected_n", "400"}, {"overwrite", "true"}};
};

TEST_F(WeightsTest, FilesOfEveryKind) {
  // sum of weights: 400 * 1 = 400; noise at epsilon = 100 is below one bound.
  for (const std::string& weights :
       {inputs_.Write("a.npy", Npy(Ramp(), 1)), inputs_.Write("a.csv", Csv(Ramp(), 1)),
        inputs_.Write("b.csv", "weight\n" + Csv(Ramp(), 1)), inputs_.Write("a.tsv", Csv(Ramp(), 1))}) {
    const CommandResult result = Build(weights, precise_);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NEAR(Sum(), 400, 10) << weights;
  }
  const CommandResult described = RunCommand("dpkde_query", {"describe", release_});
  EXPECT_THAT(described.out, HasSubstr("weights           in [0, 2]"));
  EXPECT_THAT(described.out, HasSubstr("sum of weights"));
  EXPECT_THAT(described.out, HasSubstr("weight bound"));  // asserted to be public
  // One-dimensional .npy, as numpy.save writes a vector of weights.
  std::string npy = Npy(Ramp(), 1);
  const size_t shape = npy.find("(400, 1)");
  ASSERT_NE(shape, std::string::npos);
  npy.replace(shape, 8, "(400,)  ");
  ASSERT_EQ(Build(inputs_.Write("flat.npy", npy), precise_).exit_code, 0);
  EXPECT_NEAR(Sum(), 400, 10);
}

TEST_F(WeightsTest, SignedWeights) {
  std::vector<float> weights = Ramp();
  for (size_t i = 0; i < 200; ++i) weights[i] = -weights[i];
  weights[7] = 2;
  Flags flags = precise_;
  flags["signed_weights"] = "true";
  const CommandResult result = Build(inputs_.Write("a.npy", Npy(weights, 1)), flags);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NEAR(Sum(), 3, 10);
  EXPECT_THAT(RunCommand("dpkde_query", {"describe", release_}).out, HasSubstr("in [-2, 2]"));
}

// Under replace the sum of weights stays private, though the number of records is not.
TEST_F(WeightsTest, SumOfWeightsIsNoisedUnderReplace) {
  const CommandResult result = Build(inputs_.Write("a.npy", Npy(Ramp(), 1)), {{"neighboring", "replace"}});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(RunCommand("dpkde_query", {"describe", release_}).out, HasSubstr("(noised)"));
}

TEST_F(WeightsTest, DryRunNeedsTheBoundOnly) {
  const Flags dry = {{"weights", kMissing}, {"dry_run", "true"}, {"neighboring", "replace"}};
  const CommandResult result = Build("", dry);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("of the sum of weights, in bounds: 1"));
}

TEST_F(WeightsTest, BadWeightsAreReplacedWhenAskedFor) {
  std::vector<float> weights = Ramp();
  weights[0] = NAN;   // 0
  weights[5] = 1000;  // 2
  weights[10] = -3;   // 0
  Flags flags = precise_;
  flags["bad_records"] = "replace";
  const CommandResult result = Build(inputs_.Write("a.npy", Npy(weights, 1)), flags);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NEAR(Sum(), 402, 10);
}

TEST_F(WeightsTest, RefusesFlagsThatDoNotFit) {
  const std::string weights = inputs_.Write("a.npy", Npy(Ramp(), 1));
  const std::string text = inputs_.Write("a.csv", Csv(Ramp(), 1));
  const struct {
    Flags changes;
    int exit_code;
    std::vector<std::string> phrases;
  } cases[] = {
      {{{"weight_bound", kMissing}}, 1, {"--weight_bound is missing", "reveal"}},
      {{{"weights", kMissing}}, 1, {"--weight_bound needs --weights"}},
      {{{"weights", kMissing}, {"weight_bound", kMissing}, {"signed_weights", "true"}}, 1, {"--signed_weights needs"}},
      {{{"weight_bound", "0"}}, 1, {"--weight_bound must be finite and positive, but is 0"}},
      {{{"weight_bound", "-1"}}, 1, {"--weight_bound", "-1"}},
      {{{"weight_bound", "nan"}}, 1, {"--weight_bound", "nan"}},
      {{{"weight_bound", "inf"}}, 1, {"--weight_bound", "inf"}},
      {{{"weight_bound", "1e300"}}, 1, {"--weight_bound in float32", "inf"}},
      {{{"weight_bound", "1e-60"}}, 1, {"--weight_bound in float32"}},
      {{{"weight_bound", "one"}}, 1, {"malformed value 'one' of flag --weight_bound"}},
      {{{"output", weights}, {"overwrite", "true"}}, 1, {"--output", "is read"}},
      {{{"weights", text}, {"bad_records", "replace"}}, 1, {"--weights", "--csv_header", "malformed first weight"}},
      {{{"weight_bound", "0"}, {"epsilon", "0"}}, 1, {"--weight_bound"}},     // before privacy
      {{{"weights", "/nowhere/w.npy"}, {"epsilon", "0"}}, 4, {"--epsilon"}},  // before data
      {{{"weights", "/nowhere/w.npy"}}, 5, {"/nowhere/w.npy", "does not exist"}},
  };
  for (const auto& test : cases) {
    ExpectRefusal(Build(weights, test.changes), "dpkde_build", test.exit_code, test.phrases);
    EXPECT_THAT(outputs_.List(), IsEmpty());
  }
  EXPECT_EQ(FileBytes(weights), Npy(Ramp(), 1));
}

// Whatever is wrong with a weight is said with its file and row, and nothing is written.
TEST_F(WeightsTest, RefusesWeightsThatDoNotFit) {
  std::vector<float> nan = Ramp(), large = Ramp(), negative = Ramp(), longer = Ramp();
  nan[7] = NAN;
  large[13] = 2.5f;
  negative[20] = -0.5f;
  longer.push_back(1);
  const struct {
    std::string file, bytes;
    std::vector<std::string> phrases;
  } cases[] = {
      {"a.npy", Npy(nan, 1), {"row 7", "nan"}},
      {"a.csv", Csv(nan, 1), {"row 7", "nan"}},
      {"a.npy", Npy(large, 1), {"weight of row 13 (counting from 0): must be between 0 and 2"}},
      {"a.csv", Csv(large, 1), {"weight of row 13"}},
      {"a.npy", Npy(negative, 1), {"weight of row 20 (counting from 0): must be between 0 and 2"}},
      {"a.npy", Npy(longer, 1), {"has 401 weights", "has 400 rows", "row 400"}},
      {"a.npy", Npy({1, 1}, 1), {"has 2 weights", "row 2"}},
      {"a.npy", Npy({}, 1), {"has 0 weights", "row 0"}},
      {"a.csv", Csv(longer, 1), {"row 400 (counting from 0) has no record"}},
      {"a.csv", "1\n1\n1\n", {"ends before row 3 (counting from 0)"}},
      {"a.csv", "", {"ends before row 0"}},
      {"a.npy", Npy(Place(), 2), {"2 columns"}},
      {"a.csv", "1,2\n", {"row 0", "2 cells instead of 1"}},
      {"a.csv", "1\ntwo\n", {"row 1", "not a number"}},
      {"a.npy", Npy(Ramp(), 1).substr(0, 500), {"truncated"}},
  };
  for (const auto& test : cases) {
    // Where the number of rows is public, private with a guess, and private with a noised count first.
    for (const Flags& mode : {Flags{{"neighboring", "replace"}}, Flags{{"expected_n", "400"}}, Flags{}}) {
      const std::string weights = inputs_.Write(test.file, test.bytes);
      std::vector<std::string> phrases = test.phrases;
      phrases.push_back(weights);
      const bool is_public = mode.count("neighboring") > 0;
      Flags quiet = mode;
      quiet["quiet"] = "true";
      if (is_public) quiet["csv_header"] = "absent";
      const CommandResult curator = Build(weights, quiet, /*terminal=*/!is_public);
      ExpectRefusal(curator, "dpkde_build", 2, phrases);
      EXPECT_THAT(curator.err, Not(::testing::ContainsRegex("2\\.5|-0\\.5")));
      if (!is_public) {
        const CommandResult log = Build(weights, mode);
        ExpectRefusal(log, "dpkde_build", 2, {weights});
        EXPECT_THAT(log.err, Not(::testing::ContainsRegex("row [0-9]|[0-9] (rows|weights)")));
      }
      EXPECT_THAT(outputs_.List(), IsEmpty());
    }
  }
  // Rows of text are counted while they are read.
  const std::string rows = inputs_.Write("rows.csv", "1,2\n1,2\n1,2\n");
  const std::string four = inputs_.Write("w.npy", Npy({1, 1, 1, 1}, 1));
  ExpectRefusal(Build(four, {{"input", rows}, {"quiet", "true"}}, /*terminal=*/true), "dpkde_build", 2,
                {"w.npy", "row 3 (counting from 0) has no record"});
  ExpectRefusal(Build(four, {{"input", rows}}), "dpkde_build", 2, {"w.npy: a row has no record"});
}

}  // namespace
}  // namespace dpkde
