// Ball domains of "dpkde_build density": what is refused, what the release says, and where records end up.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

Flags Ball(const std::string& radius) {
  return {{"domain_min", kMissing}, {"domain_max", kMissing}, {"domain_radius", radius}};
}

TEST(BallDomainTest, RefusesWhatIsNoBall) {
  const struct {
    Flags changes;
    std::vector<std::string> phrases;
  } cases[] = {
      {{{"domain_radius", "0"}}, {"--domain_radius must be finite and positive, but is 0"}},
      {{{"domain_radius", "-1"}}, {"--domain_radius", "-1"}},
      {{{"domain_radius", "nan"}}, {"--domain_radius", "nan"}},
      {{{"domain_radius", "inf"}}, {"--domain_radius", "inf"}},
      {{{"domain_radius", "wide"}}, {"malformed value 'wide' of flag --domain_radius"}},
      {{{"domain_radius", "1e39"}}, {"--domain_radius", "float32"}},
      {{{"domain_min", "0"}, {"domain_max", "4"}}, {"--domain_radius is not taken with --domain_min"}},
      {{{"domain_radius", kMissing}, {"domain_center", "1"}}, {"--domain_center needs --domain_radius"}},
      {{{"domain_center", "1,2,3"}}, {"--domain_center", "2 columns", "3 values"}},
      {{{"domain_center", "1;2"}}, {"--domain_center must be finite", "'1;2'"}},
      {{{"domain_center", "nan"}}, {"--domain_center must be finite"}},
      {{{"domain_center", "1e39"}}, {"--domain_radius", "finite"}},
      {{{"bandwidth", "1e-7"}}, {"bandwidth 1e-07 is too small", "5.00000048 from where it is measured"}},
      {{{"domain_radius", "0"}, {"epsilon", "0"}}, {"--domain_radius"}},  // before privacy
  };
  const Folder inputs, outputs;
  const std::string input = inputs.Write("rows.npy", Npy(TwoColumns(20), 2));
  for (const auto& test : cases) {
    Flags flags = Ball("5");
    flags["input"] = input;
    flags["output"] = outputs.Path("release");
    for (const auto& [name, value] : test.changes) flags[name] = value;
    ExpectRefusal(BuildDensity(flags), "dpkde_build", 1, test.phrases);
    EXPECT_THAT(outputs.List(), IsEmpty());
  }
}

// A thousand records far out in one direction count where the sphere is, whatever the design; noise at epsilon = 1000
// is below one.
TEST(BallDomainTest, RecordsOutsideAreMovedToTheSphere) {
  const Folder inputs, outputs;
  std::vector<float> values;
  for (int i = 0; i < 1000; ++i) values.insert(values.end(), {1 + 300.0f, 2 + 400.0f});
  const std::string input = inputs.Write("rows.npy", Npy(values, 2));
  for (const char* design : {"spline_grid", "lattice", "monte_carlo"}) {
    Flags flags = Ball("5");
    flags["domain_center"] = "1,2";
    flags["input"] = input;
    flags["output"] = outputs.Path(design);
    flags["design"] = design;
    flags["neighboring"] = "replace";
    flags["epsilon"] = "1000";
    ASSERT_EQ(BuildDensity(flags).exit_code, 0);
    Surroundings queries;
    queries.standard_input = "4,6\n-4,2\n";  // the nearest point of the sphere; one at the distance sqrt(80)
    const CommandResult result = QueryDensity(outputs.Path(design), "-", {"--output_format=tsv"}, queries);
    const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
    ASSERT_GE(lines.size(), 3u) << result.err;
    for (const auto& [line, expected] : {std::pair<int, double>{1, 1000.0}, {2, 1000 * std::exp(-40.0)}}) {
      double sum, slack = std::string(design) == "monte_carlo" ? 60 : 15;
      ASSERT_TRUE(absl::SimpleAtod(std::vector<std::string>(absl::StrSplit(lines[line], '\t'))[1], &sum));
      EXPECT_NEAR(sum, expected, slack) << design;
    }
    const CommandResult described = RunCommand("dpkde_query", {"describe", outputs.Path(design)});
    EXPECT_THAT(described.out, HasSubstr("ball of radius 5 around (1, 2), records outside are clamped"));
  }
}

// Without --dim the number of columns is what the input says, also for a design that few columns do not admit.
TEST(BallDomainTest, HadamardFrequenciesNeedNoDim) {
  const Folder inputs, outputs;
  for (size_t columns : {63, 64}) {
    Flags flags = Ball("5");
    flags["input"] = inputs.Write(columns == 63 ? "63.npy" : "64.npy", Npy(std::vector<float>(20 * columns), columns));
    flags["output"] = outputs.Path("release");
    flags["design"] = "hadamard";
    if (columns < 64) {
      ExpectRefusal(BuildDensity(flags), "dpkde_build", 1, {"at least 64", "but is 63"});
    } else {
      const CommandResult built = BuildDensity(flags);
      EXPECT_EQ(built.exit_code, 0) << built.err;
    }
  }
}

// Moments scale by the ball itself; distances along axes use its bounding box.
TEST(BallDomainTest, MomentsAndAxesTakeIt) {
  const Folder inputs, outputs;
  const std::string input = inputs.Write("rows.npy", Npy(TwoColumns(20), 2));
  for (const char* similarity : {"l2_squared", "inner_product", "cosine", "l1"}) {
    Flags flags = Ball("5");
    flags["similarity"] = similarity;
    flags["bandwidth"] = kMissing;
    flags["input"] = input;
    flags["output"] = outputs.Path(similarity);
    const CommandResult built = BuildDensity(flags);
    ASSERT_EQ(built.exit_code, 0) << built.err;
    // A corner of the bounding box, outside the ball.
    Surroundings queries;
    queries.standard_input = "4.9,4.9\n";
    EXPECT_EQ(QueryDensity(outputs.Path(similarity), "-", {}, queries).exit_code, 2) << similarity;
    EXPECT_EQ(QueryDensity(outputs.Path(similarity), "-", {"--outside=answer"}, queries).exit_code, 0) << similarity;
  }
}

}  // namespace
}  // namespace dpkde
