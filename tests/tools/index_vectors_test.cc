// Indexes of single vectors through the tools: vectors far from 0, of any scale, of unequal lengths; what recall says.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/output_text.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kL2[] = "vector_index { metric: L2 ";
constexpr char kCosine[] = "vector_index { metric: COSINE ";
constexpr char kProduct[] = "vector_index { metric: INNER_PRODUCT ";

struct Rows {
  std::vector<double> values;
  size_t columns;
  size_t size() const { return values.size() / columns; }
  const double* row(size_t i) const { return &values[i * columns]; }
};

// .npy of float64.
std::string Doubles(const Rows& rows) {
  std::string header = absl::StrCat("{'descr': '<f8', 'fortran_order': False, 'shape': (", rows.size(), ", ",
                                    rows.columns, "), }");
  header.resize((10 + header.size() + 64) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\0", 8);
  bytes += static_cast<char>(header.size());
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(rows.values.data()), rows.values.size() * sizeof(double));
  return bytes;
}

std::string Text(const Rows& rows) {
  std::string text;
  for (size_t i = 0; i < rows.values.size(); ++i) {
    text += absl::StrFormat("%.17g%c", rows.values[i], (i + 1) % rows.columns == 0 ? '\n' : ',');
  }
  return text;
}

Rows Made(size_t count, size_t columns, uint64_t seed, const std::function<double(std::mt19937_64&, size_t)>& value) {
  std::mt19937_64 engine(seed);
  Rows rows{{}, columns};
  for (size_t i = 0; i < count * columns; ++i) rows.values.push_back(value(engine, i % columns));
  return rows;
}

double Uniform(std::mt19937_64& engine) { return static_cast<double>(engine() >> 11) / (uint64_t{1} << 53); }
double Normal(std::mt19937_64& engine) { return std::normal_distribution<double>()(engine); }

// Larger is better.
double Score(const std::string& config, const double* x, const double* y, size_t d) {
  long double product = 0, distance = 0, xx = 0, yy = 0;
  for (size_t j = 0; j < d; ++j) {
    product += static_cast<long double>(x[j]) * y[j];
    distance += (static_cast<long double>(x[j]) - y[j]) * (static_cast<long double>(x[j]) - y[j]);
    xx += static_cast<long double>(x[j]) * x[j];
    yy += static_cast<long double>(y[j]) * y[j];
  }
  return config.find("L2") != std::string::npos       ? static_cast<double>(-distance)
         : config.find("COSINE") != std::string::npos ? static_cast<double>(product / std::sqrt(xx * yy))
                                                      : static_cast<double>(product);
}

// The k best of each query.
std::vector<std::vector<int32_t>> Truth(const std::string& config, const Rows& rows, const Rows& queries, size_t k) {
  std::vector<std::vector<int32_t>> truth;
  for (size_t q = 0; q < queries.size(); ++q) {
    std::vector<std::pair<double, int32_t>> scores;
    for (size_t i = 0; i < rows.size(); ++i) {
      scores.emplace_back(-Score(config, queries.row(q), rows.row(i), rows.columns), i);
    }
    std::partial_sort(scores.begin(), scores.begin() + k, scores.end());
    truth.emplace_back();
    for (size_t i = 0; i < k; ++i) truth.back().push_back(scores[i].second);
  }
  return truth;
}

std::string Ivecs(const std::vector<std::vector<int32_t>>& rows) {
  std::string bytes;
  for (const std::vector<int32_t>& row : rows) {
    const int32_t size = static_cast<int32_t>(row.size());
    bytes.append(reinterpret_cast<const char*>(&size), sizeof(size));
    bytes.append(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(int32_t));
  }
  return bytes;
}

struct Hit {
  std::string id;
  double score;
};

std::vector<std::vector<Hit>> Hits(const std::string& text) {
  std::vector<std::vector<Hit>> results;
  for (const std::string& line : Lines(text)) {
    results.emplace_back();
    const auto json = ParseJson(line);
    for (const auto& result : json.fields().at("results").list_value().values()) {
      const auto& hit = result.struct_value().fields();
      results.back().push_back({hit.at("id").string_value(), hit.at("score").number_value()});
    }
  }
  return results;
}

double RecallById(const std::vector<std::vector<Hit>>& hits, const std::vector<std::vector<int32_t>>& truth) {
  size_t found = 0, all = 0;
  for (size_t q = 0; q < truth.size(); ++q) {
    std::set<std::string> ids;
    for (const Hit& hit : hits[q]) ids.insert(hit.id);
    for (const int32_t row : truth[q]) found += ids.count(absl::StrCat(row));
    all += truth[q].size();
  }
  return static_cast<double>(found) / all;
}

class IndexVectorsTest : public ::testing::Test {
 protected:
  CommandResult Build(const std::string& input, const std::string& config, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"index", "--input=" + input, "--output=" + Index(), "--overwrite"};
    if (!config.empty()) arguments.push_back("--config=" + folder_.Write("config.txt", config));
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand("dpkde_build", arguments);
  }

  CommandResult Search(const std::string& queries, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"search", "--index=" + Index(), "--queries=" + queries};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand("dpkde_query", arguments);
  }

  std::string Index() const { return folder_.Path("index"); }

  // Builds with rows [0, 3n/4), adds the rest, and checks what a search finds and scores, also after some documents that
  // nobody looks for came and went and after compaction.
  // `resolution`: of a distance, what float32 resolves at the spread of the rows.
  void ExpectRightNeighbors(const Rows& rows, const Rows& queries, const std::string& config, double least,
                            double resolution) {
    SCOPED_TRACE(config);
    const size_t first = rows.size() * 3 / 4, d = rows.columns;
    const Rows begin{{rows.values.begin(), rows.values.begin() + first * d}, d};
    const Rows rest{{rows.values.begin() + first * d, rows.values.end()}, d};
    const std::string q = folder_.Write("q.npy", Doubles(queries));
    const CommandResult built = Build(folder_.Write("a.npy", Doubles(begin)), config);
    ASSERT_EQ(built.exit_code, 0) << built.err;
    EXPECT_THAT(built.err, Not(HasSubstr("warning")));
    const CommandResult added = RunCommand(
        "dpkde_build", {"add", "--index=" + Index(), "--input=" + folder_.Write("b.npy", Doubles(rest))});
    ASSERT_EQ(added.exit_code, 0) << added.err;
    const std::vector<std::vector<int32_t>> truth = Truth(config, rows, queries, 10);
    const std::string gate = "--ground_truth=" + folder_.Write("t.ivecs", Ivecs(truth));
    const auto check = [&] {
      const CommandResult found = Search(q, {gate, absl::StrCat("--fail_if_recall_below=", least)});
      ASSERT_EQ(found.exit_code, 0) << found.err;
      const auto hits = Hits(found.out);
      const double recall = RecallById(hits, truth);
      EXPECT_GE(recall, least);
      EXPECT_THAT(found.err, HasSubstr(absl::StrFormat("recall@10 %.4f", recall)));
      EXPECT_THAT(found.err, Not(HasSubstr("warning")));
      // Scores are those of the vectors as they were given, and differ where those do.
      for (size_t i = 0; i < hits.size(); ++i) {
        int row = 0;
        ASSERT_TRUE(absl::SimpleAtoi(hits[i][0].id, &row));
        double expected = Score(config, queries.row(i), rows.row(row), d);
        if (config.find("L2") != std::string::npos) expected = -expected;
        EXPECT_NEAR(hits[i][0].score, expected,
                    1e-6 * std::abs(expected) + 2 * resolution * std::sqrt(std::abs(expected)) + resolution * resolution);
      }
    };
    check();
    // A copy of every document, under other ids, and away again.
    std::string ids;
    for (size_t i = 0; i < rest.size(); ++i) absl::StrAppend(&ids, "copy", i, "\n");
    const std::string copies = "--ids=" + folder_.Write("ids.txt", ids);
    ASSERT_EQ(RunCommand("dpkde_build", {"add", "--index=" + Index(), "--input=" + folder_.Path("b.npy"), copies})
                  .exit_code,
              0);
    ASSERT_EQ(RunCommand("dpkde_build", {"remove", "--index=" + Index(), copies}).exit_code, 0);
    check();
    ASSERT_EQ(RunCommand("dpkde_build", {"compact", "--index=" + Index()}).exit_code, 0);
    check();
  }

  Folder folder_;
};

TEST_F(IndexVectorsTest, ThreePlaces) {
  const std::string places =
      folder_.Write("g3.npy", Doubles({{37.75, -122.41, 37.75, -122.44, 37.75, -122.425}, 2}));
  const std::string query = folder_.Write("q.npy", Doubles({{37.75, -122.43}, 2}));
  ASSERT_EQ(Build(places, absl::StrCat(kL2, "}")).exit_code, 0);
  const std::string right = "--ground_truth=" + folder_.Write("right.ivecs", Ivecs({{2}}));
  const std::string wrong = "--ground_truth=" + folder_.Write("wrong.ivecs", Ivecs({{0}}));
  CommandResult found = Search(query, {"--k=1", right, "--fail_if_recall_below=1"});
  EXPECT_EQ(found.exit_code, 0) << found.err;
  EXPECT_EQ(found.err, "recall@1 1.0000\n");
  const auto hits = Hits(found.out);
  EXPECT_EQ(hits[0][0].id, "2");
  EXPECT_NEAR(hits[0][0].score, 0.005 * 0.005, 1e-9);
  // A truth that the index beats is no hit.
  found = Search(query, {"--k=1", wrong, "--fail_if_recall_below=0.5"});
  EXPECT_EQ(found.exit_code, 6);
  EXPECT_THAT(found.err, AllOf(HasSubstr("recall@1 0.0000\n"),
                               HasSubstr("warning: the truth of 1 queries is not the best of this index")));
  // The same of the text, and of the integers that a micro-degree is.
  ASSERT_EQ(Build(folder_.Write("g3.csv", "37.75,-122.41\n37.75,-122.44\n37.75,-122.425\n"), absl::StrCat(kL2, "}"),
                  {"--csv_header=absent"})
                .exit_code,
            0);
  EXPECT_EQ(Hits(Search(query, {"--k=1"}).out)[0][0].id, "2");
}

TEST_F(IndexVectorsTest, PlacesInASmallBox) {
  const auto place = [](std::mt19937_64& engine, size_t column) {
    return (column == 0 ? 37.7 : -122.5) + 0.1 * Uniform(engine);
  };
  const Rows rows = Made(1200, 2, 1, place), queries = Made(60, 2, 2, place);
  for (const char* const kind : {"}", "kind: IVF ivf_lists: 20 ivf_probe: 8 }", "kind: HNSW }"}) {
    ExpectRightNeighbors(rows, queries, absl::StrCat(kL2, kind), 0.99, 2e-8);
  }
  // One place at 0, 0, as of a missing one, changes nothing.
  Rows with_zero = rows;
  with_zero.values[20] = with_zero.values[21] = 0;
  ExpectRightNeighbors(with_zero, queries, absl::StrCat(kL2, "}"), 0.99, 2e-8);
}

TEST_F(IndexVectorsTest, YearsAndTimestamps) {
  const auto years = [](std::mt19937_64& engine, size_t column) {
    return column == 0 ? 2000 + 25 * Uniform(engine) : Uniform(engine);
  };
  ExpectRightNeighbors(Made(1200, 2, 1, years), Made(40, 2, 2, years), absl::StrCat(kL2, "kind: HNSW }"), 0.99, 4e-6);
  // A minute of seconds since 1970, in which float32 has one value.
  const auto seconds = [](std::mt19937_64& engine, size_t) { return 1.7e9 + 60 * Uniform(engine); };
  const Rows rows = Made(1200, 1, 3, seconds), queries = Made(40, 1, 4, seconds);
  ExpectRightNeighbors(rows, queries, absl::StrCat(kL2, "}"), 0.99, 1e-5);
  ExpectRightNeighbors(rows, queries, absl::StrCat(kL2, "kind: HNSW }"), 0.99, 1e-5);
  // As text, which has more digits than float32 too.
  ASSERT_EQ(Build(folder_.Write("rows.csv", Text(rows)), absl::StrCat(kL2, "}")).exit_code, 0);
  const CommandResult found = Search(folder_.Write("queries.csv", Text(queries)));
  EXPECT_GE(RecallById(Hits(found.out), Truth(kL2, rows, queries, 10)), 0.99) << found.err;
}

TEST_F(IndexVectorsTest, EmbeddingsWithACommonOffset) {
  const auto shifted = [](std::mt19937_64& engine, size_t) { return 1000 + Normal(engine); };
  const Rows rows = Made(1200, 16, 1, shifted), queries = Made(40, 16, 2, shifted);
  for (const char* const metric : {kL2, kCosine, kProduct}) {
    for (const char* const kind : {"}", "kind: HNSW }"}) {
      ExpectRightNeighbors(rows, queries, absl::StrCat(metric, kind), 0.99, 1e-6);
    }
  }
  ExpectRightNeighbors(rows, queries, absl::StrCat(kCosine, "kind: IVF ivf_lists: 20 ivf_probe: 10 }"), 0.95, 1e-6);
}

// The scale of vectors changes nothing.
TEST_F(IndexVectorsTest, AnyScaleGivesTheSameFigure) {
  const Rows rows = Made(1500, 16, 1, [](std::mt19937_64& engine, size_t) { return Normal(engine); });
  const Rows queries = Made(50, 16, 2, [](std::mt19937_64& engine, size_t) { return Normal(engine); });
  std::vector<double> figures;
  for (const double scale : {1.0, std::exp2(-20), std::exp2(20), 1e-3}) {
    Rows scaled = rows, scaled_queries = queries;
    for (double& value : scaled.values) value *= scale;
    for (double& value : scaled_queries.values) value *= scale;
    ASSERT_EQ(Build(folder_.Write("a.npy", Doubles(scaled)), absl::StrCat(kL2, "kind: IVF ivf_probe: 4 }")).exit_code,
              0);
    const std::string truth =
        "--ground_truth=" + folder_.Write("t.ivecs", Ivecs(Truth(kL2, scaled, scaled_queries, 10)));
    const CommandResult found = Search(folder_.Write("q.npy", Doubles(scaled_queries)), {truth, "--candidates=10"});
    ASSERT_EQ(found.exit_code, 0) << found.err;
    figures.push_back(std::stod(std::string(Lines(found.err)[0]).substr(10)));
  }
  EXPECT_LT(figures[0], 0.99);  // four lists do lose something
  EXPECT_EQ(figures[1], figures[0]);
  EXPECT_EQ(figures[2], figures[0]);
  EXPECT_NEAR(figures[3], figures[0], 0.05);  // rounded otherwise, so that lists are learnt otherwise
}

TEST_F(IndexVectorsTest, ATruthOfRandomRowsIsNone) {
  const Rows rows = Made(1000, 16, 1, [](std::mt19937_64& engine, size_t) { return Normal(engine); });
  const Rows queries = Made(50, 16, 2, [](std::mt19937_64& engine, size_t) { return Normal(engine); });
  std::mt19937_64 engine(3);
  std::vector<std::vector<int32_t>> random(50);
  for (std::vector<int32_t>& row : random) {
    std::set<int32_t> chosen;
    while (chosen.size() < 10) chosen.insert(static_cast<int32_t>(engine() % 1000));
    row.assign(chosen.begin(), chosen.end());
  }
  const std::string truth = "--ground_truth=" + folder_.Write("random.ivecs", Ivecs(random));
  const std::string q = folder_.Write("q.npy", Doubles(queries));
  const std::string a = folder_.Write("a.npy", Doubles(rows));
  for (const char* const format : {"", "tokens { format: FLOAT16 } ", "tokens { format: INT8 } "}) {
    ASSERT_EQ(Build(a, absl::StrCat(format, kL2, "}")).exit_code, 0);
    const CommandResult found = Search(q, {truth, "--fail_if_recall_below=0.1"});
    EXPECT_EQ(found.exit_code, 6) << found.err;
    EXPECT_LE(std::stod(std::string(Lines(found.err)[0]).substr(10)), 0.04);
    EXPECT_THAT(found.err, HasSubstr("warning: the truth of 50 queries is not the best of this index"));
  }
  // One that names nothing, and one that names a row twice, are none either.
  const auto given = [&](const std::string& name, const std::vector<int32_t>& row) {
    return Search(q, {"--ground_truth=" + folder_.Write(name, Ivecs(std::vector<std::vector<int32_t>>(50, row)))});
  };
  ExpectRefusal(given("none.ivecs", {-1, -1}), "dpkde_query", 2, {"none.ivecs: names no true result"});
  ExpectRefusal(given("twice.ivecs", {7, 7}), "dpkde_query", 2,
                {"twice.ivecs: row 0 (counting from 0): names row 7 of the index twice"});
}

// Equal vectors may stand for each other; vectors that only rounding makes equal may not.
TEST_F(IndexVectorsTest, TiesAreOfTheVectorsAsGiven) {
  const std::string q = folder_.Write("q.npy", Doubles({{0, 0}, 2}));
  const std::string truth = "--ground_truth=" + folder_.Write("t.ivecs", Ivecs({{1}}));
  ASSERT_EQ(Build(folder_.Write("equal.npy", Doubles({{1, 1, 1, 1, 5, 5}, 2})), absl::StrCat(kL2, "}")).exit_code, 0);
  EXPECT_EQ(Search(q, {"--k=1", truth}).err, "recall@1 1.0000\n");
  // 4097 is 4096 in float16, so that row 0 wins.
  ASSERT_EQ(Build(folder_.Write("rounded.npy", Doubles({{4097, 0, 4096, 0, 9000, 0}, 2})),
                  absl::StrCat("tokens { format: FLOAT16 } ", kL2, "}"))
                .exit_code,
            0);
  EXPECT_THAT(Search(q, {"--k=1", truth}).err, HasSubstr("recall@1 0.0000\n"));
  // The control: in float32 row 1 is found.
  ASSERT_EQ(Build(folder_.Path("rounded.npy"), absl::StrCat(kL2, "}")).exit_code, 0);
  EXPECT_EQ(Search(q, {"--k=1", truth}).err, "recall@1 1.0000\n");
}

TEST_F(IndexVectorsTest, ASmallerFormatThatLosesSaysSo) {
  const auto place = [](std::mt19937_64& engine, size_t column) {
    return (column == 0 ? 37.7 : -122.5) + 0.1 * Uniform(engine);
  };
  const std::string a = folder_.Write("a.npy", Doubles(Made(1200, 2, 1, place)));
  const CommandResult half = Build(a, absl::StrCat("tokens { format: FLOAT16 } ", kL2, "}"));
  EXPECT_EQ(half.exit_code, 0);
  EXPECT_THAT(half.err, AllOf(HasSubstr("warning: of the 10 nearest of 64 of the documents a search with 500"),
                              HasSubstr("rounded to FLOAT16"), HasSubstr("FLOAT32")));
  // Three of them, which are one in float16.
  const CommandResult three = Build(folder_.Write("g3.csv", "37.75,-122.41\n37.75,-122.44\n37.75,-122.425\n"),
                                    absl::StrCat("tokens { format: FLOAT16 } ", kL2, "}"));
  EXPECT_THAT(three.err, HasSubstr("warning: of the 1 nearest of 3 of the documents"));
  // A range that one outlier stretches.
  Rows stretched = Made(4000, 2, 1, place);
  stretched.values[0] = stretched.values[1] = 1e9;
  const CommandResult codes =
      Build(folder_.Write("b.npy", Doubles(stretched)), absl::StrCat(kL2, "codes: INT8 }"));
  EXPECT_THAT(codes.err, AllOf(HasSubstr("warning: of the 10 nearest"), HasSubstr("FLAT of INT8 loses the others")));
  // No control but the other tests: what loses nothing has no warning.
}

TEST_F(IndexVectorsTest, MetresWork) {
  const auto metre = [](std::mt19937_64& engine, size_t column) {
    return (column == 0 ? 4e5 : 5.8e6) + 5000 * Uniform(engine);
  };
  const Rows rows = Made(1200, 2, 1, metre), queries = Made(40, 2, 2, metre);
  ExpectRightNeighbors(rows, queries, absl::StrCat(kL2, "}"), 0.99, 1e-3);
  ASSERT_EQ(Build(folder_.Write("v.npy", Doubles(rows)), "").exit_code, 0);
  const CommandResult half = Build(folder_.Path("v.npy"), "tokens { format: FLOAT16 }");
  ExpectRefusal(half, "dpkde_build", 2,
                {"v.npy: row 0, column 0 (counting from 0): 40", "does not fit into float16", "FLOAT32"});
}

TEST_F(IndexVectorsTest, WhatFloat32CannotMultiplyIsRefused) {
  const auto far = [&](double scale) {
    Rows rows = Made(50, 3, 1, [](std::mt19937_64& engine, size_t) { return Normal(engine); });
    for (double& value : rows.values) value *= scale;
    return rows;
  };
  ExpectRefusal(Build(folder_.Write("small.npy", Doubles(far(1e-30))), ""), "dpkde_build", 2,
                {"small.npy: row ", ", column ", "e-30", "scale all vectors up"});
  ExpectRefusal(Build(folder_.Write("large.npy", Doubles(far(1e+30))), ""), "dpkde_build", 2,
                {"large.npy: row 0, column ", "e+", "scale all vectors down"});
  ASSERT_EQ(Build(folder_.Write("good.npy", Doubles(far(1))), "").exit_code, 0);
  ExpectRefusal(Search(folder_.Path("large.npy")), "dpkde_query", 2, {"large.npy: ", "query 0", "scale"});
}

TEST_F(IndexVectorsTest, InnerProductsOfUnequalLengths) {
  std::mt19937_64 engine(1);
  Rows rows{{}, 16};
  for (size_t i = 0; i < 3000; ++i) {
    const double length = std::exp(2 * Normal(engine));
    for (size_t j = 0; j < 16; ++j) rows.values.push_back(length * Normal(engine));
  }
  const Rows queries = Made(60, 16, 2, [](std::mt19937_64& e, size_t) { return Normal(e); });
  const std::string q = folder_.Write("q.npy", Doubles(queries));
  const auto truth = Truth(kProduct, rows, queries, 10);
  for (const char* const kind : {"kind: HNSW }", "kind: IVF }"}) {
    const CommandResult built =
        Build(folder_.Write("a.npy", Doubles(rows)), absl::StrCat(kProduct, kind));
    ASSERT_EQ(built.exit_code, 0);
    EXPECT_THAT(built.err, Not(HasSubstr("warning")));
    EXPECT_GE(RecallById(Hits(Search(q).out), truth), 0.97) << kind;
  }
}

// Private records vote for the public item at their place.
TEST_F(IndexVectorsTest, VotesGoToTheRightItem) {
  Rows items = Made(20, 2, 5, [](std::mt19937_64& engine, size_t column) {
    return (column == 0 ? 37.7 : -122.5) + 0.1 * Uniform(engine);
  });
  Rows records{{}, 2};
  for (size_t i = 0; i < 3000; ++i) records.values.insert(records.values.end(), items.row(5), items.row(5) + 2);
  ASSERT_EQ(Build(folder_.Write("items.npy", Doubles(items)), absl::StrCat(kL2, "}")).exit_code, 0);
  const std::string output = folder_.Path("votes");
  const CommandResult built = RunCommand(
      "dpkde_build", {"histogram", "--input=" + folder_.Write("private.npy", Doubles(records)), "--index=" + Index(),
                      "--votes=1", "--epsilon=5", "--neighboring=add_remove", "--output=" + output});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  const CommandResult counts = RunCommand("dpkde_query", {"histogram", "--release=" + output});
  EXPECT_THAT(Lines(counts.out)[0], HasSubstr("\"5\"")) << counts.out << counts.err;
}

TEST_F(IndexVectorsTest, VectorsThatAreAddedFarFromTheOthersAreWarnedOf) {
  const auto seconds = [](double begin) {
    return [begin](std::mt19937_64& engine, size_t) { return begin + 60 * Uniform(engine); };
  };
  ASSERT_EQ(Build(folder_.Write("a.npy", Doubles(Made(300, 1, 3, seconds(1.7e9)))), absl::StrCat(kL2, "}")).exit_code, 0);
  const auto added = [&](double begin) {
    return RunCommand("dpkde_build", {"add", "--index=" + Index(),
                                      "--input=" + folder_.Write("b.npy", Doubles(Made(300, 1, 4, seconds(begin))))});
  };
  EXPECT_THAT(added(1.6e9).err, HasSubstr("warning: these vectors lie farther"));
  EXPECT_THAT(added(1.7e9 + 600).err, Not(HasSubstr("warning")));
}

// An index that was empty takes its origin from the first documents.
TEST_F(IndexVectorsTest, TheFirstDocumentsDecideWhereVectorsLie) {
  const auto seconds = [](std::mt19937_64& engine, size_t) { return 1.7e9 + 60 * Uniform(engine); };
  const Rows rows = Made(300, 1, 3, seconds), queries = Made(20, 1, 4, seconds);
  for (const char* const metric : {kL2, kCosine}) {
    ASSERT_EQ(Build(folder_.Write("none.npy", Doubles({{}, 1})), absl::StrCat(metric, "}")).exit_code, 0);
    const CommandResult added = RunCommand(
        "dpkde_build", {"add", "--index=" + Index(), "--input=" + folder_.Write("a.npy", Doubles(rows))});
    ASSERT_EQ(added.exit_code, 0) << added.err;
    const CommandResult found = Search(folder_.Write("q.npy", Doubles(queries)));
    ASSERT_EQ(found.exit_code, 0) << found.err;
    if (std::string(metric) == kL2) {
      EXPECT_GE(RecallById(Hits(found.out), Truth(kL2, rows, queries, 10)), 0.99);
    }
  }
}

}  // namespace
}  // namespace dpkde
