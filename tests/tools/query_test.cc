// "dpkde_query density", "plot" and "describe".
#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/output_text.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// The columns of an answer, null as NaN.
using Answers = std::vector<std::vector<double>>;

Answers FromJsonLines(const std::string& text) {
  Answers answers;
  for (const std::string& line : Lines(text)) {
    const auto fields = ParseJson(line).fields();
    EXPECT_EQ(fields.at("query").number_value(), answers.size());
    std::vector<double> row;
    const auto push = [&](const google::protobuf::Value& value) {
      EXPECT_TRUE(value.has_number_value() || value.has_null_value());
      row.push_back(value.has_number_value() ? value.number_value() : NAN);
    };
    push(fields.at("sum"));
    push(fields.at("std_error"));
    EXPECT_EQ(fields.at("ci95").list_value().values_size(), 2);
    for (const auto& bound : fields.at("ci95").list_value().values()) push(bound);
    for (const char* name : {"bias_bound", "mean", "mean_std_error"}) push(fields.at(name));
    answers.push_back(row);
  }
  return answers;
}

Answers FromTsv(const std::string& text) {
  std::vector<std::string> lines = Lines(text);
  EXPECT_EQ(lines.front(), "query\tsum\tstd_error\tci95_low\tci95_high\tbias_bound\tmean\tmean_std_error");
  lines.erase(lines.begin());
  Answers answers;
  for (const std::string& line : lines) {
    const std::vector<std::string> cells = absl::StrSplit(line, '\t');
    EXPECT_EQ(cells.front(), absl::StrCat(answers.size()));
    std::vector<double> row;
    for (size_t i = 1; i < cells.size(); ++i) {
      double value = NAN;
      if (cells[i] != "null") {
        EXPECT_TRUE(absl::SimpleAtod(cells[i], &value)) << cells[i];
      }
      row.push_back(value);
    }
    answers.push_back(row);
  }
  return answers;
}

Answers FromNpy(const std::string& bytes, size_t rows) {
  const std::string shape = absl::StrCat("'descr': '<f8', 'fortran_order': False, 'shape': (", rows, ", 7)");
  EXPECT_THAT(bytes, StartsWith("\x93NUMPY"));
  EXPECT_THAT(bytes.substr(0, 128), HasSubstr(shape));
  const size_t values = rows * 7 * sizeof(double);
  EXPECT_GE(bytes.size(), values + 80);
  Answers answers(rows, std::vector<double>(7));
  for (size_t i = 0; i < rows; ++i) {
    std::memcpy(answers[i].data(), bytes.data() + bytes.size() - values + i * 7 * sizeof(double), 7 * sizeof(double));
  }
  return answers;
}

// Text has ten digits.
void ExpectSameAnswers(const Answers& a, const Answers& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size());
    for (size_t j = 0; j < a[i].size(); ++j) {
      EXPECT_EQ(std::isnan(a[i][j]), std::isnan(b[i][j])) << "row " << i << ", column " << j;
      if (std::isnan(a[i][j])) continue;
      EXPECT_NEAR(a[i][j], b[i][j], 1e-9 * std::abs(a[i][j])) << "row " << i << ", column " << j;
    }
  }
}

class QueryTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new Folder;
    const std::string input = folder_->Write("rows.npy", Npy(TwoColumns(3000), 2));
    const std::string narrow = folder_->Write("narrow.npy", Npy(std::vector<float>(50, 1), 1));
    // Under replace, so that the small releases have means.
    const auto build = [&](const std::string& name, const Flags& changes) {
      Flags flags = {{"input", input}, {"output", folder_->Path(name)}, {"neighboring", "replace"}};
      for (const auto& [flag, value] : changes) flags[flag] = value;
      const auto result = BuildDensity(flags);
      ASSERT_EQ(result.exit_code, 0) << result.err;
    };
    build("grid", {{"design", "spline_grid"}});
    build("lattice", {{"design", "lattice"}});
    build("random", {{"design", "monte_carlo"}, {"domain_min", kMissing}, {"domain_max", kMissing}});
    build("wide", {{"domain_min", "0,0"}, {"domain_max", "4,2"}});
    build("narrow", {{"input", narrow}});
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string Release(const std::string& name) { return folder_->Path(name); }

  const Folder inputs_, outputs_;

 private:
  static Folder* folder_;
};

Folder* QueryTest::folder_ = nullptr;

// Far from all records noise is as often negative; sums are not.
TEST_F(QueryTest, ProjectMovesAnswersIntoTheirRange) {
  std::vector<float> far;
  for (int i = 0; i < 60; ++i) far.insert(far.end(), {100.0f + i, 50});
  const std::string queries = inputs_.Write("far.npy", Npy(far, 2));
  int moved = 0;
  const auto plain = QueryDensity(Release("random"), queries, {"--output_format=tsv"});
  const auto projected = QueryDensity(Release("random"), queries, {"--output_format=tsv", "--project"});
  ASSERT_EQ(projected.exit_code, 0) << projected.err;
  const Answers before = FromTsv(plain.out), after = FromTsv(projected.out);
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i][0], std::min(std::max(before[i][0], 0.0), 3000.0));
    EXPECT_GE(after[i][2], 0);
    moved += before[i][0] < 0;
  }
  EXPECT_GT(moved, 5);
}

TEST_F(QueryTest, FormatsAgree) {
  const std::string queries = inputs_.Write("queries.npy", Npy(TwoColumns(50), 2));
  for (const char* name : {"grid", "lattice", "random"}) {
    SCOPED_TRACE(name);
    const auto json = QueryDensity(Release(name), queries);
    const auto tsv = QueryDensity(Release(name), queries, {"--output_format=tsv"});
    const auto npy = QueryDensity(Release(name), queries, {"--output_format=npy"});
    for (const auto* result : {&json, &tsv, &npy}) {
      EXPECT_EQ(result->exit_code, 0) << result->err;
      EXPECT_EQ(result->err, "");
    }
    const Answers answers = FromJsonLines(json.out);
    ASSERT_EQ(answers.size(), 50u);
    ExpectSameAnswers(answers, FromTsv(tsv.out));
    ExpectSameAnswers(answers, FromNpy(npy.out, 50));
    for (const std::vector<double>& row : answers) {
      EXPECT_GT(row[1], 0);
      EXPECT_LT(row[2], row[0]);
      EXPECT_GT(row[3], row[0]);
      EXPECT_NEAR(row[5], row[0] / 3000, 1e-6 * std::abs(row[0]));
    }
    EXPECT_EQ(std::isnan(answers[0][4]), std::string(name) == "random");  // no bound holds for random features
  }
}

TEST_F(QueryTest, ThreadsDoNotChangeAnswers) {
  const std::string queries = inputs_.Write("queries.npy", Npy(TwoColumns(10000), 2));
  std::set<std::string> answers;
  for (const char* threads : {"0", "1", "2", "5"}) {
    const auto result = QueryDensity(Release("grid"), queries, {absl::StrCat("--threads=", threads)});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    answers.insert(result.out);
  }
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(Lines(*answers.begin()).size(), 10000u);
}

TEST_F(QueryTest, StandardInput) {
  const std::vector<float> values = TwoColumns(30);
  const std::string expected = QueryDensity(Release("grid"), inputs_.Write("queries.csv", Csv(values, 2))).out;
  EXPECT_THAT(Lines(expected), ::testing::SizeIs(30));
  Surroundings surroundings;
  surroundings.standard_input = Csv(values, 2);
  EXPECT_EQ(QueryDensity(Release("grid"), "-", {}, surroundings).out, expected);
  surroundings.standard_input = "x,y\n" + Csv(values, 2);
  EXPECT_EQ(QueryDensity(Release("grid"), "-", {}, surroundings).out, expected);
  surroundings.standard_input = Fvecs({{values[0], values[1]}});
  EXPECT_EQ(QueryDensity(Release("grid"), "-", {"--input_format=fvecs"}, surroundings).out,
            expected.substr(0, expected.find('\n') + 1));
  surroundings.standard_input = "1,2\n3,nan\n";
  ExpectRefusal(QueryDensity(Release("grid"), "-", {}, surroundings), "dpkde_query", 2,
                {"standard input: row 1, column 1", "nan"});
  surroundings.standard_input = "1,2,3\n";
  ExpectRefusal(QueryDensity(Release("grid"), "-", {}, surroundings), "dpkde_query", 2,
                {"standard input: queries must have 2 columns", "3"});
}

TEST_F(QueryTest, HeaderIsTakenAsSaid) {
  const std::string queries = inputs_.Write("queries.csv", "1,2\n3,1\n");
  EXPECT_THAT(Lines(QueryDensity(Release("grid"), queries).out), ::testing::SizeIs(2));
  EXPECT_THAT(Lines(QueryDensity(Release("grid"), queries, {"--csv_header=present"}).out), ::testing::SizeIs(1));
  const std::string malformed = inputs_.Write("malformed.csv", "one,2\n3,1\n");
  ExpectRefusal(QueryDensity(Release("grid"), malformed, {"--csv_header=absent"}), "dpkde_query", 2,
                {malformed, "row 0, column 0", "not a number"});
}

TEST_F(QueryTest, NoQueriesHaveNoAnswers) {
  for (const std::string& queries : {inputs_.Write("a.csv", ""), inputs_.Write("b.csv", "x,y\n"),
                                     inputs_.Write("c.npy", Npy({}, 2)), inputs_.Write("d.fvecs", "")}) {
    const auto result = QueryDensity(Release("grid"), queries);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, "");
    FromNpy(QueryDensity(Release("grid"), queries, {"--output_format=npy"}).out, 0);
  }
}

TEST_F(QueryTest, RefusesBadQueries) {
  std::vector<float> late_nan = TwoColumns(6000), late_stranger = TwoColumns(6000);
  late_nan[5000 * 2 + 1] = NAN;
  late_stranger[5000 * 2] = 4.5;
  struct {
    std::string path;
    std::string release;
    std::vector<std::string> phrases;
  } const cases[] = {
      {inputs_.Write("wide.npy", Npy(TwoColumns(30), 3)), "grid", {"queries must have 2 columns", "3"}},
      {inputs_.Write("wide.csv", "1,2,3\n"), "grid", {"queries must have 2 columns", "3"}},
      {inputs_.Write("narrow.npy", Npy(TwoColumns(3), 1)), "random", {"queries must have 2 columns", "1"}},
      {inputs_.Write("nan.npy", Npy({1, 2, NAN, 4}, 2)), "grid", {"row 1, column 0 (counting from 0)", "nan"}},
      {inputs_.Write("nan.csv", "1,2\nnan,4\n"), "grid", {"row 1, column 0 (counting from 0", "nan"}},
      {inputs_.Write("late.npy", Npy(late_nan, 2)), "grid", {"row 5000, column 1 (counting from 0)", "nan"}},
      {inputs_.Write("ragged.csv", "1,2\n3\n"), "grid", {"row 1", "1 cells instead of 2"}},
      {inputs_.Write("cut.npy", Npy(TwoColumns(30), 2).substr(0, 200)), "grid", {"truncated"}},
      {inputs_.Write("stranger.csv", "1,2\n5,2\n"), "lattice", {"row 1 (counting from 0)", "outside the domain"}},
      {inputs_.Write("text.txt", "1,2\n"), "grid", {"ending"}},
  };
  for (const auto& [path, release, phrases] : cases) {
    SCOPED_TRACE(path);
    std::vector<std::string> all = phrases;
    all.push_back("dpkde_query: " + path + ": ");
    for (const char* format : {"jsonl", "npy"}) {
      ExpectRefusal(QueryDensity(Release(release), path, {absl::StrCat("--output_format=", format)}), "dpkde_query", 2,
                    all);
    }
  }
  // Beyond the first batch a query outside the domain is noticed only after answers were printed.
  const auto late = QueryDensity(Release("lattice"), inputs_.Write("late_stranger.npy", Npy(late_stranger, 2)));
  EXPECT_EQ(late.exit_code, 2);
  EXPECT_THAT(late.err, HasSubstr("late_stranger.npy: row 5000 (counting from 0): is outside the domain"));
  EXPECT_THAT(Lines(late.err), ::testing::SizeIs(1));
  // Other designs extend, but answer outside only if they are asked to.
  ExpectRefusal(QueryDensity(Release("grid"), inputs_.Path("stranger.csv")), "dpkde_query", 2,
                {"row 1 (counting from 0)", "outside the domain [0, 4] x [0, 4]", "--outside=null"});
  EXPECT_EQ(QueryDensity(Release("grid"), inputs_.Path("stranger.csv"), {"--outside=answer"}).exit_code, 0);
}

TEST_F(QueryTest, RefusesWrongCommandLines) {
  const std::string grid = Release("grid");
  const std::string queries = inputs_.Write("queries.csv", "1,2\n");
  const std::string picture = "--output=" + outputs_.Path("picture.png");
  const std::string flags = "--release=" + grid;
  struct {
    std::vector<std::string> arguments;
    int exit_code;
    std::vector<std::string> phrases;
  } const cases[] = {
      {{"densty"}, 1, {"unknown subcommand 'densty'"}},
      {{"--quiet", "density"}, 1, {"unknown subcommand '--quiet'"}},
      {{"density"}, 1, {"--release is missing"}},
      {{"density", flags}, 1, {"--queries is missing"}},
      {{"density", flags, "--queries"}, 1, {"flag --queries needs a value"}},
      {{"density", flags, "--queries=" + queries, "--widht=9"}, 1, {"unknown flag --widht"}},
      {{"density", flags, "--queries=" + queries, "--width=9"}, 1, {"--width is not taken by 'density'"}},
      {{"density", flags, "--queries=" + queries, "--noquiet=true"}, 1, {"--noquiet takes no value"}},
      {{"density", flags, "--queries=" + queries, "--output_format=xml"}, 1, {"--output_format must be one of", "xml"}},
      {{"density", flags, "--queries=" + queries, "--threads=-1"}, 1, {"--threads must be at least 0"}},
      {{"density", flags, "--queries=" + queries, "more"}, 1, {"unexpected operand 'more'"}},
      {{"density", flags, "--queries=" + queries, "--flagfile=x"}, 1, {"--flagfile"}},
      {{"describe"}, 1, {"operand FILE is missing"}},
      {{"describe", grid, grid}, 1, {"unexpected operand"}},
      {{"describe", grid, "--output_format=jsonl"}, 1, {"--output_format must be one of text, json"}},
      {{"describe", grid, "--threads=-2"}, 1, {"--threads"}},
      {{"describe", grid, "--queries=x"}, 1, {"--queries is not taken by 'describe'"}},
      {{"plot", picture}, 1, {"--release is missing"}},
      {{"plot", flags}, 1, {"--output is missing"}},
      {{"plot", flags, picture, "--width=0"}, 1, {"--width must be at least 16"}},
      {{"plot", flags, picture, "--width=wide"}, 1, {"malformed value 'wide' of flag --width"}},
      {{"plot", flags, picture, "--threads=-1"}, 1, {"--threads"}},
      {{"plot", flags, "--output=" + grid, "--overwrite"}, 1, {"--output", "is read"}},
      {{"plot", "--release=" + Release("narrow"), picture}, 1, {"2 dimensions"}},
      {{"plot", "--release=" + Release("random"), picture}, 1, {"2 dimensions with a domain"}},
      {{"plot", flags, "--output=" + outputs_.Path("missing/picture.png")}, 5, {"missing", "does not exist"}},
  };
  for (const auto& [arguments, exit_code, phrases] : cases) {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    ExpectRefusal(RunCommand("dpkde_query", arguments), "dpkde_query", exit_code, phrases);
  }
  EXPECT_THAT(outputs_.List(), IsEmpty());
  ExpectRefusal(RunCommand("dpkde_build", {"sketch"}), "dpkde_build", 1, {"unknown subcommand 'sketch'"});
  ExpectRefusal(RunCommand("dpkde_build", {"density", "file"}), "dpkde_build", 1, {"unexpected operand 'file'"});
}

TEST_F(QueryTest, FlagsMayBeWrittenInSeveralWays) {
  const std::string queries = inputs_.Write("-queries.csv", "1,2\n");
  const std::string expected = QueryDensity(Release("grid"), queries).out;
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"density", "--release", Release("grid"), "--queries", queries},
           {"density", "-release=" + Release("grid"), "-queries=" + queries, "--noquiet", "--"},
           {"density", "--quiet=false", "--quiet", "--release=nothing", "--release", Release("grid"), "--queries",
            queries},
       }) {
    const auto result = RunCommand("dpkde_query", arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, expected);
  }
}

// Everything that takes a release, given something else.
void ExpectUnreadable(const std::string& path, int exit_code, const std::string& phrase, const Folder& outputs) {
  SCOPED_TRACE(path);
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"describe", path},
           {"density", "--release=" + path, "--queries=missing.csv"},
           {"plot", "--release=" + path, "--output=" + outputs.Path("picture.png")},
       }) {
    ExpectRefusal(RunCommand("dpkde_query", arguments), "dpkde_query", exit_code, {path + ": ", phrase});
  }
  EXPECT_THAT(outputs.List(), IsEmpty());
}

TEST_F(QueryTest, RefusesFilesThatAreNoReleases) {
  const std::string bytes = FileBytes(Release("grid"));
  std::string other_kind = bytes, other_version = bytes;
  other_kind[8] = 'x';
  other_version[16] = 3;  // dpkde/io/envelope.h
  ExpectUnreadable(inputs_.Write("empty", ""), 3, "is not a dpkde file", outputs_);
  ExpectUnreadable(inputs_.Write("rows.npy", Npy(TwoColumns(30), 2)), 3, "is not a dpkde file", outputs_);
  ExpectUnreadable(inputs_.Write("kind", other_kind), 3, "not \"release\"", outputs_);
  ExpectUnreadable(inputs_.Write("version", other_version), 3, "version 3", outputs_);
  ExpectUnreadable(inputs_.Write("longer", bytes + "x"), 3, "1 bytes after its end", outputs_);
  ExpectUnreadable(inputs_.Path("missing"), 5, "does not exist", outputs_);
  ExpectUnreadable(inputs_.path(), 5, "folder", outputs_);
}

TEST_F(QueryTest, RefusesTruncatedReleases) {
  const std::string bytes = FileBytes(Release("grid"));
  for (size_t size :
       {size_t{1}, size_t{8}, size_t{27}, size_t{28}, bytes.size() / 2, bytes.size() - 32, bytes.size() - 1}) {
    ExpectUnreadable(inputs_.Write("truncated", bytes.substr(0, size)), 3, size < 28 ? "not a dpkde file" : "truncated",
                     outputs_);
  }
}

TEST_F(QueryTest, RefusesReleasesWithAFlippedByte) {
  const std::string bytes = FileBytes(Release("grid"));
  for (size_t i = 0; i < bytes.size(); i += 37) {
    SCOPED_TRACE(i);
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(~damaged[i]);
    const std::string path = inputs_.Write("damaged", damaged);
    ExpectRefusal(RunCommand("dpkde_query", {"describe", path}), "dpkde_query", 3, {path + ": "});
  }
}

TEST_F(QueryTest, DescribeAsText) {
  const auto result = RunCommand("dpkde_query", {"describe", Release("wide"), "--quiet", "--threads=1"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const char* part :
       {"similarity        gaussian bandwidth=1", "dimension         2", "[0, 4] x [0, 2]", "design",
        "delta             0 (pure)", "replace", "unit of privacy", "sensitivity", "records           3000 (public)",
        "asserted public   similarity and its parameters; domain"}) {
    EXPECT_THAT(result.out, HasSubstr(part));
  }
  EXPECT_EQ(RunCommand("dpkde_query", {"describe", Release("wide"), "--output_format=text"}).out, result.out);
}

TEST_F(QueryTest, DescribeAsJson) {
  const auto result = RunCommand("dpkde_query", {"describe", Release("wide"), "--output_format=json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const google::protobuf::Struct json = ParseJson(result.out);
  const auto& plan = json.fields().at("plan").struct_value().fields();
  const auto& certificate = json.fields().at("certificate").struct_value().fields();
  EXPECT_EQ(plan.at("similarity").struct_value().fields().at("kind").string_value(), "GAUSSIAN");
  EXPECT_EQ(plan.at("dimension").number_value(), 2);
  EXPECT_EQ(certificate.at("neighboring").string_value(), "REPLACE");
  EXPECT_LE(certificate.at("epsilon_spent").number_value(), 1);
  EXPECT_GT(certificate.at("epsilon_spent").number_value(), 0.99);
  EXPECT_EQ(json.fields().count("values"), 0u);
}

struct Picture {
  png_image image;
  std::vector<png_byte> rgb;
};

std::unique_ptr<Picture> Decode(const std::string& bytes) {
  auto picture = std::make_unique<Picture>();
  std::memset(&picture->image, 0, sizeof(picture->image));
  picture->image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&picture->image, bytes.data(), bytes.size())) << picture->image.message;
  picture->image.format = PNG_FORMAT_RGB;
  picture->rgb.resize(PNG_IMAGE_SIZE(picture->image));
  EXPECT_TRUE(png_image_finish_read(&picture->image, nullptr, picture->rgb.data(), 0, nullptr))
      << picture->image.message;
  return picture;
}

TEST_F(QueryTest, PlotIsAPicture) {
  const std::string output = outputs_.Path("picture.png");
  const std::vector<std::string> arguments = {"plot", "--release=" + Release("wide"), "--output=" + output,
                                              "--width=64"};
  const auto result = RunCommand("dpkde_query", arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("64 x 32 pixels"));
  const std::string bytes = FileBytes(output);
  EXPECT_EQ(bytes.substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(bytes.substr(12, 12), std::string("IHDR\0\0\0\x40\0\0\0\x20", 12));  // half as high, as the domain is
  const auto picture = Decode(bytes);
  const auto range = std::minmax_element(picture->rgb.begin(), picture->rgb.end());
  EXPECT_GT(*range.second - *range.first, 100);

  ExpectRefusal(RunCommand("dpkde_query", arguments), "dpkde_query", 1, {output, "already exists", "--overwrite"});
  std::vector<std::string> again = arguments;
  again.insert(again.end(), {"--overwrite", "--quiet", "--threads=3"});
  const auto quiet = RunCommand("dpkde_query", again);
  EXPECT_EQ(quiet.exit_code, 0) << quiet.err;
  EXPECT_EQ(quiet.err, "");
  EXPECT_EQ(FileBytes(output), bytes);
  EXPECT_THAT(outputs_.List(), ElementsAre("picture.png"));
}

TEST_F(QueryTest, PlotOnAFullDisk) {
  Surroundings surroundings;
  surroundings.file_size_limit = 1024;
  const std::string output = outputs_.Path("picture.png");
  ExpectRefusal(RunCommand("dpkde_query", {"plot", "--release=" + Release("wide"), "--output=" + output}, surroundings),
                "dpkde_query", 5, {output, "cannot be written"});
  EXPECT_THAT(outputs_.List(), IsEmpty());
}

TEST_F(QueryTest, HelpAndVersion) {
  for (const char* tool : {"dpkde_build", "dpkde_query"}) {
    const auto version = RunCommand(tool, {"--version"});
    EXPECT_EQ(version.exit_code, 0);
    EXPECT_THAT(version.out, ::testing::MatchesRegex(absl::StrCat(tool, " [0-9]+\\.[0-9]+\\.[0-9]+\n")));
    EXPECT_EQ(version.err, "");
    for (const auto& arguments : std::vector<std::vector<std::string>>{
             {"--help"}, {"-h"}, {"density", "--help"}, {"density", "--epsilon=x", "--help"}}) {
      const auto help = RunCommand(tool, arguments);
      EXPECT_EQ(help.exit_code, 0);
      EXPECT_THAT(help.out, HasSubstr(absl::StrCat(tool, " density")));
      EXPECT_EQ(help.err, "");
    }
  }
  // Each flag with an explanation.
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"dpkde_build", "density"},
                                                                     {"dpkde_query", "density"},
                                                                     {"dpkde_query", "plot"},
                                                                     {"dpkde_query", "describe"}}) {
    int flags = 0;
    const std::vector<std::string> lines = Lines(RunCommand(arguments[0], {arguments[1], "--help"}).out);
    for (size_t i = 0; i < lines.size(); ++i) {
      if (lines[i].rfind("  --", 0) != 0) continue;
      ++flags;
      EXPECT_GT(lines.at(i + 1).size(), 20u) << lines[i] << " is not explained";
    }
    EXPECT_GE(flags, 3);
  }
}

// Results that nobody gets are an error, never a crash.
TEST_F(QueryTest, StandardOutputThatCannotBeWritten) {
  const std::string few = inputs_.Write("few.npy", Npy(TwoColumns(5), 2));
  const std::string many = inputs_.Write("many.npy", Npy(TwoColumns(10000), 2));
  const std::string grid = Release("grid");
  std::vector<std::string> dry_run = {"dpkde_build", "density", "--dry_run", "--dim=2"};
  for (const auto& [name, value] : DensityFlags()) dry_run.push_back("--" + name + "=" + value);
  const std::vector<std::vector<std::string>> commands = {
      {"dpkde_query", "density", "--release=" + grid, "--queries=" + few},
      {"dpkde_query", "density", "--release=" + grid, "--queries=" + many},
      {"dpkde_query", "density", "--release=" + grid, "--queries=" + many, "--output_format=npy"},
      {"dpkde_query", "describe", grid},
      {"dpkde_query", "describe", grid, "--output_format=json"},
      {"dpkde_query", "--help"},
      {"dpkde_build", "density", "--help"},
      {"dpkde_build", "--version"},
      dry_run,
  };
  for (const std::vector<std::string>& command : commands) {
    SCOPED_TRACE(::testing::PrintToString(command));
    for (const auto kind : {Surroundings::kPipeWithoutReader, Surroundings::kFullDevice}) {
      Surroundings surroundings;
      surroundings.standard_output = kind;
      ExpectRefusal(RunCommand(command[0], {command.begin() + 1, command.end()}, surroundings), command[0], 5,
                    {"standard output: cannot be written"});
    }
    Surroundings closed;
    closed.standard_output = Surroundings::kClosed;
    EXPECT_EQ(RunCommand(command[0], {command.begin() + 1, command.end()}, closed).exit_code, 5);
  }
}

}  // namespace
}  // namespace dpkde
