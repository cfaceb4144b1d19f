#include "dpkde/designs/fourier_kernel.h"

#include <algorithm>

// Compiled once for each SIMD target. The targets below AVX2 have no fused multiply-add, which would change results,
// and are left out by HWY_BASELINE_TARGETS in the BUILD file: AVX2 is what -march=x86-64-v3 promises.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dpkde/designs/fourier_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dpkde {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kColumns = FrequencyPanels::kPanelColumns;

// Rows whose phases are computed together: their tile of phases (12 KiB) stays in the first-level cache.
constexpr size_t kBlockRows = 48;

// A tile of kTileRows x kTileVectors accumulators fills the registers: 24 of 32 with AVX-512, 12 of 16 with AVX2.
constexpr size_t kTileRows = 6;
#if HWY_TARGET == HWY_AVX2
constexpr size_t kTileVectors = 2;
#else
constexpr size_t kTileVectors = 4;
#endif

using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::ScalableTag<int32_t>;
using DoubleTag = hn::ScalableTag<double>;
using HalfFloatTag = hn::Rebind<float, DoubleTag>;
using FloatVector = hn::Vec<FloatTag>;
using DoubleVector = hn::Vec<DoubleTag>;

// Whole turns dropped: [-1/2, 1/2].
HWY_INLINE FloatVector DropTurns(FloatVector phase) { return hn::Sub(phase, hn::Round(phase)); }

// phases[r][j] of kTileRows rows against one narrow panel; rows of `phases` are `stride` apart. kDrop: whole turns
// dropped.
template <bool kDrop>
HWY_INLINE void NarrowTile(const float* HWY_RESTRICT panel, const float* const* HWY_RESTRICT rows, size_t dimension,
                           float* HWY_RESTRICT phases, size_t stride, size_t rows_to_store) {
  const FloatTag tag;
  const size_t lanes = hn::Lanes(tag);
  for (size_t column = 0; column < kColumns; column += kTileVectors * lanes) {
    FloatVector sum[kTileRows][kTileVectors];
    for (size_t r = 0; r < kTileRows; ++r) {
      for (size_t v = 0; v < kTileVectors; ++v) sum[r][v] = hn::Zero(tag);
    }
    for (size_t i = 0; i < dimension; ++i) {
      FloatVector frequency[kTileVectors];
      for (size_t v = 0; v < kTileVectors; ++v) {
        frequency[v] = hn::LoadU(tag, panel + i * kColumns + column + v * lanes);
      }
      for (size_t r = 0; r < kTileRows; ++r) {
        const FloatVector x = hn::Set(tag, rows[r][i]);
        for (size_t v = 0; v < kTileVectors; ++v) sum[r][v] = hn::MulAdd(x, frequency[v], sum[r][v]);
      }
    }
    for (size_t r = 0; r < rows_to_store; ++r) {
      for (size_t v = 0; v < kTileVectors; ++v) {
        hn::StoreU(kDrop ? DropTurns(sum[r][v]) : sum[r][v], tag, phases + r * stride + column + v * lanes);
      }
    }
  }
}

// The same in double precision; only the remainder of whole turns is rounded to float32.
HWY_INLINE void WideTile(const double* HWY_RESTRICT panel, const float* const* HWY_RESTRICT rows, size_t dimension,
                         float* HWY_RESTRICT phases) {
  const DoubleTag tag;
  const HalfFloatTag half;
  const size_t lanes = hn::Lanes(tag);
  for (size_t r = 0; r < kTileRows; ++r) {
    for (size_t column = 0; column < kColumns; column += lanes) {
      DoubleVector sum = hn::Zero(tag);
      for (size_t i = 0; i < dimension; ++i) {
        sum = hn::MulAdd(hn::Set(tag, static_cast<double>(rows[r][i])), hn::LoadU(tag, panel + i * kColumns + column),
                         sum);
      }
      const DoubleVector reduced = hn::Sub(sum, hn::Round(sum));
      hn::StoreU(hn::DemoteTo(half, reduced), half, phases + r * kColumns + column);
    }
  }
}

// Sine and cosine of 2 pi t for t in [-1/2, 1/2]. Half turns are dropped exactly and become the sign; on the quarter
// turn that is left, minimax polynomials in t^2 (absolute error below 2e-7, float32 rounding included). Highway's Sin
// and Cos, which reduce radians and do so twice, make AccumulateFourier take 1.7 times as long in 2 dimensions, 1.3 in
// 64 (measured).
HWY_INLINE void SinCosTurns(FloatVector t, FloatVector& sine, FloatVector& cosine) {
  const FloatTag tag;
  const IntTag int_tag;
  const FloatVector half_turns = hn::Round(hn::Add(t, t));
  const FloatVector r = hn::NegMulAdd(half_turns, hn::Set(tag, 0.5f), t);
  const FloatVector z = hn::Mul(r, r);
  FloatVector p = hn::Set(tag, 39.574345f);
  p = hn::MulAdd(p, z, hn::Set(tag, -76.55540f));
  p = hn::MulAdd(p, z, hn::Set(tag, 81.60129f));
  p = hn::MulAdd(p, z, hn::Set(tag, -41.34166f));
  p = hn::MulAdd(p, z, hn::Set(tag, 6.283185f));
  FloatVector q = hn::Set(tag, -24.982237f);
  q = hn::MulAdd(q, z, hn::Set(tag, 60.144016f));
  q = hn::MulAdd(q, z, hn::Set(tag, -85.453575f));
  q = hn::MulAdd(q, z, hn::Set(tag, 64.93935f));
  q = hn::MulAdd(q, z, hn::Set(tag, -19.739208f));
  q = hn::MulAdd(q, z, hn::Set(tag, 1.0f));
  const auto sign = hn::BitCast(tag, hn::ShiftLeft<31>(hn::ConvertTo(int_tag, half_turns)));
  sine = hn::Xor(hn::Mul(p, r), sign);
  cosine = hn::Xor(q, sign);
}

// Phases of `count` <= kBlockRows rows against panel `index`, whole turns dropped. Rows beyond the last of a tile
// repeat it and are not read by the callers.
HWY_INLINE void BlockPhases(const FrequencyPanels& panels, size_t index, MatrixView rows, float* HWY_RESTRICT phases) {
  const size_t dimension = panels.dimension;
  for (size_t begin = 0; begin < rows.rows; begin += kTileRows) {
    const float* tile_rows[kTileRows];
    for (size_t r = 0; r < kTileRows; ++r) {
      tile_rows[r] = rows.data + std::min(begin + r, rows.rows - 1) * dimension;
    }
    if (index < panels.narrow_panels) {
      NarrowTile<true>(panels.narrow.data() + index * dimension * kColumns, tile_rows, dimension,
                       phases + begin * kColumns, kColumns, kTileRows);
    } else {
      WideTile(panels.wide.data() + (index - panels.narrow_panels) * dimension * kColumns, tile_rows, dimension,
               phases + begin * kColumns);
    }
  }
}

// Adds int32 sums to int64 ones.
HWY_INLINE void AddTo(hn::Vec<IntTag> sums, int64_t* HWY_RESTRICT to) {
  const IntTag tag;
  HWY_ALIGN int32_t lanes[hn::MaxLanes(IntTag())];
  hn::Store(sums, tag, lanes);
  for (size_t i = 0; i < hn::Lanes(tag); ++i) to[i] += lanes[i];
}

// Adds the pairs of `factor` times the phases of `rows` <= kBlockRows rows, `stride` apart, in columns 0 .. columns -
// 1, a multiple of the lanes.
template <bool kDrop>
HWY_INLINE void AddPairs(const float* HWY_RESTRICT phases, size_t rows, size_t stride, size_t columns, float factor,
                         int64_t* HWY_RESTRICT cos_sums, int64_t* HWY_RESTRICT sin_sums) {
  const FloatTag tag;
  const IntTag int_tag;
  const size_t lanes = hn::Lanes(tag);
  const FloatVector scale = hn::Set(tag, factor);
  const FloatVector unit = hn::Set(tag, static_cast<float>(kFourierGridUnit));
  // The check of the norm, exact though in float32: a and b are integers below 2^24, so only a^2 + b^2 is rounded, by a
  // relative 2^-23 at most. A computed value of at most (2^20 + 1)^2 therefore means a^2 + b^2 <= (2^20 + 2)^2. An
  // honest pair is below (2^20 (1 + 2e-7) + 0.71)^2 and always passes. NaN fails.
  const FloatVector limit = hn::Set(tag, static_cast<float>((kFourierGridUnit + 1.0) * (kFourierGridUnit + 1.0)));
  for (size_t column = 0; column < columns; column += lanes) {
    // At most kBlockRows * 2^20 < 2^31.
    auto cos_sum = hn::Zero(int_tag);
    auto sin_sum = hn::Zero(int_tag);
    for (size_t r = 0; r < rows; ++r) {
      FloatVector sine, cosine;
      const FloatVector phase = hn::LoadU(tag, phases + r * stride + column);
      SinCosTurns(kDrop ? DropTurns(hn::Mul(phase, scale)) : phase, sine, cosine);
      const FloatVector a = hn::Round(hn::Mul(cosine, unit));
      const FloatVector b = hn::Round(hn::Mul(sine, unit));
      const auto fits = hn::Le(hn::MulAdd(a, a, hn::Mul(b, b)), limit);
      cos_sum = hn::Add(cos_sum, hn::ConvertTo(int_tag, hn::IfThenElseZero(fits, a)));
      sin_sum = hn::Add(sin_sum, hn::ConvertTo(int_tag, hn::IfThenElseZero(fits, b)));
    }
    AddTo(cos_sum, cos_sums + column);
    AddTo(sin_sum, sin_sums + column);
  }
}

// What EvaluateFourier adds for one row: over `columns` columns, a multiple of the lanes.
template <bool kDrop>
HWY_INLINE void AddWeighted(const float* HWY_RESTRICT phases, size_t columns, float factor,
                            const double* HWY_RESTRICT cos_weights, const double* HWY_RESTRICT sin_weights, double& sum,
                            double& square_sum) {
  const FloatTag tag;
  const DoubleTag double_tag;
  const HalfFloatTag half_tag;
  const size_t lanes = hn::Lanes(tag);
  const size_t half = hn::Lanes(double_tag);
  const FloatVector scale = hn::Set(tag, factor);
  DoubleVector total = hn::Zero(double_tag);
  DoubleVector squares = hn::Zero(double_tag);
  for (size_t column = 0; column < columns; column += lanes) {
    FloatVector sine, cosine;
    const FloatVector phase = hn::LoadU(tag, phases + column);
    SinCosTurns(kDrop ? DropTurns(hn::Mul(phase, scale)) : phase, sine, cosine);
    const double* HWY_RESTRICT cos_weight = cos_weights + column;
    const double* HWY_RESTRICT sin_weight = sin_weights + column;
    const DoubleVector low =
        hn::MulAdd(hn::PromoteTo(double_tag, hn::LowerHalf(cosine)), hn::LoadU(double_tag, cos_weight),
                   hn::Mul(hn::PromoteTo(double_tag, hn::LowerHalf(sine)), hn::LoadU(double_tag, sin_weight)));
    const DoubleVector high = hn::MulAdd(
        hn::PromoteTo(double_tag, hn::UpperHalf(half_tag, cosine)), hn::LoadU(double_tag, cos_weight + half),
        hn::Mul(hn::PromoteTo(double_tag, hn::UpperHalf(half_tag, sine)), hn::LoadU(double_tag, sin_weight + half)));
    total = hn::Add(total, hn::Add(low, high));
    squares = hn::MulAdd(low, low, hn::MulAdd(high, high, squares));
  }
  sum += hn::GetLane(hn::SumOfLanes(double_tag, total));
  square_sum += hn::GetLane(hn::SumOfLanes(double_tag, squares));
}

void Accumulate(const FrequencyPanels& panels, MatrixView rows, int64_t* HWY_RESTRICT cos_sums,
                int64_t* HWY_RESTRICT sin_sums) {
  HWY_ALIGN float phases[(kBlockRows + kTileRows) * kColumns];
  const size_t count = panels.narrow_panels + panels.wide_panels;
  for (size_t begin = 0; begin < rows.rows; begin += kBlockRows) {
    const MatrixView block = rows.Slice(begin, std::min(begin + kBlockRows, rows.rows));
    for (size_t index = 0; index < count; ++index) {
      BlockPhases(panels, index, block, phases);
      AddPairs<false>(phases, block.rows, kColumns, kColumns, 1, cos_sums + index * kColumns,
                      sin_sums + index * kColumns);
    }
  }
}

void Evaluate(const FrequencyPanels& panels, MatrixView queries, const double* HWY_RESTRICT cos_weights,
              const double* HWY_RESTRICT sin_weights, double* HWY_RESTRICT sums, double* HWY_RESTRICT square_sums) {
  HWY_ALIGN float phases[(kBlockRows + kTileRows) * kColumns];
  const size_t count = panels.narrow_panels + panels.wide_panels;
  for (size_t begin = 0; begin < queries.rows; begin += kBlockRows) {
    const MatrixView block = queries.Slice(begin, std::min(begin + kBlockRows, queries.rows));
    double block_sums[kBlockRows] = {};
    double block_squares[kBlockRows] = {};
    for (size_t index = 0; index < count; ++index) {
      BlockPhases(panels, index, block, phases);
      for (size_t r = 0; r < block.rows; ++r) {
        AddWeighted<false>(phases + r * kColumns, kColumns, 1, cos_weights + index * kColumns,
                           sin_weights + index * kColumns, block_sums[r], block_squares[r]);
      }
    }
    std::copy(block_sums, block_sums + block.rows, sums + begin);
    if (square_sums != nullptr) std::copy(block_squares, block_squares + block.rows, square_sums + begin);
  }
}

void AddPhases(MatrixView phases, float factor, int64_t* HWY_RESTRICT cos_sums, int64_t* HWY_RESTRICT sin_sums) {
  for (size_t begin = 0; begin < phases.rows; begin += kBlockRows) {
    const MatrixView block = phases.Slice(begin, std::min(begin + kBlockRows, phases.rows));
    AddPairs<true>(block.data, block.rows, block.columns, block.columns, factor, cos_sums, sin_sums);
  }
}

void WeighPhases(MatrixView phases, float factor, const double* HWY_RESTRICT cos_weights,
                 const double* HWY_RESTRICT sin_weights, double* HWY_RESTRICT sums, double* HWY_RESTRICT square_sums) {
  for (size_t r = 0; r < phases.rows; ++r) {
    AddWeighted<true>(phases.row(r).data(), phases.columns, factor, cos_weights, sin_weights, sums[r], square_sums[r]);
  }
}

void Products(const FrequencyPanels& panels, MatrixView rows, float* HWY_RESTRICT out) {
  const size_t dimension = panels.dimension, stride = panels.padded();
  for (size_t begin = 0; begin < rows.rows; begin += kTileRows) {
    const float* tile_rows[kTileRows];
    for (size_t r = 0; r < kTileRows; ++r) {
      tile_rows[r] = rows.data + std::min(begin + r, rows.rows - 1) * dimension;
    }
    for (size_t index = 0; index < panels.narrow_panels; ++index) {
      NarrowTile<false>(panels.narrow.data() + index * dimension * kColumns, tile_rows, dimension,
                        out + begin * stride + index * kColumns, stride, std::min(kTileRows, rows.rows - begin));
    }
  }
}

void Phases(const FrequencyPanels& panels, size_t narrow_panel, MatrixView rows, float* HWY_RESTRICT out) {
  HWY_ALIGN float phases[(kBlockRows + kTileRows) * kColumns];
  for (size_t begin = 0; begin < rows.rows; begin += kBlockRows) {
    const MatrixView block = rows.Slice(begin, std::min(begin + kBlockRows, rows.rows));
    BlockPhases(panels, narrow_panel, block, phases);
    std::copy(phases, phases + block.rows * kColumns, out + begin * kColumns);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dpkde
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dpkde {

HWY_EXPORT(Accumulate);
HWY_EXPORT(Evaluate);
HWY_EXPORT(Phases);
HWY_EXPORT(AddPhases);
HWY_EXPORT(WeighPhases);
HWY_EXPORT(Products);

FrequencyPanels MakeFrequencyPanels(absl::Span<const float> turns, size_t dimension, const std::vector<bool>& wide) {
  constexpr size_t kColumns = FrequencyPanels::kPanelColumns;
  FrequencyPanels panels;
  panels.dimension = dimension;
  panels.frequencies = wide.size();
  const size_t wide_count = std::count(wide.begin(), wide.end(), true);
  panels.narrow_panels = (wide.size() - wide_count + kColumns - 1) / kColumns;
  panels.wide_panels = (wide_count + kColumns - 1) / kColumns;
  panels.narrow.resize(panels.narrow_panels * kColumns * dimension);
  panels.wide.resize(panels.wide_panels * kColumns * dimension);
  panels.column_of.resize(wide.size());
  size_t next[2] = {0, 0};  // narrow, wide
  for (size_t k = 0; k < wide.size(); ++k) {
    const size_t column = next[wide[k]]++;
    const size_t first = column / kColumns * kColumns * dimension + column % kColumns;
    for (size_t i = 0; i < dimension; ++i) {
      const float value = turns[k * dimension + i];
      if (wide[k]) {
        panels.wide[first + i * kColumns] = value;
      } else {
        panels.narrow[first + i * kColumns] = value;
      }
    }
    panels.column_of[k] = column + (wide[k] ? panels.narrow_panels * kColumns : 0);
  }
  return panels;
}

void AccumulateFourier(const FrequencyPanels& panels, MatrixView rows, int64_t* cos_sums, int64_t* sin_sums) {
  HWY_DYNAMIC_DISPATCH(Accumulate)(panels, rows, cos_sums, sin_sums);
}

void EvaluateFourier(const FrequencyPanels& panels, MatrixView queries, const double* cos_weights,
                     const double* sin_weights, double* sums, double* square_sums) {
  HWY_DYNAMIC_DISPATCH(Evaluate)(panels, queries, cos_weights, sin_weights, sums, square_sums);
}

void AccumulatePhases(MatrixView phases, float factor, int64_t* cos_sums, int64_t* sin_sums) {
  HWY_DYNAMIC_DISPATCH(AddPhases)(phases, factor, cos_sums, sin_sums);
}

void EvaluatePhases(MatrixView phases, float factor, const double* cos_weights, const double* sin_weights, double* sums,
                    double* square_sums) {
  HWY_DYNAMIC_DISPATCH(WeighPhases)(phases, factor, cos_weights, sin_weights, sums, square_sums);
}

void FixedOrderProducts(const FrequencyPanels& panels, MatrixView rows, float* out) {
  HWY_DYNAMIC_DISPATCH(Products)(panels, rows, out);
}

void FourierPhases(const FrequencyPanels& panels, size_t narrow_panel, MatrixView rows, float* out) {
  HWY_DYNAMIC_DISPATCH(Phases)(panels, narrow_panel, rows, out);
}

}  // namespace dpkde
#endif  // HWY_ONCE
