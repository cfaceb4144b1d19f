// What the tools say about themselves: --help, its examples, and what they answer to a slip of the pen.

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

// In an order in which each finds what the examples before it have made.
const std::vector<std::pair<std::string, std::string>>& Subcommands() {
  static const auto* subcommands = new std::vector<std::pair<std::string, std::string>>{
      {"dpkde_build", "density"},  {"dpkde_build", "classifier"}, {"dpkde_build", "ledger"},
      {"dpkde_build", "index"},    {"dpkde_build", "add"},        {"dpkde_build", "remove"},
      {"dpkde_build", "compact"},  {"dpkde_build", "histogram"},  {"dpkde_build", "encode"},
      {"dpkde_query", "density"},  {"dpkde_query", "classify"},   {"dpkde_query", "histogram"},
      {"dpkde_query", "plot"},     {"dpkde_query", "search"},     {"dpkde_query", "tune"},
      {"dpkde_query", "describe"},
  };
  return *subcommands;
}

std::string Help(const std::string& tool, const std::string& subcommand) {
  const CommandResult help = RunCommand(tool, {subcommand, "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  return help.out;
}

// The explanation of a flag in one line.
std::string FlagHelp(const std::string& help, const std::string& flag) {
  std::string text;
  bool inside = false;
  for (const std::string& line : Lines(help)) {
    if (absl::StartsWith(line, "      ") && inside) absl::StrAppend(&text, line.substr(5));
    if (absl::StartsWith(line, "  --")) {
      const std::string name = line.substr(4, line.find_first_of("= ", 4) - 4);
      inside = name == flag;
      if (inside) text = line;
    } else if (!absl::StartsWith(line, "      ")) {
      inside = false;
    }
  }
  return text;
}

// The files that the examples read.
void WriteExampleFiles(const Folder& folder) {
  const std::vector<float> places = TwoColumns(50);
  folder.Write("records.npy", Npy(TwoColumns(300), 2));
  std::string labels, ids, more_ids;
  for (int i = 0; i < 300; ++i) absl::StrAppend(&labels, i % 10, "\n");
  for (int i = 0; i < 50; ++i) absl::StrAppend(&ids, "place", i, "\n");
  for (int i = 50; i < 60; ++i) absl::StrAppend(&more_ids, "place", i, "\n");
  folder.Write("labels.txt", labels);
  folder.Write("places.npy", Npy(places, 2));
  folder.Write("places.txt", ids);
  folder.Write("more.npy", Npy(TwoColumns(10), 2));
  folder.Write("more.txt", more_ids);
  folder.Write("closed.txt", "place3\nplace55\n");
  folder.Write("queries.csv", "1,2\n3.5,0.5\n");
  folder.Write("tokens.npy", Npy(TwoColumns(8), 2));
  folder.Write("lens.txt", "3\n4\n1\n");
  folder.Write("encoder.textproto", "encoder { fde { repetitions: 2 } }");
}

// The example as arguments, with the files in the folder.
std::vector<std::string> ExampleArguments(const std::string& help, const std::string& command, const Folder& folder) {
  std::vector<std::string> arguments;
  for (const std::string& line : Lines(help)) {
    if (!absl::StartsWith(line, absl::StrCat("  ", command, " ")) || !arguments.empty()) continue;
    for (absl::string_view word : absl::StrSplit(line.substr(2), ' ')) {
      const size_t equals = word.find('=');
      const absl::string_view value = equals == absl::string_view::npos ? word : word.substr(equals + 1);
      const bool is_file = value.find_first_of(".") != absl::string_view::npos;
      arguments.push_back(
          is_file ? absl::StrCat(word.substr(0, word.size() - value.size()), folder.Path(std::string(value)))
                  : std::string(word));
    }
  }
  return arguments;
}

TEST(HelpTest, TheExampleOfEverySubcommandWorks) {
  Folder folder;
  WriteExampleFiles(folder);
  for (const auto& [tool, subcommand] : Subcommands()) {
    SCOPED_TRACE(absl::StrCat(tool, " ", subcommand));
    const std::vector<std::string> arguments =
        ExampleArguments(Help(tool, subcommand), absl::StrCat(tool, " ", subcommand), folder);
    ASSERT_GT(arguments.size(), 2u) << "no example";
    const CommandResult result = RunCommand(tool, {arguments.begin() + 1, arguments.end()});
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
  for (const char* made :
       {"records.dpkde", "classes.dpkde", "visits.ledger", "votes.dpkde", "encoded.npy", "map.png"}) {
    EXPECT_GT(FileBytes(folder.Path(made)).size(), 50u) << made;
  }
}

TEST(HelpTest, FlagsStandInGroupsTheRequiredOnesFirst) {
  for (const auto& [tool, subcommand] : Subcommands()) {
    SCOPED_TRACE(absl::StrCat(tool, " ", subcommand));
    const std::string help = Help(tool, subcommand);
    std::vector<std::string> headings;
    const std::vector<std::string> lines = Lines(help);
    for (size_t i = 0; i < lines.size(); ++i) {
      EXPECT_LE(lines[i].size(), absl::StartsWith(lines[i], "  dpkde_") ? 300u : 100u) << lines[i];
      EXPECT_THAT(lines[i], Not(HasSubstr("`")));
      if (absl::EndsWith(lines[i], ":") && lines[i][0] != ' ') headings.push_back(lines[i]);
      if (absl::StartsWith(lines[i], "  --")) {
        EXPECT_GE(headings.size(), 2u) << lines[i] << " stands in no group";
        EXPECT_GT(lines.at(i + 1).size(), 20u) << lines[i] << " is not explained";
        EXPECT_TRUE(absl::StartsWith(lines.at(i + 1), "      "));
      }
    }
    ASSERT_GE(headings.size(), 3u);
    EXPECT_EQ(headings[0], "Example:");
    EXPECT_EQ(headings[1], subcommand == "describe" ? "Output:" : "Required:");
    EXPECT_EQ(headings.back(), "Running:");
  }
}

TEST(HelpTest, TypesAndDefaultsAreShown) {
  const std::string search = Help("dpkde_query", "search");
  EXPECT_THAT(search, HasSubstr("\n  --k=INTEGER (default 10)\n"));
  EXPECT_THAT(search, HasSubstr("\n  --fail_if_recall_below=NUMBER\n"));
  EXPECT_THAT(search, HasSubstr("\n  --explain\n"));
  EXPECT_THAT(search, HasSubstr("[--k=K]"));
  const std::string density = Help("dpkde_build", "density");
  EXPECT_THAT(density, HasSubstr("\n  --epsilon=NUMBER\n"));
  EXPECT_THAT(density, HasSubstr("\n  --neighboring=add_remove|replace\n"));
  EXPECT_THAT(density, HasSubstr("\n  --bad_records=fail|replace (default fail)\n"));
  EXPECT_THAT(density, HasSubstr("\n  --csv_header=present|absent|detect (default detect)\n"));
  EXPECT_THAT(density, HasSubstr("\n  --threads=INTEGER (default 0)\n"));
  EXPECT_THAT(density, HasSubstr("\n  --output=FILE\n"));
  EXPECT_THAT(Help("dpkde_query", "plot"), HasSubstr("\n  --width=INTEGER (default 1200)\n"));
}

// One text cannot be true for all that take a flag.
TEST(HelpTest, TextsAreTrueForTheirSubcommand) {
  const auto text = [](const char* tool, const char* subcommand, const char* flag) {
    const std::string found = FlagHelp(Help(tool, subcommand), flag);
    EXPECT_NE(found, "") << flag;
    return found;
  };
  EXPECT_THAT(text("dpkde_build", "remove", "ids"), Not(HasSubstr("Left out")));
  EXPECT_THAT(text("dpkde_build", "index", "output"), HasSubstr("DIR to make"));
  EXPECT_THAT(text("dpkde_build", "index", "summary_out"), Not(HasSubstr("add_remove")));
  EXPECT_THAT(text("dpkde_build", "density", "summary_out"), HasSubstr("add_remove"));
  EXPECT_THAT(text("dpkde_build", "classifier", "dim"), Not(HasSubstr("bad_records")));
  EXPECT_THAT(text("dpkde_build", "histogram", "mechanism"), Not(HasSubstr("knorm")));
  EXPECT_THAT(text("dpkde_build", "index", "input"), HasSubstr("public"));
  EXPECT_THAT(text("dpkde_build", "density", "input"), HasSubstr("private"));
  EXPECT_THAT(text("dpkde_query", "search", "output_format"), HasSubstr("jsonl|trec|tsv|ivecs"));
  EXPECT_THAT(text("dpkde_query", "tune", "output_format"), Not(HasSubstr("ivecs")));
  EXPECT_THAT(text("dpkde_query", "search", "queries"), HasSubstr("tokens"));
  EXPECT_THAT(text("dpkde_query", "density", "queries"), Not(HasSubstr("tokens")));
  EXPECT_THAT(text("dpkde_query", "classify", "labels"), HasSubstr("Public"));
  EXPECT_THAT(text("dpkde_build", "classifier", "labels"), HasSubstr("private"));
  EXPECT_THAT(text("dpkde_query", "search", "public_seed"), HasSubstr("--density_contrast"));
}

TEST(HelpTest, AToolAloneShowsItsSubcommands) {
  for (const std::string tool : {"dpkde_build", "dpkde_query"}) {
    const CommandResult alone = RunCommand(tool, {});
    EXPECT_EQ(alone.exit_code, 1);
    EXPECT_EQ(alone.out, "");
    const CommandResult help = RunCommand(tool, {"--help"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_EQ(alone.err, tool + ": a subcommand is missing\n" + help.out);
    for (const auto& [of, subcommand] : Subcommands()) {
      if (of == tool) {
        EXPECT_THAT(help.out, HasSubstr("\n  " + tool + " " + subcommand + " "));
      }
    }
    for (const char* code :
         {"0 success", "1 command line", "2 data", "3 damaged", "4 privacy", "5 reading", "6 recall", "70 internal"}) {
      EXPECT_THAT(absl::StrJoin(absl::StrSplit(help.out, '\n'), " "), HasSubstr(code));
    }
  }
}

TEST(HelpTest, SlipsOfThePen) {
  Folder folder;
  const std::string input = folder.Write("records.npy", Npy(TwoColumns(10), 2)), output = folder.Path("release.dpkde");
  const auto refused = [&](const Flags& changes, int exit_code, const std::vector<std::string>& phrases) {
    Flags flags = {{"input", input}, {"output", output}};
    for (const auto& [name, value] : changes) flags[name] = value;
    ExpectRefusal(BuildDensity(flags), "dpkde_build", exit_code, phrases);
  };
  refused({{"domain-min", "0"}}, 1, {"unknown flag --domain-min; did you mean --domain_min?"});
  refused({{"epsilom", "1"}}, 1, {"unknown flag --epsilom; did you mean --epsilon?"});
  refused({{"Epsilon", "1"}}, 1, {"unknown flag --Epsilon; did you mean --epsilon?"});
  refused({{"similarity", "Gaussian"}}, 1, {"'Gaussian'", "; did you mean gaussian?"});
  refused({{"similarity", "lapalcian"}}, 1, {"; did you mean laplacian?"});
  refused({{"design", "monte-carlo"}}, 1, {"; did you mean monte_carlo?"});
  refused({{"mechanism", "Laplace"}}, 1, {"; did you mean laplace?"});
  refused({{"neighboring", "add-remove"}}, 4, {"; did you mean add_remove?"});
  refused({{"bad_records", "Fail"}}, 1, {"; did you mean fail?"});
  refused({{"input_format", "NPY"}}, 1, {"; did you mean npy?"});
  ExpectRefusal(RunCommand("dpkde_build", {"densty"}), "dpkde_build", 1,
                {"unknown subcommand 'densty'; did you mean density?"});
  ExpectRefusal(RunCommand("dpkde_query", {"describe", "x", "--output_format=JSON"}), "dpkde_query", 1,
                {"; did you mean json?"});
  // Nothing is near.
  refused({{"xyz", "1"}}, 1, {"unknown flag --xyz"});
  const CommandResult far = RunCommand("dpkde_query", {"xyz"});
  EXPECT_THAT(far.err, Not(HasSubstr("did you mean")));
  EXPECT_THAT(folder.List(), ::testing::ElementsAre("records.npy"));
}

// The last of two would win without a word.
TEST(HelpTest, AFlagThatIsGivenTwiceIsRefused) {
  Folder folder;
  const std::string input = folder.Write("records.npy", Npy(TwoColumns(10), 2)), output = folder.Path("release.dpkde");
  std::vector<std::string> arguments = {"density", "--input=" + input, "--output=" + output};
  for (const auto& [name, value] : DensityFlags()) arguments.push_back("--" + name + "=" + value);
  for (const std::vector<std::string>& twice :
       std::vector<std::vector<std::string>>{{"--epsilon=0.1"},
                                             {"--epsilon=1"},
                                             {"--epsilon", "0.1"},
                                             {"-epsilon=0.1"},
                                             {"--neighboring=replace"},
                                             {"--delta=1e-6", "--delta=1e-5"},
                                             {"--domain_max=5"},
                                             {"--ledger=a", "--ledger=b"},
                                             {"--dataset=a", "--dataset=b"},
                                             {"--overwrite", "--nooverwrite"},
                                             {"--bad_records=fail", "--bad_records=replace"}}) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), twice.begin(), twice.end());
    SCOPED_TRACE(::testing::PrintToString(twice));
    ExpectRefusal(RunCommand("dpkde_build", all), "dpkde_build", 1, {"is given more than once"});
  }
  EXPECT_THAT(folder.List(), ::testing::ElementsAre("records.npy"));
  EXPECT_EQ(RunCommand("dpkde_build", arguments).exit_code, 0);
}

}  // namespace
}  // namespace dpkde
