#include "dpkde/index/ann/kernels.h"

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace dpkde {
namespace {

template <typename T>
std::vector<T> Integers(size_t count, int low, int high, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::uniform_int_distribution<int> uniform(low, high);
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(uniform(engine));
  return values;
}

std::vector<float> Normal(size_t count, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

// Calls body once with AVX2 alone and once with all that the CPU has.
template <typename Body>
void WithEveryTarget(Body body) {
  for (const int64_t targets : {int64_t{HWY_AVX2}, int64_t{0}}) {
    hwy::SetSupportedTargetsForTest(targets);
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(FloatKernelsTest, SameBitsWhateverStandsBesideAndOnEveryTarget) {
  for (const size_t d : {1, 2, 8, 15, 16, 17, 31, 100, 513}) {
    const size_t rows = 23, queries = 19;  // multiples of no tile
    const std::vector<float> x = Normal(queries * d, d), y = Normal(rows * d, d + 1);
    const MatrixView all_x{x.data(), queries, d}, all_y{y.data(), rows, d};
    for (const bool l2 : {false, true}) {
      const auto scores = [&](MatrixView a, MatrixView b) {
        std::vector<float> out(a.rows * b.rows + 1, 12345);
        l2 ? SquaredDistances(a, b, out.data()) : InnerProducts(a, b, out.data());
        EXPECT_EQ(out.back(), 12345) << "wrote beyond";
        out.pop_back();
        return out;
      };
      std::vector<float> first;
      WithEveryTarget([&] {
        const std::vector<float> together = scores(all_x, all_y);
        if (first.empty()) first = together;
        EXPECT_EQ(together, first);
        for (size_t i = 0; i < queries; ++i) {
          for (size_t j = 0; j < rows; ++j) {
            ASSERT_EQ(scores(all_x.Slice(i, i + 1), all_y.Slice(j, j + 1))[0], first[i * rows + j]) << d;
            double expected = 0, magnitude = 0;
            for (size_t c = 0; c < d; ++c) {
              const double a = x[i * d + c], b = y[j * d + c];
              expected += l2 ? (a - b) * (a - b) : a * b;
              magnitude += l2 ? (a - b) * (a - b) : std::abs(a * b);
            }
            ASSERT_NEAR(first[i * rows + j], expected, 1e-6 * magnitude + 1e-30);
          }
          ASSERT_EQ(scores(all_x.Slice(i, i + 1), all_y),
                    std::vector<float>(&first[i * rows], &first[i * rows] + rows));
        }
      });
    }
  }
}

TEST(Int8KernelTest, SumsAreExact) {
  for (const size_t width : {32, 64, 224}) {
    for (const size_t queries : {1, 7}) {
      const size_t rows = 21;
      const auto x = Integers<int16_t>(queries * width, -32767, 32767, width);
      const auto y = Integers<int8_t>(rows * width, -128, 127, width + 1);
      std::vector<int32_t> expected;
      for (size_t i = 0; i < queries; ++i) {
        for (size_t j = 0; j < rows; ++j) {
          int64_t sum = 0;
          for (size_t c = 0; c < width; ++c) sum += int64_t{x[i * width + c]} * y[j * width + c];
          expected.push_back(static_cast<int32_t>(sum));
        }
      }
      WithEveryTarget([&] {
        std::vector<int32_t> out(queries * rows);
        Int8Products(x.data(), queries, y.data(), rows, width, out.data());
        EXPECT_EQ(out, expected);
      });
    }
  }
}

// Entries as large as they may be: sums of 65,535 do not wrap, and the even rows do not carry into the odd ones.
TEST(TableSumsTest, FourBits) {
  for (const size_t tables : {2, 10, 516}) {
    const size_t blocks = 3;
    auto table = Integers<uint8_t>(tables * 16, 0, std::min<int>(127, 65535 / tables), tables);
    for (size_t m = 0; m < tables; ++m) table[m * 16 + 15] = std::min<int>(127, 65535 / tables);
    auto codes = Integers<uint8_t>(blocks * 32 * tables, 0, 15, tables + 1);
    std::fill(codes.begin(), codes.begin() + 7 * tables, 15);  // whole rows of the largest entries
    std::vector<uint8_t> packed(blocks * 32 * tables / 2, 0);
    std::vector<uint16_t> expected;
    for (size_t row = 0; row < blocks * 32; ++row) {
      int sum = 0;
      for (size_t m = 0; m < tables; ++m) {
        const uint8_t code = codes[row * tables + m];
        sum += table[m * 16 + code];
        packed[row / 32 * 16 * tables + m / 2 * 32 + ByteInBlock4(row % 32)] |= m % 2 == 0 ? code : code << 4;
      }
      expected.push_back(sum);
    }
    WithEveryTarget([&] {
      std::vector<uint16_t> out(blocks * 32);
      TableSums4(table.data(), tables, packed.data(), blocks, out.data());
      EXPECT_EQ(out, expected);
    });
  }
}

TEST(TableSumsTest, EightBits) {
  const size_t tables = 13, rows = 19;
  const std::vector<float> table = Normal(tables * 256, 1);
  const auto codes = Integers<uint8_t>(rows * tables, 0, 255, 2);
  std::vector<float> out(rows);
  TableSums8(table.data(), tables, codes.data(), rows, out.data());
  for (size_t row = 0; row < rows; ++row) {
    float sum = 0;
    for (size_t m = 0; m < tables; ++m) sum += table[m * 256 + codes[row * tables + m]];
    EXPECT_EQ(out[row], sum);
  }
}

TEST(NearestCentroidsTest, TheLowestOfTheNearest) {
  for (const size_t entries : {16, 256}) {
    for (const size_t dims : {1, 2, 8}) {
      // Small integers, exact in float32, many of them equal.
      const auto centroids = Integers<float>(entries * dims, -3, 3, entries + dims);
      const auto points = Integers<float>(200 * dims, -4, 4, dims);
      std::vector<float> transposed(entries * (1 + dims), 0);
      for (size_t c = 0; c < entries; ++c) {
        for (size_t j = 0; j < dims; ++j) {
          transposed[c] += centroids[c * dims + j] * centroids[c * dims + j] / 2;
          transposed[(1 + j) * entries + c] = centroids[c * dims + j];
        }
      }
      WithEveryTarget([&] {
        std::vector<uint8_t> codes(200);
        NearestCentroids(points.data(), 200, dims, transposed.data(), entries, codes.data());
        for (size_t i = 0; i < 200; ++i) {
          size_t best = 0;
          float least = 1e30f;
          for (size_t c = 0; c < entries; ++c) {
            float distance = 0;
            for (size_t j = 0; j < dims; ++j) {
              distance += std::pow(points[i * dims + j] - centroids[c * dims + j], 2.0f);
            }
            if (distance < least) least = distance, best = c;
          }
          ASSERT_EQ(codes[i], best);
        }
      });
    }
  }
}

}  // namespace
}  // namespace dpkde
