#include "dpkde/index/encoding/fde_encoder.h"

#include <algorithm>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/index/encoding/stored_encoder.h"
#include "dpkde/index/encoding/symmetric_eigen.h"
#include "dpkde/io/floats.h"

namespace dpkde {
namespace {

constexpr int64_t kMaxDimension = 65536;
constexpr int64_t kMaxIntermediate = int64_t{1} << 24;

// Tokens that are projected together, but for a set that has more of its own, and floats of their projections.
constexpr size_t kBatchTokens = 256;
constexpr size_t kProjectedFloats = size_t{1} << 18;

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
    return absl::InvalidArgumentError(
        absl::StrCat("projected_dimension must be the token dimension, ", d, ", without a projection, but is ",
                     fde.projected_dimension()));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("final_dimension", fde.final_dimension(), 0, kMaxDimension));
  // At most 10,000 * 2^12 * 2^16: no overflow.
  const int64_t intermediate =
      (int64_t{fde.repetitions()} << fde.hyperplanes()) * int64_t{fde.projected_dimension()};
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

// A random linear map of the vector space of `from` bits onto that of `to` <= from bits: the images of the unit vectors.
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

}  // namespace

struct FdeEncoder::Scratch {
  FdeKernelScratch kernel;
  std::vector<uint32_t> codes;
  std::vector<float> projected;
  // Of one repetition of one set: blocks are cells x groups x 4.
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
      const double weight = std::sqrt(std::sqrt(std::max(eigen.values[e], 0.0))) *
                            std::inner_product(v, v + d, &normals[h * d], 0.0);
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
  encoder->dimension_ = fde.final_dimension() > 0
                            ? fde.final_dimension()
                            : encoder->repetitions_ * encoder->cells_ * encoder->projected_;
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
  scratch.projected.resize((projected_ + 3) / 4 * 4 * stride);
  for (size_t r = 0; r < repetitions_; ++r) {
    ProjectTokens(panels_, folds_, tokens, r, r + 1, plane_count_, scratch.kernel, scratch.codes.data(),
                  scratch.projected.data());
    codes.insert(codes.end(), scratch.codes.begin(), scratch.codes.begin() + tokens.rows);
  }
  return codes;
}

void FdeEncoder::AddUp(size_t repetition, size_t first, size_t tokens, size_t stride, Scratch& scratch) const {
  const size_t groups = (projected_ + 3) / 4;
  const uint32_t* codes = scratch.codes.data() + repetition * stride + first;
  const float* projected = scratch.projected.data() + (repetition * groups * stride + first) * 4;
  std::fill(scratch.blocks.begin(), scratch.blocks.end(), 0.0f);
  std::fill(scratch.counts.begin(), scratch.counts.end(), 0);
  for (size_t t = 0; t < tokens; ++t) {
    ++scratch.counts[codes[t]];
    float* block = scratch.blocks.data() + codes[t] * groups * 4;
    for (size_t g = 0; g < groups; ++g) {
      const float* from = projected + (g * stride + t) * 4;
      for (size_t j = 0; j < 4; ++j) block[4 * g + j] += from[j];
    }
  }
}

void FdeEncoder::EncodeBatch(Role role, TokenSetsView batch, Scratch& scratch, float* out) const {
  const MatrixView tokens = batch.all();
  const size_t groups = (projected_ + 3) / 4;
  const size_t stride = PaddedTokens(tokens.rows);
  const bool has_final = !final_targets_.empty();
  const size_t width = cells_ * projected_;  // of a repetition
  // Repetitions that are projected together.
  const size_t together =
      std::max<size_t>(1, std::min(repetitions_, kProjectedFloats / std::max<size_t>(1, stride * groups * 4)));
  if (scratch.codes.size() < together * stride) scratch.codes.resize(together * stride);
  if (scratch.projected.size() < together * groups * stride * 4) {
    scratch.projected.resize(together * groups * stride * 4);
  }
  scratch.blocks.resize(cells_ * groups * 4);
  scratch.counts.resize(cells_);
  scratch.nearest.resize(cells_);
  if (has_final) {
    scratch.vector.resize(width);
    std::fill(out, out + batch.size() * dimension_, 0.0f);
  }
  const float query_scale = static_cast<float>(projection_scale_ / repetitions_);
  const float single_scale = static_cast<float>(projection_scale_);
  // Distance and token in one number, of which the smaller is the nearer; distances are at most 12, 13 means none yet.
  constexpr uint32_t kStep = uint32_t{1} << 28;

  for (size_t begin = 0; begin < repetitions_; begin += together) {
    const size_t end = std::min(begin + together, repetitions_);
    ProjectTokens(panels_, folds_, tokens, begin, end, plane_count_, scratch.kernel, scratch.codes.data(),
                  scratch.projected.data());
    for (size_t set = 0; set < batch.size(); ++set) {
      const size_t first = batch.offsets[set] - batch.offsets.front();
      const size_t count = batch.offsets[set + 1] - batch.offsets[set];
      for (size_t r = begin; r < end; ++r) {
        float* to = has_final ? scratch.vector.data() : out + set * dimension_ + r * width;
        if (count == 0) {
          std::fill(to, to + width, 0.0f);
          continue;
        }
        AddUp(r - begin, first, count, stride, scratch);
        if (role == Role::kDocument) {
          // The nearest token of every cell: distances over the cube are the sum of those along its axes, so one pass
          // along each axis is exact, whatever the number of tokens.
          const uint32_t* codes = scratch.codes.data() + (r - begin) * stride + first;
          uint32_t* nearest = scratch.nearest.data();
          std::fill(nearest, nearest + cells_, 13 * kStep);
          for (size_t t = count; t-- > 0;) nearest[codes[t]] = static_cast<uint32_t>(t);
          for (size_t axis = 1; axis < cells_; axis *= 2) {
            for (size_t low = 0; low < cells_; low += 2 * axis) {
              for (size_t c = low; c < low + axis; ++c) {
                const uint32_t a = nearest[c], b = nearest[c + axis];
                nearest[c] = std::min(a, b + kStep);
                nearest[c + axis] = std::min(b, a + kStep);
              }
            }
          }
        }
        const float* projected = scratch.projected.data() + ((r - begin) * groups * stride + first) * 4;
        for (size_t c = 0; c < cells_; ++c) {
          float* cell = to + c * projected_;
          const uint32_t in_cell = scratch.counts[c];
          if (in_cell > 0) {
            const float scale =
                role == Role::kQuery ? query_scale : static_cast<float>(projection_scale_ / in_cell);
            const float* block = scratch.blocks.data() + c * groups * 4;
            for (size_t j = 0; j < projected_; ++j) cell[j] = block[j] * scale;
          } else if (role == Role::kQuery) {
            std::fill(cell, cell + projected_, 0.0f);
          } else {
            const float* token = projected + size_t{scratch.nearest[c] % kStep} * 4;
            for (size_t j = 0; j < projected_; ++j) cell[j] = token[j / 4 * stride * 4 + j % 4] * single_scale;
          }
        }
        if (has_final) {
          const uint32_t* targets = final_targets_.data() + r * width;
          float* sketch = out + set * dimension_;
          for (size_t i = 0; i < width; ++i) {
            sketch[targets[i] / 2] += targets[i] % 2 == 1 ? -scratch.vector[i] : scratch.vector[i];
          }
        }
      }
    }
  }
}

absl::Status FdeEncoder::Encode(Role role, TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const {
  const absl::string_view name = role == Role::kQuery ? "query" : "document";
  DPKDE_RETURN_IF_ERROR(CheckEncoderInput(*this, name, sets, out));
  for (size_t i = 0; i < sets.size(); ++i) {
    DPKDE_RETURN_IF_ERROR(CheckInRange(absl::StrCat("the number of tokens of ", name, " ", i),
                                       sets.set(i).rows, 0, (int64_t{1} << 28) - 1));
  }
  std::vector<Scratch> scratch(pool.threads());
  const size_t mean_tokens = sets.token_count() / std::max<size_t>(1, sets.size()) + 1;
  pool.ParallelFor(sets.size(), std::max<size_t>(1, 4 * kBatchTokens / mean_tokens),
                   [&](size_t begin, size_t end, int worker) {
                     while (begin < end) {
                       size_t last = begin + 1;
                       while (last < end && sets.offsets[last + 1] - sets.offsets[begin] <= kBatchTokens) ++last;
                       EncodeBatch(role, sets.Slice(begin, last), scratch[worker], &out[begin * dimension_]);
                       begin = last;
                     }
                   });
  return absl::OkStatus();
}

absl::Status FdeEncoder::EncodeQueries(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const {
  return Encode(Role::kQuery, sets, pool, out);
}

absl::Status FdeEncoder::EncodeDocuments(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const {
  return Encode(Role::kDocument, sets, pool, out);
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
  const size_t groups = (projected_ + 3) / 4;
  const float scale = static_cast<float>(projection_scale_ / repetitions_);
  pool.ParallelFor(sets.size(), 1, [&](size_t begin, size_t, int worker) {
    const MatrixView tokens = sets.set(begin);
    if (tokens.rows == 0) return;
    Scratch& scratch = scratches[worker];
    const size_t stride = PaddedTokens(tokens.rows);
    scratch.codes.resize(stride);
    scratch.projected.resize(groups * stride * 4);
    scratch.blocks.resize(cells_ * groups * 4);
    scratch.counts.resize(cells_);
    for (size_t r = 0; r < repetitions_; ++r) {
      ProjectTokens(panels_, folds_, tokens, r, r + 1, plane_count_, scratch.kernel, scratch.codes.data(),
                    scratch.projected.data());
      AddUp(0, 0, tokens.rows, stride, scratch);
      for (size_t c = 0; c < cells_; ++c) {
        if (scratch.counts[c] == 0) continue;
        found[begin].ids.push_back(static_cast<uint32_t>(r * cells_ + c));
        const float* block = scratch.blocks.data() + c * groups * 4;
        for (size_t j = 0; j < projected_; ++j) found[begin].values.push_back(block[j] * scale);
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
