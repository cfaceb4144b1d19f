// Zero-concentrated differential privacy by "dpkde_build density --rho", and what releases cost in each kind of budget.

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "dpkde/privacy/gaussian_calibration.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/declared_ledger.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/killed_build.h"
#include "tests/tools/output_text.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class PrivacyTest : public ::testing::Test {
 protected:
  CommandResult Build(const std::string& name, const Flags& changes) const {
    Flags flags = {{"input", input_}, {"output", outputs_.Path(name)}};
    for (const auto& [flag, value] : changes) flags[flag] = value;
    return BuildDensity(flags);
  }

  std::string Declare(const std::vector<std::string>& budget) const {
    return DeclareLedger(outputs_, "visits", budget);
  }

  static std::string Describe(const std::string& path) {
    const CommandResult result = RunCommand("dpkde_query", {"describe", path});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  // A number of the ledger's report.
  static double Reported(const std::string& ledger, const std::string& sum, const std::string& name) {
    const CommandResult result = RunCommand("dpkde_query", {"describe", ledger, "--output_format=json"});
    const google::protobuf::Struct report = ParseJson(result.out);
    double value = NAN;
    EXPECT_TRUE(absl::SimpleAtod(report.fields().at(sum).struct_value().fields().at(name).string_value(), &value));
    return value;
  }

  const Folder inputs_, outputs_;
  const std::string input_ = inputs_.Write("rows.npy", Npy(TwoColumns(200), 2));
};

TEST_F(PrivacyTest, RefusesRhoThatIsNoPromise) {
  const struct {
    Flags changes;
    int exit_code;
    std::vector<std::string> phrases;
  } cases[] = {
      {{{"rho", "0"}}, 4, {"--rho must be finite and positive, but is 0"}},
      {{{"rho", "-1"}}, 4, {"--rho", "-1"}},
      {{{"rho", "nan"}}, 4, {"--rho", "nan"}},
      {{{"rho", "inf"}}, 4, {"--rho", "inf"}},
      {{{"rho", "1e9"}}, 4, {"--rho must be at most"}},
      {{{"rho", "1e-60"}}, 4, {"--rho"}},
      {{{"rho", "much"}}, 1, {"malformed value 'much' of flag --rho"}},
      {{{"epsilon", "1"}}, 4, {"--rho stands alone"}},
      {{{"delta", "1e-6"}}, 4, {"--rho stands alone"}},
      {{{"rho", kMissing}}, 4, {"--epsilon is missing (or --rho)", "no default"}},
      {{{"neighboring", kMissing}}, 4, {"--neighboring is missing"}},
      {{{"bandwidth", "0"}, {"rho", "0"}}, 1, {"--bandwidth"}},
  };
  for (const auto& test : cases) {
    Flags flags = {{"epsilon", kMissing}, {"rho", "0.1"}};
    for (const auto& [name, value] : test.changes) flags[name] = value;
    ExpectRefusal(Build("release", flags), "dpkde_build", test.exit_code, test.phrases);
    EXPECT_THAT(outputs_.List(), IsEmpty());
  }
}

TEST_F(PrivacyTest, RhoIsSpentAndStated) {
  for (const char* mechanism : {"gaussian", "laplace", "knorm"}) {
    for (const Flags& count : {Flags{}, Flags{{"expected_n", "200"}}, Flags{{"neighboring", "replace"}}}) {
      Flags flags = {{"epsilon", kMissing}, {"rho", "0.125"},          {"mechanism", mechanism},
                     {"overwrite", "true"}, {"design", "monte_carlo"}, {"summary_out", outputs_.Path("summary")}};
      flags.insert(count.begin(), count.end());
      const CommandResult result = Build("release", flags);
      ASSERT_EQ(result.exit_code, 0) << result.err;
      EXPECT_THAT(result.err, HasSubstr("rho = 0.12"));
      EXPECT_THAT(result.err, Not(HasSubstr("epsilon =")));
      const google::protobuf::Struct summary = ParseJson(FileBytes(outputs_.Path("summary")));
      EXPECT_LE(summary.fields().at("rho_spent").number_value(), 0.125);
      EXPECT_GT(summary.fields().at("rho_spent").number_value(), 0.12);
      EXPECT_EQ(summary.fields().count("epsilon_spent"), 0u);
      const std::string described = Describe(outputs_.Path("release"));
      EXPECT_THAT(described, HasSubstr("rho               0.12"));
      EXPECT_THAT(described, HasSubstr("(zero-concentrated); implies epsilon = "));
      EXPECT_THAT(described, HasSubstr("k^2 times rho"));
      if (std::string(mechanism) == "gaussian") {
        EXPECT_THAT(described, HasSubstr("\nmu "));
        EXPECT_THAT(described, Not(HasSubstr("\nepsilon ")));
      } else {
        EXPECT_THAT(described, HasSubstr("\nepsilon           0.5"));  // about sqrt(2 rho)
      }
      EXPECT_EQ(QueryDensity(outputs_.Path("release"), input_).exit_code, 0);
    }
  }
  const CommandResult dry = Build("dry", {{"epsilon", kMissing}, {"rho", "0.125"}, {"dry_run", "true"}});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_THAT(dry.out, HasSubstr("spends rho = 0.12"));
}

// Ten times 0.1 fill a budget of 1; an eleventh of 1e-9 is refused, and so is a release whose unit does not fit.
TEST_F(PrivacyTest, ABudgetOfRhoIsFilledExactly) {
  const std::string ledger = Declare({"--budget_rho=1"});
  Flags flags = {{"epsilon", kMissing}, {"rho", "0.1"}, {"ledger", ledger}, {"dataset", "visits"}};
  for (int i = 0; i < 10; ++i) {
    const CommandResult result = Build("release" + std::to_string(i), flags);
    ASSERT_EQ(result.exit_code, 0) << i << " " << result.err;
  }
  EXPECT_EQ(Reported(ledger, "spent", "rho"), 1);
  const std::string spent = FileBytes(ledger);
  flags["rho"] = "1e-9";
  ExpectRefusal(Build("eleventh", flags), "dpkde_build", 4, {ledger, "only rho = 0 is left"});
  EXPECT_EQ(FileBytes(ledger), spent);
}

TEST_F(PrivacyTest, RhoIsRefusedByBudgetsOfEpsilon) {
  const std::string ledger = Declare({"--budget_epsilon=1"});
  ExpectRefusal(Build("release", {{"epsilon", kMissing}, {"rho", "0.1"}, {"ledger", ledger}, {"dataset", "visits"}}),
                "dpkde_build", 4, {ledger, "zcdp", "pure"});
}

// A release at (1, 1e-6) has mu = 0.237: in a budget of mu^2 or of rho that is what it costs, not what its epsilon of 1
// would (mu = 1.23, rho = 1/2). The noised count is an entry of its own.
TEST_F(PrivacyTest, GaussianReleasesCostTheirNoise) {
  const double mu = *LargestGaussianMu(1, 0.999e-6);
  const struct {
    std::vector<std::string> budget;
    const char* unit;
    double cost;
  } cases[] = {
      {{"--budget_epsilon=2", "--budget_delta=1e-5", "--composition=gaussian"}, "mu_squared", mu * mu},
      {{"--budget_rho=0.2"}, "rho", mu * mu / 2},
  };
  for (const auto& test : cases) {
    const std::string ledger = Declare(test.budget);
    Flags flags = {
        {"delta", "1e-6"}, {"ledger", ledger}, {"dataset", "visits"}, {"expected_n", "200"}, {"overwrite", "true"}};
    const CommandResult built = Build("release", flags);
    ASSERT_EQ(built.exit_code, 0) << built.err;
    EXPECT_THAT(built.err, HasSubstr("assumed: gaussian noise"));
    EXPECT_LE(Reported(ledger, "spent", test.unit), test.cost);
    EXPECT_GT(Reported(ledger, "spent", test.unit), 0.999 * test.cost);
    // With a noised count, of epsilon = 0.01: two entries, both marked as released.
    flags.erase("expected_n");
    ASSERT_EQ(Build("release", flags).exit_code, 0);
    EXPECT_LE(Reported(ledger, "spent", test.unit), 2 * test.cost + 2e-4);
    EXPECT_GT(Reported(ledger, "spent", test.unit), 1.95 * test.cost);
    const std::string described = Describe(ledger);
    EXPECT_THAT(described, HasSubstr("count for planning"));
    EXPECT_THAT(described, HasSubstr("entries: 3"));
    EXPECT_THAT(described, Not(HasSubstr("pending")));
    // Pure noise may be asked for, at its price, which is too much here.
    flags["mechanism"] = "laplace";
    ExpectRefusal(Build("laplace", flags), "dpkde_build", 4, {ledger, "is left"});
    EXPECT_EQ(Describe(ledger), described);
    ASSERT_EQ(remove(ledger.c_str()), 0);
    ASSERT_EQ(remove(outputs_.Path("release").c_str()), 0);
  }
}

// By their epsilon two would fill it.
TEST_F(PrivacyTest, ManyGaussianReleasesFitOneBudget) {
  const std::string ledger = Declare({"--budget_epsilon=2", "--budget_delta=1e-5", "--composition=gaussian"});
  const Flags flags = {{"delta", "1e-6"},     {"ledger", ledger},    {"dataset", "visits"},
                       {"expected_n", "200"}, {"overwrite", "true"}, {"rho", kMissing}};
  int made = 0;
  CommandResult result;
  while ((result = Build("release", flags)).exit_code == 0) ++made;
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_EQ(made, static_cast<int>(std::pow(*LargestGaussianMu(2, 0.999e-5) / *LargestGaussianMu(1, 0.999e-6), 2)));
  EXPECT_GT(made, 3);
}

// The same epsilon and delta in the budget and in the release, as one writes them.
TEST_F(PrivacyTest, OneGaussianReleaseMaySpendAWholeBudget) {
  const std::string ledger = Declare({"--budget_epsilon=1", "--budget_delta=1e-6", "--composition=gaussian"});
  const Flags flags = {{"delta", "1e-6"},         {"ledger", ledger},    {"dataset", "visits"},
                       {"mechanism", "gaussian"}, {"expected_n", "200"}, {"overwrite", "true"}};
  const CommandResult first = Build("release", flags);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  ExpectRefusal(Build("release", flags), "dpkde_build", 4, {ledger, "is left"});
}

// Killed at any instant: whatever of a release is on the disk, its cost is in the ledger, for the noised count as well
// as for the release.
TEST_F(PrivacyTest, KilledAtAnyInstantNoNoiseIsWithoutItsEntry) {
  const std::vector<std::string> budgets[] = {{"--budget_epsilon=30", "--budget_delta=0.1"},
                                              {"--budget_epsilon=30", "--budget_delta=0.1", "--composition=gaussian"}};
  for (const std::vector<std::string>& budget : budgets) {
    const std::string ledger = Declare(budget);
    // A noised count is paid apart where mu^2 adds up.
    ExpectNoNoiseWithoutEntry(
        {"density", "--quiet", "--input=" + input_, "--similarity=gaussian", "--bandwidth=1", "--epsilon=1",
         "--delta=1e-6", "--neighboring=add_remove", "--domain_min=0", "--domain_max=4", "--design=monte_carlo",
         "--features=16384", "--ledger=" + ledger, "--dataset=visits", "--mechanism=gaussian"},
        ledger, /*entries_of_one=*/budget.size() == 2 ? 1 : 2, /*rounds=*/20);
    ASSERT_EQ(remove(ledger.c_str()), 0);
  }
}

}  // namespace
}  // namespace dpkde
