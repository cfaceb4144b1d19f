#include "dpkde/io/list_reader.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dpkde/io/test_files.h"

namespace dpkde {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Case {
  const char* name;
  std::string bytes;
  std::vector<int64_t> values;
  size_t columns;
};

ListOptions Format(const std::string& format) {
  ListOptions options;
  options.format = format;
  return options;
}

TEST(ReadIntegersTest, EveryFormat) {
  constexpr int64_t kBig = int64_t{1} << 53;  // beyond what float holds
  for (const Case& c : {
           Case{"i8.npy", Npy(NpyText("'<i8'", "(2,)"), Raw<int64_t>({kBig + 1, -3})), {kBig + 1, -3}, 1},
           Case{"i4.npy", Npy(NpyText("'<i4'", "(1, 2)"), Raw<int32_t>({16777217, -3})), {16777217, -3}, 2},
           Case{"u1.npy", Npy(NpyText("'|u1'", "(2,)"), Raw<uint8_t>({255, 0})), {255, 0}, 1},
           Case{"i1.npy", Npy(NpyText("'|i1'", "(2,)"), Raw<int8_t>({-128, 127})), {-128, 127}, 1},
           Case{"none.npy", Npy(NpyText("'<i4'", "(0,)"), ""), {}, 1},
           Case{"a.ivecs", Raw<int32_t>({2, 5, 16777217, 2, -7, 8}), {5, 16777217, -7, 8}, 2},
           Case{"a.ibin", Raw<int32_t>({2, 1, 5, 16777217}), {5, 16777217}, 1},
           Case{"a.txt", "3\n\n 4 \r\n-5", {3, 4, -5}, 1},
           Case{"b.txt", "3 4\n5\t6\n", {3, 4, 5, 6}, 2},
           Case{"a.csv", "lens\n3\n4\n", {3, 4}, 1},
           Case{"b.csv", "3,4\n5,6\n", {3, 4, 5, 6}, 2},
           Case{"a.tsv", "3\t4\n", {3, 4}, 2},
           Case{"none.txt", "", {}, 0},
           Case{"i2.npy", Npy(NpyText("'<i2'", "(2,)"), Raw<int16_t>({-300, 5})), {-300, 5}, 1},
           Case{"u2.npy", Npy(NpyText("'<u2'", "(2,)"), Raw<uint16_t>({65535, 5})), {65535, 5}, 1},
           Case{"u4.npy", Npy(NpyText("'<u4'", "(2, 1)"), Raw<uint32_t>({4294967295u, 5})), {4294967295, 5}, 1},
           Case{"u8.npy", Npy(NpyText("'<u8'", "(2,)"), Raw<uint64_t>({5, 6})), {5, 6}, 1},
           Case{"b1.npy", Npy(NpyText("'|b1'", "(2,)"), Raw<uint8_t>({1, 0})), {1, 0}, 1},
           Case{"f8.npy", Npy(NpyText("'<f8'", "(2,)"), Raw<double>({3, -0x1p60})), {3, -(int64_t{1} << 60)}, 1},
           Case{"f2.npy", Npy(NpyText("'<f2'", "(1,)"), Raw<uint16_t>({0x4200})), {3}, 1},
           Case{"fortran.npy", Npy(FortranText("'<i4'", "(2, 2)"), Raw<int32_t>({1, 2, 3, 4})), {1, 3, 2, 4}, 2},
           Case{"mac.txt", "3\r4\r", {3, 4}, 1},
           Case{"floats.csv", "3.0,4.0\n", {3, 4}, 2},
           Case{"quoted.csv", "\"3\",\"4\"\n", {3, 4}, 2},
           // Two ids a row, then two distances.
           Case{"truth.ibin", absl::StrCat(Raw<int32_t>({1, 2, 7, 9}), Raw<float>({0.5, 1})), {7, 9}, 2},
           Case{"truth.bin", absl::StrCat(Raw<int32_t>({2, 1, 7, 9}), Raw<float>({0.5, 1})), {7, 9}, 1},
       }) {
    SCOPED_TRACE(c.name);
    const absl::StatusOr<IntegerTable> table = ReadIntegers(MakeFile(c.name, c.bytes));
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ(table->values, c.values);
    EXPECT_EQ(table->columns, c.columns);
    EXPECT_EQ(table->rows, c.columns == 0 ? 0 : c.values.size() / c.columns);
  }
  EXPECT_EQ(ReadIntegers(MakeFile("lens", Raw<int32_t>({1, 7})), Format("ivecs"))->values, std::vector<int64_t>{7});
}

TEST(ReadIntegersTest, RefusesByName) {
  struct Refusal {
    const char* name;
    std::string bytes;
    absl::StatusCode code;
    const char* phrase;
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument, kLoss = absl::StatusCode::kDataLoss;
  for (const Refusal& c : {
           Refusal{"f4.npy", Npy(NpyText("'<f4'", "(1,)"), Raw<float>({1.5})), kInvalid,
                   "row 0, column 0 (counting from 0): is not an integer of 64 bits"},
           Refusal{"u8.npy", Npy(NpyText("'<u8'", "(1,)"), Raw<uint64_t>({uint64_t{1} << 63})), kInvalid,
                   "is not an integer of 64 bits"},
           Refusal{"c8.npy", Npy(NpyText("'<c8'", "(1,)"), Raw<float>({1, 2})), kInvalid,
                   "bool, integers of 1 to 8 bytes and texts (U and S) can be read"},
           Refusal{"text.npy", Npy(NpyText("'<U1'", "(1,)"), Raw<uint32_t>({'5'})), kInvalid, "is not an integer"},
           Refusal{"NA.csv", "NA\n1\n", kInvalid, "line 1 of the file): 'NA' is not an integer"},
           Refusal{"big.npy", Npy(NpyText("'>i8'", "(1,)"), Raw<int64_t>({1})), kInvalid, "big-endian"},
           Refusal{"short.npy", Npy(NpyText("'<i8'", "(2,)"), Raw<int64_t>({1})), kLoss, "is truncated"},
           Refusal{"ragged.ivecs", Raw<int32_t>({1, 5, 2, 5}), kLoss, "row 1 (counting from 0): has 2 columns"},
           Refusal{"a.fvecs", Raw<int32_t>({1, 5}), kInvalid, "none of npy"},
           Refusal{"float.txt", "1\n2.5\n", kInvalid, "row 1, column 0 (counting from 0; line 2 of the file): '2.5' is not an integer"},
           Refusal{"huge.txt", "99999999999999999999\n", kInvalid, "is not an integer"},
           Refusal{"ragged.csv", "1,2\n3\n", kInvalid, "line 2 of the file): has 1 columns instead of 2"},
           Refusal{"header.txt", "lens\n1\n", kInvalid, "line 1 of the file): 'lens'"},
       }) {
    const std::string path = MakeFile(c.name, c.bytes);
    const absl::Status status = ReadIntegers(path).status();
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(std::string(status.message()), StartsWith(path + ": "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.phrase));
  }
  EXPECT_EQ(ReadIntegers("/nowhere/lens.npy").status().code(), absl::StatusCode::kNotFound);
}

TEST(ReadIdsTest, LinesAndIntegers) {
  EXPECT_THAT(*ReadIds(MakeFile("a.txt", "\xef\xbb\xbf" "dog.n.1\r\n a b \n\n12\n\n")),
              ElementsAre("dog.n.1", " a b ", "", "12"));
  EXPECT_THAT(*ReadIds(MakeFile("a.npy", Npy(NpyText("'<i8'", "(2,)"), Raw<int64_t>({12, -3})))),
              ElementsAre("12", "-3"));
  EXPECT_THAT(*ReadIds(MakeFile("none.txt", "")), IsEmpty());
  EXPECT_EQ(ReadIds(MakeFile("b.npy", Npy(NpyText("'<i8'", "(1, 2)"), Raw<int64_t>({1, 2})))).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ReadIdsTest, CsvIsCsv) {
  EXPECT_THAT(*ReadIds(MakeFile("a.csv", "\"a\"\n\"b, \"\"c\"\"\"\n d \r\n7\n\n")), ElementsAre("a", "b, \"c\"", " d ", "7"));
  EXPECT_THAT(*ReadIds(MakeFile("a.tsv", "a,b\n\"c\"\n")), ElementsAre("a,b", "c"));
  EXPECT_THAT(*ReadIds(MakeFile("mac.csv", "a\rb\r")), ElementsAre("a", "b"));
  EXPECT_THAT(*ReadIds(MakeFile("a.txt", "\"a\"\na,b\n")), ElementsAre("\"a\"", "a,b"));
  // Never detected, since any name may be an id.
  EXPECT_THAT(*ReadIds(MakeFile("a.csv", "id\na\n")), ElementsAre("id", "a"));
  ListOptions options;
  options.text_header = VectorReaderOptions::TextHeader::kPresent;
  EXPECT_THAT(*ReadIds(MakeFile("a.csv", "id\na\n"), options), ElementsAre("a"));
  EXPECT_THAT(*ReadIds(MakeFile("a.txt", "id\na\n"), options), ElementsAre("id", "a"));
  options.column = "id";
  EXPECT_THAT(*ReadIds(MakeFile("a.csv", "x,id,y\n1,\"a,b\",2\n3,c,4\n"), options), ElementsAre("a,b", "c"));
  options.column = "2";
  EXPECT_THAT(*ReadIds(MakeFile("a.csv", "x,id,y\n1,\"a,b\",2\n3,c,4\n"), options), ElementsAre("2", "4"));
  const auto refused = [&](const std::string& text, const std::string& column, const std::string& phrase) {
    options.column = column;
    EXPECT_THAT(std::string(ReadIds(MakeFile("a.csv", text), options).status().message()), HasSubstr(phrase));
  };
  refused("x,id\n1,a\n", "", "row 0 (counting from 0; line 2 of the file): has a second column (2 cells)");
  refused("x,id\n1,a\n", "name", "has no column 'name' in its header");
  refused("x,id\n1\n", "id", "line 2 of the file): has 1 cells, and so no column 1");
  refused("x,id\n1,\"a\n", "id", "line 2 of the file): ends inside quotes");
  options.text_header = VectorReaderOptions::TextHeader::kAbsent;
  refused("1,a\n", "id", "--csv_header=present");
}

TEST(ReadIdsTest, ArraysOfTextAndNumbers) {
  EXPECT_THAT(*ReadIds(MakeFile("u.npy", Npy(NpyText("'<U3'", "(3,)"), Raw<uint32_t>({'d', 'o', 'g', 0xe9, 0, 0,
                                                                                    0x1f600, 'x', 0})))),
              ElementsAre("dog", "\xc3\xa9", "\xf0\x9f\x98\x80x"));
  EXPECT_THAT(*ReadIds(MakeFile("s.npy", Npy(NpyText("'|S3'", "(2, 1)"), absl::string_view("dogca\0", 6)))),
              ElementsAre("dog", "ca"));
  EXPECT_THAT(*ReadIds(MakeFile("u8.npy", Npy(NpyText("'<u8'", "(1,)"), Raw<uint64_t>({~uint64_t{0}})))),
              ElementsAre("18446744073709551615"));
  EXPECT_THAT(*ReadIds(MakeFile("b.npy", Npy(NpyText("'|b1'", "(2,)"), Raw<uint8_t>({1, 0})))), ElementsAre("1", "0"));
  EXPECT_THAT(*ReadIds(MakeFile("f.npy", Npy(NpyText("'<f8'", "(2,)"), Raw<double>({7, -2})))), ElementsAre("7", "-2"));
  EXPECT_THAT(std::string(ReadIds(MakeFile("f.npy", Npy(NpyText("'<f8'", "(1,)"), Raw<double>({7.5})))).status().message()),
              HasSubstr("row 0 (counting from 0): is not a whole number"));
  EXPECT_THAT(std::string(ReadIds(MakeFile("u.npy", Npy(NpyText("'<U1'", "(1,)"), Raw<uint32_t>({0xd800})))).status().message()),
              HasSubstr("is not a text of Unicode"));
}

// Private labels: every line is a row, and none decides whether the others are read.
TEST(ForEachTextTest, AnyRow) {
  const auto read = [](const std::string& name, const std::string& text) {
    ListOptions options;
    options.any_row = true;
    std::vector<std::string> rows;
    EXPECT_TRUE(ForEachText(MakeFile(name, text), options, [&](uint64_t row, uint64_t line,
                                                               absl::optional<absl::string_view> cell) {
                  EXPECT_EQ(row, rows.size());
                  EXPECT_EQ(line, row + 1);
                  rows.emplace_back(cell.value_or("<none>"));
                  return absl::OkStatus();
                }).ok());
    return rows;
  };
  for (const char* name : {"a.txt", "a.csv", "a.tsv"}) {
    EXPECT_THAT(read(name, "\xff\xfe\n\n \nb\n\n\n"), ElementsAre("\xff\xfe", "", "", "b", "", ""));
    EXPECT_THAT(read(name, "a\rb\nc\r\nd"), ElementsAre("<none>", "c", "d"));
    EXPECT_THAT(read(name, std::string(VectorReader::kMaxLineBytes + 9, 'a') + "\nb"), ElementsAre("<none>", "b"));
  }
  EXPECT_THAT(read("a.csv", "\"a\nb,c\n\"d\"\n"), ElementsAre("<none>", "<none>", "d"));
}

}  // namespace
}  // namespace dpkde
