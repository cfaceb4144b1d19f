#include "dpkde/index/search/kernel_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

ThreadPool& Pool() {
  static ThreadPool* const pool = new ThreadPool(2);
  return *pool;
}

const Points& Letters() {
  static const Points* const points = new Points(Shuffled(LoadPoints("tests/testdata/letter.npy"), 2));
  return *points;
}
MatrixView Queries(size_t count) { return Letters().view().Slice(0, count); }
MatrixView Rows(size_t count) { return Letters().view().Slice(300, 300 + count); }

VectorIndex Index(MatrixView rows) {
  VectorIndexOptions options;
  options.kind = VectorIndexOptions::Kind::kIvf;
  options.ivf_probe = 16;
  options.metric = VectorIndexOptions::Metric::kL2;
  return *VectorIndex::Build(rows, options, 2);
}

// Signed; a few are much larger than the others, and some are 0.
Points Weights(size_t rows, size_t columns) {
  Points weights = UniformPoints(rows, columns, -1, 1, 7);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t c = 0; c < columns; ++c) weights.values[i * columns + c] *= i % 97 == 0 ? 40 : i % 11 == 0 ? 0 : 1;
  }
  return weights;
}

KernelProduct ValueOrDie(absl::StatusOr<KernelProduct> product) {
  EXPECT_TRUE(product.ok()) << product.status();
  return *std::move(product);
}

KernelProduct Exact(const Similarity& kernel, MatrixView rows, MatrixView queries, MatrixView weights) {
  return ValueOrDie(ExactKernelProduct(kernel, rows, queries, weights, Pool()));
}

KernelProduct Estimate(const Similarity& kernel, MatrixView rows, MatrixView queries, MatrixView weights,
                       const VectorIndex* index, const KernelProductOptions& options, ThreadPool& pool = Pool()) {
  return ValueOrDie(EstimateKernelProduct(kernel, rows, queries, weights, index, options, pool));
}

double SquaredDistance(const std::vector<double>& a, const std::vector<double>& b) {
  double square = 0;
  for (size_t i = 0; i < a.size(); ++i) square += (a[i] - b[i]) * (a[i] - b[i]);
  return square;
}

double SquaredLength(const std::vector<float>& a) {
  double square = 0;
  for (const float value : a) square += static_cast<double>(value) * value;
  return square;
}

TEST(KernelProductTest, ExactProductIsThatOfTheOracle) {
  const MatrixView rows = Rows(600), queries = Queries(29);
  for (const size_t columns : {1, 3, 70}) {
    const Points weights = Weights(600, columns);
    for (const Similarity& kernel : AllKernels(3)) {
      const KernelProduct product = Exact(kernel, rows, queries, weights.view());
      EXPECT_EQ(product.std_errors, std::vector<double>(29, 0.0));
      for (size_t q = 0; q < 29; ++q) {
        for (size_t c = 0; c < columns; ++c) {
          double truth = 0, scale = 0;
          for (size_t i = 0; i < 600; ++i) {
            const double term = kernel.Evaluate(rows.row(i), queries.row(q)) * weights.values[i * columns + c];
            truth += term;
            scale += std::abs(term);
          }
          ASSERT_NEAR(product.values[q * columns + c], truth, 1e-5 * scale) << kernel.name();
        }
      }
    }
  }
}

TEST(KernelProductTest, EstimateIsUnbiased) {
  constexpr size_t kQueries = 5, kNear = 10;
  constexpr int kSeeds = 300;
  const MatrixView rows = Rows(1200), queries = Queries(kQueries);
  const VectorIndex index = Index(rows);
  const Similarity kernel = Gaussian(2.5);
  const VectorSearchResult found = *index.Search(queries, kNear);
  for (const size_t columns : {1, 2}) {
    const Points weights = Weights(1200, columns);
    const KernelProduct truth = Exact(kernel, rows, queries, weights.view());
    std::vector<double> near(kQueries * columns);
    for (size_t i = 0; i < found.ids.size(); ++i) {
      for (size_t c = 0; c < columns; ++c) {
        near[i / kNear * columns + c] += kernel.Evaluate(rows.row(found.ids[i]), queries.row(i / kNear)) *
                                         weights.values[found.ids[i] * columns + c];
      }
    }
    ThreadPool one(1);
    KernelProductOptions options;
    options.samples = 100;
    const size_t size = kQueries * columns;
    std::vector<double> sum(size), squares(size), forgetful_sum(size), forgetful_squares(size);
    std::vector<double> error(kQueries), claimed(kQueries);
    for (int seed = 0; seed < kSeeds; ++seed) {
      options.seed = seed;
      options.neighbors = kNear;
      const KernelProduct good = Estimate(kernel, rows, queries, weights.view(), &index, options, one);
      options.neighbors = 0;
      const KernelProduct plain = Estimate(kernel, rows, queries, weights.view(), &index, options, one);
      EXPECT_NEAR(good.samples, 100, 1);
      EXPECT_EQ(good.neighbors, kNear);
      for (size_t i = 0; i < size; ++i) {
        const double off = good.values[i] - truth.values[i];
        sum[i] += off;
        squares[i] += off * off;
        error[i / columns] += off * off;
        // The control: the sample does not leave out what is near.
        const double forgetful = near[i] + plain.values[i] - truth.values[i];
        forgetful_sum[i] += forgetful;
        forgetful_squares[i] += forgetful * forgetful;
      }
      for (size_t q = 0; q < kQueries; ++q) claimed[q] += good.std_errors[q] * good.std_errors[q];
    }
    const auto score = [&](double sum_of_errors, double square) {
      const double mean = sum_of_errors / kSeeds;
      return std::abs(mean) / std::sqrt((square / kSeeds - mean * mean) / kSeeds);
    };
    int seen = 0;  // where the weights of what is near do not cancel
    for (size_t i = 0; i < size; ++i) {
      EXPECT_LT(score(sum[i], squares[i]), 5) << i;
      seen += score(forgetful_sum[i], forgetful_squares[i]) > 5;
    }
    EXPECT_GE(seen, 2);
    for (size_t q = 0; q < kQueries; ++q) {
      EXPECT_GT(std::sqrt(claimed[q] / error[q]), 0.85) << q;
      EXPECT_LT(std::sqrt(claimed[q] / error[q]), 2.5) << q;
    }
  }
}

TEST(KernelProductTest, TargetIsMet) {
  const MatrixView rows = Rows(19700), queries = Queries(300);
  const VectorIndex index = Index(rows);
  const Points weights = Weights(19700, 1);
  // Of a sample alone, with neighbours: about what its entries need.
  for (const auto& [bandwidth, error, neighbors] : {std::tuple<double, double, bool>{3, 2, false}, {1, 0.02, true}}) {
    const Similarity kernel = Gaussian(bandwidth);
    const KernelProduct truth = Exact(kernel, rows, queries, weights.view());
    KernelProductOptions options;
    options.error = error;
    double squares = 0, claimed = 0;
    constexpr int kSeeds = 6;
    for (int seed = 0; seed < kSeeds; ++seed) {
      options.seed = seed;
      const KernelProduct product = Estimate(kernel, rows, queries, weights.view(), &index, options);
      EXPECT_EQ(product.neighbors > 0, neighbors) << bandwidth;
      EXPECT_GT(product.samples, 400);
      EXPECT_LT(product.samples, 10000) << bandwidth;
      squares += SquaredDistance(product.values, truth.values);
      for (const double std_error : product.std_errors) claimed += std_error * std_error;
    }
    const double target = kSeeds * error * error * SquaredLength(weights.values);
    EXPECT_LT(squares, 1.2 * target) << bandwidth;
    EXPECT_LT(squares, 1.2 * claimed) << bandwidth;
    // The control: a tenth of the target is not met, so that the test has something to see.
    EXPECT_GT(squares, 0.01 * target) << bandwidth;
  }
}

// A tenth of the queries stand where rows are far denser than neighbours can cover.
TEST(KernelProductTest, QueriesInDensePlacesAreExact) {
  Points rows{{Rows(16000).data, Rows(16000).data + 16000 * 16}, 16};
  Points queries{{Queries(270).data, Queries(270).data + 270 * 16}, 16};
  const Points jitter = UniformPoints(3030, 16, -0.2, 0.2, 8);
  for (size_t i = 0; i < 3030; ++i) {
    for (size_t j = 0; j < 16; ++j) {
      (i < 3000 ? rows : queries).values.push_back(Queries(300).row(299)[j] + jitter.values[i * 16 + j]);
    }
  }
  const VectorIndex index = Index(rows.view());
  const Points weights = UniformPoints(19000, 1, -1, 1, 9);
  const KernelProduct truth = Exact(Gaussian(1), rows.view(), queries.view(), weights.view());
  KernelProductOptions options;
  options.error = 0.02;
  double squares = 0;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    options.seed = seed;
    const KernelProduct product = Estimate(Gaussian(1), rows.view(), queries.view(), weights.view(), &index, options);
    EXPECT_GT(product.neighbors, 0);
    EXPECT_LT(product.samples, 9500);
    int exact = 0;
    for (size_t i = 0; i < 300; ++i) {
      if (i >= 270) {
        EXPECT_EQ(product.std_errors[i], 0) << i;
      }
      if (product.std_errors[i] > 0) continue;
      ++exact;
      EXPECT_NEAR(product.values[i], truth.values[i], 1e-4);
    }
    EXPECT_LT(exact, 120);
    squares += SquaredDistance(product.values, truth.values);
  }
  EXPECT_GT(squares, 0);
  EXPECT_LT(squares, 4 * 1.2 * 0.02 * 0.02 * SquaredLength(weights.values));
}

TEST(KernelProductTest, FallsBackToEverything) {
  const MatrixView rows = Rows(5000), queries = Queries(40);
  const VectorIndex index = Index(rows);
  const Points weights = Weights(5000, 2);
  KernelProductOptions options;
  options.error = 1e-6;
  const KernelProduct truth = Exact(Gaussian(3), rows, queries, weights.view()),
                      product = Estimate(Gaussian(3), rows, queries, weights.view(), &index, options);
  EXPECT_EQ(product.values, truth.values);
  EXPECT_EQ(product.std_errors, std::vector<double>(40, 0.0));
}

TEST(KernelProductTest, SameBitsForAnyThreads) {
  const MatrixView rows = Rows(19700), queries = Queries(200);
  const VectorIndex index = Index(rows);
  const Points weights = Weights(19700, 3);
  ThreadPool one(1), three(3);
  KernelProductOptions options;
  options.error = 0.5;
  const KernelProduct a = Estimate(Gaussian(2), rows, queries, weights.view(), &index, options, one),
                      b = Estimate(Gaussian(2), rows, queries, weights.view(), &index, options, three);
  EXPECT_GT(a.std_errors[0], 0);
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.std_errors, b.std_errors);
  options.seed = 2;
  EXPECT_NE(Estimate(Gaussian(2), rows, queries, weights.view(), &index, options).values, a.values);
}

TEST(KernelProductTest, FewRowsAndFewWeights) {
  for (const size_t n : {0, 1, 3}) {
    const Points weights = UniformPoints(n, 2, -1, 1, 3);
    const MatrixView view{weights.values.data(), n, 2};
    const VectorIndex index = Index(Rows(n));
    for (const bool fixed : {false, true}) {
      KernelProductOptions options;
      if (fixed) options.samples = 2;
      const KernelProduct product = Estimate(Gaussian(3), Rows(n), Queries(4), view, &index, options),
                          truth = Exact(Gaussian(3), Rows(n), Queries(4), view);
      ASSERT_EQ(product.values.size(), 8);
      // With three rows and two samples the near ones are all: nothing is left to chance.
      EXPECT_LT(SquaredDistance(product.values, truth.values), 1e-10) << n;
    }
  }
  Points weights{std::vector<float>(5000, 0), 1};
  const VectorIndex index = Index(Rows(5000));
  EXPECT_EQ(Estimate(Gaussian(3), Rows(5000), Queries(4), weights.view(), &index, {}).values,
            std::vector<double>(4, 0.0));
  weights.values[17] = -2;
  const KernelProduct single = Estimate(Gaussian(3), Rows(5000), Queries(4), weights.view(), &index, {});
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(single.values[i], -2 * Gaussian(3).Evaluate(Rows(5000).row(17), Queries(4).row(i)), 1e-6);
  }
  EXPECT_TRUE(Estimate(Gaussian(3), Rows(5000), Queries(0), weights.view(), &index, {}).values.empty());
  // Kernels that underflow.
  const KernelProduct nothing = Estimate(Gaussian(1e-15), Rows(5000), Queries(20), Weights(5000, 1).view(), &index, {});
  for (const double value : nothing.values) EXPECT_TRUE(std::isfinite(value));
}

TEST(KernelProductTest, Refusals) {
  const auto message = [](const absl::StatusOr<KernelProduct>& product) {
    EXPECT_EQ(product.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(product.status().message());
  };
  const MatrixView rows = Rows(50), queries = Queries(3);
  Points weights = Weights(50, 1);
  const auto exact = [&](MatrixView with) {
    return message(ExactKernelProduct(Gaussian(1), rows, queries, with, Pool()));
  };
  EXPECT_EQ(exact(weights.view().Slice(0, 49)), "weights must have a row for each of 50 rows, but have 49");
  EXPECT_EQ(
      message(ExactKernelProduct(MakeSimilarity(proto::SimilaritySpec::L1, 0), rows, queries, weights.view(), Pool())),
      "l1 is not a kernel");
  EXPECT_EQ(message(ExactKernelProduct(PStable(1), rows, queries, weights.view(), Pool())),
            "p_stable has private sums only");
  const VectorIndex index = Index(Rows(40));
  EXPECT_EQ(message(EstimateKernelProduct(Gaussian(1), rows, queries, weights.view(), &index, {}, Pool())),
            "the index has 40 vectors of dimension 16, but there are 50 rows of dimension 16");
  KernelProductOptions options;
  options.error = 0;
  EXPECT_EQ(message(EstimateKernelProduct(Gaussian(1), rows, queries, weights.view(), nullptr, options, Pool())),
            "error must be finite and positive, but is 0");
  weights.values[4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(exact(weights.view()), "column 0 of weights of row 4 must be finite, but is nan");
}

}  // namespace
}  // namespace dpkde
