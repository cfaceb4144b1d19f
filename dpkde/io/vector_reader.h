#ifndef DPKDE_IO_VECTOR_READER_H_
#define DPKDE_IO_VECTOR_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"

namespace dpkde {

struct VectorReaderOptions {
  // What to do with a row that holds a NaN, an infinity, a number beyond float32, a cell that is not a number, or the
  // wrong number of cells. Damage of the file itself (a truncation, a wrong header) fails in any case.
  enum class MalformedRows {
    kFail,
    kAsNan,  // every value of the row becomes NaN; the caller replaces such rows
  };

  // The first line of .csv and .tsv that is not blank.
  enum class TextHeader {
    kDetect,  // a header if one of its cells is neither empty nor a number
    kPresent,
    kAbsent,
  };

  // One of npy, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, ibin, csv, tsv. Empty: the ending of the path, in any case.
  std::string format;

  MalformedRows malformed_rows = MalformedRows::kFail;

  // Without kAbsent, a malformed first row of a file without a header is taken for a header. Where a single row must
  // not decide the number of rows or columns (privacy), set kAbsent or kPresent, and expected_dimension.
  TextHeader text_header = TextHeader::kDetect;

  // Refuses a file of another dimension. Also allows the empty .csv, .tsv and .?vecs files, which name no dimension.
  absl::optional<size_t> expected_dimension;

  // Subtracted from every row, in double and before the value is rounded to float32: one value a column, finite in
  // float32. Empty: nothing is subtracted. Rows far from 0 lie close to a public origin, and float32 resolves them.
  std::vector<double> origin;
};

// Reads a file of vectors as float32, front to back.
//
//   DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<VectorReader> reader, VectorReader::Open(path, options));
//   std::vector<float> block(1024 * reader->dimension());
//   while (true) {
//     DPKDE_ASSIGN_OR_RETURN(size_t rows, reader->ReadRows(1024, block.data()));
//     if (rows == 0) break;
//     ...
//   }
//
// .npy                    f2 f4 f8 u1 i1, little-endian, C order; one dimension is a single column
// .fvecs .bvecs .ivecs    per row: int32 dimension, then float32, uint8 or int32 values
// .fbin .u8bin .i8bin .ibin    int32 rows, int32 dimension, then float32, uint8, int8 or int32 values
// .csv .tsv               UTF-8; an optional header line; blanks and quotes around numbers; blank lines are skipped
//
// int32, f8 and text are rounded to the nearest float32, after options.origin has been subtracted in double: the result
// is a function of the one value and the origin, the same on every CPU. Memory does not grow with the number of rows.
//
// Every error begins with the path. kNotFound: no such file. kUnavailable: it is no regular file, or the operating
// system fails. kInvalidArgument: a kind of file, a dimension or a value that is not accepted. kDataLoss: truncated
// or otherwise damaged.
//
// Not thread-safe.
class VectorReader {
 public:
  // The largest dimension that is accepted, and the longest line of text, its end included.
  static constexpr size_t kMaxDimension = 65536;
  static constexpr size_t kMaxLineBytes = size_t{4} << 20;

  // Checks the header against the size of the file, but reads no rows.
  static absl::StatusOr<std::unique_ptr<VectorReader>> Open(const std::string& path,
                                                            const VectorReaderOptions& options = {});

  virtual ~VectorReader() = default;
  VectorReader(const VectorReader&) = delete;
  VectorReader& operator=(const VectorReader&) = delete;

  // 1 to kMaxDimension.
  size_t dimension() const { return dimension_; }

  // As options.origin, for a caller who knows it only when the number of columns is known. To be called before the
  // first row is read; replaces an earlier origin. kInvalidArgument unless it is empty or has dimension() values that
  // are finite in float32.
  absl::Status SetOrigin(const std::vector<double>& origin);

  // nullopt for text, whose rows nobody has counted.
  virtual absl::optional<uint64_t> row_count() const = 0;

  // Reads the next `max_rows` rows, or what is left of them, into the row-major `out` of max_rows x dimension().
  // Returns how many were read; 0 at the end. After an error `out` is unspecified, and every further call fails in
  // the same way until Rewind().
  virtual absl::StatusOr<size_t> ReadRows(size_t max_rows, float* out) = 0;

  // Back to the first row. kUnavailable if somebody has written to the file since it was opened.
  virtual absl::Status Rewind() = 0;

 protected:
  VectorReader() = default;

  size_t dimension_ = 0;
  // The origin, some whole number of times in a row, so that short rows can be treated many at a time. Empty: none.
  std::vector<double> origins_;
};

}  // namespace dpkde

#endif  // DPKDE_IO_VECTOR_READER_H_
