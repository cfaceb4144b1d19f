// "dpkde_build histogram", "dpkde_query histogram" and "describe" of what they make.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/declared_ledger.h"
#include "tests/tools/killed_build.h"
#include "tests/tools/output_text.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// 60 public items on a line, and 900 private records: 600 next to item "i10", 300 next to item "i40".
class HistogramToolTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new Folder;
    std::vector<float> items, records;
    std::string ids;
    for (int i = 0; i < 60; ++i) {
      items.insert(items.end(), {static_cast<float>(i), 0});
      absl::StrAppend(&ids, "i", i, "\n");
    }
    for (int r = 0; r < 900; ++r) records.insert(records.end(), {r % 3 < 2 ? 10.1f : 40.1f, 0.5f});
    shared_->Write("records.npy", Npy(records, 2));
    const CommandResult built = RunCommand(
        "dpkde_build",
        {"index", "--input=" + shared_->Write("items.npy", Npy(items, 2)), "--ids=" + shared_->Write("ids.txt", ids),
         "--config=" + shared_->Write("config", "vector_index { metric: L2 codes: FLOAT32 }"), "--output=" + Index()});
    ASSERT_EQ(built.exit_code, 0) << built.err;
  }

  void SetUp() override {
    flags_ = {{"input", shared_->Path("records.npy")}, {"index", Index()},  {"votes", "2"}, {"epsilon", "1"},
              {"neighboring", "add_remove"},           {"output", Output()}};
  }

  static std::string Index() { return shared_->Path("index"); }
  std::string Output() const { return outputs_.Path("histogram"); }

  std::vector<std::string> Arguments() const {
    std::vector<std::string> arguments = {"histogram"};
    for (const auto& [name, value] : flags_) arguments.push_back(absl::StrCat("--", name, "=", value));
    return arguments;
  }
  CommandResult Build() const { return RunCommand("dpkde_build", Arguments()); }

  void Refuse(int exit_code, const std::vector<std::string>& phrases) const {
    ExpectRefusal(Build(), "dpkde_build", exit_code, phrases);
    EXPECT_THAT(outputs_.List(), IsEmpty());
  }

  CommandResult Query(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"histogram", "--release=" + Output()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand("dpkde_query", arguments);
  }

  // id -> count.
  std::map<std::string, double> Counts(const std::vector<std::string>& more = {}) const {
    const CommandResult result = Query(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    std::map<std::string, double> counts;
    for (const std::string& line : Lines(result.out)) {
      const auto fields = ParseJson(line).fields();
      counts[fields.at("id").string_value()] = fields.at("count").number_value();
    }
    return counts;
  }

  static Folder* shared_;
  Folder inputs_, outputs_;
  std::map<std::string, std::string> flags_;
};
Folder* HistogramToolTest::shared_ = nullptr;

TEST_F(HistogramToolTest, CountsVotesAndDrawsASyntheticSet) {
  flags_["threshold"] = "30";
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.out, IsEmpty());
  EXPECT_THAT(built.err, HasSubstr("60 items, 2 votes a record, laplace noise"));
  // No number of private rows; behind the path, which may have any number.
  const size_t behind = built.err.find(": 60 items");
  ASSERT_NE(behind, std::string::npos);
  EXPECT_THAT(built.err.substr(behind), Not(HasSubstr("900")));

  // Neither a path nor a record.
  const std::string bytes = FileBytes(Output());
  EXPECT_THAT(bytes, Not(HasSubstr("records.npy")));
  const float record[] = {10.1f, 0.5f};
  EXPECT_THAT(bytes, Not(HasSubstr(std::string(reinterpret_cast<const char*>(record), sizeof(record)))));
  EXPECT_THAT(FileBytes(shared_->Path("records.npy")),
              HasSubstr(std::string(reinterpret_cast<const char*>(record), sizeof(record))));

  // Noise of standard error 2.8: 30 is beyond 10 of them.
  const std::map<std::string, double> counts = Counts();
  ASSERT_EQ(counts.size(), 4u);
  for (const auto& [id, count] :
       std::map<std::string, double>{{"i10", 600}, {"i11", 600}, {"i40", 300}, {"i41", 300}}) {
    ASSERT_EQ(counts.count(id), 1u) << id;
    EXPECT_NEAR(counts.at(id), count, 40);
    EXPECT_NE(counts.at(id), count);
  }
  // All of them, noised; never the exact zero.
  const std::map<std::string, double> all = Counts({"--threshold=-1e6"});
  EXPECT_EQ(all.size(), 60u);
  for (const auto& [id, count] : all) EXPECT_NE(count, 0) << id;
  EXPECT_EQ(all.at("i10"), counts.at("i10"));

  const CommandResult tsv = Query({"--output_format=tsv"});
  EXPECT_THAT(tsv.out, StartsWith("id\tcount\tstd_error\ni1"));
  EXPECT_EQ(Lines(Query({"--output_format=txt"}).out).size(), 4u);

  const CommandResult drawn = Query({"--sample=600", "--public_seed=3", "--output_format=txt"});
  ASSERT_EQ(drawn.exit_code, 0) << drawn.err;
  std::map<std::string, int> times;
  for (const std::string& id : Lines(drawn.out)) ++times[id];
  EXPECT_EQ(times.size(), 4u);
  EXPECT_NEAR(times["i10"] + times["i11"], 400, 80);
  EXPECT_EQ(Query({"--sample=600", "--public_seed=3", "--output_format=txt"}).out, drawn.out);
  EXPECT_NE(Query({"--sample=600", "--public_seed=4", "--output_format=txt"}).out, drawn.out);
  EXPECT_THAT(Query({"--sample=2"}).out, StartsWith("{\"draw\":0,\"id\":\"i"));
  ExpectRefusal(Query({"--sample=2", "--threshold=1e6"}), "dpkde_query", 2, {Output(), "no noised count is above"});
}

TEST_F(HistogramToolTest, DescribesWhatWasGuaranteed) {
  flags_["delta"] = "1e-6";
  flags_["votes"] = "30";
  flags_["neighboring"] = "replace";
  flags_["summary_out"] = outputs_.Path("summary");
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.err, HasSubstr("gaussian noise"));  // of less variance for so many votes
  EXPECT_THAT(built.err, HasSubstr("900 rows read"));
  const auto summary = ParseJson(FileBytes(outputs_.Path("summary"))).fields();
  EXPECT_EQ(summary.at("rows").number_value(), 900);
  EXPECT_EQ(summary.at("items").number_value(), 60);
  EXPECT_EQ(summary.at("votes").number_value(), 30);
  EXPECT_EQ(summary.at("mechanism").string_value(), "gaussian");
  EXPECT_EQ(summary.at("epsilon_spent").number_value(), 1);
  const CommandResult described = RunCommand("dpkde_query", {"describe", Output()});
  EXPECT_THAT(described.out, HasSubstr("items             60 (public)"));
  EXPECT_THAT(described.out, HasSubstr("votes             30 distinct items a record"));
  EXPECT_THAT(described.out, HasSubstr("replace: one record changed"));
  EXPECT_THAT(described.out, HasSubstr("items and their vectors"));
  const CommandResult json = RunCommand("dpkde_query", {"describe", Output(), "--output_format=json"});
  EXPECT_THAT(json.out, HasSubstr("\"delta_spent\""));
  EXPECT_THAT(json.out, Not(HasSubstr("i10")));
}

TEST_F(HistogramToolTest, RhoGivesGaussianNoise) {
  flags_.erase("epsilon");
  flags_["rho"] = "0.5";
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.err, HasSubstr("gaussian noise, standard error of a count 1.414; rho = 0.49999"));
}

TEST_F(HistogramToolTest, DryRunReadsNoRecord) {
  flags_["dry_run"] = "true";
  flags_["input"] = inputs_.Path("missing.npy");
  const CommandResult dry = Build();
  ASSERT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_THAT(dry.out, HasSubstr("60 items, 2 votes a record; sensitivity of the counts: L1 2, L2 1.41421"));
  EXPECT_THAT(dry.out, HasSubstr("left out: gaussian"));
  EXPECT_THAT(dry.out, HasSubstr("<- chosen"));
  flags_.erase("input");
  flags_.erase("output");
  flags_["delta"] = "1e-6";
  flags_["neighboring"] = "replace";
  const CommandResult replace = Build();
  ASSERT_EQ(replace.exit_code, 0) << replace.err;
  EXPECT_THAT(replace.out, HasSubstr("L1 4, L2 2"));
  EXPECT_THAT(outputs_.List(), IsEmpty());
}

TEST_F(HistogramToolTest, MoreVotesThanItemsAreVotesForAll) {
  flags_["votes"] = "100";
  flags_["epsilon"] = "30";
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.err, HasSubstr("has 60 documents, so that every record votes for all of them"));
  for (const auto& [id, count] : Counts()) EXPECT_NEAR(count, 900, 60) << id;
}

TEST_F(HistogramToolTest, NoRecordsAreAnOrdinaryRelease) {
  flags_["input"] = inputs_.Write("none.npy", Npy({}, 2));
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_EQ(Counts({"--threshold=-1e6"}).size(), 60u);
}

TEST_F(HistogramToolTest, BadRecordsAreRefusedOrVoteForNothing) {
  flags_["input"] = inputs_.Write("bad.npy", Npy({10.1f, 0, std::nanf(""), 0, 10.1f, 0, 3e19f, 1}, 2));
  Refuse(2, {"bad.npy: a record: is nan"});
  flags_["neighboring"] = "replace";
  Refuse(2, {"bad.npy", "row 1, column 0 (counting from 0): is nan"});
  flags_["neighboring"] = "add_remove";
  flags_["bad_records"] = "replace";
  flags_["epsilon"] = "100";
  ASSERT_EQ(Build().exit_code, 0);
  EXPECT_NEAR(Counts()["i10"], 2, 0.5);
  flags_["overwrite"] = "true";
  flags_["input"] = inputs_.Write("bad.csv", "10.1,0\nx,0\n");
  ExpectRefusal(Build(), "dpkde_build", 1, {"--csv_header=present"});
  flags_["csv_header"] = "absent";
  ASSERT_EQ(Build().exit_code, 0);
  EXPECT_NEAR(Counts()["i10"], 1, 0.5);
}

TEST_F(HistogramToolTest, RefusesUsage) {
  const auto with = [&](const std::string& name, const std::string& value, int exit_code, const std::string& phrase) {
    const auto before = flags_;
    flags_[name] = value;
    Refuse(exit_code, {phrase});
    flags_ = before;
  };
  with("votes", "0", 1, "--votes must be at least 1");
  with("candidates", "1", 1, "--candidates must be at least 2");
  with("threshold", "nan", 1, "--threshold must be finite");
  with("mechanism", "knorm", 1, "must be laplace or gaussian");
  with("mechanism", "gaussian", 4, "--delta is missing");
  with("bad_records", "drop", 1, "--bad_records must be one of");
  with("input", "", 1, "--input is missing");
  with("index", "", 1, "--index is missing");
  with("output", flags_["input"], 1, "--output");
  with("expected_n", "7", 1, "is not taken by 'histogram'");
  with("ledger", "x", 1, "--ledger and --dataset");
  with("epsilon", "0", 4, "--epsilon must be finite and positive");
  with("epsilon", "1e-14", 4, "too small");
  with("neighboring", "", 4, "--neighboring is missing");
  with("index", inputs_.Path("none"), 5, "none");
  with("input", inputs_.Path("none.npy"), 5, "none.npy");
  with("input", inputs_.Write("three.csv", "1,2,3\n"), 2, "records must have 2 columns, as the index has, but have 3");
  flags_.erase("votes");
  Refuse(1, {"--votes is missing"});
}

TEST_F(HistogramToolTest, RefusesAnIndexOfTokenSetsOrWithoutDocuments) {
  flags_["index"] = inputs_.Path("sets");
  std::string lens;
  for (int i = 0; i < 60; ++i) lens += "1\n";
  ASSERT_EQ(RunCommand("dpkde_build",
                       {"index", "--tokens=" + shared_->Path("items.npy"), "--lens=" + inputs_.Write("lens.csv", lens),
                        "--config=" + inputs_.Write("config", "encoder { fde { repetitions: 1 hyperplanes: 1 } }"),
                        "--output=" + flags_["index"]})
                .exit_code,
            0);
  Refuse(2, {"sets", "its documents are token sets"});
}

TEST_F(HistogramToolTest, AnIndexThatChangedIsNoticed) {
  const std::string index = inputs_.Path("index");
  const auto build_index = [&](const std::string& ids) {
    const CommandResult result =
        RunCommand("dpkde_build", {"index", "--input=" + shared_->Path("items.npy"), "--ids=" + ids,
                                   "--config=" + shared_->Path("config"), "--output=" + index});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  };
  build_index(shared_->Path("ids.txt"));
  ASSERT_EQ(RunCommand("dpkde_build", {"remove", "--index=" + index, "--ids=" + inputs_.Write("gone.txt", "i10\n")})
                .exit_code,
            0);
  flags_["index"] = index;
  flags_["threshold"] = "30";
  ASSERT_EQ(Build().exit_code, 0);
  // A removed document is no item: its neighbours got its votes.
  const std::map<std::string, double> counts = Counts({"--index=" + index});
  EXPECT_EQ(counts.count("i10"), 0u);
  EXPECT_EQ(counts.count("i9"), 1u);
  EXPECT_EQ(counts.count("i11"), 1u);
  EXPECT_EQ(Counts({"--threshold=-1e6"}).size(), 59u);
  ExpectRefusal(Query({"--index=" + Index()}), "dpkde_query", 2, {Index(), "holds other items than"});
  ASSERT_EQ(RunCommand("dpkde_build", {"compact", "--index=" + index}).exit_code, 0);
  EXPECT_EQ(Counts({"--index=" + index}), counts);
  ASSERT_EQ(
      RunCommand("dpkde_build", {"remove", "--index=" + index, "--ids=" + inputs_.Write("gone.txt", "i0\n")}).exit_code,
      0);
  ExpectRefusal(Query({"--index=" + index}), "dpkde_query", 2, {index, "holds other items than"});
}

TEST_F(HistogramToolTest, RefusesDamagedAndForeignFiles) {
  ASSERT_EQ(Build().exit_code, 0);
  const std::string bytes = FileBytes(Output());
  const std::string damaged = inputs_.Write("damaged", bytes.substr(0, bytes.size() - 1));
  for (const char* command : {"histogram", "density"}) {
    ExpectRefusal(RunCommand("dpkde_query", {command, "--release=" + damaged,
                                             command[0] == 'd' ? "--queries=" + flags_["input"] : "--threshold=0"}),
                  "dpkde_query", 3, {damaged});
  }
  ExpectRefusal(RunCommand("dpkde_query", {"describe", damaged}), "dpkde_query", 3, {damaged, "truncated"});
  ExpectRefusal(RunCommand("dpkde_query", {"density", "--release=" + Output(), "--queries=" + flags_["input"]}),
                "dpkde_query", 3, {"of the kind \"votes\", not \"release\""});
  ExpectRefusal(RunCommand("dpkde_query", {"histogram", "--release=" + flags_["input"]}), "dpkde_query", 3,
                {"is not a dpkde file"});
  ExpectRefusal(RunCommand("dpkde_query", {"histogram"}), "dpkde_query", 1, {"--release is missing"});
  ExpectRefusal(Query({"--sample=0"}), "dpkde_query", 1, {"--sample must be at least 1"});
  ExpectRefusal(Query({"--threshold=inf"}), "dpkde_query", 1, {"--threshold must be finite"});
}

TEST_F(HistogramToolTest, PaysFromTheLedgerOnce) {
  const std::string ledger = DeclareLedger(outputs_, "points", {"--budget_epsilon=1"});
  flags_["ledger"] = ledger;
  flags_["dataset"] = "points";
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(RunCommand("dpkde_query", {"describe", ledger}).out, HasSubstr("histogram, 2 votes, 60 items"));
  EXPECT_THAT(RunCommand("dpkde_query", {"describe", Output()}).out, HasSubstr("in the ledger of points"));
  flags_["overwrite"] = "true";
  const std::string before = FileBytes(Output());
  ExpectRefusal(Build(), "dpkde_build", 4, {ledger});
  EXPECT_EQ(FileBytes(Output()), before);
}

// Where a budget adds up mu^2, Gaussian noise is paid at its own price, and no count for planning is.
TEST_F(HistogramToolTest, PaysForItsNoiseAloneWhereThatAddsUp) {
  const std::string ledger =
      DeclareLedger(outputs_, "points", {"--budget_epsilon=2", "--budget_delta=1e-5", "--composition=gaussian"});
  flags_["ledger"] = ledger;
  flags_["dataset"] = "points";
  flags_["delta"] = "1e-6";
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.err, HasSubstr("gaussian noise"));
  EXPECT_THAT(RunCommand("dpkde_query", {"describe", ledger}).out, Not(HasSubstr("count for planning")));
}

// Killed at any instant: whatever of a release is on the disk, its cost is in the ledger.
TEST_F(HistogramToolTest, KilledAtAnyInstantNoNoiseIsWithoutItsEntry) {
  const std::string ledger = DeclareLedger(outputs_, "points", {"--budget_epsilon=60"});
  flags_["ledger"] = ledger;
  flags_["dataset"] = "points";
  flags_["quiet"] = "true";
  // Many items, so that noise and writing take a while.
  std::vector<float> items;
  for (int i = 0; i < 200000; ++i)
    items.insert(items.end(), {static_cast<float>(i % 499), static_cast<float>(i % 401)});
  const std::string index = inputs_.Path("large");
  ASSERT_EQ(RunCommand("dpkde_build", {"index", "--input=" + inputs_.Write("large.npy", Npy(items, 2)),
                                       "--config=" + shared_->Path("config"), "--output=" + index})
                .exit_code,
            0);
  flags_["index"] = index;
  flags_["input"] = inputs_.Write("few.npy", Npy(std::vector<float>(20, 1), 2));
  flags_.erase("output");
  ExpectNoNoiseWithoutEntry(Arguments(), ledger, /*entries_of_one=*/1, /*rounds=*/20);
}

}  // namespace
}  // namespace dpkde
