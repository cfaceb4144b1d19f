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
       }) {
    SCOPED_TRACE(c.name);
    const absl::StatusOr<IntegerTable> table = ReadIntegers(MakeFile(c.name, c.bytes));
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ(table->values, c.values);
    EXPECT_EQ(table->columns, c.columns);
    EXPECT_EQ(table->rows, c.columns == 0 ? 0 : c.values.size() / c.columns);
  }
  EXPECT_EQ(ReadIntegers(MakeFile("lens", Raw<int32_t>({1, 7})), "ivecs")->values, std::vector<int64_t>{7});
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
           Refusal{"f4.npy", Npy(NpyText("'<f4'", "(1,)"), Raw<float>({1})), kInvalid, "i1, u1, i4 and i8 can be read"},
           Refusal{"big.npy", Npy(NpyText("'>i8'", "(1,)"), Raw<int64_t>({1})), kInvalid, "big-endian"},
           Refusal{"short.npy", Npy(NpyText("'<i8'", "(2,)"), Raw<int64_t>({1})), kLoss, "is truncated"},
           Refusal{"ragged.ivecs", Raw<int32_t>({1, 5, 2, 5}), kLoss, "row 1 (counting from 0): has 2 columns"},
           Refusal{"a.fvecs", Raw<int32_t>({1, 5}), kInvalid, "none of npy"},
           Refusal{"float.txt", "1\n2.5\n", kInvalid, "line 2: '2.5' is not an integer"},
           Refusal{"huge.txt", "99999999999999999999\n", kInvalid, "is not an integer"},
           Refusal{"ragged.csv", "1,2\n3\n", kInvalid, "line 2: has 1 columns instead of 2"},
           Refusal{"header.txt", "lens\n1\n", kInvalid, "line 1: 'lens'"},
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

}  // namespace
}  // namespace dpkde
