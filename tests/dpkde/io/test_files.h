#ifndef DPKDE_TESTS_DPKDE_IO_TEST_FILES_H_
#define DPKDE_TESTS_DPKDE_IO_TEST_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {

// A path of this name in a new, empty folder of the running test.
std::string NewPath(absl::string_view name);

// Writes `bytes` to NewPath(name).
std::string MakeFile(absl::string_view name, absl::string_view bytes);

// The names in the folder of `path`, sorted.
std::vector<std::string> Siblings(const std::string& path);

// As they lie in memory.
template <typename T>
std::string Raw(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// A .npy file of the version `major`.0.
std::string Npy(absl::string_view header_text, absl::string_view data, int major = 1);

// The header text of numpy.save().
std::string NpyText(absl::string_view descr, absl::string_view shape);
// The same of an array whose columns lie one behind the other.
std::string FortranText(absl::string_view descr, absl::string_view shape);

// All values of all rows, read `block_rows` at a time.
absl::StatusOr<std::vector<float>> ReadAll(VectorReader* reader, size_t block_rows = 3);
absl::StatusOr<std::vector<float>> ReadAll(const std::string& path, const VectorReaderOptions& options = {},
                                           size_t block_rows = 3);

}  // namespace dpkde

#endif  // DPKDE_TESTS_DPKDE_IO_TEST_FILES_H_
