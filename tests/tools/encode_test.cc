// "dpkde_build encode".
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/vectors.h"
#include "tests/tools/command.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kData[] = "tests/testdata/wordnet_";
constexpr char kFde[] = "encoder { public_seed: 5 fde { repetitions: 4 hyperplanes: 3 projected_dimension: 8 } }\n";
constexpr char kRegression[] = "encoder { regression { features: 64 anchors: 500 rank: 32 } }\n";

class EncodeTest : public ::testing::Test {
 protected:
  std::string Tokens() { return absl::StrCat("--tokens=", kData, "tokens.npy"); }
  std::string Lens() { return absl::StrCat("--lens=", kData, "lens.npy"); }
  std::string QueryTokens() { return absl::StrCat("--tokens=", kData, "query_tokens.npy"); }
  std::string QueryLens() { return absl::StrCat("--lens=", kData, "query_lens.npy"); }
  std::string Config(const std::string& text) { return "--config=" + folder_.Write("config.txt", text); }
  std::string Path(const std::string& name) { return folder_.Path(name); }

  CommandResult Encode(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "encode");
    return RunCommand("dpkde_build", std::move(arguments));
  }

  void Refuse(std::vector<std::string> arguments, int exit_code, const std::vector<std::string>& phrases) {
    const std::vector<std::string> before = folder_.List();
    ExpectRefusal(Encode(std::move(arguments)), "dpkde_build", exit_code, phrases);
    EXPECT_EQ(folder_.List(), before) << "something was left behind";
  }

  Folder folder_;
};

TEST_F(EncodeTest, WritesTheVectorsOfTheLibrary) {
  const CommandResult result = Encode({Tokens(), Lens(), "--role=document", Config(kFde), "--output=" + Path("d.npy"),
                                       "--encoder_out=" + Path("encoder")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, AllOf(HasSubstr("1200 documents, 5172 tokens"), HasSubstr("256 coordinates")));
  ASSERT_EQ(Encode({QueryTokens(), QueryLens(), "--role=query", "--encoder=" + Path("encoder"),
                    "--output=" + Path("q.npy"), "--threads=1", "--quiet"})
                .err,
            "");

  const auto encoder = DeserializeEncoder(FileBytes(Path("encoder")));
  ASSERT_TRUE(encoder.ok()) << encoder.status();
  EXPECT_THAT(result.err, HasSubstr((*encoder)->fingerprint()));
  const TokenSets documents = ReadTokenSets(absl::StrCat(kData, "tokens.npy"), absl::StrCat(kData, "lens.npy")).value();
  const TokenSets queries =
      ReadTokenSets(absl::StrCat(kData, "query_tokens.npy"), absl::StrCat(kData, "query_lens.npy")).value();
  ThreadPool pool(2);
  std::vector<float> expected(1200 * 256);
  ASSERT_TRUE((*encoder)->EncodeDocuments(documents.view(), pool, absl::MakeSpan(expected)).ok());
  EXPECT_EQ(LoadPoints(Path("d.npy")).values, expected);
  expected.resize(60 * 256);
  ASSERT_TRUE((*encoder)->EncodeQueries(queries.view(), pool, absl::MakeSpan(expected)).ok());
  EXPECT_EQ(LoadPoints(Path("q.npy")).values, expected);
}

TEST_F(EncodeTest, AnEncoderThatLearnsGoesOnToQueriesAndOtherDocuments) {
  ASSERT_EQ(Encode({Tokens(), Lens(), "--role=document", Config(kRegression), "--output=" + Path("d.npy"),
                    "--encoder_out=" + Path("encoder")})
                .exit_code,
            0);
  // The same documents by the stored encoder: the same bytes.
  ASSERT_EQ(Encode({Tokens(), Lens(), "--role=document", "--encoder=" + Path("encoder"), "--output=" + Path("e.npy")})
                .exit_code,
            0);
  EXPECT_EQ(FileBytes(Path("d.npy")), FileBytes(Path("e.npy")));
  ASSERT_EQ(
      Encode({QueryTokens(), QueryLens(), "--role=query", "--encoder=" + Path("encoder"), "--output=" + Path("q.npy")})
          .exit_code,
      0);
  // A query of the corpus finds its exact best among the first 100 of 1,200, mostly.
  const Points q = LoadPoints(Path("q.npy")), d = LoadPoints(Path("d.npy"));
  ASSERT_EQ(q.columns, 32u);
  const Points truth = LoadPoints(absl::StrCat(kData, "truth.ivecs"));
  int found = 0;
  for (size_t i = 0; i < 60; ++i) {
    const auto score = [&](size_t document) {
      return std::inner_product(&q.values[i * 32], &q.values[i * 32] + 32, &d.values[document * 32], 0.0);
    };
    const double best = score(static_cast<size_t>(truth.values[i * 10]));
    int better = 0;
    for (size_t document = 0; document < 1200; ++document) better += score(document) > best;
    found += better < 100;
  }
  EXPECT_GE(found, 40);  // chance would find 5
  Refuse({QueryTokens(), QueryLens(), "--role=query", Config(kRegression), "--output=" + Path("x.npy")}, 1,
         {"describes an encoder that learns from documents", "--encoder_out"});
}

TEST_F(EncodeTest, TakesTheEncoderOfAnIndex) {
  ASSERT_EQ(RunCommand("dpkde_build", {"index", Tokens(), Lens(), Config(kFde), "--output=" + Path("index")}).exit_code,
            0);
  ASSERT_EQ(
      Encode({QueryTokens(), QueryLens(), "--role=query", "--index=" + Path("index"), "--output=" + Path("a.npy")})
          .exit_code,
      0);
  ASSERT_EQ(Encode({QueryTokens(), QueryLens(), "--role=query", Config(kFde), "--output=" + Path("b.npy")}).exit_code,
            0);
  EXPECT_EQ(FileBytes(Path("a.npy")), FileBytes(Path("b.npy")));
  ASSERT_EQ(RunCommand("dpkde_build",
                       {"index", absl::StrCat("--input=", kData, "query_tokens.npy"), "--output=" + Path("single")})
                .exit_code,
            0);
  Refuse({QueryTokens(), QueryLens(), "--role=query", "--index=" + Path("single"), "--output=" + Path("c.npy")}, 1,
         {"single vectors", "no encoder"});
}

TEST_F(EncodeTest, SmallerValues) {
  for (const std::string type : {"f4", "f2"}) {
    ASSERT_EQ(Encode({QueryTokens(), QueryLens(), "--role=document", Config(kFde), "--output_type=" + type,
                      "--output=" + Path(type + ".npy")})
                  .exit_code,
              0);
  }
  ASSERT_EQ(Encode({QueryTokens(), QueryLens(), "--role=document", Config(kFde), "--output_type=i1",
                    "--output=" + Path("i1.npy"), "--scales_out=" + Path("scales.npy")})
                .exit_code,
            0);
  const Points f4 = LoadPoints(Path("f4.npy")), f2 = LoadPoints(Path("f2.npy")), i1 = LoadPoints(Path("i1.npy"));
  const Points scales = LoadPoints(Path("scales.npy"));
  EXPECT_LT(FileBytes(Path("i1.npy")).size(), FileBytes(Path("f2.npy")).size());
  ASSERT_EQ(i1.values.size(), f4.values.size());
  ASSERT_EQ(scales.values.size(), 60u);
  double largest = 0;
  for (size_t i = 0; i < f4.values.size(); ++i) {
    ASSERT_NEAR(f2.values[i], f4.values[i], std::abs(f4.values[i]) * 0x1p-11 + 1e-7);
    const float scale = scales.values[i / 256];
    ASSERT_NEAR(i1.values[i] * scale, f4.values[i], 0.501 * scale);
    largest = std::max(largest, std::abs(static_cast<double>(i1.values[i])));
  }
  EXPECT_EQ(largest, 127);
}

TEST_F(EncodeTest, EmptySets) {
  const std::string tokens = "--tokens=" + folder_.Write("t.npy", Npy({1, 2, 3, 4}, 2));
  const std::string lens = "--lens=" + folder_.Write("l.txt", "0\n2\n0\n");
  ASSERT_EQ(
      Encode({tokens, lens, "--role=document", Config("encoder { fde {} }"), "--output=" + Path("d.npy")}).exit_code,
      0);
  EXPECT_EQ(LoadPoints(Path("d.npy")).rows(), 3u);
}

TEST_F(EncodeTest, RefusesWrongCommandLines) {
  const std::string output = "--output=" + Path("d.npy"), role = "--role=document", config = Config(kFde);
  folder_.Write("exists.npy", "x");
  Refuse({Lens(), role, config, output}, 1, {"--tokens is missing"});
  Refuse({Tokens(), role, config, output}, 1, {"--lens is missing"});
  Refuse({Tokens(), Lens(), config, output}, 1, {"--role is missing"});
  Refuse({Tokens(), Lens(), "--role=doc", config, output}, 1, {"doc", "query"});
  Refuse({Tokens(), Lens(), role, output}, 1, {"one of --config, --encoder and --index"});
  Refuse({Tokens(), Lens(), role, config, "--index=x", output}, 1, {"one of --config, --encoder and --index"});
  Refuse({Tokens(), Lens(), role, config}, 1, {"--output is missing"});
  Refuse({Tokens(), Lens(), role, config, "--output=" + Path("exists.npy")}, 1, {"exists"});
  Refuse({Tokens(), Lens(), role, config, output, "--encoder_out=" + Path("d.npy")}, 1, {"same file"});
  Refuse({Tokens(), Lens(), role, config, output, "--output_type=f8"}, 1, {"f8"});
  Refuse({Tokens(), Lens(), role, config, output, "--output_type=i1"}, 1, {"--scales_out"});
  Refuse({Tokens(), Lens(), role, config, output, "--k=3"}, 1, {"k"});
  Refuse({Tokens(), Lens(), role, Config("encoder { fde { repetitions: 0 } }"), output}, 1,
         {"repetitions must be at least 1"});
  Refuse({Tokens(), Lens(), role, Config("encoder { fde { repetitions: 10000 hyperplanes: 12 } }"), output}, 1,
         {"repetitions * 2^hyperplanes * projected_dimension"});
  Refuse({Tokens(), Lens(), role, Config("tokens {}"), output}, 1, {"describes no encoder"});
  Refuse({Tokens(), Lens(), role, Config("encoder { fdr {} }"), output}, 1, {"no IndexConfig"});
}

TEST_F(EncodeTest, RefusesBadFiles) {
  const std::string output = "--output=" + Path("d.npy"), role = "--role=document", config = Config(kFde);
  Refuse({"--tokens=" + Path("none.npy"), Lens(), role, config, output}, 5, {"none.npy"});
  Refuse({Tokens(), Lens(), role, "--config=" + Path("none"), output}, 5, {"none"});
  Refuse({Tokens(), Lens(), role, "--encoder=" + Path("none"), output}, 5, {"none"});
  Refuse({Tokens(), QueryLens(), role, config, output}, 2, {"lens"});
  const std::string nan = "--tokens=" + folder_.Write("nan.npy", Npy({1, std::nanf("")}, 2));
  const std::string one = "--lens=" + folder_.Write("one.txt", "1\n");
  Refuse({nan, one, role, config, output}, 2, {"nan.npy"});
  Refuse({Tokens(), Lens(), role, "--encoder=" + folder_.Write("text", "hello"), output}, 3, {"text"});
  ASSERT_EQ(Encode({Tokens(), Lens(), role, config, "--output=" + Path("ok.npy"), "--encoder_out=" + Path("encoder")})
                .exit_code,
            0);
  std::string damaged = FileBytes(Path("encoder"));
  damaged[damaged.size() / 2] ^= 1;
  Refuse({Tokens(), Lens(), role, "--encoder=" + folder_.Write("damaged", damaged), output}, 3, {"damaged"});
  const std::string narrow = "--tokens=" + folder_.Write("narrow.npy", Npy({1, 2}, 2));
  Refuse({narrow, one, role, "--encoder=" + Path("encoder"), output}, 2, {"encoder's dimension, 100, but have 2"});
  const std::string none = "--lens=" + folder_.Write("zero.txt", "0\n");
  const std::string no_tokens = "--tokens=" + folder_.Write("no.npy", Npy({}, 2));
  Refuse({no_tokens, none, role, Config(kRegression), output}, 2, {"needs a sample of tokens"});
}

}  // namespace
}  // namespace dpkde
