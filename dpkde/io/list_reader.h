#ifndef DPKDE_IO_LIST_READER_H_
#define DPKDE_IO_LIST_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// Whole files of integers and names: labels, lengths, ids, ground truth. Errors as of VectorReader.

namespace dpkde {

struct IntegerTable {
  std::vector<int64_t> values;  // row-major
  size_t rows = 0;
  size_t columns = 0;
};

// .npy                  i1 u1 i4 i8, little-endian, C order; one dimension is a single column
// .ivecs .bvecs         as VectorReader reads them
// .ibin .u8bin .i8bin   the same
// .txt .csv .tsv        UTF-8; blank lines are skipped; cells separated by commas (.csv), tabs (.tsv) or blanks (.txt);
// the
//                       first line is a header if it is no .txt and its first cell is no integer
//
// `format`: one of these endings, without the dot; empty: that of the path.
absl::StatusOr<IntegerTable> ReadIntegers(const std::string& path, const std::string& format = "");

// Of .txt, .csv and .tsv the lines as they are, without their ends and without a mark of byte order; blank lines at the
// end are dropped. Of any other file its integers in decimal, of which a row has one.
absl::StatusOr<std::vector<std::string>> ReadIds(const std::string& path);

}  // namespace dpkde

#endif  // DPKDE_IO_LIST_READER_H_
