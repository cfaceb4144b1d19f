// Lines of JSON are JSON, whatever the data, the noise and the queries.
#include <google/protobuf/struct.pb.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/output_text.h"
#include "tests/tools/refusal.h"

namespace dpkde {
namespace {

using google::protobuf::Value;

// Nothing but finite numbers, null and text.
void ExpectPlain(const Value& value, const std::string& line) {
  if (value.has_number_value()) {
    EXPECT_TRUE(std::isfinite(value.number_value())) << line;
  }
  if (value.has_struct_value()) {
    for (const auto& [name, field] : value.struct_value().fields()) ExpectPlain(field, line);
  }
  for (const Value& item : value.list_value().values()) ExpectPlain(item, line);
  if (value.has_string_value()) {
    for (const char* name : {"NaN", "Infinity", "-Infinity", "inf", "nan"}) EXPECT_NE(value.string_value(), name) << line;
  }
}

void ExpectJson(const std::string& line) {
  Value value;
  *value.mutable_struct_value() = ParseJson(line);
  ExpectPlain(value, line);
}

struct Similar {
  const char* name;
  std::vector<std::pair<std::string, std::string>> flags;
  bool is_bounded;  // kernels: sums lie in [0, n]
};

const std::vector<Similar>& Similarities() {
  static const auto* const all = new std::vector<Similar>{
      {"gaussian", {{"bandwidth", "1"}}, true},
      {"laplacian", {{"bandwidth", "1"}}, true},
      {"exponential", {{"bandwidth", "1"}}, true},
      {"matern", {{"bandwidth", "1"}, {"nu", "1.5"}}, true},
      {"rational_quadratic", {{"bandwidth", "1"}, {"alpha", ".7"}}, true},
      {"cauchy", {{"bandwidth", "1"}}, true},
      {"inverse_l2", {{"bandwidth", "1"}}, true},
      {"inverse_l1", {{"bandwidth", "1"}}, true},
      {"product_cauchy", {{"bandwidth", "1"}}, true},
      {"p_stable", {{"bandwidth", "1"}}, true},
      {"angular", {{"p", "2"}}, true},
      {"l1", {}, false},
      {"l2", {}, false},
      {"lp_power", {{"p", ".5"}}, false},
      {"l2_squared", {}, false},
      {"cosine", {}, false},
      {"inner_product", {}, false},
  };
  return *all;
}

TEST(JsonNumbersTest, OfEverySimilarityAtFewRecords) {
  const Folder folder;
  const std::string queries = folder.Write("queries.csv", "0,0\n3,3\n-3,-3\n1e-40,0\n3,-3\n");
  const std::string outside = folder.Write("outside.csv", "0,0\n1e30,-3e38\n3e38,3e38\n");
  for (const int n : {0, 1, 3}) {
    const std::string records = folder.Write(absl::StrCat(n, ".csv"), std::string(n == 0 ? "" : n == 1 ? "1,2\n" : "1,2\n-1,0\n3,3\n"));
    for (const Similar& similar : Similarities()) {
      for (const char* epsilon : {".1", "1e-3"}) {
        SCOPED_TRACE(absl::StrCat(similar.name, " n=", n, " epsilon=", epsilon));
        const std::string release = folder.Path("release");
        Flags flags = {{"similarity", similar.name}, {"bandwidth", kMissing}, {"epsilon", epsilon},
                       {"input", records}, {"csv_header", "absent"}, {"dim", "2"}, {"domain_min", "-3"},
                       {"domain_max", "3"}, {"expected_n", "10"}, {"overwrite", "true"}, {"output", release},
                       {"summary_out", folder.Path("summary")}};
        for (const auto& [name, value] : similar.flags) flags[name] = value;
        const CommandResult built = BuildDensity(flags);
        ASSERT_EQ(built.exit_code, 0) << built.err;
        ExpectJson(FileBytes(folder.Path("summary")));
        const CommandResult inside = QueryDensity(release, queries, {"--csv_header=absent"});
        ASSERT_EQ(inside.exit_code, 0) << inside.err;
        const std::vector<std::string> lines = Lines(inside.out);
        EXPECT_EQ(lines.size(), 5u);
        for (const std::string& line : lines) {
          ExpectJson(line);
          const auto json = ParseJson(line);
          EXPECT_TRUE(json.fields().at("sum").has_number_value()) << line;
          if (!similar.is_bounded) continue;
          for (const Value& end : json.fields().at("ci95").list_value().values()) EXPECT_TRUE(end.has_number_value()) << line;
        }
        const CommandResult far = QueryDensity(release, outside, {"--csv_header=absent", "--outside=null"});
        ASSERT_EQ(far.exit_code, 0) << far.err;
        const std::vector<std::string> far_lines = Lines(far.out);
        ASSERT_EQ(far_lines.size(), 3u);
        for (const std::string& line : far_lines) ExpectJson(line);
        EXPECT_TRUE(ParseJson(far_lines[0]).fields().at("sum").has_number_value());
        EXPECT_TRUE(ParseJson(far_lines[1]).fields().at("sum").has_null_value());
        ExpectRefusal(QueryDensity(release, outside, {"--csv_header=absent"}), "dpkde_query", 2,
                      {"row 1 (counting from 0)", "outside the domain [-3, 3] x [-3, 3]", "--outside=null"});
        // What a design answers there is a number or null too.
        const CommandResult answered = QueryDensity(release, outside, {"--csv_header=absent", "--outside=answer"});
        if (answered.exit_code == 0) {
          for (const std::string& line : Lines(answered.out)) ExpectJson(line);
        } else {
          EXPECT_EQ(answered.exit_code, 2) << answered.err;
        }
        ExpectJson(RunCommand("dpkde_query", {"describe", release, "--output_format=json"}).out);
      }
    }
  }
}

}  // namespace
}  // namespace dpkde
