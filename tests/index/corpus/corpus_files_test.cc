#include "dpkde/index/corpus/corpus_files.h"

#include <cmath>
#include <cstdint>
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

std::string Tokens(const std::vector<float>& values, size_t columns) {
  return MakeFile("tokens.npy",
                  Npy(NpyText("'<f4'", absl::StrCat("(", values.size() / columns, ", ", columns, ")")), Raw(values)));
}

std::string Lens(const std::vector<int64_t>& values) {
  return MakeFile("lens.npy", Npy(NpyText("'<i8'", absl::StrCat("(", values.size(), ",)")), Raw(values)));
}

TEST(CorpusFilesTest, ReadsTokensAndLens) {
  const std::string tokens = Tokens({0, 1, 2, 3, 4, 5}, 2);
  const std::string i4 = MakeFile("lens.npy", Npy(NpyText("'<i4'", "(4,)"), Raw<int32_t>({0, 2, 0, 1})));
  const std::string column = MakeFile("lens.npy", Npy(NpyText("'<f8'", "(4, 1)"), Raw<double>({0, 2, 0, 1})));
  const std::string bytes = MakeFile("lens.npy", Npy(NpyText("'|u1'", "(4,)"), Raw<uint8_t>({0, 2, 0, 1})));
  for (const std::string& lens : {Lens({0, 2, 0, 1}), i4, column, bytes, MakeFile("lens.txt", "0\n2\n0\n1\n")}) {
    const auto sets = ReadTokenSets(tokens, lens);
    ASSERT_TRUE(sets.ok()) << sets.status();
    ASSERT_EQ(sets->size(), 4u);
    EXPECT_EQ(sets->dimension(), 2u);
    EXPECT_EQ(sets->view().set(0).rows, 0u);
    EXPECT_EQ(sets->view().set(1).rows, 2u);
    EXPECT_THAT(sets->view().set(1).row(1), ElementsAre(2, 3));
    EXPECT_THAT(sets->view().set(3).row(0), ElementsAre(4, 5));
  }
  // The lengths of nothing, and of empty documents only.
  EXPECT_EQ(ReadTokenSets(Tokens({}, 2), Lens({}))->size(), 0u);
  EXPECT_EQ(ReadTokenSets(Tokens({}, 2), Lens({0, 0}))->size(), 2u);
}

TEST(CorpusFilesTest, ReadsPaddedTokens) {
  // Whatever padding holds.
  const float nan = std::nanf("");
  const std::string tokens = MakeFile(
      "tokens.npy", Npy(NpyText("'<f4'", "(3, 2, 2)"), Raw<float>({0, 1, 2, 3, nan, nan, 0, 0, 4, 5, nan, 9})));
  const auto sets = ReadTokenSets(tokens, Lens({2, 0, 1}));
  ASSERT_TRUE(sets.ok()) << sets.status();
  ASSERT_EQ(sets->size(), 3u);
  EXPECT_THAT(sets->view().set(0).row(1), ElementsAre(2, 3));
  EXPECT_EQ(sets->view().set(1).rows, 0u);
  ASSERT_EQ(sets->view().set(2).rows, 1u);
  EXPECT_THAT(sets->view().set(2).row(0), ElementsAre(4, 5));
  std::string lens = Lens({2, 0});
  EXPECT_EQ(ReadTokenSets(tokens, lens).status(),
            absl::InvalidArgumentError(absl::StrCat(lens, ": has 2 lengths, but ", tokens, " has 3 sets")));
  lens = Lens({2, 0, 3});
  EXPECT_EQ(ReadTokenSets(tokens, lens).status(),
            absl::InvalidArgumentError(absl::StrCat(lens, ": row 2, column 0 (counting from 0): is 3, but ", tokens,
                                                    " has at most 2 tokens a set")));
  EXPECT_FALSE(ReadTokenSets(tokens, Lens({2, 1, 1})).ok()) << "a token that is nan";
  EXPECT_FALSE(ReadSingleVectors(tokens).ok());
}

TEST(CorpusFilesTest, ReadsSingleVectorsBlockByBlock) {
  std::vector<float> values;
  for (int i = 0; i < 3 * 10000; ++i) values.push_back(static_cast<float>(i));
  const auto sets = ReadSingleVectors(Tokens(values, 3));
  ASSERT_TRUE(sets.ok()) << sets.status();
  ASSERT_EQ(sets->size(), 10000u);
  for (size_t i = 0; i < 10000; ++i) {
    ASSERT_EQ(sets->view().set(i).rows, 1u);
    ASSERT_THAT(sets->view().set(i).row(0), ElementsAre(3 * i, 3 * i + 1, 3 * i + 2));
  }
  const auto text = ReadSingleVectors(MakeFile("a.csv", "x,y\n1,2\n3,4\n"));
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(text->view().set(1).row(0), ElementsAre(3, 4));
}

TEST(CorpusFilesTest, RefusesByName) {
  const std::string tokens = Tokens({0, 1, 2, 3, 4, 5}, 2);
  const auto error = [&](const std::string& lens) { return ReadTokenSets(tokens, lens).status(); };
  for (const std::vector<int64_t>& wrong : {std::vector<int64_t>{1, 1}, {1, 1, 2}, {}}) {
    const std::string lens = Lens(wrong);
    int64_t sum = 0;
    for (const int64_t length : wrong) sum += length;
    EXPECT_EQ(error(lens), absl::InvalidArgumentError(absl::StrCat(lens, ": its ", wrong.size(), " lengths add up to ",
                                                                   sum, ", but ", tokens, " has 3 rows")));
  }
  const std::string negative = Lens({4, -1});
  EXPECT_EQ(error(negative),
            absl::InvalidArgumentError(absl::StrCat(negative, ": row 1, column 0 (counting from 0): is negative")));
  // A sum that wraps around to the right one.
  EXPECT_EQ(error(Lens({INT64_MAX, INT64_MAX, 5})).code(), absl::StatusCode::kInvalidArgument);
  const std::string wide = MakeFile("lens.npy", Npy(NpyText("'<i8'", "(1, 3)"), Raw<int64_t>({1, 1, 1})));
  EXPECT_EQ(error(wide), absl::InvalidArgumentError(absl::StrCat(wide, ": has 3 columns instead of 1")));
  EXPECT_EQ(error(MakeFile("lens.npy", Npy(NpyText("'<f4'", "(3,)"), Raw<float>({1, 1.5, 1})))).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(error(NewPath("missing.npy")).code(), absl::StatusCode::kNotFound);

  const std::string nan = Tokens({0, 1, 2, 3, std::nanf(""), 5}, 2);
  EXPECT_EQ(ReadTokenSets(nan, Lens({3})).status(),
            absl::InvalidArgumentError(absl::StrCat(nan, ": row 2, column 0 (counting from 0): is nan")));
  EXPECT_EQ(ReadSingleVectors(nan).status(), ReadTokenSets(nan, Lens({3})).status());
  const std::string flat = MakeFile("tokens.npy", Npy(NpyText("'<f4'", "(3, 0)"), ""));
  EXPECT_EQ(ReadTokenSets(flat, Lens({3})).status(),
            absl::InvalidArgumentError(absl::StrCat(flat, ": has no columns")));
  VectorReaderOptions options;
  options.expected_dimension = 3;
  EXPECT_EQ(ReadTokenSets(tokens, Lens({3}), options).status(),
            absl::InvalidArgumentError(absl::StrCat(tokens, ": has 2 columns instead of 3")));
}

}  // namespace
}  // namespace dpkde
