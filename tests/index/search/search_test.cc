#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/index/search/recall.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/proto/index.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::string NewPath() {
  static int count = 0;
  return absl::StrCat(::testing::TempDir(), "/search_", count++, ".index");
}

ThreadPool& Pool() {
  static ThreadPool* const pool = new ThreadPool(2);
  return *pool;
}

// 1,200 glosses, 60 queries, and the exact ten of each.
struct WordNet {
  TokenSets documents, queries;
  std::vector<std::string> ids;
  std::vector<std::vector<uint64_t>> truth;
};

const WordNet& Words() {
  static const WordNet* const words = [] {
    const std::string folder = "tests/testdata/wordnet_";
    auto* result = new WordNet{ReadTokenSets(folder + "tokens.npy", folder + "lens.npy").value(),
                               ReadTokenSets(folder + "query_tokens.npy", folder + "query_lens.npy").value(),
                               ReadIds(folder + "ids.txt").value(),
                               {}};
    const IntegerTable truth = ReadIntegers(folder + "truth.ivecs").value();
    for (size_t i = 0; i < truth.rows; ++i) {
      result->truth.emplace_back(&truth.values[i * 10], &truth.values[i * 10] + 10);
    }
    return result;
  }();
  return *words;
}

std::unique_ptr<const Encoder> Fde() {
  proto::EncoderSpec spec;
  spec.set_token_dimension(100);
  spec.mutable_fde()->set_repetitions(10);
  spec.mutable_fde()->set_hyperplanes(4);
  spec.mutable_fde()->set_projected_dimension(8);
  return CreateEncoder(spec, TokenSets(100).view(), Pool()).value();
}

proto::IndexConfig Config(proto::VectorIndexSpec::Kind kind = proto::VectorIndexSpec::FLAT,
                          proto::VectorIndexSpec::Codes codes = proto::VectorIndexSpec::FLOAT32) {
  proto::IndexConfig config;
  config.mutable_vector_index()->set_kind(kind);
  config.mutable_vector_index()->set_codes(codes);
  return config;
}

Searcher OpenOrDie(const std::string& path) {
  absl::StatusOr<Searcher> searcher = Searcher::Open(path);
  EXPECT_TRUE(searcher.ok()) << searcher.status();
  return *std::move(searcher);
}

std::vector<std::vector<SearchHit>> SearchOrDie(const Searcher& searcher, TokenSetsView queries,
                                                const SearchOptions& options) {
  absl::StatusOr<std::vector<std::vector<SearchHit>>> results = searcher.Search(queries, options, Pool());
  EXPECT_TRUE(results.ok()) << results.status();
  return *std::move(results);
}

SearchOptions Budgets(size_t k, size_t candidates) {
  SearchOptions options;
  options.k = k;
  options.candidates = candidates;
  return options;
}

std::vector<uint64_t> RowsOf(const std::vector<SearchHit>& hits) {
  std::vector<uint64_t> rows;
  for (const SearchHit& hit : hits) rows.push_back(hit.row);
  return rows;
}

void ExpectEqual(const std::vector<std::vector<SearchHit>>& a, const std::vector<std::vector<SearchHit>>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(RowsOf(a[i]), RowsOf(b[i])) << i;
    for (size_t j = 0; j < std::min(a[i].size(), b[i].size()); ++j) EXPECT_EQ(a[i][j].score, b[i][j].score);
  }
}

// CH of the definition, in double.
double NaiveChamfer(MatrixView query, MatrixView document) {
  double sum = 0;
  for (size_t q = 0; q < query.rows; ++q) {
    double best = -kInfinity;
    for (size_t p = 0; p < document.rows; ++p) {
      double product = 0;
      for (size_t j = 0; j < query.columns; ++j) product += static_cast<double>(query.row(q)[j]) * document.row(p)[j];
      best = std::max(best, product);
    }
    sum += best;
  }
  return sum;
}

class WordNetTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    path_ = new std::string(NewPath());
    const absl::Status status =
        BuildIndex(*path_, Words().documents.view(), Words().ids, Config(), Fde().get(), false, Pool());
    ASSERT_TRUE(status.ok()) << status;
  }
  static std::string* path_;
};
std::string* WordNetTest::path_ = nullptr;

TEST_F(WordNetTest, AllCandidatesAreExactSearch) {
  const Searcher searcher = OpenOrDie(*path_);
  const auto results = SearchOrDie(searcher, Words().queries.view(), Budgets(10, 1200));
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_EQ(results[i].size(), 10u);
    const MatrixView query = Words().queries.view().set(i);
    for (size_t j = 0; j < 10; ++j) {
      EXPECT_NEAR(results[i][j].score, NaiveChamfer(query, Words().documents.view().set(results[i][j].row)), 1e-4);
      // The committed answers, save that float32 may order what is nearly equal otherwise.
      EXPECT_NEAR(results[i][j].score, NaiveChamfer(query, Words().documents.view().set(Words().truth[i][j])), 1e-4);
      if (j == 0) continue;
      EXPECT_TRUE(results[i][j - 1].score > results[i][j].score ||
                  (results[i][j - 1].score == results[i][j].score && results[i][j - 1].row < results[i][j].row));
    }
  }
  EXPECT_EQ(Recall(searcher, Words().queries.view(), results, Words().truth, 10, Pool())->recall, 1);
  // The candidates of the first stage, all of them, lead to the same.
  for (const auto& [kind, codes] : {std::pair(proto::VectorIndexSpec::HNSW, proto::VectorIndexSpec::FLOAT32),
                                    std::pair(proto::VectorIndexSpec::IVF, proto::VectorIndexSpec::PQ4)}) {
    const std::string path = NewPath();
    ASSERT_TRUE(BuildIndex(path, Words().documents.view(), {}, Config(kind, codes), Fde().get(), false, Pool()).ok());
    ExpectEqual(SearchOrDie(OpenOrDie(path), Words().queries.view(), Budgets(10, 5000)), results);
  }
}

TEST_F(WordNetTest, MoreCandidatesFindMore) {
  const Searcher searcher = OpenOrDie(*path_);
  std::vector<double> recall;
  for (const size_t candidates : {10, 100, 400}) {
    recall.push_back(Recall(searcher, Words().queries.view(),
                            SearchOrDie(searcher, Words().queries.view(), Budgets(10, candidates)), Words().truth, 10,
                            Pool())
                         ->recall);
    RecordProperty(absl::StrCat("recall at ", candidates), absl::StrCat(recall.back()));
  }
  EXPECT_LT(recall[0], recall[1]);
  EXPECT_LT(recall[1], recall[2]);
  EXPECT_LT(recall[0], 0.7);  // the control: reranking is what does it
  EXPECT_GT(recall[2], 0.8);
  // The second stage's budget: the best 100 of 400 candidates.
  SearchOptions options = Budgets(10, 400);
  options.rerank = 100;
  ExpectEqual(SearchOrDie(searcher, Words().queries.view(), options),
              SearchOrDie(searcher, Words().queries.view(), Budgets(10, 100)));
  // None: the first stage's scores, which are others.
  options.rerank = 0;
  const auto estimates = SearchOrDie(searcher, Words().queries.view(), options);
  EXPECT_EQ(Recall(searcher, Words().queries.view(), estimates, Words().truth, 10, Pool())->recall, recall[0]);
  options.rerank = 5;
  EXPECT_EQ(searcher.Search(Words().queries.view(), options, Pool()).status().message(),
            "rerank must be at least k, or 0 for none");
}

TEST_F(WordNetTest, BatchAndThreadsDoNotMatter) {
  const Searcher searcher = OpenOrDie(*path_);
  const auto expected = SearchOrDie(searcher, Words().queries.view(), Budgets(10, 50));
  ThreadPool one(1);
  ExpectEqual(*searcher.Search(Words().queries.view(), Budgets(10, 50), one), expected);
  for (size_t i = 0; i < Words().queries.size(); i += 7) {
    ExpectEqual(SearchOrDie(searcher, Words().queries.view().Slice(i, i + 1), Budgets(10, 50)), {expected[i]});
  }
}

TEST_F(WordNetTest, ExplainsEveryScore) {
  const Searcher searcher = OpenOrDie(*path_);
  SearchOptions options = Budgets(3, 100);
  options.explain = true;
  const auto results = SearchOrDie(searcher, Words().queries.view(), options);
  for (size_t i = 0; i < results.size(); ++i) {
    for (const SearchHit& hit : results[i]) {
      const MatrixView query = Words().queries.view().set(i), document = Words().documents.view().set(hit.row);
      ASSERT_EQ(hit.matches.size(), query.rows);
      double sum = 0;
      for (size_t q = 0; q < query.rows; ++q) {
        sum += hit.matches[q].similarity;
        ASSERT_LT(hit.matches[q].token, document.rows);
        const MatrixView token = document.Slice(hit.matches[q].token, hit.matches[q].token + 1);
        EXPECT_NEAR(hit.matches[q].similarity, NaiveChamfer(query.Slice(q, q + 1), token), 1e-5);
        EXPECT_NEAR(hit.matches[q].similarity, NaiveChamfer(query.Slice(q, q + 1), document), 1e-5);
      }
      EXPECT_NEAR(sum, hit.score, 1e-5);
    }
  }
}

TEST_F(WordNetTest, FiltersTimingsAndLimits) {
  const Searcher searcher = OpenOrDie(*path_);
  RowSet allowed(1200);
  for (const size_t row : {5, 17, 600}) allowed.Insert(row);
  SearchTimings timings;
  SearchOptions options = Budgets(10, 20);
  options.allowed = &allowed;
  options.timings = &timings;
  for (const auto& hits : SearchOrDie(searcher, Words().queries.view(), options)) {
    std::vector<uint64_t> rows = RowsOf(hits);
    std::sort(rows.begin(), rows.end());
    EXPECT_THAT(rows, ElementsAre(5, 17, 600));
  }
  EXPECT_GT(timings.rerank_seconds, 0);
  EXPECT_EQ(timings.candidates_seconds, 0);  // three are allowed, so there is nothing to select
  options.allowed = nullptr;
  SearchOrDie(searcher, Words().queries.view(), options);
  EXPECT_GT(timings.encode_seconds, 0);
  EXPECT_GT(timings.candidates_seconds, 0);
  const RowSet none(1200);
  options.allowed = &none;
  for (const auto& hits : SearchOrDie(searcher, Words().queries.view(), options)) EXPECT_THAT(hits, IsEmpty());
  // k beyond the corpus.
  for (const auto& hits : SearchOrDie(searcher, Words().queries.view().Slice(0, 2), Budgets(5000, 5000))) {
    EXPECT_EQ(hits.size(), 1200u);
  }
  // A query without tokens cannot tell documents apart.
  TokenSets queries(100);
  queries.Append({nullptr, 0, 100});
  const auto empty = SearchOrDie(searcher, queries.view(), Budgets(3, 20));
  EXPECT_THAT(RowsOf(empty[0]), ElementsAre(0, 1, 2));
  EXPECT_EQ(empty[0][0].score, 0);
}

TEST_F(WordNetTest, RefusesQueriesThatDoNotFit) {
  const Searcher searcher = OpenOrDie(*path_);
  const auto error = [&](TokenSetsView queries, const SearchOptions& options) {
    const absl::Status status = searcher.Search(queries, options, Pool()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  TokenSets narrow(99), bad(100);
  narrow.Append({Words().queries.view().tokens, 1, 99});
  std::vector<float> token(100, 0.1f);
  token[7] = std::numeric_limits<float>::quiet_NaN();
  bad.Append({token.data(), 1, 100});
  EXPECT_EQ(error(narrow.view(), {}), "queries must have the index's token dimension, 100, but have 99");
  EXPECT_EQ(error(bad.view(), {}), "column 7 of token 0 of query 0 must be finite, but is nan");
  EXPECT_EQ(error(Words().queries.view(), Budgets(10, 9)), "candidates must be at least k");
  EXPECT_THAT(error(Words().queries.view(), Budgets(0, 9)), HasSubstr("k must be at least 1"));
  const RowSet other(7);
  SearchOptions options;
  options.allowed = &other;
  EXPECT_EQ(error(Words().queries.view(), options), "the set of allowed rows must have the index's size");
}

// Added, removed and compacted: always as one that was built of what there is.
TEST(IndexChangesTest, AgreeWithAFreshBuild) {
  const TokenSetsView documents = Words().documents.view();
  const std::vector<std::string>& ids = Words().ids;
  for (const auto& [kind, codes] : {std::pair(proto::VectorIndexSpec::FLAT, proto::VectorIndexSpec::INT8),
                                    std::pair(proto::VectorIndexSpec::HNSW, proto::VectorIndexSpec::FLOAT32)}) {
    const std::string path = NewPath();
    ASSERT_TRUE(BuildIndex(path, documents.Slice(0, 1100), absl::MakeConstSpan(ids).subspan(0, 1100),
                           Config(kind, codes), Fde().get(), false, Pool())
                    .ok());
    ASSERT_TRUE(AddDocuments(path, documents.Slice(1100, 1200), absl::MakeConstSpan(ids).subspan(1100), Pool()).ok());
    std::vector<std::string> gone;
    TokenSets rest(100);
    std::vector<std::string> rest_ids;
    for (size_t i = 0; i < 1200; ++i) {
      if (i % 12 == 5) {
        gone.push_back(ids[i]);
      } else {
        rest.Append(documents.set(i));
        rest_ids.push_back(ids[i]);
      }
    }
    ASSERT_TRUE(RemoveDocuments(path, gone).ok());
    const std::string fresh_path = NewPath();
    ASSERT_TRUE(BuildIndex(fresh_path, rest.view(), rest_ids, Config(kind, codes), Fde().get(), false, Pool()).ok());

    const Searcher fresh = OpenOrDie(fresh_path);
    const auto named = [](const Searcher& searcher, const std::vector<std::vector<SearchHit>>& results) {
      std::vector<std::pair<std::string, float>> flat;
      for (const auto& hits : results) {
        for (const SearchHit& hit : hits) flat.emplace_back(searcher.directory().id(hit.row), hit.score);
      }
      return flat;
    };
    const auto expected = named(fresh, SearchOrDie(fresh, Words().queries.view(), Budgets(10, 1200)));
    const auto recall_of = [&](const Searcher& searcher) {
      const auto exact = SearchOrDie(searcher, Words().queries.view(), Budgets(10, 1200));
      std::vector<std::vector<uint64_t>> truth;
      for (const auto& hits : exact) truth.push_back(RowsOf(hits));
      return Recall(searcher, Words().queries.view(), SearchOrDie(searcher, Words().queries.view(), Budgets(10, 200)),
                     truth, 10, Pool())->recall;
    };
    const double fresh_recall = recall_of(fresh);
    for (const bool compacted : {false, true}) {
      if (compacted) {
        ASSERT_TRUE(CompactIndex(path, Pool()).ok());
      }
      const Searcher searcher = OpenOrDie(path);
      EXPECT_EQ(searcher.directory().rows(), compacted ? 1100u : 1200u);
      EXPECT_EQ(searcher.directory().live_rows(), 1100u);
      EXPECT_EQ(named(searcher, SearchOrDie(searcher, Words().queries.view(), Budgets(10, 1200))), expected);
      EXPECT_NEAR(recall_of(searcher), fresh_recall, 0.02);
      EXPECT_FALSE(searcher.directory().Find(gone[3]).has_value());
      EXPECT_TRUE(searcher.directory().Find(rest_ids[3]).has_value());
    }
    EXPECT_EQ(RemoveDocuments(path, {gone[0]}).code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(AddDocuments(path, documents.Slice(0, 1), {rest_ids[7]}, Pool()).code(),
              absl::StatusCode::kAlreadyExists);
  }
}

TEST(IndexChangesTest, EmptyIndexIsFilledByAdding) {
  const std::string path = NewPath();
  const TokenSets none(100);
  ASSERT_TRUE(BuildIndex(path, none.view(), {}, Config(proto::VectorIndexSpec::IVF, proto::VectorIndexSpec::PQ4),
                         Fde().get(), false, Pool())
                  .ok());
  for (const auto& hits : SearchOrDie(OpenOrDie(path), Words().queries.view(), Budgets(10, 500))) {
    EXPECT_THAT(hits, IsEmpty());
  }
  for (const auto& [begin, end] : {std::pair(0, 1), std::pair(1, 1200)}) {
    ASSERT_TRUE(AddDocuments(path, Words().documents.view().Slice(begin, end), {}, Pool()).ok());
  }
  const Searcher searcher = OpenOrDie(path);
  EXPECT_EQ(searcher.directory().id(1199), "1199");
  const auto results = SearchOrDie(searcher, Words().queries.view(), Budgets(10, 1200));
  EXPECT_EQ(Recall(searcher, Words().queries.view(), results, Words().truth, 10, Pool())->recall, 1);
}

TEST(IndexChangesTest, EmptyDocumentsRankLast) {
  const std::string path = NewPath();
  TokenSets documents(100);
  documents.Append({nullptr, 0, 100});
  documents.Append(Words().documents.view().set(3));
  documents.Append({nullptr, 0, 100});
  ASSERT_TRUE(BuildIndex(path, documents.view(), {}, Config(), Fde().get(), false, Pool()).ok());
  const auto results = SearchOrDie(OpenOrDie(path), Words().queries.view().Slice(0, 1), Budgets(10, 10));
  EXPECT_THAT(RowsOf(results[0]), ElementsAre(1, 0, 2));
  EXPECT_EQ(results[0][1].score, -kInfinity);
}

// Plain vectors through the same interface.
TEST(SingleVectorsTest, EveryMetricAgreesWithItsDefinition) {
  // The glosses' first tokens.
  TokenSets documents(100), queries(100);
  for (size_t i = 0; i < 1200; ++i) documents.Append(Words().documents.view().set(i).Slice(0, 1));
  for (size_t i = 0; i < 20; ++i) {
    std::vector<float> query(100);
    const MatrixView tokens = Words().queries.view().set(i);
    for (size_t j = 0; j < 100; ++j) query[j] = tokens.row(0)[j] + 0.5f * tokens.row(1)[j];
    queries.Append({query.data(), 1, 100});
  }
  for (const auto metric :
       {proto::VectorIndexSpec::INNER_PRODUCT, proto::VectorIndexSpec::COSINE, proto::VectorIndexSpec::L2}) {
    for (const auto kind : {proto::VectorIndexSpec::FLAT, proto::VectorIndexSpec::HNSW}) {
      proto::IndexConfig config = Config(kind);
      config.mutable_vector_index()->set_metric(metric);
      config.mutable_tokens()->set_single_vectors(true);
      config.mutable_tokens()->set_format(proto::TokenStoreSpec::FLOAT32);
      const std::string path = NewPath();
      ASSERT_TRUE(BuildIndex(path, documents.view(), {}, config, nullptr, false, Pool()).ok());
      const Searcher searcher = OpenOrDie(path);
      const auto exact = SearchOrDie(searcher, queries.view(), Budgets(10, 1200));
      const auto found = SearchOrDie(searcher, queries.view(), Budgets(10, 100));
      std::vector<std::vector<uint64_t>> truth;
      for (size_t i = 0; i < exact.size(); ++i) {
        std::vector<std::pair<double, uint64_t>> scores;
        for (size_t row = 0; row < 1200; ++row) {
          double dot = 0, xx = 0, yy = 0;
          for (size_t j = 0; j < 100; ++j) {
            const double x = queries.view().set(i).row(0)[j], y = documents.view().set(row).row(0)[j];
            dot += x * y, xx += x * x, yy += y * y;
          }
          const double score = metric == proto::VectorIndexSpec::INNER_PRODUCT ? dot
                               : metric == proto::VectorIndexSpec::COSINE      ? dot / std::sqrt(xx * yy)
                                                                               : -(xx + yy - 2 * dot);
          scores.emplace_back(-score, row);
        }
        std::sort(scores.begin(), scores.end());
        truth.emplace_back();
        for (size_t j = 0; j < 10; ++j) {
          truth.back().push_back(scores[j].second);
          const double expected = metric == proto::VectorIndexSpec::L2 ? scores[j].first : -scores[j].first;
          EXPECT_NEAR(exact[i][j].score, expected, 1e-5);
        }
      }
      EXPECT_EQ(Recall(searcher, queries.view(), exact, truth, 10, Pool())->recall, 1);
      EXPECT_GE(Recall(searcher, queries.view(), found, truth, 10, Pool())->recall, 0.98);
      SearchOptions explain;
      explain.explain = true;
      EXPECT_EQ(searcher.Search(queries.view(), explain, Pool()).status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_EQ(searcher.Search(Words().queries.view(), {}, Pool()).status().code(),
                absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST(IndexChangesTest, RefusesWhatDoesNotGoTogether) {
  const TokenSetsView documents = Words().documents.view().Slice(0, 3);
  proto::IndexConfig config = Config();
  config.mutable_vector_index()->set_metric(proto::VectorIndexSpec::L2);
  EXPECT_THAT(std::string(BuildIndex(NewPath(), documents, {}, config, Fde().get(), false, Pool()).message()),
              HasSubstr("compared by inner product"));
  EXPECT_EQ(BuildIndex(NewPath(), documents, {}, Config(), nullptr, false, Pool()).code(),
            absl::StatusCode::kInvalidArgument);
  // Vectors of another index.
  const std::string path = NewPath(), other = NewPath();
  ASSERT_TRUE(BuildIndex(path, documents, {}, Config(), Fde().get(), false, Pool()).ok());
  EXPECT_EQ(BuildIndex(path, documents, {}, Config(), Fde().get(), false, Pool()).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(BuildIndex(path, documents, {}, Config(), Fde().get(), /*overwrite=*/true, Pool()).ok());
  EXPECT_EQ(Searcher::Open(other).status().code(), absl::StatusCode::kNotFound);
}

TEST(IndexChangesTest, OneThreadMakesTheSameBytes) {
  ThreadPool one(1);
  std::vector<std::string> contents;
  for (int round = 0; round < 2; ++round) {
    const std::string path = NewPath();
    ASSERT_TRUE(BuildIndex(path, Words().documents.view(), Words().ids,
                           Config(proto::VectorIndexSpec::HNSW, proto::VectorIndexSpec::INT8), Fde().get(), false, one)
                    .ok());
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path)) names.push_back(entry.path());
    std::sort(names.begin(), names.end());
    contents.emplace_back();
    for (const std::string& name : names) {
      std::ifstream file(name, std::ios::binary);
      contents.back() += name.substr(path.size()) + std::string(std::istreambuf_iterator<char>(file), {});
    }
  }
  EXPECT_GT(contents[0].size(), 1000000u);
  EXPECT_TRUE(contents[0] == contents[1]);
}

}  // namespace
}  // namespace dpkde
