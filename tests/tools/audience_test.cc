// Who may see what beside a release: the curator at a terminal rows, counts and time; everybody, who reads logs and
// summaries, under add_remove nothing that depends on the number of records or on which of them is bad.

#include <cmath>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What was said by a build, and the summary it wrote, but for what the noise decides.
struct Said {
  int exit_code;
  std::string err, summary;
};

class AudienceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const CommandResult built =
        RunCommand("dpkde_build", {"index", "--input=" + folder_.Write("items.npy", Npy(TwoColumns(30), 2)),
                                   "--output=" + folder_.Path("index"), "--quiet"});
    ASSERT_EQ(built.exit_code, 0) << built.err;
  }

  // A whole command of each subcommand that reads private records, over files of these names.
  std::vector<std::string> Arguments(const std::string& subcommand, const std::string& input,
                                     const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {subcommand,
                                          "--input=" + folder_.Path(input),
                                          "--epsilon=1",
                                          "--output=" + folder_.Path("release"),
                                          "--summary_out=" + folder_.Path("summary"),
                                          "--overwrite"};
    if (subcommand == "density") arguments.insert(arguments.end(), {"--similarity=gaussian", "--bandwidth=1"});
    if (subcommand == "histogram") arguments.insert(arguments.end(), {"--index=" + folder_.Path("index"), "--votes=1"});
    if (subcommand == "classifier") arguments.push_back("--label_set=a,b");
    if (subcommand != "histogram") arguments.insert(arguments.end(), {"--domain_min=0,0", "--domain_max=4,4"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  Said Run(const std::string& subcommand, const std::string& input, const std::vector<std::string>& more,
           bool terminal = false) const {
    Surroundings surroundings;
    surroundings.terminal = terminal;
    const CommandResult result = RunCommand("dpkde_build", Arguments(subcommand, input, more), surroundings);
    // The digest and length of the release follow its noise.
    static const std::regex* const noisy = new std::regex("\"(bytes|sha256)\":[^,]*,");
    return {result.exit_code, result.err, std::regex_replace(FileBytes(folder_.Path("summary")), *noisy, "")};
  }

  std::string Labels(size_t count) const {
    std::string labels;
    for (size_t i = 0; i < count; ++i) absl::StrAppend(&labels, i % 2 == 0 ? "a\n" : "b\n");
    return labels;
  }

  const Folder folder_;
};

// Two data sets of different size; with a public guess of the number, everything that is said is public.
TEST_F(AudienceTest, WhatIsSaidOfAReleaseDoesNotDependOnTheNumberOfRecords) {
  for (const std::string subcommand : {"density", "classifier", "histogram"}) {
    SCOPED_TRACE(subcommand);
    std::vector<std::string> more = {"--neighboring=add_remove"};
    if (subcommand != "histogram") more.push_back("--expected_n=1000");
    if (subcommand == "classifier") more.push_back("--labels=" + folder_.Path("labels.txt"));
    std::vector<std::string> control = {"--neighboring=replace"};
    if (subcommand == "classifier") control.push_back("--labels=" + folder_.Path("labels.txt"));
    std::vector<Said> everybody, curator, replace;
    for (const size_t rows : {900, 20000}) {
      folder_.Write("records.npy", Npy(TwoColumns(rows), 2));
      folder_.Write("labels.txt", Labels(rows));
      everybody.push_back(Run(subcommand, "records.npy", more));
      curator.push_back(Run(subcommand, "records.npy", more, /*terminal=*/true));
      replace.push_back(Run(subcommand, "records.npy", control));
      for (const Said& said : {everybody.back(), curator.back(), replace.back()}) {
        ASSERT_EQ(said.exit_code, 0) << said.err;
      }
      // Where a terminal or the relation allows it, the number is there, and so are time and memory.
      EXPECT_THAT(curator.back().err, HasSubstr(absl::StrCat(rows, " rows read")));
      EXPECT_THAT(curator.back().err, HasSubstr("peak memory"));
      EXPECT_THAT(replace.back().err, HasSubstr(absl::StrCat(rows, " rows read")));
      EXPECT_THAT(replace.back().summary, HasSubstr(absl::StrCat("\"rows\":", rows)));
      EXPECT_THAT(replace.back().summary, HasSubstr("\"seconds\":"));
    }
    EXPECT_NE(everybody[0].err, "");
    EXPECT_EQ(everybody[0].err, everybody[1].err);
    EXPECT_EQ(everybody[0].summary, everybody[1].summary);
    // The summary is a file, whoever is at the terminal.
    EXPECT_EQ(curator[0].summary, curator[1].summary);
    EXPECT_NE(replace[0].err, replace[1].err);
    EXPECT_NE(replace[0].summary, replace[1].summary);
  }
}

// What is wrong with a file, in two data sets that differ in size and in which record is bad.
struct BadFiles {
  std::string name;
  std::string subcommand;
  std::string input;
  // Of a data set of so many rows, of which one is bad.
  std::string (*records)(size_t rows, size_t bad);
  std::vector<std::string> more = {};
  // Of the second file, whose name is side.txt or the like.
  std::string side = {};
  std::string (*side_bytes)(size_t rows, size_t bad) = nullptr;
  // What the curator sees of row 7 of 20.
  std::string shown;
};

std::string GoodNpy(size_t rows, size_t) { return Npy(TwoColumns(rows), 2); }

std::string NanNpy(size_t rows, size_t bad) {
  std::vector<float> values = TwoColumns(rows);
  values[2 * bad + 1] = NAN;
  return Npy(values, 2);
}

std::string CsvWith(size_t rows, size_t bad, const std::string& line) {
  std::string text;
  for (size_t i = 0; i < rows; ++i) text += i == bad ? line : "1.5,2.5\n";
  return text;
}

std::string LinesWith(size_t rows, size_t bad, const std::string& ordinary, const std::string& line) {
  std::string text;
  for (size_t i = 0; i < rows; ++i) text += i == bad ? line : ordinary;
  return text;
}

TEST_F(AudienceTest, WhatIsSaidOfABadRecordDoesNotSayWhich) {
  const std::vector<BadFiles> cases = {
      {"npy nan", "density", "r.npy", NanNpy, {}, {}, nullptr, "row 7, column 1 (counting from 0): is nan"},
      {"csv word",
       "density",
       "r.csv",
       [](size_t n, size_t k) { return CsvWith(n, k, "1.5,HIV\n"); },
       {"--csv_header=absent"},
       {},
       nullptr,
       "row 7, column 1 (counting from 0; line 8 of the file): is not a number"},
      {"csv ragged",
       "density",
       "r.csv",
       [](size_t n, size_t k) { return CsvWith(n, k, "1,2,3\n"); },
       {"--csv_header=absent"},
       {},
       nullptr,
       "row 7 (counting from 0; line 8 of the file): has 3 cells instead of 2"},
      {"csv quote",
       "density",
       "r.csv",
       [](size_t n, size_t k) { return CsvWith(n, k, "1,\"2\n"); },
       {"--csv_header=absent"},
       {},
       nullptr,
       "row 7 (counting from 0; line 8 of the file): ends inside quotes"},
      {"fvecs ragged",
       "density",
       "r.fvecs",
       [](size_t n, size_t k) {
         std::vector<std::vector<float>> rows(n, {1, 2});
         rows[k] = {1, 2, 3};
         return Fvecs(rows);
       },
       {},
       {},
       nullptr,
       "row 7 (counting from 0): has 3 columns instead of 2"},
      {"npy truncated",
       "density",
       "r.npy",
       [](size_t n, size_t) {
         const std::string bytes = GoodNpy(n, 0);
         return bytes.substr(0, bytes.size() - 3);
       },
       {},
       {},
       nullptr,
       "promises 20 rows, but it holds only 19"},
      {"npy with rest",
       "density",
       "r.npy",
       [](size_t n, size_t) { return GoodNpy(n, 0) + std::string(n, 'x'); },
       {},
       {},
       nullptr,
       "has 20 bytes after its last row"},
      {"weight too large",
       "density",
       "r.npy",
       GoodNpy,
       {"--weight_bound=1"},
       "w.csv",
       [](size_t n, size_t k) { return LinesWith(n, k, "0.5\n", "17.25\n"); },
       "weight of row 7 (counting from 0): must be between 0 and 1"},
      {"weight no number",
       "density",
       "r.npy",
       GoodNpy,
       {"--weight_bound=1"},
       "w.csv",
       [](size_t n, size_t k) { return LinesWith(n, k, "0.5\n", "HIV\n"); },
       "row 7, column 0 (counting from 0; line 8 of the file): is not a number"},
      {"weights too few",
       "density",
       "r.npy",
       GoodNpy,
       {"--weight_bound=1"},
       "w.npy",
       [](size_t, size_t k) { return Npy(std::vector<float>(k, 0.5f), 1); },
       "has 7 weights, but"},
      {"weights as text too few",
       "density",
       "r.npy",
       GoodNpy,
       {"--weight_bound=1"},
       "w.csv",
       [](size_t, size_t k) { return LinesWith(k, k, "0.5\n", ""); },
       "ends before row 7 (counting from 0)"},
      {"weights too many",
       "density",
       "r.npy",
       GoodNpy,
       {"--weight_bound=1"},
       "w.csv",
       [](size_t n, size_t) { return LinesWith(n + 1, n + 1, "0.5\n", ""); },
       "row 20 (counting from 0) has no record"},
      {"classifier nan",
       "classifier",
       "r.npy",
       NanNpy,
       {},
       "l.txt",
       [](size_t n, size_t) { return LinesWith(n, n, "a\n", ""); },
       "row 7, column 1 (counting from 0): is nan"},
      {"label unknown",
       "classifier",
       "r.npy",
       GoodNpy,
       {},
       "l.txt",
       [](size_t n, size_t k) { return LinesWith(n, k, "a\n", "HIV\n"); },
       "row 7 (counting from 0"},
      {"labels too few",
       "classifier",
       "r.npy",
       GoodNpy,
       {},
       "l.txt",
       [](size_t, size_t k) { return LinesWith(k, k, "a\n", ""); },
       "has 7 labels, but"},
      {"labels of text too few",
       "classifier",
       "r.csv",
       [](size_t n, size_t) { return CsvWith(n, n, ""); },
       {"--csv_header=absent"},
       "l.txt",
       [](size_t, size_t k) { return LinesWith(k, k, "a\n", ""); },
       "ends before row 7 (counting from 0)"},
      {"labels of text too many",
       "classifier",
       "r.csv",
       [](size_t n, size_t) { return CsvWith(n, n, ""); },
       {"--csv_header=absent"},
       "l.txt",
       [](size_t n, size_t) { return LinesWith(n + 1, n + 1, "a\n", ""); },
       "row 20 (counting from 0) has no record"},
      {"histogram nan", "histogram", "r.npy", NanNpy, {}, {}, nullptr, "row 7, column 1 (counting from 0): is nan"},
      {"histogram csv",
       "histogram",
       "r.csv",
       [](size_t n, size_t k) { return CsvWith(n, k, "HIV,1\n"); },
       {"--csv_header=absent"},
       {},
       nullptr,
       "row 7, column 0 (counting from 0; line 8 of the file): is not a number"},
      {"histogram far",
       "histogram",
       "r.npy",
       [](size_t n, size_t k) {
         std::vector<float> values = TwoColumns(n);
         values[2 * k] = 1e30f;
         return Npy(values, 2);
       },
       {},
       {},
       nullptr,
       "row 7 (counting from 0): the squared norm must be at most"},
  };
  for (const BadFiles& test : cases) {
    SCOPED_TRACE(test.name);
    std::vector<std::string> more = {"--neighboring=add_remove", "--quiet"};
    more.insert(more.end(), test.more.begin(), test.more.end());
    if (test.subcommand != "histogram") more.push_back("--expected_n=1000");
    if (!test.side.empty()) {
      more.push_back(
          absl::StrCat(test.subcommand == "classifier" ? "--labels=" : "--weights=", folder_.Path(test.side)));
    }
    const auto write = [&](size_t rows, size_t bad) {
      folder_.Write(test.input, test.records(rows, bad));
      if (!test.side.empty()) folder_.Write(test.side, test.side_bytes(rows, bad));
    };
    write(20, 7);
    const Said few = Run(test.subcommand, test.input, more);
    const Said curator = Run(test.subcommand, test.input, more, /*terminal=*/true);
    write(3000, 1234);
    const Said many = Run(test.subcommand, test.input, more);
    EXPECT_EQ(few.exit_code, 2) << few.err;
    EXPECT_EQ(few.err, many.err);
    EXPECT_THAT(few.err, Not(HasSubstr(test.shown)));
    EXPECT_THAT(few.err, HasSubstr("a terminal shows"));
    EXPECT_EQ(curator.exit_code, 2);
    EXPECT_THAT(curator.err, HasSubstr(test.shown));
    for (const Said& said : {few, curator, many}) {
      EXPECT_THAT(said.err, Not(::testing::ContainsRegex("HIV|17\\.25|1e\\+?30"))) << "the value of a cell";
    }
  }
}

// Public files keep their rows, whoever reads.
TEST_F(AudienceTest, PublicFilesKeepTheirRows) {
  folder_.Write("r.npy", GoodNpy(20, 0));
  folder_.Write("reference.npy", NanNpy(50, 33));
  const Said reference =
      Run("density", "r.npy",
          {"--neighboring=add_remove", "--expected_n=20", "--reference=" + folder_.Path("reference.npy")});
  EXPECT_EQ(reference.exit_code, 2);
  EXPECT_THAT(reference.err, HasSubstr("reference.npy: row 33, column 1 (counting from 0): is nan"));
  ASSERT_EQ(Run("density", "r.npy", {"--neighboring=add_remove"}).exit_code, 0);
  const CommandResult queries =
      QueryDensity(folder_.Path("release"), folder_.Write("queries.csv", CsvWith(20, 7, "1,two\n")));
  EXPECT_EQ(queries.exit_code, 2);
  EXPECT_THAT(queries.err, HasSubstr("row 7, column 1"));
}

}  // namespace
}  // namespace dpkde
