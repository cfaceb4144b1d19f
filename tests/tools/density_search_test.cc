// "dpkde_query search --density_release": hits of a public index, reranked and filtered by a release of private
// records.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/output_text.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Hit {
  std::string id;
  double score = 0, search_score = 0, density = 0, std_error = 0;
  size_t matches = 0;
};

// The hits of the first query, from JSON Lines.
std::vector<Hit> Hits(const CommandResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const google::protobuf::Struct json = ParseJson(result.out.substr(0, result.out.find('\n')));
  std::vector<Hit> hits;
  for (const auto& value : json.fields().at("results").list_value().values()) {
    const auto& fields = value.struct_value().fields();
    Hit hit;
    hit.id = fields.at("id").string_value();
    hit.score = fields.at("score").number_value();
    if (fields.count("density") > 0) {
      hit.search_score = fields.at("search_score").number_value();
      hit.density = fields.at("density").number_value();
      hit.std_error = fields.at("density_std_error").number_value();
    }
    if (fields.count("matches") > 0) hit.matches = fields.at("matches").list_value().values_size();
    hits.push_back(hit);
  }
  return hits;
}

std::vector<std::string> Ids(const CommandResult& result) {
  std::vector<std::string> ids;
  for (const Hit& hit : Hits(result)) ids.push_back(hit.id);
  return ids;
}

// Public documents on a line: "near" at 1, "middle" at 2, "far" at 3; the query is at 0, private records are at 3.
class DensitySearchToolTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new Folder;
    Must("dpkde_build",
         {"index", "--input=" + folder_->Write("items.npy", Npy({1, 0, 2, 0, 3, 0}, 2)),
          "--ids=" + folder_->Write("ids.txt", "near\nmiddle\nfar\n"),
          "--config=" + folder_->Write("config", "vector_index { metric: L2 codes: FLOAT32 }"), "--output=" + Index()});
    // Two documents of two tokens and one of none: the tokens of "split" are 1 from their mean, which is that of
    // "tight".
    Must("dpkde_build",
         {"index", "--tokens=" + folder_->Write("tokens.npy", Npy({3, 1, 3, -1, 3, 0, 3, 0}, 2)),
          "--lens=" + folder_->Write("lens.csv", "2\n2\n0\n"),
          "--ids=" + folder_->Write("set_ids.txt", "split\ntight\nempty\n"),
          "--config=" + folder_->Write("set_config", "encoder { fde { repetitions: 2 hyperplanes: 1 } }"),
          "--output=" + Sets()});
    std::vector<float> records;
    for (int i = 0; i < 500; ++i) records.insert(records.end(), {3, 0});
    for (const char* similarity : {"gaussian", "l2"}) {
      std::vector<std::string> arguments = {"density",
                                            "--input=" + folder_->Write("records.npy", Npy(records, 2)),
                                            absl::StrCat("--similarity=", similarity),
                                            "--epsilon=20",
                                            "--neighboring=add_remove",
                                            "--expected_n=500",
                                            "--domain_min=-4",
                                            "--domain_max=4",
                                            "--output=" + folder_->Path(similarity)};
      if (similarity[0] == 'g') arguments.push_back("--bandwidth=1");
      Must("dpkde_build", arguments);
    }
  }

  static void Must(const std::string& tool, const std::vector<std::string>& arguments) {
    const CommandResult result = RunCommand(tool, arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  static std::string Index() { return folder_->Path("index"); }
  static std::string Sets() { return folder_->Path("sets"); }
  static std::string Density() { return "--density_release=" + folder_->Path("gaussian"); }

  CommandResult Search(const std::vector<std::string>& more, const std::string& index = Index()) const {
    std::vector<std::string> arguments = {"search", "--index=" + index, "--k=3",
                                          "--queries=" + inputs_.Write("queries.npy", Npy({0, 0}, 2))};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand("dpkde_query", arguments);
  }

  static Folder* folder_;
  Folder inputs_;
};
Folder* DensitySearchToolTest::folder_ = nullptr;

TEST_F(DensitySearchToolTest, RerankingGoesFromTheQueryToTheRecords) {
  EXPECT_THAT(Ids(Search({})), ElementsAre("near", "middle", "far"));
  EXPECT_THAT(Ids(Search({Density(), "--density_weight=0"})), ElementsAre("near", "middle", "far"));
  EXPECT_THAT(Ids(Search({Density(), "--density_weight=1"})), ElementsAre("far", "middle", "near"));
  // Beyond the first k of the search, too.
  EXPECT_THAT(Ids(Search({Density(), "--density_weight=1", "--k=1", "--candidates=3"})), ElementsAre("far"));

  const std::vector<Hit> hits = Hits(Search({Density(), "--density_weight=0.25", "--explain"}));
  ASSERT_EQ(hits.size(), 3u);
  for (const Hit& hit : hits) {
    EXPECT_NEAR(hit.score, 0.75 * -hit.search_score + 0.25 * hit.density, 1e-6);
    EXPECT_GT(hit.std_error, 0);
    const double distance = hit.id == "far" ? 0 : hit.id == "middle" ? 1 : 2;
    EXPECT_NEAR(hit.density, std::exp(-distance * distance / 2), 0.1);
    EXPECT_EQ(hit.search_score, (3 - distance) * (3 - distance));
  }
  // Scores of a plain call are the combined ones, and both are there only when asked for.
  EXPECT_THAT(Search({Density()}).out, Not(HasSubstr("search_score")));
  const CommandResult tsv = Search({Density(), "--density_weight=1", "--output_format=tsv"});
  EXPECT_THAT(tsv.out, HasSubstr("0\t1\tfar\t"));
}

TEST_F(DensitySearchToolTest, FilteringKeepsTheOrderOfTheSearch) {
  const std::vector<Hit> hits = Hits(Search({Density(), "--density_min=0.4", "--explain"}));
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_EQ(hits[0].id, "middle");
  EXPECT_EQ(hits[1].id, "far");
  EXPECT_EQ(hits[0].score, hits[0].search_score);
  EXPECT_THAT(Ids(Search({Density(), "--density_min=0.4", "--density_weight=1"})), ElementsAre("far", "middle"));
  EXPECT_THAT(Ids(Search({Density(), "--density_min=2"})), IsEmpty());
}

TEST_F(DensitySearchToolTest, ADistanceIsTheLessTheBetter) {
  const std::string by = "--density_release=" + folder_->Path("l2");
  EXPECT_THAT(Ids(Search({by, "--density_weight=1"})), ElementsAre("far", "middle", "near"));
  for (const Hit& hit : Hits(Search({by, "--density_weight=1", "--explain"}))) EXPECT_LT(hit.density, 0.3);
}

TEST_F(DensitySearchToolTest, TokensOrPooled) {
  // An empty query scores 0 everywhere; by density alone the query does not matter.
  const std::vector<Hit> tokens = Hits(Search({Density(), "--density_weight=1", "--explain"}, Sets()));
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_EQ(tokens[0].id, "tight");
  EXPECT_NEAR(tokens[0].density, 1, 0.1);
  EXPECT_EQ(tokens[1].id, "split");
  EXPECT_NEAR(tokens[1].density, std::exp(-0.5), 0.1);
  EXPECT_EQ(tokens[1].matches, 1u);
  EXPECT_EQ(tokens[2].id, "empty");
  const std::vector<Hit> pooled =
      Hits(Search({Density(), "--density_weight=1", "--density_of=pooled", "--explain"}, Sets()));
  ASSERT_EQ(pooled.size(), 3u);
  EXPECT_NEAR(pooled[0].density, pooled[1].density, 1e-6);
  EXPECT_EQ(pooled[0].id, "split");  // equal: by row
}

TEST_F(DensitySearchToolTest, TheContrastTakesTheBackgroundAway) {
  const std::vector<Hit> plain = Hits(Search({Density(), "--density_weight=1", "--explain"}));
  const std::vector<Hit> contrast = Hits(Search({Density(), "--density_weight=1", "--density_contrast", "--explain"}));
  // All three documents are the background: 1, exp(-1/2), exp(-2) apart, and of 0 on average.
  const double one = std::exp(-0.5), two = std::exp(-2.0);
  const auto within = [&](const std::string& id) { return id == "middle" ? (1 + 2 * one) / 3 : (1 + one + two) / 3; };
  double sum = 0, scale = 0;
  for (const Hit& hit : plain) {
    sum += hit.density;
    scale += within(hit.id);
  }
  scale /= sum;
  ASSERT_EQ(contrast.size(), 3u);
  for (const Hit& hit : contrast) {
    for (const Hit& other : plain) {
      if (other.id != hit.id) continue;
      EXPECT_NEAR(hit.density, other.density * scale - within(hit.id), 1e-4) << hit.id;
    }
  }
}

TEST_F(DensitySearchToolTest, RefusesWhatDoesNotFit) {
  const auto refuse = [&](const std::vector<std::string>& flags, int exit_code, const std::string& phrase) {
    ExpectRefusal(Search(flags), "dpkde_query", exit_code, {phrase});
  };
  refuse({"--density_weight=1"}, 1, "need --density_release");
  refuse({"--density_min=1"}, 1, "need --density_release");
  refuse({"--density_contrast"}, 1, "need --density_release");
  refuse({Density(), "--density_weight=1.5"}, 1, "--density_weight must be in [0, 1], but is 1.5");
  refuse({Density(), "--density_weight=nan"}, 1, "--density_weight must be in [0, 1]");
  refuse({Density(), "--density_min=inf"}, 1, "--density_min must be finite");
  refuse({Density(), "--density_of=words"}, 1, "--density_of must be one of tokens, pooled");
  refuse({Density(), "--density_of=pooled"}, 1, "the index has single vectors");
  refuse({Density(), "--ground_truth=x"}, 1, "--ground_truth is for a search without --density_release");
  refuse({"--explain"}, 1, "--explain is for token sets");
  refuse({"--density_release=" + inputs_.Path("none")}, 5, "none");
  refuse({"--density_release=" + folder_->Path("items.npy")}, 3, "is not a dpkde file");
  Must("dpkde_build", {"histogram", "--input=" + folder_->Path("records.npy"), "--index=" + Index(), "--votes=1",
                       "--epsilon=1", "--neighboring=add_remove", "--output=" + inputs_.Path("votes")});
  refuse({"--density_release=" + inputs_.Path("votes")}, 3, "of the kind \"votes\", not \"release\"");
  Must("dpkde_build", {"density", "--input=" + inputs_.Write("three.npy", Npy({1, 1, 1}, 3)), "--similarity=gaussian",
                       "--bandwidth=1", "--epsilon=1", "--neighboring=add_remove", "--expected_n=1", "--domain_min=0",
                       "--domain_max=1", "--output=" + inputs_.Path("three")});
  refuse({"--density_release=" + inputs_.Path("three")}, 2,
         "three: the release must have the index's dimension, 2, but has 3");
}

// Of nobody: a warning, not an error.
TEST_F(DensitySearchToolTest, SaysWhenThereIsNothingButNoise) {
  Must("dpkde_build", {"density", "--input=" + inputs_.Write("none.npy", Npy({}, 2)), "--similarity=gaussian",
                       "--bandwidth=1", "--epsilon=1", "--neighboring=add_remove", "--expected_n=100",
                       "--domain_min=-4", "--domain_max=4", "--output=" + inputs_.Path("nobody")});
  const CommandResult result = Search({"--density_release=" + inputs_.Path("nobody")});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("densities are mostly noise"));
}

}  // namespace
}  // namespace dpkde
