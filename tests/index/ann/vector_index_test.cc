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
#include "dpkde/proto/index.pb.h"
#include "gtest/gtest.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Kind = VectorIndexOptions::Kind;
using Codes = VectorIndexOptions::Codes;
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
    for (size_t j = 0; j < points.columns && sum > 0; ++j) row[j] /= std::sqrt(sum);
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
  for (const Case& c :
       {Case{"letter, l2", EveryNthRow(Letter(), 2), Metric::kL2},
        Case{"letter normalised, inner product", EveryNthRow(Normalized(Letter()), 2), Metric::kInnerProduct},
        Case{"zip codes, l2", EveryNthRow(ZipCodes(), 3), Metric::kL2}}) {
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
  EXPECT_EQ(build_error(Options(static_cast<Kind>(7), Metric::kL2)), "kind must be flat, IVF or HNSW");
  EXPECT_EQ(build_error(Options(Kind::kFlat, static_cast<Metric>(7))), "metric must be inner product, cosine or L2");
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

TEST(VectorIndexFileTest, ContentsThatBuildNeverMakesAreDataLoss) {
  const Points vectors = EveryNthRow(Letter(), 10);
  const auto payload_of = [&](Kind kind, Codes codes, Metric metric) {
    VectorIndexOptions options = Options(kind, metric);
    options.codes = codes;
    return Payload(SerializeOrDie(BuildOrDie(vectors.view(), options)));
  };
  const auto expect_refusal = [](const std::string& payload, const std::string& what) {
    const absl::Status status = DeserializePayload(payload);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << what << ": " << status;
    EXPECT_EQ(status.message().find("holds no usable index: "), 0u) << what << ": " << status;
  };
  const auto with = [](std::string payload, size_t position, auto value) {
    std::memcpy(&payload[position], &value, sizeof(value));
    return payload;
  };
  for (const Kind kind : {Kind::kFlat, Kind::kIvf, Kind::kHnsw}) {
    for (const Codes codes : {Codes::kFloat32, Codes::kInt8, Codes::kPq8}) {
      const std::string payload = payload_of(kind, codes, Metric::kL2);
      ASSERT_TRUE(DeserializePayload(payload).ok());
      expect_refusal(payload + '\0', "longer");
      expect_refusal(payload.substr(0, payload.size() - 1), "shorter");
      expect_refusal(payload.substr(0, 3), "no header");
      expect_refusal(with(payload, 0, uint32_t{0xffffffff}), "a header without end");
    }
  }
  // The last value of the codes.
  const std::string flat = payload_of(Kind::kFlat, Codes::kFloat32, Metric::kL2);
  expect_refusal(with(flat, flat.size() - 4, kNan), "NaN");
  expect_refusal(with(flat, flat.size() - 4, 1e30f), "too large");
  // The graph is at the end: 2000 levels, then links, of which the last row has 64 on the lowest level.
  const std::string graph = payload_of(Kind::kHnsw, Codes::kFloat32, Metric::kL2);
  expect_refusal(with(graph, graph.size() - 4, int32_t{2000}), "a link to nowhere");
  expect_refusal(with(graph, graph.size() - 4, int32_t{-2}), "a negative link");
  uint32_t head;
  std::memcpy(&head, graph.data(), 4);
  const size_t levels = 4 + head + 2000 * 16 * 4;
  expect_refusal(with(graph, levels, char{0}), "level 0");
  expect_refusal(with(graph, levels, static_cast<char>(200)), "level 200");
  size_t low = 0;
  while (graph[levels + low] != 1) ++low;
  expect_refusal(with(graph, levels + low, char{2}), "links of another level");
  // Lists: rows, which are counted by the header.
  const std::string lists = payload_of(Kind::kIvf, Codes::kFloat32, Metric::kL2);
  std::memcpy(&head, lists.data(), 4);
  proto::VectorIndexHeader header;
  ASSERT_TRUE(header.ParseFromString(lists.substr(4, head)));
  const size_t list_rows = 4 + head + header.list_rows_size() * 16 * 4;
  int32_t second;
  std::memcpy(&second, &lists[list_rows + 4], 4);
  expect_refusal(with(lists, list_rows, second), "a row twice");
  expect_refusal(with(lists, list_rows, int32_t{2000}), "a row that is not there");
  // Headers that do not fit.
  const auto with_header = [](const std::string& payload, auto change) {
    uint32_t head;
    std::memcpy(&head, payload.data(), 4);
    proto::VectorIndexHeader header;
    EXPECT_TRUE(header.ParseFromString(payload.substr(4, head)));
    change(&header);
    const std::string bytes = header.SerializeAsString();
    const uint32_t size = bytes.size();
    return std::string(reinterpret_cast<const char*>(&size), 4) + bytes + payload.substr(4 + head);
  };
  using Header = proto::VectorIndexHeader*;
  expect_refusal(with_header(flat, [](Header h) { h->set_rows(2001); }), "rows");
  expect_refusal(with_header(flat, [](Header h) { h->set_rows(~uint64_t{0}); }), "rows without end");
  expect_refusal(with_header(flat, [](Header h) { h->set_dimension(15); }), "dimension");
  expect_refusal(with_header(flat, [](Header h) { h->set_dimension(0); }), "dimension 0");
  expect_refusal(with_header(flat, [](Header h) { h->add_list_rows(2000); }), "lists of a flat index");
  expect_refusal(with_header(flat,
                             [](Header h) {
                               h->mutable_spec()->set_ef_search(1 << 30),
                                   h->mutable_spec()->set_kind(proto::VectorIndexSpec::HNSW);
                             }),
                 "options");
  expect_refusal(with_header(graph, [](Header h) { h->set_entry_point(2000); }), "entry point");
  expect_refusal(with_header(graph, [](Header h) { h->set_entry_point(-1); }), "no entry point");
  expect_refusal(with_header(graph, [&](Header h) { h->set_entry_point(static_cast<int>(low)); }), "low entry point");
  expect_refusal(with_header(graph, [](Header h) { h->set_links(h->links() - 1); }), "links");
  expect_refusal(with_header(graph, [](Header h) { h->set_links(uint64_t{1} << 63); }), "links without end");
  expect_refusal(with_header(lists, [](Header h) { h->set_list_rows(0, h->list_rows(0) + 1); }), "list");
  expect_refusal(with_header(lists, [](Header h) { h->clear_list_rows(); }), "no lists");
  expect_refusal(
      with_header(payload_of(Kind::kFlat, Codes::kInt8, Metric::kL2), [](Header h) { h->set_trained(false); }),
      "nothing learnt");
}

// ---- Codes.

// Vectors whose norms differ by a factor of about 20, as document encodings' do: normalised letters, scaled.
Points UnequalNorms() {
  Points points = Normalized(Letter());
  for (size_t i = 0; i < points.rows(); ++i) {
    const float factor = 0.05f + (i * 7919 % 1000) / 1000.0f;
    for (size_t j = 0; j < points.columns; ++j) points.values[i * points.columns + j] *= factor;
  }
  return points;
}

VectorIndexOptions Options(Kind kind, Codes codes, Metric metric) {
  VectorIndexOptions options = Options(kind, metric);
  options.codes = codes;
  return options;
}

// Letters lie close together (16 integers), so that codes confuse them: a hard case, and chance would give 0.0005.
TEST(CodesTest, RecallOnRealData) {
  struct Case {
    Codes codes;
    int pq_dims;
    double recall;  // of the exact 10 among 10 and among 40 found, at least
    double recall40;
  };
  const Points vectors = UnequalNorms();
  const Points queries = EveryNthRow(Normalized(Letter()), 97);
  for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
    const VectorIndex exact_index = BuildOrDie(vectors.view(), Options(Kind::kFlat, metric));
    const VectorSearchResult exact = SearchOrDie(exact_index, queries.view(), 10);
    for (const Case& c :
         {Case{Codes::kFloat32, 0, 1, 1}, Case{Codes::kInt8, 0, 0.93, 1}, Case{Codes::kPq8, 2, 0.5, 0.88},
          Case{Codes::kPq8, 8, 0.1, 0.3}, Case{Codes::kPq4, 1, 0.36, 0.72}}) {
      VectorIndexOptions options = Options(Kind::kFlat, c.codes, metric);
      options.pq_dims = c.pq_dims;
      const VectorIndex index = BuildOrDie(vectors.view(), options);
      const auto recall = [&](size_t k) {
        const VectorSearchResult found = SearchOrDie(index, queries.view(), k);
        size_t hits = 0;
        for (size_t query = 0; query < exact.queries; ++query) {
          for (size_t i = 0; i < 10; ++i) {
            const auto begin = found.ids.begin() + query * k;
            hits += std::find(begin, begin + k, exact.ids[query * 10 + i]) != begin + k;
          }
        }
        return hits / (10.0 * exact.queries);
      };
      const std::string name = "metric " + std::to_string(static_cast<int>(metric)) + ", codes " +
                               std::to_string(static_cast<int>(c.codes)) + " of " + std::to_string(c.pq_dims);
      EXPECT_GE(recall(10), c.recall) << name;
      EXPECT_GE(recall(40), c.recall40) << name;
      RecordProperty(name, std::to_string(recall(10)) + " " + std::to_string(recall(40)));
    }
  }
}

// An int8 score is off by what rounding to 1/254 of each coordinate's range may do, and no more.
TEST(CodesTest, Int8ScoresAreWithinTheirBound) {
  const Points queries = EveryNthRow(Letter(), 397);
  for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
    const VectorIndex index = BuildOrDie(Letter().view(), Options(Kind::kFlat, Codes::kInt8, metric));
    const VectorSearchResult found = SearchOrDie(index, queries.view(), 10);
    for (size_t query = 0; query < queries.rows(); ++query) {
      for (size_t i = 0; i < 10; ++i) {
        double score = 0, bound = 0;
        for (size_t j = 0; j < 16; ++j) {
          const double x = queries.view().row(query)[j], y = Letter().view().row(found.ids[query * 10 + i])[j];
          const double half_step = 15 * 1.125 / 254 / 2 + 1e-6;  // every column spans 0 to 15
          score += metric == Metric::kL2 ? (x - y) * (x - y) : x * y;
          bound += metric == Metric::kL2 ? 2 * std::abs(x - y) * half_step + half_step * half_step : x * half_step;
        }
        EXPECT_NEAR(found.scores[query * 10 + i], score, bound + 1e-3);
      }
    }
  }
}

TEST(CodesTest, EqualCodesAreOrderedByRow) {
  // The same vectors three times.
  Points vectors = EveryNthRow(Letter(), 20);
  const size_t distinct = vectors.rows();
  const std::vector<float> once = vectors.values;
  for (int copy = 0; copy < 2; ++copy) vectors.values.insert(vectors.values.end(), once.begin(), once.end());
  const Points queries = EveryNthRow(Letter(), 997);
  for (const Kind kind : {Kind::kFlat, Kind::kIvf}) {
    for (const Codes codes : {Codes::kFloat32, Codes::kInt8, Codes::kPq8, Codes::kPq4}) {
      for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
        const VectorIndex index = BuildOrDie(vectors.view(), Options(kind, codes, metric));
        const VectorSearchResult found = SearchOrDie(index, queries.view(), 7);
        for (size_t query = 0; query < found.queries; ++query) {
          for (size_t i = 1; i < 7; ++i) {
            const size_t at = query * 7 + i;
            if (found.scores[at] == found.scores[at - 1]) {
              EXPECT_LT(found.ids[at - 1], found.ids[at]);
            }
          }
          // Of what is best there are three, and the second and third follow the first.
          EXPECT_EQ(found.scores[query * 7], found.scores[query * 7 + 2]);
          EXPECT_LT(found.ids[query * 7], static_cast<int64_t>(distinct));
        }
      }
    }
  }
}

// ---- Every kind with all codes that it takes.

struct AnyIndex {
  Kind kind;
  Codes codes;
};

std::vector<AnyIndex> AllIndexes() {
  std::vector<AnyIndex> all;
  for (const Kind kind : {Kind::kFlat, Kind::kIvf, Kind::kHnsw}) {
    for (const Codes codes : {Codes::kFloat32, Codes::kInt8, Codes::kPq8, Codes::kPq4}) {
      if (kind != Kind::kHnsw || codes != Codes::kPq4) all.push_back({kind, codes});
    }
  }
  return all;
}

std::string Name(const AnyIndex& index) {
  return "kind " + std::to_string(static_cast<int>(index.kind)) + ", codes " +
         std::to_string(static_cast<int>(index.codes));
}

TEST(AnyIndexTest, AnswerDependsOnTheQueryAlone) {
  const Points vectors = EveryNthRow(UnequalNorms(), 10);
  const Points queries = EveryNthRow(Normalized(Letter()), 331);
  for (const AnyIndex& any : AllIndexes()) {
    for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
      SCOPED_TRACE(Name(any));
      const VectorIndex index = BuildOrDie(vectors.view(), Options(any.kind, any.codes, metric), /*threads=*/1);
      const VectorSearchResult expected = SearchOrDie(index, queries.view(), 10);
      VectorSearchOptions options;
      options.threads = 3;
      EXPECT_EQ(SearchOrDie(index, queries.view(), 10, options).ids, expected.ids);
      options.threads = 1;
      for (size_t query = 0; query < queries.rows(); query += 7) {
        const VectorSearchResult one = SearchOrDie(index, queries.view().Slice(query, query + 1), 10, options);
        EXPECT_TRUE(std::equal(one.ids.begin(), one.ids.end(), &expected.ids[query * 10]));
        EXPECT_TRUE(std::equal(one.scores.begin(), one.scores.end(), &expected.scores[query * 10]));
      }
    }
  }
}

TEST(AnyIndexTest, FindsOnlyWhatIsAllowedAndAllOfIt) {
  const Points vectors = EveryNthRow(UnequalNorms(), 10);
  const size_t n = vectors.rows();
  const Points queries = EveryNthRow(Normalized(Letter()), 997);
  RowSet few(n), most(n, /*all=*/true), none(n);
  for (const size_t row : {3, 700, 701, 1199, 1999}) few.Insert(row);
  for (size_t row = 0; row < n; row += 3) most.Erase(row);
  for (const AnyIndex& any : AllIndexes()) {
    for (const Metric metric : {Metric::kCosine, Metric::kL2}) {
      SCOPED_TRACE(Name(any));
      const VectorIndex index = BuildOrDie(vectors.view(), Options(any.kind, any.codes, metric));
      VectorSearchOptions options;
      options.ivf_probe = 1;
      options.ef_search = 1;
      const auto rows_of = [&](const RowSet* allowed, int64_t k) {
        options.allowed = allowed;
        return SearchOrDie(index, queries.view(), k, options);
      };
      const VectorSearchResult of_few = rows_of(&few, 7);
      for (size_t query = 0; query < queries.rows(); ++query) {
        std::vector<int64_t> ids(&of_few.ids[query * 7], &of_few.ids[query * 7] + 7);
        EXPECT_EQ(std::vector<int64_t>(ids.begin() + 5, ids.end()), (std::vector<int64_t>{-1, -1}));
        std::sort(ids.begin(), ids.begin() + 5);
        EXPECT_EQ(std::vector<int64_t>(ids.begin(), ids.begin() + 5), (std::vector<int64_t>{3, 700, 701, 1199, 1999}));
      }
      const VectorSearchResult of_most = rows_of(&most, 50);
      for (const int64_t id : of_most.ids) EXPECT_TRUE(id >= 0 && id % 3 != 0) << id;
      for (const int64_t id : rows_of(&none, 5).ids) EXPECT_EQ(id, -1);
      // All of them, though k is larger and one list is probed.
      const VectorSearchResult all = rows_of(nullptr, n + 5);
      for (size_t query = 0; query < queries.rows(); ++query) {
        std::vector<int64_t> ids(&all.ids[query * (n + 5)], &all.ids[query * (n + 5)] + n + 5);
        EXPECT_EQ(std::count(ids.begin(), ids.end(), -1), 5);
        std::sort(ids.begin(), ids.end());
        EXPECT_EQ(std::unique(ids.begin() + 4, ids.end()), ids.end());
      }
      const RowSet other(n - 1);
      options.allowed = &other;
      EXPECT_EQ(index.Search(queries.view(), 1, options).status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
}

// With a filter, a scan of what is allowed and a search in an index of those alone agree.
TEST(AnyIndexTest, FilteredRecall) {
  const Points vectors = EveryNthRow(UnequalNorms(), 2);
  const Points queries = EveryNthRow(Normalized(Letter()), 197);
  RowSet third(vectors.rows());
  Points of_third{{}, 16};
  for (size_t row = 0; row < vectors.rows(); row += 3) {
    third.Insert(row);
    of_third.values.insert(of_third.values.end(), vectors.view().row(row).begin(), vectors.view().row(row).end());
  }
  const VectorSearchResult exact =
      SearchOrDie(BuildOrDie(of_third.view(), Options(Kind::kFlat, Metric::kInnerProduct)), queries.view(), 10);
  VectorSearchOptions options;
  options.allowed = &third;
  for (const Kind kind : {Kind::kFlat, Kind::kIvf, Kind::kHnsw}) {
    const VectorIndex index = BuildOrDie(vectors.view(), Options(kind, Metric::kInnerProduct));
    const double recall = Recall(SearchOrDie(index, queries.view(), 10, options), exact, Metric::kInnerProduct);
    EXPECT_GE(recall, kind == Kind::kFlat ? 1 : 0.93) << static_cast<int>(kind);
  }
}

TEST(AnyIndexTest, AddedRowsAreFound) {
  const Points vectors = EveryNthRow(UnequalNorms(), 10);
  const Points queries = EveryNthRow(Normalized(Letter()), 997);
  for (const AnyIndex& any : AllIndexes()) {
    for (const Metric metric : {Metric::kInnerProduct, Metric::kL2}) {
      SCOPED_TRACE(Name(any));
      const VectorIndexOptions options = Options(any.kind, any.codes, metric);
      // From nothing, through the rows with which it learns, to the end.
      VectorIndex index = BuildOrDie({nullptr, 0, 16}, options, /*threads=*/1);
      EXPECT_EQ(SearchOrDie(index, queries.view(), 1).ids[0], -1);
      for (const auto& [begin, end] :
           std::vector<std::pair<size_t, size_t>>{{0, 10}, {10, 1023}, {1023, 1500}, {1500, 2000}}) {
        ASSERT_TRUE(index.Add(vectors.view().Slice(begin, end), 1).ok());
        EXPECT_EQ(index.size(), end);
        // Saved and loaded in between.
        absl::StatusOr<VectorIndex> loaded = VectorIndex::Deserialize(index.Serialize().value());
        ASSERT_TRUE(loaded.ok()) << loaded.status();
        EXPECT_EQ(loaded->Serialize().value(), index.Serialize().value());
        EXPECT_EQ(SearchOrDie(*loaded, queries.view(), 5).ids, SearchOrDie(index, queries.view(), 5).ids);
        index = *std::move(loaded);
        // Every row can be found.
        const VectorSearchResult all = SearchOrDie(index, queries.view().Slice(0, 1), end);
        std::vector<int64_t> ids = all.ids;
        std::sort(ids.begin(), ids.end());
        for (size_t row = 0; row < end; ++row) EXPECT_EQ(ids[row], static_cast<int64_t>(row));
      }
      // As good as one that was built at once.
      const VectorIndex fresh = BuildOrDie(vectors.view(), options, /*threads=*/1);
      const VectorSearchResult exact =
          SearchOrDie(BuildOrDie(vectors.view(), Options(Kind::kFlat, metric)), queries.view(), 10);
      const auto recall = [&](const VectorIndex& of) {
        const VectorSearchResult found = SearchOrDie(of, queries.view(), 10);
        size_t hits = 0;
        for (size_t i = 0; i < found.ids.size(); ++i) {
          hits += std::find(&exact.ids[i / 10 * 10], &exact.ids[i / 10 * 10] + 10, found.ids[i]) !=
                  &exact.ids[i / 10 * 10] + 10;
        }
        return static_cast<double>(hits) / found.ids.size();
      };
      EXPECT_GE(recall(index), recall(fresh) - 0.1);
      // Codes that are scanned and learn nothing new are the same to the byte.
      if (any.kind == Kind::kFlat && any.codes == Codes::kFloat32) {
        EXPECT_EQ(index.Serialize().value(), fresh.Serialize().value());
      }
      EXPECT_EQ(index.Add({vectors.view().data, 1, 15}).code(), absl::StatusCode::kInvalidArgument);
      const Points nan{std::vector<float>(16, kNan), 16};
      EXPECT_EQ(index.Add(nan.view()).code(), absl::StatusCode::kInvalidArgument);
      EXPECT_EQ(index.size(), 2000u);
    }
  }
}

// Cosine is the inner product of normalised vectors, and a zero vector scores 0.
TEST(AnyIndexTest, Cosine) {
  Points vectors = UnequalNorms();
  std::fill(vectors.values.begin(), vectors.values.begin() + 16, 0.0f);
  Points queries = EveryNthRow(Letter(), 997);
  const VectorIndex cosine = BuildOrDie(vectors.view(), Options(Kind::kFlat, Metric::kCosine));
  const Points normalized = Normalized(vectors);
  const VectorIndex inner = BuildOrDie(normalized.view(), Options(Kind::kFlat, Metric::kInnerProduct));
  const VectorSearchResult result = SearchOrDie(cosine, queries.view(), 20000);
  const VectorSearchResult expected = SearchOrDie(inner, Normalized(queries).view(), 20000);
  for (size_t i = 0; i < 20; ++i) EXPECT_NEAR(result.scores[i], expected.scores[i], 1e-5);
  EXPECT_EQ(result.ids[19999], 0);  // letters are not negative
  EXPECT_EQ(result.scores[19999], 0);
  const Points zero{std::vector<float>(16, 0), 16};
  EXPECT_EQ(SearchOrDie(cosine, zero.view(), 2).ids, (std::vector<int64_t>{0, 1}));
}

TEST(HnswIndexTest, InnerProductsOfUnequalNormsAreReached) {
  const Points vectors = UnequalNorms();
  const Points queries = EveryNthRow(Normalized(Letter()), 97);
  const VectorIndex flat = BuildOrDie(vectors.view(), Options(Kind::kFlat, Metric::kInnerProduct));
  const VectorIndex hnsw = BuildOrDie(vectors.view(), Options(Kind::kHnsw, Metric::kInnerProduct));
  EXPECT_LE(hnsw.unreachable_rows(), 20u);  // of 20,000
  const double recall =
      Recall(SearchOrDie(hnsw, queries.view(), 10), SearchOrDie(flat, queries.view(), 10), Metric::kInnerProduct);
  EXPECT_GE(recall, 0.95);
  RecordProperty("recall", std::to_string(recall));
}

TEST(IvfIndexTest, ProbingMoreFindsMore) {
  const Points queries = EveryNthRow(Letter(), 97);
  const VectorIndex index = BuildOrDie(Letter().view(), Options(Kind::kIvf, Metric::kL2));
  const VectorSearchResult exact = BruteForce(Letter().view(), queries.view(), 10, Metric::kL2);
  std::vector<double> recall;
  for (const int probe : {1, 8, 65536}) {
    VectorSearchOptions search;
    search.ivf_probe = probe;
    recall.push_back(Recall(SearchOrDie(index, queries.view(), 10, search), exact, Metric::kL2));
  }
  EXPECT_LT(recall[0], recall[1]);
  EXPECT_GT(recall[1], 0.9);
  EXPECT_EQ(recall[2], 1);
}

TEST(VectorIndexOptionsTest, SpecIsTheStoredForm) {
  VectorIndexOptions options = Options(Kind::kIvf, Codes::kPq4, Metric::kCosine);
  options.pq_dims = 2;
  options.rescore = 9;
  options.ivf_lists = 33;
  options.ivf_probe = 5;
  const proto::VectorIndexSpec spec = VectorIndexSpecFromOptions(options);
  EXPECT_EQ(VectorIndexSpecFromOptions(VectorIndexOptionsFromSpec(spec).value()).SerializeAsString(),
            spec.SerializeAsString());
  EXPECT_EQ(spec.ShortDebugString(),
            "kind: IVF codes: PQ4 metric: COSINE pq_dims: 2 rescore: 9 ivf_lists: 33 ivf_probe: 5");
  // An empty spec is the default.
  EXPECT_EQ(VectorIndexOptionsFromSpec({})->ef_search, VectorIndexOptions().ef_search);
  const auto error = [](auto change) {
    proto::VectorIndexSpec spec;
    change(&spec);
    return std::string(VectorIndexOptionsFromSpec(spec).status().message());
  };
  using Spec = proto::VectorIndexSpec;
  EXPECT_EQ(error([](Spec* s) { s->set_kind(Spec::HNSW), s->set_codes(Spec::PQ4); }),
            "a graph takes codes of float32, int8 or PQ8, but not PQ4");
  EXPECT_EQ(error([](Spec* s) { s->set_pq_dims(3); }), "pq_dims must be 1, 2, 4 or 8, or 0 for the default");
  EXPECT_EQ(error([](Spec* s) { s->set_kind(Spec::IVF), s->set_ivf_probe(~0u); }),
            "ivf_probe must be at least 1 and at most 65536, but is -1");
  EXPECT_EQ(error([](Spec* s) { s->set_kind(static_cast<Spec::Kind>(9)); }), "kind must be flat, IVF or HNSW");
}

}  // namespace
}  // namespace dpkde
