#ifndef DPKDE_IO_VECTOR_READER_H_
#define DPKDE_IO_VECTOR_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
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
    // A header if it has a name, and if every cell is empty or a name: no number, no word for a missing value (NA, NaN,
    // null, N/A, ?, -, ...), and no beginning of a number (a digit, sign or point).
    kDetect,
    kPresent,
    kAbsent,
  };

  // Blank lines of text, and with them what ends a line.
  enum class BlankLines {
    // They are skipped. A line ends in a line feed, a carriage return, or both.
    kSkipped,
    // Those at the end of the file are skipped; others are malformed rows, so that files that belong together stay in
    // step. Lines end as the first does: in line feeds (with a carriage return before, or not), or in carriage returns
    // alone; the other inside of a line makes it a malformed row.
    kSkippedAtEnd,
    // They are malformed rows wherever they are: no row decides the number of rows. Lines as with kSkippedAtEnd.
    kRows,
  };

  // One of npy, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, ibin, csv, tsv. Empty: the ending of the path, in any case, and
  // csv for standard input and other pipes without a name.
  std::string format;

  // What an error tells to set where the ending does not tell the format.
  std::string format_flag = "--input_format";

  MalformedRows malformed_rows = MalformedRows::kFail;

  // With kDetect a malformed first row may be taken for a header. Where a single row must not decide the number of rows
  // or columns (privacy), set kAbsent or kPresent, and expected_dimension.
  TextHeader text_header = TextHeader::kDetect;

  // Called when a line is taken for a header because of what it holds (kDetect): the path, the number of the line from 1,
  // and its cells.
  std::function<void(const std::string& path, uint64_t line, const std::vector<std::string>& cells)> on_detected_header;

  // With MalformedRows::kAsNan, kSkipped is kSkippedAtEnd, and only a line feed ends a line, so that whatever one row
  // holds (quotes, zero bytes, carriage returns, more bytes than kMaxLineBytes) makes that row NaN and nothing else.
  BlankLines blank_lines = BlankLines::kSkipped;

  // Which columns of a .csv or .tsv, in this order: names in its header, numbers from 0, or ranges of numbers ("2-9").
  // Empty: all but `left_out_column`, which is a name or a number, or empty for none. Other cells may hold anything.
  std::vector<std::string> columns;
  std::string left_out_column;

  // The dimension of an empty .csv, .tsv or .?vecs file where nothing else tells it.
  absl::optional<size_t> dimension_of_none;

  // Refuses a file of another dimension. Also allows the empty .csv, .tsv and .?vecs files, which name no dimension.
  absl::optional<size_t> expected_dimension;

  // Also reads .npy of three dimensions, n x t x d, as n t rows of d columns; see VectorReader::group_rows().
  bool padded_groups = false;

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
// .npy                    f2 f4 f8, bool and integers, little-endian, C or Fortran order; one dimension is a single column
// .fvecs .bvecs .ivecs    per row: int32 dimension, then float32, uint8 or int32 values
// .fbin .u8bin .i8bin .ibin    int32 rows, int32 dimension, then float32, uint8, int8 or int32 values
// .csv .tsv               UTF-8; an optional header line; blanks and quotes around numbers; a row is a line
//
// f8, text and integers beyond 2^24 are rounded to the nearest float32, after options.origin has been subtracted in double: the result
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

  // The format in which Open() would read the file; empty if neither the options nor the path tell.
  static std::string FormatOf(const std::string& path, const VectorReaderOptions& options);

  // Whether the path is that of standard input or of another pipe without a name.
  static bool IsUnnamedPipe(const std::string& path);

  virtual ~VectorReader() = default;
  VectorReader(const VectorReader&) = delete;
  VectorReader& operator=(const VectorReader&) = delete;

  // 1 to kMaxDimension.
  size_t dimension() const { return dimension_; }

  // As options.origin, for a caller who knows it only when the number of columns is known. To be called before the
  // first row is read; replaces an earlier origin. kInvalidArgument unless it is empty or has dimension() values that
  // are finite in float32.
  absl::Status SetOrigin(const std::vector<double>& origin);

  // Of text whose first line looks as if cells were separated by something else: what it looks like. Else empty.
  virtual std::string dialect_hint() const { return ""; }

  // nullopt for text, whose rows nobody has counted.
  virtual absl::optional<uint64_t> row_count() const = 0;

  // How many rows there are: `most`, of which all behind `least` are blank lines (BlankLines::kRows). Reads a text through,
  // and goes back to its first row; of malformed rows nothing is said. kUnavailable as Rewind().
  struct RowRange {
    uint64_t least = 0, most = 0;
  };
  virtual absl::StatusOr<RowRange> CountRows() { return RowRange{row_count().value_or(0), row_count().value_or(0)}; }

  // Reads the next `max_rows` rows, or what is left of them, into the row-major `out` of max_rows x dimension().
  // Returns how many were read; 0 at the end. After an error `out` is unspecified, and every further call fails in
  // the same way until Rewind().
  virtual absl::StatusOr<size_t> ReadRows(size_t max_rows, float* out) = 0;

  // Goes over the next `rows` rows, or what is left of them, whatever they hold. Of binary formats alone.
  virtual absl::Status SkipRows(uint64_t rows);

  // Rows of each of the n groups of an array of three dimensions (VectorReaderOptions::padded_groups); 0 for any other.
  uint64_t group_rows() const { return group_rows_; }

  // Back to the first row. kUnavailable if somebody has written to the file since it was opened.
  virtual absl::Status Rewind() = 0;

 protected:
  VectorReader() = default;

  size_t dimension_ = 0;
  uint64_t group_rows_ = 0;
  // The origin, some whole number of times in a row, so that short rows can be treated many at a time. Empty: none.
  std::vector<double> origins_;
};

}  // namespace dpkde

#endif  // DPKDE_IO_VECTOR_READER_H_
