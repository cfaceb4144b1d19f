#ifndef DPKDE_INDEX_ANN_VECTOR_CODEC_H_
#define DPKDE_INDEX_ANN_VECTOR_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/vector_index_options.h"

namespace dpkde {

// A batch of queries, ready to be compared with codes. A distance is smaller where a vector is nearer: the squared L2
// distance, or the negated inner product. Thread-safe; the queries must outlive it.
class CodeScorer {
 public:
  virtual ~CodeScorer() = default;

  // out[(query - query_begin) * (row_end - row_begin) + row - row_begin], the distance of `query` from the code of
  // `row`. Where coarse() it is of use only for comparison with others of the same query. row_begin is a multiple of
  // VectorCodec::row_group().
  virtual void Distances(size_t query_begin, size_t query_end, const uint8_t* codes, size_t row_begin, size_t row_end,
                         float* out) const = 0;

  // The scorer of `chosen` queries, in that order; it may outlive this one. nullptr where queries have tables, which
  // are too large to be copied.
  virtual std::unique_ptr<CodeScorer> Select(absl::Span<const uint32_t> /*chosen*/) const { return nullptr; }

  // Whether Rescore() is finer than Distances().
  virtual bool coarse() const { return false; }

  // The distance of one query from one code.
  virtual float Rescore(size_t query, const uint8_t* codes, size_t row) const {
    float distance;
    Distances(query, query + 1, codes, row, row + 1, &distance);
    return distance;
  }
};

// How vectors become codes and queries meet them: one class for each VectorIndexOptions::Codes. Codes of consecutive
// rows lie in one array. Immutable and thread-safe.
class VectorCodec {
 public:
  // Learns, by the threads of `pool`, from the rows of `training` (at least 1024, unless the codes are
  // float32); where there are many, from a part of them, evenly spaced. The same rows give the same codec.
  static std::unique_ptr<VectorCodec> Train(const VectorIndexOptions& options, MatrixView training, ThreadPool& pool);

  // From Parameters() of a codec of the same options and dimension. kInvalidArgument if it cannot be one.
  static absl::StatusOr<std::unique_ptr<VectorCodec>> Parse(const VectorIndexOptions& options, size_t dimension,
                                                            absl::string_view parameters);

  // The number of bytes that Parameters() has.
  static size_t ParameterBytes(const VectorIndexOptions& options, size_t dimension);

  virtual ~VectorCodec() = default;
  VectorCodec(const VectorCodec&) = delete;
  VectorCodec& operator=(const VectorCodec&) = delete;

  size_t dimension() const { return dimension_; }

  // Of the codes of `rows` rows.
  virtual size_t CodeBytes(size_t rows) const = 0;

  // Rows whose codes are interleaved; a scan may begin only at multiples.
  virtual size_t row_group() const { return 1; }

  // Appends vectors to the codes of `rows` rows.
  virtual void Append(MatrixView vectors, size_t rows, ThreadPool& pool, std::vector<uint8_t>* codes) const = 0;

  // The vector that a code stands for.
  virtual void Decode(const uint8_t* codes, size_t row, float* out) const = 0;

  // kInvalidArgument if codes that were read hold what Append() never writes and Decode() does not show.
  virtual absl::Status CheckCodes(const uint8_t* /*codes*/, size_t /*rows*/) const { return absl::OkStatus(); }

  virtual std::unique_ptr<CodeScorer> Score(MatrixView queries) const = 0;

  virtual std::string Parameters() const = 0;

 protected:
  explicit VectorCodec(size_t dimension) : dimension_(dimension) {}

 private:
  const size_t dimension_;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_ANN_VECTOR_CODEC_H_
