// No output of any subcommand overwrites a ledger: neither that of --ledger nor another, by whatever path.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"
#include "dpkde/privacy/budget_ledger.h"
#include "tests/tools/command.h"
#include "tests/tools/refusal.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;

class LedgerSafetyTest : public ::testing::Test {
 protected:
  LedgerSafetyTest() {
    std::string rows, labels;
    for (int i = 0; i < 60; ++i) {
      rows += absl::StrCat(i % 5, ".25,", i % 3, ".5\n");
      labels += i % 2 == 0 ? "a\n" : "b\n";
    }
    rows_ = folder_.Write("rows.csv", rows);
    labels_ = folder_.Write("labels.txt", labels);
    lens_ = folder_.Write("lens.csv", "20\n20\n20\n");
    config_ = folder_.Write("config", "encoder { fde { repetitions: 2 hyperplanes: 1 } }\n");
    Declare("own.ledger", "d");
    Declare("other.ledger", "another");
    Run("dpkde_build", {"index", "--input=" + rows_, "--output=" + folder_.Path("index")});
    Run("dpkde_build", With(Density(), {"--output=" + folder_.Path("release")}));
    std::filesystem::create_directory(folder_.Path("sub"));
  }

  void Declare(const std::string& name, const std::string& dataset) {
    Run("dpkde_build", {"ledger", "--ledger=" + folder_.Path(name), "--dataset=" + dataset, "--budget_epsilon=1",
                        "--neighboring=add_remove"});
  }

  static void Run(const std::string& tool, const std::vector<std::string>& arguments) {
    const CommandResult result = RunCommand(tool, arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  static std::vector<std::string> With(std::vector<std::string> command, const std::vector<std::string>& more) {
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }

  std::vector<std::string> Density() const {
    return {"density",      "--input=" + rows_, "--similarity=gaussian",    "--bandwidth=1",  "--domain_min=0,0",
            "--domain_max=5,5", "--epsilon=1",      "--neighboring=add_remove", "--expected_n=60"};
  }
  std::vector<std::string> Classifier() const {
    return {"classifier",        "--input=" + rows_,  "--labels=" + labels_, "--label_set=a,b",          "--model=moments",
            "--domain_min=0,0", "--domain_max=5,5", "--epsilon=1",         "--neighboring=add_remove", "--expected_n=60"};
  }
  std::vector<std::string> Histogram() const {
    return {"histogram",   "--input=" + rows_, "--index=" + folder_.Path("index"), "--votes=1",
            "--epsilon=1", "--neighboring=add_remove"};
  }
  std::vector<std::string> Encode() const {
    return {"encode", "--tokens=" + rows_, "--lens=" + lens_, "--role=document", "--config=" + config_};
  }

  // Every flag by which a file is written, with the command that takes it.
  struct Output {
    std::string tool;
    std::vector<std::string> command;
    std::string flag;
    bool private_input;
  };
  std::vector<Output> Outputs() const {
    const std::string free = "--output=" + folder_.Path("free");
    std::vector<Output> outputs;
    for (const auto& command : {Density(), Classifier(), Histogram()}) {
      outputs.push_back({"dpkde_build", command, "output", true});
      outputs.push_back({"dpkde_build", With(command, {free}), "summary_out", true});
    }
    outputs.push_back({"dpkde_build", Encode(), "output", false});
    outputs.push_back({"dpkde_build", With(Encode(), {free}), "encoder_out", false});
    outputs.push_back({"dpkde_build", With(Encode(), {free, "--output_type=i1"}), "scales_out", false});
    outputs.push_back({"dpkde_build", {"index", "--input=" + rows_}, "output", false});
    outputs.push_back({"dpkde_build", {"index", "--input=" + rows_, free}, "summary_out", false});
    outputs.push_back({"dpkde_query", {"plot", "--release=" + folder_.Path("release")}, "output", false});
    return outputs;
  }

  const Folder folder_;
  std::string rows_, labels_, lens_, config_;
};

TEST_F(LedgerSafetyTest, NoOutputOverwritesALedger) {
  const std::string soft = folder_.Path("soft"), hard = folder_.Path("sub/hard");
  for (const std::string name : {"own.ledger", "other.ledger"}) {
    const std::string ledger = folder_.Path(name);
    const std::string before = FileBytes(ledger);
    ASSERT_FALSE(before.empty());
    std::filesystem::create_symlink(ledger, soft);
    std::filesystem::create_hard_link(ledger, hard);
    for (const std::string& path : {ledger, soft, hard, folder_.Path("sub/../") + name,
                                    std::filesystem::relative(ledger).string()}) {
      for (const Output& output : Outputs()) {
        std::vector<std::string> command = With(output.command, {absl::StrCat("--", output.flag, "=", path), "--overwrite"});
        if (output.private_input) command = With(command, {"--ledger=" + folder_.Path("own.ledger"), "--dataset=d"});
        const CommandResult result = RunCommand(output.tool, command);
        SCOPED_TRACE(absl::StrCat(command[0], " --", output.flag, "=", path, ": ", result.err));
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_EQ(FileBytes(ledger), before);
        EXPECT_EQ(FileBytes(folder_.Path("free")), "");
      }
    }
    std::filesystem::remove(soft);
    std::filesystem::remove(hard);
  }
  // Nothing was paid either.
  EXPECT_EQ(BudgetLedger::Read(folder_.Path("own.ledger"))->message().entry_size(), 0);
}

// A ledger that does not exist yet cannot be an output either: it would have to be declared over it.
TEST_F(LedgerSafetyTest, AnOutputIsNotTheLedgerToBe) {
  const std::string path = folder_.Path("sub/new"), link = folder_.Path("link");
  std::filesystem::create_symlink("sub/new", link);
  for (const std::string& output : {path, link, folder_.Path("sub/./new")}) {
    ExpectRefusal(RunCommand("dpkde_build", With(Density(), {"--output=" + output, "--ledger=" + path, "--dataset=d"})),
                  "dpkde_build", 1, {"--output=" + output, "is the file of --ledger"});
    ExpectRefusal(RunCommand("dpkde_build", With(Density(), {"--output=" + folder_.Path("free"), "--ledger=" + path,
                                                             "--dataset=d", "--summary_out=" + output})),
                  "dpkde_build", 1, {"--summary_out=" + output, "is the file of --ledger"});
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(LedgerSafetyTest, ADamagedLedgerIsSparedToo) {
  const std::string ledger = folder_.Path("own.ledger");
  const std::string damaged = folder_.Write("damaged", FileBytes(ledger).substr(0, 40));
  ExpectRefusal(RunCommand("dpkde_build", With(Density(), {"--output=" + damaged, "--overwrite"})), "dpkde_build", 1,
                {"--output=" + damaged, "is the ledger of a privacy budget"});
  EXPECT_EQ(FileBytes(damaged).size(), 40u);
}

// The control: without a ledger at the path every one of these commands writes its file.
TEST_F(LedgerSafetyTest, EveryOutputIsWrittenOtherwise) {
  for (const Output& output : Outputs()) {
    const Folder out;
    const std::string path = out.Path("file");
    std::vector<std::string> command;
    for (std::string argument : output.command) {
      if (argument == "--output=" + folder_.Path("free")) argument = "--output=" + out.Path("free");
      command.push_back(argument);
    }
    Run(output.tool, With(command, {absl::StrCat("--", output.flag, "=", path)}));
    EXPECT_TRUE(std::filesystem::exists(path)) << command[0] << " --" << output.flag;
  }
}

TEST_F(LedgerSafetyTest, OutputsAreDifferentFilesAndNoneIsRead) {
  const std::string same = folder_.Path("same"), link = folder_.Path("link");
  std::filesystem::create_symlink("same", link);
  ExpectRefusal(RunCommand("dpkde_build", With(Density(), {"--output=" + same, "--summary_out=" + link})), "dpkde_build",
                1, {"--output and --summary_out are the same file"});
  ExpectRefusal(RunCommand("dpkde_build", With(Encode(), {"--output=" + same, "--encoder_out=" + link})), "dpkde_build",
                1, {"--output and --encoder_out are the same file"});
  ExpectRefusal(RunCommand("dpkde_build", With(Encode(), {"--output=" + same, "--encoder_out=" + folder_.Path("a"),
                                                          "--scales_out=" + folder_.Path("a"), "--output_type=i1"})),
                "dpkde_build", 1, {"--encoder_out and --scales_out are the same file"});
  for (const std::string& read : {rows_, lens_, config_}) {
    ExpectRefusal(RunCommand("dpkde_build", With(Encode(), {"--output=" + read, "--overwrite"})), "dpkde_build", 1,
                  {"--output=" + read, "is the file that is read"});
  }
  ExpectRefusal(RunCommand("dpkde_build", {"index", "--input=" + rows_, "--output=" + same, "--summary_out=" + rows_,
                                           "--overwrite"}),
                "dpkde_build", 1, {"--summary_out=" + rows_, "is the file that is read"});
}

// A release that is in its place, but whose entry is pending.
class MarkTest : public LedgerSafetyTest {
 protected:
  MarkTest() : ledger_(folder_.Path("own.ledger")) {}

  void Release(std::vector<std::string> command, const std::string& output) {
    Run("dpkde_build", With(command, {"--output=" + output, "--ledger=" + ledger_, "--dataset=d"}));
  }
  // As a run leaves it that cannot write the ledger any more.
  void Unmark() {
    BudgetLedger ledger = *BudgetLedger::Read(ledger_);
    proto::Ledger message = ledger.message();
    for (proto::LedgerEntry& entry : *message.mutable_entry()) entry.clear_released_sha256();
    ASSERT_TRUE(WriteFileAtomically(ledger_, SealEnvelope(kLedgerKind, 1, message.SerializeAsString()), true,
                                    FileKind::kLedger)
                    .ok());
  }
  CommandResult Mark(const std::string& file) {
    return RunCommand("dpkde_build", {"ledger", "--ledger=" + ledger_, "--mark=" + file});
  }

  const std::string ledger_;
};

TEST_F(MarkTest, MarksReleasesOfEveryKind) {
  for (const auto& command : {Density(), Classifier(), Histogram()}) {
    const Folder out;
    Declare(absl::StrCat(command[0], ".ledger"), "d");
    std::filesystem::rename(folder_.Path(absl::StrCat(command[0], ".ledger")), ledger_);
    Release(command, out.Path("out"));
    const std::string whole = FileBytes(ledger_);
    Unmark();
    EXPECT_NE(FileBytes(ledger_), whole);
    const CommandResult marked = Mark(out.Path("out"));
    EXPECT_EQ(marked.exit_code, 0) << marked.err;
    EXPECT_THAT(marked.err, HasSubstr("marked as released in " + ledger_ + ": entry 1"));
    EXPECT_EQ(FileBytes(ledger_), whole);
    EXPECT_EQ(Mark(out.Path("out")).exit_code, 0);  // again: nothing changes
    EXPECT_EQ(FileBytes(ledger_), whole);
  }
}

TEST_F(MarkTest, RefusesWhatThisLedgerDidNotPay) {
  Release(Density(), folder_.Path("out"));
  const std::string before = FileBytes(ledger_);
  // Made without a ledger.
  ExpectRefusal(Mark(folder_.Path("release")), "dpkde_build", 2, {folder_.Path("release"), "not paid from any ledger"});
  // Of another ledger of a dataset with the same name.
  const std::string again = folder_.Path("again.ledger");
  Declare("again.ledger", "d");
  Run("dpkde_build", With(Density(), {"--output=" + folder_.Path("out2"), "--ledger=" + again, "--dataset=d"}));
  ExpectRefusal(Mark(folder_.Path("out2")), "dpkde_build", 2, {ledger_, "no entry of it paid for this release"});
  // Of another dataset.
  Run("dpkde_build", With(Density(), {"--output=" + folder_.Path("out3"), "--ledger=" + folder_.Path("other.ledger"),
                                      "--dataset=another"}));
  ExpectRefusal(Mark(folder_.Path("out3")), "dpkde_build", 2, {"paid from a ledger of another, but", "is of d"});
  ExpectRefusal(Mark(rows_), "dpkde_build", 3, {rows_, "is not a dpkde file"});
  ExpectRefusal(Mark(folder_.Path("absent")), "dpkde_build", 5, {"does not exist"});
  EXPECT_EQ(FileBytes(ledger_), before);
  ExpectRefusal(RunCommand("dpkde_build", {"ledger", "--ledger=" + ledger_, "--mark=" + folder_.Path("out"),
                                           "--budget_epsilon=2"}),
                "dpkde_build", 1, {"--budget_epsilon"});
}

}  // namespace
}  // namespace dpkde
