#include "dpkde/base/row_origin.h"

namespace dpkde {
namespace {

template <typename T>
void Subtract(const T* values, size_t count, size_t columns, absl::Span<const double> origin, float* centered) {
  for (size_t begin = 0; begin < count; begin += columns) {
    for (size_t i = 0; i < columns; ++i) {
      const double value = values[begin + i];
      centered[begin + i] = static_cast<float>(origin.empty() ? value : value - origin[i]);
    }
  }
}

}  // namespace

std::vector<float> SubtractOrigin(MatrixView rows, absl::Span<const double> origin) {
  std::vector<float> centered(rows.rows * rows.columns);
  SubtractOrigin(rows, origin, centered.data());
  return centered;
}

void SubtractOrigin(MatrixView rows, absl::Span<const double> origin, float* centered) {
  Subtract(rows.data, rows.rows * rows.columns, rows.columns, origin, centered);
}

std::vector<float> SubtractOrigin(absl::Span<const double> rows, size_t columns, absl::Span<const double> origin) {
  std::vector<float> centered(rows.size() / columns * columns);
  Subtract(rows.data(), centered.size(), columns, origin, centered.data());
  return centered;
}

}  // namespace dpkde
