// Inner products of vectors of unequal lengths, by a graph and by lists.
#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "dpkde/index/ann/vector_index.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

using Kind = VectorIndexOptions::Kind;

constexpr size_t kRows = 3000, kDimension = 16, kQueries = 50;

// Normal vectors, times exp(spread N(0, 1)).
std::vector<float> Normal(size_t rows, double spread, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  std::vector<float> values;
  for (size_t i = 0; i < rows; ++i) {
    const double length = std::exp(spread * normal(engine));
    for (size_t j = 0; j < kDimension; ++j) values.push_back(static_cast<float>(length * normal(engine)));
  }
  return values;
}

// The share of the ten largest products, in double, that are among the ids of a search.
double Recall(const std::vector<float>& rows, const std::vector<float>& queries, const VectorSearchResult& found) {
  size_t hits = 0;
  const size_t n = rows.size() / kDimension, count = queries.size() / kDimension;
  for (size_t q = 0; q < count; ++q) {
    std::vector<std::pair<double, int64_t>> products;
    for (size_t i = 0; i < n; ++i) {
      double product = 0;
      for (size_t j = 0; j < kDimension; ++j) {
        product += static_cast<double>(queries[q * kDimension + j]) * rows[i * kDimension + j];
      }
      products.emplace_back(-product, i);
    }
    std::partial_sort(products.begin(), products.begin() + 10, products.end());
    const auto begin = found.ids.begin() + q * found.k, end = begin + found.k;
    for (size_t t = 0; t < 10; ++t) hits += std::find(begin, end, products[t].second) != end;
  }
  return hits / (10.0 * count);
}

TEST(UnequalLengthsTest, TheLargestProductsAreAmongTheCandidates) {
  const std::vector<float> queries = Normal(kQueries, 0, 2);
  const MatrixView view{queries.data(), kQueries, kDimension};
  for (const double spread : {0.3, 1.0, 2.0, 3.0}) {
    const std::vector<float> rows = Normal(kRows, spread, 1);
    for (const Kind kind : {Kind::kHnsw, Kind::kIvf}) {
      VectorIndexOptions options;
      options.kind = kind;
      const auto index = VectorIndex::Build({rows.data(), kRows, kDimension}, options, 1);
      ASSERT_TRUE(index.ok()) << index.status();
      const auto loaded = VectorIndex::Deserialize(*index->Serialize());
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      for (const int64_t candidates : {50, 500}) {
        const auto found = index->Search(view, candidates);
        ASSERT_TRUE(found.ok()) << found.status();
        EXPECT_GE(Recall(rows, queries, *found), 0.97) << spread << " " << static_cast<int>(kind) << " " << candidates;
        // One query at a time, by several threads, and from a file: the same.
        VectorSearchOptions threads;
        threads.threads = 3;
        EXPECT_EQ(loaded->Search(view, candidates, threads)->ids, found->ids);
        const auto alone = loaded->Search(view.Slice(7, 8), candidates);
        EXPECT_TRUE(std::equal(alone->ids.begin(), alone->ids.end(), found->ids.begin() + 7 * candidates));
      }
    }
  }
}

// The longest vectors come last: links and lists were made without them.
TEST(UnequalLengthsTest, LongerVectorsThatAreAddedLaterAreFound) {
  const std::vector<float> queries = Normal(kQueries, 0, 2);
  std::vector<float> rows = Normal(kRows, 0.5, 1), longer = Normal(30, 0.5, 3);
  for (float& value : longer) value *= 100;
  for (const Kind kind : {Kind::kHnsw, Kind::kIvf}) {
    VectorIndexOptions options;
    options.kind = kind;
    auto index = VectorIndex::Build({rows.data(), kRows, kDimension}, options, 1);
    ASSERT_TRUE(index.ok()) << index.status();
    ASSERT_TRUE(index->Add({longer.data(), 30, kDimension}, 1).ok());
    std::vector<float> all = rows;
    all.insert(all.end(), longer.begin(), longer.end());
    const auto found = index->Search({queries.data(), kQueries, kDimension}, 50);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(Recall(all, queries, *found), 1) << static_cast<int>(kind);
    // A filter leaves the same guarantee for what it allows.
    RowSet without(kRows + 30, /*all=*/true);
    for (size_t row = kRows; row < kRows + 30; ++row) without.Erase(row);
    VectorSearchOptions filtered;
    filtered.allowed = &without;
    const auto old = index->Search({queries.data(), kQueries, kDimension}, 50, filtered);
    ASSERT_TRUE(old.ok()) << old.status();
    EXPECT_GE(Recall(rows, queries, *old), 0.97) << static_cast<int>(kind);
  }
}

}  // namespace
}  // namespace dpkde
