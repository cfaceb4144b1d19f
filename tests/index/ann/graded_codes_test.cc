// Graded codes: more bits for the coordinates that vary more.

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "dpkde/index/ann/vector_codec.h"
#include "dpkde/index/ann/vector_index.h"
#include "tests/testing/vectors.h"

namespace dpkde {
namespace {

using Kind = VectorIndexOptions::Kind;
using Codes = VectorIndexOptions::Codes;
using Metric = VectorIndexOptions::Metric;

// Normal coordinates whose deviations fall by 2 every `half_life`, about `mean`.
Points Falling(size_t rows, size_t columns, double half_life, double mean, uint64_t seed) {
  boost::random::mt19937_64 engine(seed);
  boost::random::normal_distribution<double> normal;
  Points points{std::vector<float>(rows * columns), columns};
  for (size_t i = 0; i < points.values.size(); ++i) {
    points.values[i] =
        static_cast<float>(mean + normal(engine) * std::exp2(-static_cast<double>(i % columns) / half_life));
  }
  return points;
}

VectorIndexOptions Graded(int bytes, Kind kind = Kind::kFlat, Metric metric = Metric::kInnerProduct) {
  VectorIndexOptions options;
  options.kind = kind;
  options.codes = Codes::kGraded;
  options.metric = metric;
  options.graded_bytes = bytes;
  return options;
}

TEST(GradedCodesTest, DistancesAreThoseOfWhatCodesStandFor) {
  ThreadPool pool(2);
  const Points vectors = Falling(1500, 300, 40, 0.1, 1), queries = Falling(9, 300, 1000, 0, 2);
  for (int bytes : {32, 64, 96, 160, 320}) {
    const auto codec = VectorCodec::Train(Graded(bytes), vectors.view(), pool);
    EXPECT_LE(codec->CodeBytes(1), static_cast<size_t>(bytes));
    EXPECT_GE(codec->CodeBytes(1), static_cast<size_t>(std::min(bytes, 128)) - 16);
    std::vector<uint8_t> codes;
    codec->Append(vectors.view().Slice(0, 100), 0, pool, &codes);
    codec->Append(vectors.view().Slice(100, 150), 100, pool, &codes);
    ASSERT_EQ(codes.size(), codec->CodeBytes(150));
    const auto scorer = codec->Score(queries.view());
    std::vector<float> distances(7 * 140);
    scorer->Distances(2, 9, codes.data(), 10, 150, distances.data());
    std::vector<float> decoded(300);
    for (size_t row = 10; row < 150; ++row) {
      codec->Decode(codes.data(), row, decoded.data());
      for (size_t q = 2; q < 9; ++q) {
        const auto query = queries.view().row(q);
        const double product = std::inner_product(query.begin(), query.end(), decoded.begin(), 0.0);
        ASSERT_NEAR(distances[(q - 2) * 140 + row - 10], -product, 5e-3) << bytes;
      }
    }
    // Parsed from its parameters it is the same.
    const std::string parameters = codec->Parameters();
    ASSERT_EQ(parameters.size(), VectorCodec::ParameterBytes(Graded(bytes), 300));
    const auto parsed = VectorCodec::Parse(Graded(bytes), 300, parameters);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    std::vector<uint8_t> again;
    (*parsed)->Append(vectors.view().Slice(0, 150), 0, pool, &again);
    EXPECT_EQ(again, codes);
  }
}

// Mean squared error relative to the variance.
double Distortion(const Points& vectors, int bytes) {
  ThreadPool pool(2);
  const auto codec = VectorCodec::Train(Graded(bytes), vectors.view(), pool);
  std::vector<uint8_t> codes;
  codec->Append(vectors.view(), 0, pool, &codes);
  std::vector<float> decoded(vectors.columns);
  double error = 0, size = 0;
  for (size_t row = 0; row < vectors.rows(); ++row) {
    codec->Decode(codes.data(), row, decoded.data());
    for (size_t j = 0; j < vectors.columns; ++j) {
      error += std::pow(decoded[j] - vectors.view().row(row)[j], 2);
      size += std::pow(vectors.view().row(row)[j], 2);
    }
  }
  return error / size;
}

TEST(GradedCodesTest, BitsGoWhereTheVarianceIs) {
  const Points falling = Falling(2000, 256, 32, 0, 3);
  const double at32 = Distortion(falling, 32), at64 = Distortion(falling, 64), at128 = Distortion(falling, 128);
  EXPECT_LT(at32, 0.08);  // rate-distortion theory allows 0.026 for normal coordinates
  EXPECT_LT(at64, 0.3 * at32);
  EXPECT_LT(at128, 0.3 * at64);
  // The control: where all coordinates vary alike there is nothing to win, and 2 bits a coordinate leave 12 %.
  EXPECT_GT(Distortion(Falling(2000, 256, 1e9, 0, 3), 64), 0.1);
}

TEST(GradedCodesTest, FindsNeighboursInAnIndex) {
  const Points vectors = Falling(4000, 128, 20, 0.2, 5), queries = Falling(50, 128, 20, 0.2, 6);
  for (const Metric metric : {Metric::kInnerProduct, Metric::kCosine}) {
    VectorIndexOptions exact_options;
    exact_options.metric = metric;
    const auto exact = VectorIndex::Build(vectors.view(), exact_options);
    ASSERT_TRUE(exact.ok());
    const auto truth = exact->Search(queries.view(), 1);
    for (const Kind kind : {Kind::kFlat, Kind::kIvf}) {
      VectorIndexOptions options = Graded(64, kind, metric);
      options.ivf_lists = 4;
      options.ivf_probe = 4;
      const auto index = VectorIndex::Build(vectors.view(), options);
      ASSERT_TRUE(index.ok()) << index.status();
      EXPECT_LE(index->bytes_of_rows(), 4000u * 64 + 4000 * 16);
      const auto found = index->Search(queries.view(), 5);
      ASSERT_TRUE(found.ok());
      int hits = 0;
      for (size_t q = 0; q < 50; ++q) {
        hits += std::count(&found->ids[5 * q], &found->ids[5 * q] + 5, truth->ids[q]);
        EXPECT_NEAR(found->scores[5 * q], truth->scores[q], 0.1 * std::abs(truth->scores[q]) + 0.05);
      }
      EXPECT_GE(hits, 48);

      const auto bytes = index->Serialize();
      ASSERT_TRUE(bytes.ok());
      const auto read = VectorIndex::Deserialize(*bytes);
      ASSERT_TRUE(read.ok()) << read.status();
      const auto same = read->Search(queries.view(), 5);
      ASSERT_TRUE(same.ok());
      EXPECT_EQ(same->ids, found->ids);
      EXPECT_EQ(same->scores, found->scores);
    }
  }
}

TEST(GradedCodesTest, ConstantCoordinatesAndDefaults) {
  Points vectors{std::vector<float>(1200 * 40, 2.5f), 40};
  const auto constant = VectorIndex::Build(vectors.view(), Graded(0));
  ASSERT_TRUE(constant.ok()) << constant.status();
  const auto found = constant->Search(vectors.view().Slice(0, 1), 3);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->ids, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_NEAR(found->scores[0], 40 * 2.5 * 2.5, 1e-2);
}

TEST(GradedCodesTest, Refusals) {
  const auto refusal = [](VectorIndexOptions options) {
    return std::string(CheckVectorIndexOptions(options).message());
  };
  EXPECT_EQ(refusal(Graded(64, Kind::kHnsw)), "a graph does not take graded codes");
  EXPECT_EQ(refusal(Graded(64, Kind::kFlat, Metric::kL2)),
            "graded codes are for inner products and cosines, but not L2");
  EXPECT_EQ(refusal(Graded(33)), "graded_bytes must be a multiple of 32");
  EXPECT_EQ(refusal(Graded(-32)), "graded_bytes must be at least 0 and at most 65536, but is -32");
  const auto options = VectorIndexOptionsFromSpec(VectorIndexSpecFromOptions(Graded(96, Kind::kIvf)));
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->graded_bytes, 96);
  EXPECT_EQ(options->codes, Codes::kGraded);

  std::string parameters(VectorCodec::ParameterBytes(Graded(32), 4), '\0');
  EXPECT_FALSE(VectorCodec::Parse(Graded(32), 4, parameters).ok());  // no coordinate has a code
  parameters.back() = 3;
  EXPECT_FALSE(VectorCodec::Parse(Graded(32), 4, parameters).ok());  // 3 bits
  parameters.back() = 4;
  EXPECT_TRUE(VectorCodec::Parse(Graded(32), 4, parameters).ok());
  EXPECT_FALSE(VectorCodec::Parse(Graded(32), 4, parameters.substr(1)).ok());
  const float nan = std::nanf("");
  parameters.replace(0, 4, reinterpret_cast<const char*>(&nan), 4);
  EXPECT_FALSE(VectorCodec::Parse(Graded(32), 4, parameters).ok());
}

}  // namespace
}  // namespace dpkde
