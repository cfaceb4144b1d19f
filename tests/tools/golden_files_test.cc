// Files that version 0.1 wrote (tests/testdata/golden_v0_1) are read for ever, and answer what they answered then.
#include <cmath>
#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dpkde/io/vector_reader.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/output_text.h"

namespace dpkde {
namespace {

using google::protobuf::Value;

const char kGolden[] = "tests/testdata/golden_v0_1/";

std::string Golden(const std::string& name) { return kGolden + name; }

// The names in a folder that end in `ending`, without it, sorted.
std::set<std::string> NamesWithEnding(const std::string& folder, const std::string& ending) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(Golden(folder))) {
    const std::string name = entry.path().filename();
    if (absl::EndsWith(name, ending)) names.insert(name.substr(0, name.size() - ending.size()));
  }
  return names;
}

// Fields that a later version may improve: intervals, and what is said beside the answer.
bool IsCompared(const std::string& field) {
  return field != "bias_bound" && field != "mean" && field != "mean_std_error";
}

// Version 0.1 could print an interval that is no JSON.
std::string WithoutInterval(const std::string& line) {
  return std::regex_replace(line, std::regex(R"re("ci95":\[[^\]]*\],)re"), "");
}

// Every number of `now` is that of `then`, but for the last digits of `digits`-digit arithmetic.
void ExpectSame(const Value& then, const Value& now, double tolerance, const std::string& where) {
  ASSERT_EQ(then.kind_case(), now.kind_case()) << where;
  if (then.has_number_value()) {
    EXPECT_NEAR(then.number_value(), now.number_value(), tolerance * (1 + std::abs(then.number_value()))) << where;
  } else if (then.has_string_value()) {
    EXPECT_EQ(then.string_value(), now.string_value()) << where;
  } else if (then.has_list_value()) {
    ASSERT_EQ(then.list_value().values_size(), now.list_value().values_size()) << where;
    for (int i = 0; i < then.list_value().values_size(); ++i) {
      ExpectSame(then.list_value().values(i), now.list_value().values(i), tolerance, absl::StrCat(where, "[", i, "]"));
    }
  } else if (then.has_struct_value()) {
    for (const auto& [field, value] : then.struct_value().fields()) {
      if (!IsCompared(field)) continue;
      ASSERT_EQ(now.struct_value().fields().count(field), 1u) << where << "." << field;
      ExpectSame(value, now.struct_value().fields().at(field), tolerance, absl::StrCat(where, ".", field));
    }
  }
}

// Runs dpkde_query and compares its first lines with those of a golden file of JSON lines.
void ExpectAnswers(const std::vector<std::string>& arguments, const std::string& answers, double tolerance) {
  SCOPED_TRACE(answers);
  const CommandResult result = RunCommand("dpkde_query", arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<std::string> then = Lines(FileBytes(Golden(answers))), now = Lines(result.out);
  ASSERT_GT(then.size(), 0u);
  ASSERT_GE(now.size(), then.size());
  for (size_t i = 0; i < then.size(); ++i) {
    Value value_then, value_now;
    *value_then.mutable_struct_value() = ParseJson(then[i]);
    *value_now.mutable_struct_value() = ParseJson(WithoutInterval(now[i]));
    ExpectSame(value_then, value_now, tolerance, absl::StrCat("line ", i));
  }
}

// The queries that a density was asked.
std::string QueriesOf(const std::string& density) {
  if (absl::StartsWith(density, "tree")) return "line";
  if (density == "hadamard" || density == "reduction") return "words";
  if (density == "lattice" || density == "lsq_fgt" || absl::StartsWith(density, "spline_grid")) return "places";
  return "letters";
}

TEST(GoldenFilesTest, DensitiesOfEveryDesignAnswerAsBefore) {
  const std::set<std::string> names = NamesWithEnding("density", ".dpkde");
  EXPECT_EQ(names.size(), 24u);
  for (const std::string& name : names) {
    ExpectAnswers({"density", "--release=" + Golden("density/" + name + ".dpkde"),
                   "--queries=" + Golden("queries/" + QueriesOf(name) + "_queries.csv"), "--csv_header=absent"},
                  "density/" + name + ".jsonl", 1e-6);
  }
}

TEST(GoldenFilesTest, ClassifiersAndHistogramsAnswerAsBefore) {
  for (const char* name : {"landmark", "moments"}) {
    ExpectAnswers({"classify", absl::StrCat("--release=", Golden("classifier/"), name, ".dpkde"),
                   "--queries=" + Golden("queries/letters_queries.csv"), "--csv_header=absent"},
                  absl::StrCat("classifier/", name, ".jsonl"), 1e-6);
  }
  ExpectAnswers({"histogram", "--release=" + Golden("histogram/votes.dpkde")}, "histogram/votes.jsonl", 1e-6);
}

TEST(GoldenFilesTest, IndexesOfEveryKindFindWhatTheyFound) {
  for (const char* name : {"flat", "int8", "hnsw", "hnsw_inner", "ivf", "ivf_int8", "pq8", "pq4", "graded"}) {
    ExpectAnswers({"search", absl::StrCat("--index=", Golden("index/"), name), "--k=5",
                   "--queries=" + Golden("queries/vectors_queries.csv"), "--csv_header=absent"},
                  absl::StrCat("index/", name, ".jsonl"), 1e-5);
  }
  ExpectAnswers({"search", "--index=" + Golden("index/tokens"), "--k=3", "--queries=" + Golden("queries/tokens.npy"),
                 "--query_lens=" + Golden("queries/lens.npy")},
                "index/tokens.jsonl", 1e-5);
}

std::vector<float> AllValues(const std::string& path) {
  auto reader = VectorReader::Open(path);
  EXPECT_TRUE(reader.ok()) << reader.status();
  std::vector<float> values((*reader)->row_count().value() * (*reader)->dimension());
  EXPECT_TRUE((*reader)->ReadRows((*reader)->row_count().value(), values.data()).ok());
  return values;
}

TEST(GoldenFilesTest, EncodersEncodeAsBefore) {
  const Folder folder;
  for (const std::string& name : NamesWithEnding("encoder", ".encoder")) {
    for (const std::string role : {"document", "query"}) {
      SCOPED_TRACE(name + ", " + role);
      const std::string output = folder.Path(name + "." + role + ".npy");
      const CommandResult result = RunCommand(
          "dpkde_build", {"encode", "--encoder=" + Golden("encoder/" + name + ".encoder"), "--role=" + role,
                          "--tokens=" + Golden("queries/tokens.npy"), "--lens=" + Golden("queries/lens.npy"),
                          "--output=" + output});
      ASSERT_EQ(result.exit_code, 0) << result.err;
      const std::vector<float> then =
          AllValues(Golden("encoder/" + name + (role == "query" ? ".queries.npy" : ".documents.npy")));
      const std::vector<float> now = AllValues(output);
      ASSERT_EQ(then.size(), now.size());
      for (size_t i = 0; i < then.size(); ++i) ASSERT_NEAR(then[i], now[i], 1e-4 * (1 + std::abs(then[i]))) << i;
    }
  }
}

TEST(GoldenFilesTest, LedgersKeepWhatWasSpentAndGoOn) {
  const Folder folder;
  for (const std::string name : {"pure", "gaussian", "rho"}) {
    SCOPED_TRACE(name);
    const CommandResult described = RunCommand("dpkde_query", {"describe", Golden("ledger/" + name + ".ledger")});
    ASSERT_EQ(described.exit_code, 0) << described.err;
    for (const std::string& line : Lines(FileBytes(Golden("ledger/" + name + ".txt")))) {
      if (!absl::StartsWith(line, " ")) {
        EXPECT_TRUE(absl::StrContains(described.out, line)) << line;
      }
    }
    const std::string ledger = folder.Write(name + ".ledger", FileBytes(Golden("ledger/" + name + ".ledger")));
    const std::string records = folder.Write(name + ".csv", "1,2\n3,4\n");
    std::vector<std::string> release = {"density",          "--input=" + records,     "--csv_header=absent",
                                        "--domain_min=0",   "--domain_max=5",         "--similarity=l2_squared",
                                        "--dim=2",          "--design=moments",       "--ledger=" + ledger,
                                        "--dataset=letters", "--output=" + folder.Path(name + ".dpkde")};
    if (name == "rho") {
      release.insert(release.end(), {"--neighboring=replace", "--rho=.4"});
    } else {
      release.insert(release.end(), {"--neighboring=add_remove", "--expected_n=2", "--epsilon=1.5"});
    }
    const CommandResult built = RunCommand("dpkde_build", release);
    ASSERT_EQ(built.exit_code, 0) << built.err;
    release.back() = name == "rho" ? "--rho=.11" : "--epsilon=1.6";
    release[10] = "--output=" + folder.Path(name + ".again");
    EXPECT_NE(RunCommand("dpkde_build", release).exit_code, 0) << "more than what is left";
  }
}

}  // namespace
}  // namespace dpkde
