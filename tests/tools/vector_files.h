#ifndef TESTS_TOOLS_VECTOR_FILES_H_
#define TESTS_TOOLS_VECTOR_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "dpkde/io/npy_writer.h"

namespace dpkde {

// Rows of two columns spread over [0, 4]^2.
inline std::vector<float> TwoColumns(size_t rows) {
  std::vector<float> values;
  for (size_t i = 0; i < rows; ++i) {
    values.push_back(static_cast<float>(i * 37 % 401) / 100);
    values.push_back(static_cast<float>(i * 53 % 397) / 100);
  }
  return values;
}

inline std::string Npy(const std::vector<float>& values, size_t columns) {
  return EncodeNpy(values.data(), values.size() / columns, columns);
}

inline std::string Csv(const std::vector<float>& values, size_t columns) {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    text += std::to_string(values[i]) + ((i + 1) % columns == 0 ? "\n" : ",");
  }
  return text;
}

// Rows in the layout of .fvecs.
inline std::string Fvecs(const std::vector<std::vector<float>>& rows) {
  std::string bytes;
  for (const std::vector<float>& row : rows) {
    const int32_t columns = static_cast<int32_t>(row.size());
    bytes.append(reinterpret_cast<const char*>(&columns), sizeof(columns));
    bytes.append(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float));
  }
  return bytes;
}

}  // namespace dpkde

#endif  // TESTS_TOOLS_VECTOR_FILES_H_
