#include "dpkde/index/encoding/regression_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "dpkde/base/sha256.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/encoding/fde_encoder.h"
#include "dpkde/io/envelope.h"

namespace dpkde {
namespace {

// Words are unit vectors in clusters; documents and queries draw words of one or two clusters.
class Words {
 public:
  Words(size_t dimension, size_t count, uint64_t seed) : engine_(seed), dimension_(dimension) {
    boost::random::normal_distribution<double> normal;
    std::vector<double> centre(dimension);
    for (size_t w = 0; w < count; ++w) {
      if (w % kCluster == 0) {
        for (double& value : centre) value = normal(engine_);
      }
      std::vector<double> word(dimension);
      double squares = 0;
      for (size_t i = 0; i < dimension; ++i) {
        word[i] = centre[i] + 0.7 * normal(engine_) + 0.5;
        squares += word[i] * word[i];
      }
      for (double value : word) words_.push_back(static_cast<float>(value / std::sqrt(squares)));
    }
  }

  void AppendTo(TokenSets& sets, size_t tokens) {
    const size_t clusters = words_.size() / dimension_ / kCluster;
    boost::random::uniform_int_distribution<size_t> cluster(0, clusters - 1), word(0, kCluster - 1);
    const size_t two[2] = {cluster(engine_), cluster(engine_)};
    std::vector<float> set;
    for (size_t t = 0; t < tokens; ++t) {
      const float* from = &words_[(two[t % 2] * kCluster + word(engine_)) * dimension_];
      set.insert(set.end(), from, from + dimension_);
    }
    sets.Append({set.data(), tokens, dimension_});
  }

  TokenSets Sets(size_t count, size_t tokens) {
    TokenSets sets(dimension_);
    for (size_t i = 0; i < count; ++i) AppendTo(sets, tokens);
    return sets;
  }

 private:
  static constexpr size_t kCluster = 8;
  boost::random::mt19937_64 engine_;
  size_t dimension_;
  std::vector<float> words_;
};

proto::EncoderSpec Spec(uint32_t features, uint32_t anchors, uint32_t rank) {
  proto::EncoderSpec spec;
  spec.set_public_seed(3);
  spec.mutable_regression()->set_features(features);
  spec.mutable_regression()->set_anchors(anchors);
  spec.mutable_regression()->set_rank(rank);
  return spec;
}

std::unique_ptr<const RegressionEncoder> Train(const proto::EncoderSpec& spec, TokenSetsView sample, int threads = 2) {
  ThreadPool pool(threads);
  auto encoder = RegressionEncoder::Train(spec, sample, pool);
  EXPECT_TRUE(encoder.ok()) << encoder.status();
  return *std::move(encoder);
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

double MaxSim(absl::Span<const float> token, MatrixView document) {
  double best = -std::numeric_limits<double>::infinity();
  for (size_t p = 0; p < document.rows; ++p) {
    best = std::max(best, std::inner_product(token.begin(), token.end(), document.row(p).begin(), 0.0));
  }
  return best;
}

double Chamfer(MatrixView query, MatrixView document) {
  double sum = 0;
  for (size_t q = 0; q < query.rows; ++q) sum += MaxSim(query.row(q), document);
  return sum;
}

double Score(const std::vector<float>& queries, const std::vector<float>& documents, size_t q, size_t p, size_t d) {
  return std::inner_product(&queries[q * d], &queries[q * d] + d, &documents[p * d], 0.0);
}

// ---- The definition, slowly: weighted normal equations, solved by elimination.

std::vector<double> Solve(std::vector<double> matrix, std::vector<double> right) {
  const size_t n = right.size();
  for (size_t i = 0; i < n; ++i) {
    size_t pivot = i;
    for (size_t r = i + 1; r < n; ++r) {
      if (std::abs(matrix[r * n + i]) > std::abs(matrix[pivot * n + i])) pivot = r;
    }
    for (size_t j = 0; j < n; ++j) std::swap(matrix[i * n + j], matrix[pivot * n + j]);
    std::swap(right[i], right[pivot]);
    for (size_t r = i + 1; r < n; ++r) {
      const double factor = matrix[r * n + i] / matrix[i * n + i];
      for (size_t j = i; j < n; ++j) matrix[r * n + j] -= factor * matrix[i * n + j];
      right[r] -= factor * right[i];
    }
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t j = i + 1; j < n; ++j) right[i] -= matrix[i * n + j] * right[j];
    right[i] /= matrix[i * n + i];
  }
  return right;
}

// At full rank a score is sum_q <features(q), w_P> less the same with the mean document: differences of scores between
// documents are those of ridge regression itself, whatever the rotation.
TEST(RegressionEncoderTest, EqualsSlowRidgeRegression) {
  const size_t d = 5;
  Words words(d, 64, 1);
  const TokenSets sample = words.Sets(200, 6);
  const TokenSets queries = words.Sets(10, 4), documents = words.Sets(12, 7);
  proto::EncoderSpec spec = Spec(12, 40, 1000);  // fewer anchors than words: those that occur most often
  spec.mutable_regression()->set_ridge(1e-2);

  const auto encoder = Train(spec, sample.view());
  ASSERT_EQ(encoder->dimension(), 12 + d + 1);
  EXPECT_EQ(encoder->spec().regression().anchors(), 40u);

  std::map<std::vector<float>, double> occurrences;
  std::vector<double> mean(d, 0);
  for (size_t t = 0; t < sample.view().token_count(); ++t) {
    const auto token = sample.view().all().row(t);
    occurrences[std::vector<float>(token.begin(), token.end())] += 1;
    for (size_t i = 0; i < d; ++i) mean[i] += token[i] / sample.view().token_count();
  }
  // Anchors, weights and directions as they are stored.
  proto::StoredEncoder stored;
  ASSERT_TRUE(stored.ParseFromString(std::string(OpenEnvelope("encoder", 1, encoder->Serialize())->payload)));
  const auto floats = [](const std::string& bytes) {
    const float* data = reinterpret_cast<const float*>(bytes.data());
    return std::vector<float>(data, data + bytes.size() / sizeof(float));
  };
  const std::vector<float> anchors = floats(stored.regression().anchors());
  const std::vector<float> directions = floats(stored.regression().directions());
  std::vector<double> counts;
  double least_chosen = 1e9;
  for (size_t a = 0; a < 40; ++a) {
    const std::vector<float> token(&anchors[a * d], &anchors[a * d] + d);
    ASSERT_EQ(occurrences.count(token), 1u);
    counts.push_back(occurrences[token]);
    least_chosen = std::min(least_chosen, occurrences[token]);
    occurrences.erase(token);
  }
  for (const auto& [token, count] : occurrences) EXPECT_LE(count, least_chosen);

  const auto features = [&](absl::Span<const float> token) {
    std::vector<double> values;
    for (size_t j = 0; j < 12; ++j) {
      double sum = 0;
      for (size_t i = 0; i < d; ++i) sum += directions[j * d + i] * (token[i] - mean[i]);
      values.push_back(std::max(sum, 0.0));
    }
    values.insert(values.end(), token.begin(), token.end());
    values.push_back(1);
    return values;
  };
  const size_t width = encoder->dimension();
  std::vector<double> gram(width * width, 0);
  std::vector<std::vector<double>> right(documents.size(), std::vector<double>(width, 0));
  for (size_t a = 0; a < 40; ++a) {
    const absl::Span<const float> anchor(&anchors[a * d], d);
    const std::vector<double> phi = features(anchor);
    const double weight = std::sqrt(counts[a]);
    for (size_t i = 0; i < width; ++i) {
      for (size_t j = 0; j < width; ++j) gram[i * width + j] += weight * phi[i] * phi[j];
      for (size_t p = 0; p < documents.size(); ++p) {
        right[p][i] += weight * phi[i] * MaxSim(anchor, documents.view().set(p));
      }
    }
  }
  double trace = 0;
  for (size_t i = 0; i < width; ++i) trace += gram[i * width + i];
  for (size_t i = 0; i < width; ++i) gram[i * width + i] += 1e-2 * trace / width;

  const std::vector<float> q = Encode(*encoder, Role::kQuery, queries.view());
  const std::vector<float> p = Encode(*encoder, Role::kDocument, documents.view());
  for (size_t i = 0; i < queries.size(); ++i) {
    std::vector<double> expected;
    for (size_t j = 0; j < documents.size(); ++j) {
      const std::vector<double> w = Solve(gram, right[j]);
      double sum = 0;
      for (size_t t = 0; t < queries.view().set(i).rows; ++t) {
        const std::vector<double> phi = features(queries.view().set(i).row(t));
        sum += std::inner_product(phi.begin(), phi.end(), w.begin(), 0.0);
      }
      expected.push_back(sum);
    }
    for (size_t j = 1; j < documents.size(); ++j) {
      ASSERT_NEAR(Score(q, p, i, j, width) - Score(q, p, i, 0, width), expected[j] - expected[0], 1e-3)
          << i << " " << j;
    }
  }
}

// The share of queries whose best document by Chamfer is among the best `candidates` by score.
double Found(const std::vector<float>& q, const std::vector<float>& p, const TokenSets& queries,
             const TokenSets& documents, size_t candidates) {
  const size_t d = q.size() / queries.size();
  int found = 0;
  for (size_t i = 0; i < queries.size(); ++i) {
    double best = -1e9;
    size_t winner = 0;
    for (size_t j = 0; j < documents.size(); ++j) {
      const double exact = Chamfer(queries.view().set(i), documents.view().set(j));
      if (exact > best) {
        best = exact;
        winner = j;
      }
    }
    size_t better = 0;
    for (size_t j = 0; j < documents.size(); ++j) better += Score(q, p, i, j, d) > Score(q, p, i, winner, d);
    found += better < candidates;
  }
  return static_cast<double>(found) / queries.size();
}

TEST(RegressionEncoderTest, FindsWhatChamferFinds) {
  Words words(16, 400, 2);
  const TokenSets documents = words.Sets(600, 8), queries = words.Sets(100, 4);
  const auto whole = Train(Spec(256, 400, 1000), documents.view());
  const std::vector<float> q = Encode(*whole, Role::kQuery, queries.view());
  const std::vector<float> p = Encode(*whole, Role::kDocument, documents.view());
  EXPECT_GT(Found(q, p, queries, documents, 5), 0.95);
  // The control: the documents' vectors in another order find next to nothing.
  std::vector<float> shuffled(p.begin() + whole->dimension(), p.end());
  shuffled.insert(shuffled.end(), p.begin(), p.begin() + whole->dimension());
  EXPECT_LT(Found(q, shuffled, queries, documents, 5), 0.2);

  // Cut to the principal coordinates it still finds most; either layout of them alike.
  for (auto layout : {proto::RegressionSpec_Layout_ROTATED, proto::RegressionSpec_Layout_PRINCIPAL}) {
    proto::EncoderSpec spec = Spec(256, 400, 64);
    spec.mutable_regression()->set_layout(layout);
    const auto cut = Train(spec, documents.view());
    ASSERT_EQ(cut->dimension(), 64u);
    const std::vector<float> y = Encode(*cut, Role::kDocument, documents.view());
    EXPECT_GT(Found(Encode(*cut, Role::kQuery, queries.view()), y, queries, documents, 5), 0.85);
    std::vector<double> variance(64, 0);
    for (size_t i = 0; i < y.size(); ++i) variance[i % 64] += static_cast<double>(y[i]) * y[i];
    const double spread =
        *std::max_element(variance.begin(), variance.end()) / *std::min_element(variance.begin(), variance.end());
    if (layout == proto::RegressionSpec_Layout_ROTATED) {
      EXPECT_LT(spread, 20);
    } else {
      EXPECT_GT(spread, 20);
      EXPECT_GT(variance[0], variance[20]);
      EXPECT_GT(variance[20], variance[63]);
    }
  }
}

std::vector<float> Directions(const Encoder& encoder) {
  proto::StoredEncoder stored;
  EXPECT_TRUE(stored.ParseFromString(std::string(OpenEnvelope("encoder", 1, encoder.Serialize())->payload)));
  const std::string& bytes = stored.regression().directions();
  const float* data = reinterpret_cast<const float*>(bytes.data());
  return std::vector<float>(data, data + bytes.size() / sizeof(float));
}

TEST(RegressionEncoderTest, StructuredDirectionsAreOrthogonalInBlocks) {
  Words words(16, 80, 8);
  const TokenSets documents = words.Sets(100, 5), queries = words.Sets(40, 4);
  proto::EncoderSpec spec = Spec(70, 80, 1000);
  const std::vector<float> gaussian = Directions(*Train(spec, documents.view()));
  spec.mutable_regression()->set_directions(proto::RegressionSpec::STRUCTURED);
  const auto encoder = Train(spec, documents.view());
  const std::vector<float> structured = Directions(*encoder);
  ASSERT_EQ(structured.size(), 70u * 16);
  const auto product = [](const std::vector<float>& rows, size_t i, size_t j) {
    return std::inner_product(&rows[i * 16], &rows[i * 16] + 16, &rows[j * 16], 0.0);
  };
  double across = 0, control = 0;
  for (size_t i = 0; i < 70; ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (i / 16 == j / 16) {
        ASSERT_NEAR(product(structured, i, j), 0, 1e-6);
        control = std::max(control, std::abs(product(gaussian, i, j)));
      } else {
        across = std::max(across, std::abs(product(structured, i, j)));
      }
    }
    ASSERT_NEAR(product(structured, i, i), 1, 1e-6);
  }
  EXPECT_GT(across, 0.3);   // blocks are independent
  EXPECT_GT(control, 0.3);  // normal directions are not orthogonal
  EXPECT_GT(Found(Encode(*encoder, Role::kQuery, queries.view()), Encode(*encoder, Role::kDocument, documents.view()),
                  queries, documents, 5),
            0.8);

  // A dimension that is no power of 2: lengths are 1 in the mean.
  Words odd(11, 40, 9);
  proto::EncoderSpec other = spec;
  other.mutable_regression()->set_features(64);
  const std::vector<float> rows = Directions(*Train(other, odd.Sets(30, 4).view()));
  EXPECT_NEAR(std::inner_product(rows.begin(), rows.end(), rows.begin(), 0.0), 64, 1e-3);
}

// What a seed means may never change.
TEST(RegressionEncoderTest, GoldenDirections) {
  Words words(24, 40, 10);
  const TokenSets sample = words.Sets(30, 4);
  const auto digest = [&](auto kind) {
    proto::EncoderSpec spec = Spec(50, 40, 10);
    spec.mutable_regression()->set_directions(kind);
    const std::vector<float> rows = Directions(*Train(spec, sample.view()));
    return HexString(Sha256({reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(float)})).substr(0, 16);
  };
  EXPECT_EQ(digest(proto::RegressionSpec::GAUSSIAN), "5fc21bdacc6864c7");
  EXPECT_EQ(digest(proto::RegressionSpec::STRUCTURED), "8a71938d77886426");
}

TEST(RegressionEncoderTest, ASetsBitsDependOnThatSetAlone) {
  Words words(12, 80, 4);
  TokenSets sets = words.Sets(70, 6);
  words.AppendTo(sets, 0);
  words.AppendTo(sets, 1500);
  words.AppendTo(sets, 1);
  const auto encoder = Train(Spec(64, 50, 40), sets.view());
  for (Role role : {Role::kQuery, Role::kDocument}) {
    const std::vector<float> together = Encode(*encoder, role, sets.view(), 1);
    EXPECT_EQ(together, Encode(*encoder, role, sets.view(), 3));
    for (size_t i = 0; i < sets.size(); ++i) {
      const std::vector<float> alone = Encode(*encoder, role, sets.view().Slice(i, i + 1));
      ASSERT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + i * 40)) << i;
    }
    // No tokens: zero.
    for (size_t j = 0; j < 40; ++j) EXPECT_EQ(together[70 * 40 + j], 0);
  }
}

TEST(RegressionEncoderTest, SurvivesStorage) {
  Words words(12, 80, 5);
  const TokenSets sets = words.Sets(60, 6), later = words.Sets(20, 9);
  const auto made = Train(Spec(64, 50, 40), sets.view());
  const std::string bytes = made->Serialize();
  const auto read = DeserializeEncoder(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->fingerprint(), made->fingerprint());
  EXPECT_EQ((*read)->Serialize(), bytes);
  // Documents that nobody had seen get the same vectors from both.
  for (Role role : {Role::kQuery, Role::kDocument}) {
    EXPECT_EQ(Encode(**read, role, later.view()), Encode(*made, role, later.view()));
  }
  for (size_t i = 0; i < bytes.size(); i += 997) {
    std::string flipped = bytes;
    flipped[i] ^= 1;
    EXPECT_FALSE(DeserializeEncoder(flipped).ok()) << i;
  }
  const auto altered = [&](auto change) {
    proto::StoredEncoder stored;
    EXPECT_TRUE(stored.ParseFromString(std::string(OpenEnvelope("encoder", 1, bytes)->payload)));
    change(*stored.mutable_regression());
    return DeserializeEncoder(SealEnvelope("encoder", 1, stored.SerializeAsString())).status();
  };
  EXPECT_TRUE(altered([](proto::StoredRegression&) {}).ok());
  EXPECT_EQ(altered([](proto::StoredRegression& r) { r.clear_anchors(); }).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(altered([](proto::StoredRegression& r) { r.mutable_offset()->append("1234"); }).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(altered([](proto::StoredRegression& r) {
              const float nan = std::nanf("");
              r.mutable_query_operator()->replace(0, 4, reinterpret_cast<const char*>(&nan), 4);
            }).code(),
            absl::StatusCode::kDataLoss);
}

TEST(RegressionEncoderTest, Refusals) {
  ThreadPool pool(1);
  Words words(6, 16, 6);
  const TokenSets sets = words.Sets(5, 3);
  const auto error = [&](const proto::EncoderSpec& spec, TokenSetsView sample) {
    return std::string(RegressionEncoder::Train(spec, sample, pool).status().message());
  };
  EXPECT_EQ(error(Spec(8, 8, 8), TokenSets(6).view()),
            "a regression encoder needs a sample of tokens; one without any corpus is fde");
  TokenSets empty(6);
  words.AppendTo(empty, 0);
  EXPECT_EQ(error(Spec(8, 8, 8), empty.view()),
            "a regression encoder needs a sample of tokens; one without any corpus is fde");
  EXPECT_EQ(error(Spec(0, 8, 8), sets.view()), "features must be at least 1 and at most 8192, but is 0");
  EXPECT_EQ(error(Spec(8, 70000, 8), sets.view()), "anchors must be at least 1 and at most 65536, but is 70000");
  EXPECT_EQ(error(Spec(8, 8, 0), sets.view()), "rank must be at least 1 and at most 8192, but is 0");
  proto::EncoderSpec spec = Spec(8, 8, 8);
  spec.mutable_regression()->set_ridge(0);
  EXPECT_EQ(error(spec, sets.view()), "ridge must be at least 1e-9 and at most 1, but is 0");
  spec = Spec(8, 8, 8);
  spec.set_token_dimension(7);
  EXPECT_EQ(error(spec, sets.view()), "the sample's tokens must have dimension 7, but have 6");

  const auto encoder = Train(Spec(8, 8, 8), sets.view());
  EXPECT_EQ(encoder->token_dimension(), 6u);
  std::vector<float> out(5 * 8);
  EXPECT_EQ(encoder->EncodeQueries(Words(7, 8, 1).Sets(5, 1).view(), pool, absl::MakeSpan(out)).message(),
            "the tokens of a query must have the encoder's dimension, 6, but have 7");
  std::vector<float> bad(6, std::numeric_limits<float>::infinity());
  TokenSets infinite(6);
  infinite.Append({bad.data(), 1, 6});
  EXPECT_EQ(encoder->EncodeDocuments(infinite.view(), pool, absl::MakeSpan(out).subspan(0, 8)).message(),
            "column 0 of token 0 of document 0 must be finite, but is inf");
  EXPECT_EQ(error(Spec(8, 8, 8), infinite.view()), "the sample's tokens must be finite");
}

// One document, one token: nothing varies, and still an encoder comes out.
TEST(RegressionEncoderTest, SmallestSample) {
  Words words(3, 8, 7);
  const TokenSets one = words.Sets(1, 1);
  const auto encoder = Train(Spec(4, 10, 100), one.view());
  EXPECT_EQ(encoder->dimension(), 8u);
  for (float value : Encode(*encoder, Role::kDocument, words.Sets(3, 2).view())) EXPECT_TRUE(std::isfinite(value));
}

}  // namespace
}  // namespace dpkde
