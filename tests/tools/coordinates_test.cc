// Coordinates far from 0: the domain's (or the reference's) centre is subtracted in double before anything is rounded.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
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

struct Estimate {
  double sum, std_error, bias_bound;
};

std::vector<Estimate> Estimates(const std::string& release, const std::string& queries) {
  const CommandResult result = QueryDensity(release, queries, {"--csv_header=absent"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::vector<Estimate> estimates;
  for (const std::string& line : Lines(result.out)) {
    const auto json = ParseJson(line);
    const auto number = [&](const char* field) { return json.fields().at(field).number_value(); };
    estimates.push_back({number("sum"), number("std_error"), number("bias_bound")});
  }
  return estimates;
}

double GaussianOf(double difference, double h) { return std::exp(-difference * difference / (2 * h * h)); }

class CoordinatesTest : public ::testing::Test {
 protected:
  // One column, with all digits.
  std::string Column(const std::string& name, const std::vector<double>& values) const {
    std::string text;
    for (const double value : values) absl::StrAppendFormat(&text, "%.17g\n", value);
    return folder_.Write(name, text);
  }

  // Builds a release of `records` and holds its answers against exact sums in double.
  void ExpectExact(const std::string& name, const Flags& changes, const std::vector<double>& records,
                   const std::vector<double>& queries, double h) {
    SCOPED_TRACE(name);
    Flags flags = {{"input", Column(name + ".csv", records)},
                   {"csv_header", "absent"},
                   {"neighboring", "replace"},
                   {"bandwidth", absl::StrCat(h)},
                   {"output", folder_.Path(name + ".dpkde")}};
    for (const auto& [flag, value] : changes) flags[flag] = value;
    const CommandResult built = BuildDensity(flags);
    ASSERT_EQ(built.exit_code, 0) << built.err;
    const auto estimates = Estimates(folder_.Path(name + ".dpkde"), Column(name + "_queries.csv", queries));
    ASSERT_EQ(estimates.size(), queries.size());
    for (size_t i = 0; i < queries.size(); ++i) {
      double exact = 0;
      for (const double record : records) exact += GaussianOf(record - queries[i], h);
      EXPECT_NEAR(estimates[i].sum, exact, 5 * estimates[i].std_error + estimates[i].bias_bound) << queries[i];
      // A bound that says something.
      EXPECT_LT(estimates[i].bias_bound, 0.05 * records.size());
    }
  }

  const Folder folder_;
};

TEST_F(CoordinatesTest, TwoTimestampsThatAreThreeBandwidthsApart) {
  const std::string records = Column("t.csv", {1700000017});
  const CommandResult built =
      BuildDensity({{"input", records}, {"csv_header", "absent"}, {"bandwidth", "10"}, {"epsilon", "1000"},
                    {"domain_min", "1699999000"}, {"domain_max", "1700001000"}, {"neighboring", "replace"},
                    {"output", folder_.Path("t.dpkde")}});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  const auto estimates = Estimates(folder_.Path("t.dpkde"), Column("q.csv", {1700000017, 1700000047}));
  EXPECT_NEAR(estimates[0].sum, 1, .05);
  EXPECT_GT(estimates[1].sum, -.02);  // exact: .0111
  EXPECT_LT(estimates[1].sum, .05);
  EXPECT_NEAR(estimates[1].sum, GaussianOf(30, 10), estimates[1].bias_bound + 5 * estimates[1].std_error);
}

TEST_F(CoordinatesTest, ManyTimestamps) {
  std::vector<double> records;
  for (int i = 0; i < 20000; ++i) records.push_back(1700000000 + (i * 37) % 60 + (i % 97) / 97.0);
  ExpectExact("seconds", {{"domain_min", "1700000000"}, {"domain_max", "1700000060"}}, records,
              {1700000000, 1700000030.25, 1700000060}, 10);
}

TEST_F(CoordinatesTest, NanosecondsDegreesAndMetres) {
  std::vector<double> nanoseconds, degrees, metres;
  for (int i = 0; i < 2000; ++i) {
    nanoseconds.push_back(1.7e18 + 1e6 * (i % 1000));
    degrees.push_back(37.7 + .1 * (i % 613) / 613);
    metres.push_back(5800000 + .013 * (i % 811));
  }
  ExpectExact("nanoseconds", {{"domain_min", "1700000000000000000"}, {"domain_max", "1700000001000000000"}},
              nanoseconds, {1.7e18, 1.7e18 + 5e8, 1.7e18 + 1e9}, 1e8);
  ExpectExact("degrees", {{"domain_min", "37.7"}, {"domain_max", "37.8"}}, degrees, {37.7, 37.75, 37.8}, 1e-3);
  ExpectExact("metres", {{"domain_min", "5800000"}, {"domain_max", "5800010"}}, metres, {5800000, 5800005.5}, .3);
  // A ball, and every way to choose a design.
  for (const char* design : {"lattice", "spline_grid", "lsq_fgt"}) {
    ExpectExact(absl::StrCat("ball_", design),
                {{"domain_min", kMissing}, {"domain_max", kMissing}, {"domain_center", "5800005"},
                 {"domain_radius", "6"}, {"design", design}},
                metres, {5800000, 5800005.5}, 1);
  }
}

// Two columns of a map, and the reference as the only thing that says where they are.
TEST_F(CoordinatesTest, AReferenceWithoutADomain) {
  std::string records, reference;
  for (int i = 0; i < 400; ++i) {
    const std::string row = absl::StrFormat("%.3f,%.3f\n", 1700000000 + .01 * (i * 7 % 400), -5e6 + .01 * (i * 3 % 400));
    (i < 200 ? records : reference) += row;
  }
  const CommandResult built = BuildDensity(
      {{"input", folder_.Write("r.csv", records)}, {"reference", folder_.Write("p.csv", reference)}, {"csv_header", "absent"},
       {"domain_min", kMissing}, {"domain_max", kMissing}, {"neighboring", "replace"}, {"epsilon", "100"},
       {"output", folder_.Path("r.dpkde")}});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  double exact = 0;
  for (int i = 0; i < 200; ++i) {
    exact += GaussianOf(.01 * (i * 7 % 400) - 2, 1) * GaussianOf(.01 * (i * 3 % 400) - 2, 1);
  }
  const auto estimates = Estimates(folder_.Path("r.dpkde"), folder_.Write("q.csv", "1700000002,-4999998\n"));
  EXPECT_NEAR(estimates[0].sum, exact, .05 * exact);
}

TEST_F(CoordinatesTest, DescribesTheDomainAsItWasGiven) {
  const std::string records = Column("t.csv", {1700000017});
  const std::string release = folder_.Path("d.dpkde");
  ASSERT_EQ(BuildDensity({{"input", records}, {"csv_header", "absent"}, {"bandwidth", "10"}, {"domain_min", "1700000000"},
                          {"domain_max", "1700000060"}, {"expected_n", "1"}, {"output", release}})
                .exit_code,
            0);
  const CommandResult described = RunCommand("dpkde_query", {"describe", release});
  EXPECT_THAT(described.out, HasSubstr("[1.7e+09, 1.70000006e+09], records outside are clamped"));
  // The bounds themselves are inside; what is beyond them is not.
  EXPECT_EQ(QueryDensity(release, Column("in.csv", {1700000000, 1700000060})).exit_code, 0);
  ExpectRefusal(QueryDensity(release, Column("out.csv", {1700000000, 1700000061}), {"--csv_header=absent"}),
                "dpkde_query", 2, {"row 1 (counting from 0)", "outside the domain [1.7e+09, 1.70000006e+09]"});
}

// What float32 cannot tell apart is refused, before any data is read, by density and classifier alike.
TEST_F(CoordinatesTest, RefusesBandwidthsThatAreTooFine) {
  const struct {
    const char *low, *high, *bandwidth;
  } cases[] = {{"1.6e18", "1.7e18", "60"}, {"0", "10", "1e-12"}, {"0", "10", "1e-300"}, {"0", "1e30", "1"},
               {"1e18", "1000000000000001000", "1"}};
  for (const auto& test : cases) {
    for (const char* dry_run : {"true", "false"}) {
      const Flags flags = {{"input", "/nowhere/records.npy"}, {"domain_min", test.low}, {"domain_max", test.high},
                           {"bandwidth", test.bandwidth}, {"dry_run", dry_run}, {"expected_n", "1000"},
                           {"output", folder_.Path("never")}};
      ExpectRefusal(BuildDensity(flags), "dpkde_build", 1,
                    {"bandwidth ", "is too small for the domain", "has steps of", "use a bandwidth of at least"});
    }
    ExpectRefusal(RunCommand("dpkde_build",
                             {"classifier", "--dry_run", "--dim=1", "--label_set=0-9", "--similarity=gaussian",
                              absl::StrCat("--bandwidth=", test.bandwidth), absl::StrCat("--domain_min=", test.low),
                              absl::StrCat("--domain_max=", test.high), "--epsilon=1", "--neighboring=add_remove"}),
                  "dpkde_build", 1, {"bandwidth ", "is too small for the domain"});
  }
  // Bounds that only double tells apart.
  ExpectRefusal(BuildDensity({{"input", "/nowhere/records.npy"}, {"similarity", "inner_product"}, {"bandwidth", kMissing},
                              {"domain_min", "1700000000"}, {"domain_max", "1700000060"},
                              {"output", folder_.Path("never")}}),
                "dpkde_build", 1, {"1700000000 and 1700000060", "differ by less than float32 can tell at this size"});
}

TEST_F(CoordinatesTest, ClassifiesTimestamps) {
  std::string labels;
  std::vector<double> records;
  for (int i = 0; i < 600; ++i) {
    records.push_back(1700000000 + 20 * (i % 3) + (i % 7));
    absl::StrAppend(&labels, i % 3, "\n");
  }
  for (const char* model : {"kernel", "moments"}) {
    SCOPED_TRACE(model);
    std::vector<std::string> arguments = {"classifier",
                                          "--input=" + Column("c.csv", records),
                                          "--csv_header=absent",
                                          "--labels=" + folder_.Write("labels.txt", labels),
                                          "--label_set=0-2",
                                          absl::StrCat("--model=", model),
                                          "--domain_min=1700000000",
                                          "--domain_max=1700000060",
                                          "--epsilon=100",
                                          "--neighboring=add_remove",
                                          "--expected_n=600",
                                          absl::StrCat("--output=", folder_.Path(model))};
    if (std::string(model) == "kernel") {
      arguments.insert(arguments.end(), {"--similarity=gaussian", "--bandwidth=5"});
    }
    const CommandResult built = RunCommand("dpkde_build", arguments);
    ASSERT_EQ(built.exit_code, 0) << built.err;
    const CommandResult result = RunCommand(
        "dpkde_query", {"classify", absl::StrCat("--release=", folder_.Path(model)), "--csv_header=absent",
                        "--queries=" + Column("cq.csv", {1700000002, 1700000023, 1700000044})});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const std::vector<std::string> lines = Lines(result.out);
    ASSERT_EQ(lines.size(), 3u);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ParseJson(lines[i]).fields().at("label").number_value(), i);
  }
}

}  // namespace
}  // namespace dpkde
