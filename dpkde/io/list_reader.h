#ifndef DPKDE_IO_LIST_READER_H_
#define DPKDE_IO_LIST_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "dpkde/io/vector_reader.h"

// Files of integers and names: labels, lengths, ids, ground truth. Errors as of VectorReader.

namespace dpkde {

struct ListOptions {
  // npy, ivecs, bvecs, ibin, bin, u8bin, i8bin, txt, csv or tsv. Empty: the ending of the path, in any case, and txt for
  // standard input and other pipes without a name.
  std::string format;

  // The format of a file whose ending tells none.
  std::string format_of_other_endings;

  // The first line of .csv and .tsv. Ids and labels have a header only with kPresent: any text may be one of them.
  VectorReaderOptions::TextHeader text_header = VectorReaderOptions::TextHeader::kDetect;

  // Which column of a .csv or .tsv: a name in its header, or a number from 0. Empty: there is only one.
  std::string column;

  // Whether that column stands in a table of vectors: then kDetect looks at all cells of its first line, as VectorReader
  // does.
  bool in_table = false;

  // Ids and labels alone: a row may hold anything, as with VectorReaderOptions::MalformedRows::kAsNan, and every line is
  // a row.
  bool any_row = false;
};

struct IntegerTable {
  std::vector<int64_t> values;  // row-major
  size_t rows = 0;
  size_t columns = 0;
};

// .npy                  integers, bools, and floats that are whole numbers, little-endian; one dimension is one column
// .ivecs .bvecs         as VectorReader reads them
// .ibin .bin .u8bin .i8bin   the same; behind the rows of .ibin and .bin there may be as many float32, as in the ground
//                       truth of big-ann-benchmarks: distances, which are not read
// .txt .csv .tsv        UTF-8; blank lines are skipped; cells are separated by commas (.csv), tabs (.tsv) or blanks
//                       (.txt, which has no header)
absl::StatusOr<IntegerTable> ReadIntegers(const std::string& path, const ListOptions& options = {});

// Calls visit(row, line, text) for the ids or labels of a file. `row` from 0; `line` from 1, and 0 where there are none.
// Stops at the first error of visit.
//
// .txt: the lines as they are. .csv, .tsv: the cells of one column, without the quotes around them. .npy, also of text
// (dtypes U and S), and the other formats of ReadIntegers(): a column of texts, or of integers in decimal. Blank lines
// at the end are skipped; another gives an empty text. With `any_row` blank lines are always empty texts, and `text` is
// nullopt for a row that has none: the wrong number of cells, an unclosed quote, a number that is not whole.
using ListVisitor = std::function<absl::Status(uint64_t row, uint64_t line, absl::optional<absl::string_view> text)>;
absl::Status ForEachText(const std::string& path, const ListOptions& options, const ListVisitor& visit);

absl::StatusOr<std::vector<std::string>> ReadIds(const std::string& path, const ListOptions& options = {});

}  // namespace dpkde

#endif  // DPKDE_IO_LIST_READER_H_
