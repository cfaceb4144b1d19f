// "dpkde_build index", "add", "remove" and "compact", "dpkde_query search", "tune" and "describe" of an index.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/io/list_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/traced_child.h"
#include "tests/tools/command.h"
#include "tests/tools/output_text.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kData[] = "tests/testdata/wordnet_";

// A small encoder, so that tests are quick.
constexpr char kFde[] = "encoder { fde { repetitions: 10 hyperplanes: 4 projected_dimension: 8 } }\n";

// The (id, score) pairs of every query, from JSON Lines.
std::vector<std::vector<std::pair<std::string, double>>> Results(const std::string& text) {
  std::vector<std::vector<std::pair<std::string, double>>> results;
  for (const std::string& line : Lines(text)) {
    const auto fields = ParseJson(line).fields();
    EXPECT_EQ(fields.at("query").number_value(), results.size());
    results.emplace_back();
    for (const auto& result : fields.at("results").list_value().values()) {
      const auto& hit = result.struct_value().fields();
      results.back().emplace_back(hit.at("id").string_value(), hit.at("score").number_value());
    }
  }
  return results;
}

std::string Int32Npy(const std::vector<int32_t>& values) {
  std::string header = absl::StrCat("{'descr': '<i4', 'fortran_order': False, 'shape': (", values.size(), ",), }");
  header.resize((10 + header.size() + 64) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY\x01";
  bytes += '\0';
  bytes += static_cast<char>(header.size());
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int32_t));
  return bytes;
}

CommandResult Build(std::vector<std::string> arguments) { return RunCommand("dpkde_build", std::move(arguments)); }
CommandResult Query(std::vector<std::string> arguments) { return RunCommand("dpkde_query", std::move(arguments)); }

class IndexToolsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new Folder;
    const CommandResult result = MakeIndex(shared_->Path("index"));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, AllOf(HasSubstr("1200 documents, 5172 tokens"), HasSubstr("1280 coordinates")));
  }

  static CommandResult MakeIndex(const std::string& path, std::vector<std::string> more = {}) {
    const std::string config = shared_->Write("config.txt", kFde);
    std::vector<std::string> arguments = {"index",
                                          absl::StrCat("--tokens=", kData, "tokens.npy"),
                                          absl::StrCat("--lens=", kData, "lens.npy"),
                                          absl::StrCat("--ids=", kData, "ids.txt"),
                                          "--config=" + config,
                                          "--output=" + path};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Build(arguments);
  }

  static CommandResult Search(const std::string& index, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"search", "--index=" + index,
                                          absl::StrCat("--queries=", kData, "query_tokens.npy"),
                                          absl::StrCat("--query_lens=", kData, "query_lens.npy")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Query(arguments);
  }

  static std::string Index() { return shared_->Path("index"); }

  // A copy that a test may change.
  std::string Copy() {
    const std::string path = inputs_.Path(absl::StrCat("copy", copies_++));
    std::filesystem::copy(Index(), path, std::filesystem::copy_options::recursive);
    return path;
  }

  // Tokens of `count` documents of the corpus, from document `begin` on, and their lengths, as files.
  std::vector<std::string> Documents(size_t begin, size_t count) {
    const TokenSets sets = ReadTokenSets(absl::StrCat(kData, "tokens.npy"), absl::StrCat(kData, "lens.npy")).value();
    const MatrixView all = sets.view().Slice(begin, begin + count).all();
    std::vector<int32_t> lens;
    for (size_t i = begin; i < begin + count; ++i) lens.push_back(sets.view().set(i).rows);
    return {"--tokens=" + inputs_.Write("some.npy", Npy(std::vector<float>(all.data, all.data + all.rows * 100), 100)),
            "--lens=" + inputs_.Write("some_lens.npy", Int32Npy(lens))};
  }

  static Folder* shared_;
  Folder inputs_;
  int copies_ = 0;
};
Folder* IndexToolsTest::shared_ = nullptr;

TEST_F(IndexToolsTest, AllCandidatesGiveTheCommittedAnswers) {
  const CommandResult exact =
      Search(Index(), {"--candidates=1200", absl::StrCat("--ground_truth=", kData, "truth.ivecs"),
                       "--fail_if_recall_below=1", "--timings"});
  ASSERT_EQ(exact.exit_code, 0) << exact.err;
  EXPECT_THAT(exact.err,
              AllOf(HasSubstr("recall@10 1.0000\n"), HasSubstr("60 queries in "), HasSubstr("exact scores ")));
  const auto results = Results(exact.out);
  ASSERT_THAT(results, SizeIs(60));
  for (const auto& hits : results) {
    ASSERT_THAT(hits, SizeIs(10));
    for (size_t i = 1; i < 10; ++i) EXPECT_GE(hits[i - 1].second, hits[i].second);
  }
  // k beyond the corpus gives all there is.
  for (const auto& hits : Results(Search(Index(), {"--k=5000"}).out)) EXPECT_THAT(hits, SizeIs(1200));
  // Fewer candidates find less, and the gate notices.
  const CommandResult gated = Search(Index(), {"--candidates=10", absl::StrCat("--ground_truth=", kData, "truth.ivecs"),
                                               "--fail_if_recall_below=0.999"});
  EXPECT_EQ(gated.exit_code, 6);
  EXPECT_THAT(Lines(gated.out), SizeIs(60));
  EXPECT_THAT(gated.err, AllOf(HasSubstr("recall@10 0."), HasSubstr("below 0.999")));
}

TEST_F(IndexToolsTest, FormatsAgree) {
  const auto results = Results(Search(Index(), {"--k=3"}).out);
  const auto tsv = Lines(Search(Index(), {"--k=3", "--output_format=tsv"}).out);
  const auto trec = Lines(Search(Index(), {"--k=3", "--output_format=trec"}).out);
  const std::string ivecs = Search(Index(), {"--k=3", "--output_format=ivecs"}).out;
  const std::vector<std::string> ids = ReadIds(absl::StrCat(kData, "ids.txt")).value();
  EXPECT_EQ(tsv[0], "query\trank\tid\tscore");
  ASSERT_THAT(tsv, SizeIs(181));
  ASSERT_THAT(trec, SizeIs(180));
  ASSERT_EQ(ivecs.size(), 60u * 16);
  for (size_t i = 0; i < 180; ++i) {
    const auto& [id, score] = results[i / 3][i % 3];
    const std::vector<std::string> cells = absl::StrSplit(tsv[i + 1], '\t'), words = absl::StrSplit(trec[i], ' ');
    double printed;
    EXPECT_EQ(cells[0], absl::StrCat(i / 3));
    EXPECT_EQ(cells[1], absl::StrCat(i % 3 + 1));
    EXPECT_EQ(cells[2], id);
    EXPECT_TRUE(absl::SimpleAtod(cells[3], &printed) && printed == score);
    EXPECT_EQ(words, (std::vector<std::string>{cells[0], "Q0", id, cells[1], cells[3], "dpkde"}));
    int32_t row;
    std::memcpy(&row, &ivecs[i / 3 * 16 + 4 + i % 3 * 4], 4);
    EXPECT_EQ(ids[row], id);
  }
}

TEST_F(IndexToolsTest, ExplainFiltersAndThreads) {
  const CommandResult explained = Search(Index(), {"--k=2", "--explain"});
  for (const std::string& line : Lines(explained.out)) {
    const auto fields = ParseJson(line).fields();
    for (const auto& result : fields.at("results").list_value().values()) {
      const auto& hit = result.struct_value().fields();
      double sum = 0;
      for (const auto& match : hit.at("matches").list_value().values()) {
        sum += match.struct_value().fields().at("similarity").number_value();
      }
      EXPECT_NEAR(sum, hit.at("score").number_value(), 1e-5);
    }
  }
  const auto unfiltered = Results(Search(Index()).out);
  EXPECT_EQ(Results(Search(Index(), {"--threads=1"}).out), unfiltered);
  const std::string best = unfiltered[0][0].first, second = unfiltered[0][1].first;
  const auto denied = Results(Search(Index(), {"--deny_ids=" + inputs_.Write("deny.txt", best + "\nunknown\n")}).out);
  EXPECT_EQ(denied[0][0].first, second);
  const std::string allow = "--allow_ids=" + inputs_.Write("allow.txt", best + "\n" + second + "\n");
  const auto allowed = Results(Search(Index(), {allow}).out);
  EXPECT_EQ(allowed[0], (std::vector<std::pair<std::string, double>>{unfiltered[0][0], unfiltered[0][1]}));
  for (const auto& hits : allowed) EXPECT_THAT(hits, SizeIs(2));
  EXPECT_THAT(Results(Search(Index(), {allow, "--deny_ids=" + inputs_.Path("deny.txt")}).out)[0], SizeIs(1));
}

TEST_F(IndexToolsTest, AddRemoveCompact) {
  const std::string index = Copy();
  const auto before = Results(Search(index, {"--candidates=5000"}).out);
  const std::string best = before[0][0].first;
  const std::string gone = inputs_.Write("gone.txt", best + "\n");
  ASSERT_EQ(Build({"remove", "--index=" + index, "--ids=" + gone}).exit_code, 0);
  EXPECT_EQ(Results(Search(index, {"--candidates=5000"}).out)[0][0], before[0][1]);
  ExpectRefusal(Build({"remove", "--index=" + index, "--ids=" + gone}), "dpkde_build", 2, {best});
  ExpectRefusal(Build({"remove", "--index=" + index, "--ids=" + inputs_.Write("twice.txt", "a\na\n")}), "dpkde_build",
                2, {"\"a\""});
  EXPECT_THAT(Query({"describe", index}).out, AllOf(HasSubstr("documents            1199 (and 1 removed"),
                                                    HasSubstr("FLOAT16"), HasSubstr("codes: INT8")));
  EXPECT_THAT(Query({"describe", index, "--output_format=json"}).out, HasSubstr("\"removed_documents\": \"1\""));

  // It comes back under another id, and a second time under none.
  const std::vector<std::string> ids = ReadIds(absl::StrCat(kData, "ids.txt")).value();
  const size_t row = std::find(ids.begin(), ids.end(), best) - ids.begin();
  std::vector<std::string> add = {"add", "--index=" + index};
  for (const std::string& flag : Documents(row, 1)) add.push_back(flag);
  ASSERT_EQ(Build(add).exit_code, 0);
  auto results = Results(Search(index, {"--candidates=5000"}).out);
  EXPECT_EQ(results[0][0], std::pair(std::string("1200"), before[0][0].second));
  add.push_back("--ids=" + inputs_.Write("new.txt", "again\n"));
  ASSERT_EQ(Build(add).exit_code, 0);
  results = Results(Search(index, {"--candidates=5000"}).out);
  EXPECT_EQ(results[0][0].first, "1200");
  EXPECT_EQ(results[0][1], std::pair(std::string("again"), before[0][0].second));
  ExpectRefusal(Build(add), "dpkde_build", 2, {"\"again\""});
  ASSERT_EQ(Build({"compact", "--index=" + index}).exit_code, 0);
  EXPECT_EQ(Results(Search(index, {"--candidates=5000"}).out), results);
  EXPECT_THAT(Query({"describe", index}).out, HasSubstr("documents            1201\n"));
}

TEST_F(IndexToolsTest, EmptyCorpus) {
  const std::string tokens = "--tokens=" + inputs_.Write("none.npy", Npy({}, 100));
  const std::string lens = "--lens=" + inputs_.Write("none_lens.npy", Int32Npy({}));
  const std::string index = inputs_.Path("empty");
  const CommandResult made =
      Build({"index", tokens, lens, "--config=" + inputs_.Write("fde.txt", kFde), "--output=" + index});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  for (const auto& hits : Results(Search(index).out)) EXPECT_THAT(hits, IsEmpty());
  std::vector<std::string> add = {"add", "--index=" + index};
  for (const std::string& flag : Documents(0, 1200)) add.push_back(flag);
  ASSERT_EQ(Build(add).exit_code, 0);
  const auto filled = Results(Search(index, {"--candidates=1200"}).out);
  const auto expected = Results(Search(Index(), {"--candidates=1200"}).out);
  const std::vector<std::string> ids = ReadIds(absl::StrCat(kData, "ids.txt")).value();
  for (size_t i = 0; i < filled.size(); ++i) {
    for (size_t j = 0; j < 10; ++j) {
      int64_t row = -1;
      ASSERT_TRUE(absl::SimpleAtoi(filled[i][j].first, &row));
      EXPECT_EQ(std::pair(ids[row], filled[i][j].second), expected[i][j]);
    }
  }
}

// Regression learns from tokens.
TEST_F(IndexToolsTest, RegressionNeedsTokens) {
  const std::string tokens = "--tokens=" + inputs_.Write("none.npy", Npy({}, 100));
  const std::string lens = "--lens=" + inputs_.Write("none_lens.npy", Int32Npy({}));
  const std::string config = "--config=" + inputs_.Write("config.txt", "encoder { regression {} }");
  ExpectRefusal(Build({"index", tokens, lens, config, "--output=" + inputs_.Path("none")}), "dpkde_build", 2,
                {"token"});
  // Without a config an empty corpus gets an encoder that learns nothing.
  const CommandResult made = Build({"index", tokens, lens, "--output=" + inputs_.Path("none")});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(Query({"describe", inputs_.Path("none")}).out,
              AllOf(HasSubstr("documents            0\n"), HasSubstr("fde {")));
}

TEST_F(IndexToolsTest, WithoutConfigItMeasuresAndSaysWhatItChose) {
  const std::string index = inputs_.Path("chosen");
  const CommandResult made =
      Build({"index", absl::StrCat("--tokens=", kData, "tokens.npy"), absl::StrCat("--lens=", kData, "lens.npy"),
             "--output=" + index, "--summary_out=" + inputs_.Path("summary.json")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("recall"));
  EXPECT_EQ(ParseJson(FileBytes(inputs_.Path("summary.json"))).fields().at("documents").number_value(), 1200);
  EXPECT_EQ(Search(index, {"--candidates=100", absl::StrCat("--ground_truth=", kData, "truth.ivecs"),
                           "--fail_if_recall_below=0.95"})
                .exit_code,
            0);
}

TEST_F(IndexToolsTest, SingleVectors) {
  const std::string index = inputs_.Path("vectors");
  const std::string config = inputs_.Write("config.txt", "vector_index { metric: L2 codes: FLOAT32 }");
  ASSERT_EQ(Build({"index", "--input=tests/testdata/letter.npy", "--config=" + config, "--output=" + index}).exit_code,
            0);
  const std::string queries =
      inputs_.Write("q.csv", "2,8,3,5,1,8,13,0,6,6,10,8,0,8,0,8\n5,12,3,7,2,10,5,5,4,13,3,9,2,8,4,10\n");
  const auto results = Results(Query({"search", "--index=" + index, "--queries=" + queries, "--k=3"}).out);
  ASSERT_THAT(results, SizeIs(2));
  EXPECT_EQ(results[0][0], std::pair(std::string("0"), 0.0));  // the first two letters of the file
  EXPECT_EQ(results[1][0], std::pair(std::string("1"), 0.0));
  EXPECT_LE(results[0][1].second, results[0][2].second);
  ExpectRefusal(Query({"search", "--index=" + index, "--queries=" + queries, "--explain"}), "dpkde_query", 1,
                {"--explain"});
  ExpectRefusal(Query({"search", "--index=" + index, "--queries=" + queries, "--query_lens=" + queries}), "dpkde_query",
                1, {"--query_lens"});
  ExpectRefusal(Build({"add", "--index=" + index, "--tokens=a.npy", "--lens=b.npy"}), "dpkde_build", 5, {"b.npy"});
}

TEST_F(IndexToolsTest, TuneMeasuresAndProposes) {
  const std::vector<std::string> arguments = {"tune", "--index=" + Index(),
                                              absl::StrCat("--queries=", kData, "query_tokens.npy"),
                                              absl::StrCat("--query_lens=", kData, "query_lens.npy")};
  const auto with = [&](const std::string& more) {
    std::vector<std::string> all = arguments;
    all.push_back(more);
    return Query(all);
  };
  const CommandResult text = with("--encoders");
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("encoder: "), HasSubstr("  encoder { token_dimension: 100 regression {"),
                              HasSubstr("flat 4-bit"), HasSubstr("smallest: "), HasSubstr("fastest: ")));
  const auto report = ParseJson(with("--output_format=json").out).fields();
  double least = 2, most = 0;
  for (const auto& value : report.at("rows").list_value().values()) {
    const double recall = value.struct_value().fields().at("recall").number_value();
    least = std::min(least, recall);
    most = std::max(most, recall);
  }
  EXPECT_LT(least, 0.7);
  EXPECT_GT(most, 0.9);
  // What it proposes can be built, and keeps its word.
  if (report.at("smallest").has_struct_value()) {
    const auto& fields = report.at("smallest").struct_value().fields();
    const std::string index = inputs_.Path("proposed");
    ASSERT_EQ(
        MakeIndex(index, {"--config=" + inputs_.Write("proposed.txt", fields.at("config").string_value())}).exit_code,
        0);
    EXPECT_EQ(Search(index, {absl::StrCat("--candidates=", fields.at("candidates").number_value()),
                             absl::StrCat("--ground_truth=", kData, "truth.ivecs"), "--fail_if_recall_below=0.93"})
                  .exit_code,
              0);
  }
  ExpectRefusal(with("--target_recall=1.5"), "dpkde_query", 1, {"--target_recall", "1.5"});
}

TEST_F(IndexToolsTest, RefusesFlags) {
  const std::string tokens = absl::StrCat("--tokens=", kData, "tokens.npy"),
                    lens = absl::StrCat("--lens=", kData, "lens.npy");
  const std::string output = "--output=" + inputs_.Path("out");
  const auto refused = [&](const std::vector<std::string>& arguments, int code,
                           const std::vector<std::string>& phrases) {
    ExpectRefusal(Build(arguments), "dpkde_build", code, phrases);
    EXPECT_FALSE(std::filesystem::exists(inputs_.Path("out/MANIFEST")));
  };
  refused({"index", tokens, output}, 1, {"--lens is missing"});
  refused({"index", lens, output}, 1, {"--tokens is missing"});
  refused({"index", output}, 1, {"are missing"});
  refused({"index", tokens, lens, "--input=x.npy", output}, 1, {"--input is for single vectors"});
  refused({"index", tokens, lens}, 1, {"--output is missing"});
  refused({"index", tokens, lens, "--output=" + Index()}, 1, {"already exists", "--overwrite"});
  refused({"index", tokens, lens, output, "--config=" + inputs_.Write("bad.txt", "encoder { fdee {} }")}, 1,
          {"IndexConfig", "line 1, column", "fdee"});
  refused({"index", tokens, lens, output, "--config=" + inputs_.Path("nothing.txt")}, 5, {"nothing.txt"});
  refused({"index", tokens, lens, output, "--epsilon=1"}, 1, {"--epsilon"});
  refused({"index", tokens, lens, output,
           "--config=" + inputs_.Write("hnsw.txt", absl::StrCat(kFde, "vector_index { kind: HNSW codes: PQ4 }"))},
          2, {"a graph takes"});
  refused({"index", tokens, lens, output,
           "--config=" + inputs_.Write("big.txt", "encoder { fde { repetitions: 10000 hyperplanes: 12 } }")},
          2, {"65"});
  refused({"add", tokens, lens}, 1, {"--index is missing"});
  refused({"remove", "--index=" + Index()}, 1, {"--ids is missing"});
  refused({"compact"}, 1, {"--index is missing"});
  for (const std::string flag : {"--k=0", "--candidates=9", "--rerank=9", "--ef_search=0", "--ivf_probe=0",
                                 "--rescore=0", "--output_format=xml", "--fail_if_recall_below=0.5"}) {
    ExpectRefusal(Search(Index(), {flag}), "dpkde_query", 1, {flag.substr(2, flag.find('=') - 2)});
  }
  ExpectRefusal(Search(Index(), {"--explain", "--output_format=tsv"}), "dpkde_query", 1, {"--explain"});
  ExpectRefusal(Query({"search", "--index=" + Index()}), "dpkde_query", 1, {"--queries is missing"});
  ExpectRefusal(Search(inputs_.Path("nowhere")), "dpkde_query", 5, {"nowhere"});
}

TEST_F(IndexToolsTest, RefusesData) {
  const std::string tokens = absl::StrCat("--tokens=", kData, "tokens.npy"),
                    lens = absl::StrCat("--lens=", kData, "lens.npy");
  const std::string output = "--output=" + inputs_.Path("out"), config = "--config=" + inputs_.Write("fde.txt", kFde);
  const auto refused = [&](std::vector<std::string> arguments, const std::vector<std::string>& phrases) {
    arguments.insert(arguments.end(), {output, config});
    ExpectRefusal(Build(arguments), "dpkde_build", 2, phrases);
    EXPECT_FALSE(std::filesystem::exists(inputs_.Path("out/MANIFEST")));
  };
  const auto flag = [&](const char* name, const char* file, const std::string& bytes) {
    return absl::StrCat("--", name, "=", inputs_.Write(file, bytes));
  };
  std::vector<float> values(300, 0.5f);
  values[107] = std::numeric_limits<float>::quiet_NaN();
  refused({"index", tokens, flag("lens", "short.npy", Int32Npy({1, 2, 3}))}, {"short.npy", "5172"});
  refused({"index", tokens, flag("lens", "minus.npy", Int32Npy({5173, -1}))}, {"minus.npy", "row 1", "negative"});
  refused({"index", tokens, flag("lens", "float.npy", Npy({1.5, 2}, 1))}, {"float.npy", "row 0"});
  refused({"index", flag("tokens", "nan.npy", Npy(values, 100)), flag("lens", "three.txt", "1\n2\n")},
          {"nan.npy: row 1, column 7", "nan"});
  refused({"index", flag("tokens", "cut.npy", Npy(values, 100).substr(0, 900)), flag("lens", "three.txt", "1\n2\n")},
          {"cut.npy", "truncated"});
  std::string complex = Npy(values, 100);
  complex.replace(complex.find("<f4"), 3, "<c8");
  refused({"index", flag("tokens", "wrong.npy", complex), flag("lens", "three.txt", "1\n2\n")},
          {"wrong.npy", "element type"});
  refused({"index", tokens, lens, flag("ids", "few.txt", "a\nb\n")}, {"few.txt", "1200"});
  std::vector<std::string> ids(1200, "same");
  refused({"index", tokens, lens, flag("ids", "same.txt", absl::StrJoin(ids, "\n"))}, {"\"same\""});

  // Queries.
  const std::vector<float> narrow(198, 0.5f);
  const auto search = [&](const std::string& queries, const std::string& lens_text) {
    return Query(
        {"search", "--index=" + Index(), "--queries=" + queries, "--query_lens=" + inputs_.Write("q.txt", lens_text)});
  };
  ExpectRefusal(search(inputs_.Write("narrow.npy", Npy(narrow, 99)), "2\n"), "dpkde_query", 2,
                {"narrow.npy: queries must have 100 columns, as the index has, but have 99"});
  ExpectRefusal(search(inputs_.Path("nan.npy"), "3\n"), "dpkde_query", 2, {"nan.npy: row 1, column 7"});
  ExpectRefusal(search(absl::StrCat(kData, "query_tokens.npy"), "3\n"), "dpkde_query", 2, {"q.txt", "452"});
  ExpectRefusal(Search(Index(), {"--encoder_fingerprint=00ff"}), "dpkde_query", 2, {"fingerprint", "00ff"});
  ExpectRefusal(Search(Index(), {"--ground_truth=" + inputs_.Write("one.ivecs", std::string("\1\0\0\0\5\0\0\0", 8))}),
                "dpkde_query", 2, {"one.ivecs", "60 queries, but has 1"});
  std::string unknown;
  for (int i = 0; i < 60; ++i) unknown += "unknown\n";
  ExpectRefusal(Search(Index(), {"--ground_truth=" + inputs_.Write("unknown.txt", unknown)}), "dpkde_query", 2,
                {"'unknown'"});
  std::string outside;
  for (int i = 0; i < 60; ++i) outside += "1200\n";
  ExpectRefusal(Search(Index(), {"--ground_truth=" + inputs_.Write("outside.csv", outside)}), "dpkde_query", 2,
                {"1200"});
}

// Every file of the directory, shorter or with one bit flipped: a search says so, and what is refused stays as it was.
TEST_F(IndexToolsTest, DamageIsNoticedInEveryFile) {
  const std::string index = Copy();
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(index)) {
    if (entry.path().filename() != "LOCK") names.push_back(entry.path());
  }
  EXPECT_GE(names.size(), 6u);
  for (const std::string& name : names) {
    const std::string bytes = FileBytes(name);
    const auto expect_refusal = [&](const std::string& damaged, const char* what) {
      std::ofstream(name, std::ios::binary | std::ios::trunc) << damaged;
      const CommandResult result = Search(index);
      EXPECT_EQ(result.exit_code, 3) << name << " " << what << ": " << result.err;
      EXPECT_EQ(result.out, "");
    };
    expect_refusal(bytes.substr(0, bytes.size() - 1), "shorter");
    for (const size_t position : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      std::string damaged = bytes;
      damaged[position] ^= 4;
      expect_refusal(damaged, "flipped");
    }
    std::ofstream(name, std::ios::binary | std::ios::trunc) << bytes;
  }
  EXPECT_EQ(Search(index).exit_code, 0);
}

// Killed at instants spread over what it does, a change has happened or not: what a search finds is the old or the new.
TEST_F(IndexToolsTest, KilledAtAnyInstantIsOldOrNew) {
  // Until the call of this number that changes files.
  const auto run_until = [&](const std::vector<std::string>& arguments, int call) {
    std::vector<char*> pointers = {const_cast<char*>("dpkde_build")};
    for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(const_cast<char*>("--quiet"));
    pointers.push_back(nullptr);
    return RunUntilCall(call, [&] { execv("tools/dpkde_build", pointers.data()); });
  };
  const std::string start = Copy();
  std::vector<std::string> documents = Documents(0, 100);
  std::vector<std::string> more_ids, gone_ids;
  const std::vector<std::string> ids = ReadIds(absl::StrCat(kData, "ids.txt")).value();
  for (int i = 0; i < 100; ++i) more_ids.push_back(absl::StrCat("more ", i)), gone_ids.push_back(ids[i]);
  documents.push_back("--ids=" + inputs_.Write("more.txt", absl::StrJoin(more_ids, "\n")));
  const std::string gone = "--ids=" + inputs_.Write("gone.txt", absl::StrJoin(gone_ids, "\n"));
  const auto arguments_of = [&](int action, const std::string& index) {
    std::vector<std::string> arguments;
    if (action == 0) {
      arguments = {"add", "--index=" + index};
      arguments.insert(arguments.end(), documents.begin(), documents.end());
    } else if (action == 1) {
      arguments = {"remove", "--index=" + index, gone};
    } else if (action == 2) {
      arguments = {"compact", "--index=" + index};
    } else {
      arguments = {"index",       documents[0],       documents[1], "--config=" + shared_->Path("config.txt"),
                   "--overwrite", "--output=" + index};
    }
    return arguments;
  };
  const auto found = [&](const std::string& index) { return Search(index, {"--candidates=5000", "--k=20"}).out; };
  const std::string old_results = found(start);
  int kills = 0, olds = 0, news = 0;
  for (int action = 0; action < 4; ++action) {
    // The new state, and how many calls it takes to get there.
    const std::string done = Copy();
    const TracedRun whole = run_until(arguments_of(action, done), -1);
    ASSERT_TRUE(WIFEXITED(whole.status) && WEXITSTATUS(whole.status) == 0) << action;
    const std::string new_results = found(done);
    if (action != 2) {
      EXPECT_NE(new_results, old_results);
    }
    for (int round = 0; round < 8; ++round) {
      const std::string index = Copy();
      kills += WIFSIGNALED(run_until(arguments_of(action, index), round * whole.calls / 8).status);
      const std::string results = found(index);
      EXPECT_TRUE(results == old_results || results == new_results) << "action " << action;
      olds += results == old_results;
      news += results == new_results;
      // And it can be changed.
      EXPECT_EQ(Build(arguments_of(action, index)).exit_code, results == old_results || action >= 2 ? 0 : 2);
      std::filesystem::remove_all(index);
    }
  }
  EXPECT_GT(kills, 10);
  EXPECT_GT(olds, 5);
}

}  // namespace
}  // namespace dpkde
