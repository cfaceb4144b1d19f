// "dpkde_build density --reference": landmarks from public points.
#include <filesystem>
#include <string>
#include <vector>

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

class ReferenceTest : public ::testing::Test {
 protected:
  Folder inputs_, outputs_;
};

// Landmarks stand in the release in the clear; records do not. What the input holds decides nothing but the sums.
TEST_F(ReferenceTest, TakesLandmarksFromAReference) {
  Flags flags = {{"input", inputs_.Write("rows.npy", Npy(TwoColumns(400), 2))},
                 {"reference", inputs_.Write("reference.npy", Npy(TwoColumns(16), 2))},
                 {"output", outputs_.Path("release")},
                 {"design", "landmark"},
                 {"mechanism", "knorm"}};
  const CommandResult built = BuildDensity(flags);
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.err, HasSubstr("landmark rank="));
  const CommandResult described = RunCommand("dpkde_query", {"describe", outputs_.Path("release")});
  EXPECT_THAT(described.out, HasSubstr("16 public points, in the clear in this file"));
  EXPECT_THAT(described.out, HasSubstr("reference points"));
  flags["dry_run"] = "true";
  flags["dim"] = "2";
  const CommandResult planned = BuildDensity(flags);
  EXPECT_EQ(planned.exit_code, 0) << planned.err;
  EXPECT_THAT(planned.out, HasSubstr("landmark rank=1 of 16"));
}

// All vectors of an index directory.
TEST_F(ReferenceTest, TakesLandmarksFromAnIndex) {
  const std::string index = outputs_.Path("index");
  const CommandResult indexed = RunCommand(
      "dpkde_build", {"index", "--input=" + inputs_.Write("public.npy", Npy(TwoColumns(40), 2)), "--output=" + index});
  ASSERT_EQ(indexed.exit_code, 0) << indexed.err;
  const CommandResult built = BuildDensity({{"input", inputs_.Write("rows.npy", Npy(TwoColumns(400), 2))},
                                            {"reference", index},
                                            {"output", outputs_.Path("release")},
                                            {"design", "landmark"}});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_THAT(built.err, HasSubstr(" of 40"));
}

TEST_F(ReferenceTest, RefusesAReferenceThatCannotServe) {
  const std::string rows = inputs_.Write("rows.npy", Npy(TwoColumns(40), 2));
  const std::string good = inputs_.Write("good.npy", Npy(TwoColumns(20), 2));
  const Flags flags = {{"input", rows}, {"output", outputs_.Path("release")}, {"reference", good}};
  const auto refused = [&](const Flags& changes, int exit_code, const std::vector<std::string>& phrases) {
    Flags all = flags;
    for (const auto& [name, value] : changes) all[name] = value;
    ExpectRefusal(BuildDensity(all), "dpkde_build", exit_code, phrases);
    EXPECT_THAT(outputs_.List(), IsEmpty());
  };
  refused({{"reference", rows}}, 1, {"--reference and --input are the same file"});
  std::filesystem::create_symlink(rows, inputs_.Path("link.npy"));
  refused({{"reference", inputs_.Path("link.npy")}}, 1, {"--reference and --input are the same file"});
  refused({{"landmark_choice", "best"}}, 1, {"--landmark_choice must be one of"});
  refused({{"reference", kMissing}, {"design", "landmark"}}, 1, {"--design=landmark needs --reference"});
  refused({{"design", "lattice"}}, 1, {"--reference needs --design=landmark"});
  refused({{"similarity", "l2_squared"}, {"bandwidth", kMissing}}, 1, {"--reference is not taken by l2_squared"});
  refused({{"reference", inputs_.Path("none.npy")}}, 5, {"none.npy"});
  refused({{"reference", inputs_.Write("three.npy", Npy(std::vector<float>(30), 3))}}, 2,
          {"three.npy: must have 2 columns, as the records have, but has 3"});
  refused({{"reference", inputs_.Write("nan.csv", "1,2\n3,nan\n1,2\n1,2\n1,2\n1,2\n1,2\n1,2\n1,2\n")}}, 2, {"nan.csv"});
  refused({{"reference", inputs_.Write("few.csv", "1,2\n3,4\n")}}, 2, {"few.csv", "at least 16 points, but has 2"});
  refused({{"weights", good}, {"weight_bound", "1"}, {"signed_weights", "true"}, {"design", "landmark"}}, 1,
          {"landmark: needs weights of one sign"});
  refused({{"epsilon", "1e-30"}}, 4, {"--epsilon, --delta"});
}

}  // namespace
}  // namespace dpkde
