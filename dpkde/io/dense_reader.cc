#include "dpkde/io/dense_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/floats.h"

namespace dpkde {
namespace {

// Small enough for the CPU's second-level cache, where the check for NaN then finds what was just read.
constexpr size_t kChunkBytes = size_t{256} << 10;

constexpr size_t kMaxNpyHeaderBytes = size_t{1} << 20;

// Of a text in an array.
constexpr size_t kMostCharacters = size_t{1} << 20;

// The int32 before each row of .fvecs and its kin.
constexpr size_t kPrefixBytes = 4;

// A chunk of an array in Fortran order, which is read in one piece a column.
constexpr size_t kFortranChunkBytes = size_t{16} << 20;

// Of a number; texts have sizes of their own.
size_t NumberBytes(ElementType type) {
  switch (type) {
    case ElementType::kUint8:
    case ElementType::kInt8:
      return 1;
    case ElementType::kFloat16:
    case ElementType::kUint16:
    case ElementType::kInt16:
      return 2;
    case ElementType::kFloat32:
    case ElementType::kUint32:
    case ElementType::kInt32:
      return 4;
    case ElementType::kFloat64:
    case ElementType::kUint64:
    case ElementType::kInt64:
      return 8;
    case ElementType::kBytes:
    case ElementType::kUtf32:
      break;
  }
  return 0;
}

template <typename T>
T Load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// Of a row whose own prefix disagrees with the first row's.
absl::Status OtherColumns(const InputFile& file, uint64_t row, int32_t columns, size_t expected) {
  return Named(file.path(), RecordError(absl::StatusCode::kDataLoss, absl::StrCat("row ", row, " (counting from 0)"),
                                        absl::StrCat("has ", columns, " columns instead of ", expected)));
}

absl::Status CellError(const InputFile& file, uint64_t row, size_t column, absl::string_view problem) {
  return Named(file.path(), RecordError(absl::StatusCode::kInvalidArgument,
                                        absl::StrCat("row ", row, ", column ", column, " (counting from 0)"), problem));
}

template <typename T>
void ConvertTo(const char* bytes, const double* origins, size_t count, float* out) {
  if (origins == nullptr) {
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(Load<T>(bytes + i * sizeof(T)));
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(static_cast<double>(Load<T>(bytes + i * sizeof(T))) - origins[i]);
  }
}

// `bytes` and `out` may be the same memory if the type is float32. `origins`: nullptr, or one for each value.
void Convert(ElementType type, const char* bytes, const double* origins, size_t count, float* out) {
  switch (type) {
    case ElementType::kUint8:
      return ConvertTo<uint8_t>(bytes, origins, count, out);
    case ElementType::kInt8:
      return ConvertTo<int8_t>(bytes, origins, count, out);
    case ElementType::kUint16:
      return ConvertTo<uint16_t>(bytes, origins, count, out);
    case ElementType::kInt16:
      return ConvertTo<int16_t>(bytes, origins, count, out);
    case ElementType::kUint32:
      return ConvertTo<uint32_t>(bytes, origins, count, out);
    case ElementType::kUint64:
      return ConvertTo<uint64_t>(bytes, origins, count, out);
    case ElementType::kFloat16:
      HalfToFloat(bytes, count, out);
      break;
    case ElementType::kFloat32:
      std::memmove(out, bytes, count * sizeof(float));
      break;
    case ElementType::kInt32:
      return ConvertTo<int32_t>(bytes, origins, count, out);
    case ElementType::kFloat64:
      return ConvertTo<double>(bytes, origins, count, out);
    case ElementType::kInt64:
      return ConvertTo<int64_t>(bytes, origins, count, out);
    case ElementType::kBytes:
    case ElementType::kUtf32:
      return;  // no file of these is opened
  }
  if (origins != nullptr) SubtractOrigins(origins, count, out);
}

bool IsFloatingPoint(ElementType type) {
  return type == ElementType::kFloat16 || type == ElementType::kFloat32 || type == ElementType::kFloat64;
}

// A matrix in a file.
struct Layout {
  ElementType type = ElementType::kFloat32;
  uint64_t rows = 0;
  size_t columns = 0;
  uint64_t offset = 0;  // of the first row
  bool prefixed = false;
  // Whether columns, not rows, lie one behind the other.
  bool fortran = false;
  // Rows that an array of three dimensions has for each index of the first; 0: there are only two.
  uint64_t group_rows = 0;
  size_t text_bytes = 0;  // of an element of kBytes or kUtf32

  size_t prefix_bytes() const { return prefixed ? kPrefixBytes : 0; }
  size_t element_bytes() const { return text_bytes > 0 ? text_bytes : NumberBytes(type); }
  size_t row_bytes() const { return prefix_bytes() + columns * element_bytes(); }
};

// The next rows of the file, row by row whatever its order, without prefixes taken away. `bytes`: rows * row_bytes().
absl::Status ReadRowBytes(const InputFile& file, const Layout& layout, uint64_t first, size_t rows, char* bytes) {
  if (!layout.fortran) {
    return file.ReadAt(layout.offset + first * layout.row_bytes(), rows * layout.row_bytes(), bytes);
  }
  const size_t size = layout.element_bytes();
  std::string column(rows * size, '\0');
  for (size_t c = 0; c < layout.columns; ++c) {
    DPKDE_RETURN_IF_ERROR(file.ReadAt(layout.offset + (c * layout.rows + first) * size, column.size(), &column[0]));
    for (size_t r = 0; r < rows; ++r) {
      std::memcpy(bytes + (r * layout.columns + c) * size, column.data() + r * size, size);
    }
  }
  return absl::OkStatus();
}

class DenseReader : public VectorReader {
 public:
  DenseReader(std::unique_ptr<InputFile> file, const Layout& layout, const VectorReaderOptions& options)
      : file_(std::move(file)), layout_(layout), malformed_rows_(options.malformed_rows) {
    dimension_ = layout.columns;
    group_rows_ = layout.group_rows;
    chunk_rows_ = std::max<size_t>((layout.fortran ? kFortranChunkBytes : kChunkBytes) / layout.row_bytes(), 1);
    if (!InPlace()) buffer_.resize(std::min<uint64_t>(chunk_rows_, layout.rows) * layout.row_bytes());
  }

  absl::optional<uint64_t> row_count() const override { return layout_.rows; }

  absl::StatusOr<size_t> ReadRows(size_t max_rows, float* out) override try {
    const DefaultFloatEnvironment environment;
    if (!status_.ok()) return status_;
    const size_t rows = std::min<uint64_t>(max_rows, layout_.rows - next_row_);
    for (size_t done = 0; done < rows;) {
      const size_t count = std::min(chunk_rows_, rows - done);
      status_ = ReadChunk(count, out + done * dimension_);
      if (!status_.ok()) return status_;
      done += count;
      next_row_ += count;
    }
    return rows;
  } catch (...) {
    return status_ = StatusOfException();
  }

  absl::Status SkipRows(uint64_t rows) override {
    if (!status_.ok()) return status_;
    next_row_ += std::min(rows, layout_.rows - next_row_);
    return absl::OkStatus();
  }

  absl::Status Rewind() override {
    DPKDE_RETURN_IF_ERROR(file_->CheckUnchanged());
    next_row_ = 0;
    status_ = absl::OkStatus();
    return absl::OkStatus();
  }

 private:
  // Whether the bytes of the file are those of the result.
  bool InPlace() const { return layout_.type == ElementType::kFloat32 && !layout_.prefixed && !layout_.fortran; }

  absl::Status ReadChunk(size_t rows, float* out) {
    const size_t row_bytes = layout_.row_bytes();
    char* const bytes = InPlace() ? reinterpret_cast<char*>(out) : buffer_.data();
    DPKDE_RETURN_IF_ERROR(ReadRowBytes(*file_, layout_, next_row_, rows, bytes));
    if (layout_.prefixed) {
      for (size_t row = 0; row < rows; ++row) {
        const char* const row_start = bytes + row * row_bytes;
        DPKDE_RETURN_IF_ERROR(CheckPrefix(row, Load<int32_t>(row_start)));
        Convert(layout_.type, row_start + kPrefixBytes, origins_.empty() ? nullptr : origins_.data(), dimension_,
                out + row * dimension_);
      }
    } else {
      ConvertRows(bytes, rows, out);
    }
    if (!IsFloatingPoint(layout_.type)) return absl::OkStatus();

    const size_t values = rows * dimension_;
    for (size_t i = FirstNonFinite(out, values); i < values; i += FirstNonFinite(out + i, values - i)) {
      const size_t row = i / dimension_;
      if (malformed_rows_ == VectorReaderOptions::MalformedRows::kFail) {
        return NonFinite(row, i % dimension_, bytes + row * row_bytes + layout_.prefix_bytes(), out[i]);
      }
      std::fill_n(out + row * dimension_, dimension_, std::numeric_limits<float>::quiet_NaN());
      i = (row + 1) * dimension_;
    }
    return absl::OkStatus();
  }

  // Rows that lie one behind the other.
  void ConvertRows(const char* bytes, size_t rows, float* out) const {
    const size_t values = rows * dimension_;
    if (origins_.empty()) {
      if (!InPlace()) Convert(layout_.type, bytes, nullptr, values, out);
      return;
    }
    for (size_t done = 0; done < values; done += origins_.size()) {
      Convert(layout_.type, bytes + done * layout_.element_bytes(), origins_.data(),
              std::min(origins_.size(), values - done), out + done);
    }
  }

  absl::Status CheckPrefix(size_t row, int32_t columns) const {
    if (columns == static_cast<int32_t>(dimension_)) return absl::OkStatus();
    return OtherColumns(*file_, next_row_ + row, columns, dimension_);
  }

  absl::Status NonFinite(size_t row, size_t column, const char* row_values, float value) const {
    absl::string_view problem = std::isnan(value) ? "is nan" : value > 0 ? "is inf" : "is -inf";
    if (layout_.type == ElementType::kFloat64 && std::isfinite(Load<double>(row_values + column * sizeof(double)))) {
      problem = "does not fit into float32";
    } else if (!origins_.empty() && std::isinf(value)) {
      problem = "is infinite, or does not fit into float32";
    }
    return CellError(*file_, next_row_ + row, column, problem);
  }

  const std::unique_ptr<InputFile> file_;
  const Layout layout_;
  const VectorReaderOptions::MalformedRows malformed_rows_;
  size_t chunk_rows_ = 0;
  std::vector<char> buffer_;  // a chunk of the file, unless it is read in place
  uint64_t next_row_ = 0;
  absl::Status status_;
};

absl::Status CheckColumns(const InputFile& file, uint64_t columns, const VectorReaderOptions& options) {
  if (columns == 0) return file.Error(absl::StatusCode::kInvalidArgument, "has no columns");
  if (columns > VectorReader::kMaxDimension) {
    return file.Error(absl::StatusCode::kInvalidArgument, absl::StrCat("has ", columns, " columns; at most ",
                                                                       VectorReader::kMaxDimension, " are accepted"));
  }
  if (columns != options.expected_dimension.value_or(columns)) {
    return file.Error(absl::StatusCode::kInvalidArgument,
                      absl::StrCat("has ", columns, " columns instead of ", *options.expected_dimension));
  }
  return absl::OkStatus();
}

// A header's `rows` against the size of the file. `layout.columns` has been checked.
absl::Status CheckRows(const InputFile& file, const Layout& layout) {
  const uint64_t data_bytes = file.size() - layout.offset;
  const uint64_t rows = data_bytes / layout.row_bytes();
  if (layout.rows > rows) {
    return Named(file.path(), CountError(absl::StatusCode::kDataLoss,
                                         absl::StrCat("is truncated: its header promises ", layout.rows,
                                                      " rows, but it holds only ", rows),
                                         "is truncated: it holds fewer rows than its header promises"));
  }
  if (data_bytes > layout.rows * layout.row_bytes()) {
    return Named(file.path(), CountError(absl::StatusCode::kDataLoss,
                                         absl::StrCat("has ", data_bytes - layout.rows * layout.row_bytes(),
                                                      " bytes after its last row"),
                                         "has bytes after its last row"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<VectorReader>> MakeReader(std::unique_ptr<InputFile> file, const Layout& layout,
                                                         const VectorReaderOptions& options) {
  return std::make_unique<DenseReader>(std::move(file), layout, options);
}

absl::Status EndsInsideHeader(const InputFile& file) {
  return file.Error(absl::StatusCode::kDataLoss, "is truncated: it ends inside its header");
}

// The text of an npy header: a Python dictionary of three known keys, such as
//   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class NpyHeaderParser {
 public:
  // `list`: texts are read too, and no array of three dimensions.
  NpyHeaderParser(const InputFile& file, absl::string_view text, bool list) : file_(file), text_(text), list_(list) {}

  // Refuses what is not read; sets type, rows and columns.
  absl::Status Parse(Layout* layout, uint64_t* columns) {
    bool has_descr = false, has_order = false, has_shape = false;
    if (!Take("{")) return Malformed("it does not begin with {");
    while (!Take("}")) {
      absl::string_view key;
      if (!TakeString(&key) || !Take(":")) return Malformed("a key is missing");
      if (key == "descr" && !has_descr) {
        has_descr = true;
        DPKDE_RETURN_IF_ERROR(ParseDescr(layout));
      } else if (key == "fortran_order" && !has_order) {
        has_order = true;
        DPKDE_RETURN_IF_ERROR(ParseOrder(layout));
      } else if (key == "shape" && !has_shape) {
        has_shape = true;
        DPKDE_RETURN_IF_ERROR(ParseShape(layout, columns));
      } else {
        return Malformed(absl::StrCat("the key '", absl::CHexEscape(key), "' is unknown or repeated"));
      }
      if (Take(",")) continue;
      if (!Take("}")) return Malformed("a comma is missing");
      break;
    }
    SkipBlanks();
    if (!text_.empty()) return Malformed("something follows its }");
    if (!has_descr || !has_order || !has_shape) return Malformed("descr, fortran_order or shape is missing");
    if (layout->fortran && layout->group_rows > 0) {
      return Refuse("has three dimensions in Fortran order; save it in C order (numpy.ascontiguousarray)");
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ParseDescr(Layout* layout) {
    SkipBlanks();
    if (absl::StartsWith(text_, "[") || absl::StartsWith(text_, "(")) {
      return Refuse("holds records (a structured dtype); save its numbers as a plain array");
    }
    absl::string_view descr;
    if (!TakeString(&descr)) return Malformed("descr is no string");
    const std::string shown = absl::StrCat("(dtype '", absl::CHexEscape(descr), "')");
    const absl::string_view kind = descr.empty() ? descr : descr.substr(1);
    if (absl::StartsWith(kind, "O")) return Refuse(absl::StrCat("holds Python objects ", shown));
    if (absl::StartsWith(kind, "V")) {
      return Refuse(absl::StrCat("holds records ", shown, "; save its numbers as a plain array"));
    }
    static constexpr struct {
      const char* kind;
      ElementType type;
    } kNumbers[] = {
        {"f2", ElementType::kFloat16}, {"f4", ElementType::kFloat32}, {"f8", ElementType::kFloat64},
        {"b1", ElementType::kUint8},   {"u1", ElementType::kUint8},   {"i1", ElementType::kInt8},
        {"u2", ElementType::kUint16},  {"i2", ElementType::kInt16},   {"u4", ElementType::kUint32},
        {"i4", ElementType::kInt32},   {"u8", ElementType::kUint64},  {"i8", ElementType::kInt64},
    };
    bool known = false;
    for (const auto& number : kNumbers) {
      if (kind != number.kind) continue;
      known = true;
      layout->type = number.type;
    }
    size_t characters;
    if (list_ && (absl::StartsWith(kind, "U") || absl::StartsWith(kind, "S")) &&
        absl::SimpleAtoi(kind.substr(1), &characters) && characters >= 1 && characters <= kMostCharacters) {
      known = true;
      layout->type = kind[0] == 'U' ? ElementType::kUtf32 : ElementType::kBytes;
      layout->text_bytes = characters * (kind[0] == 'U' ? 4 : 1);
    }
    // A single byte has no order.
    const bool has_order = layout->text_bytes > 0 ? kind[0] == 'U' : NumberBytes(layout->type) > 1;
    if (known && has_order && descr[0] == '>') {
      return Refuse(absl::StrCat("is big-endian ", shown, "; save it as little-endian"));
    }
    if (known && (!has_order || descr[0] == '<' || descr[0] == '=')) return absl::OkStatus();
    return Refuse(absl::StrCat("has an unsupported element type ", shown, "; f2, f4, f8, bool",
                               list_ ? ", integers of 1 to 8 bytes and texts (U and S) can be read"
                                     : " and integers of 1 to 8 bytes can be read"));
  }

  absl::Status ParseOrder(Layout* layout) {
    layout->fortran = Take("True");
    if (layout->fortran || Take("False")) return absl::OkStatus();
    return Malformed("fortran_order is neither True nor False");
  }

  absl::Status ParseShape(Layout* layout, uint64_t* columns) {
    if (!Take("(")) return Malformed("shape is no tuple");
    uint64_t sizes[3] = {0, 1, 1};
    size_t count = 0;
    while (!Take(")")) {
      SkipBlanks();
      const size_t digits = std::min(text_.find_first_not_of("0123456789"), text_.size());
      uint64_t size;
      if (!absl::SimpleAtoi(text_.substr(0, digits), &size)) return Malformed("shape holds no number, or a huge one");
      text_.remove_prefix(digits);
      Take("L");  // Python 2
      if (count < 3) sizes[count] = size;
      ++count;
      if (Take(",")) continue;
      if (!Take(")")) return Malformed("shape is no tuple");
      break;
    }
    if (count == 0 || count > 3 || (list_ && count == 3)) {
      return Refuse(absl::StrCat("has an array of ", count, " dimensions; 1 or 2 can be read"));
    }
    layout->rows = sizes[0];
    *columns = sizes[count == 3 ? 2 : 1];
    if (count == 3) {
      constexpr uint64_t kMost = uint64_t{1} << 40;
      if (sizes[0] > kMost || sizes[1] > kMost || sizes[1] == 0 || sizes[0] * sizes[1] / sizes[1] != sizes[0]) {
        return Refuse("has three dimensions, of which one is 0 or too large");
      }
      layout->group_rows = sizes[1];
      layout->rows = sizes[0] * sizes[1];
    }
    return absl::OkStatus();
  }

  void SkipBlanks() { text_ = absl::StripLeadingAsciiWhitespace(text_); }

  bool Take(absl::string_view token) {
    SkipBlanks();
    return absl::ConsumePrefix(&text_, token);
  }

  bool TakeString(absl::string_view* out) {
    SkipBlanks();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) return false;
    const size_t end = text_.find(text_[0], 1);
    if (end == absl::string_view::npos) return false;
    *out = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return true;
  }

  absl::Status Refuse(absl::string_view phrase) const {
    return file_.Error(absl::StatusCode::kInvalidArgument, phrase);
  }

  absl::Status Malformed(absl::string_view detail) const {
    return file_.Error(absl::StatusCode::kDataLoss, absl::StrCat("has a malformed npy header: ", detail));
  }

  const InputFile& file_;
  absl::string_view text_;
  const bool list_;
};

absl::StatusOr<Layout> NpyLayout(const InputFile* file, const VectorReaderOptions& options, bool list) {
  // Magic (6 bytes), major and minor version, size of the text (2 bytes; 4 from version 2 on), text.
  constexpr char kMagic[] = "\x93NUMPY";
  char start[12] = {};
  const size_t start_bytes = std::min<uint64_t>(file->size(), sizeof(start));
  DPKDE_RETURN_IF_ERROR(file->ReadAt(0, start_bytes, start));
  if (std::memcmp(start, kMagic, std::min<size_t>(start_bytes, 6)) != 0) {
    return file->Error(absl::StatusCode::kDataLoss, "is not an npy file: it does not begin with \\x93NUMPY");
  }
  if (start_bytes < 8) return EndsInsideHeader(*file);
  const int major = static_cast<uint8_t>(start[6]);
  const int minor = static_cast<uint8_t>(start[7]);
  if (major < 1 || major > 3 || minor != 0) {
    return file->Error(absl::StatusCode::kInvalidArgument,
                       absl::StrCat("is of npy version ", major, ".", minor, "; 1.0, 2.0 and 3.0 can be read"));
  }
  const size_t text_offset = major == 1 ? 10 : 12;
  if (file->size() < text_offset) return EndsInsideHeader(*file);
  const uint64_t text_bytes = major == 1 ? Load<uint16_t>(start + 8) : Load<uint32_t>(start + 8);
  if (file->size() - text_offset < text_bytes) return EndsInsideHeader(*file);
  if (text_bytes > kMaxNpyHeaderBytes) {
    return file->Error(
        absl::StatusCode::kInvalidArgument,
        absl::StrCat("has an npy header of ", text_bytes, " bytes; at most ", kMaxNpyHeaderBytes, " are accepted"));
  }
  std::string text(text_bytes, '\0');
  DPKDE_RETURN_IF_ERROR(file->ReadAt(text_offset, text_bytes, &text[0]));

  Layout layout;
  layout.offset = text_offset + text_bytes;
  uint64_t columns = 0;
  DPKDE_RETURN_IF_ERROR(NpyHeaderParser(*file, text, list).Parse(&layout, &columns));
  DPKDE_RETURN_IF_ERROR(CheckColumns(*file, columns, options));
  layout.columns = columns;
  // One row, or one column, is the same in both orders.
  layout.fortran = layout.fortran && layout.rows > 1 && layout.columns > 1;
  if (layout.group_rows > 0 && !options.padded_groups) {
    return file->Error(absl::StatusCode::kInvalidArgument,
                       absl::StrCat("has an array of 3 dimensions; 1 or 2 can be read, and padded token sets (sets x "
                                    "tokens x columns) together with their lengths (--lens, --query_lens)"));
  }
  DPKDE_RETURN_IF_ERROR(CheckRows(*file, layout));
  return layout;
}

// `distances`: behind the rows there may be as many float32, which do not count.
absl::StatusOr<Layout> BinLayout(ElementType type, const InputFile* file, const VectorReaderOptions& options,
                                 bool distances) {
  char header[8];
  if (file->size() < sizeof(header)) return EndsInsideHeader(*file);
  DPKDE_RETURN_IF_ERROR(file->ReadAt(0, sizeof(header), header));
  const int32_t rows = Load<int32_t>(header);
  const int32_t columns = Load<int32_t>(header + 4);
  if (rows < 0 || columns < 0) {
    return Named(file->path(),
                 CountError(absl::StatusCode::kDataLoss,
                            absl::StrCat("is damaged: its header promises ", rows, " rows of ", columns, " columns"),
                            "is damaged: its header promises a negative number of rows or columns"));
  }
  DPKDE_RETURN_IF_ERROR(CheckColumns(*file, columns, options));
  Layout layout;
  layout.type = type;
  layout.rows = rows;
  layout.columns = columns;
  layout.offset = sizeof(header);
  const uint64_t row_bytes = layout.row_bytes();
  if (distances && layout.rows > 0 && file->size() - layout.offset == 2 * layout.rows * row_bytes) return layout;
  DPKDE_RETURN_IF_ERROR(CheckRows(*file, layout));
  return layout;
}

absl::StatusOr<Layout> VecsLayout(ElementType type, const InputFile* file, const VectorReaderOptions& options) {
  Layout layout;
  layout.type = type;
  layout.prefixed = true;
  if (file->size() == 0) {
    const auto dimension =
        options.expected_dimension.has_value() ? options.expected_dimension : options.dimension_of_none;
    if (!dimension.has_value()) {
      return file->Error(absl::StatusCode::kInvalidArgument, "is empty, so its number of columns is unknown");
    }
    layout.columns = *dimension;
    return layout;
  }
  if (file->size() < kPrefixBytes) return EndsInsideHeader(*file);
  char prefix[kPrefixBytes];
  DPKDE_RETURN_IF_ERROR(file->ReadAt(0, kPrefixBytes, prefix));
  const int32_t columns = Load<int32_t>(prefix);
  if (columns < 0) {
    const std::string promises = absl::StrCat(" promises ", columns, " columns");
    return Named(file->path(),
                 CountError(absl::StatusCode::kDataLoss, absl::StrCat("is damaged: row 0 (counting from 0)", promises),
                            absl::StrCat("is damaged: a record", promises)));
  }
  DPKDE_RETURN_IF_ERROR(CheckColumns(*file, columns, options));
  layout.columns = columns;
  const size_t row_bytes = layout.row_bytes();
  layout.rows = file->size() / row_bytes;
  const uint64_t rest = file->size() % row_bytes;
  if (rest == 0) return layout;

  // A row of another length, or a truncation? Look for the former, but not for minutes.
  constexpr uint64_t kMaxRowsToSearch = 1 << 20;
  const uint64_t rows_to_search = std::min<uint64_t>(layout.rows + (rest >= kPrefixBytes ? 1 : 0), kMaxRowsToSearch);
  for (uint64_t row = 1; row < rows_to_search; ++row) {
    DPKDE_RETURN_IF_ERROR(file->ReadAt(row * row_bytes, kPrefixBytes, prefix));
    if (Load<int32_t>(prefix) != columns) {
      return OtherColumns(*file, row, Load<int32_t>(prefix), columns);
    }
  }
  constexpr char kProblem[] = "is truncated, or a row has another length";
  return Named(
      file->path(),
      CountError(absl::StatusCode::kDataLoss,
                 absl::StrCat(kProblem, ": it ends ", rest, " bytes into a row of ", row_bytes, " bytes"), kProblem));
}

}  // namespace

absl::StatusOr<std::unique_ptr<VectorReader>> OpenNpy(std::unique_ptr<InputFile> file,
                                                      const VectorReaderOptions& options) {
  DPKDE_ASSIGN_OR_RETURN(const Layout layout, NpyLayout(file.get(), options, /*list=*/false));
  return MakeReader(std::move(file), layout, options);
}

absl::StatusOr<std::unique_ptr<VectorReader>> OpenBin(ElementType type, std::unique_ptr<InputFile> file,
                                                      const VectorReaderOptions& options) {
  DPKDE_ASSIGN_OR_RETURN(const Layout layout, BinLayout(type, file.get(), options, /*distances=*/false));
  return MakeReader(std::move(file), layout, options);
}

absl::StatusOr<std::unique_ptr<VectorReader>> OpenVecs(ElementType type, std::unique_ptr<InputFile> file,
                                                       const VectorReaderOptions& options) {
  DPKDE_ASSIGN_OR_RETURN(const Layout layout, VecsLayout(type, file.get(), options));
  return MakeReader(std::move(file), layout, options);
}

namespace {

absl::StatusOr<Layout> ListLayout(DenseFormat format, ElementType type, const InputFile& file) {
  const VectorReaderOptions options;
  switch (format) {
    case DenseFormat::kNpy:
      return NpyLayout(&file, options, /*list=*/true);
    case DenseFormat::kBin:
      return BinLayout(type, &file, options, /*distances=*/type == ElementType::kInt32);
    case DenseFormat::kVecs:
      return VecsLayout(type, &file, options);
  }
  return absl::InternalError("unknown format");
}

// A number that is whole, integers of 64 bits with and without sign among them. False for any other.
bool LoadInteger(ElementType type, const char* bytes, absl::int128* value) {
  const auto from_float = [&](double number) {
    if (!(std::abs(number) < 0x1p63) || number != std::floor(number)) return false;
    *value = static_cast<int64_t>(number);
    return true;
  };
  switch (type) {
    case ElementType::kUint8:
      return *value = Load<uint8_t>(bytes), true;
    case ElementType::kInt8:
      return *value = Load<int8_t>(bytes), true;
    case ElementType::kUint16:
      return *value = Load<uint16_t>(bytes), true;
    case ElementType::kInt16:
      return *value = Load<int16_t>(bytes), true;
    case ElementType::kUint32:
      return *value = Load<uint32_t>(bytes), true;
    case ElementType::kInt32:
      return *value = Load<int32_t>(bytes), true;
    case ElementType::kUint64:
      return *value = Load<uint64_t>(bytes), true;
    case ElementType::kInt64:
      return *value = Load<int64_t>(bytes), true;
    case ElementType::kFloat16: {
      float number;
      HalfToFloat(bytes, 1, &number);
      return from_float(number);
    }
    case ElementType::kFloat32:
      return from_float(Load<float>(bytes));
    case ElementType::kFloat64:
      return from_float(Load<double>(bytes));
    case ElementType::kBytes:
    case ElementType::kUtf32:
      break;
  }
  return false;
}

// numpy's U as UTF-8; false if a character is none.
bool Utf32ToUtf8(absl::string_view bytes, std::string* text) {
  text->clear();
  size_t size = bytes.size() / 4;
  while (size > 0 && Load<uint32_t>(bytes.data() + 4 * (size - 1)) == 0) --size;
  for (size_t i = 0; i < size; ++i) {
    const uint32_t c = Load<uint32_t>(bytes.data() + 4 * i);
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
    const auto tail = [&](int shift) { text->push_back(static_cast<char>(0x80 | ((c >> shift) & 0x3f))); };
    if (c < 0x80) {
      text->push_back(static_cast<char>(c));
    } else if (c < 0x800) {
      text->push_back(static_cast<char>(0xc0 | (c >> 6)));
      tail(0);
    } else if (c < 0x10000) {
      text->push_back(static_cast<char>(0xe0 | (c >> 12)));
      tail(6), tail(0);
    } else {
      text->push_back(static_cast<char>(0xf0 | (c >> 18)));
      tail(12), tail(6), tail(0);
    }
  }
  return true;
}

// Calls visit(row, the bytes of its elements) for every row.
template <typename Visit>
absl::Status ForEachRow(const InputFile& file, const Layout& layout, const Visit& visit) {
  const size_t row_bytes = layout.row_bytes();
  const size_t chunk = std::max<size_t>((layout.fortran ? kFortranChunkBytes : kChunkBytes) / row_bytes, 1);
  std::string bytes(std::min<uint64_t>(chunk, layout.rows) * row_bytes, '\0');
  for (uint64_t first = 0; first < layout.rows; first += chunk) {
    const size_t rows = std::min<uint64_t>(chunk, layout.rows - first);
    DPKDE_RETURN_IF_ERROR(ReadRowBytes(file, layout, first, rows, &bytes[0]));
    for (size_t r = 0; r < rows; ++r) {
      const char* const row = bytes.data() + r * row_bytes;
      if (layout.prefixed && Load<int32_t>(row) != static_cast<int32_t>(layout.columns)) {
        return OtherColumns(file, first + r, Load<int32_t>(row), layout.columns);
      }
      DPKDE_RETURN_IF_ERROR(visit(first + r, row + layout.prefix_bytes()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<IntegerTable> ReadDenseIntegers(DenseFormat format, ElementType type, const InputFile& file) {
  DPKDE_ASSIGN_OR_RETURN(const Layout layout, ListLayout(format, type, file));
  IntegerTable table;
  table.rows = layout.rows;
  table.columns = layout.columns;
  table.values.reserve(table.rows * table.columns);
  DPKDE_RETURN_IF_ERROR(ForEachRow(file, layout, [&](uint64_t row, const char* bytes) -> absl::Status {
    for (size_t column = 0; column < layout.columns; ++column) {
      absl::int128 value;
      if (!LoadInteger(layout.type, bytes + column * layout.element_bytes(), &value) ||
          value > std::numeric_limits<int64_t>::max()) {
        return CellError(file, row, column, "is not an integer of 64 bits");
      }
      table.values.push_back(static_cast<int64_t>(value));
    }
    return absl::OkStatus();
  }));
  return table;
}

absl::Status ForEachDenseText(DenseFormat format, ElementType type, const InputFile& file,
                              const std::function<absl::Status(uint64_t row, absl::optional<absl::string_view> text,
                                                               absl::string_view problem)>& visit) {
  DPKDE_ASSIGN_OR_RETURN(const Layout layout, ListLayout(format, type, file));
  if (layout.columns != 1 && layout.rows > 0) {
    return file.Error(absl::StatusCode::kInvalidArgument,
                      absl::StrCat("must have one column, but has ", layout.columns));
  }
  return ForEachRow(file, layout, [&](uint64_t row, const char* bytes) -> absl::Status {
    std::string text;
    if (layout.type == ElementType::kUtf32) {
      if (!Utf32ToUtf8({bytes, layout.text_bytes}, &text)) return visit(row, absl::nullopt, "is not a text of Unicode");
    } else if (layout.type == ElementType::kBytes) {
      text.assign(bytes, layout.text_bytes);
      text.erase(text.find_last_not_of('\0') + 1);
    } else {
      absl::int128 value;
      if (!LoadInteger(layout.type, bytes, &value)) return visit(row, absl::nullopt, "is not a whole number");
      text = value < 0 ? absl::StrCat(static_cast<int64_t>(value)) : absl::StrCat(static_cast<uint64_t>(value));
    }
    return visit(row, text, "");
  });
}

}  // namespace dpkde
