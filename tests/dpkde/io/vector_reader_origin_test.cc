#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/io/npy_writer.h"
#include "dpkde/io/vector_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dpkde/io/test_files.h"

namespace dpkde {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsNan;

VectorReaderOptions From(std::vector<double> origin) {
  VectorReaderOptions options;
  options.origin = std::move(origin);
  return options;
}

// Rows as one sees them, 30 apart at an offset where float32's step is 128.
TEST(VectorReaderOriginTest, TellsTimestampsApartInEveryFormatThatHoldsThem) {
  constexpr int32_t kLate = 1700000047, kEarly = 1700000017;
  const auto vec = [](int32_t value) { return Raw<int32_t>({1, value}); };
  const std::string paths[] = {
      MakeFile("a.csv", "1700000017\n1700000047.5\n"),
      MakeFile("a.tsv", "1700000017\n1700000047.5\n"),
      MakeFile("a.npy", Npy(NpyText("'<f8'", "(2,)"), Raw<double>({kEarly, kLate + .5}))),
      MakeFile("a.ivecs", vec(kEarly) + vec(kLate)),
      MakeFile("a.ibin", Raw<int32_t>({2, 1, kEarly, kLate})),
  };
  for (const std::string& path : paths) {
    const auto values = ReadAll(path, From({1.7e9}));
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ((*values)[0], 17) << path;
    EXPECT_EQ(std::floor((*values)[1]), 47) << path;
  }
  EXPECT_THAT(*ReadAll(paths[0], From({1.7e9})), ElementsAre(17, 47.5f));
  EXPECT_THAT(*ReadAll(paths[2], From({1.7e9})), ElementsAre(17, 47.5f));
}

TEST(VectorReaderOriginTest, SubtractsFromSmallTypesAndFloats) {
  const std::vector<double> origin = {100, -0.5};
  EXPECT_THAT(*ReadAll(MakeFile("a.npy", Npy(NpyText("'|u1'", "(1, 2)"), Raw<uint8_t>({7, 255}))), From(origin)),
              ElementsAre(-93, 255.5f));
  EXPECT_THAT(*ReadAll(MakeFile("a.i8bin", Raw<int32_t>({1, 2}) + Raw<int8_t>({-7, 3})), From(origin)),
              ElementsAre(-107, 3.5f));
  EXPECT_THAT(*ReadAll(MakeFile("h.npy", Npy(NpyText("'<f2'", "(1, 2)"), Raw<uint16_t>({0x3c00, 0xc500}))),
                       From(origin)),
              ElementsAre(-99, -4.5f));
  EXPECT_THAT(*ReadAll(MakeFile("a.bvecs", Raw<int32_t>({2}) + Raw<uint8_t>({7, 255})), From(origin)),
              ElementsAre(-93, 255.5f));
}

// Rows that do not divide the reader's chunks, read in place, and an origin that does not divide vectors of four.
TEST(VectorReaderOriginTest, SubtractsInDoubleFromEveryValueOfLongFiles) {
  for (const size_t columns : {size_t{1}, size_t{3}, size_t{7}, size_t{301}, size_t{2049}}) {
    const size_t rows = 300007 / columns;
    std::vector<float> values(rows * columns), expected(values.size());
    std::vector<double> origin(columns);
    for (size_t j = 0; j < columns; ++j) origin[j] = 1000.1 * static_cast<double>(j + 1);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(i % 100003) / 7;
      expected[i] = static_cast<float>(static_cast<double>(values[i]) - origin[i % columns]);
    }
    const std::vector<double> doubles(values.begin(), values.end());
    for (const std::string& path : {MakeFile("f4.npy", EncodeNpy(values.data(), rows, columns)),
                                    MakeFile("f8.npy", EncodeNpy(doubles.data(), rows, columns))}) {
      for (const size_t block_rows : {size_t{7}, rows}) {
        const auto read = ReadAll(path, From(origin), block_rows);
        ASSERT_TRUE(read.ok()) << read.status();
        EXPECT_TRUE(*read == expected) << path << " " << columns << " " << block_rows;
      }
    }
  }
}

TEST(VectorReaderOriginTest, ChecksValuesAfterTheSubtraction) {
  // Beyond float32 as it stands, but not from there.
  const std::string large = MakeFile("a.csv", "3.5e38,1\n");
  EXPECT_THAT(ReadAll(large).status().message(), HasSubstr("does not fit into float32"));
  EXPECT_THAT(*ReadAll(large, From({1e38, 0})), ElementsAre(2.5e38f, 1));

  const std::string far = MakeFile("b.csv", "1,3e38\n");
  EXPECT_THAT(ReadAll(far, From({0, -3e38})).status().message(),
              HasSubstr("row 0, column 1 (counting from 0; line 1 of the file): does not fit into float32"));
  const std::string far_npy = MakeFile("b.npy", EncodeNpy(std::vector<float>{1, 3e38f}.data(), 1, 2));
  EXPECT_THAT(ReadAll(far_npy, From({0, -3e38})).status().message(),
              HasSubstr("row 0, column 1 (counting from 0): is infinite, or does not fit into float32"));

  VectorReaderOptions as_nan = From({5, 5});
  as_nan.malformed_rows = VectorReaderOptions::MalformedRows::kAsNan;
  EXPECT_THAT(*ReadAll(MakeFile("c.csv", "inf,1\nx,2\n"), as_nan), Each(IsNan()));
}

TEST(VectorReaderOriginTest, RefusesOriginsThatDoNotFit) {
  const std::string path = MakeFile("a.csv", "1,2\n");
  EXPECT_EQ(VectorReader::Open(path, From({1})).status().message(),
            "the origin must have one value for each of the 2 columns, but has 1");
  for (const double value : {1e39, std::numeric_limits<double>::infinity(), std::nan("")}) {
    EXPECT_EQ(VectorReader::Open(path, From({0, value})).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(VectorReaderOriginTest, TakesAnOriginWhenTheColumnsAreKnown) {
  const auto reader = VectorReader::Open(MakeFile("a.csv", "16777217,2\n"));
  ASSERT_TRUE((*reader)->SetOrigin(std::vector<double>((*reader)->dimension(), 16777216)).ok());
  std::vector<float> row(2);
  ASSERT_EQ(*(*reader)->ReadRows(1, row.data()), 1);
  EXPECT_THAT(row, ElementsAre(1, -16777214));
  ASSERT_TRUE((*reader)->SetOrigin({}).ok());
  ASSERT_TRUE((*reader)->Rewind().ok());
  ASSERT_EQ(*(*reader)->ReadRows(1, row.data()), 1);
  EXPECT_THAT(row, ElementsAre(16777216, 2));
}

}  // namespace
}  // namespace dpkde
