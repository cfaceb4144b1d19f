#include "dpkde/io/npy_writer.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dpkde/io/test_files.h"

namespace dpkde {
namespace {

TEST(EncodeNpyTest, WritesTheBytesOfNumpy) {
  const float values[] = {1, 2, 3, 4, 5, -6.5};
  // numpy.save() of the same array.
  const std::string golden = absl::StrCat(
      absl::string_view("\x93NUMPY\x01\x00v\x00", 10), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
      std::string(58, ' '), "\n",
      absl::string_view("\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x00\x00\x80@\x00\x00\xa0@\x00\x00\xd0\xc0", 24));
  EXPECT_EQ(golden.size(), 152);
  EXPECT_EQ(EncodeNpy(values, 2, 3), golden);
}

TEST(EncodeNpyTest, WritesTheBytesOfNumpyForDoubles) {
  const double values[] = {1, 0.1};
  const std::string golden = absl::StrCat(
      absl::string_view("\x93NUMPY\x01\x00v\x00", 10), "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }",
      std::string(58, ' '), "\n", absl::string_view("\x00\x00\x00\x00\x00\x00\xf0?\x9a\x99\x99\x99\x99\x99\xb9?", 16));
  EXPECT_EQ(EncodeNpy(values, 2, 1), golden);
}

TEST(EncodeNpyTest, IsReadBack) {
  std::vector<float> values(70);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 3;
  EXPECT_EQ(*ReadAll(MakeFile("floats.npy", EncodeNpy(values.data(), 10, 7))), values);

  const std::vector<double> doubles(values.begin(), values.end());
  EXPECT_EQ(*ReadAll(MakeFile("doubles.npy", EncodeNpy(doubles.data(), 7, 10))), values);
  EXPECT_THAT(*ReadAll(MakeFile("empty.npy", EncodeNpy(doubles.data(), 0, 10))), ::testing::IsEmpty());
}

TEST(NpyHeaderTest, AlignsTheValuesWhateverTheShape) {
  for (uint64_t rows = 1; rows != 0; rows = rows > UINT64_MAX / 10 ? 0 : rows * 10) {
    for (uint64_t columns = 1; columns <= 65536; columns *= 4) {
      const std::string header = NpyHeader<float>(rows, columns);
      EXPECT_EQ(header.size() % 64, 0) << rows << " " << columns;
      EXPECT_EQ(header.back(), '\n');
      EXPECT_THAT(header, ::testing::HasSubstr(absl::StrCat("(", rows, ", ", columns, ")")));
      EXPECT_EQ(header[8] + 256 * header[9], static_cast<int>(header.size()) - 10);
    }
  }
}

}  // namespace
}  // namespace dpkde
