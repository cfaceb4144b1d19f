#include "dpkde/index/encoding/fde_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/io/envelope.h"

namespace dpkde {
namespace {

using proto::FdeSpec;

proto::EncoderSpec Spec(uint32_t dimension, uint32_t repetitions, uint32_t hyperplanes, uint32_t projected,
                        FdeSpec::Projection projection, uint64_t seed = 7) {
  proto::EncoderSpec spec;
  spec.set_token_dimension(dimension);
  spec.set_public_seed(seed);
  spec.mutable_fde()->set_repetitions(repetitions);
  spec.mutable_fde()->set_hyperplanes(hyperplanes);
  spec.mutable_fde()->set_projected_dimension(projected);
  spec.mutable_fde()->set_projection(projection);
  return spec;
}

std::unique_ptr<const FdeEncoder> Make(const proto::EncoderSpec& spec) {
  auto encoder = FdeEncoder::Create(spec);
  EXPECT_TRUE(encoder.ok()) << encoder.status();
  return *std::move(encoder);
}

// Sets of unit vectors of the given sizes; `shift` is added to each before it is normalised.
TokenSets RandomSets(size_t dimension, const std::vector<size_t>& sizes, uint64_t seed, double shift = 0) {
  boost::random::mt19937_64 engine(seed);
  boost::random::normal_distribution<double> normal;
  TokenSets sets(dimension);
  for (size_t size : sizes) {
    std::vector<float> tokens;
    for (size_t t = 0; t < size; ++t) {
      std::vector<double> token(dimension);
      double squares = 0;
      for (double& value : token) {
        value = normal(engine) + shift;
        squares += value * value;
      }
      for (double value : token) tokens.push_back(static_cast<float>(value / std::sqrt(squares)));
    }
    sets.Append({tokens.data(), size, dimension});
  }
  return sets;
}

enum class Role { kQuery, kDocument };

std::vector<float> Encode(const Encoder& encoder, Role role, TokenSetsView sets, int threads = 1) {
  ThreadPool pool(threads);
  std::vector<float> out(sets.size() * encoder.dimension(), std::nanf(""));
  const absl::Status status = role == Role::kQuery ? encoder.EncodeQueries(sets, pool, absl::MakeSpan(out))
                                                   : encoder.EncodeDocuments(sets, pool, absl::MakeSpan(out));
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

double Chamfer(MatrixView query, MatrixView document) {
  double sum = 0;
  for (size_t q = 0; q < query.rows; ++q) {
    double best = -std::numeric_limits<double>::infinity();
    for (size_t p = 0; p < document.rows; ++p) {
      best = std::max(best, std::inner_product(query.row(q).begin(), query.row(q).end(), document.row(p).begin(), 0.0));
    }
    sum += best;
  }
  return sum;
}

// ---- The definition, slowly: dense projections, and every cell looks at every token.

// projected x dimension, of repetition r.
std::vector<double> DenseProjection(const proto::EncoderSpec& spec, size_t r) {
  const size_t d = spec.token_dimension(), projected = spec.fde().projected_dimension();
  std::vector<double> matrix(projected * d, 0);
  auto engine = PublicStream(spec.public_seed(), "fde inner projection", r);
  if (spec.fde().projection() == FdeSpec::IDENTITY) {
    for (size_t i = 0; i < d; ++i) matrix[i * d + i] = 1;
    return matrix;
  }
  std::vector<double> signs;
  for (size_t i = 0; i < d; ++i) signs.push_back(engine() >> 63 ? -1 : 1);
  if (spec.fde().projection() == FdeSpec::COUNT_SKETCH) {
    boost::random::uniform_int_distribution<uint32_t> bucket(0, projected - 1);
    for (size_t i = 0; i < d; ++i) matrix[bucket(engine) * d + i] = signs[i];
    return matrix;
  }
  int space = 0, rows = 0;
  while (size_t{1} << space < d) ++space;
  while (size_t{1} << rows < projected) ++rows;
  // A linear map of codes of `space` bits onto those of `rows` bits.
  std::vector<uint32_t> images(space);
  while (true) {
    for (uint32_t& image : images) image = static_cast<uint32_t>(engine() >> 32) & ((1u << rows) - 1);
    std::vector<bool> reached(size_t{1} << rows);
    for (uint32_t i = 0; i < 1u << space; ++i) {
      uint32_t image = 0;
      for (int bit = 0; bit < space; ++bit) image ^= (i >> bit & 1) * images[bit];
      reached[image] = true;
    }
    if (std::count(reached.begin(), reached.end(), true) == 1 << rows) break;
  }
  std::vector<uint32_t> kept(size_t{1} << rows);
  std::iota(kept.begin(), kept.end(), 0);
  for (size_t j = 0; j < projected && projected < kept.size(); ++j) {
    std::swap(kept[j], kept[boost::random::uniform_int_distribution<size_t>(j, kept.size() - 1)(engine)]);
  }
  for (size_t j = 0; j < projected; ++j) {
    // The row of the Hadamard matrix: bit b of its number is the parity of kept[j] and images[b].
    uint32_t row = 0;
    for (int bit = 0; bit < space; ++bit) row |= (__builtin_popcount(kept[j] & images[bit]) & 1u) << bit;
    for (uint32_t i = 0; i < d; ++i) {
      matrix[j * d + i] = signs[i] * (__builtin_popcount(row & i) & 1 ? -1 : 1) / std::sqrt(double(projected));
    }
  }
  return matrix;
}

uint32_t Code(const FdeEncoder& encoder, absl::Span<const float> token, size_t r) {
  const size_t k = encoder.spec().fde().hyperplanes();
  uint32_t code = 0;
  for (size_t j = 0; j < k; ++j) {
    float sum = 0;
    for (size_t i = 0; i < token.size(); ++i) {
      sum = std::fma(encoder.hyperplanes()[(r * k + j) * token.size() + i], token[i], sum);
    }
    code |= static_cast<uint32_t>(sum > 0) << j;
  }
  return code;
}

std::vector<double> SlowEncode(const FdeEncoder& encoder, Role role, MatrixView tokens) {
  const FdeSpec& fde = encoder.spec().fde();
  const size_t d = tokens.columns, projected = fde.projected_dimension(), cells = size_t{1} << fde.hyperplanes();
  std::vector<double> vector;
  for (size_t r = 0; r < fde.repetitions(); ++r) {
    const std::vector<double> projection = DenseProjection(encoder.spec(), r);
    std::vector<uint32_t> codes;
    for (size_t t = 0; t < tokens.rows; ++t) codes.push_back(Code(encoder, tokens.row(t), r));
    for (uint32_t cell = 0; cell < cells; ++cell) {
      std::vector<double> block(d, 0);
      double count = 0;
      for (size_t t = 0; t < tokens.rows; ++t) {
        if (codes[t] != cell) continue;
        for (size_t i = 0; i < d; ++i) block[i] += tokens.row(t)[i];
        ++count;
      }
      if (role == Role::kQuery) {
        for (double& value : block) value /= fde.repetitions();
      } else if (count > 0) {
        for (double& value : block) value /= count;
      } else if (tokens.rows > 0) {
        size_t nearest = 0;
        for (size_t t = 1; t < tokens.rows; ++t) {
          if (__builtin_popcount(codes[t] ^ cell) < __builtin_popcount(codes[nearest] ^ cell)) nearest = t;
        }
        block.assign(tokens.row(nearest).begin(), tokens.row(nearest).end());
      }
      for (size_t j = 0; j < projected; ++j) {
        vector.push_back(std::inner_product(block.begin(), block.end(), projection.begin() + j * d, 0.0));
      }
    }
  }
  if (fde.final_dimension() == 0) return vector;
  std::vector<double> sketch(fde.final_dimension(), 0);
  const size_t width = cells * projected;
  for (size_t r = 0; r < fde.repetitions(); ++r) {
    auto engine = PublicStream(encoder.spec().public_seed(), "fde final projection", r);
    boost::random::uniform_int_distribution<uint32_t> target(0, fde.final_dimension() - 1);
    for (size_t i = 0; i < width; ++i) {
      const uint32_t place = target(engine);
      sketch[place] += (engine() >> 63 ? -1 : 1) * vector[r * width + i];
    }
  }
  return sketch;
}

TEST(FdeEncoderTest, EqualsTheSlowDefinition) {
  struct Case {
    uint32_t dimension, repetitions, hyperplanes, projected;
    FdeSpec::Projection projection;
    uint32_t final_dimension;
  };
  const Case cases[] = {
      {128, 3, 5, 16, FdeSpec::SIGN_HADAMARD, 0}, {100, 3, 4, 8, FdeSpec::SIGN_HADAMARD, 0},
      {10, 2, 6, 7, FdeSpec::SIGN_HADAMARD, 0},   {10, 2, 3, 16, FdeSpec::SIGN_HADAMARD, 0},
      {37, 4, 5, 11, FdeSpec::COUNT_SKETCH, 0},   {9, 2, 8, 9, FdeSpec::IDENTITY, 0},
      {1, 5, 2, 1, FdeSpec::SIGN_HADAMARD, 0},    {12, 3, 0, 4, FdeSpec::SIGN_HADAMARD, 0},
      {20, 5, 4, 20, FdeSpec::IDENTITY, 50},      {33, 1, 10, 6, FdeSpec::COUNT_SKETCH, 0},
  };
  for (const Case& c : cases) {
    proto::EncoderSpec spec = Spec(c.dimension, c.repetitions, c.hyperplanes, c.projected, c.projection);
    spec.mutable_fde()->set_final_dimension(c.final_dimension);
    const auto encoder = Make(spec);
    SCOPED_TRACE(spec.DebugString());
    const TokenSets sets = RandomSets(c.dimension, {1, 2, 0, 5, 31, 64, 65, 300, 3}, 5);
    for (Role role : {Role::kQuery, Role::kDocument}) {
      const std::vector<float> vectors = Encode(*encoder, role, sets.view());
      for (size_t i = 0; i < sets.size(); ++i) {
        const std::vector<double> expected = SlowEncode(*encoder, role, sets.view().set(i));
        ASSERT_EQ(expected.size(), encoder->dimension());
        for (size_t j = 0; j < expected.size(); ++j) {
          ASSERT_NEAR(vectors[i * expected.size() + j], expected[j], 3e-6 * (1 + std::abs(expected[j])))
              << "set " << i << ", coordinate " << j << ", role " << static_cast<int>(role);
        }
      }
    }
  }
}

// Ties everywhere: few tokens, many cells. The answer is exact, so no tolerance.
TEST(FdeEncoderTest, FillsAsBruteForceDoes) {
  for (uint32_t k : {1, 3, 7, 12}) {
    const auto encoder = Make(Spec(3, 2, k, 3, FdeSpec::IDENTITY));
    const TokenSets sets = RandomSets(3, {1, 2, 3, 4, 6, 9, 40}, 100 + k);
    const std::vector<float> vectors = Encode(*encoder, Role::kDocument, sets.view());
    int empty_cells = 0;
    for (size_t i = 0; i < sets.size(); ++i) {
      const MatrixView tokens = sets.view().set(i);
      const std::vector<uint32_t> codes = encoder->Codes(tokens);
      for (size_t r = 0; r < 2; ++r) {
        for (uint32_t cell = 0; cell < 1u << k; ++cell) {
          size_t nearest = 0;
          int least = 99;
          for (size_t t = 0; t < tokens.rows; ++t) {
            const int distance = __builtin_popcount(codes[r * tokens.rows + t] ^ cell);
            if (distance < least) {
              least = distance;
              nearest = t;
            }
          }
          if (least == 0) continue;
          ++empty_cells;
          const float* block = &vectors[i * encoder->dimension() + (r * (1u << k) + cell) * 3];
          ASSERT_EQ(std::vector<float>(block, block + 3),
                    std::vector<float>(tokens.row(nearest).begin(), tokens.row(nearest).end()))
              << "k " << k << ", set " << i << ", cell " << cell;
        }
      }
    }
    EXPECT_GT(empty_cells, 0);
  }
}

double Score(const std::vector<float>& queries, const std::vector<float>& documents, size_t q, size_t p, size_t d) {
  return std::inner_product(&queries[q * d], &queries[q * d] + d, &documents[p * d], 0.0);
}

// The largest estimate minus similarity over all pairs.
double LargestExcess(const FdeEncoder& encoder, TokenSetsView queries, TokenSetsView documents) {
  const std::vector<float> q = Encode(encoder, Role::kQuery, queries);
  const std::vector<float> p = Encode(encoder, Role::kDocument, documents);
  double excess = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < queries.size(); ++i) {
    for (size_t j = 0; j < documents.size(); ++j) {
      excess = std::max(excess, Score(q, p, i, j, encoder.dimension()) - Chamfer(queries.set(i), documents.set(j)));
    }
  }
  return excess;
}

TEST(FdeEncoderTest, WithoutAProjectionAnEstimateNeverExceedsChamfer) {
  const TokenSets queries = RandomSets(16, std::vector<size_t>(20, 6), 1);
  const TokenSets documents = RandomSets(16, std::vector<size_t>(50, 12), 2);
  for (uint32_t k : {0, 2, 4, 7}) {
    EXPECT_LE(LargestExcess(*Make(Spec(16, 5, k, 16, FdeSpec::IDENTITY)), queries.view(), documents.view()), 1e-5);
  }
  // The control: with a projection it does.
  EXPECT_GT(LargestExcess(*Make(Spec(16, 5, 4, 4, FdeSpec::SIGN_HADAMARD)), queries.view(), documents.view()), 0.01);
}

struct Moments {
  double mean, deviation;
};

// Of the estimate of one inner product by each of 4,000 repetitions: with one token a side and one cell, nothing but
// the projection stands between.
Moments OfEstimates(FdeSpec::Projection projection, uint32_t d, uint32_t projected, const TokenSets& q,
                    const TokenSets& p) {
  const uint32_t repetitions = 500, seeds = 8;
  double sum = 0, squares = 0;
  for (uint32_t seed = 0; seed < seeds; ++seed) {
    const auto encoder = Make(Spec(d, repetitions, 0, projected, projection, seed));
    const std::vector<float> x = Encode(*encoder, Role::kQuery, q.view());
    const std::vector<float> y = Encode(*encoder, Role::kDocument, p.view());
    for (uint32_t r = 0; r < repetitions; ++r) {
      const double estimate =
          repetitions * std::inner_product(&x[r * projected], &x[r * projected] + projected, &y[r * projected], 0.0);
      sum += estimate;
      squares += estimate * estimate;
    }
  }
  const double mean = sum / (repetitions * seeds);
  return {mean, std::sqrt(squares / (repetitions * seeds) - mean * mean)};
}

// The mean over 4,000 repetitions scatters by its deviation / 63; five times that fails once in two million. The spread
// itself, of which 4,000 tell about 1.5 %, is the published one: sqrt((1 - (m-1)/(n-1)) / m) of sqrt(1 + <x, y>^2 -
// 2 sum x_i^2 y_i^2) for m of n rows, and 1/sqrt(m) for a count-sketch.
TEST(FdeEncoderTest, ProjectionsKeepInnerProductsInTheMean) {
  for (const uint32_t projected : {8, 16, 64, 12}) {
    const TokenSets q = RandomSets(128, {1}, 11, 1), p = RandomSets(128, {1}, 12, 1);
    const MatrixView x = q.view().set(0), y = p.view().set(0);
    const double exact = Chamfer(x, y);
    double same = 0;
    for (size_t i = 0; i < 128; ++i) same += std::pow(double(x.data[i]) * y.data[i], 2);
    const double spread = std::sqrt(1 + exact * exact - 2 * same);
    for (auto projection : {FdeSpec::SIGN_HADAMARD, FdeSpec::COUNT_SKETCH}) {
      const Moments moments = OfEstimates(projection, 128, projected, q, p);
      EXPECT_NEAR(moments.mean, exact, 5 * moments.deviation / std::sqrt(4000.0)) << projected << " " << projection;
      const double share =
          projection == FdeSpec::SIGN_HADAMARD ? (1 - (projected - 1) / 127.0) / projected : 1.0 / projected;
      EXPECT_NEAR(moments.deviation, spread * std::sqrt(share), 0.07 * spread * std::sqrt(share))
          << projected << " " << projection;
      // The control: an estimate that is off by 30 % would show.
      EXPECT_GT(std::abs(0.7 * moments.mean - exact), 5 * moments.deviation / std::sqrt(4000.0));
    }
  }
}

TEST(FdeEncoderTest, AFinalProjectionKeepsScoresInTheMean) {
  const TokenSets queries = RandomSets(8, {6}, 21, 0.5), documents = RandomSets(8, {10}, 22, 0.5);
  double sum = 0, squares = 0;
  const int seeds = 300;
  double exact = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    proto::EncoderSpec spec = Spec(8, 2, 3, 8, FdeSpec::IDENTITY, seed);
    const auto whole = Make(spec);
    spec.mutable_fde()->set_final_dimension(64);
    const auto sketched = Make(spec);
    const double difference = Score(Encode(*sketched, Role::kQuery, queries.view()),
                                    Encode(*sketched, Role::kDocument, documents.view()), 0, 0, 64) -
                              Score(Encode(*whole, Role::kQuery, queries.view()),
                                    Encode(*whole, Role::kDocument, documents.view()), 0, 0, whole->dimension());
    exact += Score(Encode(*whole, Role::kQuery, queries.view()), Encode(*whole, Role::kDocument, documents.view()), 0,
                   0, whole->dimension()) /
             seeds;
    sum += difference;
    squares += difference * difference;
  }
  const double error = std::sqrt(squares) / seeds;
  EXPECT_LT(std::abs(sum / seeds), 5 * error);
  EXPECT_GT(0.3 * exact, 5 * error);  // a loss of 30 % would show
}

TEST(FdeEncoderTest, ASetsBitsDependOnThatSetAlone) {
  for (const auto& spec : {Spec(100, 4, 5, 16, FdeSpec::SIGN_HADAMARD), Spec(17, 3, 3, 5, FdeSpec::COUNT_SKETCH)}) {
    const auto encoder = Make(spec);
    std::vector<size_t> sizes;
    for (size_t i = 0; i < 60; ++i) sizes.push_back(i * 37 % 90);
    sizes.push_back(700);
    const TokenSets sets = RandomSets(spec.token_dimension(), sizes, 4);
    for (Role role : {Role::kQuery, Role::kDocument}) {
      const std::vector<float> together = Encode(*encoder, role, sets.view(), 1);
      EXPECT_EQ(together, Encode(*encoder, role, sets.view(), 3));
      for (size_t i = 0; i < sets.size(); ++i) {
        const std::vector<float> alone = Encode(*encoder, role, sets.view().Slice(i, i + 1));
        ASSERT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + i * encoder->dimension())) << i;
      }
    }
  }
}

TEST(FdeEncoderTest, EverySimdTargetGivesTheSameBits) {
  const auto encoder = Make(Spec(37, 5, 5, 12, FdeSpec::SIGN_HADAMARD));
  const TokenSets sets = RandomSets(37, {3, 70, 1, 200}, 9);
  const std::vector<float> best = Encode(*encoder, Role::kDocument, sets.view());
  const int64_t supported = hwy::SupportedTargets();
  int targets = 0;
  for (int64_t target : {HWY_AVX2, HWY_AVX3}) {
    if ((supported & target) == 0) continue;
    hwy::GetChosenTarget().Update(target);
    EXPECT_EQ(Encode(*encoder, Role::kDocument, sets.view()), best) << hwy::TargetName(target);
    ++targets;
  }
  hwy::GetChosenTarget().Update(supported);
  EXPECT_GE(targets, 1);
}

std::string Digest(const void* data, size_t bytes) {
  return HexString(Sha256({static_cast<const char*>(data), bytes})).substr(0, 16);
}

// What a seed means may never change: stored vectors must go on fitting the queries of a later program.
TEST(FdeEncoderTest, GoldenBytes) {
  const TokenSets sets = RandomSets(32, {1, 4, 40, 0, 90}, 77);
  struct Golden {
    FdeSpec::Projection projection;
    uint32_t final_dimension;
    const char *planes, *codes, *query, *document;
  };
  const Golden golden[] = {
      {FdeSpec::SIGN_HADAMARD, 0, "1d4e68915727b3a6", "c9e3f174f8a1a102", "1caf5bcb45ca4aa1", "e5ad902220a056bd"},
      {FdeSpec::COUNT_SKETCH, 0, "1d4e68915727b3a6", "c9e3f174f8a1a102", "afa65b094cc77da3", "a438025f7e21ea1c"},
      {FdeSpec::SIGN_HADAMARD, 100, "1d4e68915727b3a6", "c9e3f174f8a1a102", "512cb7b6e682df0c", "6114b1e2174c588a"},
  };
  for (const Golden& g : golden) {
    proto::EncoderSpec spec = Spec(32, 4, 4, 8, g.projection, 12345);
    spec.mutable_fde()->set_final_dimension(g.final_dimension);
    const auto encoder = Make(spec);
    EXPECT_EQ(Digest(encoder->hyperplanes().data(), encoder->hyperplanes().size() * sizeof(float)), g.planes);
    const std::vector<uint32_t> codes = encoder->Codes(sets.view().all());
    EXPECT_EQ(Digest(codes.data(), codes.size() * sizeof(uint32_t)), g.codes);
    const std::vector<float> query = Encode(*encoder, Role::kQuery, sets.view());
    EXPECT_EQ(Digest(query.data(), query.size() * sizeof(float)), g.query);
    const std::vector<float> document = Encode(*encoder, Role::kDocument, sets.view());
    EXPECT_EQ(Digest(document.data(), document.size() * sizeof(float)), g.document);
  }
}

TEST(FdeEncoderTest, StreamsAreSplitByRepetitionAndSeed) {
  const auto few = Make(Spec(10, 2, 3, 4, FdeSpec::SIGN_HADAMARD, 5));
  const auto more = Make(Spec(10, 4, 3, 4, FdeSpec::SIGN_HADAMARD, 5));
  const auto other = Make(Spec(10, 2, 3, 4, FdeSpec::SIGN_HADAMARD, 6));
  const auto planes = few->hyperplanes();
  EXPECT_TRUE(std::equal(planes.begin(), planes.end(), more->hyperplanes().begin()));
  for (float value : other->hyperplanes()) {
    EXPECT_EQ(std::count(more->hyperplanes().begin(), more->hyperplanes().end(), value), 0);
  }
}

TEST(FdeEncoderTest, SparseQueriesAreTheNonZeroBlocks) {
  const auto encoder = Make(Spec(24, 6, 5, 10, FdeSpec::SIGN_HADAMARD));
  const TokenSets sets = RandomSets(24, {3, 0, 1, 32}, 8);
  ThreadPool pool(2);
  const auto sparse = encoder->EncodeQueriesSparse(sets.view(), pool);
  ASSERT_TRUE(sparse.ok()) << sparse.status();
  EXPECT_EQ(sparse->dimension, encoder->dimension());
  ASSERT_EQ(sparse->block_size, 10u);
  ASSERT_EQ(sparse->offsets.size(), 5u);
  std::vector<float> whole(sets.size() * encoder->dimension(), 0);
  for (size_t i = 0; i < sets.size(); ++i) {
    for (uint64_t b = sparse->offsets[i]; b < sparse->offsets[i + 1]; ++b) {
      std::copy_n(&sparse->values[b * 10], 10, &whole[i * encoder->dimension() + sparse->blocks[b] * 10]);
    }
  }
  EXPECT_EQ(whole, Encode(*encoder, Role::kQuery, sets.view()));
  EXPECT_EQ(sparse->offsets[2] - sparse->offsets[1], 0u);
  EXPECT_EQ(sparse->offsets[3] - sparse->offsets[2], 6u);  // one token is in one cell of each repetition

  proto::EncoderSpec spec = encoder->spec();
  spec.mutable_fde()->set_final_dimension(20);
  EXPECT_EQ(Make(spec)->EncodeQueriesSparse(sets.view(), pool).status().code(), absl::StatusCode::kInvalidArgument);
}

// The share of tokens on the positive side, the farthest from 1/2 of all hyperplanes.
double WorstBalance(const FdeEncoder& encoder, MatrixView tokens) {
  const std::vector<uint32_t> codes = encoder.Codes(tokens);
  const FdeSpec& fde = encoder.spec().fde();
  double worst = 0;
  for (size_t r = 0; r < fde.repetitions(); ++r) {
    for (size_t j = 0; j < fde.hyperplanes(); ++j) {
      double positive = 0;
      for (size_t t = 0; t < tokens.rows; ++t) positive += codes[r * tokens.rows + t] >> j & 1;
      worst = std::max(worst, std::abs(positive / tokens.rows - 0.5));
    }
  }
  return worst;
}

TEST(FdeEncoderTest, CalibratedHyperplanesPassThroughTheMean) {
  const TokenSets sample = RandomSets(20, std::vector<size_t>(100, 20), 31, 1.5);
  proto::EncoderSpec spec = Spec(20, 8, 4, 8, FdeSpec::SIGN_HADAMARD);
  EXPECT_GT(WorstBalance(*Make(spec), sample.view().all()), 0.45);
  spec.mutable_fde()->set_partition(FdeSpec::CALIBRATED);
  const auto encoder = FdeEncoder::Calibrate(spec, sample.view());
  ASSERT_TRUE(encoder.ok()) << encoder.status();
  EXPECT_LT(WorstBalance(**encoder, sample.view().all()), 0.1);

  EXPECT_EQ(FdeEncoder::Create(spec).status().message(), "a calibrated partition needs a sample of tokens");
  EXPECT_EQ(FdeEncoder::Calibrate(spec, TokenSets(20).view()).status().message(),
            "a calibrated partition needs a sample of tokens");
}

// A covariance with one large eigenvalue turns the normals towards its direction, by its fourth root.
TEST(FdeEncoderTest, CalibratedHyperplanesAreShapedByTheCovariance) {
  boost::random::mt19937_64 engine(5);
  boost::random::normal_distribution<double> normal;
  std::vector<float> tokens;
  for (size_t t = 0; t < 5000; ++t) {
    tokens.push_back(static_cast<float>(16 * normal(engine)));
    for (int i = 1; i < 6; ++i) tokens.push_back(static_cast<float>(normal(engine)));
  }
  TokenSets sample(6);
  sample.Append({tokens.data(), 5000, 6});
  proto::EncoderSpec spec = Spec(6, 200, 10, 1, FdeSpec::SIGN_HADAMARD);
  spec.mutable_fde()->set_final_dimension(8);
  const auto plain = Make(spec);
  spec.mutable_fde()->set_partition(FdeSpec::CALIBRATED);
  const auto shaped = FdeEncoder::Calibrate(spec, sample.view());
  ASSERT_TRUE(shaped.ok()) << shaped.status();
  // Per coordinate the ratio of sums of squares is sqrt(variance): 16, and 1.
  for (int i : {0, 1, 5}) {
    double before = 0, after = 0;
    for (size_t h = 0; h < 2000; ++h) {
      before += std::pow(plain->hyperplanes()[h * 6 + i], 2);
      after += std::pow((*shaped)->hyperplanes()[h * 6 + i], 2);
    }
    EXPECT_NEAR(after / before, i == 0 ? 16 : 1, i == 0 ? 0.8 : 0.1);
  }
}

TEST(FdeEncoderTest, SurvivesStorage) {
  const TokenSets sets = RandomSets(20, {5, 30, 0}, 41, 0.5);
  proto::EncoderSpec spec = Spec(20, 3, 4, 8, FdeSpec::SIGN_HADAMARD);
  spec.mutable_fde()->set_partition(FdeSpec::CALIBRATED);
  const auto made = FdeEncoder::Calibrate(spec, sets.view());
  ASSERT_TRUE(made.ok()) << made.status();
  const std::string bytes = (*made)->Serialize();
  EXPECT_EQ(bytes, (*made)->Serialize());
  const auto read = DeserializeEncoder(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->fingerprint(), (*made)->fingerprint());
  EXPECT_EQ((*read)->Serialize(), bytes);
  for (Role role : {Role::kQuery, Role::kDocument}) {
    EXPECT_EQ(Encode(**read, role, sets.view()), Encode(**made, role, sets.view()));
  }
  // Another seed, another fingerprint; so for other samples.
  spec.set_public_seed(8);
  EXPECT_NE((*FdeEncoder::Calibrate(spec, sets.view()))->fingerprint(), (*made)->fingerprint());
  spec.set_public_seed(7);
  EXPECT_NE((*FdeEncoder::Calibrate(spec, RandomSets(20, {9}, 1).view()))->fingerprint(), (*made)->fingerprint());
}

TEST(FdeEncoderTest, RefusesDamage) {
  const auto encoder = Make(Spec(6, 2, 3, 4, FdeSpec::SIGN_HADAMARD));
  const std::string bytes = encoder->Serialize();
  for (size_t i = 0; i < bytes.size(); i += 7) {
    std::string flipped = bytes;
    flipped[i] ^= 4;
    EXPECT_FALSE(DeserializeEncoder(flipped).ok()) << i;
    EXPECT_EQ(DeserializeEncoder(bytes.substr(0, i)).status().code(), absl::StatusCode::kDataLoss);
  }
  // Sealed well, but not an encoder that could be made.
  const auto envelope = OpenEnvelope("encoder", 1, bytes);
  ASSERT_TRUE(envelope.ok());
  const auto altered = [&](auto change) {
    proto::StoredEncoder stored;
    EXPECT_TRUE(stored.ParseFromString(std::string(envelope->payload)));
    change(stored);
    return DeserializeEncoder(SealEnvelope("encoder", 1, stored.SerializeAsString())).status();
  };
  EXPECT_TRUE(altered([](proto::StoredEncoder&) {}).ok());
  EXPECT_EQ(altered([](proto::StoredEncoder& s) { s.mutable_fde()->mutable_hyperplanes()->pop_back(); }).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(altered([](proto::StoredEncoder& s) { s.mutable_fde()->clear_thresholds(); }).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(altered([](proto::StoredEncoder& s) { s.mutable_spec()->mutable_fde()->set_repetitions(20000); }).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(altered([](proto::StoredEncoder& s) { s.clear_fde(); }).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(altered([](proto::StoredEncoder& s) { s.set_public_random_scheme(99); }).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DeserializeEncoder(SealEnvelope("encoder", 2, envelope->payload)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(FdeEncoderTest, RefusesSpecificationsBeyondTheLimits) {
  const auto error = [](const proto::EncoderSpec& spec) {
    return std::string(FdeEncoder::Create(spec).status().message());
  };
  EXPECT_EQ(error(Spec(0, 1, 1, 1, FdeSpec::IDENTITY)),
            "token_dimension must be at least 1 and at most 65536, but is 0");
  EXPECT_EQ(error(Spec(8, 0, 1, 1, FdeSpec::SIGN_HADAMARD)),
            "repetitions must be at least 1 and at most 10000, but is 0");
  EXPECT_EQ(error(Spec(8, 1, 13, 1, FdeSpec::SIGN_HADAMARD)),
            "hyperplanes must be at least 0 and at most 12, but is 13");
  EXPECT_EQ(error(Spec(100, 1, 1, 129, FdeSpec::SIGN_HADAMARD)),
            "projected_dimension must be at least 1 and at most 128, but is 129");
  EXPECT_EQ(error(Spec(8, 1, 1, 4, FdeSpec::IDENTITY)),
            "projected_dimension must be the token dimension, 8, without a projection, but is 4");
  // 10,000 * 2^12 * 65,536 is beyond 32 and even 41 bits.
  EXPECT_EQ(error(Spec(65536, 10000, 12, 65536, FdeSpec::COUNT_SKETCH)),
            "repetitions * 2^hyperplanes * projected_dimension must be at least 1 and at most 65536, but is "
            "2684354560000");
  proto::EncoderSpec spec = Spec(64, 40, 6, 64, FdeSpec::IDENTITY);
  EXPECT_THAT(error(spec), ::testing::HasSubstr("at most 65536, but is 163840"));
  spec.mutable_fde()->set_final_dimension(1024);
  EXPECT_EQ(error(spec), "");
  spec.mutable_fde()->set_repetitions(10000);
  EXPECT_THAT(error(spec), ::testing::HasSubstr("at most 16777216, but is 40960000"));
  EXPECT_EQ(error(proto::EncoderSpec()), "the encoder must have an FDE specification");
}

TEST(FdeEncoderTest, Defaults) {
  proto::EncoderSpec spec;
  spec.set_token_dimension(128);
  spec.mutable_fde();
  const auto encoder = Make(spec);
  EXPECT_EQ(encoder->dimension(), 10240u);
  EXPECT_EQ(encoder->spec().fde().projection(), proto::FdeSpec_Projection_SIGN_HADAMARD);
  spec.set_token_dimension(8);
  EXPECT_EQ(Make(spec)->spec().fde().projection(), proto::FdeSpec_Projection_IDENTITY);
  EXPECT_EQ(Make(spec)->dimension(), 20u * 32 * 8);
}

TEST(FdeEncoderTest, RefusesBadInput) {
  const auto encoder = Make(Spec(4, 2, 2, 4, FdeSpec::IDENTITY));
  ThreadPool pool(1);
  const auto error = [&](TokenSetsView sets, size_t places) {
    std::vector<float> out(places);
    return std::string(encoder->EncodeDocuments(sets, pool, absl::MakeSpan(out)).message());
  };
  const TokenSets sets = RandomSets(4, {2, 3}, 1);
  EXPECT_EQ(error(sets.view(), 2 * 32), "");
  EXPECT_EQ(error(sets.view(), 2 * 32 - 1), "the output must have 2 x 32 places, but has 63");
  EXPECT_EQ(error(RandomSets(5, {2}, 1).view(), 32),
            "the tokens of a document must have the encoder's dimension, 4, but have 5");
  TokenSets bad = RandomSets(4, {2, 0, 3}, 1);
  std::vector<float> tokens(bad.view().all().data, bad.view().all().data + 20);
  tokens[4 * 4 + 1] = std::nanf("");
  TokenSetsView view = bad.view();
  view.tokens = tokens.data();
  EXPECT_EQ(error(view, 3 * 32), "column 1 of token 2 of document 2 must be finite, but is nan");
  tokens[4 * 4 + 1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(error(view.Slice(2, 3), 32), "column 1 of token 2 of document 0 must be finite, but is inf");
  EXPECT_EQ(error(view.Slice(0, 2), 2 * 32), "");
}

TEST(FdeEncoderTest, EmptySetsAreZero) {
  const auto encoder = Make(Spec(4, 2, 2, 4, FdeSpec::IDENTITY));
  const TokenSets sets = RandomSets(4, {0, 0}, 1);
  for (Role role : {Role::kQuery, Role::kDocument}) {
    for (float value : Encode(*encoder, role, sets.view())) EXPECT_EQ(value, 0);
    EXPECT_TRUE(Encode(*encoder, role, TokenSets(4).view()).empty());
  }
}

}  // namespace
}  // namespace dpkde
