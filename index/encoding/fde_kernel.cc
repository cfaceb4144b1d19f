#include "dpkde/index/encoding/fde_kernel.h"

#include <algorithm>

// Compiled once for each SIMD target; those below AVX2 have no fused multiply-add, which would change results, and are
// left out by HWY_BASELINE_TARGETS in the BUILD file.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/encoding/fde_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dpkde {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kTile = kFdeTileTokens;
constexpr size_t kPlanes = HyperplanePanels::kPanelPlanes;

// kPlanes x kTileVectors accumulators fill the registers: 24 of 32 with AVX-512, 12 of 16 with AVX2.
#if HWY_TARGET == HWY_AVX2
constexpr size_t kTileVectors = 2;
#else
constexpr size_t kTileVectors = 4;
#endif

using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::ScalableTag<int32_t>;
using FourTag = hn::FixedTag<float, 4>;
using PairTag = hn::FixedTag<double, 2>;
using FloatVector = hn::Vec<FloatTag>;

// At least `count` floats that begin with a cache line: vectors that lie across two take twice as long.
HWY_INLINE float* Aligned(std::vector<float>& storage, size_t count) {
  if (storage.size() < count + 16) storage.resize(count + 16);
  return storage.data() + (64 - reinterpret_cast<uintptr_t>(storage.data()) % 64) % 64 / sizeof(float);
}

// Transposes 4 x 4 values: to[j][0..3] = (from[0][j], ..., from[3][j]).
HWY_INLINE void TransposeFour(const float* const HWY_RESTRICT from[4], float* const HWY_RESTRICT to[4]) {
  const FourTag four;
  const PairTag pair;
  const auto a = hn::LoadU(four, from[0]), b = hn::LoadU(four, from[1]);
  const auto c = hn::LoadU(four, from[2]), e = hn::LoadU(four, from[3]);
  const auto ab_low = hn::BitCast(pair, hn::InterleaveLower(four, a, b));
  const auto ab_high = hn::BitCast(pair, hn::InterleaveUpper(four, a, b));
  const auto ce_low = hn::BitCast(pair, hn::InterleaveLower(four, c, e));
  const auto ce_high = hn::BitCast(pair, hn::InterleaveUpper(four, c, e));
  hn::StoreU(hn::BitCast(four, hn::InterleaveLower(pair, ab_low, ce_low)), four, to[0]);
  hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(pair, ab_low, ce_low)), four, to[1]);
  hn::StoreU(hn::BitCast(four, hn::InterleaveLower(pair, ab_high, ce_high)), four, to[2]);
  hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(pair, ab_high, ce_high)), four, to[3]);
}

// tile[i][t] of kTile tokens; those beyond the last repeat it.
HWY_INLINE void Transpose(MatrixView tokens, float* HWY_RESTRICT tile) {
  const size_t d = tokens.columns;
  for (size_t t = 0; t < kTile; t += 4) {
    const float* rows[4];
    for (size_t j = 0; j < 4; ++j) rows[j] = tokens.data + std::min(t + j, tokens.rows - 1) * d;
    size_t i = 0;
    for (; i + 4 <= d; i += 4) {
      const float* const from[4] = {rows[0] + i, rows[1] + i, rows[2] + i, rows[3] + i};
      float* const to = tile + i * kTile + t;
      float* const columns[4] = {to, to + kTile, to + 2 * kTile, to + 3 * kTile};
      TransposeFour(from, columns);
    }
    for (; i < d; ++i) {
      for (size_t j = 0; j < 4; ++j) tile[i * kTile + t + j] = rows[j][i];
    }
  }
}

// Sets the bits of the hyperplanes [begin, end), of which each repetition has `hyperplanes`: those of a token stand in
// codes[(plane - begin) / hyperplanes * stride + token].
HWY_INLINE void Codes(const HyperplanePanels& planes, const float* HWY_RESTRICT tile, size_t begin, size_t end,
                      size_t hyperplanes, size_t stride, uint32_t* HWY_RESTRICT codes) {
  const FloatTag tag;
  const IntTag int_tag;
  const size_t lanes = hn::Lanes(tag);
  const size_t d = planes.dimension;
  for (size_t panel = begin / kPlanes; panel * kPlanes < end; ++panel) {
    const float* HWY_RESTRICT values = planes.panels.data() + panel * kPlanes * d;
    for (size_t column = 0; column < kTile; column += kTileVectors * lanes) {
      FloatVector sum[kPlanes][kTileVectors];
      for (size_t p = 0; p < kPlanes; ++p) {
        for (size_t v = 0; v < kTileVectors; ++v) sum[p][v] = hn::Zero(tag);
      }
      for (size_t i = 0; i < d; ++i) {
        FloatVector x[kTileVectors];
        for (size_t v = 0; v < kTileVectors; ++v) x[v] = hn::Load(tag, tile + i * kTile + column + v * lanes);
        for (size_t p = 0; p < kPlanes; ++p) {
          const FloatVector normal = hn::Set(tag, values[i * kPlanes + p]);
          for (size_t v = 0; v < kTileVectors; ++v) sum[p][v] = hn::MulAdd(normal, x[v], sum[p][v]);
        }
      }
      for (size_t p = 0; p < kPlanes; ++p) {
        const size_t plane = panel * kPlanes + p;
        if (plane < begin || plane >= end) continue;
        const FloatVector threshold = hn::Set(tag, planes.thresholds[plane]);
        const auto bit = hn::Set(int_tag, int32_t{1} << (plane - begin) % hyperplanes);
        int32_t* HWY_RESTRICT row = reinterpret_cast<int32_t*>(codes) + (plane - begin) / hyperplanes * stride + column;
        for (size_t v = 0; v < kTileVectors; ++v) {
          const auto above = hn::RebindMask(int_tag, hn::Gt(sum[p][v], threshold));
          const auto code = hn::LoadU(int_tag, row + v * lanes);
          hn::StoreU(hn::Or(code, hn::IfThenElseZero(above, bit)), int_tag, row + v * lanes);
        }
      }
    }
  }
}

// buckets[b][t] of one repetition.
HWY_INLINE void Fold(const FoldTables& folds, size_t repetition, const float* HWY_RESTRICT tile,
                     float* HWY_RESTRICT buckets) {
  const FloatTag tag;
  const size_t lanes = hn::Lanes(tag);
  const FoldTables::Entry* HWY_RESTRICT entries = folds.entries.data() + repetition * folds.dimension;
  const uint32_t* HWY_RESTRICT ends = folds.bucket_end.data() + repetition * folds.buckets;
  for (size_t column = 0; column < kTile; column += 4 * lanes) {
    size_t e = 0;
    for (size_t b = 0; b < folds.buckets; ++b) {
      FloatVector sum0 = hn::Zero(tag), sum1 = sum0, sum2 = sum0, sum3 = sum0;
      for (; e < ends[b]; ++e) {
        // A product with 1 or -1 is exact, so this is an addition or a subtraction.
        const FloatVector sign = hn::Set(tag, entries[e].sign);
        const float* HWY_RESTRICT x = tile + entries[e].coordinate * kTile + column;
        sum0 = hn::MulAdd(sign, hn::LoadU(tag, x), sum0);
        sum1 = hn::MulAdd(sign, hn::LoadU(tag, x + lanes), sum1);
        sum2 = hn::MulAdd(sign, hn::LoadU(tag, x + 2 * lanes), sum2);
        sum3 = hn::MulAdd(sign, hn::LoadU(tag, x + 3 * lanes), sum3);
      }
      float* HWY_RESTRICT to = buckets + b * kTile + column;
      hn::StoreU(sum0, tag, to);
      hn::StoreU(sum1, tag, to + lanes);
      hn::StoreU(sum2, tag, to + 2 * lanes);
      hn::StoreU(sum3, tag, to + 3 * lanes);
    }
  }
}

// Two steps of the transform at a time, so that values go half as often through memory; the sums are those of single
// steps.
HWY_INLINE void Hadamard(size_t count, float* HWY_RESTRICT buckets) {
  const FloatTag tag;
  const size_t lanes = hn::Lanes(tag);
  size_t half = 1;
  for (; 4 * half <= count; half *= 4) {
    for (size_t first = 0; first < count; first += 4 * half) {
      for (size_t b = first; b < first + half; ++b) {
        float* HWY_RESTRICT row0 = buckets + b * kTile;
        float* HWY_RESTRICT row1 = row0 + half * kTile;
        float* HWY_RESTRICT row2 = row1 + half * kTile;
        float* HWY_RESTRICT row3 = row2 + half * kTile;
        for (size_t t = 0; t < kTile; t += lanes) {
          const FloatVector x0 = hn::LoadU(tag, row0 + t), x1 = hn::LoadU(tag, row1 + t);
          const FloatVector x2 = hn::LoadU(tag, row2 + t), x3 = hn::LoadU(tag, row3 + t);
          const FloatVector sum01 = hn::Add(x0, x1), difference01 = hn::Sub(x0, x1);
          const FloatVector sum23 = hn::Add(x2, x3), difference23 = hn::Sub(x2, x3);
          hn::StoreU(hn::Add(sum01, sum23), tag, row0 + t);
          hn::StoreU(hn::Add(difference01, difference23), tag, row1 + t);
          hn::StoreU(hn::Sub(sum01, sum23), tag, row2 + t);
          hn::StoreU(hn::Sub(difference01, difference23), tag, row3 + t);
        }
      }
    }
  }
  if (half == count) return;
  for (size_t b = 0; b < half; ++b) {
    float* HWY_RESTRICT low = buckets + b * kTile;
    float* HWY_RESTRICT high = low + half * kTile;
    for (size_t t = 0; t < kTile; t += lanes) {
      const FloatVector x = hn::LoadU(tag, low + t), y = hn::LoadU(tag, high + t);
      hn::StoreU(hn::Add(x, y), tag, low + t);
      hn::StoreU(hn::Sub(x, y), tag, high + t);
    }
  }
}

void Project(const HyperplanePanels& planes, const FoldTables& folds, MatrixView tokens, size_t begin, size_t end,
             size_t hyperplanes, FdeKernelScratch& scratch, uint32_t* HWY_RESTRICT codes,
             float* HWY_RESTRICT projected) {
  const size_t stride = PaddedTokens(tokens.rows);
  const size_t width = BlockStride(folds.projected);
  float* const tile = Aligned(scratch.tile, folds.dimension * kTile);
  float* const buckets = Aligned(scratch.buckets, (folds.buckets + 1) * kTile);
  float* const zeros = buckets + folds.buckets * kTile;
  std::fill(zeros, zeros + kTile, 0.0f);
  std::fill(codes, codes + (end - begin) * stride, 0);
  for (size_t first = 0; first < tokens.rows; first += kTile) {
    Transpose(tokens.Slice(first, std::min(first + kTile, tokens.rows)), tile);
    if (hyperplanes > 0) {
      Codes(planes, tile, begin * hyperplanes, end * hyperplanes, hyperplanes, stride, codes + first);
    }
    for (size_t r = begin; r < end; ++r) {
      Fold(folds, r, tile, buckets);
      if (folds.hadamard) Hadamard(folds.buckets, buckets);
      const uint32_t* HWY_RESTRICT kept = folds.kept.data() + r * folds.projected;
      float* HWY_RESTRICT to = projected + ((r - begin) * stride + first) * width;
      for (size_t j = 0; j < width; j += 4) {
        const float* rows[4];
        for (size_t i = 0; i < 4; ++i) rows[i] = j + i < folds.projected ? buckets + kept[j + i] * kTile : zeros;
        for (size_t t = 0; t < kTile; t += 4) {
          const float* const from[4] = {rows[0] + t, rows[1] + t, rows[2] + t, rows[3] + t};
          float* const token = to + t * width + j;
          float* const places[4] = {token, token + width, token + 2 * width, token + 3 * width};
          TransposeFour(from, places);
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dpkde
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dpkde {

HWY_EXPORT(Project);

HyperplanePanels MakeHyperplanePanels(absl::Span<const float> planes, absl::Span<const float> thresholds,
                                      size_t dimension) {
  constexpr size_t kPlanes = HyperplanePanels::kPanelPlanes;
  HyperplanePanels made;
  made.dimension = dimension;
  made.planes = thresholds.size();
  const size_t panels = (made.planes + kPlanes - 1) / kPlanes;
  made.panels.resize(panels * kPlanes * dimension);
  made.thresholds.assign(thresholds.begin(), thresholds.end());
  made.thresholds.resize(panels * kPlanes);
  for (size_t h = 0; h < made.planes; ++h) {
    for (size_t i = 0; i < dimension; ++i) {
      made.panels[(h / kPlanes * dimension + i) * kPlanes + h % kPlanes] = planes[h * dimension + i];
    }
  }
  return made;
}

void ProjectTokens(const HyperplanePanels& planes, const FoldTables& folds, MatrixView tokens, size_t begin, size_t end,
                   size_t hyperplanes, FdeKernelScratch& scratch, uint32_t* codes, float* projected) {
  if (tokens.rows == 0) return;
  HWY_DYNAMIC_DISPATCH(Project)(planes, folds, tokens, begin, end, hyperplanes, scratch, codes, projected);
}

}  // namespace dpkde
#endif  // HWY_ONCE
