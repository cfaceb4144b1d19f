#include "dpkde/index/encoding/fde_encoder.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/symmetric_eigen.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/index/encoding/stored_encoder.h"
#include "dpkde/io/floats.h"

namespace dpkde {
namespace {

constexpr int64_t kMaxDimension = 65536;
constexpr int64_t kMaxIntermediate = int64_t{1} << 24;

// Tokens that are projected together, but for a set that has more of its own, and floats of their projections.
constexpr size_t kBatchTokens = 256;
constexpr size_t kProjectedFloats = size_t{1} << 18;

// From this many floats on, output is written past the caches.
constexpr size_t kStreamedFloats = size_t{1} << 21;

size_t RoundUpToPowerOfTwo(size_t value) {
  size_t power = 1;
  while (power < value) power *= 2;
  return power;
}

int Log2(size_t power) {
  int log = 0;
  while (size_t{1} << log < power) ++log;
  return log;
}

// Fills in every default and checks every field.
absl::Status Complete(proto::EncoderSpec& spec) {
  if (!spec.has_fde()) return absl::InvalidArgumentError("the encoder must have an FDE specification");
  DPKDE_RETURN_IF_ERROR(CheckInRange("token_dimension", spec.token_dimension(), 1, kMaxDimension));
  proto::FdeSpec& fde = *spec.mutable_fde();
  if (!fde.has_repetitions()) fde.set_repetitions(20);
  if (!fde.has_hyperplanes()) fde.set_hyperplanes(5);
  DPKDE_RETURN_IF_ERROR(CheckInRange("repetitions", fde.repetitions(), 1, 10000));
  DPKDE_RETURN_IF_ERROR(CheckInRange("hyperplanes", fde.hyperplanes(), 0, 12));
  if (!proto::FdeSpec::Projection_IsValid(fde.projection())) return absl::InvalidArgumentError("unknown projection");
  if (!proto::FdeSpec::Partition_IsValid(fde.partition())) return absl::InvalidArgumentError("unknown partition");
  const uint32_t d = spec.token_dimension();
  if (fde.projected_dimension() == 0) {
    fde.set_projected_dimension(fde.projection() == proto::FdeSpec::IDENTITY ? d : std::min<uint32_t>(d, 16));
  }
  if (fde.projection() == proto::FdeSpec::PROJECTION_UNSPECIFIED) {
    fde.set_projection(fde.projected_dimension() == d ? proto::FdeSpec::IDENTITY : proto::FdeSpec::SIGN_HADAMARD);
  }
  const int64_t most = fde.projection() == proto::FdeSpec::SIGN_HADAMARD ? RoundUpToPowerOfTwo(d) : kMaxDimension;
  DPKDE_RETURN_IF_ERROR(CheckInRange("projected_dimension", fde.projected_dimension(), 1, most));
  if (fde.projection() == proto::FdeSpec::IDENTITY && fde.projected_dimension() != d) {
    return absl::InvalidArgumentError(absl::StrCat("projected_dimension must be the token dimension, ", d,
                                                   ", without a projection, but is ", fde.projected_dimension()));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("final_dimension", fde.final_dimension(), 0, kMaxDimension));
  // At most 10,000 * 2^12 * 2^16: no overflow.
  const int64_t intermediate = (int64_t{fde.repetitions()} << fde.hyperplanes()) * int64_t{fde.projected_dimension()};
  return CheckInRange("repetitions * 2^hyperplanes * projected_dimension", intermediate, 1,
                      fde.final_dimension() > 0 ? kMaxIntermediate : kMaxDimension);
}

// Normals of all repetitions, of independent standard normal coordinates: streams are split by repetition.
std::vector<float> DrawNormals(const proto::EncoderSpec& spec) {
  const size_t count = size_t{spec.fde().hyperplanes()} * spec.token_dimension();
  std::vector<float> normals;
  normals.reserve(spec.fde().repetitions() * count);
  for (uint32_t r = 0; r < spec.fde().repetitions(); ++r) {
    auto engine = PublicStream(spec.public_seed(), "fde hyperplanes", r);
    boost::random::normal_distribution<double> normal;
    for (size_t i = 0; i < count; ++i) normals.push_back(static_cast<float>(normal(engine)));
  }
  return normals;
}

// A random linear map of the vector space of `from` bits onto that of `to` <= from bits: the images of the unit
// vectors.
template <typename Engine>
std::vector<uint32_t> DrawSurjection(int from, int to, Engine& engine) {
  while (true) {
    std::vector<uint32_t> images(from);
    for (uint32_t& image : images) image = static_cast<uint32_t>(engine() >> 32) & ((uint32_t{1} << to) - 1);
    // Rank by elimination: basis[b] has b as its highest bit.
    std::vector<uint32_t> basis(to, 0);
    int rank = 0;
    for (uint32_t rest : images) {
      for (int b = to - 1; b >= 0 && rest != 0; --b) {
        if ((rest >> b & 1) == 0) continue;
        if (basis[b] == 0) {
          basis[b] = rest;
          ++rank;
          break;
        }
        rest ^= basis[b];
      }
    }
    if (rank == to) return images;
  }
}

// Adds each token's projection to the block of its cell. kWidth is `width` where the compiler is to know it, else 0.
template <size_t kWidth>
void AddBlocks(const uint32_t* codes, const float* projected, size_t tokens, size_t width, float* blocks) {
  if (kWidth != 0) width = kWidth;
  for (size_t t = 0; t < tokens; ++t) {
    const float* from = projected + t * width;
    float* to = blocks + codes[t] * width;
    for (size_t j = 0; j < width; j += 4) {
      _mm_storeu_ps(to + j, _mm_add_ps(_mm_loadu_ps(to + j), _mm_loadu_ps(from + j)));
    }
  }
}

// to[j] = from[j] * scale; past the caches if `streaming`: what is written is not read again soon.
void Scale(const float* from, size_t count, float scale, bool streaming, float* to) {
  if (!streaming || reinterpret_cast<uintptr_t>(to) % 16 != 0 || count % 4 != 0) {
    for (size_t j = 0; j < count; ++j) to[j] = from[j] * scale;
    return;
  }
  const __m128 scales = _mm_set1_ps(scale);
  for (size_t j = 0; j < count; j += 4) _mm_stream_ps(to + j, _mm_mul_ps(_mm_loadu_ps(from + j), scales));
}

}  // namespace

struct FdeEncoder::Scratch {
  FdeKernelScratch kernel;
  std::vector<uint32_t> codes;
  std::vector<float> projected;
  // Of one repetition of one set: blocks are cells x BlockStride.
  std::vector<float> blocks;
  std::vector<uint32_t> counts;
  std::vector<uint32_t> nearest;
  std::vector<float> vector;  // before a final projection
};

absl::StatusOr<std::unique_ptr<const FdeEncoder>> FdeEncoder::Create(const proto::EncoderSpec& spec) {
  proto::EncoderSpec complete = spec;
  DPKDE_RETURN_IF_ERROR(Complete(complete));
  if (complete.fde().partition() == proto::FdeSpec::CALIBRATED) {
    return absl::InvalidArgumentError("a calibrated partition needs a sample of tokens");
  }
  std::vector<float> normals = DrawNormals(complete);
  std::vector<float> thresholds(normals.size() / complete.token_dimension(), 0);
  return Make(std::move(complete), std::move(normals), std::move(thresholds));
}

absl::StatusOr<std::unique_ptr<const FdeEncoder>> FdeEncoder::Calibrate(const proto::EncoderSpec& spec,
                                                                        TokenSetsView sample) {
  proto::EncoderSpec complete = spec;
  if (complete.token_dimension() == 0) complete.set_token_dimension(sample.dimension);
  DPKDE_RETURN_IF_ERROR(Complete(complete));
  if (complete.fde().partition() != proto::FdeSpec::CALIBRATED) {
    return absl::InvalidArgumentError("an oblivious partition is made without a sample of tokens");
  }
  const MatrixView tokens = sample.all();
  const size_t d = complete.token_dimension();
  if (sample.dimension != d) {
    return absl::InvalidArgumentError(
        absl::StrCat("the sample's tokens must have dimension ", d, ", but have ", sample.dimension));
  }
  if (tokens.rows == 0) return absl::InvalidArgumentError("a calibrated partition needs a sample of tokens");
  if (FirstNonFinite(tokens.data, tokens.rows * d) != tokens.rows * d) {
    return absl::InvalidArgumentError("the sample's tokens must be finite");
  }
  std::vector<double> mean(d);
  for (size_t t = 0; t < tokens.rows; ++t) {
    for (size_t i = 0; i < d; ++i) mean[i] += tokens.row(t)[i];
  }
  for (double& value : mean) value /= tokens.rows;
  std::vector<double> covariance(d * d);
  std::vector<double> centred(d);
  for (size_t t = 0; t < tokens.rows; ++t) {
    for (size_t i = 0; i < d; ++i) centred[i] = tokens.row(t)[i] - mean[i];
    for (size_t i = 0; i < d; ++i) {
      for (size_t j = 0; j <= i; ++j) covariance[i * d + j] += centred[i] * centred[j];
    }
  }
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = 0; j <= i; ++j) covariance[j * d + i] = covariance[i * d + j] /= tokens.rows;
  }
  DPKDE_ASSIGN_OR_RETURN(const SymmetricEigen eigen, EigenOfSymmetric(std::move(covariance), d));
  // Normals g become covariance^(1/4) g = sum_e lambda_e^(1/4) <g, v_e> v_e.
  std::vector<float> normals = DrawNormals(complete);
  std::vector<float> thresholds;
  std::vector<double> shaped(d);
  for (size_t h = 0; h * d < normals.size(); ++h) {
    std::fill(shaped.begin(), shaped.end(), 0.0);
    for (size_t e = 0; e < d; ++e) {
      const double* v = &eigen.vectors[e * d];
      const double weight =
          std::sqrt(std::sqrt(std::max(eigen.values[e], 0.0))) * std::inner_product(v, v + d, &normals[h * d], 0.0);
      for (size_t i = 0; i < d; ++i) shaped[i] += weight * v[i];
    }
    double threshold = 0;
    for (size_t i = 0; i < d; ++i) {
      normals[h * d + i] = static_cast<float>(shaped[i]);
      threshold += shaped[i] * mean[i];
    }
    thresholds.push_back(static_cast<float>(threshold));
  }
  return Make(std::move(complete), std::move(normals), std::move(thresholds));
}

absl::StatusOr<std::unique_ptr<const FdeEncoder>> FdeEncoder::FromStored(const proto::StoredEncoder& stored) {
  proto::EncoderSpec spec = stored.spec();
  DPKDE_RETURN_IF_ERROR(Complete(spec));
  const size_t planes = size_t{spec.fde().repetitions()} * spec.fde().hyperplanes();
  DPKDE_ASSIGN_OR_RETURN(std::vector<float> hyperplanes,
                         FloatsFromBytes("hyperplanes", stored.fde().hyperplanes(), planes * spec.token_dimension()));
  DPKDE_ASSIGN_OR_RETURN(std::vector<float> thresholds,
                         FloatsFromBytes("thresholds", stored.fde().thresholds(), planes));
  return Make(std::move(spec), std::move(hyperplanes), std::move(thresholds));
}

absl::StatusOr<std::unique_ptr<const FdeEncoder>> FdeEncoder::Make(proto::EncoderSpec spec,
                                                                   std::vector<float> hyperplanes,
                                                                   std::vector<float> thresholds) {
  auto encoder = std::unique_ptr<FdeEncoder>(new FdeEncoder());
  const proto::FdeSpec& fde = spec.fde();
  encoder->repetitions_ = fde.repetitions();
  encoder->plane_count_ = fde.hyperplanes();
  encoder->cells_ = size_t{1} << fde.hyperplanes();
  encoder->projected_ = fde.projected_dimension();
  encoder->dimension_ =
      fde.final_dimension() > 0 ? fde.final_dimension() : encoder->repetitions_ * encoder->cells_ * encoder->projected_;
  encoder->spec_ = std::move(spec);
  encoder->panels_ = MakeHyperplanePanels(hyperplanes, thresholds, encoder->token_dimension());
  encoder->hyperplanes_ = std::move(hyperplanes);
  encoder->thresholds_ = std::move(thresholds);
  encoder->MakeFolds();
  encoder->MakeFinalProjection();
  encoder->fingerprint_ = StoredFingerprint(encoder->ToStored());
  return encoder;
}

void FdeEncoder::MakeFolds() {
  const size_t d = token_dimension();
  const auto projection = spec_.fde().projection();
  const size_t space = RoundUpToPowerOfTwo(d);
  folds_.dimension = d;
  folds_.projected = projected_;
  folds_.hadamard = projection == proto::FdeSpec::SIGN_HADAMARD;
  folds_.buckets = folds_.hadamard ? RoundUpToPowerOfTwo(projected_) : projected_;
  if (folds_.hadamard) projection_scale_ = 1 / std::sqrt(static_cast<double>(projected_));
  std::vector<uint32_t> bucket_of(d);
  std::vector<float> signs(d, 1.0f);
  std::vector<uint32_t> kept(folds_.buckets);
  for (size_t r = 0; r < repetitions_; ++r) {
    auto engine = PublicStream(spec_.public_seed(), "fde inner projection", r);
    std::iota(kept.begin(), kept.end(), 0);
    if (projection == proto::FdeSpec::IDENTITY) {
      std::iota(bucket_of.begin(), bucket_of.end(), 0);
    } else {
      for (float& sign : signs) sign = engine() >> 63 ? -1.0f : 1.0f;
    }
    if (projection == proto::FdeSpec::COUNT_SKETCH) {
      boost::random::uniform_int_distribution<uint32_t> bucket(0, static_cast<uint32_t>(folds_.buckets) - 1);
      for (uint32_t& b : bucket_of) b = bucket(engine);
    }
    if (projection == proto::FdeSpec::SIGN_HADAMARD) {
      // Row M^T c of the Hadamard matrix, M a surjection and c any code of a bucket, has the entry (-1)^(c . M i) at
      // coordinate i: so these rows are the transform of the coordinates gathered by their images M i.
      const std::vector<uint32_t> images = DrawSurjection(Log2(space), Log2(folds_.buckets), engine);
      for (size_t i = 0; i < d; ++i) {
        bucket_of[i] = 0;
        for (size_t bit = 0; bit < images.size(); ++bit) {
          if (i >> bit & 1) bucket_of[i] ^= images[bit];
        }
      }
      for (size_t j = 0; j < projected_ && projected_ < folds_.buckets; ++j) {
        std::swap(kept[j], kept[boost::random::uniform_int_distribution<size_t>(j, folds_.buckets - 1)(engine)]);
      }
    }
    std::vector<uint32_t> order(d);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return bucket_of[a] < bucket_of[b]; });
    size_t end = 0;
    for (uint32_t b = 0; b < folds_.buckets; ++b) {
      while (end < d && bucket_of[order[end]] == b) ++end;
      folds_.bucket_end.push_back(static_cast<uint32_t>(end));
    }
    for (uint32_t i : order) folds_.entries.push_back({i, signs[i]});
    folds_.kept.insert(folds_.kept.end(), kept.begin(), kept.begin() + projected_);
  }
}

void FdeEncoder::MakeFinalProjection() {
  if (spec_.fde().final_dimension() == 0) return;
  boost::random::uniform_int_distribution<uint32_t> target(0, spec_.fde().final_dimension() - 1);
  for (size_t r = 0; r < repetitions_; ++r) {
    auto engine = PublicStream(spec_.public_seed(), "fde final projection", r);
    for (size_t i = 0; i < cells_ * projected_; ++i) {
      const uint32_t place = target(engine);
      final_targets_.push_back(2 * place + static_cast<uint32_t>(engine() >> 63));
    }
  }
}

proto::StoredEncoder FdeEncoder::ToStored() const {
  proto::StoredEncoder stored;
  *stored.mutable_spec() = spec_;
  stored.set_public_random_scheme(kPublicRandomScheme);
  stored.mutable_fde()->set_hyperplanes(FloatsToBytes(hyperplanes_));
  stored.mutable_fde()->set_thresholds(FloatsToBytes(thresholds_));
  return stored;
}

std::string FdeEncoder::Serialize() const { return SealStoredEncoder(ToStored()); }

std::vector<uint32_t> FdeEncoder::Codes(MatrixView tokens) const {
  std::vector<uint32_t> codes;
  Scratch scratch;
  const size_t stride = PaddedTokens(tokens.rows);
  scratch.codes.resize(stride);
  scratch.projected.resize(stride * BlockStride(projected_));
  for (size_t r = 0; r < repetitions_; ++r) {
    ProjectTokens(panels_, folds_, tokens, r, r + 1, plane_count_, scratch.kernel, scratch.codes.data(),
                  scratch.projected.data());
    codes.insert(codes.end(), scratch.codes.begin(), scratch.codes.begin() + tokens.rows);
  }
  return codes;
}

void FdeEncoder::AddUp(size_t repetition, size_t first, size_t tokens, size_t stride, Scratch& scratch) const {
  const size_t width = BlockStride(projected_);
  const uint32_t* codes = scratch.codes.data() + repetition * stride + first;
  const float* projected = scratch.projected.data() + (repetition * stride + first) * width;
  std::fill(scratch.blocks.begin(), scratch.blocks.end(), 0.0f);
  std::fill(scratch.counts.begin(), scratch.counts.end(), 0);
  for (size_t t = 0; t < tokens; ++t) ++scratch.counts[codes[t]];
  switch (width) {
    case 8:
      return AddBlocks<8>(codes, projected, tokens, width, scratch.blocks.data());
    case 16:
      return AddBlocks<16>(codes, projected, tokens, width, scratch.blocks.data());
    case 32:
      return AddBlocks<32>(codes, projected, tokens, width, scratch.blocks.data());
    default:
      return AddBlocks<0>(codes, projected, tokens, width, scratch.blocks.data());
  }
}

size_t FdeEncoder::RepetitionsTogether(size_t stride) const {
  const size_t floats = std::max<size_t>(1, stride * BlockStride(projected_));
  return std::max<size_t>(1, std::min(repetitions_, kProjectedFloats / floats));
}

void FdeEncoder::EncodeBatch(Role role, TokenSetsView batch, absl::Span<const float> upcoming, bool streaming,
                             Scratch& scratch, float* out) const {
  const MatrixView tokens = batch.all();
  const size_t block_stride = BlockStride(projected_);
  const size_t stride = PaddedTokens(tokens.rows);
  const bool has_final = !final_targets_.empty();
  const size_t width = cells_ * projected_;  // of a repetition
  const size_t together = RepetitionsTogether(stride);
  if (scratch.codes.size() < together * stride) scratch.codes.resize(together * stride);
  if (scratch.projected.size() < together * stride * block_stride) {
    scratch.projected.resize(together * stride * block_stride);
  }
  scratch.blocks.resize(cells_ * block_stride);
  scratch.counts.resize(cells_);
  scratch.nearest.resize(cells_);
  scratch.vector.resize(width);
  if (has_final) std::fill(out, out + batch.size() * dimension_, 0.0f);
  constexpr size_t kLine = 64 / sizeof(float);
  const size_t share = upcoming.size() / (batch.size() * repetitions_) + kLine;
  size_t fetched = 0;

  for (size_t begin = 0; begin < repetitions_; begin += together) {
    const size_t end = std::min(begin + together, repetitions_);
    ProjectTokens(panels_, folds_, tokens, begin, end, plane_count_, scratch.kernel, scratch.codes.data(),
                  scratch.projected.data());
    for (size_t set = 0; set < batch.size(); ++set) {
      const size_t first = batch.offsets[set] - batch.offsets.front();
      const size_t count = batch.offsets[set + 1] - batch.offsets[set];
      float* const row = out + set * dimension_;
      for (size_t r = begin; r < end; ++r) {
        for (const size_t last = std::min(fetched + share, upcoming.size()); fetched < last; fetched += kLine) {
          _mm_prefetch(reinterpret_cast<const char*>(&upcoming[fetched]), _MM_HINT_T1);
        }
        float* const to = has_final ? scratch.vector.data() : row + r * width;
        AddUp(r - begin, first, count, stride, scratch);
        if (role == Role::kQuery || count == 0) {
          ScaleQuery(scratch, streaming && !has_final, to);
        } else {
          MeanAndFill(r - begin, first, count, stride, scratch, streaming && !has_final, to);
        }
        if (!has_final) continue;
        const uint32_t* targets = final_targets_.data() + r * width;
        for (size_t i = 0; i < width; ++i) {
          row[targets[i] / 2] += targets[i] % 2 == 1 ? -scratch.vector[i] : scratch.vector[i];
        }
      }
    }
  }
}

void FdeEncoder::ScaleQuery(const Scratch& scratch, bool streaming, float* to) const {
  const float scale = static_cast<float>(projection_scale_ / repetitions_);
  const size_t block_stride = BlockStride(projected_);
  if (block_stride == projected_) return Scale(scratch.blocks.data(), cells_ * projected_, scale, streaming, to);
  for (size_t c = 0; c < cells_; ++c) {
    Scale(&scratch.blocks[c * block_stride], projected_, scale, streaming, to + c * projected_);
  }
}

void FdeEncoder::MeanAndFill(size_t repetition, size_t first, size_t tokens, size_t stride, Scratch& scratch,
                             bool streaming, float* to) const {
  // Distance and token in one number, of which the smaller is the nearer; distances are at most 12, 13 means none yet.
  constexpr uint32_t kStep = uint32_t{1} << 28;
  const size_t block_stride = BlockStride(projected_);
  const uint32_t* codes = scratch.codes.data() + repetition * stride + first;
  const float* projected = scratch.projected.data() + (repetition * stride + first) * block_stride;
  uint32_t* nearest = scratch.nearest.data();
  std::fill(nearest, nearest + cells_, 13 * kStep);
  for (size_t t = tokens; t-- > 0;) nearest[codes[t]] = static_cast<uint32_t>(t);
  // Distances over the cube are sums of those along its axes, so one pass along each axis finds the nearest token of
  // every cell, exactly and whatever the number of tokens.
  for (size_t axis = 1; axis < cells_; axis *= 2) {
    for (size_t low = 0; low < cells_; low += 2 * axis) {
      for (size_t c = low; c < low + axis; ++c) {
        const uint32_t a = nearest[c], b = nearest[c + axis];
        nearest[c] = std::min(a, b + kStep);
        nearest[c + axis] = std::min(b, a + kStep);
      }
    }
  }
  for (size_t c = 0; c < cells_; ++c) {
    const uint32_t count = scratch.counts[c];
    const float* from = count > 0 ? &scratch.blocks[c * block_stride] : projected + nearest[c] % kStep * block_stride;
    Scale(from, projected_, static_cast<float>(projection_scale_ / std::max<uint32_t>(count, 1)), streaming,
          to + c * projected_);
  }
}

absl::Status FdeEncoder::Encode(Role role, TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const {
  const absl::string_view name = role == Role::kQuery ? "query" : "document";
  DPKDE_RETURN_IF_ERROR(CheckEncoderSizes(*this, name, sets, out));
  for (size_t i = 0; i < sets.size(); ++i) {
    if (sets.set(i).rows >= size_t{1} << 28) {
      return absl::InvalidArgumentError(absl::StrCat(name, " ", i, " must have fewer than 2^28 tokens"));
    }
  }
  std::vector<Scratch> scratch(pool.threads());
  std::atomic<bool> all_finite{true};
  const bool streaming = out.size() >= kStreamedFloats;
  const size_t mean_tokens = sets.token_count() / std::max<size_t>(1, sets.size()) + 1;
  pool.ParallelFor(
      sets.size(), std::max<size_t>(1, 4 * kBatchTokens / mean_tokens), [&](size_t begin, size_t end, int worker) {
        while (begin < end) {
          size_t last = begin + 1;
          while (last < end && sets.offsets[last + 1] - sets.offsets[begin] <= kBatchTokens) ++last;
          const TokenSetsView batch = sets.Slice(begin, last);
          // Here, where the tokens are about to be in the cache.
          const size_t values = batch.token_count() * batch.dimension;
          if (FirstNonFinite(batch.all().data, values) != values) all_finite = false;
          // What comes next is on its way meanwhile.
          const MatrixView rest = sets.Slice(last, sets.size()).all();
          const size_t upcoming = std::min(kBatchTokens, rest.rows) * batch.dimension;
          EncodeBatch(role, batch, {rest.data, upcoming}, streaming, scratch[worker], &out[begin * dimension_]);
          begin = last;
        }
        if (streaming) _mm_sfence();
      });
  return all_finite ? absl::OkStatus() : CheckEncoderTokens(*this, name, sets);
}

absl::Status FdeEncoder::EncodeQueries(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const try {
  const DefaultFloatEnvironment environment;
  return Encode(Role::kQuery, sets, pool, out);
} catch (...) {
  return StatusOfException();
}

absl::Status FdeEncoder::EncodeDocuments(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const try {
  const DefaultFloatEnvironment environment;
  return Encode(Role::kDocument, sets, pool, out);
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<BlockSparseVectors> FdeEncoder::EncodeQueriesSparse(TokenSetsView sets, ThreadPool& pool) const {
  if (!final_targets_.empty()) {
    return absl::InvalidArgumentError("vectors after a final projection are not block-sparse");
  }
  DPKDE_RETURN_IF_ERROR(CheckEncoderTokens(*this, "query", sets));
  struct Blocks {
    std::vector<uint32_t> ids;
    std::vector<float> values;
  };
  std::vector<Blocks> found(sets.size());
  std::vector<Scratch> scratches(pool.threads());
  const size_t block_stride = BlockStride(projected_);
  pool.ParallelFor(sets.size(), 16, [&](size_t begin, size_t end, int worker) {
    Scratch& scratch = scratches[worker];
    const TokenSetsView batch = sets.Slice(begin, end);
    const size_t stride = PaddedTokens(batch.token_count());
    const size_t together = RepetitionsTogether(stride);
    scratch.codes.resize(together * stride);
    scratch.projected.resize(together * stride * block_stride);
    scratch.blocks.resize(cells_ * block_stride);
    scratch.counts.resize(cells_);
    scratch.vector.resize(cells_ * projected_);
    for (size_t first = 0; first < repetitions_; first += together) {
      const size_t last = std::min(first + together, repetitions_);
      ProjectTokens(panels_, folds_, batch.all(), first, last, plane_count_, scratch.kernel, scratch.codes.data(),
                    scratch.projected.data());
      for (size_t set = 0; set < batch.size(); ++set) {
        Blocks& blocks = found[begin + set];
        for (size_t r = first; r < last; ++r) {
          AddUp(r - first, batch.offsets[set] - batch.offsets.front(), batch.set(set).rows, stride, scratch);
          ScaleQuery(scratch, false, scratch.vector.data());
          for (size_t c = 0; c < cells_; ++c) {
            if (scratch.counts[c] == 0) continue;
            blocks.ids.push_back(static_cast<uint32_t>(r * cells_ + c));
            const float* values = &scratch.vector[c * projected_];
            blocks.values.insert(blocks.values.end(), values, values + projected_);
          }
        }
      }
    }
  });
  BlockSparseVectors vectors;
  vectors.dimension = dimension_;
  vectors.block_size = projected_;
  vectors.offsets.push_back(0);
  for (const Blocks& blocks : found) {
    vectors.blocks.insert(vectors.blocks.end(), blocks.ids.begin(), blocks.ids.end());
    vectors.values.insert(vectors.values.end(), blocks.values.begin(), blocks.values.end());
    vectors.offsets.push_back(vectors.blocks.size());
  }
  return vectors;
}

}  // namespace dpkde
