#include "dpkde/index/search/kernel_sums.h"

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

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

ThreadPool& Pool() {
  static ThreadPool* const pool = new ThreadPool(2);
  return *pool;
}

// 300 queries, and the other 19,700 letters as rows.
const Points& Letters() {
  static const Points* const points = new Points(Shuffled(LoadPoints("tests/testdata/letter.npy"), 1));
  return *points;
}
MatrixView Queries(size_t count) { return Letters().view().Slice(0, count); }
MatrixView Rows(size_t count) { return Letters().view().Slice(300, 300 + count); }

VectorIndex Index(MatrixView rows, VectorIndexOptions::Kind kind = VectorIndexOptions::Kind::kFlat) {
  VectorIndexOptions options;
  options.kind = kind;
  options.metric = VectorIndexOptions::Metric::kL2;
  options.ivf_probe = 16;
  return *VectorIndex::Build(rows, options, 2);
}

KernelSums Make(MatrixView rows, const Similarity& kernel, const VectorIndex* index, uint64_t seed = 1) {
  absl::StatusOr<KernelSums> sums = KernelSums::Create(rows, kernel, index, seed);
  EXPECT_TRUE(sums.ok()) << sums.status();
  return *std::move(sums);
}

std::vector<KernelSum> Estimate(const KernelSums& sums, MatrixView queries, const KernelSumOptions& options,
                                ThreadPool& pool = Pool()) {
  absl::StatusOr<std::vector<KernelSum>> estimates = sums.Estimate(queries, options, pool);
  EXPECT_TRUE(estimates.ok()) << estimates.status();
  return *std::move(estimates);
}

std::vector<KernelSum> Exact(const KernelSums& sums, MatrixView queries) {
  absl::StatusOr<std::vector<KernelSum>> exact = sums.Exact(queries, Pool());
  EXPECT_TRUE(exact.ok()) << exact.status();
  return *std::move(exact);
}

TEST(KernelSumsTest, ExactSumIsThatOfTheOracle) {
  const MatrixView rows = Rows(700), queries = Queries(30);
  for (const Similarity& kernel : AllKernels(3)) {
    std::vector<double> truth(30);
    kernel.Sum(rows, queries, Pool(), absl::MakeSpan(truth));
    const std::vector<KernelSum> sums = Exact(Make(rows, kernel, nullptr), queries);
    for (size_t i = 0; i < 30; ++i) {
      EXPECT_NEAR(sums[i].sum, truth[i], 1e-5 * truth[i]) << kernel.name();
      EXPECT_EQ(sums[i].std_error, 0);
      EXPECT_EQ(sums[i].samples, 700);
    }
  }
}

// Estimates of one sum over seeds.
struct OverSeeds {
  int seeds = 0;
  double sum = 0, squares = 0, claimed_squares = 0;

  void Add(double error, double std_error) {
    ++seeds;
    sum += error;
    squares += error * error;
    claimed_squares += std_error * std_error;
  }
  // The mean error in its own standard errors. Beyond 5: one seed set in two million if unbiased.
  double Score() const {
    const double mean = sum / seeds;
    return mean / std::sqrt((squares / seeds - mean * mean) / seeds);
  }
  double ClaimedToTrueSpread() const { return std::sqrt(claimed_squares / squares); }
};

TEST(KernelSumsTest, FixedSamplesAreUnbiased) {
  constexpr int kSeeds = 300;
  constexpr size_t kQueries = 6, kNear = 12;
  const MatrixView rows = Rows(1500), queries = Queries(kQueries);
  const VectorIndex index = Index(rows);
  // One that finds what is far: it may cost variance, not truth.
  const Points other = UniformPoints(1500, 16, 0, 15, 5);
  const VectorIndex wrong_index = Index(other.view());
  const Similarity kernel = Gaussian(2.5);
  const std::vector<KernelSum> truth = Exact(Make(rows, kernel, nullptr), queries);
  KernelSumOptions options;
  options.samples = 128;
  options.neighbors = kNear;
  KernelSumOptions independent = options;
  independent.independent = true;
  KernelSumOptions sample_alone = options;
  sample_alone.neighbors = 0;
  const VectorSearchResult found = *index.Search(queries, kNear);
  std::vector<double> near(kQueries);
  for (size_t i = 0; i < found.ids.size(); ++i) {
    near[i / kNear] += kernel.Evaluate(rows.row(found.ids[i]), queries.row(i / kNear));
  }
  ThreadPool one(1);  // two would wait for each other more than they work
  std::vector<OverSeeds> shared(kQueries), own(kQueries), misled(kQueries), forgetful(kQueries);
  for (int seed = 0; seed < kSeeds; ++seed) {
    const KernelSums sums = Make(rows, kernel, &index, seed);
    const std::vector<KernelSum> a = Estimate(sums, queries, options, one),
                                 b = Estimate(sums, queries, independent, one),
                                 c = Estimate(Make(rows, kernel, &wrong_index, seed), queries, options, one),
                                 plain = Estimate(sums, queries, sample_alone, one);
    for (size_t i = 0; i < kQueries; ++i) {
      EXPECT_EQ(a[i].neighbors, kNear);
      EXPECT_GE(a[i].samples, 128);
      EXPECT_LT(a[i].samples, 750);
      shared[i].Add(a[i].sum - truth[i].sum, a[i].std_error);
      own[i].Add(b[i].sum - truth[i].sum, b[i].std_error);
      misled[i].Add(c[i].sum - truth[i].sum, c[i].std_error);
      // The control: the neighbours, and a sample that does not leave them out.
      forgetful[i].Add(near[i] + plain[i].sum - truth[i].sum, 0);
    }
  }
  for (size_t i = 0; i < kQueries; ++i) {
    for (const OverSeeds* good : {&shared[i], &own[i], &misled[i]}) {
      EXPECT_LT(std::abs(good->Score()), 5) << i;
      // The extra sampled row makes std_error larger, not smaller.
      EXPECT_GT(good->ClaimedToTrueSpread(), 0.85) << i;
    }
    EXPECT_LT(shared[i].ClaimedToTrueSpread(), 2) << i;
    EXPECT_LT(own[i].ClaimedToTrueSpread(), 2) << i;
    EXPECT_GT(forgetful[i].Score(), 5) << i;
    // Neighbours and their like are what makes the sum vary.
    EXPECT_LT(shared[i].squares, misled[i].squares) << i;
  }
}

TEST(KernelSumsTest, TargetIsMet) {
  const MatrixView rows = Rows(19700), queries = Queries(100);
  const VectorIndex index = Index(rows, VectorIndexOptions::Kind::kIvf);
  struct Case {
    double bandwidth, target;
    bool independent;
  };
  for (const Case& c : {Case{3, 0.1, false}, Case{3, 0.03, false}, Case{1.5, 0.1, false}, Case{1.5, 0.1, true}}) {
    const std::string name = std::to_string(c.bandwidth) + " " + std::to_string(c.target);
    const std::vector<KernelSum> truth = Exact(Make(rows, Gaussian(c.bandwidth), nullptr), queries);
    KernelSumOptions options;
    options.relative_error = c.target;
    options.neighbors = 20;
    options.independent = c.independent;
    double sum = 0, squares = 0, samples = 0, within_one = 0, within_two = 0, within_fifth = 0, inexact = 0;
    constexpr int kSeeds = 4;
    for (int seed = 0; seed < kSeeds; ++seed) {
      const std::vector<KernelSum> estimates =
          Estimate(Make(rows, Gaussian(c.bandwidth), &index, seed), queries, options);
      for (size_t i = 0; i < queries.rows; ++i) {
        const KernelSum& estimate = estimates[i];
        EXPECT_LE(estimate.std_error, c.target * estimate.sum);
        samples += estimate.samples;
        if (estimate.std_error == 0) {
          EXPECT_NEAR(estimate.sum, truth[i].sum, 1e-5 * truth[i].sum);
          continue;
        }
        const double error = estimate.sum - truth[i].sum;
        ++inexact;
        sum += error / truth[i].sum;
        squares += error * error / (truth[i].sum * truth[i].sum);
        within_one += std::abs(error) <= estimate.std_error;
        within_two += std::abs(error) <= 2 * estimate.std_error;
        within_fifth += std::abs(error) <= 0.2 * estimate.std_error;
      }
    }
    ASSERT_GT(inexact, 150) << name;
    EXPECT_LT(samples / kSeeds / queries.rows, 16000) << name;
    EXPECT_LT(std::sqrt(squares / inexact), c.target) << name;
    // What stopping at a good moment costs.
    EXPECT_LT(std::abs(sum / inexact), 0.3 * c.target) << name;
    EXPECT_GT(within_one / inexact, 0.65) << name;
    EXPECT_GT(within_two / inexact, 0.94) << name;
    // The control: a fifth of the standard error would be too little.
    EXPECT_LT(within_fifth / inexact, 0.6) << name;
  }
}

void ExpectSame(const KernelSum& a, const KernelSum& b) {
  EXPECT_EQ(a.sum, b.sum);
  EXPECT_EQ(a.std_error, b.std_error);
  EXPECT_EQ(a.samples, b.samples);
  EXPECT_EQ(a.neighbors, b.neighbors);
}

TEST(KernelSumsTest, SameBitsForAnyThreadsAndBatch) {
  const MatrixView rows = Rows(19700), queries = Queries(60);
  const VectorIndex index = Index(rows, VectorIndexOptions::Kind::kIvf);
  const KernelSums sums = Make(rows, Gaussian(3), &index), again = Make(rows, Gaussian(3), &index),
                   other = Make(rows, Gaussian(3), &index, 2);
  ThreadPool one(1), three(3);
  const std::vector<KernelSum> exact = Exact(sums, queries);
  for (const bool independent : {false, true}) {
    KernelSumOptions options;
    options.neighbors = 20;
    options.relative_error = 0.1;
    options.independent = independent;
    const std::vector<KernelSum> all = Estimate(sums, queries, options, one);
    const std::vector<KernelSum> by_three = Estimate(again, queries, options, three);
    const std::vector<KernelSum> other_seed = Estimate(other, queries, options);
    int differ = 0, inexact = 0;
    for (size_t i = 0; i < queries.rows; ++i) {
      ExpectSame(all[i], by_three[i]);
      if (!independent) ExpectSame(all[i], Estimate(sums, queries.Slice(i, i + 1), options, three)[0]);
      inexact += all[i].std_error > 0;
      differ += all[i].sum != other_seed[i].sum;
    }
    EXPECT_GT(inexact, 40);
    EXPECT_GE(differ, inexact);
  }
  for (size_t i = 0; i < queries.rows; i += 7) {
    ExpectSame(exact[i], sums.Exact(queries.Slice(i, i + 1), one)->front());
  }
}

TEST(KernelSumsTest, EveryKernel) {
  const MatrixView rows = Rows(19700), queries = Queries(40);
  const VectorIndex index = Index(rows, VectorIndexOptions::Kind::kIvf);
  for (const Similarity& kernel : AllKernels(2)) {
    const KernelSums sums = Make(rows, kernel, &index);
    const std::vector<KernelSum> truth = Exact(sums, queries), estimates = Estimate(sums, queries, {});
    double squares = 0, samples = 0;
    for (size_t i = 0; i < queries.rows; ++i) {
      squares += std::pow(estimates[i].sum / truth[i].sum - 1, 2);
      samples += estimates[i].samples;
    }
    EXPECT_LT(std::sqrt(squares / queries.rows), 0.05) << kernel.name();
    // product_cauchy is too uneven here for less than everything.
    if (kernel.kind() != proto::SimilaritySpec::PRODUCT_CAUCHY) {
      EXPECT_LT(samples / queries.rows, 12000) << kernel.name();
    }
  }
}

TEST(KernelSumsTest, FewRows) {
  const MatrixView queries = Queries(3);
  for (const size_t n : {0, 1, 2, 40}) {
    const VectorIndex index = Index(Rows(n));
    const KernelSums sums = Make(Rows(n), Gaussian(3), &index);
    const std::vector<KernelSum> truth = Exact(sums, queries);
    for (const size_t neighbors : {0, 1, 64}) {
      for (const bool fixed : {false, true}) {
        KernelSumOptions options;
        options.neighbors = neighbors;
        if (fixed) options.samples = 2;
        const std::vector<KernelSum> estimates = Estimate(sums, queries, options);
        for (size_t i = 0; i < queries.rows; ++i) {
          EXPECT_NEAR(estimates[i].sum, truth[i].sum, 1e-6 * truth[i].sum) << n;
          EXPECT_EQ(estimates[i].std_error, 0) << n;
          EXPECT_EQ(estimates[i].samples + estimates[i].neighbors, n);
        }
      }
    }
  }
  EXPECT_TRUE(Exact(Make(Rows(40), Gaussian(3), nullptr), Queries(0)).empty());
  EXPECT_TRUE(Estimate(Make(Rows(40), Gaussian(3), nullptr), Queries(0), {}).empty());
}

TEST(KernelSumsTest, Duplicates) {
  Points rows;
  rows.columns = 16;
  for (size_t i = 0; i < 20000; ++i) {
    const absl::Span<const float> row = Rows(10).row(i % 10);
    rows.values.insert(rows.values.end(), row.begin(), row.end());
  }
  const VectorIndex index = Index(rows.view());
  const KernelSums sums = Make(rows.view(), Gaussian(1), &index);
  const std::vector<KernelSum> truth = Exact(sums, Rows(10)), estimates = Estimate(sums, Rows(10), {});
  for (size_t i = 0; i < 10; ++i) EXPECT_NEAR(estimates[i].sum, truth[i].sum, 5 * 0.05 * truth[i].sum);
}

TEST(KernelSumsTest, KernelsThatUnderflow) {
  const MatrixView rows = Rows(19700), queries = Queries(5);
  const VectorIndex index = Index(rows, VectorIndexOptions::Kind::kIvf);
  Points far{std::vector<float>(16, 1e6f), 16};
  const KernelSums sums = Make(rows, Gaussian(1), &index);
  // The farthest neighbour's value is 0, and so are all beyond.
  KernelSum sum = Estimate(sums, far.view(), {})[0];
  EXPECT_EQ(sum.sum, 0);
  EXPECT_EQ(sum.std_error, 0);
  EXPECT_LT(sum.samples, 2000);
  // Without neighbours nothing is known to be negligible.
  sum = Estimate(Make(rows, Gaussian(1), nullptr), far.view(), {})[0];
  EXPECT_EQ(sum.sum, 0);
  EXPECT_EQ(sum.std_error, 0);
  EXPECT_EQ(sum.samples, 19700);
  KernelSumOptions options;
  options.absolute_error = 1e-3;
  sum = Estimate(sums, far.view(), options)[0];
  EXPECT_EQ(sum.sum, 0);
  EXPECT_LT(sum.samples, 2000);
  // A bandwidth of almost nothing.
  for (const KernelSum& own : Estimate(Make(rows, Gaussian(1e-15), &index), queries, options)) {
    EXPECT_TRUE(std::isfinite(own.sum));
    EXPECT_LE(own.std_error, 0.05 * own.sum + 1e-3);
  }
}

TEST(KernelSumsTest, Refusals) {
  const MatrixView rows = Rows(100);
  const VectorIndex index = Index(Rows(90));
  const auto message = [](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(message(KernelSums::Create(rows, MakeSimilarity(proto::SimilaritySpec::L2, 0), nullptr, 1).status()),
            "l2 is not a kernel");
  EXPECT_EQ(message(KernelSums::Create(rows, Angular(1), nullptr, 1).status()), "angular has private sums only");
  EXPECT_EQ(message(KernelSums::Create(rows, Gaussian(1), &index, 1).status()),
            "the index has 90 vectors of dimension 16, but there are 100 rows of dimension 16");
  Points bad = UniformPoints(2, 16, 0, 1, 1);
  bad.values[20] = kNan;
  EXPECT_EQ(message(KernelSums::Create(bad.view(), Gaussian(1), nullptr, 1).status()),
            "column 4 of row 1 must be finite, but is nan");
  const KernelSums sums = Make(rows, Gaussian(1), nullptr);
  EXPECT_EQ(message(sums.Estimate(bad.view(), {}, Pool()).status()), "column 4 of query 1 must be finite, but is nan");
  EXPECT_EQ(message(sums.Exact(bad.view(), Pool()).status()), "column 4 of query 1 must be finite, but is nan");
  EXPECT_EQ(message(sums.Exact({bad.values.data(), 2, 8}, Pool()).status()),
            "queries must have 16 columns, but have 8");
  KernelSumOptions options;
  for (const double error : {0.0, -1.0, static_cast<double>(kNan)}) {
    options.relative_error = error;
    EXPECT_NE(message(sums.Estimate(rows, options, Pool()).status()).find("relative_error must be finite and positive"),
              std::string::npos);
  }
  options = {};
  options.absolute_error = -1;
  EXPECT_EQ(message(sums.Estimate(rows, options, Pool()).status()), "absolute_error must be at least 0, but is -1");
  options = {};
  options.samples = 1;
  EXPECT_NE(message(sums.Estimate(rows, options, Pool()).status()).find("samples must be at least 2"),
            std::string::npos);
}

}  // namespace
}  // namespace dpkde
