// Text and arrays as users have them, at the command lines: what is a line, what is a header, what is a list; pipes.

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  return lines;
}

class TextInputTest : public ::testing::Test {
 protected:
  // A release of two columns.
  static void SetUpTestSuite() {
    shared_ = new Folder;
    const CommandResult built = BuildDensity({{"input", shared_->Write("rows.npy", Npy(TwoColumns(200), 2))},
                                              {"output", Release()}});
    ASSERT_EQ(built.exit_code, 0) << built.err;
  }

  static std::string Release() { return shared_->Path("release"); }

  CommandResult Query(const std::string& name, const std::string& text, const std::vector<std::string>& more = {}) {
    return QueryDensity(Release(), inputs_.Write(name, text), more);
  }

  static Folder* shared_;
  Folder inputs_, outputs_;
};

Folder* TextInputTest::shared_ = nullptr;

// What Excel for Mac saves: three records, not one header.
TEST_F(TextInputTest, CarriageReturnsAloneEndLines) {
  Flags flags = {{"input", inputs_.Write("mac.csv", "1\r2\r3\r")}, {"output", outputs_.Path("release")},
                 {"epsilon", "500"}, {"expected_n", "3"}, {"overwrite", "true"}};
  Surroundings query;
  query.standard_input = "2\r";
  for (const char* relation : {"add_remove", "replace"}) {
    flags["neighboring"] = relation;
    if (std::string(relation) == "replace") {
      flags["csv_header"] = "absent";
      flags["expected_n"] = kMissing;
    }
    const CommandResult built = BuildDensity(flags);
    ASSERT_EQ(built.exit_code, 0) << built.err;
    const CommandResult answer = QueryDensity(outputs_.Path("release"), "-", {}, query);
    EXPECT_NEAR(ParseJson(answer.out).fields().at("sum").number_value(), 1 + 2 * std::exp(-0.5), 0.1) << answer.err;
  }
  EXPECT_EQ(Lines(Query("mac.csv", "1,2\r3,4\r").out).size(), 2u);
  EXPECT_EQ(Lines(Query("mixed.csv", "1,2\r3,4\n1,1\r\n2,2").out).size(), 4u);
}

TEST_F(TextInputTest, ARowWithAGapIsNoHeader) {
  for (const char* first : {"NA,2", "1O,2", "2,null", "?,?", "-,1", "N/A,NaN", "nan,nan"}) {
    SCOPED_TRACE(first);
    const std::string text = absl::StrCat(first, "\n3,4\n1,1\n");
    ExpectRefusal(Query("a.csv", text), "dpkde_query", 2, {"a.csv: row 0, column ", "line 1 of the file"});
    ExpectRefusal(BuildDensity({{"input", inputs_.Write("b.csv", text)}, {"output", outputs_.Path("r")}}), "dpkde_build",
                  2, {"b.csv: a record: is "});
    ExpectRefusal(RunCommand("dpkde_build", {"index", "--input=" + inputs_.Write("c.csv", text),
                                             "--output=" + outputs_.Path("index")}),
                  "dpkde_build", 2, {"c.csv: row 0, column "});
  }
  EXPECT_THAT(Query("a.csv", "NA,2\n").err, HasSubstr("if line 1 is a header, say --csv_header=present"));
  EXPECT_EQ(outputs_.List().size(), 0u);
}

TEST_F(TextInputTest, AHeaderThatIsDetectedIsNamed) {
  const CommandResult answers = Query("a.csv", "east,north\n1,2\n");
  EXPECT_EQ(Lines(answers.out).size(), 1u);
  EXPECT_THAT(answers.err, HasSubstr("a.csv: line 1 was taken for a header: east, north\n"));
  EXPECT_EQ(Query("a.csv", "east,north\n1,2\n", {"--quiet"}).err, "");
  EXPECT_EQ(Query("a.csv", "east,north\n1,2\n", {"--csv_header=present"}).err, "");
  EXPECT_THAT(Query("a.csv", "east,north\n").err, HasSubstr("line 1 was taken for a header"));
  EXPECT_EQ(Query("a.csv", "east,north\n", {"--csv_header=present"}).exit_code, 0);

  // A private line is shown to the curator's terminal alone; that there is no record is not an error.
  Flags flags = {{"input", inputs_.Write("b.csv", "Smith,Jones\n")}, {"output", outputs_.Path("release")},
                 {"overwrite", "true"}};
  const CommandResult built = BuildDensity(flags);
  EXPECT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.err, HasSubstr("b.csv: line 1 was taken for a header\n"));
  EXPECT_THAT(built.err, Not(HasSubstr("Smith")));
  Surroundings terminal;
  terminal.terminal = true;
  EXPECT_THAT(BuildDensity(flags, terminal).err, HasSubstr("line 1 was taken for a header: Smith, Jones"));
}

TEST_F(TextInputTest, SaysWhyOtherDialectsAreNotRead) {
  ExpectRefusal(Query("a.csv", "1;2\n3;4\n"), "dpkde_query", 2,
                {"must have 2 columns, as the release has, but have 1", "line 1 holds ';', but cells are separated by"});
  ExpectRefusal(Query("a.csv", "1,5;2,5\n"), "dpkde_query", 2, {"line 1 holds ';'", "decimals by points"});
  ExpectRefusal(Query("a.csv", "\"1,5\",\"2,5\"\n"), "dpkde_query", 2, {"has decimal commas"});
  ExpectRefusal(Query("a.csv", "1.0e+00 2.0e+00\n"), "dpkde_query", 2, {"line 1 holds blanks"});
  ExpectRefusal(Query("a.csv", "1\t2\n"), "dpkde_query", 2, {"line 1 holds tabs", "--input_format=tsv"});
  ExpectRefusal(Query("a.csv", ",x,y\n0,1,2\n"), "dpkde_query", 2, {"but have 3", "is the first column an index"});
  ExpectRefusal(Query("a.dat", "1,2\n"), "dpkde_query", 2, {"name its format with --input_format"});
  ExpectRefusal(Query("q.npy", Npy({1, 2}, 1)), "dpkde_query", 2, {"but have 1", "q[None]"});
}

// Pipes are as good as files.
TEST_F(TextInputTest, StandardInput) {
  const std::string text = "1,2\n3,4\n";
  const std::string expected = Query("a.csv", text).out;
  Surroundings surroundings;
  surroundings.standard_input = text;
  for (const char* path : {"-", "/dev/stdin", "/dev/fd/0"}) {
    EXPECT_EQ(QueryDensity(Release(), path, {}, surroundings).out, expected) << path;
  }
  surroundings.standard_input = Npy({1, 2, 3, 4}, 2);
  EXPECT_EQ(QueryDensity(Release(), "-", {"--input_format=npy"}, surroundings).out, expected);
  surroundings.standard_input = FileBytes(Release());
  EXPECT_EQ(QueryDensity("-", inputs_.Path("a.csv"), {}, surroundings).out, expected);
  surroundings.standard_input = "1,2,3\n";
  ExpectRefusal(QueryDensity(Release(), "-", {}, surroundings), "dpkde_query", 2, {"standard input: queries must have 2"});

  // A density of two passes.
  surroundings.standard_input = Csv(TwoColumns(200), 2);
  const CommandResult built = BuildDensity({{"input", "-"}, {"output", outputs_.Path("piped")}}, surroundings);
  EXPECT_EQ(built.exit_code, 0) << built.err;
  EXPECT_EQ(QueryDensity(outputs_.Path("piped"), inputs_.Path("a.csv")).exit_code, 0);
}

class ListsTest : public TextInputTest {
 protected:
  CommandResult Index(const std::string& ids, const std::vector<std::string>& more = {},
                      const Surroundings& surroundings = {}) {
    std::vector<std::string> arguments = {"index", "--input=" + inputs_.Write("v.npy", Npy({0, 0, 1, 1, 2, 2}, 2)),
                                          "--overwrite", "--output=" + outputs_.Path("index"), "--ids=" + ids};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand("dpkde_build", arguments, surroundings);
  }

  // The id of the vector (2, 2).
  std::string LastId() {
    const CommandResult found =
        RunCommand("dpkde_query", {"search", "--index=" + outputs_.Path("index"), "--k=1", "--output_format=tsv",
                                   "--queries=" + inputs_.Write("q.csv", "9,9\n")});
    const std::vector<std::string> lines = Lines(found.out);
    const std::vector<std::string> cells = absl::StrSplit(lines.empty() ? "" : lines.back(), '\t');
    return cells.size() < 3 ? found.err : cells[2];
  }
};

TEST_F(ListsTest, IdsOfEveryKind) {
  const struct {
    const char* name;
    std::string bytes;
    std::vector<std::string> flags;
    const char* last;
  } cases[] = {
      {"a.txt", "a\nb\n\"c, d\"\n", {}, "\"c, d\""},
      {"a.csv", "\"a\"\n\"b\"\n\"c, \"\"d\"\"\"\n", {}, "c, \"d\""},
      {"b.csv", "a\rb\rc\r", {}, "c"},
      {"c.csv", "id\na\nb\nc\n", {"--csv_header=present"}, "c"},
      {"d.csv", "n,id\n1,a\n2,b\n3,c\n", {"--csv_header=present", "--id_column=id"}, "c"},
      {"e.csv", "1,a\n2,b\n3,c\n", {"--csv_header=absent", "--id_column=1"}, "c"},
      {"a.tsv", "a\nb\nc,d\n", {}, "c,d"},
      {"list", "a\nb\nc\n", {"--list_format=txt"}, "c"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.name);
    const CommandResult built = Index(inputs_.Write(test.name, test.bytes), test.flags);
    ASSERT_EQ(built.exit_code, 0) << built.err;
    EXPECT_EQ(LastId(), test.last);
  }
  Surroundings surroundings;
  surroundings.standard_input = "a\nb\nc\n";
  ASSERT_EQ(Index("-", {}, surroundings).exit_code, 0);
  EXPECT_EQ(LastId(), "c");
}

// One table with everything in it.
TEST_F(ListsTest, ColumnsOfATable) {
  std::string table = "id,kind,x,y\n", vectors, labels;
  const std::vector<float> values = TwoColumns(100);
  for (int i = 0; i < 100; ++i) {
    const std::string row = absl::StrCat(values[2 * i], ",", values[2 * i + 1], "\n");
    const std::string kind = values[2 * i] > 2 ? "high" : "low";
    absl::StrAppend(&table, "p", i, ",", kind, ",", row);
    absl::StrAppend(&vectors, row);
    absl::StrAppend(&labels, kind, "\n");
  }
  const std::string path = inputs_.Write("table.csv", table);
  EXPECT_EQ(QueryDensity(Release(), path, {"--columns=x,y"}).out, Query("v.csv", vectors).out);
  EXPECT_EQ(QueryDensity(Release(), path, {"--columns=2-3"}).out, Query("v.csv", vectors).out);
  EXPECT_NE(QueryDensity(Release(), path, {"--columns=y,x"}).out, Query("v.csv", vectors).out);
  ExpectRefusal(QueryDensity(Release(), path, {"--columns=x,z"}), "dpkde_query", 2, {"has no column 'z'"});

  const std::string classifier = outputs_.Path("c");
  const CommandResult built = RunCommand(
      "dpkde_build", {"classifier", "--input=" + path, "--label_column=kind", "--columns=x,y", "--label_set=low,high",
                      "--domain_min=0,0", "--domain_max=4,4", "--epsilon=20", "--neighboring=replace",
                      "--csv_header=present", "--output=" + classifier});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  const std::vector<std::string> classify = {"classify", "--release=" + classifier, "--queries=" + path,
                                             "--columns=x,y", "--label_column=kind"};
  const CommandResult answers = RunCommand("dpkde_query", classify);
  EXPECT_THAT(answers.err, ::testing::AnyOf(HasSubstr("accuracy 0.9"), HasSubstr("accuracy 1.0"))) << answers.err;

  const CommandResult indexed =
      RunCommand("dpkde_build", {"index", "--input=" + inputs_.Write("ids.csv", "id,x,y\na,0,0\nb,1,1\nc,2,2\n"),
                                 "--id_column=id", "--output=" + outputs_.Path("index")});
  ASSERT_EQ(indexed.exit_code, 0) << indexed.err;
  EXPECT_EQ(LastId(), "c");
}

TEST_F(ListsTest, WrongIdsAreNamedByFileAndLine) {
  const auto refused = [&](const char* name, const std::string& bytes, const std::vector<std::string>& phrases,
                           const std::vector<std::string>& flags = {}) {
    ExpectRefusal(Index(inputs_.Write(name, bytes), flags), "dpkde_build", 2, phrases);
  };
  refused("a.txt", "a\nb\na\n", {"a.txt: the id \"a\" is in line 3 and in line 1"});
  refused("a.txt", "a\n\nb\n", {"a.txt: the id in line 2 is empty"});
  refused("a.txt", "a\nb\xff\nc\n", {"a.txt: the id in line 2 is not UTF-8"});
  refused("a.csv", "a,1\nb,2\nc,3\n", {"a.csv: row 0 (counting from 0; line 1 of the file): has a second column"});
  refused("a.csv", "x\na\nb\nx\n", {"the id \"x\" is in line 4 and in line 1"});
  refused("a.txt", "a\nb\n", {"a.txt: must have an id for each of 3 documents, but has 2"});
  refused("a.csv", "id\na\nb\nc\n", {"has no column 'name'"}, {"--csv_header=present", "--id_column=name"});
  refused("a.dat", "a\nb\nc\n", {"name its format with --list_format"});
}

TEST_F(ListsTest, LabelSets) {
  const std::string rows = inputs_.Write("rows.npy", Npy(TwoColumns(20), 2));
  const auto build = [&](const std::string& labels, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"classifier", "--input=" + rows, "--labels=" + labels, "--domain_min=0",
                                          "--domain_max=4", "--epsilon=1", "--neighboring=add_remove", "--overwrite",
                                          "--output=" + outputs_.Path("c")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand("dpkde_build", arguments);
  };
  std::string text;
  for (int i = 0; i < 20; ++i) text += i % 2 == 0 ? "cat\n" : "dog, big\n";
  const std::string labels = inputs_.Write("labels.txt", text);
  EXPECT_EQ(build(labels, {"--label_set_file=" + inputs_.Write("set.txt", "cat\ndog, big\n")}).exit_code, 0);
  ExpectRefusal(build(labels, {"--label_set_file=" + inputs_.Write("set.txt", "cat\ncat\n")}), "dpkde_build", 1,
                {"--label_set_file=", "label 'cat' comes twice"});
  const std::string simple = inputs_.Write("simple.txt", absl::StrReplaceAll(text, {{", big", ""}}));
  EXPECT_EQ(build(simple, {"--label_set=cat, dog"}).exit_code, 0);
  const std::string csv = inputs_.Write("simple.csv", "kind\n" + FileBytes(simple));
  EXPECT_EQ(build(csv, {"--label_set=cat,dog", "--csv_header=present"}).exit_code, 0);
  ExpectRefusal(build(csv, {"--label_set=cat,dog"}), "dpkde_build", 2, {"a record: has a label that is"});

  // Found before anything is reserved.
  const std::string ledger = outputs_.Path("ledger");
  ASSERT_EQ(RunCommand("dpkde_build", {"ledger", "--ledger=" + ledger, "--dataset=d", "--budget_epsilon=1",
                                       "--neighboring=add_remove"}).exit_code, 0);
  ExpectRefusal(build(simple, {"--label_set=cat,dog,caf\xe9", "--ledger=" + ledger, "--dataset=d"}), "dpkde_build", 1,
                {"--label_set: label 3 is not UTF-8"});
  EXPECT_THAT(RunCommand("dpkde_query", {"describe", ledger}).out, HasSubstr("entries: 0"));
}

}  // namespace
}  // namespace dpkde
