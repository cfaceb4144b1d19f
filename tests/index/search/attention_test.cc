#include "dpkde/index/search/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

ThreadPool& Pool() {
  static ThreadPool* const pool = new ThreadPool(2);
  return *pool;
}

// Unit word vectors of glosses: 5,172 x 100.
const Points& Words() {
  static const Points* const points = new Points(Shuffled(LoadPoints("tests/testdata/wordnet_tokens.npy"), 3));
  return *points;
}
MatrixView Queries(size_t count) { return Words().view().Slice(0, count); }
MatrixView Keys(size_t count) { return Words().view().Slice(172, 172 + count); }

VectorIndex Index(MatrixView keys) {
  VectorIndexOptions options;
  options.kind = VectorIndexOptions::Kind::kIvf;
  return *VectorIndex::Build(keys, options, 2);
}

Attention ValueOrDie(absl::StatusOr<Attention> attention) {
  EXPECT_TRUE(attention.ok()) << attention.status();
  return *std::move(attention);
}

// In double precision.
std::vector<double> Oracle(MatrixView queries, MatrixView keys, MatrixView values, double scale) {
  std::vector<double> result(queries.rows * values.columns);
  std::vector<double> products(keys.rows);
  for (size_t q = 0; q < queries.rows; ++q) {
    double largest = -std::numeric_limits<double>::infinity(), total = 0;
    for (size_t i = 0; i < keys.rows; ++i) {
      products[i] = 0;
      for (size_t j = 0; j < keys.columns; ++j) {
        products[i] += scale * queries.row(q)[j] * static_cast<double>(keys.row(i)[j]);
      }
      largest = std::max(largest, products[i]);
    }
    for (size_t i = 0; i < keys.rows; ++i) {
      const double weight = std::exp(products[i] - largest);
      total += weight;
      for (size_t c = 0; c < values.columns; ++c) result[q * values.columns + c] += weight * values.row(i)[c];
    }
    for (size_t c = 0; c < values.columns; ++c) result[q * values.columns + c] /= total;
  }
  return result;
}

double Distance(const double* a, const double* b, size_t size) {
  double square = 0;
  for (size_t i = 0; i < size; ++i) square += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(square);
}

TEST(AttentionTest, ExactIsThatOfTheOracle) {
  const MatrixView queries = Queries(30), keys = Keys(700);
  for (const size_t columns : {1, 100}) {
    const Points values = UniformPoints(700, columns, -1, 1, 4);
    for (const double scale : {0.1, 10.0, 100.0, 3000.0}) {  // of the last, only offsets keep anything
      const std::vector<double> truth = Oracle(queries, keys, values.view(), scale);
      const Attention exact = ValueOrDie(ExactAttention(queries, keys, values.view(), scale, Pool()));
      EXPECT_EQ(exact.std_errors, std::vector<double>(30, 0.0));
      for (size_t i = 0; i < truth.size(); ++i) ASSERT_NEAR(exact.values[i], truth[i], 1e-5 + 1e-6 * scale) << scale;
    }
  }
}

TEST(AttentionTest, ErrorIsAsClaimedAndSmallerWithHeavyKeys) {
  const MatrixView queries = Queries(60), keys = Keys(5000);
  const VectorIndex index = Index(keys);
  const Points values = UniformPoints(5000, 20, -1, 1, 5);
  for (const double scale : {3.0, 12.0, 40.0}) {
    const Attention exact = ValueOrDie(ExactAttention(queries, keys, values.view(), scale, Pool()));
    AttentionOptions options;
    options.scale = scale;
    options.samples = 300;
    double squares = 0, claimed = 0, without = 0;
    for (uint64_t seed = 0; seed < 10; ++seed) {
      options.seed = seed;
      const Attention near = ValueOrDie(EstimateAttention(queries, keys, values.view(), &index, options, Pool()));
      const Attention sampled = ValueOrDie(EstimateAttention(queries, keys, values.view(), nullptr, options, Pool()));
      for (size_t q = 0; q < queries.rows; ++q) {
        squares += std::pow(Distance(&near.values[q * 20], &exact.values[q * 20], 20), 2);
        without += std::pow(Distance(&sampled.values[q * 20], &exact.values[q * 20], 20), 2);
        claimed += near.std_errors[q] * near.std_errors[q];
      }
    }
    EXPECT_GT(squares, 0) << scale;
    EXPECT_LT(std::sqrt(squares / claimed), 1) << scale;
    EXPECT_GT(std::sqrt(squares / claimed), 0.15) << scale;  // a bound, but of use
    EXPECT_LT(squares, (scale > 10 ? 0.25 : 1) * without) << scale;
  }
}

// The mean over seeds comes closer to the truth than a single estimate, as far as quotients can; one that meets heavy
// keys twice (the control: their values doubled in weight) does not.
TEST(AttentionTest, NearlyUnbiased) {
  const MatrixView queries = Queries(12), keys = Keys(4000);
  const VectorIndex index = Index(keys);
  const Points values = UniformPoints(4000, 4, 0, 1, 6);
  AttentionOptions options;
  options.scale = 12;
  options.samples = 400;
  const std::vector<double> truth = Oracle(queries, keys, values.view(), options.scale);
  constexpr int kSeeds = 200;
  std::vector<double> sum(48), squares(48);
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    options.seed = seed;
    const Attention estimate = ValueOrDie(EstimateAttention(queries, keys, values.view(), &index, options, Pool()));
    for (size_t i = 0; i < 48; ++i) {
      sum[i] += estimate.values[i] - truth[i];
      squares[i] += std::pow(estimate.values[i] - truth[i], 2);
    }
  }
  const VectorSearchResult found = *index.Search(queries, options.neighbors);
  int noticed = 0;
  for (size_t q = 0; q < 12; ++q) {
    double total = 0, near_total = 0;
    std::vector<double> weights(4000);
    for (size_t i = 0; i < 4000; ++i) {
      double product = 0;
      for (size_t j = 0; j < 100; ++j) product += static_cast<double>(queries.row(q)[j]) * keys.row(i)[j];
      total += weights[i] = std::exp(options.scale * product);
    }
    std::vector<double> near(4);
    for (size_t j = 0; j < options.neighbors; ++j) {
      const int64_t key = found.ids[q * options.neighbors + j];
      near_total += weights[key];
      for (size_t c = 0; c < 4; ++c) near[c] += weights[key] * values.view().row(key)[c];
    }
    for (size_t c = 0; c < 4; ++c) {
      const size_t i = q * 4 + c;
      const double mean = sum[i] / kSeeds, spread = std::sqrt(squares[i] / kSeeds - mean * mean);
      EXPECT_LT(std::abs(mean), 5 * spread / std::sqrt(kSeeds) + 0.02 * spread) << i;
      const double doubled = (truth[i] * total + near[c]) / (total + near_total) - truth[i];
      noticed += std::abs(doubled) > 5 * spread / std::sqrt(kSeeds) + 0.02 * spread;
    }
  }
  EXPECT_GT(noticed, 10);
}

TEST(AttentionTest, SameBitsForAnyThreadsAndExactWhereNothingIsSaved) {
  const MatrixView queries = Queries(70), keys = Keys(3000), values = Keys(3000);
  const VectorIndex index = Index(keys);
  ThreadPool one(1), three(3);
  AttentionOptions options;
  options.scale = 10;
  options.samples = 200;
  const Attention a = ValueOrDie(EstimateAttention(queries, keys, values, &index, options, one)),
                  b = ValueOrDie(EstimateAttention(queries, keys, values, &index, options, three));
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.std_errors, b.std_errors);
  options.samples = 3000;
  const Attention all = ValueOrDie(EstimateAttention(queries, keys, values, &index, options, one)),
                  exact = ValueOrDie(ExactAttention(queries, keys, values, 10, three));
  EXPECT_EQ(all.values, exact.values);
  EXPECT_EQ(all.std_errors, exact.std_errors);
}

TEST(AttentionTest, EdgeCases) {
  AttentionOptions options;
  options.samples = 2;
  // One key: its value.
  const VectorIndex single = Index(Keys(1));
  const Attention one = ValueOrDie(EstimateAttention(Queries(2), Keys(1), Keys(1), &single, options, Pool()));
  for (size_t c = 0; c < 100; ++c) EXPECT_FLOAT_EQ(one.values[100 + c], Keys(1).row(0)[c]);
  // As many neighbours as keys: nothing is left to draw from but near keys, which count once.
  const VectorIndex few = Index(Keys(20));
  const std::vector<double> truth = Oracle(Queries(3), Keys(20), Keys(20), 1);
  const Attention all = ValueOrDie(EstimateAttention(Queries(3), Keys(20), Keys(20), &few, options, Pool()));
  for (size_t i = 0; i < truth.size(); ++i) EXPECT_NEAR(all.values[i], truth[i], 1e-5);
  // Nothing that is met has a weight: exact.
  options.scale = 1e4;
  options.neighbors = 0;
  const Attention cold = ValueOrDie(EstimateAttention(Queries(5), Keys(3000), Keys(3000), nullptr, options, Pool()));
  const Attention exact = ValueOrDie(ExactAttention(Queries(5), Keys(3000), Keys(3000), 1e4, Pool()));
  EXPECT_EQ(cold.values, exact.values);
  // Equal values, and values of zero, come out whatever is drawn.
  options = {};
  options.samples = 50;
  for (const float value : {0.0f, 2.5f}) {
    const Points same{std::vector<float>(3000, value), 1};
    for (const double out :
         ValueOrDie(EstimateAttention(Queries(9), Keys(3000), same.view(), nullptr, options, Pool())).values) {
      EXPECT_NEAR(out, value, 1e-5);
    }
  }
  EXPECT_TRUE(ValueOrDie(EstimateAttention(Queries(0), Keys(9), Keys(9), nullptr, options, Pool())).values.empty());
}

TEST(AttentionTest, Refusals) {
  const auto message = [](const absl::StatusOr<Attention>& attention) {
    EXPECT_EQ(attention.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(attention.status().message());
  };
  EXPECT_EQ(message(ExactAttention(Queries(3), Keys(5), Keys(4), 1, Pool())),
            "values must have a row for each of 5 keys, but have 4");
  EXPECT_EQ(message(ExactAttention(Queries(3), Keys(0), Keys(0), 1, Pool())),
            "keys must be at least 1 and at most 2147483647, but is 0");
  EXPECT_EQ(message(ExactAttention(Queries(3), Keys(5), Keys(5), 0, Pool())),
            "scale must be finite and positive, but is 0");
  const VectorIndex index = Index(Keys(6));
  EXPECT_EQ(message(EstimateAttention(Queries(3), Keys(5), Keys(5), &index, {}, Pool())),
            "the index has 6 vectors of dimension 100, but there are 5 rows of dimension 100");
  AttentionOptions options;
  options.samples = 1;
  EXPECT_EQ(message(EstimateAttention(Queries(3), Keys(5), Keys(5), nullptr, options, Pool())),
            "samples must be at least 2 and at most 2147483647, but is 1");
  Points bad = UniformPoints(2, 100, -1, 1, 1);
  bad.values[101] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(message(ExactAttention(bad.view(), Keys(5), Keys(5), 1, Pool())),
            "column 1 of query 1 must be finite, but is nan");
  EXPECT_EQ(message(ExactAttention(Queries(3), bad.view(), Keys(2), 1, Pool())),
            "column 1 of key 1 must be finite, but is nan");
}

}  // namespace
}  // namespace dpkde
