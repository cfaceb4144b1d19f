// Densities of public documents by a release of private records, and searches that rerank and filter by them.
#include "dpkde/index/search/density_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/sketch/accumulator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/index/corpus/index_testing.h"
#include "tests/testing/seeded_bit_source.h"
#include "tests/testing/specs.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using Spec = proto::SimilaritySpec;

ThreadPool& Pool() {
  static ThreadPool* const pool = new ThreadPool(2);
  return *pool;
}

// Of 400 records around (1, 1), nearly without noise at epsilon = 100.
Release MakeRelease(const Similarity& similarity = Gaussian(0.5), double epsilon = 100, size_t records = 400) {
  proto::ReleasePlan plan;
  *plan.mutable_similarity() = similarity.spec();
  plan.set_dimension(2);
  *plan.mutable_domain() = Cube(2, -3, 3).ToProto();
  *plan.mutable_design() = similarity.is_kernel() ? SplineGridDesign({24, 24}) : AxisDesign(255);
  plan.set_mechanism(proto::LAPLACE);
  *plan.mutable_privacy() = PureAddRemove(epsilon).ToProto();
  plan.set_capacity(uint64_t{1} << 40);
  Accumulator accumulator = *Accumulator::Create(plan, Accumulator::BadRecords::kFail, Pool());
  EXPECT_TRUE(accumulator.Add(UniformPoints(records, 2, 0.8, 1.2, 11).view()).ok());
  SeededBitSource source(1);
  return *std::move(accumulator).Privatize(source);
}

Searcher Singles(const Points& documents, proto::VectorIndexSpec::Metric metric = proto::VectorIndexSpec::L2) {
  proto::IndexConfig config;
  config.mutable_tokens()->set_single_vectors(true);
  config.mutable_tokens()->set_format(proto::TokenStoreSpec::FLOAT32);
  config.mutable_vector_index()->set_metric(metric);
  TokenSets sets(documents.columns);
  for (size_t i = 0; i < documents.rows(); ++i) sets.Append(documents.view().Slice(i, i + 1));
  const std::string path = NewIndexPath();
  const absl::Status built = BuildIndex(path, sets.view(), NumberedIds("d", 0, documents.rows()), config,
                                        /*encoder=*/nullptr, /*overwrite=*/false, Pool());
  EXPECT_TRUE(built.ok()) << built;
  return *Searcher::Open(path);
}

// Token sets of two dimensions: document i has i % 4 tokens.
TokenSets SomeSets(size_t count) {
  const Points tokens = UniformPoints(4 * count, 2, -1.5, 1.5, 21);
  TokenSets sets(2);
  for (size_t i = 0; i < count; ++i) sets.Append(tokens.view().Slice(4 * i, 4 * i + i % 4));
  return sets;
}

Searcher Sets(const TokenSets& documents) {
  proto::EncoderSpec spec;
  spec.set_token_dimension(2);
  spec.mutable_fde()->set_repetitions(4);
  spec.mutable_fde()->set_hyperplanes(2);
  const auto encoder = *CreateEncoder(spec, TokenSets(2).view(), Pool());
  proto::IndexConfig config;
  config.mutable_tokens()->set_format(proto::TokenStoreSpec::FLOAT32);
  const std::string path = NewIndexPath();
  const absl::Status built = BuildIndex(path, documents.view(), NumberedIds("d", 0, documents.size()), config,
                                        encoder.get(), /*overwrite=*/false, Pool());
  EXPECT_TRUE(built.ok()) << built;
  return *Searcher::Open(path);
}

std::vector<DocumentDensity> DensitiesOf(const Searcher& searcher, const Release& release, DensityOf of,
                                         MatrixView background = {}) {
  const auto densities = DocumentDensities::Create(searcher.directory(), release, of, background, Pool());
  EXPECT_TRUE(densities.ok()) << densities.status();
  std::vector<uint64_t> rows(searcher.directory().rows());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  std::vector<DocumentDensity> values(rows.size());
  const absl::Status status = densities->Of(rows, Pool(), absl::MakeSpan(values));
  EXPECT_TRUE(status.ok()) << status;
  return values;
}

double MeanSum(const Release& release, MatrixView vectors) {
  double sum = 0;
  const std::vector<DensityEstimate> estimates = *release.Estimate(vectors, Pool());
  for (const DensityEstimate& e : estimates) sum += e.sum;
  return sum / vectors.rows / release.count().value;
}

TEST(DensitySearchTest, DensityIsTheReleasesMeanSimilarity) {
  const Release release = MakeRelease();
  const TokenSets documents = SomeSets(40);
  const Searcher searcher = Sets(documents);
  const auto tokens = DensitiesOf(searcher, release, DensityOf::kTokens);
  const auto pooled = DensitiesOf(searcher, release, DensityOf::kPooled);
  bool differ = false;
  for (size_t i = 0; i < 40; ++i) {
    const MatrixView set = documents.view().set(i);
    if (set.rows == 0) {
      EXPECT_EQ(tokens[i].value, -std::numeric_limits<double>::infinity());
      EXPECT_EQ(pooled[i].value, -std::numeric_limits<double>::infinity());
      continue;
    }
    EXPECT_NEAR(tokens[i].value, MeanSum(release, set), 1e-12) << i;
    std::vector<float> mean(2);
    for (size_t t = 0; t < set.rows; ++t) {
      for (size_t j = 0; j < 2; ++j) mean[j] += set.row(t)[j] / set.rows;
    }
    EXPECT_NEAR(pooled[i].value, MeanSum(release, {mean.data(), 1, 2}), 1e-6) << i;
    EXPECT_GT(tokens[i].std_error, 0);
    EXPECT_LT(tokens[i].std_error, 0.01);
    differ |= std::abs(tokens[i].value - pooled[i].value) > 0.05;
    if (set.rows == 1) {
      EXPECT_EQ(tokens[i].value, pooled[i].value);
    }
  }
  EXPECT_TRUE(differ);
}

TEST(DensitySearchTest, DistancesCountNegatively) {
  const Release release = MakeRelease(MakeSimilarity(Spec::L1, 0));
  const Points documents{{1, 1, -1, -1}, 2};
  const auto densities = DensitiesOf(Singles(documents), release, DensityOf::kTokens);
  // Records are within 0.2 of (1, 1) on each axis.
  EXPECT_NEAR(densities[0].value, -0.2, 0.05);
  EXPECT_NEAR(densities[1].value, -4, 0.05);
}

TEST(DensitySearchTest, TheContrastIsTheDifferenceToTheBackground) {
  const Release release = MakeRelease();
  const Points documents = UniformPoints(300, 2, -2, 2, 5);
  const Searcher searcher = Singles(documents);
  const auto plain = DensitiesOf(searcher, release, DensityOf::kTokens);
  const auto contrast = DensitiesOf(searcher, release, DensityOf::kTokens, documents.view());
  const Similarity similarity = Gaussian(0.5);
  std::vector<double> sums(300);
  similarity.Sum(documents.view(), documents.view(), Pool(), absl::MakeSpan(sums));
  double within = 0, plain_sum = 0, contrast_sum = 0;
  for (size_t i = 0; i < 300; ++i) {
    within += sums[i] / 300;
    plain_sum += plain[i].value;
    contrast_sum += contrast[i].value;
  }
  // The background is these very documents: scaled so that they have 0 on average.
  EXPECT_NEAR(contrast_sum, 0, 1e-8);
  const double scale = within / plain_sum;
  for (size_t i = 0; i < 300; ++i) {
    EXPECT_NEAR(contrast[i].value, plain[i].value * scale - sums[i] / 300, 1e-9);
    EXPECT_NEAR(contrast[i].std_error, plain[i].std_error * scale, 1e-9);
  }
  const auto drawn = [&](size_t count, uint64_t seed) {
    return BackgroundVectors(searcher.directory(), DensityOf::kTokens, count, seed);
  };
  EXPECT_EQ(drawn(20, 1), drawn(20, 1));
  EXPECT_NE(drawn(20, 1), drawn(20, 2));
  // More than there are: each once.
  std::vector<float> all = drawn(1000, 1), expected = documents.values;
  std::sort(all.begin(), all.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(all, expected);
  // A row of each document that has tokens.
  const TokenSets sets = SomeSets(40);
  const Searcher of_sets = Sets(sets);
  EXPECT_EQ(BackgroundVectors(of_sets.directory(), DensityOf::kTokens, 1000, 1).size(), 30u * 2);
  EXPECT_EQ(BackgroundVectors(of_sets.directory(), DensityOf::kPooled, 1000, 1).size(), 30u * 2);
}

TEST(DensitySearchTest, ReranksAndFiltersByTheFormula) {
  const Release release = MakeRelease();
  for (const bool sets : {false, true}) {
    const TokenSets documents = SomeSets(200);
    const Points points = UniformPoints(200, 2, -2, 2, 5);
    const Searcher searcher = sets ? Sets(documents) : Singles(points);
    const auto densities = DocumentDensities::Create(searcher.directory(), release, DensityOf::kTokens, {}, Pool());
    ASSERT_TRUE(densities.ok());
    const auto all = DensitiesOf(searcher, release, DensityOf::kTokens);
    TokenSets queries(2);
    const Points tokens = UniformPoints(9, 2, -2, 2, 6);
    for (size_t i = 0; i < 3; ++i) queries.Append(tokens.view().Slice(3 * i, 3 * i + (sets ? 3 : 1)));
    SearchOptions options;
    options.k = 10;
    options.candidates = 1000;
    SearchOptions whole = options;
    whole.k = 200;
    const auto plain = *searcher.Search(queries.view(), whole, Pool());
    for (const double weight : {0.0, 0.3, 1.0}) {
      for (const double least : {-1.0, 0.2}) {
        DensityOptions by;
        by.weight = weight;
        if (least > 0) by.least = least;
        const auto found = SearchByDensity(searcher, *densities, queries.view(), options, by, Pool());
        ASSERT_TRUE(found.ok()) << found.status();
        for (size_t q = 0; q < 3; ++q) {
          // By the definition, from the complete search.
          std::vector<std::pair<double, uint64_t>> expected;
          for (const SearchHit& hit : plain[q]) {
            const double density = all[hit.row].value;
            if (least > 0 && !(density >= least)) continue;
            double s = sets ? hit.score / 3.0 : -hit.score;
            if (weight == 0) s = sets ? hit.score : -hit.score;
            const double score = weight == 0 ? s : weight == 1 ? density : (1 - weight) * s + weight * density;
            expected.emplace_back(-score, hit.row);
          }
          std::sort(expected.begin(), expected.end());
          expected.resize(std::min<size_t>(expected.size(), 10));
          ASSERT_EQ((*found)[q].size(), expected.size());
          for (size_t i = 0; i < expected.size(); ++i) {
            const DensityHit& hit = (*found)[q][i];
            EXPECT_EQ(hit.row, expected[i].second) << weight << " " << least;
            EXPECT_EQ(hit.score, weight == 0 && !sets ? expected[i].first : -expected[i].first);
            EXPECT_EQ(hit.density.value, all[hit.row].value);
          }
        }
      }
    }
  }
}

// Not on the batch, the threads or which other documents are candidates.
TEST(DensitySearchTest, ScoresDependOnQueryAndDocumentAlone) {
  const Release release = MakeRelease();
  const TokenSets documents = SomeSets(300);
  const Searcher searcher = Sets(documents);
  const auto densities = DocumentDensities::Create(searcher.directory(), release, DensityOf::kPooled, {}, Pool());
  const TokenSets queries = SomeSets(150);
  SearchOptions options;
  options.k = 5;
  options.candidates = 300;
  ThreadPool one(1), three(3);
  const auto all = *SearchByDensity(searcher, *densities, queries.view(), options, {}, three);
  for (size_t q = 0; q < 150; q += 13) {
    const auto alone = *SearchByDensity(searcher, *densities, queries.view().Slice(q, q + 1), options, {}, one);
    ASSERT_EQ(alone[0].size(), all[q].size());
    for (size_t i = 0; i < all[q].size(); ++i) {
      EXPECT_EQ(alone[0][i].row, all[q][i].row);
      EXPECT_EQ(alone[0][i].score, all[q][i].score);
    }
  }
  // A narrower search finds a subset with the same scores, and explains token sets.
  options.candidates = 20;
  options.explain = true;
  const auto narrow = *SearchByDensity(searcher, *densities, queries.view(), options, {}, three);
  size_t same = 0;
  for (size_t q = 0; q < 150; ++q) {
    for (const DensityHit& hit : narrow[q]) {
      EXPECT_EQ(hit.matches.size(), documents.view().set(hit.row).rows == 0 ? 0 : queries.view().set(q).rows);
      for (const DensityHit& other : all[q]) {
        if (other.row != hit.row) continue;
        EXPECT_EQ(other.score, hit.score);
        ++same;
      }
    }
  }
  EXPECT_GT(same, 100u);
}

TEST(DensitySearchTest, RefusesByName) {
  const Release release = MakeRelease();
  const Searcher searcher = Singles(UniformPoints(20, 2, -1, 1, 3));
  const auto densities = DocumentDensities::Create(searcher.directory(), release, DensityOf::kTokens, {}, Pool());
  const Points query{{0, 0}, 2};
  TokenSets queries(2);
  queries.Append(query.view());
  DensityOptions by;
  for (const double weight : {-0.1, 1.1, std::nan("")}) {
    by.weight = weight;
    EXPECT_THAT(SearchByDensity(searcher, *densities, queries.view(), {}, by, Pool()).status().message(),
                HasSubstr("the weight of density must be in [0, 1], but is"));
  }
  by.weight = 0;
  by.least = std::nan("");
  EXPECT_EQ(SearchByDensity(searcher, *densities, queries.view(), {}, by, Pool()).status().code(),
            absl::StatusCode::kInvalidArgument);
  const Searcher wide = Singles(UniformPoints(20, 3, -1, 1, 3));
  EXPECT_EQ(DocumentDensities::Create(wide.directory(), release, DensityOf::kTokens, {}, Pool()).status().message(),
            "the release must have the index's dimension, 3, but has 2");
  EXPECT_EQ(DocumentDensities::Create(searcher.directory(), release, DensityOf::kTokens,
                                      UniformPoints(2, 3, -1, 1, 3).view(), Pool())
                .status()
                .message(),
            "the background must have the index's dimension, 2, but has 3");

  // A lattice has no answers outside its box.
  proto::ReleasePlan plan = release.plan();
  *plan.mutable_design() = LatticeDesign(1e-2);
  SeededBitSource source(2);
  const Release lattice =
      *std::move(*Accumulator::Create(plan, Accumulator::BadRecords::kFail, Pool())).Privatize(source);
  const Searcher far = Singles(Points{{0, 0, 9, 9}, 2});
  const auto of_lattice = DocumentDensities::Create(far.directory(), lattice, DensityOf::kTokens, {}, Pool());
  EXPECT_THAT(SearchByDensity(far, *of_lattice, queries.view(), {}, {}, Pool()).status().message(),
              HasSubstr("document 'd1', vector row 0 (counting from 0): is outside the domain"));
}

}  // namespace
}  // namespace dpkde
