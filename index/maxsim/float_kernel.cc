#include "dpkde/index/maxsim/float_kernel.h"

#include <algorithm>
#include <limits>

#include "dpkde/io/floats.h"

// Compiled once for each SIMD target. Those below AVX2 have no fused multiply-add, which would change results, and are
// left out by HWY_BASELINE_TARGETS in the BUILD file: AVX2 is what -march=x86-64-v3 promises.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/maxsim/float_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dpkde {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;

constexpr size_t kColumns = kMaxSimColumns;

// A tile of kRows x 2 accumulators fills the registers: 24 of 32 with AVX-512, 12 of 16 with AVX2.
#if HWY_TARGET == HWY_AVX2
constexpr size_t kRows = 6;
#else
constexpr size_t kRows = kMaxSimTileRows;
#endif

// Raises maxima[0 .. kVectors) by the products of kTileRows document tokens with kVectors vectors of query tokens.
// `ahead`: as many tokens that will be needed soon.
template <size_t kTileRows, size_t kVectors>
HWY_INLINE void Tile(const float* HWY_RESTRICT panel, const float* HWY_RESTRICT tokens, const float* ahead,
                     size_t dimension, FloatVector* HWY_RESTRICT maxima) {
  const FloatTag tag;
  const size_t lanes = hn::Lanes(tag);
  FloatVector sum[kTileRows][kVectors];
  for (size_t r = 0; r < kTileRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(tag);
  }
  for (size_t i = 0; i < dimension; ++i) {
    // In steps of less than a cache line. Without it the CPU's own prefetching, which sees many short streams, halves
    // the speed on documents that are not in a cache. It may reach beyond what there is: no harm.
    hwy::Prefetch(ahead + i * kTileRows);
    FloatVector query[kVectors];
    for (size_t v = 0; v < kVectors; ++v) query[v] = hn::Load(tag, panel + i * kColumns + v * lanes);
    for (size_t r = 0; r < kTileRows; ++r) {
      const FloatVector x = hn::Set(tag, tokens[r * dimension + i]);
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(x, query[v], sum[r][v]);
    }
  }
  for (size_t r = 0; r < kTileRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) maxima[v] = hn::Max(maxima[v], sum[r][v]);
  }
}

// Tile() for the `rows` <= kTileRows tokens that are left.
template <size_t kTileRows, size_t kVectors>
HWY_INLINE void LastTile(const float* HWY_RESTRICT panel, const float* HWY_RESTRICT tokens, const float* ahead,
                         size_t rows, size_t dimension, FloatVector* HWY_RESTRICT maxima) {
  if constexpr (kTileRows > 0) {
    if (rows == kTileRows) {
      Tile<kTileRows, kVectors>(panel, tokens, ahead, dimension, maxima);
    } else {
      LastTile<kTileRows - 1, kVectors>(panel, tokens, ahead, rows, dimension, maxima);
    }
  }
}

template <size_t kVectors>
HWY_NOINLINE void RaiseMaxima(const float* HWY_RESTRICT panel, const float* HWY_RESTRICT tokens, size_t count,
                              const float* next, size_t dimension, float* HWY_RESTRICT maxima) {
  const FloatTag tag;
  const size_t lanes = hn::Lanes(tag);
  FloatVector largest[kVectors];
  for (size_t v = 0; v < kVectors; ++v) largest[v] = hn::LoadU(tag, maxima + v * lanes);
  // The tile after the next, in the next document if this one ends before.
  const auto ahead = [&](size_t row) {
    row += 2 * kRows;
    return row < count ? tokens + row * dimension : next + (row - count) / kRows * kRows * dimension;
  };
  size_t row = 0;
  for (; row + kRows <= count; row += kRows) {
    Tile<kRows, kVectors>(panel, tokens + row * dimension, ahead(row), dimension, largest);
  }
  LastTile<kRows - 1, kVectors>(panel, tokens + row * dimension, ahead(row), count - row, dimension, largest);
  for (size_t v = 0; v < kVectors; ++v) hn::StoreU(largest[v], tag, maxima + v * lanes);
}

void RaiseAllMaxima(const float* HWY_RESTRICT panel, size_t columns, const float* HWY_RESTRICT tokens, size_t count,
                    const float* next, size_t dimension, float* HWY_RESTRICT maxima) {
  const size_t lanes = hn::Lanes(FloatTag());
  size_t column = 0;
  for (; column + lanes < columns; column += 2 * lanes) {
    RaiseMaxima<2>(panel + column, tokens, count, next, dimension, maxima + column);
  }
  if (column < columns) RaiseMaxima<1>(panel + column, tokens, count, next, dimension, maxima + column);
}

void Float(const float* HWY_RESTRICT panel, size_t columns, const float* HWY_RESTRICT tokens, size_t count,
           const float* next, size_t dimension, float* HWY_RESTRICT maxima) {
  std::fill_n(maxima, kColumns, -std::numeric_limits<float>::infinity());
  RaiseAllMaxima(panel, columns, tokens, count, next, dimension, maxima);
}

void Half(const float* HWY_RESTRICT panel, size_t columns, const void* tokens, size_t count, const void* next,
          size_t dimension, float* HWY_RESTRICT scratch, float* HWY_RESTRICT maxima) {
  const FloatTag tag;
  const hn::Rebind<hwy::float16_t, FloatTag> half_tag;
  const size_t lanes = hn::Lanes(tag);
  std::fill_n(maxima, kColumns, -std::numeric_limits<float>::infinity());
  for (size_t row = 0; row < count; row += kMaxSimTileRows) {
    const size_t rows = std::min(kMaxSimTileRows, count - row);
    const size_t values = rows * dimension;
    const auto* const halves = static_cast<const hwy::float16_t*>(tokens) + row * dimension;
    const auto* const ahead =
        row + kMaxSimTileRows < count ? halves + kMaxSimTileRows * dimension : static_cast<const hwy::float16_t*>(next);
    size_t i = 0;
    for (; i + lanes <= values; i += lanes) {
      hwy::Prefetch(ahead + i);
      hn::StoreU(hn::PromoteTo(tag, hn::LoadU(half_tag, halves + i)), tag, scratch + i);
    }
    HalfToFloat(reinterpret_cast<const char*>(halves + i), values - i, scratch + i);
    RaiseAllMaxima(panel, columns, scratch, rows, scratch, dimension, maxima);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dpkde
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dpkde {

HWY_EXPORT(Float);
HWY_EXPORT(Half);

void FloatMaxima(const float* panel, size_t columns, const float* tokens, size_t count, const float* next,
                 size_t dimension, float* maxima) {
  HWY_DYNAMIC_DISPATCH(Float)(panel, columns, tokens, count, next, dimension, maxima);
}

void HalfMaxima(const float* panel, size_t columns, const void* tokens, size_t count, const void* next,
                size_t dimension, float* scratch, float* maxima) {
  HWY_DYNAMIC_DISPATCH(Half)(panel, columns, tokens, count, next, dimension, scratch, maxima);
}

}  // namespace dpkde
#endif  // HWY_ONCE
