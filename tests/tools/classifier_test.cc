// "dpkde_build classifier", "dpkde_query classify" and "describe" of what they make.
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/declared_ledger.h"
#include "tests/tools/killed_build.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Flags = std::map<std::string, std::string>;

class ClassifierToolTest : public ::testing::Test {
 protected:
  // Two columns in [0, 4]^2; the label is whether the first is above 2.
  void SetUp() override {
    const std::vector<float> rows = TwoColumns(2000);
    std::string labels;
    for (size_t r = 0; r < 2000; ++r) labels += rows[2 * r] > 2 ? "1\n" : "0\n";
    rows_ = inputs_.Write("rows.npy", Npy(rows, 2));
    labels_ = inputs_.Write("labels.txt", labels);
    flags_ = {{"input", rows_},    {"labels", labels_}, {"label_set", "0-2"}, {"domain_min", "0"},
              {"domain_max", "4"}, {"epsilon", "5"},    {"output", Output()}, {"neighboring", "add_remove"}};
  }

  std::string Output() const { return outputs_.Path("classifier"); }

  CommandResult Build() const {
    std::vector<std::string> arguments = {"classifier"};
    for (const auto& [name, value] : flags_) arguments.push_back(absl::StrCat("--", name, "=", value));
    return RunCommand("dpkde_build", arguments);
  }

  void Refuse(int exit_code, const std::vector<std::string>& phrases) const {
    ExpectRefusal(Build(), "dpkde_build", exit_code, phrases);
    EXPECT_THAT(outputs_.List(), IsEmpty());
  }

  Folder inputs_, outputs_;
  std::string rows_, labels_;
  Flags flags_;
};

TEST_F(ClassifierToolTest, BuildsAndClassifies) {
  for (const char* model : {"auto", "kernel", "moments", "discriminant"}) {
    flags_["model"] = model;
    flags_["overwrite"] = "true";
    if (flags_["model"] == "kernel") {
      flags_["similarity"] = "gaussian";
      flags_["bandwidth"] = "0.5";
    } else {
      flags_.erase("similarity");
      flags_.erase("bandwidth");
    }
    const CommandResult built = Build();
    ASSERT_EQ(built.exit_code, 0) << built.err;
    EXPECT_THAT(built.out, IsEmpty());
    EXPECT_THAT(built.err, Not(HasSubstr("2000")));  // no number of private rows
    const CommandResult answered =
        RunCommand("dpkde_query", {"classify", "--release=" + Output(), "--queries=" + rows_, "--labels=" + labels_});
    ASSERT_EQ(answered.exit_code, 0) << answered.err;
    EXPECT_THAT(answered.out, ::testing::StartsWith("{\"query\":0,\"label\":0,\"scores\":["));
    double accuracy = 0;
    ASSERT_EQ(std::sscanf(answered.err.c_str(), "accuracy %lf", &accuracy), 1) << answered.err;
    EXPECT_GE(accuracy, 0.9) << model;
  }
  const CommandResult described = RunCommand("dpkde_query", {"describe", Output()});
  EXPECT_EQ(described.exit_code, 0) << described.err;
  EXPECT_THAT(described.out, HasSubstr("3 (public): 0,1,2"));
  EXPECT_THAT(described.out, HasSubstr("parallel over the classes of a public label set"));
  EXPECT_THAT(described.out, HasSubstr("label set; domain"));
  const CommandResult json = RunCommand("dpkde_query", {"describe", Output(), "--output_format=json"});
  EXPECT_THAT(json.out, HasSubstr("\"epsilon_spent\""));
}

TEST_F(ClassifierToolTest, NamesAreStringsAndReferencePointsLandmarks) {
  std::string labels;
  for (size_t r = 0; r < 2000; ++r) labels += TwoColumns(2000)[2 * r] > 2 ? "right\n" : "le\"ft\n";
  flags_["labels"] = inputs_.Write("names.txt", labels);
  flags_["label_set"] = "le\"ft,right";
  flags_["reference"] = inputs_.Write("reference.npy", Npy(TwoColumns(64), 2));
  flags_["neighboring"] = "replace";
  flags_["summary_out"] = outputs_.Path("summary");
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(FileBytes(outputs_.Path("summary")), HasSubstr("\"rows\":2000"));
  const CommandResult answered = RunCommand("dpkde_query", {"classify", "--release=" + Output(), "--queries=" + rows_});
  EXPECT_THAT(answered.out, ::testing::StartsWith("{\"query\":0,\"label\":\"le\\\"ft\""));
  const CommandResult described = RunCommand("dpkde_query", {"describe", Output()});
  EXPECT_THAT(described.out, HasSubstr("landmarks, public points in the clear"));
  EXPECT_THAT(described.out, HasSubstr("may change its class"));
}

TEST_F(ClassifierToolTest, RefusesWithoutALabelSetAndSaysWhy) {
  flags_.erase("label_set");
  Refuse(4, {"--label_set is missing", "would reveal", "rare class"});
}

TEST_F(ClassifierToolTest, RefusesPrivacyThatIsMissing) {
  flags_.erase("epsilon");
  Refuse(4, {"--epsilon is missing"});
  flags_["epsilon"] = "0";
  Refuse(4, {"--epsilon must be finite and positive"});
  flags_["epsilon"] = "1";
  flags_.erase("neighboring");
  Refuse(4, {"--neighboring is missing"});
  flags_["neighboring"] = "add_remove";
  flags_["mechanism"] = "gaussian";
  Refuse(4, {"--delta is missing"});
}

TEST_F(ClassifierToolTest, RefusesUsage) {
  const auto with = [&](const std::string& name, const std::string& value, const std::string& phrase) {
    const Flags before = flags_;
    flags_[name] = value;
    Refuse(1, {phrase});
    flags_ = before;
  };
  with("label_set", "0,1,1", "label '1' comes twice");
  with("label_set", "9-0", "reversed");
  with("label_set", "0,,1", "a label is empty");
  with("model", "forest", "--model must be one of");
  with("model", "landmark_ridge", "needs --reference");
  with("reference", rows_, "are the same file");
  with("class_features", "0", "--class_features");
  with("class_bandwidth", "nan", "--class_bandwidth must be finite and positive");
  with("bandwidth", "1", "--bandwidth needs --model=kernel");
  with("design", "lattice", "--design needs --model=kernel");
  with("model", "kernel", "--similarity is missing");
  with("domain_max", "-1", "--domain_min, --domain_max");
  with("labels", "", "--labels is missing");
  with("output", labels_, "--output");
  flags_.erase("domain_min");
  flags_.erase("domain_max");
  Refuse(1, {"--unit_rows is missing"});
}

// The kernel model is a density of each class: flags, designs and refusals are those of dpkde_build density.
TEST_F(ClassifierToolTest, KernelTakesTheFlagsOfADensity) {
  flags_["similarity"] = "laplacian";  // which implies the model
  flags_["bandwidth"] = "0.5";
  flags_["design"] = "spline_grid";
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.err, HasSubstr("kernel of 3 labels: spline_grid"));
  const CommandResult described = RunCommand("dpkde_query", {"describe", Output()});
  EXPECT_THAT(described.out, HasSubstr("laplacian bandwidth=0.5"));
  EXPECT_THAT(described.out, HasSubstr("spline_grid cells="));
  EXPECT_THAT(described.out, HasSubstr("label set; similarity and its parameters; design; domain; model"));
  EXPECT_THAT(described.out, HasSubstr("parallel over the classes"));
}

TEST_F(ClassifierToolTest, KernelOfReferencePointsAndWithoutADomain) {
  flags_["model"] = "kernel";
  flags_["similarity"] = "gaussian";
  flags_["bandwidth"] = "0.5";
  flags_["reference"] = inputs_.Write("reference.npy", Npy(TwoColumns(64), 2));
  flags_["design"] = "landmark";
  ASSERT_EQ(Build().exit_code, 0);
  EXPECT_THAT(RunCommand("dpkde_query", {"describe", Output()}).out, HasSubstr("landmarks are public points"));
  for (const char* name : {"reference", "design", "domain_min", "domain_max"}) flags_.erase(name);
  flags_["overwrite"] = "true";
  const CommandResult unbounded = Build();
  EXPECT_EQ(unbounded.exit_code, 0) << unbounded.err;
}

TEST_F(ClassifierToolTest, RefusesKernelsAsADensityDoes) {
  flags_["model"] = "kernel";
  flags_["similarity"] = "gaussian";
  flags_["bandwidth"] = "0.5";
  const auto with = [&](int exit_code, const Flags& others, const std::string& phrase) {
    const Flags before = flags_;
    for (const auto& [name, value] : others) flags_[name] = value;
    Refuse(exit_code, {phrase});
    flags_ = before;
  };
  with(1, {{"similarity", "gausian"}}, "unknown similarity 'gausian'");
  with(1, {{"bandwidth", "0"}}, "--bandwidth must be finite and positive");
  with(1, {{"similarity", "l1"}}, "bandwidth");
  with(1, {{"class_features", "10"}}, "--class_features is not taken by --model=kernel");
  with(1, {{"class_bandwidth", "1"}}, "--class_bandwidth is not taken by --model=kernel");
  with(1, {{"design", "landmark"}}, "--design=landmark needs --reference");
  with(1, {{"design", "axis"}}, "axis");
  with(1, {{"features", "10"}}, "--features needs --design");
  with(4, {{"epsilon", "1e-16"}}, "--epsilon");
  for (const char* name : {"domain_min", "domain_max"}) flags_.erase(name);
  with(1, {{"similarity", "laplacian"}}, "without --domain_min and --domain_max");
}

TEST_F(ClassifierToolTest, DryRunOfKernelsShowsEveryDesign) {
  const CommandResult dry =
      RunCommand("dpkde_build", {"classifier", "--dry_run", "--dim=2", "--label_set=0-3", "--domain_min=0",
                                 "--domain_max=4", "--epsilon=1", "--neighboring=replace", "--similarity=gaussian",
                                 "--bandwidth=0.5", "--expected_n=4000"});
  ASSERT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_THAT(dry.out, HasSubstr("n = 4000: kernel: for each of 4 labels a density of 1000 records"));
  EXPECT_THAT(dry.out, HasSubstr("spline_grid"));
  EXPECT_THAT(dry.out, HasSubstr("orthogonal"));
  EXPECT_THAT(dry.out, HasSubstr("<- chosen"));
  EXPECT_THAT(dry.out, HasSubstr("delta = 0: a replaced record may change its class"));
}

TEST_F(ClassifierToolTest, RefusesLabelsThatAreUnknownOrDoNotAddUp) {
  flags_["label_set"] = "1,2";
  Refuse(2, {labels_, ": a record: has a label that is not in --label_set"});
  flags_["neighboring"] = "replace";
  Refuse(2, {labels_, "row 0 (counting from 0): has a label that is not in --label_set"});
  flags_["label_set"] = "0,1";
  flags_["labels"] = inputs_.Write("short.txt", "0\n1\n");
  Refuse(2, {"has 2 labels, but"});
  flags_["neighboring"] = "add_remove";
  Refuse(2, {"short.txt: must have as many labels as "});
  flags_["labels"] = inputs_.Path("missing.txt");
  Refuse(5, {"missing.txt"});
}

TEST_F(ClassifierToolTest, RefusesDamagedFilesAndWrongQueries) {
  ASSERT_EQ(Build().exit_code, 0);
  const std::string bytes = FileBytes(Output());
  const std::string damaged = inputs_.Write("damaged", bytes.substr(0, bytes.size() - 1));
  ExpectRefusal(RunCommand("dpkde_query", {"classify", "--release=" + damaged, "--queries=" + rows_}), "dpkde_query", 3,
                {damaged});
  ExpectRefusal(RunCommand("dpkde_query", {"density", "--release=" + Output(), "--queries=" + rows_}), "dpkde_query", 3,
                {Output()});
  const std::string three = inputs_.Write("three.csv", "1,2,3\n");
  ExpectRefusal(RunCommand("dpkde_query", {"classify", "--release=" + Output(), "--queries=" + three}), "dpkde_query",
                2, {three, "queries must have 2 columns"});
}

TEST_F(ClassifierToolTest, PaysFromTheLedgerOnce) {
  const std::string ledger = DeclareLedger(outputs_, "points", {"--budget_epsilon=5"});
  flags_["ledger"] = ledger;
  flags_["dataset"] = "points";
  const CommandResult built = Build();
  ASSERT_EQ(built.exit_code, 0) << built.err;
  const CommandResult described = RunCommand("dpkde_query", {"describe", ledger});
  EXPECT_THAT(described.out, HasSubstr("classifier of 3 labels"));
  flags_["overwrite"] = "true";
  const std::string before = FileBytes(Output());
  ExpectRefusal(Build(), "dpkde_build", 4, {ledger});
  EXPECT_EQ(FileBytes(Output()), before);
}

// Killed at any instant: whatever of a release is on the disk, its cost is in the ledger.
TEST_F(ClassifierToolTest, KilledAtAnyInstantNoNoiseIsWithoutItsEntry) {
  const std::string ledger = DeclareLedger(outputs_, "points", {"--budget_epsilon=100"});
  // Many labels, so that noise and writing take a while.
  std::vector<std::string> arguments = {"classifier", "--ledger=" + ledger, "--dataset=points", "--quiet"};
  flags_.erase("output");
  flags_["label_set"] = "0-3000";
  flags_["similarity"] = "gaussian";
  flags_["bandwidth"] = "1";
  flags_["design"] = "monte_carlo";
  flags_["features"] = "64";
  flags_["expected_n"] = "2000";
  for (const auto& [name, value] : flags_) arguments.push_back(absl::StrCat("--", name, "=", value));
  ExpectNoNoiseWithoutEntry(arguments, ledger, /*entries_of_one=*/1, /*rounds=*/20);
}

TEST_F(ClassifierToolTest, DryRunNeedsNeitherRecordsNorLabels) {
  std::vector<std::string> arguments = {"classifier",       "--dry_run",      "--dim=16",
                                        "--label_set=0-25", "--domain_min=0", "--domain_max=15",
                                        "--epsilon=1",      "--delta=1e-6",   "--neighboring=add_remove"};
  const CommandResult dry = RunCommand("dpkde_build", arguments);
  ASSERT_EQ(dry.exit_code, 0) << dry.err;
  for (const char* n : {"n = 1000: ", "n = 100000: ", "n = 10000000: "}) EXPECT_THAT(dry.out, HasSubstr(n));
  EXPECT_THAT(dry.out, HasSubstr("std_error of a coordinate of a class sum"));
  arguments.push_back("--expected_n=5000");
  const CommandResult one = RunCommand("dpkde_build", arguments);
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(one.out, HasSubstr("n = 5000: "));
  EXPECT_THAT(one.out, Not(HasSubstr("n = 1000: ")));
  arguments.erase(arguments.begin() + 2);
  ExpectRefusal(RunCommand("dpkde_build", arguments), "dpkde_build", 1, {"--input (or --dim) is missing"});
}

}  // namespace
}  // namespace dpkde
