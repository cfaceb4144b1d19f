#include "dpkde/index/ann/vector_index.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/io/envelope.h"
#include "gtest/gtest.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Kind = VectorIndexOptions::Kind;
using Metric = VectorIndexOptions::Metric;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

const Points& Letter() {
  static const Points* const points = new Points(LoadPoints("tests/testdata/letter.npy"));
  return *points;
}

const Points& ZipCodes() {
  static const Points* const points = new Points(LoadPoints("tests/testdata/us_zipcodes.npy"));
  return *points;
}

Points EveryNthRow(const Points& points, size_t n) {
  Points result{{}, points.columns};
  for (size_t i = 0; i < points.rows(); i += n) {
    const auto row = points.view().row(i);
    result.values.insert(result.values.end(), row.begin(), row.end());
  }
  return result;
}

Points Normalized(Points points) {
  for (size_t i = 0; i < points.rows(); ++i) {
    float* row = &points.values[i * points.columns];
    double sum = 0;
    for (size_t j = 0; j < points.columns; ++j) sum += row[j] * row[j];
    for (size_t j = 0; j < points.columns; ++j) row[j] /= std::sqrt(sum);
  }
  return points;
}

VectorIndexOptions Options(Kind kind, Metric metric) {
  VectorIndexOptions options;
  options.kind = kind;
  options.metric = metric;
  return options;
}

VectorIndex BuildOrDie(MatrixView vectors, const VectorIndexOptions& options, int threads = 0) {
  absl::StatusOr<VectorIndex> index = VectorIndex::Build(vectors, options, threads);
  EXPECT_TRUE(index.ok()) << index.status();
  return *std::move(index);
}

VectorSearchResult SearchOrDie(const VectorIndex& index, MatrixView queries, int64_t k,
                               const VectorSearchOptions& options = {}) {
  absl::StatusOr<VectorSearchResult> result = index.Search(queries, k, options);
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

// The definition: every score in double, then sorted by score and row.
VectorSearchResult BruteForce(MatrixView vectors, MatrixView queries, size_t k, Metric metric) {
  VectorSearchResult result;
  result.queries = queries.rows;
  result.k = k;
  for (size_t query = 0; query < queries.rows; ++query) {
    std::vector<std::pair<double, int64_t>> hits;  // (smaller is better, row)
    for (size_t row = 0; row < vectors.rows; ++row) {
      double score = 0;
      for (size_t j = 0; j < vectors.columns; ++j) {
        const double x = queries.row(query)[j], y = vectors.row(row)[j];
        score += metric == Metric::kInnerProduct ? -x * y : (x - y) * (x - y);
      }
      hits.emplace_back(score, row);
    }
    std::partial_sort(hits.begin(), hits.begin() + k, hits.end());
    for (size_t i = 0; i < k; ++i) {
      result.ids.push_back(hits[i].second);
      result.scores.push_back(metric == Metric::kInnerProduct ? -hits[i].first : hits[i].first);
    }
  }
  return result;
}

// The share of results whose score is at least as good as the k-th exact one.
double Recall(const VectorSearchResult& result, const VectorSearchResult& exact, Metric metric) {
  double hits = 0;
  for (size_t query = 0; query < exact.queries; ++query) {
    const float worst = exact.scores[(query + 1) * exact.k - 1];
    for (size_t i = query * exact.k; i < (query + 1) * exact.k; ++i) {
      hits += metric == Metric::kInnerProduct ? result.scores[i] >= worst - 1e-5f : result.scores[i] <= worst + 1e-5f;
    }
  }
  return hits / exact.ids.size();
}

// Letter recognition is integers, so float32 scores are exact, and hundreds of rows tie.
TEST(FlatIndexTest, EqualsBruteForceWithTiesInTheOrderOfRows) {
  const Points queries = EveryNthRow(Letter(), 199);
  for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
    const VectorIndex index = BuildOrDie(Letter().view(), Options(Kind::kFlat, metric));
    EXPECT_EQ(index.size(), 20000u);
    EXPECT_EQ(index.dimension(), 16u);
    for (const size_t k : {1, 7, 100}) {
      const VectorSearchResult expected = BruteForce(Letter().view(), queries.view(), k, metric);
      const VectorSearchResult result = SearchOrDie(index, queries.view(), k);
      EXPECT_EQ(result.queries, queries.rows());
      EXPECT_EQ(result.k, k);
      EXPECT_EQ(result.ids, expected.ids);
      EXPECT_EQ(result.scores, expected.scores);
    }
  }
}

TEST(FlatIndexTest, EqualsBruteForceOnZipCodes) {
  const Points queries = EveryNthRow(ZipCodes(), 1009);
  const VectorIndex index = BuildOrDie(ZipCodes().view(), Options(Kind::kFlat, Metric::kL2));
  const VectorSearchResult expected = BruteForce(ZipCodes().view(), queries.view(), 20, Metric::kL2);
  const VectorSearchResult result = SearchOrDie(index, queries.view(), 20);
  for (size_t i = 0; i < expected.scores.size(); ++i) {
    // Coordinates below 256 have a spacing of at most 2^-16; their differences are exact or nearly so.
    EXPECT_NEAR(result.scores[i], expected.scores[i], 1e-6 * (1 + expected.scores[i]));
  }
  EXPECT_EQ(Recall(result, expected, Metric::kL2), 1);
}

// Whatever stands beside a query, whatever the number of threads: the same bits.
TEST(VectorIndexTest, AnswerDependsOnTheQueryAlone) {
  const Points letter = Normalized(Letter());
  const Points queries = EveryNthRow(letter, 331);  // 61, not a multiple of any block
  for (const Kind kind : {Kind::kFlat, Kind::kHnsw}) {
    const VectorIndex index = BuildOrDie(letter.view(), Options(kind, Metric::kInnerProduct));
    const VectorSearchResult expected = SearchOrDie(index, queries.view(), 10);
    for (const int threads : {1, 2, 7}) {
      VectorSearchOptions options;
      options.threads = threads;
      const VectorSearchResult result = SearchOrDie(index, queries.view(), 10, options);
      EXPECT_EQ(result.ids, expected.ids);
      EXPECT_EQ(result.scores, expected.scores);
      for (size_t query = 0; query < queries.rows(); ++query) {
        const VectorSearchResult one = SearchOrDie(index, queries.view().Slice(query, query + 1), 10, options);
        EXPECT_TRUE(std::equal(one.ids.begin(), one.ids.end(), &expected.ids[query * 10]));
        EXPECT_TRUE(std::equal(one.scores.begin(), one.scores.end(), &expected.scores[query * 10]));
      }
    }
  }
}

TEST(HnswIndexTest, RecallOnRealData) {
  struct Case {
    const char* name;
    Points vectors;
    Metric metric;
  };
  for (const Case& c : {Case{"letter, l2", Letter(), Metric::kL2},
                        Case{"letter normalised, inner product", Normalized(Letter()), Metric::kInnerProduct},
                        Case{"zip codes, l2", ZipCodes(), Metric::kL2}}) {
    SCOPED_TRACE(c.name);
    const Points queries = EveryNthRow(c.vectors, 97);
    const VectorIndex flat = BuildOrDie(c.vectors.view(), Options(Kind::kFlat, c.metric));
    const VectorIndex hnsw = BuildOrDie(c.vectors.view(), Options(Kind::kHnsw, c.metric));
    const VectorSearchResult exact = SearchOrDie(flat, queries.view(), 10);
    const VectorSearchResult found = SearchOrDie(hnsw, queries.view(), 10);
    const double recall = Recall(found, exact, c.metric);
    EXPECT_GE(recall, 0.95);
    RecordProperty(c.name, std::to_string(recall));
    for (size_t i = 0; i < found.ids.size(); ++i) {
      ASSERT_GE(found.ids[i], 0);
      ASSERT_LT(found.ids[i], static_cast<int64_t>(hnsw.size()));
      if (i % 10 == 0) continue;
      // Best first, ties by row.
      const float step =
          c.metric == Metric::kL2 ? found.scores[i] - found.scores[i - 1] : found.scores[i - 1] - found.scores[i];
      EXPECT_TRUE(step > 0 || (step == 0 && found.ids[i] > found.ids[i - 1])) << i;
    }
  }
}

// In FAISS 1.7.3 a search's own efSearch alone changes next to nothing.
TEST(HnswIndexTest, EfSearchOfASearchTakesEffect) {
  const Points queries = EveryNthRow(Letter(), 97);
  VectorIndexOptions options = Options(Kind::kHnsw, Metric::kL2);
  options.hnsw_neighbors = 4;
  options.ef_construction = 10;
  options.ef_search = 1;
  const VectorIndex index = BuildOrDie(Letter().view(), options);
  const VectorSearchResult exact = BruteForce(Letter().view(), queries.view(), 1, Metric::kL2);
  std::vector<double> recall;
  for (const int ef_search : {1, 10, 300}) {
    VectorSearchOptions search;
    search.ef_search = ef_search;
    recall.push_back(Recall(SearchOrDie(index, queries.view(), 1, search), exact, Metric::kL2));
  }
  EXPECT_EQ(recall[0], Recall(SearchOrDie(index, queries.view(), 1), exact, Metric::kL2));  // the index's own
  EXPECT_LT(recall[0] + 0.02, recall[1]);
  EXPECT_LT(recall[1], recall[2]);
  EXPECT_GT(recall[2], 0.95);
}

TEST(VectorIndexTest, PadsWhereKExceedsTheSize) {
  const Points vectors{{0, 0, 3, 4, 1, 0}, 2};
  const Points query{{0, 0}, 2};
  for (const Kind kind : {Kind::kFlat, Kind::kHnsw}) {
    const VectorSearchResult l2 = SearchOrDie(BuildOrDie(vectors.view(), Options(kind, Metric::kL2)), query.view(), 5);
    EXPECT_EQ(l2.ids, (std::vector<int64_t>{0, 2, 1, -1, -1}));
    EXPECT_EQ(l2.scores, (std::vector<float>{0, 1, 25, kInfinity, kInfinity}));
    const VectorSearchResult inner =
        SearchOrDie(BuildOrDie(vectors.view(), Options(kind, Metric::kInnerProduct)), query.view(), 5);
    EXPECT_EQ(inner.ids, (std::vector<int64_t>{0, 1, 2, -1, -1}));
    EXPECT_EQ(inner.scores, (std::vector<float>{0, 0, 0, -kInfinity, -kInfinity}));
  }
}

TEST(VectorIndexTest, EmptyIndexAndNoQueries) {
  const Points none{{}, 3};
  const Points query{{1, 2, 3}, 3};
  for (const Kind kind : {Kind::kFlat, Kind::kHnsw}) {
    const VectorIndex index = BuildOrDie(none.view(), Options(kind, Metric::kL2));
    EXPECT_EQ(index.size(), 0u);
    EXPECT_EQ(SearchOrDie(index, query.view(), 2).ids, (std::vector<int64_t>{-1, -1}));
    const absl::StatusOr<std::string> bytes = index.Serialize();
    ASSERT_TRUE(bytes.ok());
    const absl::StatusOr<VectorIndex> loaded = VectorIndex::Deserialize(*bytes);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(SearchOrDie(*loaded, query.view(), 1).scores, (std::vector<float>{kInfinity}));

    const VectorSearchResult result = SearchOrDie(BuildOrDie(query.view(), Options(kind, Metric::kL2)), none.view(), 4);
    EXPECT_EQ(result.queries, 0u);
    EXPECT_TRUE(result.ids.empty());
  }
}

TEST(VectorIndexTest, RefusesBadVectors) {
  struct Case {
    Points points;
    const char* message;
  };
  const VectorIndex index = BuildOrDie(Points{{1, 2, 3, 4}, 2}.view(), Options(Kind::kFlat, Metric::kL2));
  for (const Case& c : {
           Case{{{1, 2, kNan, 4}, 2}, "column 0 of vector 1 must be finite, but is nan"},
           Case{{{1, kInfinity}, 2}, "column 1 of vector 0 must be finite, but is inf"},
           Case{{{-kInfinity, 1}, 2}, "column 0 of vector 0 must be finite, but is -inf"},
           Case{{{1e30f, 1}, 2}, "the squared norm of vector 0 must be at most 1e+37"},
           Case{{{4e18f, 1}, 2}, "the squared norm of vector 0 must be at most 1e+37"},
       }) {
    for (const Kind kind : {Kind::kFlat, Kind::kHnsw}) {
      const absl::Status status = VectorIndex::Build(c.points.view(), Options(kind, Metric::kL2)).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_EQ(status.message(), c.message);
    }
    EXPECT_EQ(index.Search(c.points.view(), 1).status().code(), absl::StatusCode::kInvalidArgument);
  }
  // The largest that are allowed give finite scores.
  const Points largest{{3e18f, 0, -3e18f, 0}, 2};
  for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
    for (const float score :
         SearchOrDie(BuildOrDie(largest.view(), Options(Kind::kFlat, metric)), largest.view(), 2).scores) {
      EXPECT_TRUE(std::isfinite(score));
    }
  }
  // Denormals and negative zero are ordinary values.
  const Points tiny{{1e-42f, -0.0f}, 2};
  EXPECT_EQ(SearchOrDie(BuildOrDie(tiny.view(), Options(Kind::kHnsw, Metric::kL2)), tiny.view(), 1).ids[0], 0);
}

TEST(VectorIndexTest, RefusesParametersOutOfRange) {
  const Points vectors{{1, 2, 3, 4}, 2};
  const auto build_error = [&](VectorIndexOptions options, int threads = 0) {
    const absl::Status status = VectorIndex::Build(vectors.view(), options, threads).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  VectorIndexOptions options = Options(Kind::kHnsw, Metric::kL2);
  options.hnsw_neighbors = 1;
  EXPECT_EQ(build_error(options), "hnsw_neighbors must be at least 2 and at most 512, but is 1");
  options = Options(Kind::kHnsw, Metric::kL2);
  options.ef_construction = 0;
  EXPECT_EQ(build_error(options), "ef_construction must be at least 1 and at most 1000000, but is 0");
  options = Options(Kind::kHnsw, Metric::kL2);
  options.ef_search = -1;
  EXPECT_EQ(build_error(options), "ef_search must be at least 1 and at most 1000000, but is -1");
  EXPECT_EQ(build_error(Options(static_cast<Kind>(7), Metric::kL2)), "kind must be kFlat or kHnsw");
  EXPECT_EQ(build_error(Options(Kind::kFlat, static_cast<Metric>(7))), "metric must be kInnerProduct or kL2");
  EXPECT_EQ(build_error(Options(Kind::kFlat, Metric::kL2), -1),
            "threads must be at least 0 and at most 1024, but is -1");

  const absl::Status no_dimension =
      VectorIndex::Build(MatrixView{nullptr, 0, 0}, Options(Kind::kFlat, Metric::kL2)).status();
  EXPECT_EQ(no_dimension.message(), "dimension must be at least 1 and at most 65536, but is 0");

  const VectorIndex index = BuildOrDie(vectors.view(), Options(Kind::kHnsw, Metric::kL2));
  const auto search_error = [&](MatrixView queries, int64_t k, VectorSearchOptions search = {}) {
    const absl::Status status = index.Search(queries, k, search).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(search_error(vectors.view(), 0), "k must be at least 1 and at most 2147483647, but is 0");
  EXPECT_EQ(search_error(vectors.view(), int64_t{1} << 31),
            "k must be at least 1 and at most 2147483647, but is 2147483648");
  EXPECT_EQ(search_error(MatrixView{vectors.values.data(), 1, 3}, 1),
            "queries must have the index's dimension, 2, but have 3");
  EXPECT_EQ(search_error(MatrixView{vectors.values.data(), 1, 0}, 1),
            "queries must have the index's dimension, 2, but have 0");
  VectorSearchOptions search;
  search.ef_search = 0;
  EXPECT_EQ(search_error(vectors.view(), 1, search), "ef_search must be at least 1 and at most 1000000, but is 0");
  search = {};
  search.threads = 1025;
  EXPECT_EQ(search_error(vectors.view(), 1, search), "threads must be at least 0 and at most 1024, but is 1025");
  EXPECT_EQ(SearchOrDie(index, vectors.view(), 1).ids, (std::vector<int64_t>{0, 1}));
}

TEST(VectorIndexTest, SafeFromManyThreads) {
  const Points letter = EveryNthRow(Letter(), 20);
  const Points queries = EveryNthRow(Letter(), 333);
  for (const Kind kind : {Kind::kFlat, Kind::kHnsw}) {
    const VectorIndex index = BuildOrDie(letter.view(), Options(kind, Metric::kL2), /*threads=*/1);
    VectorSearchOptions options;
    options.threads = 1;
    const VectorSearchResult expected = SearchOrDie(index, queries.view(), 5, options);
    std::vector<VectorSearchResult> results(8);
    std::vector<std::thread> threads;
    for (VectorSearchResult& result : results) {
      threads.emplace_back([&] { result = SearchOrDie(index, queries.view(), 5, options); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const VectorSearchResult& result : results) EXPECT_EQ(result.ids, expected.ids);
  }
}

TEST(VectorIndexTest, RunningOutOfMemoryIsReported) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers end the process instead";
#endif
  const Points vectors{{1, 2, 3, 4}, 2};
  const VectorIndex index = BuildOrDie(vectors.view(), Options(Kind::kFlat, Metric::kL2));
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = rlim_t{8} << 30;
  ASSERT_EQ(setrlimit(RLIMIT_AS, &tight), 0);
  const absl::Status status = index.Search(vectors.view(), 2147483647).status();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

// ---- Files.

std::string SerializeOrDie(const VectorIndex& index) {
  absl::StatusOr<std::string> bytes = index.Serialize();
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return *std::move(bytes);
}

TEST(VectorIndexFileTest, RoundTrip) {
  const Points vectors = EveryNthRow(Letter(), 10);
  const Points queries = EveryNthRow(Letter(), 333);
  for (const Kind kind : {Kind::kFlat, Kind::kHnsw}) {
    for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
      VectorIndexOptions options = Options(kind, metric);
      if (kind == Kind::kHnsw) {
        options.hnsw_neighbors = 17;
        options.ef_construction = 55;
        options.ef_search = 77;
      }
      const VectorIndex index = BuildOrDie(vectors.view(), options, /*threads=*/1);
      const std::string bytes = SerializeOrDie(index);
      EXPECT_EQ(bytes, SerializeOrDie(index));
      EXPECT_EQ(bytes, SerializeOrDie(BuildOrDie(vectors.view(), options, /*threads=*/1)));

      const absl::StatusOr<VectorIndex> loaded = VectorIndex::Deserialize(bytes);
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      EXPECT_EQ(SerializeOrDie(*loaded), bytes);
      EXPECT_EQ(loaded->options().kind, kind);
      EXPECT_EQ(loaded->options().metric, metric);
      EXPECT_EQ(loaded->options().hnsw_neighbors, options.hnsw_neighbors);
      EXPECT_EQ(loaded->options().ef_construction, options.ef_construction);
      EXPECT_EQ(loaded->options().ef_search, options.ef_search);
      const VectorSearchResult expected = SearchOrDie(index, queries.view(), 10);
      const VectorSearchResult result = SearchOrDie(*loaded, queries.view(), 10);
      EXPECT_EQ(result.ids, expected.ids);
      EXPECT_EQ(result.scores, expected.scores);
    }
  }
}

// Damage is found before FAISS sees a byte: the refusal is the envelope's, word for word.
void ExpectDamageIsNoticed(const std::string& bytes, const std::string& what) {
  const absl::Status status = VectorIndex::Deserialize(bytes).status();
  EXPECT_EQ(status, OpenEnvelope("vecindex", 1, bytes).status()) << what;
  EXPECT_FALSE(status.ok()) << what;
  if (status.code() == absl::StatusCode::kFailedPrecondition) {
    EXPECT_EQ(what.find("flipped in byte 1"), 0u) << what << ": " << status;  // the version, bytes 16 to 19
  } else {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << what << ": " << status;
  }
}

TEST(VectorIndexFileTest, TruncationAndFlippedBitsAreDataLoss) {
  const Points vectors = EveryNthRow(Letter(), 100);
  for (const Kind kind : {Kind::kFlat, Kind::kHnsw}) {
    const std::string bytes = SerializeOrDie(BuildOrDie(vectors.view(), Options(kind, Metric::kL2)));
    ExpectDamageIsNoticed(bytes + '\0', "a byte appended");
    const auto near_an_end = [&](size_t i) { return i < 128 || i + 128 > bytes.size(); };
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (i % 97 != 0 && !near_an_end(i)) continue;
      ExpectDamageIsNoticed(bytes.substr(0, i), "truncated to " + std::to_string(i));
      std::string damaged = bytes;
      damaged[i] ^= 1 << (i % 8);
      ExpectDamageIsNoticed(damaged, "flipped in byte " + std::to_string(i));
    }
  }
}

// The payload, to be changed and sealed again with the right checksum.
std::string Payload(const std::string& bytes) {
  return std::string(OpenEnvelope("vecindex", 1, bytes).value().payload);
}

absl::Status DeserializePayload(const std::string& payload) {
  return VectorIndex::Deserialize(SealEnvelope("vecindex", 1, payload)).status();
}

TEST(VectorIndexFileTest, OtherKindsAndNewerVersionsAreRefusedByName) {
  const Points vectors{{1, 2}, 2};
  const std::string payload = Payload(SerializeOrDie(BuildOrDie(vectors.view(), Options(Kind::kFlat, Metric::kL2))));
  const absl::Status newer = VectorIndex::Deserialize(SealEnvelope("vecindex", 2, payload)).status();
  EXPECT_EQ(newer.code(), absl::StatusCode::kFailedPrecondition);
  const absl::Status other = VectorIndex::Deserialize(SealEnvelope("release", 1, payload)).status();
  EXPECT_EQ(other.code(), absl::StatusCode::kDataLoss);
}

TEST(VectorIndexFileTest, WhatFaissRefusesIsDataLoss) {
  const Points vectors{{1, 2}, 2};
  std::string payload = Payload(SerializeOrDie(BuildOrDie(vectors.view(), Options(Kind::kFlat, Metric::kL2))));
  const absl::Status longer = DeserializePayload(payload + '\0');
  EXPECT_EQ(longer.code(), absl::StatusCode::kDataLoss);
  payload[0] = '?';  // FAISS's name for the kind of index
  const absl::Status unknown = DeserializePayload(payload);
  EXPECT_EQ(unknown.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(unknown.message().find("FAISS refused"), absl::string_view::npos) << unknown;
}

// Where FAISS 1.7.3 writes the parts of a graph.
struct GraphLayout {
  explicit GraphLayout(const std::string& payload) {
    size_t position = 4 + 4 + 8 + 8 + 8 + 1 + 4;  // fourcc, d, ntotal, two dummies, is_trained, metric
    const auto vector = [&](size_t item) {
      uint64_t items;
      std::memcpy(&items, &payload[position], sizeof(items));
      const size_t begin = position + sizeof(items);
      position = begin + items * item;
      return begin;
    };
    vector(sizeof(double));  // assign_probas
    cumulative = vector(sizeof(int32_t));
    levels = vector(sizeof(int32_t));
    offsets = vector(sizeof(uint64_t));
    neighbors = vector(sizeof(int32_t));
    entry_point = position;
    max_level = position + 4;
    ef_construction = position + 8;
    ef_search = position + 12;
    upper_beam = position + 16;
    storage = position + 20;
  }

  size_t cumulative, levels, offsets, neighbors, entry_point, max_level, ef_construction, ef_search, upper_beam,
      storage;
};

// Right checksum, wrong contents: FAISS reads it without complaint, and its search would leave the arrays.
TEST(VectorIndexFileTest, ContentsThatBuildNeverMakesAreDataLoss) {
  const Points vectors = EveryNthRow(Letter(), 50);
  const int32_t n = static_cast<int32_t>(vectors.rows());
  const std::string payload = Payload(SerializeOrDie(BuildOrDie(vectors.view(), Options(Kind::kHnsw, Metric::kL2))));
  ASSERT_TRUE(DeserializePayload(payload).ok());
  const GraphLayout layout(payload);
  const auto value = [&](size_t position) {
    int32_t result;
    std::memcpy(&result, &payload[position], sizeof(result));
    return result;
  };
  // The layout is understood: these are what they are taken for.
  ASSERT_EQ(value(layout.ef_construction), 200);
  ASSERT_EQ(value(layout.ef_search), 64);
  ASSERT_EQ(value(layout.upper_beam), 1);
  ASSERT_EQ(payload.substr(layout.storage, 4), "IxF2");
  // A vertex of the lowest level only, for which the upper levels have no place.
  int32_t low = 0;
  while (value(layout.levels + 4 * low) != 1) ++low;
  int32_t high = 0;
  size_t high_offset = 0;
  while (value(layout.levels + 4 * high) < 2) ++high;
  std::memcpy(&high_offset, &payload[layout.offsets + 8 * high], 8);
  const size_t upper_link = layout.neighbors + 4 * (high_offset + 2 * 32);

  struct Case {
    const char* name;
    size_t position;
    int32_t value;
  };
  for (const Case& c : {
           Case{"neighbour = n", layout.neighbors, n},
           Case{"neighbour < -1", layout.neighbors + 4, -2},
           Case{"neighbour far outside", layout.neighbors + 4 * 1000, 0x7fffffff},
           Case{"neighbour that is not on the level", upper_link, low},
           Case{"entry point = n", layout.entry_point, n},
           Case{"no entry point", layout.entry_point, -1},
           Case{"highest level", layout.max_level, value(layout.max_level) + 1},
           Case{"entry point below the highest level", layout.entry_point, low},
           Case{"level 0", layout.levels + 4 * 3, 0},
           Case{"level 1000", layout.levels + 4 * 3, 1000},
           Case{"negative level", layout.levels, -1},
           Case{"offset", layout.offsets + 8 * 5, 1},
           Case{"places of a level", layout.cumulative + 4, 63},
           Case{"places of the first level", layout.cumulative, 1},
           Case{"ef_search 0", layout.ef_search, 0},
           Case{"ef_construction", layout.ef_construction, -5},
           Case{"beam", layout.upper_beam, 1000000000},
           Case{"metric of the graph alone", 33, 0},
           Case{"NaN", payload.size() - 4, 0x7fc00000},
       }) {
    SCOPED_TRACE(c.name);
    std::string forged = payload;
    ASSERT_NE(value(c.position), c.value);
    std::memcpy(&forged[c.position], &c.value, sizeof(c.value));
    const absl::Status status = DeserializePayload(forged);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_EQ(status.message().find("holds no usable index: "), 0u) << status;
  }
}

}  // namespace
}  // namespace dpkde
