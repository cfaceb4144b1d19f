#ifndef DPKDE_INDEX_ENCODING_FDE_ENCODER_H_
#define DPKDE_INDEX_ENCODING_FDE_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/encoding/encoder.h"
#include "dpkde/index/encoding/fde_kernel.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// Vectors of which only some blocks of equal size are not zero, one vector a set.
struct BlockSparseVectors {
  size_t dimension = 0;           // of a whole vector
  size_t block_size = 0;          // block b is the coordinates [b * block_size, (b + 1) * block_size)
  std::vector<uint64_t> offsets;  // sets + 1: the blocks of set i are [offsets[i], offsets[i + 1])
  std::vector<uint32_t> blocks;   // ascending within a set
  std::vector<float> values;      // blocks x block_size
};

// Fixed-dimensional encodings (MUVERA, NeurIPS 2024); FdeSpec says what the parts are.
//
//   proto::EncoderSpec spec;
//   spec.set_token_dimension(128);
//   spec.mutable_fde();  // defaults: 20 repetitions, 5 hyperplanes, 16 coordinates a block, 10,240-d
//   absl::StatusOr<std::unique_ptr<const FdeEncoder>> encoder = FdeEncoder::Create(spec);
//
// The block of an empty cell of a document is its token whose code is nearest in Hamming distance, the first of those
// that tie; a query's is zero. The query's vector is divided by the number of repetitions, so that a score estimates
// the Chamfer similarity itself. Without projections (IDENTITY, no final_dimension) an estimate exceeds it by rounding
// only; SIGN_HADAMARD, COUNT_SKETCH and the final projection keep estimates in the mean over seeds.
//
// The variance of SIGN_HADAMARD is that of rows drawn uniformly without replacement, though they are drawn as a random
// affine subspace of all rows (as pairs they are uniform, and no more enters a variance), which makes a projection a
// sum into buckets followed by a small transform: 5 % less error than signs of +-1 at 16 of 128 coordinates, 29 %
// at 64. Tokens are projected before they are added up, 64 side by side: that is cheaper than one projection a block.
//
// The vectors' bits are the same on every CPU and for every batch (fde_kernel.h), and so are an oblivious encoder's
// matrices. Hyperplanes are stored with the encoder; the signs and targets of projections are drawn again from the
// seed.
//
// Cost a set of n tokens: repetitions * (n * dimension * (hyperplanes + 1) + 2^hyperplanes * (hyperplanes +
// projected_dimension)), and as much again in units of the intermediate vector for a final projection. A thread takes
// about 1 MiB, and for sets of more than 256 tokens up to n * (dimension + projected_dimension) floats.
class FdeEncoder : public Encoder {
 public:
  // An oblivious encoder. kInvalidArgument: a field is out of range, or `spec` is calibrated or no FdeSpec.
  static absl::StatusOr<std::unique_ptr<const FdeEncoder>> Create(const proto::EncoderSpec& spec);

  // A calibrated one, from the mean and covariance of the sample's tokens, of which there must be at least one.
  // token_dimension may be 0, and is then the sample's.
  static absl::StatusOr<std::unique_ptr<const FdeEncoder>> Calibrate(const proto::EncoderSpec& spec,
                                                                     TokenSetsView sample);

  // From what was stored; kInvalidArgument as above.
  static absl::StatusOr<std::unique_ptr<const FdeEncoder>> FromStored(const proto::StoredEncoder& stored);

  absl::Status EncodeQueries(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const override;
  absl::Status EncodeDocuments(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const override;

  // The blocks of EncodeQueries() in which a query has tokens. kInvalidArgument also with a final projection.
  absl::StatusOr<BlockSparseVectors> EncodeQueriesSparse(TokenSetsView sets, ThreadPool& pool) const;

  std::string Serialize() const override;

  // Codes of tokens: repetitions x tokens.rows.
  std::vector<uint32_t> Codes(MatrixView tokens) const;

  // (repetitions * hyperplanes) x token_dimension.
  absl::Span<const float> hyperplanes() const { return hyperplanes_; }

 private:
  struct Scratch;
  enum class Role { kQuery, kDocument };

  FdeEncoder() = default;

  static absl::StatusOr<std::unique_ptr<const FdeEncoder>> Make(proto::EncoderSpec spec, std::vector<float> hyperplanes,
                                                                std::vector<float> thresholds);

  void MakeFolds();
  void MakeFinalProjection();
  proto::StoredEncoder ToStored() const;

  absl::Status Encode(Role role, TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const;
  // Of a batch of `stride` tokens, the padding included: repetitions whose projections are held at a time.
  size_t RepetitionsTogether(size_t stride) const;
  // `upcoming`: values that will be read next, to be fetched from memory meanwhile.
  void EncodeBatch(Role role, TokenSetsView batch, absl::Span<const float> upcoming, bool streaming, Scratch& scratch,
                   float* out) const;
  // One repetition of one set, whose tokens begin at `first` of the batch, of `stride` tokens with the padding: sums of
  // cells in scratch.blocks and scratch.counts; then, from them, the blocks of a query or a document.
  void AddUp(size_t repetition, size_t first, size_t tokens, size_t stride, Scratch& scratch) const;
  void ScaleQuery(const Scratch& scratch, bool streaming, float* to) const;
  void MeanAndFill(size_t repetition, size_t first, size_t tokens, size_t stride, Scratch& scratch, bool streaming,
                   float* to) const;

  size_t repetitions_ = 0, plane_count_ = 0, cells_ = 0, projected_ = 0;
  std::vector<float> hyperplanes_, thresholds_;
  HyperplanePanels panels_;
  FoldTables folds_;
  double projection_scale_ = 1;  // after which projections keep inner products in the mean
  // Final projection: where each coordinate goes, twice, plus 1 if its sign changes. Empty: none.
  std::vector<uint32_t> final_targets_;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_FDE_ENCODER_H_
