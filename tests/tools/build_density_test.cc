// What "dpkde_build density" makes: which inputs it takes, and what its output does and does not hold.
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "dpkde/io/envelope.h"
#include "dpkde/proto/density.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/declared_ledger.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/output_text.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;

// The line of "dpkde_query describe" that begins with `name`, without the name.
std::string Described(const std::string& release, const std::string& name) {
  const auto result = RunCommand("dpkde_query", {"describe", release});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (absl::string_view line : absl::StrSplit(result.out, '\n')) {
    if (absl::ConsumePrefix(&line, name)) return std::string(absl::StripLeadingAsciiWhitespace(line));
  }
  ADD_FAILURE() << name << " is not in:\n" << result.out;
  return "";
}

class BuildTest : public ::testing::Test {
 protected:
  // Succeeds, and prints nothing on stdout.
  CommandResult Build(const Flags& changes) const {
    Flags flags = {{"output", release_}};
    for (const auto& [name, value] : changes) flags[name] = value;
    CommandResult result = BuildDensity(flags);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, "");
    return result;
  }

  const Folder inputs_, outputs_;
  const std::string release_ = outputs_.Path("release");
};

// Number of records that a release under REPLACE shows.
struct InputCase {
  const char* name;
  std::string file;
  std::string bytes;
  Flags changes;
  std::string records;
};

void PrintTo(const InputCase& test, std::ostream* out) { *out << test.name; }

class InputTest : public BuildTest, public ::testing::WithParamInterface<InputCase> {};

TEST_P(InputTest, EveryRowIsCounted) {
  Flags flags = GetParam().changes;
  flags["input"] = inputs_.Write(GetParam().file, GetParam().bytes);
  flags["neighboring"] = "replace";
  // Text then needs to be told.
  flags.insert({"csv_header", GetParam().bytes.substr(0, 1) == "x" ? "present" : "absent"});
  Build(flags);
  EXPECT_EQ(Described(release_, "records"), GetParam().records);
  EXPECT_THAT(outputs_.List(), ElementsAre("release"));
}

// Under ADD_REMOVE too: an empty or small file is as good as any other.
TEST_P(InputTest, IsReleasedUnderAddRemove) {
  Flags flags = GetParam().changes;
  flags["input"] = inputs_.Write(GetParam().file, GetParam().bytes);
  Build(flags);
  EXPECT_THAT(Described(release_, "records"), HasSubstr("(noised)"));
  EXPECT_THAT(outputs_.List(), ElementsAre("release"));
}

std::string NanRows() {
  std::vector<float> values = TwoColumns(20);
  values[0] = values[39] = NAN;
  return Npy(values, 2);
}

INSTANTIATE_TEST_SUITE_P(
    All, InputTest,
    ::testing::ValuesIn(std::vector<InputCase>{
        {"npy", "a.npy", Npy(TwoColumns(20), 2), {}, "20 (public)"},
        {"upper_case_ending", "A.NPY", Npy(TwoColumns(20), 2), {}, "20 (public)"},
        {"one_row", "a.npy", Npy({1, 2}, 2), {}, "1 (public)"},
        {"no_row", "a.npy", Npy({}, 2), {}, "0 (public)"},
        {"csv", "a.csv", Csv(TwoColumns(20), 2), {}, "20 (public)"},
        {"csv_with_header", "a.csv", "x,y\n" + Csv(TwoColumns(20), 2), {}, "20 (public)"},
        {"csv_with_numeric_header", "a.csv", "0,1\n1,2\n", {{"csv_header", "present"}}, "1 (public)"},
        {"csv_header_only", "a.csv", "x,y\n", {}, "0 (public)"},
        {"csv_of_no_bytes", "a.csv", "", {{"dim", "2"}}, "0 (public)"},
        {"csv_of_no_bytes_and_a_full_domain", "a.csv", "", {{"domain_min", "0,0"}}, "0 (public)"},
        {"tsv", "a.tsv", "1\t2\n3\t4\n", {}, "2 (public)"},
        {"fvecs", "a.fvecs", Fvecs({{1, 2}, {3, 4}, {0, 1}}), {}, "3 (public)"},
        {"fvecs_of_no_bytes", "a.fvecs", "", {{"dim", "2"}}, "0 (public)"},
        {"named_format", "a.dat", "1,2\n3,4\n", {{"input_format", "csv"}}, "2 (public)"},
        {"one_bound_for_all", "a.npy", Npy(std::vector<float>(21, 1), 7), {}, "3 (public)"},
        {"a_bound_for_each", "a.npy", Npy({1, 2}, 2), {{"domain_min", "0,-1"}, {"domain_max", "4,5"}}, "1 (public)"},
        {"laplacian", "a.npy", Npy(TwoColumns(20), 2), {{"similarity", "laplacian"}}, "20 (public)"},
        {"without_domain", "a.npy", Npy(TwoColumns(20), 2), {{"domain_min", ""}, {"domain_max", ""}}, "20 (public)"},
        {"gaussian_noise",
         "a.npy",
         Npy(TwoColumns(20), 2),
         {{"delta", "1e-6"}, {"mechanism", "gaussian"}, {"design", "lattice"}},
         "20 (public)"},
        {"replaced_nan", "a.npy", NanRows(), {{"bad_records", "replace"}}, "20 (public)"},
        {"replaced_first_line",
         "a.csv",
         "nonsense\n1,2\n3,nan\n4\n",
         {{"bad_records", "replace"}, {"csv_header", "absent"}, {"dim", "2"}},
         "4 (public)"},
        {"header_and_replaced_first_line",
         "a.csv",
         "x,y\nnonsense\n1,2\n",
         {{"bad_records", "replace"}, {"csv_header", "present"}},
         "2 (public)"},
    }),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(BuildTest, OutputIsForWhomTheUmaskAdmits) {
  const mode_t old_mask = umask(0027);
  Build({{"input", inputs_.Write("a.npy", Npy(TwoColumns(20), 2))}, {"summary_out", outputs_.Path("summary")}});
  umask(old_mask);
  for (const char* name : {"release", "summary"}) {
    struct stat info;
    ASSERT_EQ(stat(outputs_.Path(name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640u) << name;
  }
}

TEST_F(BuildTest, BadRecordGoesToTheCentreOfTheDomain) {
  // All of epsilon's noise is far below the 1000 records.
  std::vector<float> values(2000, NAN);
  Build({{"input", inputs_.Write("a.npy", Npy(values, 2))},
         {"bad_records", "replace"},
         {"neighboring", "replace"},
         {"epsilon", "100"}});
  Surroundings queries;
  queries.standard_input = "2,2\n0,0\n";
  const auto result = QueryDensity(release_, "-", {"--output_format=tsv"}, queries);
  const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
  ASSERT_GE(lines.size(), 3u) << result.err;
  double sums[2];
  for (int i = 0; i < 2; ++i) {
    const std::vector<std::string> cells = absl::StrSplit(lines[i + 1], '\t');
    ASSERT_TRUE(absl::SimpleAtod(cells[1], &sums[i]));
  }
  EXPECT_NEAR(sums[0], 1000, 20);
  EXPECT_NEAR(sums[1], 1000 * std::exp(-4.0), 20);
}

TEST_F(BuildTest, SummaryHoldsTheRowCountOnlyWhereItIsPublic) {
  constexpr size_t kRows = 70001;
  const std::string input = inputs_.Write("a.npy", Npy(TwoColumns(kRows), 2));
  const std::string quoted = outputs_.Path("a \"quoted\\name\"");
  const std::string summary_path = outputs_.Path("summary");

  const auto private_count = Build({{"input", input}, {"output", quoted}, {"summary_out", summary_path}});
  const google::protobuf::Struct summary = ParseJson(FileBytes(summary_path));
  for (const char* name :
       {"bytes", "sha256", "design", "mechanism", "values", "epsilon_spent", "delta_spent", "predicted_rmse"}) {
    EXPECT_EQ(summary.fields().count(name), 1u) << name;
  }
  EXPECT_EQ(summary.fields().at("output").string_value(), quoted);
  EXPECT_EQ(summary.fields().at("bytes").number_value(), FileBytes(quoted).size());
  EXPECT_LE(summary.fields().at("epsilon_spent").number_value(), 1.0);
  EXPECT_GT(summary.fields().at("epsilon_spent").number_value(), 0.99);
  // Time and memory grow with the number of records.
  for (const char* name : {"rows", "seconds", "peak_memory_bytes"}) {
    EXPECT_EQ(summary.fields().count(name), 0u) << name;
  }
  for (const auto& [name, value] : summary.fields()) EXPECT_NE(value.number_value(), kRows) << name;
  // This test is no terminal, where a curator would see the number.
  EXPECT_THAT(private_count.err, Not(HasSubstr(absl::StrCat(kRows))));
  EXPECT_THAT(private_count.err, HasSubstr("epsilon = "));

  const auto public_count =
      Build({{"input", input}, {"neighboring", "replace"}, {"summary_out", summary_path}, {"overwrite", "true"}});
  const google::protobuf::Struct with_count = ParseJson(FileBytes(summary_path));
  EXPECT_EQ(with_count.fields().at("rows").number_value(), kRows);
  EXPECT_GT(with_count.fields().at("seconds").number_value(), 0);
  EXPECT_GT(with_count.fields().at("peak_memory_bytes").number_value(), 1e6);
  EXPECT_THAT(public_count.err, HasSubstr(absl::StrCat(kRows, " rows read")));
}

// The curator may see at a terminal what no log should hold.
TEST_F(BuildTest, CountsAreShownOnATerminal) {
  std::vector<float> values = TwoColumns(70001);
  values[2] = values[9] = values[11] = NAN;  // of rows 1, 4 and 5
  const Flags flags = {{"input", inputs_.Write("a.npy", Npy(values, 2))},
                       {"output", release_},
                       {"bad_records", "replace"},
                       {"overwrite", "true"}};
  Surroundings terminal;
  terminal.terminal = true;
  const auto shown = BuildDensity(flags, terminal);
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.err, HasSubstr("70001 rows read"));
  EXPECT_THAT(shown.err, HasSubstr("\n3 of them were bad records and replaced"));
  const auto logged = BuildDensity(flags);
  EXPECT_EQ(logged.exit_code, 0) << logged.err;
  EXPECT_THAT(logged.err, Not(HasSubstr("rows")));
  EXPECT_THAT(logged.err, Not(HasSubstr("replaced")));
}

TEST_F(BuildTest, QuietSaysNothing) {
  EXPECT_EQ(Build({{"input", inputs_.Write("a.npy", Npy(TwoColumns(20), 2))}, {"quiet", "true"}}).err, "");
}

TEST_F(BuildTest, TwoRunsHaveOnePlanAndDifferentNoise) {
  const Flags flags = {
      {"input", inputs_.Write("a.npy", Npy(TwoColumns(200), 2))}, {"expected_n", "200"}, {"overwrite", "true"}};
  std::string certificates[2], answers[2], bytes[2];
  for (int i = 0; i < 2; ++i) {
    Build(flags);
    const auto described = RunCommand("dpkde_query", {"describe", release_, "--output_format=json"});
    EXPECT_EQ(described.exit_code, 0) << described.err;
    certificates[i] = described.out;
    const auto answered = QueryDensity(release_, flags.at("input"));
    EXPECT_EQ(answered.exit_code, 0) << answered.err;
    answers[i] = answered.out;
    bytes[i] = FileBytes(release_);
  }
  EXPECT_EQ(certificates[0], certificates[1]);
  EXPECT_THAT(certificates[0], Not(IsEmpty()));
  EXPECT_EQ(bytes[0].size(), bytes[1].size());
  EXPECT_NE(bytes[0], bytes[1]);
  EXPECT_NE(answers[0], answers[1]);
}

template <typename T>
std::string Raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes.push_back(static_cast<char>(value | 128));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

// What a release holds besides its noised values, which may look like anything.
std::string BytesWithoutValues(const std::string& release) {
  const absl::StatusOr<Envelope> envelope = OpenEnvelope("release", 2, release);
  proto::Release message;
  EXPECT_TRUE(envelope.ok() && message.ParseFromString(std::string(envelope->payload)));
  message.clear_values();
  return message.SerializeAsString();
}

// Bytes by which a release would betray its input.
TEST_F(BuildTest, ReleaseHoldsNoPathRecordOrRowCount) {
  constexpr uint64_t kRows = 70001;
  constexpr float kCanary = 3.1234567f;
  std::vector<float> values = TwoColumns(kRows);
  values[4000] = values[4001] = kCanary;
  const std::string input = inputs_.Write("canary7f3a.npy", Npy(values, 2));
  ASSERT_THAT(FileBytes(input), HasSubstr(Raw(kCanary)));  // the search would find it
  const std::pair<const char*, std::string> canaries[] = {
      {"file name", "canary7f3a"},
      {"folder", inputs_.path().substr(inputs_.path().rfind('/'))},
      {"folder of the output", outputs_.path().substr(outputs_.path().rfind('/'))},
      {"record as float", Raw(kCanary)},
      {"record as double", Raw(double{kCanary})},
      {"record as text", "3.12345"},
      {"count as text", absl::StrCat(kRows)},
      {"count as integer", Raw(uint64_t{kRows})},
      {"count as double", Raw(double{kRows})},
      {"count as varint", Varint(kRows)},
      {"count as zigzag varint", Varint(2 * kRows)},
      {"sum of the count", Raw(uint64_t{kRows} << 20)},
      {"size of the file", Varint(FileBytes(input).size())},
  };
  for (const char* design : {"spline_grid", "lattice", "monte_carlo"}) {
    // A public guess; the noised count would be the true one in half a percent of all runs.
    Build({{"input", input}, {"design", design}, {"expected_n", "50000"}, {"overwrite", "true"}});
    const std::string bytes = FileBytes(release_);
    const std::string rest = BytesWithoutValues(bytes);
    ASSERT_GT(rest.size(), 100u);
    for (const auto& [what, canary] : canaries) {
      EXPECT_EQ(rest.find(canary), std::string::npos) << what << " is in a release of the design " << design;
      if (canary.size() < 8) continue;  // might occur in noise
      EXPECT_EQ(bytes.find(canary), std::string::npos) << what << " is in a release of the design " << design;
    }
  }
}

// The same search finds the number where it is public, so it could find it above.
TEST_F(BuildTest, ReleaseUnderReplaceHoldsTheRowCount) {
  constexpr uint64_t kRows = 70001;
  Build({{"input", inputs_.Write("a.npy", Npy(TwoColumns(kRows), 2))}, {"neighboring", "replace"}});
  EXPECT_NE(FileBytes(release_).find(Raw(uint64_t{kRows} << 20)), std::string::npos);
}

TEST_F(BuildTest, FilesDoNotGetWhatIsPrintedToClosedStreams) {
  const std::string input = inputs_.Write("a.npy", Npy(TwoColumns(20), 2));
  Surroundings surroundings;
  surroundings.standard_output = Surroundings::kClosed;
  EXPECT_EQ(BuildDensity({{"input", input}, {"output", release_}}, surroundings).exit_code, 0);
  EXPECT_EQ(RunCommand("dpkde_query", {"describe", release_}).exit_code, 0);
  EXPECT_THAT(outputs_.List(), ElementsAre("release"));
}

class DryRunTest : public BuildTest {
 protected:
  static CommandResult DryRun(const Flags& changes) {
    Flags flags = {{"dry_run", "true"}};
    for (const auto& [name, value] : changes) flags[name] = value;
    return BuildDensity(flags);
  }

  // The values of n whose tables are printed.
  static std::vector<std::string> Sizes(const CommandResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    std::vector<std::string> sizes;
    for (absl::string_view line : absl::StrSplit(result.out, '\n')) {
      if (absl::ConsumePrefix(&line, "n = ")) sizes.emplace_back(line);
    }
    return sizes;
  }
};

TEST_F(DryRunTest, NeedsNoInput) {
  const auto result = DryRun({{"dim", "2"}});
  EXPECT_THAT(Sizes(result), ElementsAre("1000", "100000", "10000000"));
  for (const char* part : {"spline_grid", "lattice", "monte_carlo", "total_rmse", "<- chosen", "chosen: ", "scales",
                           "sensitivity", "L1", "L2", "spends epsilon = "}) {
    EXPECT_THAT(result.out, HasSubstr(part));
  }
  EXPECT_EQ(result.err, "");
}

TEST_F(DryRunTest, ReadsNoRecord) {
  const std::string input = inputs_.Write("a.npy", Npy(std::vector<float>(40, NAN), 2));
  const auto private_count = DryRun({{"input", input}});
  EXPECT_THAT(Sizes(private_count), ElementsAre("1000", "100000", "10000000"));
  // The same for whatever number of rows.
  EXPECT_EQ(DryRun({{"input", inputs_.Write("b.npy", Npy({1, 2}, 2))}}).out, private_count.out);
  EXPECT_THAT(Sizes(DryRun({{"input", input}, {"neighboring", "replace"}})), ElementsAre("20"));
  EXPECT_THAT(Sizes(DryRun({{"input", input}, {"expected_n", "5000"}})), ElementsAre("5000"));
}

TEST_F(DryRunTest, WritesNothing) {
  const std::string existing = outputs_.Write("existing", "precious");
  EXPECT_EQ(DryRun({{"dim", "2"}, {"output", release_}, {"summary_out", outputs_.Path("summary")}}).exit_code, 0);
  EXPECT_EQ(DryRun({{"dim", "2"}, {"output", existing}}).exit_code, 0);
  EXPECT_THAT(outputs_.List(), ElementsAre("existing"));
  EXPECT_EQ(FileBytes(existing), "precious");
}

TEST_F(DryRunTest, StillChecksItsFlags) {
  EXPECT_EQ(DryRun({}).exit_code, 1);
  EXPECT_EQ(DryRun({{"dim", "2"}, {"bandwidth", "0"}}).exit_code, 1);
  EXPECT_EQ(DryRun({{"dim", "2"}, {"epsilon", kMissing}}).exit_code, 4);
  EXPECT_EQ(DryRun({{"dim", "9"}, {"design", "lattice"}}).exit_code, 1);
  EXPECT_EQ(DryRun({{"input", inputs_.Path("missing.npy")}}).exit_code, 5);
}

TEST_F(DryRunTest, PredictsWhatTheBuildChooses) {
  const std::string input = inputs_.Write("a.npy", Npy(TwoColumns(500), 2));
  const auto planned = DryRun({{"input", input}, {"expected_n", "500"}});
  Build({{"input", input}, {"expected_n", "500"}});
  const std::string design = Described(release_, "design");
  EXPECT_THAT(planned.out, HasSubstr("chosen: " + design.substr(0, design.find(", ")) + ", laplace noise"));
}

// A budget of 1.0 pays for ten releases of 0.1; the eleventh is refused before the data are read, and nothing is
// written.
TEST_F(BuildTest, TheLedgerRefusesToOverspend) {
  const std::string ledger = DeclareLedger(outputs_, "visits", {"--budget_epsilon=1.0"});
  const Flags flags = {{"input", inputs_.Write("a.npy", Npy(TwoColumns(20), 2))},
                       {"ledger", ledger},
                       {"dataset", "visits"},
                       {"epsilon", "0.1"}};
  const auto build = [&](const std::string& name, Flags changed) {
    changed["output"] = outputs_.Path(name);
    return BuildDensity(changed);
  };
  for (int i = 0; i < 10; ++i) {
    const CommandResult result = build("release" + std::to_string(i), flags);
    ASSERT_EQ(result.exit_code, 0) << i << " " << result.err;
  }
  const std::string spent = FileBytes(ledger);
  Flags eleventh = flags;
  eleventh["epsilon"] = "1e-7";
  const CommandResult refused = build("eleventh", eleventh);
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_NE(refused.err.find("only epsilon = 0 is left"), std::string::npos) << refused.err;
  EXPECT_EQ(FileBytes(outputs_.Path("eleventh")), "");
  EXPECT_EQ(FileBytes(ledger), spent);
  const CommandResult described = RunCommand("dpkde_query", {"describe", outputs_.Path("release0")});
  EXPECT_NE(described.out.find("in the ledger of visits"), std::string::npos) << described.out;
}

// A bad record is found before the budget is touched; a release that fails after the entry stays paid.
TEST_F(BuildTest, TheLedgerIsChargedOnlyWhenNoiseIsDrawn) {
  const std::string ledger = DeclareLedger(outputs_, "visits", {"--budget_epsilon=1.0"});
  const std::string declared = FileBytes(ledger);
  std::vector<float> values = TwoColumns(20);
  values[15] = std::nanf("");
  const CommandResult bad = BuildDensity({{"input", inputs_.Write("bad.npy", Npy(values, 2))},
                                          {"ledger", ledger},
                                          {"dataset", "visits"},
                                          {"expected_n", "20"},
                                          {"output", outputs_.Path("release")}});
  EXPECT_EQ(bad.exit_code, 2) << bad.err;
  EXPECT_EQ(FileBytes(ledger), declared);
  const CommandResult other = BuildDensity({{"input", inputs_.Write("a.npy", Npy(TwoColumns(20), 2))},
                                            {"ledger", ledger},
                                            {"dataset", "tests"},
                                            {"output", outputs_.Path("release")}});
  EXPECT_EQ(other.exit_code, 4) << other.err;
  EXPECT_EQ(FileBytes(ledger), declared);
}

// Every similarity is built and answered by the design that the planner chooses.
TEST_F(BuildTest, EverySimilarityIsReleasedAndAnswered) {
  const std::string input = inputs_.Write("a.npy", Npy(TwoColumns(20), 2));
  const std::string queries = inputs_.Write("q.csv", "1,1\n0.5,2\n");
  const std::vector<Flags> cases = {
      {{"similarity", "exponential"}},
      {{"similarity", "matern"}, {"nu", "1.5"}},
      {{"similarity", "rational_quadratic"}, {"alpha", "2"}},
      {{"similarity", "cauchy"}},
      {{"similarity", "inverse_l2"}},
      {{"similarity", "inverse_l1"}},
      {{"similarity", "product_cauchy"}},
      {{"similarity", "p_stable"}},
      {{"similarity", "angular"}, {"p", "2"}, {"bandwidth", kMissing}},
      {{"similarity", "l1"}, {"bandwidth", kMissing}},
      {{"similarity", "lp_power"}, {"p", "0.5"}, {"bandwidth", kMissing}},
      {{"similarity", "l2"}, {"bandwidth", kMissing}},
      {{"similarity", "l2_squared"}, {"bandwidth", kMissing}},
      {{"similarity", "inner_product"}, {"bandwidth", kMissing}},
      {{"similarity", "cosine"}, {"bandwidth", kMissing}, {"domain_min", ""}, {"domain_max", ""}}};
  for (size_t i = 0; i < cases.size(); ++i) {
    Flags flags = cases[i];
    flags["input"] = input;
    flags["output"] = outputs_.Path("r" + std::to_string(i));
    const CommandResult built = BuildDensity(flags);
    ASSERT_EQ(built.exit_code, 0) << flags["similarity"] << ": " << built.err;
    const CommandResult answered = QueryDensity(flags["output"], queries);
    EXPECT_EQ(answered.exit_code, 0) << answered.err;
    EXPECT_EQ(std::count(answered.out.begin(), answered.out.end(), '\n'), 2) << answered.out;
  }
}

}  // namespace
}  // namespace dpkde
