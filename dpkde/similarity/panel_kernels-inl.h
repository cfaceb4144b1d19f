// Similarities of many rows with panels of points, inside one SIMD target: included by files that foreach_target.h
// compiles once for each, after it.
//
// A panel is kColumns points, coordinate-major, padded. Purity: every value depends on its row, its point and the
// parameters alone, not on what stands beside them or on the target: one accumulator a value, coordinates ascending,
// and the same element-wise functions in every lane.

#if defined(DPKDE_SIMILARITY_PANEL_KERNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DPKDE_SIMILARITY_PANEL_KERNELS_INL_H_
#undef DPKDE_SIMILARITY_PANEL_KERNELS_INL_H_
#else
#define DPKDE_SIMILARITY_PANEL_KERNELS_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "dpkde/proto/density.pb.h"

HWY_BEFORE_NAMESPACE();
namespace dpkde {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Spec = proto::SimilaritySpec;

// Points of a panel.
constexpr size_t kColumns = 64;

// Tiles of kTileRows x kTileVectors accumulators fill the registers: 24 of 32 with AVX-512, 12 of 16 with AVX2.
constexpr size_t kTileRows = 6;
#if HWY_TARGET == HWY_AVX2
constexpr size_t kTileVectors = 2;
#else
constexpr size_t kTileVectors = 4;
#endif

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;

// How a coordinate enters the accumulator.
struct Product {
  HWY_INLINE Vector Start() const { return hn::Zero(Tag()); }
  HWY_INLINE Vector Step(Vector sum, Vector x, Vector z) const { return hn::MulAdd(x, z, sum); }
};
struct SquaredDifference {
  HWY_INLINE Vector Start() const { return hn::Zero(Tag()); }
  HWY_INLINE Vector Step(Vector sum, Vector x, Vector z) const {
    const Vector t = hn::Sub(x, z);
    return hn::MulAdd(t, t, sum);
  }
};
struct Absolute {
  HWY_INLINE Vector Start() const { return hn::Zero(Tag()); }
  HWY_INLINE Vector Step(Vector sum, Vector x, Vector z) const { return hn::Add(sum, hn::Abs(hn::Sub(x, z))); }
};
struct Power {
  float p;
  HWY_INLINE Vector Start() const { return hn::Zero(Tag()); }
  HWY_INLINE Vector Step(Vector sum, Vector x, Vector z) const {
    const Tag tag;
    const Vector t = hn::Abs(hn::Sub(x, z));
    const Vector power = hn::Exp(tag, hn::Mul(hn::Set(tag, p), hn::Log(tag, t)));
    return hn::Add(sum, hn::IfThenElseZero(hn::Gt(t, hn::Set(tag, 1e-37f)), power));
  }
};
struct InverseCauchy {
  float inverse_square;  // 1 / h^2
  HWY_INLINE Vector Start() const { return hn::Set(Tag(), 1.0f); }
  HWY_INLINE Vector Step(Vector product, Vector x, Vector z) const {
    const Tag tag;
    const Vector t = hn::Sub(x, z);
    return hn::Mul(product, hn::MulAdd(hn::Mul(t, t), hn::Set(tag, inverse_square), hn::Set(tag, 1.0f)));
  }
};

// out[r * out_stride + column]: `op` over `length` coordinates of each of kRows rows and of one panel.
template <size_t kRows, typename Op>
HWY_INLINE void PanelTile(const Op& op, const float* HWY_RESTRICT panel, const float* const* HWY_RESTRICT rows,
                          size_t used, size_t length, float* HWY_RESTRICT out, size_t out_stride) {
  const Tag tag;
  const size_t lanes = hn::Lanes(tag);
  for (size_t column = 0; column < kColumns; column += kTileVectors * lanes) {
    Vector sum[kRows][kTileVectors];
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t v = 0; v < kTileVectors; ++v) sum[r][v] = op.Start();
    }
    for (size_t i = 0; i < length; ++i) {
      Vector z[kTileVectors];
      for (size_t v = 0; v < kTileVectors; ++v) z[v] = hn::LoadU(tag, panel + i * kColumns + column + v * lanes);
      for (size_t r = 0; r < kRows; ++r) {
        const Vector x = hn::Set(tag, rows[r][i]);
        for (size_t v = 0; v < kTileVectors; ++v) sum[r][v] = op.Step(sum[r][v], x, z[v]);
      }
    }
    for (size_t r = 0; r < used; ++r) {
      for (size_t v = 0; v < kTileVectors; ++v) {
        hn::StoreU(sum[r][v], tag, out + r * out_stride + column + v * lanes);
      }
    }
  }
}

// The same of `count` rows. Rows beyond the last of a tile repeat it, and their results are not stored; one or two are
// cheaper alone.
template <typename Op>
HWY_INLINE void PanelProduct(const Op& op, const float* HWY_RESTRICT panel, const float* HWY_RESTRICT rows,
                             size_t row_stride, size_t count, size_t length, float* HWY_RESTRICT out,
                             size_t out_stride) {
  for (size_t begin = 0; begin < count;) {
    const size_t used = std::min(kTileRows, count - begin);
    const float* row[kTileRows];
    for (size_t r = 0; r < kTileRows; ++r) row[r] = rows + (begin + std::min(r, used - 1)) * row_stride;
    float* HWY_RESTRICT to = out + begin * out_stride;
    if (used > 2) {
      PanelTile<kTileRows>(op, panel, row, used, length, to, out_stride);
      begin += used;
    } else {
      PanelTile<1>(op, panel, row, 1, length, to, out_stride);
      ++begin;
    }
  }
}

// f from the accumulated value: a squared distance, a distance in l1, a sum of powers or a product.
HWY_INLINE Vector FromAccumulated(const Spec& spec, Vector s) {
  const Tag tag;
  const Vector one = hn::Set(tag, 1.0f);
  const double h = spec.bandwidth();
  const auto set = [&](double value) HWY_ATTR { return hn::Set(tag, static_cast<float>(value)); };
  switch (spec.kind()) {
    case Spec::GAUSSIAN:
      return hn::Exp(tag, hn::Mul(s, set(-0.5 / (h * h))));
    case Spec::LAPLACIAN:
      return hn::Exp(tag, hn::Mul(s, set(-1 / h)));
    case Spec::EXPONENTIAL:
      return hn::Exp(tag, hn::Mul(hn::Sqrt(s), set(-1 / h)));
    case Spec::MATERN: {
      const Vector t = hn::Mul(hn::Sqrt(s), set(std::sqrt(2 * spec.nu()) / h));
      const Vector decay = hn::Exp(tag, hn::Neg(t));
      if (spec.nu() == 0.5) return decay;
      if (spec.nu() == 1.5) return hn::Mul(hn::Add(one, t), decay);
      return hn::Mul(hn::MulAdd(hn::MulAdd(t, set(1.0 / 3), one), t, one), decay);
    }
    case Spec::RATIONAL_QUADRATIC:
      return hn::Exp(tag,
                     hn::Mul(set(-spec.alpha()), hn::Log(tag, hn::MulAdd(s, set(0.5 / (spec.alpha() * h * h)), one))));
    case Spec::CAUCHY:
      return hn::Div(one, hn::MulAdd(s, set(1 / (h * h)), one));
    case Spec::INVERSE_L2:
      return hn::Div(one, hn::MulAdd(hn::Sqrt(s), set(1 / h), one));
    case Spec::INVERSE_L1:
      return hn::Div(one, hn::MulAdd(s, set(1 / h), one));
    case Spec::PRODUCT_CAUCHY:
      return hn::Div(one, s);
    case Spec::L2:
      return hn::Sqrt(s);
    default:  // L1, LP_POWER
      return s;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dpkde
HWY_AFTER_NAMESPACE();

#endif  // DPKDE_SIMILARITY_PANEL_KERNELS_INL_H_
