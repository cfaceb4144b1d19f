// What no private record, label or weight may decide, whatever bytes it holds: whether there is a release, how many
// records there are where that number is public, and what the others count as.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/output_text.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr size_t kRows = 30;

// Lines with the bytes of the first, a middle and the last one replaced.
std::string WithBytes(const std::vector<std::string>& lines, const std::string& bytes) {
  std::vector<std::string> changed = lines;
  changed.front() = changed[kRows / 2] = changed.back() = bytes;
  return absl::StrCat(absl::StrJoin(changed, "\n"), "\n");
}

// Whatever somebody may have written, or a program that went wrong.
std::vector<std::string> Bytes() {
  std::string all;
  for (int c = 255; c >= 0; --c) {
    if (c != '\n') all.push_back(static_cast<char>(c));
  }
  return {"",
          " \t",
          "\"",
          "\"1,2",
          "1,\"2",
          "\r",
          "1,2\r3,4",
          "\r1,2\r\r",
          "\xff\xfe",
          "\xfe\xff,1",
          "\xef\xbb\xbf",
          std::string("1,2\0", 4),
          "x,y",
          "NA,null",
          "1,2,3,4,5",
          "1e999,-1e999",
          "nan,inf",
          all,
          std::string((size_t{4} << 20) + 17, '"')};
}

std::string Named(const std::string& bytes) { return absl::StrCat("bytes: ", bytes.substr(0, 30)); }

std::string Records(const std::string& release) {
  const CommandResult described = RunCommand("dpkde_query", {"describe", release});
  for (const absl::string_view line : absl::StrSplit(described.out, '\n')) {
    if (line.substr(0, 7) == "records") return std::string(line);
  }
  return described.err;
}

class PrivateRowsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<float> values = TwoColumns(kRows);
    for (size_t r = 0; r < kRows; ++r) {
      rows_.push_back(absl::StrCat(values[2 * r], ",", values[2 * r + 1]));
      labels_.push_back(values[2 * r] > 2 ? "high" : "low");
      weights_.push_back("0.5");
    }
    good_rows_ = inputs_.Write("rows.csv", absl::StrCat(absl::StrJoin(rows_, "\n"), "\n"));
    good_labels_ = inputs_.Write("labels.txt", absl::StrCat(absl::StrJoin(labels_, "\n"), "\n"));
  }

  CommandResult Density(const std::string& input, const Flags& changes) const {
    Flags flags = {{"input", input}, {"output", Output()}, {"overwrite", "true"}, {"csv_header", "absent"}, {"dim", "2"}};
    for (const auto& [name, value] : changes) flags[name] = value;
    return BuildDensity(flags);
  }

  CommandResult Classifier(const std::string& input, const std::string& labels,
                           std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"classifier",         "--input=" + input, "--labels=" + labels,
                                          "--epsilon=50",        "--domain_min=0",   "--domain_max=4",
                                          "--label_set=low,high", "--dim=2",          "--csv_header=absent",
                                          "--overwrite",         "--output=" + Output()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    if (std::find(more.begin(), more.end(), "--neighboring=replace") == more.end()) {
      arguments.insert(arguments.end(), {"--neighboring=add_remove", "--expected_n=300"});
    }
    return RunCommand("dpkde_build", arguments);
  }

  std::string Output() const { return outputs_.Path("release"); }

  Folder inputs_, outputs_;
  std::vector<std::string> rows_, labels_, weights_;
  std::string good_rows_, good_labels_;
};

TEST_F(PrivateRowsTest, NoRecordDecidesWhetherADensityIsReleased) {
  for (const std::string& bytes : Bytes()) {
    SCOPED_TRACE(Named(bytes));
    const std::string text = WithBytes(rows_, bytes);
    const std::string input = inputs_.Write("fuzz.csv", text);
    CommandResult result = Density(input, {{"bad_records", "replace"}});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    result = Density(input, {{"bad_records", "replace"}, {"neighboring", "replace"}});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("30 rows read"));
    // Behind a header.
    const std::string behind = inputs_.Write("header.csv", absl::StrCat("x,y\n", text));
    result = Density(behind, {{"bad_records", "replace"}, {"neighboring", "replace"}, {"csv_header", "present"}});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("30 rows read"));
    // By default the run fails, and no number is released.
    result = Density(input, {{"neighboring", "replace"}});
    EXPECT_EQ(result.exit_code, 2) << result.err;
  }
  EXPECT_EQ(Density(inputs_.Write("fuzz.csv", WithBytes(rows_, "")), {{"bad_records", "replace"}, {"neighboring", "replace"}}).exit_code, 0);
  EXPECT_THAT(Records(Output()), HasSubstr(" 30 (public)"));
}

TEST_F(PrivateRowsTest, NoWeightDecidesWhetherADensityIsReleased) {
  for (const std::string& bytes : Bytes()) {
    SCOPED_TRACE(Named(bytes));
    const std::string weights = inputs_.Write("weights.csv", WithBytes(weights_, bytes));
    const std::string input = inputs_.Write("fuzz.csv", WithBytes(rows_, bytes));
    Flags flags = {{"weights", weights}, {"weight_bound", "1"}, {"neighboring", "replace"}};
    EXPECT_EQ(Density(good_rows_, flags).exit_code, 2);
    flags["bad_records"] = "replace";
    CommandResult result = Density(good_rows_, flags);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    flags["neighboring"] = "add_remove";
    result = Density(input, flags);
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
}

TEST_F(PrivateRowsTest, NoLabelDecidesWhetherAClassifierIsReleased) {
  for (const std::string& bytes : Bytes()) {
    SCOPED_TRACE(Named(bytes));
    const std::string input = inputs_.Write("fuzz.csv", WithBytes(rows_, bytes));
    for (const char* name : {"labels.txt", "labels.csv"}) {
      const std::string labels = inputs_.Write(absl::StrCat("fuzz_", name), WithBytes(labels_, bytes));
      EXPECT_EQ(Classifier(good_rows_, labels).exit_code, 2);
      CommandResult result = Classifier(good_rows_, labels, {"--bad_records=replace"});
      EXPECT_EQ(result.exit_code, 0) << result.err;
      result = Classifier(input, labels, {"--bad_records=replace", "--neighboring=replace"});
      EXPECT_EQ(result.exit_code, 0) << result.err;
      EXPECT_THAT(result.err, HasSubstr("30 rows read"));
    }
  }
}

TEST_F(PrivateRowsTest, NoRecordDecidesWhetherAHistogramIsReleased) {
  const std::string index = inputs_.Path("index");
  const CommandResult built = RunCommand("dpkde_build", {"index", "--input=" + good_rows_, "--output=" + index});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  for (const std::string& bytes : Bytes()) {
    SCOPED_TRACE(Named(bytes));
    const std::string input = inputs_.Write("fuzz.csv", WithBytes(rows_, bytes));
    for (const char* relation : {"add_remove", "replace"}) {
      std::vector<std::string> arguments = {"histogram", "--input=" + input,     "--index=" + index,
                                            "--votes=1", "--epsilon=1",          absl::StrCat("--neighboring=", relation),
                                            "--csv_header=absent", "--overwrite", "--output=" + Output()};
      if (std::string(relation) == "replace") {
        EXPECT_EQ(RunCommand("dpkde_build", arguments).exit_code, 2);
      }
      arguments.push_back("--bad_records=replace");
      const CommandResult result = RunCommand("dpkde_build", arguments);
      EXPECT_EQ(result.exit_code, 0) << result.err;
      if (std::string(relation) == "replace") {
        EXPECT_THAT(result.err, HasSubstr("30 rows read"));
      }
    }
  }
}

// The number of records is released as it is, so no first record may be taken for a header.
TEST_F(PrivateRowsTest, TextUnderReplaceNeedsAStatedHeader) {
  const std::vector<std::string> phrases = {"--neighboring=replace", "--csv_header=present or --csv_header=absent"};
  for (const char* file : {"a.csv", "a.tsv"}) {
    const std::string rows = inputs_.Write(file, "1\n2\n");
    ExpectRefusal(Density(rows, {{"neighboring", "replace"}, {"csv_header", kMissing}, {"dim", kMissing}}),
                  "dpkde_build", 1, phrases);
    ExpectRefusal(Density(rows, {{"neighboring", "replace"}, {"csv_header", "detect"}, {"dim", kMissing}}),
                  "dpkde_build", 1, phrases);
    EXPECT_EQ(Density(rows, {{"csv_header", kMissing}, {"dim", kMissing}}).exit_code, 0) << "under add_remove";
  }
  const std::string npy = inputs_.Write("rows.npy", Npy(TwoColumns(kRows), 2));
  const std::string weights = inputs_.Write("w.csv", absl::StrCat(absl::StrJoin(weights_, "\n"), "\n"));
  const Flags weighted = {{"neighboring", "replace"}, {"csv_header", kMissing}, {"weights", weights}, {"weight_bound", "1"}};
  ExpectRefusal(Density(npy, weighted), "dpkde_build", 1, {"--weights as text", "--csv_header"});
  EXPECT_EQ(Density(npy, {{"neighboring", "replace"}, {"csv_header", kMissing}}).exit_code, 0);
  EXPECT_EQ(Classifier(good_rows_, good_labels_, {"--neighboring=replace"}).exit_code, 0);
  std::vector<std::string> classifier = {
      "classifier",     "--input=" + good_rows_, "--labels=" + good_labels_, "--label_set=low,high",
      "--domain_min=0", "--domain_max=4",        "--epsilon=1",              "--neighboring=replace",
      "--output=" + outputs_.Path("c")};
  ExpectRefusal(RunCommand("dpkde_build", classifier), "dpkde_build", 1, phrases);
}

// Under add_remove an empty file is as good as any: what tells the number of columns must not be a record.
TEST_F(PrivateRowsTest, TextUnderAddRemoveNeedsItsNumberOfColumns) {
  const std::string none = inputs_.Write("none.csv", ""), one = inputs_.Write("one.csv", "1,2\n");
  for (const std::string& input : {none, one}) {
    Flags flags = {{"similarity", "cosine"}, {"bandwidth", kMissing}, {"domain_min", kMissing},
                   {"domain_max", kMissing}, {"dim", kMissing},       {"expected_n", "1"}};
    for (const char* header : {"absent", "detect"}) {
      flags["csv_header"] = header;
      ExpectRefusal(Density(input, flags), "dpkde_build", 1, {"--dim, a domain, or --csv_header=present"});
    }
    flags["dim"] = "2";
    EXPECT_EQ(Density(input, flags).exit_code, 0);
  }
  EXPECT_EQ(Density(none, {{"dim", kMissing}}).exit_code, 0) << "of one column";
  EXPECT_EQ(Density(none, {{"dim", kMissing}, {"domain_min", "0,0"}}).exit_code, 0);
  EXPECT_EQ(Density(inputs_.Write("header.csv", "x,y\n"), {{"dim", kMissing}, {"csv_header", "present"}}).exit_code, 0);
}

// 100 records of each class in a corner of their own, and 100 in a third one whose labels are none of the set: the mean
// similarity of that corner to a class is 1/2 where they count, and 0 elsewhere. Noise is far below.
TEST_F(PrivateRowsTest, LabelsOutsideTheSetCountAsStated) {
  std::string rows, labels;
  for (int r = 0; r < 300; ++r) {
    rows += r % 3 == 0 ? "0,0\n" : r % 3 == 1 ? "0,4\n" : "4,4\n";
    labels += r % 3 == 0 ? "low\n" : r % 3 == 1 ? "high\n" : r % 2 == 0 ? "\n" : "HIV\n";
  }
  const std::string input = inputs_.Write("corners.csv", rows), path = inputs_.Write("corners.txt", labels);
  const struct {
    bool replace;
    const char* other;
    double low, high;
  } cases[] = {
      {false, "", 0, 0},
      {true, "", 0.5, 0},
      {false, "high", 0, 0.5},
      {true, "high", 0, 0.5},
  };
  Surroundings query;
  query.standard_input = "4,4\n";
  for (const auto& test : cases) {
    SCOPED_TRACE(absl::StrCat(test.replace, " ", test.other));
    std::vector<std::string> flags = {"--bad_records=replace", "--similarity=gaussian", "--bandwidth=1"};
    if (test.replace) flags.push_back("--neighboring=replace");
    if (test.other[0] != 0) flags.push_back(absl::StrCat("--other_label=", test.other));
    const CommandResult built = Classifier(input, path, flags);
    ASSERT_EQ(built.exit_code, 0) << built.err;
    EXPECT_THAT(built.err, Not(HasSubstr("HIV")));
    const CommandResult answer = RunCommand("dpkde_query", {"classify", "--release=" + Output(), "--queries=-"}, query);
    ASSERT_EQ(answer.exit_code, 0) << answer.err;
    const google::protobuf::Struct line = ParseJson(answer.out);
    const google::protobuf::ListValue& scores = line.fields().at("scores").list_value();
    EXPECT_NEAR(scores.values(0).number_value(), test.low, 0.2) << answer.out;
    EXPECT_NEAR(scores.values(1).number_value(), test.high, 0.2) << answer.out;
  }
  ExpectRefusal(Classifier(input, path), "dpkde_build", 2, {path, "a record: has no label"});
  const std::string strange = inputs_.Write("strange.txt", absl::StrReplaceAll(labels, {{"\n\n", "\nHIV\n"}}));
  const CommandResult refused = Classifier(input, strange);
  ExpectRefusal(refused, "dpkde_build", 2, {strange, "a record: has a label that is not in --label_set"});
  EXPECT_THAT(refused.err, Not(HasSubstr("HIV")));
  // The other label is for those that are none of the set, not for those that are missing.
  EXPECT_EQ(Classifier(input, strange, {"--other_label=high"}).exit_code, 0);
  EXPECT_EQ(Classifier(input, path, {"--other_label=high"}).exit_code, 2);
  ExpectRefusal(Classifier(input, path, {"--other_label=none"}), "dpkde_build", 1, {"--other_label", "'none'"});
}

// A file that lacks a line is another matter: it is of the whole, and found before anything is released.
TEST_F(PrivateRowsTest, FilesThatDoNotBelongTogetherAreRefused) {
  std::vector<std::string> fewer = labels_;
  fewer.pop_back();
  const std::string labels = inputs_.Write("fewer.txt", absl::StrCat(absl::StrJoin(fewer, "\n"), "\n"));
  ExpectRefusal(Classifier(good_rows_, labels, {"--bad_records=replace", "--neighboring=replace"}), "dpkde_build", 2,
                {labels, "has 29 labels, but", "has 30 rows", "row 29"});
  ExpectRefusal(Classifier(good_rows_, labels, {"--bad_records=replace"}), "dpkde_build", 2,
                {labels, "must have as many labels as"});
  const std::string weights = inputs_.Write("fewer.csv", "1\n1\n");
  ExpectRefusal(Density(good_rows_, {{"weights", weights}, {"weight_bound", "1"}, {"bad_records", "replace"}}),
                "dpkde_build", 2, {weights, "must have as many weights as"});
  // Blank lines behind the last row are none.
  const std::string longer = inputs_.Write("longer.txt", FileBytes(good_labels_) + "\n\n");
  EXPECT_EQ(Classifier(good_rows_, longer, {"--bad_records=replace"}).exit_code, 0);
  EXPECT_EQ(Classifier(good_rows_, longer).exit_code, 0);
  EXPECT_EQ(outputs_.List().size(), 1u);
}

}  // namespace
}  // namespace dpkde
