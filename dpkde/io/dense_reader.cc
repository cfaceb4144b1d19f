#include "dpkde/io/dense_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/floats.h"

namespace dpkde {
namespace {

// Small enough for the CPU's second-level cache, where the check for NaN then finds what was just read.
constexpr size_t kChunkBytes = size_t{256} << 10;

constexpr size_t kMaxNpyHeaderBytes = size_t{1} << 20;

// The int32 before each row of .fvecs and its kin.
constexpr size_t kPrefixBytes = 4;

size_t ElementBytes(ElementType type) {
  switch (type) {
    case ElementType::kUint8:
    case ElementType::kInt8:
      return 1;
    case ElementType::kFloat16:
      return 2;
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return 4;
    case ElementType::kFloat64:
    case ElementType::kInt64:
      return 8;
  }
  return 0;
}

template <typename T>
T Load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
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

  size_t prefix_bytes() const { return prefixed ? kPrefixBytes : 0; }
  size_t row_bytes() const { return prefix_bytes() + columns * ElementBytes(type); }
};

class DenseReader : public VectorReader {
 public:
  DenseReader(std::unique_ptr<InputFile> file, const Layout& layout, const VectorReaderOptions& options)
      : file_(std::move(file)), layout_(layout), malformed_rows_(options.malformed_rows) {
    dimension_ = layout.columns;
    chunk_rows_ = std::max<size_t>(kChunkBytes / layout.row_bytes(), 1);
    if (!InPlace()) buffer_.resize(std::min<uint64_t>(chunk_rows_, layout.rows) * layout.row_bytes());
  }

  absl::optional<uint64_t> row_count() const override { return layout_.rows; }

  absl::StatusOr<size_t> ReadRows(size_t max_rows, float* out) override {
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
  }

  absl::Status Rewind() override {
    DPKDE_RETURN_IF_ERROR(file_->CheckUnchanged());
    next_row_ = 0;
    status_ = absl::OkStatus();
    return absl::OkStatus();
  }

 private:
  // Whether the bytes of the file are those of the result.
  bool InPlace() const { return layout_.type == ElementType::kFloat32 && !layout_.prefixed; }

  absl::Status ReadChunk(size_t rows, float* out) {
    const size_t row_bytes = layout_.row_bytes();
    char* const bytes = InPlace() ? reinterpret_cast<char*>(out) : buffer_.data();
    DPKDE_RETURN_IF_ERROR(file_->ReadAt(layout_.offset + next_row_ * row_bytes, rows * row_bytes, bytes));
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
      Convert(layout_.type, bytes + done * ElementBytes(layout_.type), origins_.data(),
              std::min(origins_.size(), values - done), out + done);
    }
  }

  absl::Status CheckPrefix(size_t row, int32_t columns) const {
    if (columns == static_cast<int32_t>(dimension_)) return absl::OkStatus();
    return file_->Error(absl::StatusCode::kDataLoss, absl::StrCat("row ", next_row_ + row, " (counting from 0): has ",
                                                                  columns, " columns instead of ", dimension_));
  }

  absl::Status NonFinite(size_t row, size_t column, const char* row_values, float value) const {
    absl::string_view problem = std::isnan(value) ? "is nan" : value > 0 ? "is inf" : "is -inf";
    if (layout_.type == ElementType::kFloat64 && std::isfinite(Load<double>(row_values + column * sizeof(double)))) {
      problem = "does not fit into float32";
    } else if (!origins_.empty() && std::isinf(value)) {
      problem = "is infinite, or does not fit into float32";
    }
    return file_->Error(absl::StatusCode::kInvalidArgument,
                        absl::StrCat("row ", next_row_ + row, ", column ", column, " (counting from 0): ", problem));
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
    return file.Error(absl::StatusCode::kDataLoss, absl::StrCat("is truncated: its header promises ", layout.rows,
                                                                " rows, but it holds only ", rows));
  }
  if (data_bytes > layout.rows * layout.row_bytes()) {
    return file.Error(absl::StatusCode::kDataLoss,
                      absl::StrCat("has ", data_bytes - layout.rows * layout.row_bytes(), " bytes after its last row"));
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
  // `integers`: those of 1, 4 and 8 bytes are read instead of what VectorReader reads.
  NpyHeaderParser(const InputFile& file, absl::string_view text, bool integers)
      : file_(file), text_(text), integers_(integers) {}

  // Refuses what is not read; sets type, rows and columns.
  absl::Status Parse(Layout* layout, uint64_t* columns) {
    bool has_descr = false, has_order = false, has_shape = false;
    if (!Take("{")) return Malformed("it does not begin with {");
    while (!Take("}")) {
      absl::string_view key;
      if (!TakeString(&key) || !Take(":")) return Malformed("a key is missing");
      if (key == "descr" && !has_descr) {
        has_descr = true;
        DPKDE_RETURN_IF_ERROR(ParseDescr(&layout->type));
      } else if (key == "fortran_order" && !has_order) {
        has_order = true;
        DPKDE_RETURN_IF_ERROR(ParseOrder());
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
    return absl::OkStatus();
  }

 private:
  absl::Status ParseDescr(ElementType* type) {
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
    if (kind == "u1" || kind == "i1") {  // a single byte has no order
      *type = kind == "u1" ? ElementType::kUint8 : ElementType::kInt8;
      return absl::OkStatus();
    }
    const bool known = integers_ ? kind == "i4" || kind == "i8" : kind == "f2" || kind == "f4" || kind == "f8";
    if (known && descr[0] == '>') {
      return Refuse(absl::StrCat("is big-endian ", shown, "; save it as little-endian"));
    }
    if (!known || descr[0] != '<') {
      return Refuse(absl::StrCat("has an unsupported element type ", shown, "; ",
                                 integers_ ? "i1, u1, i4 and i8" : "f2, f4, f8, u1 and i1", " can be read"));
    }
    if (integers_) {
      *type = kind == "i4" ? ElementType::kInt32 : ElementType::kInt64;
      return absl::OkStatus();
    }
    *type = kind == "f2" ? ElementType::kFloat16 : kind == "f4" ? ElementType::kFloat32 : ElementType::kFloat64;
    return absl::OkStatus();
  }

  absl::Status ParseOrder() {
    if (Take("False")) return absl::OkStatus();
    if (Take("True")) return Refuse("is in Fortran order; save it in C order (numpy.ascontiguousarray)");
    return Malformed("fortran_order is neither True nor False");
  }

  absl::Status ParseShape(Layout* layout, uint64_t* columns) {
    if (!Take("(")) return Malformed("shape is no tuple");
    uint64_t sizes[2] = {0, 1};
    size_t count = 0;
    while (!Take(")")) {
      SkipBlanks();
      const size_t digits = std::min(text_.find_first_not_of("0123456789"), text_.size());
      uint64_t size;
      if (!absl::SimpleAtoi(text_.substr(0, digits), &size)) return Malformed("shape holds no number, or a huge one");
      text_.remove_prefix(digits);
      Take("L");  // Python 2
      if (count < 2) sizes[count] = size;
      ++count;
      if (Take(",")) continue;
      if (!Take(")")) return Malformed("shape is no tuple");
      break;
    }
    if (count == 0 || count > 2) {
      return Refuse(absl::StrCat("has an array of ", count, " dimensions; 1 or 2 can be read"));
    }
    layout->rows = sizes[0];
    *columns = sizes[1];
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
  const bool integers_;
};

absl::StatusOr<Layout> NpyLayout(const InputFile* file, const VectorReaderOptions& options, bool integers) {
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
  DPKDE_RETURN_IF_ERROR(NpyHeaderParser(*file, text, integers).Parse(&layout, &columns));
  DPKDE_RETURN_IF_ERROR(CheckColumns(*file, columns, options));
  layout.columns = columns;
  DPKDE_RETURN_IF_ERROR(CheckRows(*file, layout));
  return layout;
}

absl::StatusOr<Layout> BinLayout(ElementType type, const InputFile* file, const VectorReaderOptions& options) {
  char header[8];
  if (file->size() < sizeof(header)) return EndsInsideHeader(*file);
  DPKDE_RETURN_IF_ERROR(file->ReadAt(0, sizeof(header), header));
  const int32_t rows = Load<int32_t>(header);
  const int32_t columns = Load<int32_t>(header + 4);
  if (rows < 0 || columns < 0) {
    return file->Error(absl::StatusCode::kDataLoss,
                       absl::StrCat("is damaged: its header promises ", rows, " rows of ", columns, " columns"));
  }
  DPKDE_RETURN_IF_ERROR(CheckColumns(*file, columns, options));
  Layout layout;
  layout.type = type;
  layout.rows = rows;
  layout.columns = columns;
  layout.offset = sizeof(header);
  DPKDE_RETURN_IF_ERROR(CheckRows(*file, layout));
  return layout;
}

absl::StatusOr<Layout> VecsLayout(ElementType type, const InputFile* file, const VectorReaderOptions& options) {
  Layout layout;
  layout.type = type;
  layout.prefixed = true;
  if (file->size() == 0) {
    if (!options.expected_dimension.has_value()) {
      return file->Error(absl::StatusCode::kInvalidArgument, "is empty, so its number of columns is unknown");
    }
    layout.columns = *options.expected_dimension;
    return layout;
  }
  if (file->size() < kPrefixBytes) return EndsInsideHeader(*file);
  char prefix[kPrefixBytes];
  DPKDE_RETURN_IF_ERROR(file->ReadAt(0, kPrefixBytes, prefix));
  const int32_t columns = Load<int32_t>(prefix);
  if (columns < 0) {
    return file->Error(absl::StatusCode::kDataLoss,
                       absl::StrCat("is damaged: row 0 (counting from 0) promises ", columns, " columns"));
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
      return file->Error(absl::StatusCode::kDataLoss,
                         absl::StrCat("row ", row, " (counting from 0): has ", Load<int32_t>(prefix),
                                      " columns instead of ", columns));
    }
  }
  return file->Error(absl::StatusCode::kDataLoss, absl::StrCat("is truncated, or a row has another length: it ends ",
                                                               rest, " bytes into a row of ", row_bytes, " bytes"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<VectorReader>> OpenNpy(std::unique_ptr<InputFile> file,
                                                      const VectorReaderOptions& options) {
  DPKDE_ASSIGN_OR_RETURN(const Layout layout, NpyLayout(file.get(), options, /*integers=*/false));
  return MakeReader(std::move(file), layout, options);
}

absl::StatusOr<std::unique_ptr<VectorReader>> OpenBin(ElementType type, std::unique_ptr<InputFile> file,
                                                      const VectorReaderOptions& options) {
  DPKDE_ASSIGN_OR_RETURN(const Layout layout, BinLayout(type, file.get(), options));
  return MakeReader(std::move(file), layout, options);
}

absl::StatusOr<std::unique_ptr<VectorReader>> OpenVecs(ElementType type, std::unique_ptr<InputFile> file,
                                                       const VectorReaderOptions& options) {
  DPKDE_ASSIGN_OR_RETURN(const Layout layout, VecsLayout(type, file.get(), options));
  return MakeReader(std::move(file), layout, options);
}

absl::StatusOr<IntegerTable> ReadDenseIntegers(DenseFormat format, ElementType type, const InputFile& file) {
  const VectorReaderOptions options;
  Layout layout;
  switch (format) {
    case DenseFormat::kNpy: {
      DPKDE_ASSIGN_OR_RETURN(layout, NpyLayout(&file, options, /*integers=*/true));
      break;
    }
    case DenseFormat::kBin: {
      DPKDE_ASSIGN_OR_RETURN(layout, BinLayout(type, &file, options));
      break;
    }
    case DenseFormat::kVecs: {
      DPKDE_ASSIGN_OR_RETURN(layout, VecsLayout(type, &file, options));
      break;
    }
  }
  IntegerTable table;
  table.rows = layout.rows;
  table.columns = layout.columns;
  table.values.reserve(table.rows * table.columns);
  std::string row(layout.row_bytes(), '\0');
  for (size_t i = 0; i < table.rows; ++i) {
    DPKDE_RETURN_IF_ERROR(file.ReadAt(layout.offset + i * row.size(), row.size(), &row[0]));
    if (layout.prefixed && Load<int32_t>(row.data()) != static_cast<int32_t>(layout.columns)) {
      return file.Error(absl::StatusCode::kDataLoss,
                        absl::StrCat("row ", i, " (counting from 0): has ", Load<int32_t>(row.data()),
                                     " columns instead of ", layout.columns));
    }
    const char* values = row.data() + layout.prefix_bytes();
    for (size_t j = 0; j < table.columns; ++j) {
      switch (layout.type) {
        case ElementType::kUint8:
          table.values.push_back(Load<uint8_t>(values + j));
          break;
        case ElementType::kInt8:
          table.values.push_back(Load<int8_t>(values + j));
          break;
        case ElementType::kInt32:
          table.values.push_back(Load<int32_t>(values + 4 * j));
          break;
        default:
          table.values.push_back(Load<int64_t>(values + 8 * j));
      }
    }
  }
  return table;
}

}  // namespace dpkde
