#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/privacy/budget_ledger.h"
#include "dpkde/sketch/histogram.h"
#include "dpkde/sketch/release.h"
#include "dpkde/tools/run_tools.h"
#include "tests/testing/limits.h"
#include "tests/tools/command.h"
#include "tests/tools/failing_new.h"
#include "tests/tools/vector_files.h"

// Every subcommand, in a child of this process for each n: the n-th allocation fails, once or with all that follow. The
// run may end well or with exit code 70; nothing is left behind but complete files; a ledger knows of every release.
//
// n is every number below 300 and then grows by a tenth. All of them, which takes hours:
//
//   tools/test //tests/tools:allocation_failure_test --test_env=DPKDE_ALL_ALLOCATIONS=1 --test_timeout=36000

namespace dpkde {
namespace {

using Check = std::function<void(const Folder& folder, int exit_code)>;

// One run, in a folder of its own that begins with copies of `inputs`.
struct Command {
  std::string tool, name;
  std::vector<std::string> arguments;
  std::vector<std::string> inputs;   // in the folder of the fixture
  std::vector<std::string> outputs;  // the files that may be there afterwards
  Check check;
};

void PrintTo(const Command& command, std::ostream* out) { *out << command.tool << " " << command.name; }

template <typename Loaded>
Check Loads(const std::string& name) {
  return [=](const Folder& folder, int exit_code) {
    const std::string bytes = FileBytes(folder.Path(name));
    if (bytes.empty()) {
      EXPECT_NE(exit_code, 0);
    } else {
      EXPECT_TRUE(Loaded::Deserialize(bytes).ok());
    }
  };
}

Check IsThereWhenItWorked(const std::string& name) {
  return [=](const Folder& folder, int exit_code) {
    if (exit_code == 0) {
      EXPECT_FALSE(FileBytes(folder.Path(name)).empty());
    }
  };
}

// A release that is there has been paid.
Check ReleaseIsPaid(const Check& release, const std::string& output) {
  return [=](const Folder& folder, int exit_code) {
    release(folder, exit_code);
    const auto ledger = BudgetLedger::Read(folder.Path("ledger"));
    ASSERT_TRUE(ledger.ok()) << ledger.status();
    if (!FileBytes(folder.Path(output)).empty()) {
      EXPECT_GE(ledger->message().entry_size(), 1);
    }
  };
}

// The documents are those of before or those of after.
Check IndexHolds(const std::string& name, uint64_t before, uint64_t after) {
  return [=](const Folder& folder, int exit_code) {
    if (before == 0 && !std::filesystem::exists(folder.Path(name) + "/MANIFEST")) {
      EXPECT_NE(exit_code, 0);
      return;
    }
    const auto index = IndexDirectory::Open(folder.Path(name));
    ASSERT_TRUE(index.ok()) << index.status();
    if (exit_code == 0) {
      EXPECT_EQ(index->live_rows(), after);
    } else {
      EXPECT_THAT(index->live_rows(), ::testing::AnyOf(before, after));
    }
  };
}

std::vector<Command> Commands() {
  const std::string density =
      "density --input=records.npy --similarity=gaussian --bandwidth=1 --epsilon=1 --neighboring=add_remove "
      "--threads=2 --output=out";
  const std::string domain = " --domain_min=0,0 --domain_max=4,4";
  const std::string ledger = " --ledger=ledger --dataset=d";
  const std::string config = " --config=config.txt --threads=2";
  const auto arguments = [](const std::string& text) { return std::vector<std::string>(absl::StrSplit(text, ' ')); };
  const Check is_release = Loads<Release>("out"), unchanged = [](const Folder&, int) {};
  return {
      {"build",
       "density",
       arguments(density + domain + ledger + " --design=lattice --summary_out=summary"),
       {"records.npy", "ledger"},
       {"out", "summary"},
       ReleaseIsPaid(is_release, "out")},
      {"build",
       "density of text",
       arguments("density --input=records.csv --similarity=laplacian --bandwidth=1 --rho=1 "
                 "--neighboring=replace --csv_header=absent --design=monte_carlo --features=20 --output=out" +
                 domain),
       {"records.csv"},
       {"out"},
       is_release},
      {"build",
       "density by a reference",
       arguments(density + " --reference=reference.npy --expected_n=100 --design=landmark"),
       {"records.npy", "reference.npy"},
       {"out"},
       is_release},
      {"build",
       "classifier",
       arguments("classifier --input=records.npy --labels=labels.txt --label_set=0-3 --epsilon=1 "
                 "--neighboring=add_remove --threads=2 --output=out" +
                 domain + ledger),
       {"records.npy", "labels.txt", "ledger"},
       {"out"},
       ReleaseIsPaid(Loads<Classifier>("out"), "out")},
      {"build",
       "histogram",
       arguments("histogram --input=records.npy --index=places --votes=1 --epsilon=1 --neighboring=add_remove "
                 "--threads=2 --output=out" +
                 ledger),
       {"records.npy", "places", "ledger"},
       {"out"},
       ReleaseIsPaid(Loads<Histogram>("out"), "out")},
      {"build",
       "ledger",
       arguments("ledger --ledger=new --dataset=d --budget_epsilon=1 --neighboring=add_remove"),
       {},
       {"new"},
       [](const Folder& folder, int exit_code) {
         const bool declared = BudgetLedger::Read(folder.Path("new")).ok();
         EXPECT_EQ(declared, std::filesystem::exists(folder.Path("new")));
         if (exit_code == 0) {
           EXPECT_TRUE(declared);
         }
       }},
      {"build",
       "index",
       arguments("index --input=vectors.npy --output=new --threads=2"),
       {"vectors.npy"},
       {"new"},
       IndexHolds("new", 0, 200)},
      {"build",
       "index of token sets",
       arguments("index --tokens=vectors.npy --lens=lens.csv --output=new" + config),
       {"vectors.npy", "lens.csv", "config.txt"},
       {"new"},
       IndexHolds("new", 0, 100)},
      {"build",
       "add",
       arguments("add --index=index --input=vectors.npy --threads=2"),
       {"index", "vectors.npy"},
       {},
       IndexHolds("index", 200, 400)},
      {"build",
       "remove",
       arguments("remove --index=index --ids=ids.txt"),
       {"index", "ids.txt"},
       {},
       IndexHolds("index", 200, 198)},
      {"build",
       "compact",
       arguments("compact --index=index --threads=2"),
       {"index"},
       {},
       IndexHolds("index", 200, 200)},
      {"build",
       "encode",
       arguments("encode --tokens=vectors.npy --lens=lens.csv --role=document --output=out.npy --encoder_out=encoder" +
                 config),
       {"vectors.npy", "lens.csv", "config.txt"},
       {"out.npy", "encoder"},
       [](const Folder& folder, int exit_code) {
         const std::string bytes = FileBytes(folder.Path("encoder"));
         if (exit_code == 0) {
           EXPECT_FALSE(bytes.empty());
         }
         if (!bytes.empty()) {
           EXPECT_TRUE(DeserializeEncoder(bytes).ok());
         }
       }},
      {"query",
       "density",
       arguments("density --release=release --queries=records.npy --threads=2"),
       {"release", "records.npy"},
       {},
       unchanged},
      {"query",
       "classify",
       arguments("classify --release=classifier --queries=records.npy --threads=2"),
       {"classifier", "records.npy"},
       {},
       unchanged},
      {"query", "histogram", arguments("histogram --release=votes"), {"votes"}, {}, unchanged},
      {"query",
       "plot",
       arguments("plot --release=release --output=out.png --width=40 --threads=2"),
       {"release"},
       {"out.png"},
       IsThereWhenItWorked("out.png")},
      {"query",
       "search",
       arguments("search --index=index --queries=records8.npy --k=3 --threads=2"),
       {"index", "records8.npy"},
       {},
       unchanged},
      {"query",
       "search of token sets",
       arguments("search --index=sets --queries=records8.npy --query_lens=query_lens.csv --k=3 --threads=2"),
       {"sets", "records8.npy", "query_lens.csv"},
       {},
       unchanged},
      {"query",
       "tune",
       arguments("tune --index=index --queries=records8.npy --k=3 --threads=2"),
       {"index", "records8.npy"},
       {},
       unchanged},
      {"query", "describe", arguments("describe release"), {"release"}, {}, unchanged},
  };
}

// Runs the command in this process, which ends. Its n-th allocation fails, if n > 0.
int RunHere(const Command& command, const Folder& folder, const std::string& log, int64_t n = 0, bool sticky = false) {
  alarm(600);  // a hang is a signal
  if (chdir(folder.path().c_str()) != 0) return 255;
  const int out = open(log.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) return 255;
  std::vector<char*> pointers = {const_cast<char*>("tool")};
  for (const std::string& argument : command.arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const int count = static_cast<int>(pointers.size()) - 1;
  FailNew(n, sticky);
  return command.tool == "build" ? RunDpkdeBuild(count, pointers.data()) : RunDpkdeQuery(count, pointers.data());
}

class AllocationFailureTest : public ::testing::TestWithParam<Command> {
 protected:
  static void SetUpTestSuite() {
    inputs_ = new Folder;
    const std::vector<float> points = TwoColumns(100);
    inputs_->Write("records.npy", Npy(points, 2));
    inputs_->Write("records.csv", Csv(points, 2));
    inputs_->Write("reference.npy", Npy(TwoColumns(40), 2));
    inputs_->Write("records8.npy", Npy(TwoColumns(40), 8));
    inputs_->Write("vectors.npy", Npy(TwoColumns(800), 8));
    std::string labels;
    for (int i = 0; i < 100; ++i) labels += absl::StrCat(i % 4, "\n");
    inputs_->Write("labels.txt", labels);
    std::string lens;
    for (int i = 0; i < 100; ++i) lens += "2\n";
    inputs_->Write("lens.csv", lens);
    inputs_->Write("query_lens.csv", "5\n5\n");
    inputs_->Write("ids.txt", "3\n5\n");
    inputs_->Write("config.txt", "encoder { fde { repetitions: 2 hyperplanes: 2 projected_dimension: 4 } }\n");
    const auto make = [&](const std::string& tool, const std::string& text) {
      const Command command = {tool, text, absl::StrSplit(text, ' '), {}, {}, nullptr};
      EXPECT_EQ(ExitCodeOfChild([&] { return RunHere(command, *inputs_, inputs_->Path("log")); }), 0)
          << text << ": " << FileBytes(inputs_->Path("log"));
    };
    make("build", "ledger --ledger=ledger --dataset=d --budget_epsilon=5 --neighboring=add_remove");
    make("build",
         "density --input=records.npy --similarity=gaussian --bandwidth=1 --epsilon=1 --neighboring=add_remove "
         "--domain_min=0,0 --domain_max=4,4 --output=release");
    make("build",
         "classifier --input=records.npy --labels=labels.txt --label_set=0-3 --epsilon=1 --neighboring=add_remove "
         "--domain_min=0,0 --domain_max=4,4 --output=classifier");
    inputs_->Write("places.npy", Npy(TwoColumns(200), 2));
    make("build", "index --input=places.npy --output=places");
    make("build",
         "histogram --input=records.npy --index=places --votes=1 --epsilon=1 --neighboring=add_remove --output=votes");
    make("build", "index --input=vectors.npy --output=index");
    make("build", "index --tokens=vectors.npy --lens=lens.csv --config=config.txt --output=sets");
  }

  static Folder* inputs_;
};
Folder* AllocationFailureTest::inputs_ = nullptr;

// What a run did with its allocations, told by the child.
struct Report {
  int64_t calls;
};

// Exit code and number of allocations of a run whose n-th fails.
int RunOnce(const Command& command, const Folder& folder, const std::string& log, int64_t n, bool sticky,
            Report* report) {
  return ExitCodeOfChild([&] {
    const int exit_code = RunHere(command, folder, log, n, sticky);
    report->calls = NewCalls();
    return exit_code;
  });
}

TEST_P(AllocationFailureTest, IsReportedAndLeavesNothingHalfDone) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer has its own operator new";
  const Command& command = GetParam();
  auto* const report =
      static_cast<Report*>(mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(report, MAP_FAILED);
  const bool all = std::getenv("DPKDE_ALL_ALLOCATIONS") != nullptr;
  const std::string log = inputs_->Path("log");
  // The first run, in which nothing fails, counts.
  int64_t last = 0;
  int failures = 0;
  for (int64_t n = 0; n <= last; n = n < 300 || all ? n + 1 : n + n / 10) {
    for (const bool sticky : {false, true}) {
      if (n == 0 && sticky) continue;
      Folder folder;
      for (const std::string& input : command.inputs) {
        std::filesystem::copy(inputs_->Path(input), folder.Path(input), std::filesystem::copy_options::recursive);
      }
      const int exit_code = RunOnce(command, folder, log, n, sticky, report);
      const std::string said = FileBytes(log);
      SCOPED_TRACE(absl::StrCat("allocation ", n, sticky ? " and all after it" : "", ": ", said));
      if (n == 0) {
        ASSERT_EQ(exit_code, 0);
        last = report->calls;
      }
      EXPECT_TRUE(exit_code == 0 || exit_code == 70) << exit_code;
      if (exit_code == 70) {
        ++failures;
        EXPECT_THAT(said, ::testing::HasSubstr("out of memory"));
      }
      for (const std::string& name : folder.List()) {
        EXPECT_TRUE(std::count(command.inputs.begin(), command.inputs.end(), name) +
                    std::count(command.outputs.begin(), command.outputs.end(), name))
            << name << " was left behind";
      }
      command.check(folder, exit_code);
      std::filesystem::remove_all(folder.path());
      if (HasFailure()) return;
    }
  }
  // The control: allocations did fail.
  EXPECT_GT(failures, 100);
  munmap(report, sizeof(Report));
}

INSTANTIATE_TEST_SUITE_P(Subcommands, AllocationFailureTest, ::testing::ValuesIn(Commands()), [](const auto& info) {
  std::string name = info.param.tool + "_" + info.param.name;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

}  // namespace
}  // namespace dpkde
