#include "dpkde/index/corpus/corpus_files.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/list_reader.h"

namespace dpkde {
namespace {

constexpr size_t kBlockRows = 4096;

absl::Status LensError(const std::string& lens, absl::string_view phrase) {
  return absl::InvalidArgumentError(absl::StrCat(lens, ": ", phrase));
}

struct Matrix {
  std::vector<float> values;
  size_t rows = 0;
  size_t columns = 0;
};

absl::StatusOr<Matrix> ReadMatrix(VectorReader& reader) {
  Matrix matrix;
  matrix.columns = reader.dimension();
  // Checked against the size of the file, so no header can promise more than there is.
  const absl::optional<uint64_t> promised = reader.row_count();
  matrix.values.reserve(promised.value_or(0) * matrix.columns);
  while (true) {
    // No more than there will be: beyond what was reserved, everything would be copied.
    const size_t most = promised.has_value() ? std::min<uint64_t>(kBlockRows, *promised - matrix.rows) : kBlockRows;
    if (most == 0) return matrix;
    matrix.values.resize((matrix.rows + most) * matrix.columns);
    DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader.ReadRows(most, matrix.values.data() + matrix.rows * matrix.columns));
    matrix.rows += rows;
    matrix.values.resize(matrix.rows * matrix.columns);
    if (rows == 0) return matrix;
  }
}

// Of groups of reader.group_rows() rows the first ones, as many as `offsets` say; the others are padding.
absl::StatusOr<Matrix> ReadPadded(VectorReader& reader, const std::vector<uint64_t>& offsets) {
  Matrix matrix;
  matrix.columns = reader.dimension();
  matrix.values.resize(offsets.back() * matrix.columns);
  for (size_t i = 0; i + 1 < offsets.size(); ++i) {
    const uint64_t length = offsets[i + 1] - offsets[i];
    DPKDE_ASSIGN_OR_RETURN(const size_t rows,
                           reader.ReadRows(length, matrix.values.data() + matrix.rows * matrix.columns));
    matrix.rows += rows;
    DPKDE_RETURN_IF_ERROR(reader.SkipRows(reader.group_rows() - length));
  }
  return matrix;
}

TokenSets SingleVectors(Matrix matrix) {
  std::vector<uint64_t> offsets(matrix.rows + 1);
  std::iota(offsets.begin(), offsets.end(), uint64_t{0});
  return TokenSets(matrix.columns, std::move(matrix.values), std::move(offsets));
}

}  // namespace

absl::StatusOr<TokenSets> ReadTokenSets(const std::string& tokens, const std::string& lens,
                                        const VectorReaderOptions& options, const ListOptions& lens_options) {
  // The small file first.
  DPKDE_ASSIGN_OR_RETURN(const IntegerTable lengths, AboutPublicFile(ReadIntegers(lens, lens_options)));
  if (lengths.rows > 0 && lengths.columns != 1) {
    return LensError(lens, absl::StrCat("has ", lengths.columns, " columns instead of 1"));
  }
  std::vector<uint64_t> offsets = {0};
  for (size_t i = 0; i < lengths.rows; ++i) {
    const int64_t length = lengths.values[i];
    if (length < 0) return LensError(lens, absl::StrCat("row ", i, ", column 0 (counting from 0): is negative"));
    // Sums beyond any number of tokens need not be exact.
    constexpr uint64_t kMostTokens = uint64_t{1} << 62;
    offsets.push_back(std::min(offsets.back() + static_cast<uint64_t>(length), kMostTokens));
  }
  VectorReaderOptions with_padding = options;
  with_padding.padded_groups = true;
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader,
                         AboutPublicFile(VectorReader::Open(tokens, with_padding)));
  if (const uint64_t group = reader->group_rows(); group > 0) {
    if (lengths.rows * group != reader->row_count()) {
      return LensError(lens, absl::StrCat("has ", lengths.rows, " lengths, but ", tokens, " has ",
                                          *reader->row_count() / group, " sets"));
    }
    for (size_t i = 0; i < lengths.rows; ++i) {
      if (static_cast<uint64_t>(lengths.values[i]) <= group) continue;
      return LensError(lens, absl::StrCat("row ", i, ", column 0 (counting from 0): is ", lengths.values[i], ", but ",
                                          tokens, " has at most ", group, " tokens a set"));
    }
    DPKDE_ASSIGN_OR_RETURN(Matrix matrix, AboutPublicFile(ReadPadded(*reader, offsets)));
    return TokenSets(matrix.columns, std::move(matrix.values), std::move(offsets));
  }
  DPKDE_ASSIGN_OR_RETURN(Matrix matrix, AboutPublicFile(ReadMatrix(*reader)));
  if (offsets.back() != matrix.rows) {
    return LensError(lens, absl::StrCat("its ", lengths.rows, " lengths add up to ", offsets.back(), ", but ", tokens,
                                        " has ", matrix.rows, " rows"));
  }
  return TokenSets(matrix.columns, std::move(matrix.values), std::move(offsets));
}

absl::StatusOr<TokenSets> ReadSingleVectors(const std::string& path, const VectorReaderOptions& options) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader,
                         AboutPublicFile(VectorReader::Open(path, options)));
  return ReadSingleVectors(*reader);
}

absl::StatusOr<TokenSets> ReadSingleVectors(VectorReader& reader) {
  DPKDE_ASSIGN_OR_RETURN(Matrix matrix, AboutPublicFile(ReadMatrix(reader)));
  return SingleVectors(std::move(matrix));
}

}  // namespace dpkde
