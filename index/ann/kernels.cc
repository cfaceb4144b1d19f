#include "dpkde/index/ann/kernels.h"

#include <algorithm>

// Compiled once for each SIMD target; AVX2 is what -march=x86-64-v3 promises (HWY_BASELINE_TARGETS in the BUILD file).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/ann/kernels.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dpkde {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Partial sums of one score: a vector of AVX-512, or two of AVX2.
constexpr size_t kSums = 16;

// Tiles of queries x rows whose sums fill the registers; one query alone meets kVectorRows rows at a time.
#if HWY_TARGET == HWY_AVX2
constexpr size_t kTileQueries = 3, kTileRows = 2, kVectorRows = 4;
#else
constexpr size_t kTileQueries = 6, kTileRows = 4, kVectorRows = 8;
#endif

using FloatTag = hn::CappedTag<float, kSums>;
using FloatVector = hn::Vec<FloatTag>;
using HalfTag = hn::FixedTag<float, 8>;
using QuarterTag = hn::FixedTag<float, 4>;

#if HWY_TARGET == HWY_AVX2
constexpr size_t kParts = 2;
HWY_INLINE hn::Vec<HalfTag> FoldTo8(const FloatVector* sums) { return hn::Add(sums[0], sums[1]); }
#else
constexpr size_t kParts = 1;
HWY_INLINE hn::Vec<HalfTag> FoldTo8(const FloatVector* sums) {
  return hn::Add(hn::LowerHalf(HalfTag(), sums[0]), hn::UpperHalf(HalfTag(), sums[0]));
}
#endif

HWY_INLINE hn::Vec<QuarterTag> FoldTo4(const FloatVector* sums) {
  const hn::Vec<HalfTag> eight = FoldTo8(sums);
  return hn::Add(hn::LowerHalf(QuarterTag(), eight), hn::UpperHalf(QuarterTag(), eight));
}

// (s0 + s2) + (s1 + s3) of the four that are left.
HWY_INLINE float Fold(const FloatVector* sums) { return hn::GetLane(hn::SumOfLanes(QuarterTag(), FoldTo4(sums))); }

// The same of four scores at once.
HWY_INLINE hn::Vec<QuarterTag> FoldFour(const FloatVector (*sums)[kParts]) {
  const QuarterTag tag;
  const auto a = FoldTo4(sums[0]), b = FoldTo4(sums[1]), c = FoldTo4(sums[2]), d = FoldTo4(sums[3]);
  const auto ab = hn::Add(hn::InterleaveLower(tag, a, b), hn::InterleaveUpper(tag, a, b));
  const auto cd = hn::Add(hn::InterleaveLower(tag, c, d), hn::InterleaveUpper(tag, c, d));
  return hn::Add(hn::ConcatLowerLower(tag, cd, ab), hn::ConcatUpperUpper(tag, cd, ab));
}

struct InnerProductStep {
  static HWY_INLINE FloatVector Step(FloatVector x, FloatVector y, FloatVector sum) { return hn::MulAdd(x, y, sum); }
};

struct SquaredDistanceStep {
  static HWY_INLINE FloatVector Step(FloatVector x, FloatVector y, FloatVector sum) {
    const FloatVector difference = hn::Sub(x, y);
    return hn::MulAdd(difference, difference, sum);
  }
};

// Rows beyond the last repeat it, and are not stored.
template <typename Kind, size_t kQueries, size_t kRows>
HWY_INLINE void FloatTile(MatrixView queries, size_t query_begin, MatrixView rows, size_t row_begin, float* out) {
  const FloatTag tag;
  const size_t d = rows.columns;
  const float* x[kQueries];
  const float* y[kRows];
  for (size_t q = 0; q < kQueries; ++q) x[q] = queries.data + std::min(query_begin + q, queries.rows - 1) * d;
  for (size_t r = 0; r < kRows; ++r) y[r] = rows.data + std::min(row_begin + r, rows.rows - 1) * d;

  FloatVector sums[kQueries][kRows][kParts];
  for (size_t q = 0; q < kQueries; ++q) {
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t part = 0; part < kParts; ++part) sums[q][r][part] = hn::Zero(tag);
    }
  }
  constexpr size_t kLanes = kSums / kParts;
  size_t i = 0;
  for (; i + kSums <= d; i += kSums) {
    for (size_t part = 0; part < kParts; ++part) {
      FloatVector y_part[kRows];
      for (size_t r = 0; r < kRows; ++r) y_part[r] = hn::LoadU(tag, y[r] + i + part * kLanes);
      for (size_t q = 0; q < kQueries; ++q) {
        const FloatVector x_part = hn::LoadU(tag, x[q] + i + part * kLanes);
        for (size_t r = 0; r < kRows; ++r) sums[q][r][part] = Kind::Step(x_part, y_part[r], sums[q][r][part]);
      }
    }
  }
  for (size_t part = 0; i < d && part < kParts; ++part) {
    const size_t begin = std::min(i + part * kLanes, d);
    const auto mask = hn::FirstN(tag, std::min(kLanes, d - begin));
    FloatVector y_part[kRows];
    for (size_t r = 0; r < kRows; ++r) y_part[r] = hn::MaskedLoad(mask, tag, y[r] + begin);
    for (size_t q = 0; q < kQueries; ++q) {
      const FloatVector x_part = hn::MaskedLoad(mask, tag, x[q] + begin);
      for (size_t r = 0; r < kRows; ++r) sums[q][r][part] = Kind::Step(x_part, y_part[r], sums[q][r][part]);
    }
  }
  for (size_t q = 0; q < kQueries && query_begin + q < queries.rows; ++q) {
    float* const to = out + (query_begin + q) * rows.rows + row_begin;
    size_t r = 0;
    for (; r + 4 <= kRows && row_begin + r + 4 <= rows.rows; r += 4) {
      hn::StoreU(FoldFour(sums[q] + r), QuarterTag(), to + r);
    }
    for (; r < kRows && row_begin + r < rows.rows; ++r) to[r] = Fold(sums[q][r]);
  }
}

template <typename Kind>
HWY_INLINE void FloatScores(MatrixView queries, MatrixView rows, float* out) {
  if (queries.rows == 1) {
    size_t r = 0;
    for (; r + kVectorRows <= rows.rows; r += kVectorRows) FloatTile<Kind, 1, kVectorRows>(queries, 0, rows, r, out);
    for (; r < rows.rows; ++r) FloatTile<Kind, 1, 1>(queries, 0, rows, r, out);
    return;
  }
  // The queries of a tile stay in the first-level cache while the rows pass, which come from the second.
  for (size_t q = 0; q < queries.rows; q += kTileQueries) {
    for (size_t r = 0; r < rows.rows; r += kTileRows) {
      FloatTile<Kind, kTileQueries, kTileRows>(queries, q, rows, r, out);
    }
  }
}

void InnerProductsOfTarget(MatrixView queries, MatrixView rows, float* out) {
  FloatScores<InnerProductStep>(queries, rows, out);
}

void SquaredDistancesOfTarget(MatrixView queries, MatrixView rows, float* out) {
  FloatScores<SquaredDistanceStep>(queries, rows, out);
}

template <size_t kQueries, size_t kRows>
HWY_INLINE void Int8Tile(const int16_t* queries, size_t query_begin, size_t query_count, const int8_t* rows,
                         size_t row_begin, size_t row_count, size_t width, int32_t* out) {
  const hn::CappedTag<int16_t, kInt8Lanes> short_tag;
  const hn::Rebind<int8_t, decltype(short_tag)> byte_tag;
  const hn::RepartitionToWide<decltype(short_tag)> sum_tag;
  using Sum = hn::Vec<decltype(sum_tag)>;
  const int16_t* x[kQueries];
  const int8_t* y[kRows];
  for (size_t q = 0; q < kQueries; ++q) x[q] = queries + std::min(query_begin + q, query_count - 1) * width;
  for (size_t r = 0; r < kRows; ++r) y[r] = rows + std::min(row_begin + r, row_count - 1) * width;
  Sum sums[kQueries][kRows];
  Sum odd = hn::Zero(sum_tag);  // x86 adds both halves to the first sum
  for (size_t q = 0; q < kQueries; ++q) {
    for (size_t r = 0; r < kRows; ++r) sums[q][r] = hn::Zero(sum_tag);
  }
  for (size_t i = 0; i < width; i += hn::Lanes(short_tag)) {
    hn::Vec<decltype(short_tag)> wide[kRows];
    for (size_t r = 0; r < kRows; ++r) wide[r] = hn::PromoteTo(short_tag, hn::LoadU(byte_tag, y[r] + i));
    for (size_t q = 0; q < kQueries; ++q) {
      const auto query = hn::LoadU(short_tag, x[q] + i);
      for (size_t r = 0; r < kRows; ++r) {
        sums[q][r] = hn::ReorderWidenMulAccumulate(sum_tag, query, wide[r], sums[q][r], odd);
      }
    }
  }
  for (size_t q = 0; q < kQueries && query_begin + q < query_count; ++q) {
    for (size_t r = 0; r < kRows && row_begin + r < row_count; ++r) {
      out[(query_begin + q) * row_count + row_begin + r] = hn::GetLane(hn::SumOfLanes(sum_tag, sums[q][r]));
    }
  }
}

void Int8ProductsOfTarget(const int16_t* queries, size_t query_count, const int8_t* rows, size_t row_count,
                          size_t width, int32_t* out) {
  if (query_count == 1) {
    size_t r = 0;
    for (; r + kVectorRows <= row_count; r += kVectorRows) {
      Int8Tile<1, kVectorRows>(queries, 0, 1, rows, r, row_count, width, out);
    }
    for (; r < row_count; ++r) Int8Tile<1, 1>(queries, 0, 1, rows, r, row_count, width, out);
    return;
  }
  for (size_t q = 0; q < query_count; q += kTileQueries) {
    for (size_t r = 0; r < row_count; r += kTileRows) {
      Int8Tile<kTileQueries, kTileRows>(queries, q, query_count, rows, r, row_count, width, out);
    }
  }
}

void TableSums4OfTarget(const uint8_t* tables, size_t table_count, const uint8_t* blocks, size_t block_count,
                        uint16_t* out) {
  const hn::CappedTag<uint8_t, kBlockRows4> byte_tag;  // 32 lanes: what AVX2 has
  const hn::Repartition<uint16_t, decltype(byte_tag)> sum_tag;
  const auto low_half = hn::Set(byte_tag, uint8_t{15});
  for (size_t block = 0; block < block_count; ++block) {
    const uint8_t* codes = blocks + block * table_count / 2 * kBlockRows4;
    // even + 256 * odd modulo 2^16, and odd alone.
    auto both = hn::Zero(sum_tag), odd = hn::Zero(sum_tag);
    for (size_t m = 0; m < table_count; m += 2, codes += kBlockRows4) {
      const auto pair = hn::LoadU(byte_tag, codes);
      const auto low = hn::And(pair, low_half);
      const auto high = hn::And(hn::BitCast(byte_tag, hn::ShiftRight<4>(hn::BitCast(sum_tag, pair))), low_half);
      const auto first = hn::TableLookupBytes(hn::LoadDup128(byte_tag, tables + m * 16), low);
      const auto second = hn::TableLookupBytes(hn::LoadDup128(byte_tag, tables + m * 16 + 16), high);
      const auto sum = hn::BitCast(sum_tag, hn::Add(first, second));  // at most 254: no carry into the odd byte
      both = hn::Add(both, sum);
      odd = hn::Add(odd, hn::ShiftRight<8>(sum));
    }
    hn::StoreU(hn::Sub(both, hn::ShiftLeft<8>(odd)), sum_tag, out + block * kBlockRows4);
    hn::StoreU(odd, sum_tag, out + block * kBlockRows4 + 16);
  }
}

void NearestCentroidsOfTarget(const float* points, size_t count, size_t dims, const float* transposed, size_t entries,
                              uint8_t* codes) {
  const FloatTag tag;
  const hn::RebindToSigned<FloatTag> index_tag;
  const size_t lanes = hn::Lanes(tag);
  const auto step = hn::Set(index_tag, static_cast<int32_t>(lanes));
  HWY_ALIGN float distances[kSums];
  HWY_ALIGN int32_t indices[kSums];
  for (size_t i = 0; i < count; ++i, points += dims) {
    auto index = hn::Iota(index_tag, 0);
    auto nearest = index;
    FloatVector least = hn::Set(tag, hwy::HighestValue<float>());
    for (size_t c = 0; c < entries; c += lanes) {
      FloatVector distance = hn::LoadU(tag, transposed + c);
      for (size_t j = 0; j < dims; ++j) {
        distance = hn::NegMulAdd(hn::Set(tag, points[j]), hn::LoadU(tag, transposed + (1 + j) * entries + c), distance);
      }
      const auto nearer = hn::Lt(distance, least);
      least = hn::Min(distance, least);
      nearest = hn::IfThenElse(hn::RebindMask(index_tag, nearer), index, nearest);
      index = hn::Add(index, step);
    }
    hn::Store(least, tag, distances);
    hn::Store(nearest, index_tag, indices);
    size_t best = 0;
    for (size_t lane = 1; lane < lanes; ++lane) {
      if (distances[lane] < distances[best] || (distances[lane] == distances[best] && indices[lane] < indices[best])) {
        best = lane;
      }
    }
    codes[i] = static_cast<uint8_t>(indices[best]);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dpkde
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dpkde {

HWY_EXPORT(InnerProductsOfTarget);
HWY_EXPORT(SquaredDistancesOfTarget);
HWY_EXPORT(Int8ProductsOfTarget);
HWY_EXPORT(TableSums4OfTarget);
HWY_EXPORT(NearestCentroidsOfTarget);

void NearestCentroids(const float* points, size_t count, size_t dims, const float* transposed, size_t entries,
                      uint8_t* codes) {
  HWY_DYNAMIC_DISPATCH(NearestCentroidsOfTarget)(points, count, dims, transposed, entries, codes);
}

void InnerProducts(MatrixView queries, MatrixView rows, float* out) {
  HWY_DYNAMIC_DISPATCH(InnerProductsOfTarget)(queries, rows, out);
}

void SquaredDistances(MatrixView queries, MatrixView rows, float* out) {
  HWY_DYNAMIC_DISPATCH(SquaredDistancesOfTarget)(queries, rows, out);
}

void Int8Products(const int16_t* queries, size_t query_count, const int8_t* rows, size_t row_count, size_t width,
                  int32_t* out) {
  HWY_DYNAMIC_DISPATCH(Int8ProductsOfTarget)(queries, query_count, rows, row_count, width, out);
}

void TableSums4(const uint8_t* tables, size_t table_count, const uint8_t* blocks, size_t block_count, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(TableSums4OfTarget)(tables, table_count, blocks, block_count, out);
}

// Looks up, so that nothing is gained by wider vectors; several rows at once hide the latency of the additions.
void TableSums8(const float* tables, size_t table_count, const uint8_t* codes, size_t row_count, float* out) {
  constexpr size_t kRows = 8;
  size_t row = 0;
  for (; row + kRows <= row_count; row += kRows) {
    const uint8_t* block = codes + row * table_count;
    float sums[kRows] = {};
    for (size_t m = 0; m < table_count; ++m) {
      for (size_t r = 0; r < kRows; ++r) sums[r] += tables[m * 256 + block[r * table_count + m]];
    }
    for (size_t r = 0; r < kRows; ++r) out[row + r] = sums[r];
  }
  for (; row < row_count; ++row) {
    float sum = 0;
    for (size_t m = 0; m < table_count; ++m) sum += tables[m * 256 + codes[row * table_count + m]];
    out[row] = sum;
  }
}

}  // namespace dpkde
#endif  // HWY_ONCE
