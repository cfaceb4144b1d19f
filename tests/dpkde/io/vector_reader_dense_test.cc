#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/record_error.h"
#include "dpkde/io/npy_writer.h"
#include "dpkde/io/vector_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dpkde/io/test_files.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsNan;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

VectorReaderOptions AsNan() {
  VectorReaderOptions options;
  options.malformed_rows = VectorReaderOptions::MalformedRows::kAsNan;
  return options;
}

VectorReaderOptions Expecting(size_t dimension) {
  VectorReaderOptions options;
  options.expected_dimension = dimension;
  return options;
}

absl::Status Refusal(absl::StatusCode code, absl::string_view path, absl::string_view phrase) {
  return absl::Status(code, absl::StrCat(path, ": ", phrase));
}

// Opens or reads a file of these bytes; the error must be this one.
void ExpectError(absl::string_view name, absl::string_view bytes, absl::StatusCode code, absl::string_view phrase,
                 const VectorReaderOptions& options = {}) {
  const std::string path = MakeFile(name, bytes);
  EXPECT_EQ(AboutPublicFile(ReadAll(path, options).status()), Refusal(code, path, phrase));
}

// One row of .fvecs and its kin.
template <typename T>
std::string Vec(const std::vector<T>& values) {
  return Raw<int32_t>({static_cast<int32_t>(values.size())}) + Raw(values);
}

template <typename T>
std::string Bin(int32_t rows, int32_t columns, const std::vector<T>& values) {
  return Raw<int32_t>({rows, columns}) + Raw(values);
}

struct Sample {
  const char* name;
  std::string bytes;
  std::vector<float> values;
  size_t dimension;
};

const std::vector<Sample>& Samples() {
  static const auto* const samples = new std::vector<Sample>{
      {"two.npy", Npy(NpyText("'<f4'", "(2, 3)"), Raw<float>({1, 2, 3, 4, 5, -6.5})), {1, 2, 3, 4, 5, -6.5}, 3},
      {"one.npy", Npy(NpyText("'<f4'", "(2,)"), Raw<float>({1, 2})), {1, 2}, 1},
      {"version2.npy", Npy(NpyText("'<f4'", "(1, 2)"), Raw<float>({1, 2}), 2), {1, 2}, 2},
      {"version3.npy", Npy(NpyText("'<f4'", "(1, 2)"), Raw<float>({1, 2}), 3), {1, 2}, 2},
      {"f8.npy", Npy(NpyText("'<f8'", "(1, 2)"), Raw<double>({0.1, -1e-300})), {0.1f, 0}, 2},
      {"f2.npy", Npy(NpyText("'<f2'", "(1, 3)"), Raw<uint16_t>({0x3c00, 0xc500, 0x0001})), {1, -5, 0x1p-24f}, 3},
      {"u1.npy", Npy(NpyText("'|u1'", "(2, 2)"), Raw<uint8_t>({0, 1, 128, 255})), {0, 1, 128, 255}, 2},
      {"i1.npy", Npy(NpyText("'|i1'", "(2, 2)"), Raw<int8_t>({0, 1, -128, 127})), {0, 1, -128, 127}, 2},
      {"b1.npy", Npy(NpyText("'|b1'", "(2,)"), Raw<uint8_t>({0, 1})), {0, 1}, 1},
      {"u2.npy", Npy(NpyText("'<u2'", "(1, 2)"), Raw<uint16_t>({65535, 1})), {65535, 1}, 2},
      {"i2.npy", Npy(NpyText("'<i2'", "(1, 2)"), Raw<int16_t>({-32768, 1})), {-32768, 1}, 2},
      {"u4.npy", Npy(NpyText("'<u4'", "(1, 2)"), Raw<uint32_t>({4294967295u, 16777217})), {4294967296.0f, 16777216}, 2},
      {"i4.npy", Npy(NpyText("'<i4'", "(1, 2)"), Raw<int32_t>({-5, 16777219})), {-5, 16777220}, 2},
      {"u8.npy", Npy(NpyText("'<u8'", "(1, 1)"), Raw<uint64_t>({uint64_t{1} << 63})), {0x1p63f}, 1},
      {"i8.npy", Npy(NpyText("'<i8'", "(1, 2)"), Raw<int64_t>({-3, int64_t{1} << 40})), {-3, 0x1p40f}, 2},
      {"fortran.npy", Npy(FortranText("'<f4'", "(2, 3)"), Raw<float>({1, 4, 2, 5, 3, 6})), {1, 2, 3, 4, 5, 6}, 3},
      {"fortran_i8.npy", Npy(FortranText("'<i8'", "(3, 2)"), Raw<int64_t>({1, 3, 5, 2, 4, 6})), {1, 2, 3, 4, 5, 6}, 2},
      {"fortran_row.npy", Npy(FortranText("'<f4'", "(1, 2)"), Raw<float>({1, 2})), {1, 2}, 2},
      {"fortran_one.npy", Npy(FortranText("'<f8'", "(2,)"), Raw<double>({1, 2})), {1, 2}, 1},
      {"order_of_bytes.npy", Npy(NpyText("'>u1'", "(1, 1)"), Raw<uint8_t>({7})), {7}, 1},
      {"spaced.npy",
       Npy("  { \"shape\" : ( 2 , 1 ) , \"fortran_order\":False,\"descr\":\"<f4\" } ", Raw<float>({1, 2})),
       {1, 2},
       1},
      {"python2.npy", Npy(NpyText("'<f4'", "(2L, 1L)"), Raw<float>({1, 2})), {1, 2}, 1},
      {"none.npy", Npy(NpyText("'<f4'", "(0, 5)"), ""), {}, 5},
      {"none_of_one.npy", Npy(NpyText("'<f4'", "(0,)"), ""), {}, 1},
      {"a.fvecs", Vec<float>({1, 2}) + Vec<float>({3, -4.5}), {1, 2, 3, -4.5}, 2},
      {"a.bvecs", Vec<uint8_t>({1, 255, 3}) + Vec<uint8_t>({4, 5, 6}), {1, 255, 3, 4, 5, 6}, 3},
      {"a.ivecs", Vec<int32_t>({-1, 1 << 30}), {-1, 1 << 30}, 2},
      {"a.fbin", Bin<float>(2, 2, {1, 2, 3, -4.5}), {1, 2, 3, -4.5}, 2},
      {"a.u8bin", Bin<uint8_t>(1, 3, {0, 1, 255}), {0, 1, 255}, 3},
      {"a.i8bin", Bin<int8_t>(3, 1, {0, -128, 127}), {0, -128, 127}, 1},
      {"a.ibin", Bin<int32_t>(1, 2, {-7, 16777217}), {-7, 16777216}, 2},
      {"none.fbin", Bin<float>(0, 4, {}), {}, 4},
  };
  return *samples;
}

TEST(VectorReaderTest, ReadsEveryFormat) {
  for (const Sample& sample : Samples()) {
    SCOPED_TRACE(sample.name);
    const std::string path = MakeFile(sample.name, sample.bytes);
    for (const VectorReaderOptions& options : {VectorReaderOptions(), AsNan(), Expecting(sample.dimension)}) {
      const auto reader = VectorReader::Open(path, options);
      ASSERT_TRUE(reader.ok()) << reader.status();
      EXPECT_EQ((*reader)->dimension(), sample.dimension);
      EXPECT_EQ((*reader)->row_count(), sample.values.size() / sample.dimension);
      for (const size_t block_rows : {1, 2, 100}) {
        EXPECT_EQ(*ReadAll(reader->get(), block_rows), sample.values);
        EXPECT_EQ((*reader)->Rewind(), absl::OkStatus());
      }
    }
  }
}

TEST(VectorReaderTest, RefusesEveryTruncationAndEveryTrailingByte) {
  for (const Sample& sample : Samples()) {
    SCOPED_TRACE(sample.name);
    const std::string name = sample.name;
    const bool is_vecs = name.substr(name.size() - 4) == "vecs";
    const size_t rows = sample.values.size() / sample.dimension;
    for (size_t size = 0; size < sample.bytes.size(); ++size) {
      // What ends behind a row of .?vecs is whole.
      if (is_vecs && size > 0 && size % (sample.bytes.size() / rows) == 0) continue;
      const auto values = ReadAll(MakeFile(sample.name, sample.bytes.substr(0, size)));
      if (is_vecs && size == 0) {
        EXPECT_EQ(values.status().code(), absl::StatusCode::kInvalidArgument);
      } else {
        EXPECT_EQ(values.status().code(), absl::StatusCode::kDataLoss) << size << " " << values.status();
      }
    }
    EXPECT_EQ(ReadAll(MakeFile(sample.name, sample.bytes + "x")).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(VectorReaderTest, ReadsLargeFilesInBlocksOfEverySize) {
  // Several of the reader's chunks, and rows that do not divide them.
  constexpr size_t kRows = 2003, kColumns = 301;
  std::vector<float> values(kRows * kColumns);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 100003) / 7;
  std::string vecs;
  for (size_t row = 0; row < kRows; ++row) {
    vecs += Vec(std::vector<float>(values.begin() + row * kColumns, values.begin() + (row + 1) * kColumns));
  }
  const std::vector<double> doubles(values.begin(), values.end());
  std::vector<float> columns;
  for (size_t column = 0; column < kColumns; ++column) {
    for (size_t row = 0; row < kRows; ++row) columns.push_back(values[row * kColumns + column]);
  }
  const std::string paths[] = {MakeFile("fortran.npy", Npy(FortranText("'<f4'", "(2003, 301)"), Raw(columns))),
                               MakeFile("f4.npy", EncodeNpy(values.data(), kRows, kColumns)),
                               MakeFile("f8.npy", EncodeNpy(doubles.data(), kRows, kColumns)),
                               MakeFile("a.fvecs", vecs)};
  for (const std::string& path : paths) {
    for (const size_t block_rows : {7, 512, 2003, 5000}) {
      const auto read = ReadAll(path, {}, block_rows);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_TRUE(*read == values) << path << " " << block_rows;
    }
  }
}

TEST(VectorReaderTest, ReadsTheWidestRows) {
  std::vector<double> values(2 * VectorReader::kMaxDimension, 0.25);
  values.back() = 3;
  const auto read = ReadAll(MakeFile("a.npy", EncodeNpy(values.data(), 2, VectorReader::kMaxDimension)));
  EXPECT_EQ(*read, std::vector<float>(values.begin(), values.end()));
}

TEST(VectorReaderTest, ReadsNothingWhenAskedForNothing) {
  const auto reader = VectorReader::Open(MakeFile("a.fbin", Bin<float>(1, 1, {5})));
  EXPECT_EQ(*(*reader)->ReadRows(0, nullptr), 0);
  float value = 0;
  EXPECT_EQ(*(*reader)->ReadRows(9, &value), 1);
  EXPECT_EQ(value, 5);
  EXPECT_EQ(*(*reader)->ReadRows(9, nullptr), 0);
}

TEST(VectorReaderTest, TakesTheFormatFromTheOptionOrTheEnding) {
  VectorReaderOptions options;
  options.format = "fbin";
  EXPECT_THAT(*ReadAll(MakeFile("a.npy", Bin<float>(1, 1, {5})), options), ElementsAre(5));
  EXPECT_THAT(*ReadAll(MakeFile("A.FBIN", Bin<float>(1, 1, {5}))), ElementsAre(5));

  constexpr char kNames[] = "npy, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, ibin, csv, tsv";
  for (const char* name : {"a.txt", "fbin", "a.npy.gz"}) {
    ExpectError(name, "", absl::StatusCode::kInvalidArgument,
                absl::StrCat("has an ending that is none of ", kNames, "; name its format with --input_format"));
  }
  options.format = "FBIN";
  ExpectError("a.fbin", "", absl::StatusCode::kInvalidArgument, absl::StrCat("the format \"FBIN\" is none of ", kNames),
              options);
}

TEST(VectorReaderTest, RefusesWhatIsNoRegularFile) {
  const std::string absent = NewPath("absent.npy");
  EXPECT_EQ(VectorReader::Open(absent).status(), Refusal(absl::StatusCode::kNotFound, absent, "does not exist"));
  const std::string folder = NewPath("folder.npy");
  std::filesystem::create_directory(folder);
  EXPECT_EQ(VectorReader::Open(folder).status(),
            Refusal(absl::StatusCode::kUnavailable, folder, "is a folder, not a file"));
  EXPECT_EQ(VectorReader::Open("/dev/zero").status(),
            Refusal(absl::StatusCode::kUnavailable, "/dev/zero", "is not a regular file"));
}

TEST(VectorReaderTest, RefusesAnotherDimensionThanExpected) {
  for (const Sample& sample : Samples()) {
    ExpectError(sample.name, sample.bytes, absl::StatusCode::kInvalidArgument,
                absl::StrCat("has ", sample.dimension, " columns instead of 42"), Expecting(42));
  }
  for (const size_t dimension : {size_t{0}, size_t{65537}, std::numeric_limits<size_t>::max() / 2}) {
    ExpectError("a.fbin", Bin<float>(0, 1, {}), absl::StatusCode::kInvalidArgument,
                absl::StrCat("the expected dimension must be at least 1 and at most 65536, but is ", dimension),
                Expecting(dimension));
  }
}

// --- values that are not finite ---

TEST(VectorReaderTest, NamesTheFirstValueThatIsNotFinite) {
  constexpr double kDoubleInfinity = std::numeric_limits<double>::infinity();
  const auto code = absl::StatusCode::kInvalidArgument;
  std::vector<float> values(20, 1);
  values[15] = kNan;
  values[16] = kInfinity;
  ExpectError("a.npy", EncodeNpy(values.data(), 10, 2), code, "row 7, column 1 (counting from 0): is nan");
  ExpectError("a.fbin", Bin<float>(2, 2, {1, 2, kInfinity, 4}), code, "row 1, column 0 (counting from 0): is inf");
  ExpectError("a.fvecs", Vec<float>({1, 2}) + Vec<float>({3, -kInfinity}), code,
              "row 1, column 1 (counting from 0): is -inf");
  ExpectError("a.npy", Npy(NpyText("'<f2'", "(2,)"), Raw<uint16_t>({0x7bff, 0x7c00})), code,
              "row 1, column 0 (counting from 0): is inf");
  ExpectError("a.npy", Npy(NpyText("'<f8'", "(1, 3)"), Raw<double>({1, -kDoubleInfinity, 2})), code,
              "row 0, column 1 (counting from 0): is -inf");
}

TEST(VectorReaderTest, RefusesDoublesBeyondFloat) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  // Halfway to the next power of two: the first that rounds to infinity.
  constexpr double kTooLarge = kLargest + 0x1p103;
  const double fits = std::nextafter(kTooLarge, 0);
  const double values[] = {kLargest, -fits, kTooLarge, 1};
  ExpectError("a.npy", EncodeNpy(values, 2, 2), absl::StatusCode::kInvalidArgument,
              "row 1, column 0 (counting from 0): does not fit into float32");
  const std::string path = MakeFile("a.npy", EncodeNpy(values, 2, 2));
  EXPECT_THAT(*ReadAll(path, AsNan()), ElementsAre(kLargest, -kLargest, IsNan(), IsNan()));
}

TEST(VectorReaderTest, NamesRowsOfTheFileAndNotOfTheBlock) {
  std::vector<float> values(100000, 1);
  values[99999] = kNan;
  for (const size_t block_rows : {7, 1000, 100000}) {
    const std::string path = MakeFile("a.npy", EncodeNpy(values.data(), 50000, 2));
    EXPECT_EQ(AboutPublicFile(ReadAll(path, {}, block_rows).status()),
              Refusal(absl::StatusCode::kInvalidArgument, path, "row 49999, column 1 (counting from 0): is nan"));
  }
}

TEST(VectorReaderTest, FailsAgainUntilRewound) {
  const std::string path = MakeFile("a.fbin", Bin<float>(3, 1, {1, kNan, 3}));
  const auto reader = VectorReader::Open(path);
  const absl::Status refusal =
      Refusal(absl::StatusCode::kInvalidArgument, path, "row 1, column 0 (counting from 0): is nan");
  float value = 0;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(*(*reader)->ReadRows(1, &value), 1);
    EXPECT_EQ(value, 1);
    EXPECT_EQ(AboutPublicFile((*reader)->ReadRows(1, &value).status()), refusal);
    EXPECT_EQ(AboutPublicFile((*reader)->ReadRows(1, &value).status()), refusal);
    EXPECT_EQ((*reader)->Rewind(), absl::OkStatus());
  }
  // Also after a block whose first rows are good.
  float block[3];
  EXPECT_EQ(AboutPublicFile((*reader)->ReadRows(3, block).status()), refusal);
  EXPECT_EQ(AboutPublicFile((*reader)->ReadRows(1, block).status()), refusal);
}

TEST(VectorReaderTest, GivesNanForWholeRows) {
  const std::vector<float> values = {kNan, 2, 3, 4, 5, kInfinity, -kInfinity, kNan, 9, 10};
  const auto nan = IsNan();
  const auto expected = ElementsAre(nan, nan, 3, 4, nan, nan, nan, nan, 9, 10);
  std::string vecs;
  for (size_t i = 0; i < values.size(); i += 2) vecs += Vec<float>({values[i], values[i + 1]});
  const std::vector<double> doubles(values.begin(), values.end());
  const std::string paths[] = {MakeFile("a.fbin", Bin(5, 2, values)), MakeFile("a.fvecs", vecs),
                               MakeFile("a.npy", EncodeNpy(doubles.data(), 5, 2))};
  for (const std::string& path : paths) {
    for (const size_t block_rows : {1, 2, 5}) EXPECT_THAT(*ReadAll(path, AsNan(), block_rows), expected) << path;
  }
}

// --- .npy ---

TEST(VectorReaderTest, ReadsPaddedGroupsRowByRow) {
  const std::string path =
      MakeFile("a.npy", Npy(NpyText("'<f4'", "(2, 3, 2)"), Raw<float>({1, 2, 3, 4, NAN, 0, 5, 6, NAN, 0, NAN, 0})));
  VectorReaderOptions options;
  options.padded_groups = true;
  const auto reader = VectorReader::Open(path, options);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->row_count(), 6);
  EXPECT_EQ((*reader)->dimension(), 2);
  EXPECT_EQ((*reader)->group_rows(), 3);
  float rows[4];
  ASSERT_EQ(*(*reader)->ReadRows(2, rows), 2);
  EXPECT_THAT(rows, ::testing::ElementsAre(1, 2, 3, 4));
  EXPECT_EQ((*reader)->SkipRows(1), absl::OkStatus());
  ASSERT_EQ(*(*reader)->ReadRows(1, rows), 1);
  EXPECT_EQ(rows[1], 6);
  EXPECT_EQ((*reader)->SkipRows(7), absl::OkStatus());
  EXPECT_EQ(*(*reader)->ReadRows(1, rows), 0);
  EXPECT_EQ(
      VectorReader::Open(MakeFile("a.npy", Npy(FortranText("'<f4'", "(2, 3, 2)"), std::string(48, '\0'))), options)
          .status()
          .code(),
      absl::StatusCode::kInvalidArgument);
  for (const char* shape : {"(2, 0, 2)", "(2, 18446744073709551615, 2)", "(1099511627776, 1099511627776, 1)"}) {
    EXPECT_FALSE(VectorReader::Open(MakeFile("a.npy", Npy(NpyText("'<f4'", shape), "")), options).ok()) << shape;
  }
}

TEST(VectorReaderTest, RefusesNpyOfOtherKinds) {
  const auto code = absl::StatusCode::kInvalidArgument;
  const auto expect_refusal = [&](absl::string_view descr, absl::string_view phrase) {
    ExpectError("a.npy", Npy(NpyText(descr, "(1, 2)"), std::string(16, '\0')), code, phrase);
  };
  expect_refusal("'>f4'", "is big-endian (dtype '>f4'); save it as little-endian");
  expect_refusal("'>f8'", "is big-endian (dtype '>f8'); save it as little-endian");
  expect_refusal("'|O'", "holds Python objects (dtype '|O')");
  expect_refusal("[('a', '<f4')]", "holds records (a structured dtype); save its numbers as a plain array");
  expect_refusal("('<f4', (2,))", "holds records (a structured dtype); save its numbers as a plain array");
  expect_refusal("'|V8'", "holds records (dtype '|V8'); save its numbers as a plain array");
  for (const std::string descr : {"<i3", "<c8", "<f16", "<U3", "<M8[s]", "|S4", "|f4", "|i8", "f4", "u1", ""}) {
    expect_refusal(absl::StrCat("'", descr, "'"),
                   absl::StrCat("has an unsupported element type (dtype '", descr,
                                "'); f2, f4, f8, bool and integers of 1 to 8 bytes can be read"));
  }
  expect_refusal("'>i8'", "is big-endian (dtype '>i8'); save it as little-endian");
  ExpectError("a.npy", Npy("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 2), }\n", ""),
              absl::StatusCode::kDataLoss, "has a malformed npy header: fortran_order is neither True nor False");
}

TEST(VectorReaderTest, RefusesNpyOfOtherShapes) {
  const auto expect_refusal = [](absl::string_view shape, absl::StatusCode code, absl::string_view phrase) {
    ExpectError("a.npy", Npy(NpyText("'<f4'", shape), std::string(16, '\0')), code, phrase);
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const auto damaged = absl::StatusCode::kDataLoss;
  expect_refusal("()", invalid, "has an array of 0 dimensions; 1 or 2 can be read");
  expect_refusal(
      "(2, 2, 1)", invalid,
      "has an array of 3 dimensions; 1 or 2 can be read, and padded token sets (sets x tokens x columns) together "
      "with their lengths (--lens, --query_lens)");
  expect_refusal("(4, 0)", invalid, "has no columns");
  expect_refusal("(0, 0)", invalid, "has no columns");
  expect_refusal("(0, 65537)", invalid, "has 65537 columns; at most 65536 are accepted");
  expect_refusal("(1, 18446744073709551615)", invalid, "has 18446744073709551615 columns; at most 65536 are accepted");
  expect_refusal("(3, 2)", damaged, "is truncated: its header promises 3 rows, but it holds only 2");
  expect_refusal("(1, 3)", damaged, "has 4 bytes after its last row");
  expect_refusal("(0, 3)", damaged, "has 16 bytes after its last row");
  // Products that overflow.
  expect_refusal("(18446744073709551615, 65536)", damaged,
                 "is truncated: its header promises 18446744073709551615 rows, but it holds only 0");
  expect_refusal("(4611686018427387905, 1)", damaged,
                 "is truncated: its header promises 4611686018427387905 rows, but it holds only 4");
  const std::string malformed = "has a malformed npy header: ";
  expect_refusal("(18446744073709551616, 1)", damaged, malformed + "shape holds no number, or a huge one");
  expect_refusal("(-1, 4)", damaged, malformed + "shape holds no number, or a huge one");
  expect_refusal("(1.5, 4)", damaged, malformed + "shape is no tuple");
  expect_refusal("(2 2)", damaged, malformed + "shape is no tuple");
  expect_refusal("[2, 2]", damaged, malformed + "shape is no tuple");
  expect_refusal("(, )", damaged, malformed + "shape holds no number, or a huge one");
}

TEST(VectorReaderTest, RefusesMalformedNpyHeaders) {
  const auto expect_refusal = [](absl::string_view text, absl::string_view detail) {
    ExpectError("a.npy", Npy(text, std::string(16, '\0')), absl::StatusCode::kDataLoss,
                absl::StrCat("has a malformed npy header: ", detail));
  };
  expect_refusal("", "it does not begin with {");
  expect_refusal("'descr'", "it does not begin with {");
  expect_refusal("{", "a key is missing");
  expect_refusal("{descr: '<f4'}", "a key is missing");
  expect_refusal("{'descr", "a key is missing");
  expect_refusal("{'descr'", "a key is missing");
  expect_refusal("{'descr': ", "descr is no string");
  expect_refusal("{'descr': '<f4", "descr is no string");
  expect_refusal("{'descr': '<f4' 'shape': (1,)}", "a comma is missing");
  expect_refusal("{'fortran_order': 0}", "fortran_order is neither True nor False");
  expect_refusal("{'de\ncr': 1}", "the key 'de\\ncr' is unknown or repeated");
  expect_refusal("{'shape': (4,), 'shape': (4,)}", "the key 'shape' is unknown or repeated");
  expect_refusal("{'shape': (4,), 'descr': '<f4'}", "descr, fortran_order or shape is missing");
  expect_refusal("{}", "descr, fortran_order or shape is missing");
  expect_refusal(NpyText("'<f4'", "(4,)") + "}", "something follows its }");
}

TEST(VectorReaderTest, RefusesNpyOfOtherVersionsAndOtherFiles) {
  const std::string good = EncodeNpy(std::vector<float>{1, 2}.data(), 1, 2);
  const auto with = [&](size_t place, char value) {
    std::string bytes = good;
    bytes[place] = value;
    return bytes;
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const auto damaged = absl::StatusCode::kDataLoss;
  ExpectError("a.npy", with(6, 4), invalid, "is of npy version 4.0; 1.0, 2.0 and 3.0 can be read");
  ExpectError("a.npy", with(6, 0), invalid, "is of npy version 0.0; 1.0, 2.0 and 3.0 can be read");
  ExpectError("a.npy", with(7, 1), invalid, "is of npy version 1.1; 1.0, 2.0 and 3.0 can be read");
  ExpectError("a.npy", with(0, 'x'), damaged, "is not an npy file: it does not begin with \\x93NUMPY");
  ExpectError("a.npy", "PK\x03\x04", damaged, "is not an npy file: it does not begin with \\x93NUMPY");
  ExpectError("a.npy", "", damaged, "is truncated: it ends inside its header");
  ExpectError("a.npy", good.substr(0, 7), damaged, "is truncated: it ends inside its header");
  ExpectError("a.npy", good.substr(0, 9), damaged, "is truncated: it ends inside its header");
  ExpectError("a.npy", good.substr(0, 127), damaged, "is truncated: it ends inside its header");
  ExpectError("a.npy", with(9, '\xff'), damaged, "is truncated: it ends inside its header");
  ExpectError("a.npy", good.substr(0, good.size() - 1), damaged,
              "is truncated: its header promises 1 rows, but it holds only 0");
  ExpectError("a.npy", good + "x", damaged, "has 1 bytes after its last row");
  ExpectError("a.npy", Npy(NpyText("'<f4'", "(0,)") + std::string(1 << 20, ' '), "", 2), invalid,
              absl::StrCat("has an npy header of ", NpyText("'<f4'", "(0,)").size() + (1 << 20),
                           " bytes; at most 1048576 are accepted"));
}

// --- .fvecs and its kin, .fbin and its kin ---

TEST(VectorReaderTest, NamesTheRowOfAnotherLength) {
  const auto code = absl::StatusCode::kDataLoss;
  const std::string two = Vec<float>({1, 2});
  // Where the size of the file gives it away, and where it does not.
  ExpectError("a.fvecs", two + two + Vec<float>({1, 2, 3}) + two, code,
              "row 2 (counting from 0): has 3 columns instead of 2");
  ExpectError("a.fvecs", two + two + two + Vec<float>({1, 2, 3}), code,
              "row 3 (counting from 0): has 3 columns instead of 2");
  ExpectError("a.fvecs", two + Vec<float>({}), code, "row 1 (counting from 0): has 0 columns instead of 2");
  ExpectError("a.fvecs", two + two + Vec<float>({1, 2, 3, 4, 5}), code,
              "row 2 (counting from 0): has 5 columns instead of 2");
  ExpectError("a.fvecs", two + two + Vec<float>({1, 2, 3, 4, 5}), code,
              "row 2 (counting from 0): has 5 columns instead of 2", AsNan());
  ExpectError("a.bvecs", Vec<uint8_t>({1, 2, 3, 4}) + Vec<uint8_t>({1, 2}) + Vec<uint8_t>({1, 2}), code,
              "row 1 (counting from 0): has 2 columns instead of 4");
  std::string negative = two + two;
  negative[15] = '\x80';
  ExpectError("a.fvecs", negative, code, "row 1 (counting from 0): has -2147483646 columns instead of 2");
}

TEST(VectorReaderTest, RefusesVecsThatAreCutOrEmpty) {
  const auto damaged = absl::StatusCode::kDataLoss;
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const std::string two = Vec<float>({1, 2});
  ExpectError("a.fvecs", two + two.substr(0, 11), damaged,
              "is truncated, or a row has another length: it ends 11 bytes into a row of 12 bytes");
  ExpectError("a.fvecs", two.substr(0, 5), damaged,
              "is truncated, or a row has another length: it ends 5 bytes into a row of 12 bytes");
  ExpectError("a.fvecs", two.substr(0, 3), damaged, "is truncated: it ends inside its header");
  ExpectError("a.fvecs", Raw<int32_t>({-2}), damaged, "is damaged: row 0 (counting from 0) promises -2 columns");
  ExpectError("a.fvecs", Raw<int32_t>({0, 0}), invalid, "has no columns");
  ExpectError("a.fvecs", Raw<int32_t>({65537}), invalid, "has 65537 columns; at most 65536 are accepted");
  ExpectError("a.fvecs", "", invalid, "is empty, so its number of columns is unknown");

  const std::string path = MakeFile("a.fvecs", "");
  const auto reader = VectorReader::Open(path, Expecting(7));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->dimension(), 7);
  EXPECT_EQ((*reader)->row_count(), 0);
  EXPECT_THAT(*ReadAll(reader->get()), IsEmpty());
}

TEST(VectorReaderTest, RefusesBinWithWrongHeaders) {
  const auto damaged = absl::StatusCode::kDataLoss;
  const auto invalid = absl::StatusCode::kInvalidArgument;
  ExpectError("a.fbin", "", damaged, "is truncated: it ends inside its header");
  ExpectError("a.fbin", "1234567", damaged, "is truncated: it ends inside its header");
  ExpectError("a.fbin", Raw<int32_t>({-1, 2}), damaged, "is damaged: its header promises -1 rows of 2 columns");
  ExpectError("a.fbin", Raw<int32_t>({1, -2}), damaged, "is damaged: its header promises 1 rows of -2 columns");
  ExpectError("a.fbin", Raw<int32_t>({1, 0}), invalid, "has no columns");
  ExpectError("a.fbin", Raw<int32_t>({1, 65537}), invalid, "has 65537 columns; at most 65536 are accepted");
  ExpectError("a.ibin", Raw<int32_t>({0x7fffffff, 65536}), damaged,
              "is truncated: its header promises 2147483647 rows, but it holds only 0");
  ExpectError("a.u8bin", Bin<uint8_t>(2, 2, {1, 2, 3}), damaged,
              "is truncated: its header promises 2 rows, but it holds only 1");
  ExpectError("a.u8bin", Bin<uint8_t>(1, 2, {1, 2, 3}), damaged, "has 1 bytes after its last row");
}

// --- files that change ---

TEST(VectorReaderTest, NoticesThatAFileWasShortened) {
  const std::string path = MakeFile("a.fbin", Bin<float>(2, 1, {1, 2}));
  const auto reader = VectorReader::Open(path);
  std::filesystem::resize_file(path, 12);
  float values[2];
  EXPECT_EQ((*reader)->ReadRows(2, values).status(),
            Refusal(absl::StatusCode::kDataLoss, path, "was shortened while it was being read"));
  EXPECT_EQ((*reader)->Rewind(), Refusal(absl::StatusCode::kUnavailable, path, "has changed since it was opened"));
}

TEST(VectorReaderTest, NoticesAtRewindThatAFileWasChanged) {
  const std::string path = MakeFile("a.csv", "1,2\n");
  const auto reader = VectorReader::Open(path);
  EXPECT_EQ((*reader)->Rewind(), absl::OkStatus());
  std::ofstream(path, std::ios::app) << "3,4\n";
  EXPECT_EQ((*reader)->Rewind(), Refusal(absl::StatusCode::kUnavailable, path, "has changed since it was opened"));
}

}  // namespace
}  // namespace dpkde
