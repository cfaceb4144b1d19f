// What a certificate says that its curator asserted, and what is said of guarantees that protect nobody.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/output_text.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CertificateTest : public ::testing::Test {
 protected:
  std::string Describe() const {
    const CommandResult result = RunCommand("dpkde_query", {"describe", release_});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  // As text; the same stands in the JSON, each item of its own.
  std::string Asserted() const {
    for (const std::string& line : Lines(Describe())) {
      if (line.rfind("asserted public", 0) == 0) return line.substr(18);
    }
    ADD_FAILURE() << "nothing is asserted";
    return "";
  }

  std::vector<std::string> AssertedInJson() const {
    const CommandResult result = RunCommand("dpkde_query", {"describe", release_, "--output_format=json"});
    std::vector<std::string> asserted;
    const auto json = ParseJson(result.out);
    const auto& plan = json.fields().at("plan").struct_value().fields();
    for (const auto& value : plan.at("asserted_public").list_value().values()) asserted.push_back(value.string_value());
    return asserted;
  }

  // "dpkde_build density" of the records, and what its certificate asserts.
  std::string Density(const Flags& changes) const {
    Flags flags = {{"input", records_}, {"output", release_}, {"overwrite", "true"}, {"expected_n", "1000"}};
    for (const auto& [name, value] : changes) flags[name] = value;
    const CommandResult built = BuildDensity(flags);
    EXPECT_EQ(built.exit_code, 0) << built.err;
    return Asserted();
  }

  std::string Run(const std::vector<std::string>& arguments) const {
    const CommandResult built = RunCommand("dpkde_build", arguments);
    EXPECT_EQ(built.exit_code, 0) << built.err;
    return Asserted();
  }

  const Folder folder_;
  const std::string records_ = folder_.Write("records.npy", Npy(TwoColumns(1000), 2));
  const std::string release_ = folder_.Path("release");
};

TEST_F(CertificateTest, OfADensityListsEveryChoice) {
  EXPECT_EQ(Density({}),
            "similarity and its parameters; domain; expected number of records; all records well-formed "
            "(bad_records=fail)");
  EXPECT_EQ(Density({{"bad_records", "replace"}, {"expected_n", kMissing}}),
            "similarity and its parameters; domain; each bad record replaced (bad_records=replace)");
  EXPECT_EQ(Density({{"public_seed", "123456"},
                     {"mechanism", "knorm"},
                     {"features", "64"},
                     {"design", "monte_carlo"},
                     {"expected_similarity", "0.1"}}),
            "similarity and its parameters; expected similarity; design; features; domain; expected number of records; "
            "mechanism; public seed; all records well-formed (bad_records=fail)");
  EXPECT_THAT(AssertedInJson(),
              ::testing::IsSupersetOf({"mechanism", "public seed", "all records well-formed (bad_records=fail)"}));
  const std::string reference = folder_.Write("reference.npy", Npy(TwoColumns(300), 2));
  EXPECT_EQ(Density({{"reference", reference}, {"landmark_choice", "uniform"}}),
            "similarity and its parameters; landmark choice; domain; reference points; expected number of records; all "
            "records well-formed (bad_records=fail)");
}

TEST_F(CertificateTest, OfAClassifierListsEveryChoice) {
  std::string labels;
  for (int i = 0; i < 1000; ++i) labels += i % 2 == 0 ? "a\n" : "b\n";
  const std::vector<std::string> whole = {
      "classifier",           "--input=" + records_, "--labels=" + folder_.Write("labels.txt", labels),
      "--label_set=a,b",      "--epsilon=1",         "--neighboring=add_remove",
      "--output=" + release_, "--overwrite"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = whole;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  };
  EXPECT_EQ(with({"--unit_rows", "--public_seed=7", "--mechanism=laplace", "--model=moments"}),
            "label set; unit rows; model; mechanism; public seed; all records well-formed (bad_records=fail)");
  EXPECT_THAT(AssertedInJson(), ::testing::Contains("all records well-formed (bad_records=fail)"));
  EXPECT_EQ(with({"--domain_min=0,0", "--domain_max=4,4", "--bad_records=replace", "--similarity=gaussian",
                  "--bandwidth=1", "--expected_similarity=0.5", "--expected_n=1000"}),
            "label set; similarity and its parameters; expected similarity; domain; model; expected number of records; "
            "each bad record replaced (bad_records=replace)");
}

TEST_F(CertificateTest, OfAHistogramListsEveryChoice) {
  const std::string index = folder_.Path("index");
  ASSERT_EQ(RunCommand("dpkde_build",
                       {"index", "--output=" + index, "--input=" + folder_.Write("items.npy", Npy(TwoColumns(30), 2))})
                .exit_code,
            0);
  const std::vector<std::string> whole = {"histogram",   "--input=" + records_, "--index=" + index,
                                          "--votes=1",   "--epsilon=1",         "--neighboring=add_remove",
                                          "--overwrite", "--output=" + release_};
  EXPECT_EQ(Run(whole),
            "items and their vectors; votes; candidates of a search; all records well-formed (bad_records=fail)");
  std::vector<std::string> more = whole;
  more.insert(more.end(), {"--threshold=3", "--mechanism=laplace", "--bad_records=replace"});
  EXPECT_EQ(Run(more),
            "items and their vectors; votes; candidates of a search; threshold; mechanism; each bad record replaced "
            "(bad_records=replace)");
  EXPECT_THAT(AssertedInJson(), ::testing::Contains("each bad record replaced (bad_records=replace)"));
}

// Publishing one record of n, drawn at random, is (0, 1/n)-private.
TEST_F(CertificateTest, ADeltaAboveOneInNIsWarnedOf) {
  const auto said = [&](const Flags& changes) {
    Flags flags = {{"input", records_}, {"output", release_}, {"overwrite", "true"}};
    for (const auto& [name, value] : changes) flags[name] = value;
    const CommandResult built = BuildDensity(flags);
    EXPECT_EQ(built.exit_code, 0) << built.err;
    return built.err;
  };
  // A guess, a public number, and a noised one, which is not the exact one.
  EXPECT_THAT(said({{"delta", "0.0011"}, {"expected_n", "1000"}}),
              HasSubstr("warning: delta = 0.0011 is above 1/n for 1000 records"));
  EXPECT_THAT(said({{"delta", "0.0009"}, {"expected_n", "1000"}}), Not(HasSubstr("1/n")));
  EXPECT_THAT(said({{"delta", "0.0009"}, {"expected_n", "2000"}}), HasSubstr("1/n for 2000 records"));
  EXPECT_THAT(said({{"delta", "0.5"}, {"neighboring", "replace"}}), HasSubstr("is above 1/n for 1000 records"));
  EXPECT_THAT(said({{"delta", "0.5"}}), HasSubstr("delta = 0.5 is above 1/n for "));
  EXPECT_THAT(said({}), Not(HasSubstr("1/n")));
  EXPECT_EQ(said({{"delta", "0.5"}, {"quiet", "true"}}), "");
  const CommandResult dry = BuildDensity({{"dry_run", "true"}, {"dim", "2"}, {"delta", "1e-4"}});
  EXPECT_THAT(dry.out, HasSubstr("warning: delta = 0.0001 is above 1/n for 1e+05 records"));
  EXPECT_THAT(dry.out, Not(HasSubstr("1/n for 1000 records")));
}

TEST_F(CertificateTest, ADeltaAboveOneInNIsWarnedOfByEverySubcommand) {
  const std::string labels = [] {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "a\n";
    return text;
  }();
  const std::string index = folder_.Path("index");
  ASSERT_EQ(RunCommand("dpkde_build",
                       {"index", "--output=" + index, "--input=" + folder_.Write("items.npy", Npy(TwoColumns(30), 2))})
                .exit_code,
            0);
  for (const char* relation : {"add_remove", "replace"}) {
    for (const auto& [delta, warned] : {std::pair("0.01", true), std::pair("0.0001", false)}) {
      SCOPED_TRACE(absl::StrCat(relation, " ", delta));
      const std::vector<std::string> common = {
          "--input=" + records_,           "--epsilon=1",
          absl::StrCat("--delta=", delta), absl::StrCat("--neighboring=", relation),
          "--output=" + release_,          "--overwrite"};
      std::vector<std::string> classifier = {"classifier", "--labels=" + folder_.Write("labels.txt", labels),
                                             "--label_set=a,b", "--unit_rows"};
      std::vector<std::string> histogram = {"histogram", "--index=" + index, "--votes=1"};
      for (std::vector<std::string>* arguments : {&classifier, &histogram}) {
        arguments->insert(arguments->end(), common.begin(), common.end());
        const CommandResult built = RunCommand("dpkde_build", *arguments);
        EXPECT_EQ(built.exit_code, 0) << built.err;
        EXPECT_EQ(built.err.find("is above 1/n for ") != std::string::npos, warned) << built.err;
      }
    }
  }
}

// With a guess of the number no count is paid for: what there is of one is noise.
TEST_F(CertificateTest, ACountThatWasNotAskedForIsNotShown) {
  folder_.Write("records.npy", Npy(TwoColumns(10), 2));
  Density({{"expected_n", "10"}});
  EXPECT_THAT(Describe(), HasSubstr("records           not asked for (means need it; leave out --expected_n"));
  folder_.Write("records.npy", Npy(TwoColumns(1000), 2));
  Density({{"expected_n", kMissing}});
  EXPECT_THAT(Describe(), ::testing::ContainsRegex("\nrecords +[0-9.]+ \\+- [0-9.]+ \\(noised\\)"));
}

TEST_F(CertificateTest, AnswersAsCsvAreThoseAsTsv) {
  Density({});
  const std::string queries = folder_.Write("queries.csv", "1,2\n3,3\n");
  const CommandResult tsv = QueryDensity(release_, queries, {"--output_format=tsv"});
  std::string expected = tsv.out;
  for (char& c : expected) c = c == '\t' ? ',' : c;
  const CommandResult csv = QueryDensity(release_, queries, {"--output_format=csv"});
  EXPECT_EQ(csv.exit_code, 0) << csv.err;
  EXPECT_EQ(csv.out, expected);
  EXPECT_THAT(Lines(csv.out), ::testing::SizeIs(3));
  EXPECT_EQ(Lines(csv.out)[0], "query,sum,std_error,ci95_low,ci95_high,bias_bound,mean,mean_std_error");
}

// numpy saves one vector as an array of one dimension.
TEST_F(CertificateTest, OneColumnWhereMoreAreNeededSaysWhy) {
  Density({});
  const CommandResult one = QueryDensity(release_, folder_.Write("one.npy", Npy({1, 2}, 1)));
  EXPECT_EQ(one.exit_code, 2);
  EXPECT_THAT(one.err,
              HasSubstr("queries must have 2 columns, as the release has, but have 1 (an array of one dimension is "
                        "one column; save q[None])"));
  const CommandResult three = QueryDensity(release_, folder_.Write("three.npy", Npy({1, 2, 3}, 3)));
  EXPECT_THAT(three.err, HasSubstr("but have 3\n"));
}

}  // namespace
}  // namespace dpkde
