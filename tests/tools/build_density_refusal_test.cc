// What "dpkde_build density" refuses: with which exit code, in which words, and leaving nothing behind.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string TestName(const std::string& name) {
  return absl::StrReplaceAll(name, {{" ", "_"}, {"-", "_"}, {"=", "_"}});
}

// Flags that are refused whatever the input; most before it is opened.
struct FlagCase {
  std::string name;
  Flags changes;
  int exit_code;
  std::vector<std::string> phrases;
};

void PrintTo(const FlagCase& test, std::ostream* out) { *out << test.name; }

class FlagTest : public ::testing::TestWithParam<FlagCase> {};

TEST_P(FlagTest, IsRefusedWithoutATrace) {
  const Folder inputs, outputs;
  Flags changes = {{"input", inputs.Write("rows.npy", Npy(TwoColumns(20), 2))}, {"output", outputs.Path("release")}};
  for (const auto& [name, value] : GetParam().changes) changes[name] = value;
  ExpectRefusal(BuildDensity(changes), "dpkde_build", GetParam().exit_code, GetParam().phrases);
  EXPECT_THAT(outputs.List(), IsEmpty());
  EXPECT_THAT(inputs.List(), ElementsAre("rows.npy"));
}

INSTANTIATE_TEST_SUITE_P(
    Usage, FlagTest,
    ::testing::ValuesIn(std::vector<FlagCase>{
        {"no input", {{"input", kMissing}}, 1, {"--input is missing"}},
        {"no output", {{"output", kMissing}}, 1, {"--output is missing"}},
        {"output ends in slash", {{"output", "/tmp/"}}, 1, {"--output=/tmp/", "name of a file"}},
        {"no similarity", {{"similarity", kMissing}}, 1, {"--similarity is missing"}},
        {"unknown similarity", {{"similarity", "gausian"}}, 1, {"unknown similarity 'gausian'", "laplacian"}},
        {"no bandwidth", {{"bandwidth", kMissing}}, 1, {"--bandwidth is missing"}},
        {"bandwidth zero", {{"bandwidth", "0"}}, 1, {"--bandwidth must be finite and positive, but is 0"}},
        {"bandwidth negative", {{"bandwidth", "-1"}}, 1, {"--bandwidth", "-1"}},
        {"bandwidth nan", {{"bandwidth", "nan"}}, 1, {"--bandwidth", "nan"}},
        {"bandwidth inf", {{"bandwidth", "inf"}}, 1, {"--bandwidth", "inf"}},
        {"bandwidth malformed", {{"bandwidth", "1m"}}, 1, {"malformed value '1m' of flag --bandwidth"}},
        {"epsilon malformed", {{"epsilon", "one"}}, 1, {"malformed value 'one' of flag --epsilon"}},
        {"features malformed", {{"features", "-1"}}, 1, {"malformed value '-1' of flag --features"}},
        {"unknown flag", {{"epsilom", "1"}}, 1, {"unknown flag --epsilom"}},
        {"flag of another tool", {{"release", "r"}}, 1, {"flag --release is not taken by 'density'"}},
        {"unknown design", {{"design", "forest"}}, 1, {"--design must be one of", "'forest'"}},
        {"unknown mechanism", {{"mechanism", "exponential"}}, 1, {"--mechanism must be one of", "'exponential'"}},
        {"features zero", {{"design", "monte_carlo"}, {"features", "0"}}, 1, {"--features must be at least 1"}},
        {"features without design", {{"features", "64"}}, 1, {"--features needs --design=monte_carlo"}},
        {"unknown bad records", {{"bad_records", "skip"}}, 1, {"--bad_records must be one of fail, replace"}},
        {"unknown input format", {{"input_format", "xls"}}, 1, {"--input_format must be one of", "'xls'"}},
        {"unknown csv header", {{"csv_header", "yes"}}, 1, {"--csv_header must be one of", "'yes'"}},
        {"expected n zero", {{"expected_n", "0"}}, 1, {"--expected_n"}},
        {"expected n under replace", {{"expected_n", "9"}, {"neighboring", "replace"}}, 1, {"--expected_n", "replace"}},
        {"expected similarity above one", {{"expected_similarity", "1.5"}}, 1, {"--expected_similarity", "1.5"}},
        {"threads negative", {{"threads", "-1"}}, 1, {"--threads must be at least 0", "-1"}},
        {"threads absurd", {{"threads", "100000"}}, 1, {"--threads", "1024"}},
        {"dim zero", {{"dim", "0"}}, 1, {"--dim must be at least 1"}},
        {"dim and domain disagree", {{"dim", "3"}, {"domain_min", "0,0"}}, 1, {"--domain_min", "3", "2 values"}},
        {"domain reversed", {{"domain_min", "5"}}, 1, {"--domain_min", "--domain_max", "5 and 4"}},
        {"domain reversed in one coordinate",
         {{"domain_min", "0,5"}, {"domain_max", "4,4"}},
         1,
         {"--domain_min", "coordinate 1", "5 and 4"}},
        {"domain of no width", {{"domain_min", "4"}}, 1, {"lower bounds below upper bounds", "4 and 4"}},
        {"domain lengths differ", {{"domain_min", "0,0"}, {"domain_max", "4,4,4"}}, 1, {"--domain_min", "2 values"}},
        {"domain too long for input", {{"domain_min", "0,0,0"}}, 1, {"--domain_min", "2 columns", "3 values"}},
        {"domain without min", {{"domain_min", kMissing}}, 1, {"--domain_min and --domain_max", "together"}},
        {"domain without max", {{"domain_max", kMissing}}, 1, {"--domain_min and --domain_max", "together"}},
        {"domain malformed", {{"domain_max", "4;4"}}, 1, {"--domain_max", "'4;4'"}},
        {"domain with a gap", {{"domain_max", "4,,4"}}, 1, {"--domain_max", "'4,,4'"}},
        {"domain nan", {{"domain_max", "nan"}}, 1, {"--domain_max must be finite", "nan"}},
        {"domain infinite", {{"domain_max", "inf"}}, 1, {"--domain_max must be finite"}},
        {"domain beyond float32", {{"domain_max", "1e39"}}, 1, {"--domain_max", "float32"}},
        {"laplacian without domain",
         {{"similarity", "laplacian"}, {"domain_min", kMissing}, {"domain_max", kMissing}},
         1,
         {"without --domain_min and --domain_max", "needs a domain"}},
        {"lattice without domain",
         {{"design", "lattice"}, {"domain_min", kMissing}, {"domain_max", kMissing}},
         1,
         {"without --domain_min and --domain_max", "lattice"}},
        {"summary is the output", {{"summary_out", "same"}, {"output", "./same"}}, 1, {"--summary_out", "same file"}},
    }),
    [](const auto& info) { return TestName(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Privacy, FlagTest,
    ::testing::ValuesIn(std::vector<FlagCase>{
        {"no epsilon", {{"epsilon", kMissing}}, 4, {"--epsilon is missing", "no default"}},
        {"empty epsilon", {{"epsilon", ""}}, 4, {"--epsilon is missing"}},
        {"epsilon zero", {{"epsilon", "0"}}, 4, {"--epsilon must be finite and positive, but is 0"}},
        {"epsilon negative", {{"epsilon", "-1"}}, 4, {"--epsilon", "-1"}},
        {"epsilon nan", {{"epsilon", "nan"}}, 4, {"--epsilon", "nan"}},
        {"epsilon inf", {{"epsilon", "inf"}}, 4, {"--epsilon", "inf"}},
        {"epsilon huge", {{"epsilon", "1e300"}}, 4, {"--epsilon must be at most"}},
        {"epsilon too small to calibrate", {{"epsilon", "1e-30"}}, 4, {"--epsilon"}},
        {"delta zero", {{"delta", "0"}}, 4, {"--delta must be greater than 0 and less than 1, but is 0"}},
        {"delta one", {{"delta", "1"}}, 4, {"--delta", "is 1"}},
        {"delta two", {{"delta", "2"}}, 4, {"--delta", "is 2"}},
        {"delta negative", {{"delta", "-1e-6"}}, 4, {"--delta"}},
        {"delta nan", {{"delta", "nan"}}, 4, {"--delta", "nan"}},
        {"delta too small to calibrate", {{"delta", "1e-300"}, {"mechanism", "gaussian"}}, 4, {"--delta"}},
        {"no neighboring", {{"neighboring", kMissing}}, 4, {"--neighboring is missing", "add_remove", "replace"}},
        {"unknown neighboring",
         {{"neighboring", "swap"}},
         4,
         {"--neighboring must be add_remove or replace", "'swap'"}},
        {"gaussian without delta", {{"mechanism", "gaussian"}}, 4, {"--delta is missing", "gaussian"}},
    }),
    [](const auto& info) { return TestName(info.param.name); });

// Of several faults the first in the documented order is reported: usage, privacy, data.
INSTANTIATE_TEST_SUITE_P(
    Order, FlagTest,
    ::testing::ValuesIn(std::vector<FlagCase>{
        {"usage before privacy", {{"bandwidth", "0"}, {"epsilon", "0"}}, 1, {"--bandwidth"}},
        {"domain before privacy", {{"domain_min", "5"}, {"epsilon", "0"}}, 1, {"--domain_min"}},
        {"missing domain before privacy",
         {{"similarity", "laplacian"}, {"domain_min", kMissing}, {"domain_max", kMissing}, {"epsilon", kMissing}},
         1,
         {"--domain_min"}},
        {"usage before data", {{"domain_min", "5"}, {"input", "/nowhere/rows.npy"}}, 1, {"--domain_min"}},
        {"missing domain before data",
         {{"design", "lattice"}, {"domain_min", kMissing}, {"domain_max", kMissing}, {"input", "/nowhere/rows.npy"}},
         1,
         {"--domain_min"}},
        {"privacy before data", {{"neighboring", kMissing}, {"input", "/nowhere/rows.npy"}}, 4, {"--neighboring"}},
        {"calibration before data", {{"epsilon", "1e-30"}, {"input", "/nowhere/rows.npy"}}, 4, {"--epsilon"}},
    }),
    [](const auto& info) { return TestName(info.param.name); });

TEST(DomainTest, LatticeInNineDimensions) {
  const Folder inputs, outputs;
  for (const char* bounds : {"4", "4,4,4,4,4,4,4,4,4"}) {
    SCOPED_TRACE(bounds);
    const auto result = BuildDensity({{"input", inputs.Write("rows.npy", Npy(std::vector<float>(90, 1), 9))},
                                      {"output", outputs.Path("release")},
                                      {"domain_max", bounds},
                                      {"design", "lattice"}});
    ExpectRefusal(result, "dpkde_build", 1, {"lattice", "9"});
    EXPECT_THAT(outputs.List(), IsEmpty());
  }
}

// Input files that are refused, and good ones to compare.
struct DataCase {
  std::string name;
  std::string file;
  std::string bytes;
  Flags changes;
  int exit_code;
  std::vector<std::string> phrases;
};

void PrintTo(const DataCase& test, std::ostream* out) { *out << test.name; }

class DataTest : public ::testing::TestWithParam<DataCase> {};

TEST_P(DataTest, IsRefusedWithoutATrace) {
  // Under add_remove with and without a guess, and under replace, different passes meet the data first.
  const Flags modes[] = {{}, {{"expected_n", "20"}}, {{"neighboring", "replace"}}};
  for (const Flags& mode : modes) {
    SCOPED_TRACE(mode.empty() ? "noised count" : mode.begin()->first);
    const Folder inputs, outputs;
    const std::string path = inputs.Write(GetParam().file, GetParam().bytes);
    Flags changes = {{"input", path}, {"output", outputs.Path("release")}, {"summary_out", outputs.Path("summary")}};
    for (const auto& [name, value] : GetParam().changes) changes[name] = value;
    for (const auto& [name, value] : mode) changes[name] = value;
    // Text under replace needs to be told.
    const bool names_first = !GetParam().bytes.empty() && GetParam().bytes[0] == 'x';
    if (mode.count("neighboring") == 1) changes.insert({"csv_header", names_first ? "present" : "absent"});
    std::vector<std::string> phrases = GetParam().phrases;
    phrases.push_back(path);
    const bool is_public = changes.count("neighboring") > 0;
    if (!is_public) {
      // What a log would hold says as much, but not which record, nor how many there are.
      const CommandResult log = BuildDensity(changes);
      ExpectRefusal(log, "dpkde_build", GetParam().exit_code, {path});
      // Of the file, whatever its records: whether it has a header.
      const std::string of_records = absl::StrReplaceAll(log.err, {{"line 1 was taken for a header", ""}});
      EXPECT_THAT(of_records, Not(::testing::ContainsRegex("(row|line|column) [0-9]|[0-9] rows")));
    }
    Surroundings curator;
    curator.terminal = !is_public;
    changes["quiet"] = "true";  // no bar before the error
    ExpectRefusal(BuildDensity(changes, curator), "dpkde_build", GetParam().exit_code, phrases);
    EXPECT_THAT(outputs.List(), IsEmpty());
  }
}

std::vector<float> WithNanInRowSeven() {
  std::vector<float> values = TwoColumns(20);
  values[7 * 2 + 1] = NAN;
  return values;
}

std::string WithoutEnd(std::string bytes, size_t count) { return bytes.substr(0, bytes.size() - count); }

std::string WithHeader(const std::string& from, const std::string& to) {
  return absl::StrReplaceAll(Npy(TwoColumns(20), 2), {{from, to}});
}

INSTANTIATE_TEST_SUITE_P(
    Data, DataTest,
    ::testing::ValuesIn(std::vector<DataCase>{
        {"npy truncated by a byte", "a.npy", WithoutEnd(Npy(TwoColumns(20), 2), 1), {}, 2, {"truncated", "20", "19"}},
        {"npy truncated in its header", "a.npy", Npy(TwoColumns(20), 2).substr(0, 30), {}, 2, {"truncated", "header"}},
        {"npy with rest", "a.npy", Npy(TwoColumns(20), 2) + "x", {}, 2, {"1 bytes after its last row"}},
        {"npy empty", "a.npy", "", {}, 2, {"truncated"}},
        {"npy of something else", "a.npy", "not an array at all", {}, 2, {"is not an npy file"}},
        {"npy big endian", "a.npy", WithHeader("'<f4'", "'>f4'"), {}, 2, {"big-endian", ">f4"}},
        {"npy of objects", "a.npy", WithHeader("'<f4'", "'|O' "), {}, 2, {"Python objects"}},
        {"npy of complex numbers", "a.npy", WithHeader("'<f4'", "'<c8'"), {}, 2, {"<c8"}},
        {"npy nan", "a.npy", Npy(WithNanInRowSeven(), 2), {}, 2, {"row 7, column 1 (counting from 0)", "nan"}},
        {"csv nan", "a.csv", Csv(WithNanInRowSeven(), 2), {}, 2, {"row 7, column 1 (counting from 0;", "nan"}},
        {"csv nan behind a header",
         "a.csv",
         "x,y\n" + Csv(WithNanInRowSeven(), 2),
         {},
         2,
         {"row 7, column 1", "line 9"}},
        {"csv not a number", "a.csv", "1,2\n3,4\n5,six\n", {}, 2, {"row 2, column 1", "not a number"}},
        {"csv does not show the cell", "a.csv", "1,2\n3,4\n5,six\n", {}, 2, {"not a number"}},
        {"csv infinite", "a.csv", "1,2\ninf,4\n", {}, 2, {"row 1, column 0", "inf"}},
        {"csv ragged", "a.csv", "1,2\n3,4\n5,6,7\n", {}, 2, {"row 2", "3 cells instead of 2"}},
        {"csv short row", "a.csv", "1,2\n3\n", {}, 2, {"row 1", "1 cells instead of 2"}},
        {"csv of other columns than dim", "a.csv", "1,2\n3,4\n", {{"dim", "3"}}, 2, {"2 columns", "--dim is 3"}},
        {"csv absent header",
         "a.csv",
         "x,y\n1,2\n",
         {{"csv_header", "absent"}},
         2,
         {"row 0, column 0", "not a number"}},
        {"tsv ragged", "a.tsv", "1\t2\n3\n", {}, 2, {"row 1", "1 cells instead of 2"}},
        {"fvecs ragged", "a.fvecs", Fvecs({{1, 2}, {3, 4}, {5, 6, 7}}), {}, 2, {"row 2", "3 columns instead of 2"}},
        {"fvecs ragged in the middle", "a.fvecs", Fvecs({{1, 2}, {3}, {5, 6, 7}}), {}, 2, {"row 1", "1 columns"}},
        {"fvecs truncated", "a.fvecs", WithoutEnd(Fvecs({{1, 2}, {3, 4}}), 2), {}, 2, {"truncated"}},
        {"fbin truncated", "a.fbin", std::string("\2\0\0\0\2\0\0\0abcdefgh", 16), {}, 2, {"truncated"}},
        {"unknown ending", "a.parquet", "PAR1", {}, 2, {"ending", "name its format"}},
    }),
    [](const auto& info) { return TestName(info.param.name); });

TEST(ReplaceTest, TextNeedsAStatedHeader) {
  const Folder inputs, outputs;
  const std::string rows = Csv(TwoColumns(20), 2);
  Flags flags = {{"output", outputs.Path("release")}, {"bad_records", "replace"}, {"overwrite", "true"}};
  for (const char* file : {"a.csv", "a.tsv", "A.CSV"}) {
    flags["input"] = inputs.Write(file, rows);
    ExpectRefusal(BuildDensity(flags), "dpkde_build", 1, {"--csv_header", "malformed first record"});
  }
  flags["input"] = inputs.Write("rows", rows);
  flags["input_format"] = "csv";
  ExpectRefusal(BuildDensity(flags), "dpkde_build", 1, {"--csv_header", "malformed first record"});
  flags["csv_header"] = "absent";
  ExpectRefusal(BuildDensity(flags), "dpkde_build", 1, {"--dim", "number of columns"});
  EXPECT_THAT(outputs.List(), IsEmpty());
  flags["dim"] = "2";
  EXPECT_EQ(BuildDensity(flags).exit_code, 0);
  flags["dim"] = kMissing;
  flags["domain_min"] = "0,0";
  EXPECT_EQ(BuildDensity(flags).exit_code, 0);
}

TEST(InputTest, CannotBeOpened) {
  const Folder inputs, outputs;
  const std::string folder = inputs.Path("folder.npy");
  std::filesystem::create_directory(folder);
  const Flags output = {{"output", outputs.Path("release")}};
  const auto build = [&](const std::string& input) {
    Flags flags = output;
    flags["input"] = input;
    return BuildDensity(flags);
  };
  ExpectRefusal(build(inputs.Path("missing.npy")), "dpkde_build", 5, {"missing.npy", "does not exist"});
  ExpectRefusal(build(folder), "dpkde_build", 5, {folder, "folder"});
  ExpectRefusal(build("/dev/null"), "dpkde_build", 5, {"/dev/null", "not a regular file"});
  EXPECT_THAT(outputs.List(), IsEmpty());
}

class OutputTest : public ::testing::Test {
 protected:
  CommandResult Build(Flags flags, const Surroundings& surroundings = {}) const {
    flags.insert({"input", input_});
    return BuildDensity(flags, surroundings);
  }

  const Folder inputs_, outputs_;
  const std::string input_ = inputs_.Write("rows.npy", Npy(TwoColumns(20), 2));
};

TEST_F(OutputTest, ExistingFileIsKeptWithoutOverwrite) {
  const std::string output = outputs_.Write("release", "precious");
  ExpectRefusal(Build({{"output", output}}), "dpkde_build", 1, {output, "already exists", "--overwrite"});
  EXPECT_EQ(FileBytes(output), "precious");
  const auto result = Build({{"output", output}, {"overwrite", "true"}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(RunCommand("dpkde_query", {"describe", output}).exit_code, 0);
  EXPECT_THAT(outputs_.List(), ElementsAre("release"));
}

TEST_F(OutputTest, ExistingSummaryIsNoticedBeforeTheReleaseIsMade) {
  const std::string summary = outputs_.Write("summary", "precious");
  ExpectRefusal(Build({{"output", outputs_.Path("release")}, {"summary_out", summary}}), "dpkde_build", 1,
                {"--summary_out", summary, "already exists"});
  EXPECT_EQ(FileBytes(summary), "precious");
  EXPECT_THAT(outputs_.List(), ElementsAre("summary"));
}

TEST_F(OutputTest, InputIsNeverOverwritten) {
  const std::string before = FileBytes(input_);
  const std::string link = outputs_.Path("link");
  std::filesystem::create_symlink(input_, link);
  for (const std::string& output :
       {input_, inputs_.path() + "/../" + inputs_.path().substr(inputs_.path().rfind('/')) + "/rows.npy", link}) {
    ExpectRefusal(Build({{"output", output}, {"overwrite", "true"}}), "dpkde_build", 1, {"--output", "is read"});
    ExpectRefusal(Build({{"output", outputs_.Path("o")}, {"summary_out", output}, {"overwrite", "true"}}),
                  "dpkde_build", 1, {"--summary_out", "is read"});
  }
  EXPECT_EQ(FileBytes(input_), before);
  EXPECT_THAT(outputs_.List(), ElementsAre("link"));
}

TEST_F(OutputTest, FolderCannotBeWritten) {
  const std::string file = outputs_.Write("file", "");
  ExpectRefusal(Build({{"output", outputs_.Path("missing/release")}}), "dpkde_build", 5,
                {"missing/release", "does not exist"});
  ExpectRefusal(Build({{"output", file + "/release"}}), "dpkde_build", 5, {file + "/release"});
  ExpectRefusal(Build({{"output", outputs_.Path("release")}, {"summary_out", outputs_.Path("missing/summary")}}),
                "dpkde_build", 5, {"missing/summary", "does not exist"});
  EXPECT_THAT(outputs_.List(), ElementsAre("file"));
}

TEST_F(OutputTest, FolderWithoutPermission) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  std::filesystem::permissions(outputs_.path(),
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  ExpectRefusal(Build({{"output", outputs_.Path("release")}}), "dpkde_build", 5, {"release", "ermission denied"});
  EXPECT_THAT(outputs_.List(), IsEmpty());
  std::filesystem::permissions(outputs_.path(), std::filesystem::perms::owner_all);
}

// 65 KB, more than either limit below.
const Flags kLargeRelease = {{"design", "monte_carlo"}, {"features", "4096"}};

TEST_F(OutputTest, FileSizeLimit) {
  Flags flags = kLargeRelease;
  flags["output"] = outputs_.Path("release");
  Surroundings surroundings;
  surroundings.file_size_limit = 16384;
  ExpectRefusal(Build(flags, surroundings), "dpkde_build", 5, {"release", "cannot be written", "too large"});
  EXPECT_THAT(outputs_.List(), IsEmpty());
  EXPECT_EQ(Build(flags).exit_code, 0);
}

TEST_F(OutputTest, FullDisk) {
  Flags flags = kLargeRelease;
  flags["output"] = outputs_.Path("release");
  Surroundings surroundings;
  surroundings.tiny_file_system = outputs_.path();
  const auto result = Build(flags, surroundings);
  if (result.exit_code == kNoFileSystem) GTEST_SKIP() << "no file system can be mounted here";
  ExpectRefusal(result, "dpkde_build", 5, {"release", "cannot be written", "No space left"});
  EXPECT_THAT(outputs_.List(), IsEmpty());
}

}  // namespace
}  // namespace dpkde
