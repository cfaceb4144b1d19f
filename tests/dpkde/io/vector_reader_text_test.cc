#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "dpkde/base/record_error.h"
#include "dpkde/io/vector_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dpkde/io/test_files.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsNan;
using MalformedRows = VectorReaderOptions::MalformedRows;
using BlankLines = VectorReaderOptions::BlankLines;
using TextHeader = VectorReaderOptions::TextHeader;

VectorReaderOptions AsNan() {
  VectorReaderOptions options;
  options.malformed_rows = MalformedRows::kAsNan;
  return options;
}

VectorReaderOptions With(TextHeader header, absl::optional<size_t> dimension = absl::nullopt) {
  VectorReaderOptions options;
  options.text_header = header;
  options.expected_dimension = dimension;
  return options;
}

std::vector<float> Read(absl::string_view name, absl::string_view text, const VectorReaderOptions& options = {}) {
  const auto values = ReadAll(MakeFile(name, text), options);
  EXPECT_TRUE(values.ok()) << values.status();
  return values.value_or(std::vector<float>());
}

std::vector<float> ReadCsv(absl::string_view text, const VectorReaderOptions& options = {}) {
  return Read("a.csv", text, options);
}

void ExpectError(absl::string_view name, absl::string_view text, absl::string_view phrase,
                 const VectorReaderOptions& options = {}) {
  const std::string path = MakeFile(name, text);
  EXPECT_EQ(AboutPublicFile(ReadAll(path, options).status()),
            absl::InvalidArgumentError(absl::StrCat(path, ": ", phrase)));
}

TEST(TextVectorReaderTest, ReadsRowsWithoutCountingThem) {
  const auto reader = VectorReader::Open(MakeFile("a.csv", "1,2,3\n4,5,6\n"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->dimension(), 3);
  EXPECT_EQ((*reader)->row_count(), absl::nullopt);
  for (const size_t block_rows : {1, 2, 100}) {
    EXPECT_THAT(*ReadAll(reader->get(), block_rows), ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_EQ((*reader)->Rewind(), absl::OkStatus());
  }
}

TEST(TextVectorReaderTest, AcceptsTheUsualVariants) {
  EXPECT_THAT(ReadCsv("1,2\r\n3,4\r\n"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(ReadCsv("1,2\n3,4"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(ReadCsv("1,2\r\n3,4\r"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(ReadCsv("\n \t\n1,2\n\r\n  \r\n3,4\n\n\n"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(ReadCsv("  1 ,\t2\t\n \t 3,4  \n"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(ReadCsv("\"1\",\" 2 \"\n \"3\" ,4\n"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(ReadCsv("\xef\xbb\xbf"
                      "1,2\n"),
              ElementsAre(1, 2));
  EXPECT_THAT(ReadCsv("\xef\xbb\xbf"
                      "a,b\n1,2\n"),
              ElementsAre(1, 2));
  EXPECT_THAT(ReadCsv("7"), ElementsAre(7));
  EXPECT_THAT(ReadCsv("7\n8\n"), ElementsAre(7, 8));
  EXPECT_THAT(Read("a.tsv", "1\t2\n3 \t 4\n \"5\"\t6\n"), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Read("a.TSV", "a,b\tc\n3\t4\n"), ElementsAre(3, 4));
}

TEST(TextVectorReaderTest, ReadsNumbersToTheNearestFloat) {
  EXPECT_THAT(ReadCsv("1e3,-2.5E-1,+4,.5,5.,-0,1e+2\n"), ElementsAre(1000, -0.25, 4, 0.5, 5, 0, 100));
  EXPECT_TRUE(std::signbit(ReadCsv("-0\n")[0]));
  // The ties between two floats, and one just above a tie, which a detour by double would round down to the tie.
  EXPECT_THAT(ReadCsv("1.000000059604644775390625,1.000000178813934326171875\n"), ElementsAre(1.0f, 1 + 0x1p-22f));
  EXPECT_THAT(ReadCsv("1.00000005960464477539062500001\n"), ElementsAre(1 + 0x1p-23f));
  EXPECT_THAT(ReadCsv("3.4028235e38,-3.4028235677973365e38,1e-45,1e-60\n"),
              ElementsAre(std::numeric_limits<float>::max(), -std::numeric_limits<float>::max(),
                          std::numeric_limits<float>::denorm_min(), 0));
  EXPECT_THAT(ReadCsv("0." + std::string(1000, '0') + "1,1" + std::string(30, '0') + "\n"), ElementsAre(0, 1e30f));
}

TEST(TextVectorReaderTest, DetectsHeaders) {
  EXPECT_THAT(ReadCsv("x,y\n1,2\n"), ElementsAre(1, 2));
  EXPECT_THAT(ReadCsv(",x\n1,2\n"), ElementsAre(1, 2));
  EXPECT_THAT(ReadCsv("\n\nx,y\n\n1,2\n"), ElementsAre(1, 2));
  EXPECT_THAT(ReadCsv("\"width, in \"\"mm\"\"\",y\n1,2\n"), ElementsAre(1, 2));
  EXPECT_THAT(ReadCsv("# x,y\n1,2\n"), ElementsAre(1, 2));
  EXPECT_THAT(ReadCsv("1,2\n3,4\n"), ElementsAre(1, 2, 3, 4)) << "no header";
  std::vector<std::string> told;
  VectorReaderOptions options;
  options.on_detected_header = [&](const std::string&, uint64_t line, const std::vector<std::string>& cells) {
    told = cells;
    told.push_back(std::to_string(line));
  };
  EXPECT_THAT(ReadCsv("\n x,\"y\"\n1,2\n", options), ElementsAre(1, 2));
  EXPECT_THAT(told, ElementsAre("x", "y", "2"));
  told.clear();
  EXPECT_THAT(ReadCsv("1,2\n", options), ElementsAre(1, 2));
  options.text_header = TextHeader::kPresent;
  EXPECT_THAT(ReadCsv("x,y\n1,2\n", options), ElementsAre(1, 2));
  EXPECT_THAT(told, IsEmpty());
}

// A first row with a gap or a typing error is a row, and a bad one.
TEST(TextVectorReaderTest, TakesNoRowForAHeader) {
  for (const char* cell : {"NA",
                           "na",
                           "NaN",
                           "null",
                           "NULL",
                           "N/A",
                           "?",
                           "-",
                           "None",
                           "#N/A",
                           "1O",
                           "-x",
                           "+x",
                           ".x",
                           "<5",
                           "'1'",
                           "(3)",
                           "$5",
                           "0x1",
                           "--",
                           "\xe2\x88\x92"
                           "1",
                           "2026-01-02",
                           "\"NA\"",
                           " NA "}) {
    for (const char* format : {"%s,2\n3,4\n", "2,%s\n3,4\n", "x,%s\n3,4\n"}) {
      char text[100];
      snprintf(text, sizeof(text), format, cell);
      SCOPED_TRACE(text);
      const absl::Status status = ReadAll(MakeFile("a.csv", text)).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("row 0, column "));
    }
  }
  ExpectError("a.csv", "0,1,label\n1,2,3\n",
              "row 0, column 2 (counting from 0; line 1 of the file): is not a number; if line 1 is a header, say "
              "--csv_header=present");
}

TEST(TextVectorReaderTest, ACarriageReturnEndsALine) {
  EXPECT_THAT(ReadCsv("1\r2\r3\r"), ElementsAre(1, 2, 3));
  EXPECT_THAT(ReadCsv("1\r2\r3"), ElementsAre(1, 2, 3));
  EXPECT_THAT(ReadCsv("x,y\r1,2\r\r3,4\r"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(ReadCsv("1\r2\r\n3\n4\r5"), ElementsAre(1, 2, 3, 4, 5));
  // Across the buffer, and longer than it.
  std::string text;
  std::vector<float> expected;
  for (int row = 0; row < 60000; ++row) {
    absl::StrAppend(&text, row, ",", std::string(row % 7, ' '), -row, "\r");
    expected.push_back(row);
    expected.push_back(-row);
  }
  EXPECT_EQ(ReadCsv(text), expected);
  // At every place of a buffer's end.
  for (size_t pad = (256 << 10) - 4; pad < (256 << 10) + 4; ++pad) {
    for (const char* end : {"\r", "\n", "\r\n"}) {
      EXPECT_THAT(ReadCsv(absl::StrCat("1", std::string(pad, ' '), end, "2", end)), ElementsAre(1, 2)) << pad;
    }
  }
}

// Where files belong together, or where the number of rows is public.
TEST(TextVectorReaderTest, EveryLineIsARow) {
  VectorReaderOptions strict;
  strict.blank_lines = VectorReaderOptions::BlankLines::kSkippedAtEnd;
  EXPECT_THAT(ReadCsv("1\n2\n\n \n", strict), ElementsAre(1, 2));
  EXPECT_THAT(ReadCsv("1\r2\r\r", strict), ElementsAre(1, 2));
  EXPECT_THAT(ReadCsv("1\r\n2\n3\r", strict), ElementsAre(1, 2, 3));
  const auto at = [](int row, int line, absl::string_view problem) {
    return absl::StrCat("row ", row, " (counting from 0; line ", line, " of the file): ", problem);
  };
  constexpr char kOther[] = "holds an end of line that other lines do not have (a carriage return or a line feed)";
  ExpectError("a.csv", "1\n\n\n2\n", at(1, 2, "is blank"), strict);
  ExpectError("a.csv", "\n1\n", at(0, 1, "is blank"), strict);
  ExpectError("a.csv", "1\n2\r3\n", at(1, 2, kOther), strict);
  ExpectError("a.csv", "1\r2\n3\r", at(1, 2, kOther), strict);
  ExpectError("a.csv", "1\r2\n3\n4\n", at(1, 2, kOther), strict);

  const auto nan = IsNan();
  strict = AsNan();
  strict.text_header = TextHeader::kAbsent;
  strict.expected_dimension = 1;
  EXPECT_THAT(ReadCsv("\n1\n \n\n2\n\n\n", strict), ElementsAre(nan, 1, nan, nan, 2));
  strict.blank_lines = VectorReaderOptions::BlankLines::kRows;
  EXPECT_THAT(ReadCsv("\n1\n\n2\n\n \n", strict), ElementsAre(nan, 1, nan, 2, nan, nan));
  const auto reader = VectorReader::Open(MakeFile("a.csv", "1\n\nx\n\n\n"), strict);
  EXPECT_EQ((*reader)->CountRows()->least, 3);
  EXPECT_EQ((*reader)->CountRows()->most, 5);
  EXPECT_THAT(*ReadAll(reader->get()), ElementsAre(1, nan, nan, nan, nan));
}

// Whatever bytes a row holds, it is one row, and the others are as they were.
TEST(TextVectorReaderTest, NoBytesOfARowReachAnother) {
  std::string all_bytes;
  for (int c = 0; c < 256; ++c) {
    if (c != '\n') all_bytes.push_back(static_cast<char>(c));
  }
  std::vector<std::string> rows = {"\"",
                                   "\"1,2",
                                   "1\"",
                                   "\r",
                                   "1,2\r3,4",
                                   "\r1,2",
                                   "1,2\r\r",
                                   "\xff\xfe",
                                   "\xfe\xff",
                                   "",
                                   " ",
                                   "\t",
                                   "\xef\xbb\xbf",
                                   all_bytes,
                                   std::string(1, '\0'),
                                   std::string(VectorReader::kMaxLineBytes + 9, '"'),
                                   std::string(VectorReader::kMaxLineBytes + 9, '\r')};
  for (const BlankLines blank : {BlankLines::kSkippedAtEnd, BlankLines::kRows}) {
    VectorReaderOptions options = AsNan();
    options.text_header = TextHeader::kAbsent;
    options.expected_dimension = 2;
    options.blank_lines = blank;
    for (const std::string& row : rows) {
      SCOPED_TRACE(row.substr(0, 20));
      const auto nan = IsNan();
      EXPECT_THAT(ReadCsv(absl::StrCat(row, "\n3,4\n5,6\n"), options), ElementsAre(nan, nan, 3, 4, 5, 6));
      EXPECT_THAT(ReadCsv(absl::StrCat("1,2\n", row, "\n5,6\n"), options), ElementsAre(1, 2, nan, nan, 5, 6));
      EXPECT_THAT(ReadCsv(absl::StrCat("1,2\n3,4\n", row, "\nx\n"), options),
                  ElementsAre(1, 2, 3, 4, nan, nan, nan, nan));
    }
  }
  // Behind a header too.
  VectorReaderOptions options = AsNan();
  options.text_header = TextHeader::kPresent;
  for (const std::string& row : rows) {
    EXPECT_THAT(ReadCsv(absl::StrCat("x,y\n", row, "\n5,6\n"), options), ElementsAre(IsNan(), IsNan(), 5, 6));
  }
  ExpectError("a.csv", "x,y\r1,2\r",
              "line 1 holds a carriage return without a line feed; save the file with line feeds", options);
}

TEST(TextVectorReaderTest, ReadsChosenColumns) {
  constexpr char kTable[] = "name,lat,lon\nx,1,2\ny,3,4\n";
  VectorReaderOptions options;
  const auto choose = [&](const std::vector<std::string>& columns) {
    options.columns = columns;
    return options;
  };
  EXPECT_THAT(ReadCsv(kTable, choose({"lon", "lat"})), ElementsAre(2, 1, 4, 3));
  EXPECT_THAT(ReadCsv(kTable, choose({"2"})), ElementsAre(2, 4));
  EXPECT_THAT(ReadCsv(kTable, choose({"1-2"})), ElementsAre(1, 2, 3, 4));
  ExpectError("a.csv", kTable, "has no column 'alt' in its header", choose({"alt"}));
  ExpectError("a.csv", kTable, "has 3 columns, and so no column 3 (counting from 0)", choose({"1-3"}));
  ExpectError("a.csv", kTable, "column 1 is chosen twice", choose({"1", "lat"}));
  ExpectError("a.csv", "1,2\n",
              "has no header to look for the column 'lat' in: say --csv_header=present, or number the column from 0",
              choose({"lat"}));
  ExpectError("a.csv", "1,2\n3\n", "row 1 (counting from 0; line 2 of the file): has 1 cells instead of 2",
              choose({"0"}));
  options = VectorReaderOptions();
  options.left_out_column = "name";
  EXPECT_THAT(ReadCsv(kTable, options), ElementsAre(1, 2, 3, 4));
  options.left_out_column = "0";
  EXPECT_THAT(ReadCsv(kTable, options), ElementsAre(1, 2, 3, 4));

  // Whatever a row holds, it is one row.
  const auto nan = IsNan();
  options = AsNan();
  options.text_header = TextHeader::kAbsent;
  options.expected_dimension = 2;
  options.left_out_column = "0";
  constexpr char kRows[] = "\"x,1,2\ny,3,4\n\nz,5\nw,5,6,7\n";
  EXPECT_THAT(ReadCsv(kRows, options), ElementsAre(nan, nan, 3, 4, nan, nan, nan, nan, nan, nan));
  EXPECT_THAT(ReadCsv(kRows, choose({"2", "1"})), ElementsAre(nan, nan, 4, 3, nan, nan, nan, nan, 6, 5));
}

TEST(TextVectorReaderTest, SaysWhatOtherTextLooksLike) {
  const struct {
    const char* name;
    const char* text;
    const char* phrase;
  } cases[] = {
      {"a.csv", "1;2\n3;4\n", "line 1 holds ';', but cells are separated by commas"},
      {"a.csv", "1,5;2,5\n", "line 1 holds ';', but cells are separated by commas and decimals by points"},
      {"a.csv", "x;y\n1;2\n", "line 1 holds ';'"},
      {"a.csv", "1\t2\n", "line 1 holds tabs, but cells are separated by commas (a file with tabs is a .tsv"},
      {"a.csv", "1.5e+00 2.5e+00\n", "line 1 holds blanks, but cells are separated by commas"},
      {"a.csv", "1|2\n", "line 1 holds '|'"},
      {"a.csv", "\"1,5\",\"2,5\"\n", "line 1 has decimal commas, but decimals are separated by points"},
      {"a.tsv", "1,5\t2,5\n", "line 1 has decimal commas"},
      {"a.tsv", "1,2,3\n", "line 1 holds commas, but cells are separated by tabs (a file with commas is a .csv"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.text);
    const auto reader = VectorReader::Open(MakeFile(test.name, test.text));
    EXPECT_THAT((*reader)->dialect_hint(), ::testing::StartsWith(test.phrase));
    EXPECT_THAT(std::string(ReadAll(reader->get()).status().message()), ::testing::HasSubstr(test.phrase));
  }
  for (const char* text : {"1,2\n", "x,y\n1,2\n", "1\n2\n", "first name\n2\n", "1 , 2\n"}) {
    const auto reader = VectorReader::Open(MakeFile("a.csv", text));
    EXPECT_EQ((*reader)->dialect_hint(), "") << text;
    EXPECT_TRUE(ReadAll(reader->get()).ok()) << text;
  }
}

TEST(TextVectorReaderTest, TakesTheCallersWordForTheHeader) {
  EXPECT_THAT(ReadCsv("1,2\n3,4\n", With(TextHeader::kPresent)), ElementsAre(3, 4));
  EXPECT_THAT(ReadCsv("1,2\n3,4\n", With(TextHeader::kAbsent)), ElementsAre(1, 2, 3, 4));
  ExpectError("a.csv", "x,2\n3,4\n",
              "row 0, column 0 (counting from 0; line 1 of the file): is not a number; if line 1 is a header, say "
              "--csv_header=present",
              With(TextHeader::kAbsent));
}

TEST(TextVectorReaderTest, EmptyFilesNeedADimension) {
  for (const char* text : {"", "\n", "\r\n \n", "\xef\xbb\xbf"}) {
    ExpectError("a.csv", text, "is empty, so its number of columns is unknown");
    const auto reader = VectorReader::Open(MakeFile("a.csv", text), With(TextHeader::kDetect, 3));
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->dimension(), 3);
    EXPECT_THAT(*ReadAll(reader->get()), IsEmpty());
    EXPECT_EQ((*reader)->Rewind(), absl::OkStatus());
    EXPECT_THAT(*ReadAll(reader->get()), IsEmpty());
  }
  const auto reader = VectorReader::Open(MakeFile("a.csv", "x,y\n"));
  EXPECT_EQ((*reader)->dimension(), 2);
  EXPECT_THAT(*ReadAll(reader->get()), IsEmpty());
}

TEST(TextVectorReaderTest, NamesRowColumnAndLine) {
  const auto at = [](int row, int column, int line, absl::string_view problem) {
    return absl::StrCat("row ", row, ", column ", column, " (counting from 0; line ", line, " of the file): ", problem);
  };
  ExpectError("a.csv", "x,y\n\n1,2\n3,nan\n", at(1, 1, 4, "is nan"));
  ExpectError("a.csv", "1,2\r\n-NaN,4\r\n", at(1, 0, 2, "is nan"));
  ExpectError("a.csv", "1,2\nInf,4\n", at(1, 0, 2, "is inf"));
  ExpectError("a.csv", "1,2\n3,-infinity\n", at(1, 1, 2, "is -inf"));
  ExpectError("a.csv", "nan,2\n", at(0, 0, 1, "is nan"));
  ExpectError("a.csv", "1,2\n3,secret\n", at(1, 1, 2, "is not a number"));
  ExpectError("a.csv", "1,2\n,4\n", at(1, 0, 2, "is empty"));
  ExpectError("a.csv", "1,,3\n", at(0, 1, 1, "is empty"));
  ExpectError("a.csv", "1,\"\"\n", at(0, 1, 1, "is empty"));
  ExpectError("a.csv", ",\n", at(0, 0, 1, "is empty"));
  for (const char* cell : {"1e39", "-1e39", "+3.4028236e38", ".4e39", "1e999999999999"}) {
    ExpectError("a.csv", absl::StrCat("1,2\n3,", cell, "\n"), at(1, 1, 2, "does not fit into float32"));
  }
  for (const char* cell : {"1 2", "1_000", "0x10", "-0X1p3", "0x", "1e", "--1", "+-1", "1.2.3", "\"1,5\"", "\"1\"2",
                           "1\"2\"", "'1'", "1;2", "\"\"\"1\"\"\"", "-"}) {
    SCOPED_TRACE(cell);
    ExpectError("a.csv", absl::StrCat("1,2\n3,", cell, "\n"), at(1, 1, 2, "is not a number"));
  }
  ExpectError("a.csv", absl::StrCat("1,2\n3,4", absl::string_view("\0", 1), "\n"), at(1, 1, 2, "is not a number"));
  ExpectError("a.tsv", "1\t2\n3\t4,5\n", at(1, 1, 2, "is not a number"));
}

TEST(TextVectorReaderTest, NamesRowsOfAnotherLength) {
  const auto at = [](int row, int line, absl::string_view problem) {
    return absl::StrCat("row ", row, " (counting from 0; line ", line, " of the file): ", problem);
  };
  ExpectError("a.csv", "1,2\n3\n", at(1, 2, "has 1 cells instead of 2"));
  ExpectError("a.csv", "1,2\n3,4,\n", at(1, 2, "has 3 cells instead of 2"));
  ExpectError("a.csv", "x,y\n1,2,bad\n", at(0, 2, "has 3 cells instead of 2"));
  ExpectError("a.csv", "1,2\nbad\n", at(1, 2, "has 1 cells instead of 2"));
  ExpectError("a.csv", "1,2\n3,\"4\n5,6\n", at(1, 2, "ends inside quotes"));
  ExpectError("a.tsv", "1\t2\n\t\t\n", at(1, 2, "has 3 cells instead of 2"));
  // A row of another length than the caller's is a malformed row; a header of another length is the wrong file.
  ExpectError("a.csv", "1,2,3\n", at(0, 1, "has 3 cells instead of 2"), With(TextHeader::kDetect, 2));
  ExpectError("a.csv", "x,y,z\n", "has 3 columns instead of 2", With(TextHeader::kDetect, 2));
  ExpectError("a.csv", "1,2,3\n", "has 3 columns instead of 2", With(TextHeader::kPresent, 2));
}

TEST(TextVectorReaderTest, FailsAgainUntilRewound) {
  const std::string path = MakeFile("a.csv", "x\n1\nbad\n3\n");
  const auto reader = VectorReader::Open(path);
  const absl::Status refusal = absl::InvalidArgumentError(
      absl::StrCat(path, ": row 1, column 0 (counting from 0; line 3 of the file): is not a number"));
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

TEST(TextVectorReaderTest, GivesNanForMalformedRows) {
  const auto nan = IsNan();
  EXPECT_THAT(
      ReadCsv("x,y\n1,2\nnan,4\n5\n6,7,8\n9,bad\n10,\n1e40,11\n12,\"13\n14,-inf\n15,16\n", AsNan()),
      ElementsAre(1, 2, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, 15, 16));
  // Whatever the first row is, it is one row.
  VectorReaderOptions strict = With(TextHeader::kAbsent, 2);
  strict.malformed_rows = MalformedRows::kAsNan;
  for (const char* row : {"a,b", "1", "1,2,3", "\"1,2", ",", "nan,nan"}) {
    EXPECT_THAT(ReadCsv(absl::StrCat(row, "\n3,4\n"), strict), ElementsAre(nan, nan, 3, 4)) << row;
  }
  const std::string long_row(VectorReader::kMaxLineBytes + 1, '1');
  EXPECT_THAT(ReadCsv(absl::StrCat(long_row, "\n3,4\n"), strict), ElementsAre(nan, nan, 3, 4));
}

TEST(TextVectorReaderTest, LimitsTheLengthOfLines) {
  const std::string limit = absl::StrCat("is longer than ", VectorReader::kMaxLineBytes, " bytes");
  const std::string fits(VectorReader::kMaxLineBytes - 3, ' ');
  const std::string too_long(2 * VectorReader::kMaxLineBytes + 5, ' ');
  EXPECT_THAT(ReadCsv(absl::StrCat("1\n2", fits, "\n3\n")), ElementsAre(1, 2, 3));
  EXPECT_THAT(ReadCsv(absl::StrCat("1\n2", fits)), ElementsAre(1, 2));
  ExpectError("a.csv", absl::StrCat(too_long, "1\n2\n"), absl::StrCat("line 1 ", limit));
  ExpectError("a.csv", absl::StrCat("\n", too_long), absl::StrCat("line 2 ", limit));
  const std::string in_row = absl::StrCat("row 1 (counting from 0; line 2 of the file): ", limit);
  ExpectError("a.csv", absl::StrCat("1\n2", too_long, "\n3\n"), in_row);
  ExpectError("a.csv", absl::StrCat("1\n2", too_long), in_row);
  EXPECT_THAT(ReadCsv(absl::StrCat("1\n2", too_long, "\n3\n"), AsNan()), ElementsAre(1, IsNan(), 3));
  EXPECT_THAT(ReadCsv(absl::StrCat("1\n2", too_long), AsNan()), ElementsAre(1, IsNan()));
}

TEST(TextVectorReaderTest, LimitsTheNumberOfColumns) {
  std::string widest = "1";
  for (size_t i = 1; i < VectorReader::kMaxDimension; ++i) absl::StrAppend(&widest, ",1");
  EXPECT_EQ(ReadCsv(absl::StrCat(widest, "\n", widest, "\n")), std::vector<float>(2 * VectorReader::kMaxDimension, 1));
  ExpectError("a.csv", absl::StrCat(widest, ",1\n"), "has 65537 columns; at most 65536 are accepted");
}

TEST(TextVectorReaderTest, RefusesFirstLinesItCannotSplit) {
  ExpectError("a.csv", "x,\"y\n1,2\n", "line 1 ends inside quotes");
  ExpectError("a.csv", "\n1,\"2\n", "line 2 ends inside quotes");
  ExpectError("a.csv",
              absl::string_view("\xff\xfe"
                                "1\0,\0",
                                6),
              "is UTF-16 text; save it as UTF-8");
  ExpectError("a.csv", absl::string_view("\xfe\xff\0001", 4), "is UTF-16 text; save it as UTF-8");
}

TEST(TextVectorReaderTest, ReadsLinesAcrossItsBuffer) {
  // More than one buffer, with lines of every length up to several hundred.
  std::string text;
  std::vector<float> expected;
  for (int row = 0; row < 5000; ++row) {
    absl::StrAppend(&text, row, ",", std::string(row % 301, ' '), -row, row % 3 == 0 ? "\r\n" : "\n",
                    row % 7 == 0 ? "\n" : "");
    expected.push_back(row);
    expected.push_back(-row);
  }
  const std::string path = MakeFile("a.csv", text);
  for (const size_t block_rows : {1, 100, 10000}) EXPECT_EQ(*ReadAll(path, {}, block_rows), expected);
}

}  // namespace
}  // namespace dpkde
