#include "dpkde/designs/axis_tables.h"

#include <algorithm>

// As in fourier_kernel.cc.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dpkde/designs/axis_tables.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

#ifndef DPKDE_DESIGNS_AXIS_TABLES_CC_ONCE_
#define DPKDE_DESIGNS_AXIS_TABLES_CC_ONCE_
namespace dpkde {

// Axes of a block: with 251 nodes each, 16 KiB.
constexpr size_t kAxisBlock = 8;

// Weights of the nodes at -1, 0, 1, 2 for an interpolation at u in [0, 1]: polynomials in u, by rising powers.
constexpr double kCubicWeights[4][4] = {
    {0, 1, 0, 0}, {-1.0 / 3, -1.0 / 2, 1, -1.0 / 6}, {1.0 / 2, -1, 1.0 / 2, 0}, {-1.0 / 6, 1.0 / 2, -1.0 / 2, 1.0 / 6}};
constexpr double kLinearWeights[4][4] = {{0, 1, 0, 0}, {0, -1, 1, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}};

}  // namespace dpkde
#endif

HWY_BEFORE_NAMESPACE();
namespace dpkde {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Adds one block's functions to the sums of all queries.
void AddBlock(const double (*weights)[4], const double* HWY_RESTRICT lower, const double* HWY_RESTRICT inverse_step,
              const double* HWY_RESTRICT nodes, size_t nodes_each, size_t used_axes, const float* queries,
              size_t query_stride, size_t count, double* HWY_RESTRICT sums) {
  // Four nodes for one axis, or four axes.
  const hn::FixedTag<double, 4> tag;
  const hn::Rebind<float, decltype(tag)> float_tag;
  const hn::Rebind<int32_t, decltype(tag)> int_tag;
  using Vector = hn::Vec<decltype(tag)>;
  const Vector w0 = hn::LoadU(tag, weights[0]), w1 = hn::LoadU(tag, weights[1]), w2 = hn::LoadU(tag, weights[2]),
               w3 = hn::LoadU(tag, weights[3]);
  const Vector last = hn::Set(tag, static_cast<double>(nodes_each - 4));
  for (size_t q = 0; q < count; ++q) {
    const float* y = queries + q * query_stride;
    float padded[kAxisBlock] = {};
    if (used_axes < kAxisBlock) {
      std::copy_n(y, used_axes, padded);
      y = padded;
    }
    int32_t cells[kAxisBlock];
    double fractions[kAxisBlock];
    for (size_t i = 0; i < kAxisBlock; i += 4) {
      const Vector position = hn::PromoteTo(tag, hn::LoadU(float_tag, y + i));
      const Vector t = hn::Max(hn::Mul(hn::Sub(position, hn::LoadU(tag, lower + i)), hn::LoadU(tag, inverse_step + i)),
                               hn::Zero(tag));
      const auto cell = hn::DemoteTo(int_tag, hn::Min(t, last));
      hn::StoreU(cell, int_tag, cells + i);
      hn::StoreU(hn::Sub(t, hn::PromoteTo(tag, cell)), tag, fractions + i);
    }
    // Two chains of additions.
    Vector even = hn::Zero(tag), odd = hn::Zero(tag);
    const auto weighted = [&](size_t i, Vector sum) {
      const Vector u = hn::Set(tag, fractions[i]);
      const Vector weight = hn::MulAdd(hn::MulAdd(hn::MulAdd(w3, u, w2), u, w1), u, w0);
      return hn::MulAdd(weight, hn::LoadU(tag, nodes + i * nodes_each + cells[i]), sum);
    };
    for (size_t i = 0; i < kAxisBlock; i += 2) {
      even = weighted(i, even);
      odd = weighted(i + 1, odd);
    }
    sums[q] += hn::GetLane(hn::SumOfLanes(tag, hn::Add(even, odd)));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dpkde
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dpkde {

HWY_EXPORT(AddBlock);

AxisTables::AxisTables(const Domain& domain, size_t steps) : axes_(domain.dimension()), steps_(steps) {
  const size_t padded = (axes_ + kAxisBlock - 1) / kAxisBlock * kAxisBlock;
  lower_.resize(padded);
  inverse_step_.resize(padded);
  nodes_.resize(padded * nodes_each());
  for (size_t i = 0; i < axes_; ++i) {
    lower_[i] = domain.lower()[i];
    inverse_step_[i] = steps / domain.width(i);
  }
}

void AxisTables::AddSums(Interpolation interpolation, MatrixView queries, absl::Span<double> sums) const {
  const auto* weights = interpolation == Interpolation::kCubic ? kCubicWeights : kLinearWeights;
  for (size_t axis = 0; axis < axes_; axis += kAxisBlock) {
    HWY_DYNAMIC_DISPATCH(AddBlock)
    (weights, &lower_[axis], &inverse_step_[axis], &nodes_[axis * nodes_each()], nodes_each(),
     std::min(kAxisBlock, axes_ - axis), queries.data + axis, queries.columns, queries.rows, sums.data());
  }
}

}  // namespace dpkde
#endif  // HWY_ONCE
