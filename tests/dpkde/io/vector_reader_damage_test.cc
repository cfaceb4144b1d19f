// Damaged files of every format: the result is an error or rows, never a crash (run it with --config=asan), and
// memory stays near the size of the file.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "dpkde/io/npy_writer.h"
#include "dpkde/io/vector_reader.h"
#include "gtest/gtest.h"
#include "tests/dpkde/io/test_files.h"

namespace {
size_t largest_allocation = 0;
}  // namespace

// Out of line, or GCC sees malloc() and free() where it expects new and delete.
__attribute__((noinline)) void* operator new(size_t size) {
  largest_allocation = std::max(largest_allocation, size);
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace dpkde {
namespace {

using MalformedRows = VectorReaderOptions::MalformedRows;

struct Sample {
  const char* name;
  size_t dimension;
  std::string bytes;
};

std::vector<Sample> Samples() {
  const std::vector<float> values = {1, 2, 3, 4, 5, -6.5};
  const std::string vec = Raw<int32_t>({2}) + Raw<float>({1, 2});
  const std::string header = Raw<int32_t>({3, 2});
  return {
      {"f4.npy", 2, EncodeNpy(values.data(), 3, 2)},
      {"f8.npy", 1, Npy(NpyText("'<f8'", "(3, 1)"), Raw<double>({1, 2, 3}))},
      {"f2.npy", 1, Npy(NpyText("'<f2'", "(3,)"), Raw<uint16_t>({0x3c00, 0x0001, 0xfbff}), 2)},
      {"u1.npy", 4, Npy(NpyText("'|u1'", "(2, 4)"), "abcdefgh", 3)},
      {"i1.npy", 4, Npy(NpyText("'|i1'", "(2, 4)"), "abcdefgh")},
      {"a.fvecs", 2, vec + vec + vec},
      {"a.bvecs", 4, Raw<int32_t>({4}) + "abcd" + Raw<int32_t>({4}) + "efgh"},
      {"a.ivecs", 2, vec + vec},
      {"a.fbin", 2, header + Raw(values)},
      {"a.u8bin", 2, header + "abcdef"},
      {"a.i8bin", 2, header + "abcdef"},
      {"a.ibin", 2, header + Raw(values)},
      {"a.csv", 2, "x,\"y, \"\"z\"\"\"\r\n1,-2.5e3\r\n\r\n \"3\" ,nan\n5,6"},
      {"bom.csv", 2,
       "\xef\xbb\xbf"
       "1,2\n3,4\n"},
      {"a.tsv", 2, "1\t2\n3\t 4\n\"5\"\t6\n"},
  };
}

// Writes the file anew, then opens and reads it in every way.
void Exercise(const std::string& path, size_t dimension, const std::string& bytes) {
  std::filesystem::remove(path);  // some file systems are slow to truncate
  std::ofstream(path, std::ios::binary).write(bytes.data(), bytes.size());
  VectorReaderOptions lenient;
  lenient.malformed_rows = MalformedRows::kAsNan;
  lenient.expected_dimension = dimension;
  for (const VectorReaderOptions& options : {VectorReaderOptions(), lenient}) {
    largest_allocation = 0;
    const auto reader = VectorReader::Open(path, options);
    EXPECT_LE(largest_allocation, 4096) << "for " << bytes.size() << " bytes";
    if (!reader.ok()) {
      EXPECT_TRUE(absl::StartsWith(reader.status().message(), path + ": ")) << reader.status();
      continue;
    }
    // A block of exactly one row, so that ASan sees every access beyond it.
    std::vector<float> row((*reader)->dimension());
    absl::StatusOr<size_t> rows = 1;
    uint64_t count = 0;
    largest_allocation = 0;
    while (rows.ok() && *rows != 0) {
      rows = (*reader)->ReadRows(1, row.data());
      count += rows.value_or(0);
      ASSERT_LE(count, bytes.size()) << "more rows than bytes";
    }
    EXPECT_LE(largest_allocation, 4096);
    if (rows.ok()) {
      EXPECT_EQ(count, (*reader)->row_count().value_or(count));
    } else {
      EXPECT_TRUE(absl::StartsWith(rows.status().message(), path + ": ")) << rows.status();
    }
  }
}

class VectorReaderDamageTest : public ::testing::TestWithParam<Sample> {
 protected:
  const std::string bytes_ = GetParam().bytes;
  const std::string path_ = NewPath(GetParam().name);
};

TEST_P(VectorReaderDamageTest, BeginsWithAFileThatIsRead) {
  VectorReaderOptions options;
  options.malformed_rows = MalformedRows::kAsNan;
  options.expected_dimension = GetParam().dimension;
  const auto values = ReadAll(MakeFile(GetParam().name, bytes_), options);
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_GT(values->size(), 0);
}

TEST_P(VectorReaderDamageTest, SurvivesEveryTruncation) {
  for (size_t size = 0; size <= bytes_.size(); ++size) {
    SCOPED_TRACE(size);
    Exercise(path_, GetParam().dimension, bytes_.substr(0, size));
  }
}

TEST_P(VectorReaderDamageTest, SurvivesEveryFlip) {
  for (size_t place = 0; place < bytes_.size(); ++place) {
    for (const int change : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      SCOPED_TRACE(absl::StrCat(place, " ", change));
      std::string bytes = bytes_;
      bytes[place] ^= static_cast<char>(change);
      Exercise(path_, GetParam().dimension, bytes);
    }
  }
}

TEST_P(VectorReaderDamageTest, SurvivesExtremeBytes) {
  // Four bytes at a time: dimensions and counts at the ends of their range.
  for (const int32_t value :
       {0, 1, -1, 65536, 65537, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
    for (size_t place = 0; place + 4 <= std::min<size_t>(bytes_.size(), 32); ++place) {
      SCOPED_TRACE(absl::StrCat(place, " ", value));
      std::string bytes = bytes_;
      bytes.replace(place, 4, Raw<int32_t>({value}));
      Exercise(path_, GetParam().dimension, bytes);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, VectorReaderDamageTest, ::testing::ValuesIn(Samples()), [](const auto& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

// --- memory ---

constexpr size_t kLargeBytes = size_t{64} << 20;
constexpr size_t kAllowedBytes = size_t{1} << 20;

void ExpectLittleMemory(const std::string& path, size_t expected_rows) {
  largest_allocation = 0;
  const auto reader = VectorReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  static float block[1 << 16];
  const size_t block_rows = (1 << 16) / (*reader)->dimension();
  size_t rows = 0;
  while (true) {
    const auto read = (*reader)->ReadRows(block_rows, block);
    ASSERT_TRUE(read.ok()) << read.status();
    if (*read == 0) break;
    rows += *read;
  }
  EXPECT_EQ(rows, expected_rows);
  EXPECT_LE(largest_allocation, kAllowedBytes);
}

TEST(VectorReaderMemoryTest, DoesNotGrowWithTheRows) {
  // Zeros, which a file system does not even store.
  const std::string dense = MakeFile("a.npy", NpyHeader<double>(kLargeBytes / 80, 10));
  std::filesystem::resize_file(dense, std::filesystem::file_size(dense) + kLargeBytes / 80 * 80);
  ExpectLittleMemory(dense, kLargeBytes / 80);

  const std::string text = NewPath("a.csv");
  {
    std::ofstream file(text);
    for (int row = 0; row < 300000; ++row) file << "1,2.5,3,4,5\n";
  }
  ExpectLittleMemory(text, 300000);
}

}  // namespace
}  // namespace dpkde
