#include "tests/dpkde/io/test_files.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "gtest/gtest.h"

namespace dpkde {

std::string NewPath(absl::string_view name) {
  std::string folder = absl::StrCat(::testing::TempDir(), "/files_XXXXXX");
  if (mkdtemp(&folder[0]) == nullptr) std::abort();
  return absl::StrCat(folder, "/", name);
}

std::string MakeFile(absl::string_view name, absl::string_view bytes) {
  std::string path = NewPath(name);
  std::ofstream(path, std::ios::binary).write(bytes.data(), bytes.size());
  return path;
}

std::vector<std::string> Siblings(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(path).parent_path())) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Npy(absl::string_view header_text, absl::string_view data, int major) {
  const uint32_t size = header_text.size();
  const char size_bytes[4] = {static_cast<char>(size), static_cast<char>(size >> 8), static_cast<char>(size >> 16),
                              static_cast<char>(size >> 24)};
  const char version[2] = {static_cast<char>(major), 0};
  return absl::StrCat("\x93NUMPY", absl::string_view(version, 2), absl::string_view(size_bytes, major == 1 ? 2 : 4),
                      header_text, data);
}

std::string NpyText(absl::string_view descr, absl::string_view shape) {
  return absl::StrCat("{'descr': ", descr, ", 'fortran_order': False, 'shape': ", shape, ", }   \n");
}

std::string FortranText(absl::string_view descr, absl::string_view shape) {
  return absl::StrCat("{'descr': ", descr, ", 'fortran_order': True, 'shape': ", shape, ", }   \n");
}

absl::StatusOr<std::vector<float>> ReadAll(VectorReader* reader, size_t block_rows) {
  std::vector<float> values;
  std::vector<float> block(block_rows * reader->dimension());
  while (true) {
    DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader->ReadRows(block_rows, block.data()));
    values.insert(values.end(), block.begin(), block.begin() + rows * reader->dimension());
    if (rows < block_rows) break;
  }
  DPKDE_ASSIGN_OR_RETURN(const size_t rows_after_the_end, reader->ReadRows(block_rows, block.data()));
  EXPECT_EQ(rows_after_the_end, 0);
  return values;
}

absl::StatusOr<std::vector<float>> ReadAll(const std::string& path, const VectorReaderOptions& options,
                                           size_t block_rows) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader, VectorReader::Open(path, options));
  return ReadAll(reader.get(), block_rows);
}

}  // namespace dpkde
