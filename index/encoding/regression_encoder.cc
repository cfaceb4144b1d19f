#include "dpkde/index/encoding/regression_encoder.h"

#include <algorithm>
#include <boost/random/normal_distribution.hpp>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/index/encoding/gram_factor.h"
#include "dpkde/index/encoding/principal_rows.h"
#include "dpkde/index/encoding/stored_encoder.h"
#include "dpkde/index/maxsim/maxsim.h"
#include "dpkde/io/floats.h"

namespace dpkde {

namespace {

constexpr int64_t kMaxDimension = 65536;

// Tokens of the sample that anchors are drawn from; and documents that tell the principal coordinates: so many, and so
// many for each coordinate that is kept.
constexpr size_t kMaxSampleTokens = size_t{1} << 20;
constexpr size_t kSampleDocuments = 8192;
constexpr size_t kSampleDocumentsPerRank = 4;

// Documents whose similarities to the anchors are held at a time, and likewise tokens whose features are.
constexpr size_t kBatchDocuments = 512;
constexpr size_t kBatchTokens = 1024;

// Fills in every default and checks every field.
absl::Status Complete(proto::EncoderSpec& spec) {
  if (!spec.has_regression()) return absl::InvalidArgumentError("the encoder must have a regression specification");
  DPKDE_RETURN_IF_ERROR(CheckInRange("token_dimension", spec.token_dimension(), 1, kMaxDimension));
  proto::RegressionSpec& regression = *spec.mutable_regression();
  if (!regression.has_features()) regression.set_features(4096);
  if (!regression.has_anchors()) regression.set_anchors(12000);
  if (!regression.has_rank()) regression.set_rank(1024);
  if (!regression.has_ridge()) regression.set_ridge(1e-3);
  DPKDE_RETURN_IF_ERROR(CheckInRange("features", regression.features(), 1, 8192));
  DPKDE_RETURN_IF_ERROR(CheckInRange("anchors", regression.anchors(), 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("rank", regression.rank(), 1, 8192));
  if (!(regression.ridge() >= 1e-9 && regression.ridge() <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("ridge must be at least 1e-9 and at most 1, but is ", regression.ridge()));
  }
  if (!proto::RegressionSpec::Layout_IsValid(regression.layout())) return absl::InvalidArgumentError("unknown layout");
  if (!proto::RegressionSpec::Directions_IsValid(regression.directions())) {
    return absl::InvalidArgumentError("unknown directions");
  }
  regression.set_rank(std::min<uint32_t>(regression.rank(), regression.features() + spec.token_dimension() + 1));
  return absl::OkStatus();
}

size_t FeatureCount(const proto::EncoderSpec& spec) {
  return size_t{spec.regression().features()} + spec.token_dimension() + 1;
}

std::vector<float> Transposed(const float* matrix, size_t rows, size_t columns) {
  std::vector<float> transposed(rows * columns);
  constexpr size_t kBlock = 32;
  for (size_t first = 0; first < columns; first += kBlock) {
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = first; j < std::min(first + kBlock, columns); ++j) {
        transposed[j * rows + i] = matrix[i * columns + j];
      }
    }
  }
  return transposed;
}

// Adds the features of tokens[i] to row row_of[i] of `sums`, in the order of the tokens.
void AddFeatures(MatrixView tokens, absl::Span<const size_t> row_of, const std::vector<float>& mean,
                 const PackedMatrix& directions, ThreadPool& pool, float* sums) {
  const size_t d = tokens.columns, m = directions.rows(), width = m + d + 1;
  std::vector<float> centred(std::min(kBatchTokens, tokens.rows) * d);
  std::vector<float> products(std::min(kBatchTokens, tokens.rows) * m);
  for (size_t first = 0; first < tokens.rows; first += kBatchTokens) {
    const MatrixView batch = tokens.Slice(first, std::min(first + kBatchTokens, tokens.rows));
    for (size_t i = 0; i < batch.rows; ++i) {
      for (size_t j = 0; j < d; ++j) centred[i * d + j] = batch.data[i * d + j] - mean[j];
    }
    MatrixProduct({centred.data(), batch.rows, d}, directions, pool, products.data());
    pool.ParallelFor(m, 512, [&](size_t begin, size_t end, int) {
      for (size_t i = 0; i < batch.rows; ++i) {
        float* to = sums + row_of[first + i] * width;
        for (size_t j = begin; j < end; ++j) to[j] += std::max(products[i * m + j], 0.0f);
      }
    });
    for (size_t i = 0; i < batch.rows; ++i) {
      float* to = sums + row_of[first + i] * width + m;
      for (size_t j = 0; j < d; ++j) to[j] += batch.data[i * d + j];
      to[d] += 1;
    }
  }
}

// One row a token.
std::vector<float> Features(MatrixView tokens, const std::vector<float>& mean, const PackedMatrix& directions,
                            ThreadPool& pool) {
  std::vector<float> features(tokens.rows * (directions.rows() + tokens.columns + 1));
  std::vector<size_t> rows(tokens.rows);
  std::iota(rows.begin(), rows.end(), size_t{0});
  AddFeatures(tokens, rows, mean, directions, pool, features.data());
  return features;
}

void ScaleRows(absl::Span<const float> scales, size_t columns, float* matrix) {
  for (size_t i = 0; i < scales.size(); ++i) {
    for (size_t j = 0; j < columns; ++j) matrix[i * columns + j] *= scales[i];
  }
}

// features x token dimension, of length 1 in the mean.
std::vector<float> DrawDirections(const proto::EncoderSpec& spec) {
  const size_t d = spec.token_dimension(), features = spec.regression().features();
  std::vector<float> directions;
  directions.reserve(features * d);
  if (spec.regression().directions() == proto::RegressionSpec::GAUSSIAN) {
    PublicStreams streams(spec.public_seed(), "regression features");
    for (size_t j = 0; j < features; ++j) {
      auto engine = streams.At(j);
      boost::random::normal_distribution<double> normal(0, 1 / std::sqrt(static_cast<double>(d)));
      for (size_t i = 0; i < d; ++i) directions.push_back(static_cast<float>(normal(engine)));
    }
    return directions;
  }
  size_t order = 1;
  while (order < d) order *= 2;
  for (size_t block = 0; block * order < features; ++block) {
    auto engine = PublicStream(spec.public_seed(), "regression structured features", block);
    // (H D)^3 with signs D, all columns at a time: column i begins as unit vector i.
    std::vector<double> columns(order * d, 0);
    for (size_t i = 0; i < d; ++i) columns[i * order + i] = 1;
    for (int factor = 0; factor < 3; ++factor) {
      std::vector<double> signs(order);
      for (double& sign : signs) sign = engine() >> 63 ? -1 : 1;
      for (size_t i = 0; i < d; ++i) {
        double* column = &columns[i * order];
        for (size_t k = 0; k < order; ++k) column[k] *= signs[k];
        for (size_t half = 1; half < order; half *= 2) {
          for (size_t k = 0; k < order; ++k) {
            if (k & half) continue;
            const double low = column[k], high = column[k + half];
            column[k] = low + high;
            column[k + half] = low - high;
          }
        }
      }
    }
    // H^3 has the norm order^(3/2); of `order` coordinates d are kept.
    const double scale = 1 / (static_cast<double>(order) * std::sqrt(static_cast<double>(d)));
    for (size_t k = 0; k < std::min(order, features - block * order); ++k) {
      for (size_t i = 0; i < d; ++i) directions.push_back(static_cast<float>(columns[i * order + k] * scale));
    }
  }
  return directions;
}

struct Anchors {
  std::vector<float> tokens;
  std::vector<float> weights;
};

// Distinct tokens of the sample: those that occur most often, since queries meet them most often too; among equals
// chance decides. A token weighs as much as the root of its occurrences.
Anchors DrawAnchors(MatrixView tokens, size_t count, uint64_t seed) {
  auto engine = PublicStream(seed, "regression anchors", 0);
  const double step = std::max(1.0, static_cast<double>(tokens.rows) / kMaxSampleTokens);
  struct Candidate {
    size_t row;
    double occurrences;
    uint64_t tie;
  };
  std::vector<Candidate> candidates;
  std::unordered_map<absl::string_view, size_t, absl::Hash<absl::string_view>> place;
  for (size_t i = 0; i * step < tokens.rows; ++i) {
    const size_t row = static_cast<size_t>(i * step);
    const absl::string_view bytes(reinterpret_cast<const char*>(tokens.row(row).data()),
                                  tokens.columns * sizeof(float));
    const auto inserted = place.emplace(bytes, candidates.size());
    if (inserted.second) {
      candidates.push_back({row, 1, engine()});
    } else {
      ++candidates[inserted.first->second].occurrences;
    }
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.occurrences != b.occurrences ? a.occurrences > b.occurrences : a.tie < b.tie;
  });
  candidates.resize(std::min(candidates.size(), count));
  Anchors anchors;
  for (const Candidate& candidate : candidates) {
    const auto token = tokens.row(candidate.row);
    anchors.tokens.insert(anchors.tokens.end(), token.begin(), token.end());
    anchors.weights.push_back(static_cast<float>(std::sqrt(candidate.occurrences)));
  }
  return anchors;
}

// Sets that have tokens, evenly spread.
TokenSets SampleDocuments(TokenSetsView sample, size_t rank) {
  std::vector<size_t> filled;
  for (size_t i = 0; i < sample.size(); ++i) {
    if (sample.set(i).rows > 0) filled.push_back(i);
  }
  TokenSets documents(sample.dimension);
  const size_t count = std::min(filled.size(), std::max(kSampleDocuments, kSampleDocumentsPerRank * rank));
  for (size_t i = 0; i < count; ++i) documents.Append(sample.set(filled[i * filled.size() / count]));
  return documents;
}

// documents x matrix.rows(): the matrix times each document's similarities to the anchors.
absl::Status MultiplyMaxima(TokenSetsView documents, MatrixView anchors, const PackedMatrix& matrix, ThreadPool& pool,
                            float* out) {
  std::vector<float> maxima(std::min(kBatchDocuments, documents.size()) * anchors.rows);
  for (size_t begin = 0; begin < documents.size(); begin += kBatchDocuments) {
    const size_t end = std::min(begin + kBatchDocuments, documents.size());
    const size_t values = (end - begin) * anchors.rows;
    DPKDE_RETURN_IF_ERROR(MaxSimMatrix(anchors, documents.Slice(begin, end), pool, absl::MakeSpan(&maxima[0], values)));
    MatrixProduct({maxima.data(), end - begin, anchors.rows}, matrix, pool, out + begin * matrix.rows());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<const RegressionEncoder>> RegressionEncoder::Train(const proto::EncoderSpec& spec,
                                                                                  TokenSetsView sample,
                                                                                  ThreadPool& pool) {
  proto::EncoderSpec complete = spec;
  if (complete.token_dimension() == 0) complete.set_token_dimension(static_cast<uint32_t>(sample.dimension));
  DPKDE_RETURN_IF_ERROR(Complete(complete));
  const size_t d = complete.token_dimension(), width = FeatureCount(complete), rank = complete.regression().rank();
  const MatrixView tokens = sample.all();
  if (sample.dimension != d) {
    return absl::InvalidArgumentError(
        absl::StrCat("the sample's tokens must have dimension ", d, ", but have ", sample.dimension));
  }
  if (tokens.rows == 0) {
    return absl::InvalidArgumentError("a regression encoder needs a sample of tokens; one without any corpus is fde");
  }
  if (FirstNonFinite(tokens.data, tokens.rows * d) != tokens.rows * d) {
    return absl::InvalidArgumentError("the sample's tokens must be finite");
  }

  Matrices matrices;
  std::vector<double> mean(d);
  for (size_t i = 0; i < tokens.rows; ++i) {
    for (size_t j = 0; j < d; ++j) mean[j] += tokens.data[i * d + j];
  }
  for (double value : mean) matrices.mean.push_back(static_cast<float>(value / tokens.rows));
  matrices.directions = DrawDirections(complete);
  Anchors anchors = DrawAnchors(tokens, complete.regression().anchors(), complete.public_seed());
  complete.mutable_regression()->set_anchors(static_cast<uint32_t>(anchors.weights.size()));
  matrices.anchors = std::move(anchors.tokens);
  matrices.anchor_weights = std::move(anchors.weights);
  const MatrixView anchor_rows = {matrices.anchors.data(), matrices.anchor_weights.size(), d};

  // L^-1, lower triangular, of the weighted Gram matrix.
  const PackedMatrix directions({matrices.directions.data(), complete.regression().features(), d});
  std::vector<float> features = Features(anchor_rows, matrices.mean, directions, pool);
  std::vector<float> roots;
  for (float weight : matrices.anchor_weights) roots.push_back(std::sqrt(weight));
  ScaleRows(roots, width, features.data());
  DPKDE_ASSIGN_OR_RETURN(
      const std::vector<float> inverse_factor,
      InverseGramFactor({features.data(), anchor_rows.rows, width}, complete.regression().ridge(), pool));

  // The sample's documents in the metric of the features, centred: L^-1 Phi^T W (maxima).
  ScaleRows(roots, width, features.data());
  const PackedMatrix weighted_features({features.data(), anchor_rows.rows, width});
  std::vector<float>().swap(features);
  const TokenSets documents = SampleDocuments(sample, rank);
  std::vector<float> vectors(documents.size() * width);
  {
    std::vector<float> whitened(width * anchor_rows.rows);
    MatrixProduct({inverse_factor.data(), width, width}, weighted_features, pool, whitened.data());
    DPKDE_RETURN_IF_ERROR(MultiplyMaxima(
        documents.view(), anchor_rows, PackedMatrix({whitened.data(), width, anchor_rows.rows}), pool, vectors.data()));
  }
  std::vector<double> mean_vector(width);
  for (size_t i = 0; i < documents.size(); ++i) {
    for (size_t j = 0; j < width; ++j) mean_vector[j] += vectors[i * width + j];
  }
  for (double& value : mean_vector) value /= documents.size();
  for (size_t i = 0; i < documents.size(); ++i) {
    for (size_t j = 0; j < width; ++j) vectors[i * width + j] -= static_cast<float>(mean_vector[j]);
  }

  std::vector<float> kept =
      PrincipalRows({vectors.data(), documents.size(), width}, anchor_rows.rows, rank, complete.public_seed(), pool);
  std::vector<float>().swap(vectors);
  if (complete.regression().layout() == proto::RegressionSpec::ROTATED) {
    const std::vector<float> rotation = RandomRotation(rank, complete.public_seed(), pool);
    const std::vector<float> columns = Transposed(kept.data(), rank, width);
    MatrixProduct({rotation.data(), rank, rank}, PackedMatrix({columns.data(), width, rank}), pool, kept.data());
  }
  for (size_t i = 0; i < rank; ++i) {
    matrices.offset.push_back(
        static_cast<float>(std::inner_product(mean_vector.begin(), mean_vector.end(), kept.begin() + i * width, 0.0)));
  }
  matrices.query_operator.resize(rank * width);
  const std::vector<float> columns = Transposed(inverse_factor.data(), width, width);
  MatrixProduct({kept.data(), rank, width}, PackedMatrix({columns.data(), width, width}), pool,
                matrices.query_operator.data());
  return std::unique_ptr<const RegressionEncoder>(new RegressionEncoder(std::move(complete), std::move(matrices)));
}

absl::StatusOr<std::unique_ptr<const RegressionEncoder>> RegressionEncoder::FromStored(
    const proto::StoredEncoder& stored) {
  proto::EncoderSpec spec = stored.spec();
  DPKDE_RETURN_IF_ERROR(Complete(spec));
  const size_t d = spec.token_dimension(), rank = spec.regression().rank(), anchors = spec.regression().anchors();
  const size_t features = spec.regression().features();
  const proto::StoredRegression& arrays = stored.regression();
  Matrices matrices;
  DPKDE_ASSIGN_OR_RETURN(matrices.mean, FloatsFromBytes("mean", arrays.mean(), d));
  DPKDE_ASSIGN_OR_RETURN(matrices.directions, FloatsFromBytes("directions", arrays.directions(), features * d));
  DPKDE_ASSIGN_OR_RETURN(matrices.query_operator,
                         FloatsFromBytes("query_operator", arrays.query_operator(), rank * FeatureCount(spec)));
  DPKDE_ASSIGN_OR_RETURN(matrices.anchors, FloatsFromBytes("anchors", arrays.anchors(), anchors * d));
  DPKDE_ASSIGN_OR_RETURN(matrices.anchor_weights, FloatsFromBytes("anchor_weights", arrays.anchor_weights(), anchors));
  DPKDE_ASSIGN_OR_RETURN(matrices.offset, FloatsFromBytes("offset", arrays.offset(), rank));
  return std::unique_ptr<const RegressionEncoder>(new RegressionEncoder(std::move(spec), std::move(matrices)));
}

absl::StatusOr<std::unique_ptr<const RegressionEncoder>> RegressionEncoder::CutTo(size_t rank) const {
  DPKDE_RETURN_IF_ERROR(CheckInRange("rank", static_cast<int64_t>(rank), 1, static_cast<int64_t>(dimension_)));
  proto::EncoderSpec spec = spec_;
  spec.mutable_regression()->set_rank(static_cast<uint32_t>(rank));
  Matrices matrices = matrices_;
  matrices.query_operator.resize(rank * FeatureCount(spec_));
  matrices.offset.resize(rank);
  return std::unique_ptr<const RegressionEncoder>(new RegressionEncoder(std::move(spec), std::move(matrices)));
}

RegressionEncoder::RegressionEncoder(proto::EncoderSpec spec, Matrices matrices) : matrices_(std::move(matrices)) {
  spec_ = std::move(spec);
  dimension_ = spec_.regression().rank();
  directions_ = PackedMatrix({matrices_.directions.data(), spec_.regression().features(), token_dimension()});
  query_operator_ = PackedMatrix({matrices_.query_operator.data(), dimension_, FeatureCount(spec_)});
  fingerprint_ = StoredFingerprint(ToStored());
}

proto::StoredEncoder RegressionEncoder::ToStored() const {
  proto::StoredEncoder stored;
  *stored.mutable_spec() = spec_;
  stored.set_public_random_scheme(kPublicRandomScheme);
  proto::StoredRegression& arrays = *stored.mutable_regression();
  arrays.set_mean(FloatsToBytes(matrices_.mean));
  arrays.set_directions(FloatsToBytes(matrices_.directions));
  arrays.set_query_operator(FloatsToBytes(matrices_.query_operator));
  arrays.set_anchors(FloatsToBytes(matrices_.anchors));
  arrays.set_anchor_weights(FloatsToBytes(matrices_.anchor_weights));
  arrays.set_offset(FloatsToBytes(matrices_.offset));
  return stored;
}

std::string RegressionEncoder::Serialize() const { return SealStoredEncoder(ToStored()); }

absl::Status RegressionEncoder::EncodeQueries(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckEncoderSizes(*this, "query", sets, out));
  DPKDE_RETURN_IF_ERROR(CheckEncoderTokens(*this, "query", sets));
  constexpr size_t kBatchQueries = 256;
  const size_t width = FeatureCount(spec_);
  std::vector<float> sums(std::min(kBatchQueries, sets.size()) * width);
  std::vector<size_t> row_of;
  for (size_t begin = 0; begin < sets.size(); begin += kBatchQueries) {
    const TokenSetsView batch = sets.Slice(begin, std::min(begin + kBatchQueries, sets.size()));
    row_of.clear();
    for (size_t i = 0; i < batch.size(); ++i) row_of.insert(row_of.end(), batch.set(i).rows, i);
    std::fill(sums.begin(), sums.end(), 0.0f);
    AddFeatures(batch.all(), row_of, matrices_.mean, directions_, pool, sums.data());
    MatrixProduct({sums.data(), batch.size(), width}, query_operator_, pool, &out[begin * dimension_]);
  }
  return absl::OkStatus();
} catch (...) {
  return StatusOfException();
}

absl::Status RegressionEncoder::EncodeDocuments(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckEncoderSizes(*this, "document", sets, out));
  DPKDE_RETURN_IF_ERROR(CheckEncoderTokens(*this, "document", sets));
  if (sets.size() == 0) return absl::OkStatus();
  const MatrixView anchors = {matrices_.anchors.data(), matrices_.anchor_weights.size(), token_dimension()};
  DPKDE_RETURN_IF_ERROR(MultiplyMaxima(sets, anchors, DocumentOperator(pool), pool, out.data()));
  for (size_t i = 0; i < sets.size(); ++i) {
    float* vector = &out[i * dimension_];
    if (sets.set(i).rows == 0) {
      std::fill(vector, vector + dimension_, 0.0f);  // its similarities are minus infinity
    } else {
      for (size_t j = 0; j < dimension_; ++j) vector[j] -= matrices_.offset[j];
    }
  }
  return absl::OkStatus();
} catch (...) {
  return StatusOfException();
}

const PackedMatrix& RegressionEncoder::DocumentOperator(ThreadPool& pool) const {
  std::call_once(document_operator_made_, [&] {
    const size_t width = FeatureCount(spec_), count = matrices_.anchor_weights.size();
    std::vector<float> features =
        Features({matrices_.anchors.data(), count, token_dimension()}, matrices_.mean, directions_, pool);
    ScaleRows(matrices_.anchor_weights, width, features.data());
    std::vector<float> product(dimension_ * count);
    MatrixProduct({matrices_.query_operator.data(), dimension_, width}, PackedMatrix({features.data(), count, width}),
                  pool, product.data());
    document_operator_ = PackedMatrix({product.data(), dimension_, count});
  });
  return document_operator_;
}

}  // namespace dpkde
