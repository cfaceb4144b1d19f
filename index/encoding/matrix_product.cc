#include "dpkde/index/encoding/matrix_product.h"

#include <algorithm>

// Compiled once for each SIMD target; those below AVX2 have no fused multiply-add, which would change results, and are
// left out by HWY_BASELINE_TARGETS in the BUILD file.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/encoding/matrix_product.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dpkde {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kPanelRows = PackedMatrix::kPanelRows;

// Vectors that are multiplied together, and columns of them that stay in the cache meanwhile.
constexpr size_t kTile = 64;
constexpr size_t kColumns = 256;

// kPanelRows x kWide accumulators fill the registers: 24 of 32 with AVX-512, 12 of 16 with AVX2.
#if HWY_TARGET == HWY_AVX2
constexpr size_t kWide = 2;
#else
constexpr size_t kWide = 4;
#endif

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;

// sums[p][t] += <panel row p, vector t> over `columns` columns, for kVectors registers of vectors. `tile` is columns x
// kTile; sums are kPanelRows x kTile.
template <size_t kVectors>
HWY_INLINE void AddPanel(const float* HWY_RESTRICT panel, const float* HWY_RESTRICT tile, size_t columns,
                         float* HWY_RESTRICT sums) {
  const FloatTag tag;
  const size_t lanes = hn::Lanes(tag);
  FloatVector sum[kPanelRows][kVectors];
  for (size_t p = 0; p < kPanelRows; ++p) {
    for (size_t v = 0; v < kVectors; ++v) sum[p][v] = hn::Load(tag, sums + p * kTile + v * lanes);
  }
  for (size_t k = 0; k < columns; ++k) {
    FloatVector x[kVectors];
    for (size_t v = 0; v < kVectors; ++v) x[v] = hn::Load(tag, tile + k * kTile + v * lanes);
    for (size_t p = 0; p < kPanelRows; ++p) {
      const FloatVector m = hn::Set(tag, panel[k * kPanelRows + p]);
      for (size_t v = 0; v < kVectors; ++v) sum[p][v] = hn::MulAdd(m, x[v], sum[p][v]);
    }
  }
  for (size_t p = 0; p < kPanelRows; ++p) {
    for (size_t v = 0; v < kVectors; ++v) hn::Store(sum[p][v], tag, sums + p * kTile + v * lanes);
  }
}

// Up to kTile vectors with the panels [begin, end). Scratch: aligned, kColumns x kTile and (end - begin) x kPanelRows x
// kTile values.
void MultiplyTile(MatrixView vectors, const PackedMatrix& matrix, size_t begin, size_t end, float* HWY_RESTRICT tile,
                  float* HWY_RESTRICT sums, float* HWY_RESTRICT out) {
  const FloatTag tag;
  const size_t lanes = hn::Lanes(tag);
  const size_t count = vectors.rows;
  std::fill(sums, sums + (end - begin) * kPanelRows * kTile, 0.0f);
  for (size_t first = 0; first < vectors.columns; first += kColumns) {
    const size_t columns = std::min(kColumns, vectors.columns - first);
    for (size_t t = 0; t < kTile; ++t) {
      const float* HWY_RESTRICT row = vectors.data + std::min(t, count - 1) * vectors.columns + first;
      for (size_t k = 0; k < columns; ++k) tile[k * kTile + t] = row[k];
    }
    for (size_t panel = begin; panel < end; ++panel) {
      const float* HWY_RESTRICT values = matrix.panel(panel) + first * kPanelRows;
      float* HWY_RESTRICT panel_sums = sums + (panel - begin) * kPanelRows * kTile;
      // No wider than there are vectors, so that a single one does not cost what a tile costs.
      if (count <= lanes) {
        AddPanel<1>(values, tile, columns, panel_sums);
        continue;
      }
      for (size_t t = 0; t < count; t += kWide * lanes) AddPanel<kWide>(values, tile + t, columns, panel_sums + t);
    }
  }
  const size_t row_begin = begin * kPanelRows, row_end = std::min(end * kPanelRows, matrix.rows());
  for (size_t t = 0; t < count; ++t) {
    float* HWY_RESTRICT to = out + t * matrix.rows();
    for (size_t j = row_begin; j < row_end; ++j) to[j] = sums[(j - row_begin) * kTile + t];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dpkde
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dpkde {

HWY_EXPORT(MultiplyTile);

PackedMatrix::PackedMatrix(MatrixView matrix) : rows_(matrix.rows), columns_(matrix.columns) {
  values_.resize(panels() * kPanelRows * columns_);
  for (size_t j = 0; j < rows_; ++j) {
    float* to = values_.data() + j / kPanelRows * kPanelRows * columns_ + j % kPanelRows;
    for (size_t k = 0; k < columns_; ++k) to[k * kPanelRows] = matrix.data[j * columns_ + k];
  }
}

void MatrixProduct(MatrixView vectors, const PackedMatrix& matrix, ThreadPool& pool, float* out) {
  constexpr size_t kTile = 64, kColumns = 256;
  // Panels that a task takes: their sums (768 KiB) stay in the second-level cache.
  constexpr size_t kTaskPanels = 512;
  const size_t tiles = (vectors.rows + kTile - 1) / kTile;
  const size_t groups = (matrix.panels() + kTaskPanels - 1) / kTaskPanels;
  struct Scratch {
    std::vector<float> values;
  };
  std::vector<Scratch> scratch(pool.threads());
  const size_t sums_size = std::min(kTaskPanels, matrix.panels()) * PackedMatrix::kPanelRows * kTile;
  pool.ParallelFor(tiles * groups, 1, [&](size_t task, size_t, int worker) {
    std::vector<float>& values = scratch[worker].values;
    values.resize(kColumns * kTile + sums_size + 16);
    float* const tile = values.data() + (64 - reinterpret_cast<uintptr_t>(values.data()) % 64) % 64 / sizeof(float);
    const size_t row = task / groups * kTile;
    const size_t panel = task % groups * kTaskPanels;
    HWY_DYNAMIC_DISPATCH(MultiplyTile)
    (vectors.Slice(row, std::min(row + kTile, vectors.rows)), matrix, panel,
     std::min(panel + kTaskPanels, matrix.panels()), tile, tile + kColumns * kTile, out + row * matrix.rows());
  });
}

}  // namespace dpkde
#endif  // HWY_ONCE
