#include "dpkde/io/npy_writer.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace dpkde {
namespace {

// The format wants the values to begin at a multiple of this.
constexpr size_t kAlignment = 64;

std::string Header(absl::string_view descr, uint64_t rows, uint64_t columns) {
  std::string text =
      absl::StrCat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (", rows, ", ", columns, "), }");
  constexpr size_t kStartBytes = 10;  // magic, version and the size of the text
  const size_t unpadded = kStartBytes + text.size() + 1;
  text.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  text.push_back('\n');
  const char size[2] = {static_cast<char>(text.size()), static_cast<char>(text.size() >> 8)};
  return absl::StrCat(absl::string_view("\x93NUMPY\x01\x00", 8), absl::string_view(size, sizeof(size)), text);
}

template <typename T>
std::string Encode(const T* values, size_t rows, size_t columns) {
  std::string header = NpyHeader<T>(rows, columns);
  return absl::StrCat(header, absl::string_view(reinterpret_cast<const char*>(values), rows * columns * sizeof(T)));
}

}  // namespace

template <>
std::string NpyHeader<float>(uint64_t rows, uint64_t columns) {
  return Header("<f4", rows, columns);
}

template <>
std::string NpyHeader<double>(uint64_t rows, uint64_t columns) {
  return Header("<f8", rows, columns);
}

template <>
std::string NpyHeader<int8_t>(uint64_t rows, uint64_t columns) {
  return Header("|i1", rows, columns);
}

std::string NpyHalfHeader(uint64_t rows, uint64_t columns) { return Header("<f2", rows, columns); }

std::string EncodeNpy(const float* values, size_t rows, size_t columns) { return Encode(values, rows, columns); }
std::string EncodeNpy(const double* values, size_t rows, size_t columns) { return Encode(values, rows, columns); }

}  // namespace dpkde
