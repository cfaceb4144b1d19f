#include "dpkde/index/maxsim/maxsim.h"

#include <hwy/targets.h>

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/maxsim/int8_kernel.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr TokenFormat kFormats[] = {TokenFormat::kFloat32, TokenFormat::kFloat16, TokenFormat::kInt8};

TokenSets RandomSets(size_t count, size_t dimension, size_t most_tokens, uint64_t seed) {
  boost::random::mt19937_64 engine(seed);
  boost::random::normal_distribution<double> normal(0, 1 / std::sqrt(static_cast<double>(dimension)));
  boost::random::uniform_int_distribution<size_t> tokens(0, most_tokens);
  TokenSets sets(dimension);
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> set(tokens(engine) * dimension);
    for (float& value : set) value = static_cast<float>(normal(engine));
    sets.Append({set.data(), set.size() / dimension, dimension});
  }
  return sets;
}

// Documents that own their memory.
struct Documents {
  Documents(TokenSetsView sets, TokenFormat format) {
    std::vector<size_t> begins;
    for (size_t i = 0; i < sets.size(); ++i) {
      begins.push_back(values.size());
      EXPECT_TRUE(StoreTokens(format, sets.set(i), &values, &scales).ok());
    }
    for (size_t i = 0; i < sets.size(); ++i) {
      const float* const own_scales = format == TokenFormat::kInt8 ? &scales[sets.offsets[i]] : nullptr;
      stored.push_back({format, sets.dimension, sets.set(i).rows, values.data() + begins[i], own_scales});
    }
  }

  std::string values;
  std::vector<float> scales;
  std::vector<StoredTokens> stored;
};

// The definition, in double.
double NaiveChamfer(MatrixView query, MatrixView document) {
  double score = 0;
  for (size_t q = 0; q < query.rows; ++q) {
    double best = -kInfinity;
    for (size_t p = 0; p < document.rows; ++p) {
      double product = 0;
      for (size_t i = 0; i < query.columns; ++i) product += static_cast<double>(query.row(q)[i]) * document.row(p)[i];
      best = std::max(best, product);
    }
    score += best;
  }
  return score;
}

// What maxsim.h promises of the score.
double ErrorBound(MatrixView query, MatrixView document, TokenFormat format) {
  const size_t d = query.columns;
  double bound = 0;
  for (size_t q = 0; q < query.rows; ++q) {
    double query_sum = 0, query_pair = 0;
    for (size_t i = 0; i < d; ++i) {
      query_sum += std::abs(query.row(q)[i]);
      if (i % 2 == 0) {
        query_pair = std::max<double>(query_pair,
                                      std::abs(query.row(q)[i]) + (i + 1 < d ? std::abs(query.row(q)[i + 1]) : 0.0f));
      }
    }
    double largest = 0;
    for (size_t p = 0; p < document.rows; ++p) {
      double sum = 0, largest_value = 0, products = 0;
      for (size_t i = 0; i < d; ++i) {
        const double x = std::abs(document.row(p)[i]);
        sum += x;
        largest_value = std::max(largest_value, x);
        products += x * std::abs(query.row(q)[i]);
      }
      double one = d * 0x1p-24 * products;
      if (format == TokenFormat::kFloat16) one += 0x1p-11 * products + 0x1p-25 * query_sum;
      if (format == TokenFormat::kInt8) {
        const double s_q = query_pair / 127, s_p = largest_value / 127;
        one = 0.50001 * (s_q * sum + s_p * query_sum + d * s_q * s_p);
      }
      largest = std::max(largest, one);
    }
    bound += largest;
  }
  return bound + 0x1p-24 * std::abs(NaiveChamfer(query, document));
}

TEST(ChamferTest, EqualsTheDefinitionWithinTheStatedBounds) {
  ThreadPool pool(2);
  for (const size_t dimension : {1, 2, 3, 7, 16, 100, 128, 130}) {
    const TokenSets queries = RandomSets(8, dimension, 70, 1);
    const TokenSets corpus = RandomSets(25, dimension, 50, 2);
    for (const TokenFormat format : kFormats) {
      const Documents documents(corpus.view(), format);
      std::vector<float> all(queries.size() * corpus.size());
      ASSERT_TRUE(ChamferMatrix(queries.view(), documents.stored, pool, absl::MakeSpan(all)).ok());
      double worst = 0;
      for (size_t i = 0; i < queries.size(); ++i) {
        const MatrixView tokens = queries.view().set(i);
        const MaxSimQuery query(tokens, format);
        std::vector<float> scores(corpus.size());
        ASSERT_TRUE(Chamfer(query, documents.stored, absl::MakeSpan(scores)).ok());
        std::vector<float> by_threads(corpus.size());
        ASSERT_TRUE(Chamfer(query, documents.stored, pool, absl::MakeSpan(by_threads)).ok());
        EXPECT_EQ(scores, by_threads);
        for (size_t j = 0; j < corpus.size(); ++j) {
          EXPECT_EQ(scores[j], all[i * corpus.size() + j]);
          const MatrixView document = corpus.view().set(j);
          const double exact = NaiveChamfer(tokens, document);
          if (std::isinf(exact)) {
            EXPECT_EQ(scores[j], exact);
            continue;
          }
          const double bound = ErrorBound(tokens, document, format);
          EXPECT_LE(std::abs(scores[j] - exact), bound) << dimension << " " << TokenFormatName(format);
          if (bound > 0) worst = std::max(worst, std::abs(scores[j] - exact) / bound);
        }
      }
      // The bounds are no empty words: lossy formats come within a factor of 100 of them (int8 is exact for one value).
      if (format == TokenFormat::kFloat32 || dimension == 1) continue;
      EXPECT_GT(worst, 0.01) << dimension << " " << TokenFormatName(format);
    }
  }
}

// Products of small integers are exact in every order of addition: the score is the definition's, bit for bit.
TEST(ChamferTest, EqualsANaiveTripleLoop) {
  boost::random::mt19937_64 engine(3);
  boost::random::uniform_int_distribution<int> small(-20, 20), count(0, 40);
  for (int round = 0; round < 200; ++round) {
    const size_t dimension = 1 + round;
    TokenSets query(dimension), documents(dimension);
    for (int set = 0; set < 4; ++set) {
      for (TokenSets* const sets : {&query, &documents}) {
        std::vector<float> tokens(count(engine) * dimension);
        for (float& value : tokens) value = small(engine);
        sets->Append({tokens.data(), tokens.size() / dimension, dimension});
      }
    }
    const Documents stored(documents.view(), round % 2 == 0 ? TokenFormat::kFloat32 : TokenFormat::kFloat16);
    for (size_t i = 0; i < 4; ++i) {
      std::vector<float> scores(4);
      const MaxSimQuery packed(query.view().set(i), TokenFormat::kFloat32);
      ASSERT_TRUE(Chamfer(packed, stored.stored, absl::MakeSpan(scores)).ok());
      for (size_t j = 0; j < 4; ++j) {
        EXPECT_EQ(scores[j], NaiveChamfer(query.view().set(i), documents.view().set(j)));
      }
    }
  }
}

TEST(ChamferTest, EmptySetsAreDefined) {
  const std::vector<float> values = {-1, -2, -3};
  for (const TokenFormat format : kFormats) {
    TokenSets sets(3);
    sets.Append({});
    sets.Append({values.data(), 1, 3});
    const Documents documents(sets.view(), format);
    std::vector<float> scores(2, 7);
    // No query tokens: 0 everywhere.
    ASSERT_TRUE(Chamfer(MaxSimQuery({nullptr, 0, 3}, format), documents.stored, absl::MakeSpan(scores)).ok());
    EXPECT_EQ(scores, (std::vector<float>{0, 0}));
    // No document tokens: below everything, zeros in the query or not.
    const std::vector<float> query = {1, 2, 3, 0, 0, 0};
    ASSERT_TRUE(Chamfer(MaxSimQuery({query.data(), 2, 3}, format), documents.stored, absl::MakeSpan(scores)).ok());
    EXPECT_EQ(scores[0], -kInfinity);
    EXPECT_LT(scores[1], -13.5);
    EXPECT_GT(scores[1], -14.5);
    // No documents.
    ASSERT_TRUE(Chamfer(MaxSimQuery({query.data(), 2, 3}, format), {}, {}).ok());
  }
}

TEST(ChamferTest, RefusesDocumentsOfAnotherKind) {
  const std::vector<float> values(8);
  const StoredTokens document = StoredFloats({values.data(), 2, 4});
  float score;
  const absl::Status dimension =
      Chamfer(MaxSimQuery({values.data(), 2, 3}, TokenFormat::kFloat32), {&document, 1}, {&score, 1});
  EXPECT_EQ(dimension.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(dimension.message(), "the documents have dimension 4, but the query has 3");
  const absl::Status format =
      Chamfer(MaxSimQuery({values.data(), 2, 4}, TokenFormat::kInt8), {&document, 1}, {&score, 1});
  EXPECT_EQ(format.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(format.message(), "the documents are f4, but the query is packed for i1");
}

TEST(ExplainChamferTest, NamesTheFirstBestTokenAndAddsUpToTheScore) {
  const TokenSets queries = RandomSets(6, 30, 40, 9);
  const TokenSets corpus = RandomSets(10, 30, 20, 10);
  for (const TokenFormat format : kFormats) {
    TokenSets twice(30);  // every document twice over: of equal tokens the first counts
    for (size_t j = 0; j < corpus.size(); ++j) {
      const MatrixView set = corpus.view().set(j);
      std::vector<float> values(set.data, set.data + set.rows * 30);
      values.insert(values.end(), set.data, set.data + set.rows * 30);
      twice.Append({values.data(), 2 * set.rows, 30});
    }
    const Documents documents(twice.view(), format);
    for (size_t i = 0; i < queries.size(); ++i) {
      const MatrixView tokens = queries.view().set(i);
      const MaxSimQuery query(tokens, format);
      std::vector<float> scores(corpus.size());
      ASSERT_TRUE(Chamfer(query, documents.stored, absl::MakeSpan(scores)).ok());
      for (size_t j = 0; j < corpus.size(); ++j) {
        const auto matches = ExplainChamfer(query, documents.stored[j]);
        ASSERT_TRUE(matches.ok());
        if (documents.stored[j].count == 0) {
          EXPECT_TRUE(matches->empty());
          continue;
        }
        ASSERT_EQ(matches->size(), tokens.rows);
        double sum = 0;
        std::vector<float> loaded(documents.stored[j].count * 30);
        LoadTokens(documents.stored[j], loaded.data());
        for (size_t q = 0; q < tokens.rows; ++q) {
          const TokenMatch match = (*matches)[q];
          sum += match.similarity;
          EXPECT_LT(match.token, corpus.view().set(j).rows);
          double product = 0;
          for (size_t d = 0; d < 30; ++d) product += tokens.row(q)[d] * loaded[match.token * 30 + d];
          EXPECT_NEAR(match.similarity, product, format == TokenFormat::kInt8 ? 0.02 : 1e-5);
        }
        EXPECT_EQ(static_cast<float>(sum), scores[j]);
      }
    }
  }
}

TEST(MaxSimMatrixTest, IsTheChamferOfEveryAnchorAlone) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    const TokenSets anchors = RandomSets(9, 24, 30, 4);
    const TokenSets corpus = RandomSets(31, 24, 30, 5);
    const MatrixView rows = anchors.view().all();
    std::vector<float> out(corpus.size() * rows.rows);
    ASSERT_TRUE(MaxSimMatrix(rows, corpus.view(), pool, absl::MakeSpan(out)).ok());
    for (size_t a = 0; a < rows.rows; ++a) {
      const Documents documents(corpus.view(), TokenFormat::kFloat32);
      std::vector<float> scores(corpus.size());
      ASSERT_TRUE(
          Chamfer(MaxSimQuery(rows.Slice(a, a + 1), TokenFormat::kFloat32), documents.stored, absl::MakeSpan(scores))
              .ok());
      for (size_t j = 0; j < corpus.size(); ++j) EXPECT_EQ(out[j * rows.rows + a], scores[j]);
    }
  }
}

// AVX2 and AVX-512 give the same bits, since every product is one chain of fused multiply-adds.
TEST(ChamferTest, DoesNotDependOnTheCpu) {
  const TokenSets queries = RandomSets(5, 100, 70, 6);
  const TokenSets corpus = RandomSets(50, 100, 40, 7);
  ThreadPool pool(1);
  for (const TokenFormat format : {TokenFormat::kFloat32, TokenFormat::kFloat16}) {
    const Documents documents(corpus.view(), format);
    std::vector<std::vector<float>> results;
    for (const bool avx2_only : {false, true}) {
      hwy::SetSupportedTargetsForTest(avx2_only ? HWY_AVX2 : 0);
      results.emplace_back(queries.size() * corpus.size());
      ASSERT_TRUE(ChamferMatrix(queries.view(), documents.stored, pool, absl::MakeSpan(results.back())).ok());
    }
    hwy::SetSupportedTargetsForTest(0);
    EXPECT_EQ(results[0], results[1]);
  }
}

// The worst that codes can do to 16-bit sums: neighbours of 64 + 64 and 127 + 1 against bytes of 255 and 1.
TEST(Int8KernelTest, AllKernelsAreExact) {
  boost::random::mt19937_64 engine(8);
  for (const size_t groups : {1, 2, 25, 33}) {
    for (const size_t columns : {1, 8, 9, 16, 17, 31, 32}) {
      std::vector<int8_t> storage(groups * kMaxSimColumns * 4 + 64);
      int8_t* const panel = storage.data() + (64 - reinterpret_cast<uintptr_t>(storage.data()) % 64) % 64;
      std::vector<int32_t> starts(kMaxSimColumns);
      for (size_t c = 0; c < columns; ++c) {
        for (size_t g = 0; g < groups; ++g) {
          int8_t* const four = panel + (g * kMaxSimColumns + c) * 4;
          for (size_t pair = 0; pair < 4; pair += 2) {
            constexpr int kExtremes[][2] = {{64, 64}, {-64, -64}, {127, 1}, {-127, -1}, {1, -127}, {64, -64}};
            if (c % 2 == 0) {
              const auto& extreme = kExtremes[engine() % 6];
              four[pair] = extreme[0];
              four[pair + 1] = extreme[1];
            } else {
              four[pair] = static_cast<int>(engine() % 128) - 64;
              four[pair + 1] = static_cast<int>(engine() % 128) - 64;
            }
            starts[c] -= 128 * (four[pair] + four[pair + 1]);
          }
        }
      }
      for (const size_t count : {1, 3, 4, 5, 11, 12, 13, 30}) {
        std::vector<uint8_t> tokens(count * groups * 4);
        for (uint8_t& byte : tokens) byte = engine() % 2 == 0 ? engine() % 256 : (engine() % 2 == 0 ? 255 : 1);
        std::vector<float> scales(count);
        for (float& scale : scales) scale = 1 + engine() % 3;
        std::vector<float> expected(columns, -kInfinity);
        for (size_t c = 0; c < columns; ++c) {
          for (size_t p = 0; p < count; ++p) {
            int32_t sum = 0;
            for (size_t i = 0; i < 4 * groups; ++i) {
              sum += panel[(i / 4 * kMaxSimColumns + c) * 4 + i % 4] * (tokens[p * groups * 4 + i] - 128);
            }
            expected[c] = std::max(expected[c], static_cast<float>(sum) * scales[p]);
          }
        }
        for (const Int8Kernel kernel : {Int8Kernel::kAvx2, Int8Kernel::kAvx512Vnni}) {
          if (!HasInt8Kernel(kernel)) continue;
          std::vector<float> maxima(kMaxSimColumns);
          Int8MaximaBy(kernel, panel, starts.data(), columns, tokens.data(), scales.data(), count, tokens.data(),
                       groups, maxima.data());
          maxima.resize(columns);
          EXPECT_EQ(maxima, expected) << groups << " " << columns << " " << count;
        }
      }
    }
  }
}

}  // namespace
}  // namespace dpkde
