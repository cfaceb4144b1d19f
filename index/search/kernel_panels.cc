#include "dpkde/index/search/kernel_panels.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "dpkde/index/ann/points.h"

// As in fourier_kernel.cc.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "index/search/kernel_panels.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

#include "dpkde/similarity/panel_kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dpkde {
namespace HWY_NAMESPACE {

static_assert(kColumns == KernelPanels::kPanelRows, "the panels of panel_kernels-inl.h");

// `finish` makes values of what `op` accumulates; panels outermost, so that one stays in the first-level cache.
template <typename Op, typename Finish>
HWY_INLINE void Block(const Op& op, MatrixView queries, const KernelPanels& panels, size_t first, size_t last,
                      const Finish& finish, float* HWY_RESTRICT values) {
  const Tag tag;
  const size_t lanes = hn::Lanes(tag);
  const size_t d = queries.columns, stride = KernelPanels::Stride(last - first);
  for (size_t column = 0; column < stride; column += kColumns) {
    PanelProduct(op, panels.panel((first + column) / kColumns), queries.data, d, queries.rows, d, values + column,
                 stride);
    for (size_t q = 0; q < queries.rows; ++q) {
      float* HWY_RESTRICT value = values + q * stride + column;
      for (size_t i = 0; i < kColumns; i += lanes) hn::StoreU(finish(q, hn::LoadU(tag, value + i)), tag, value + i);
    }
  }
  for (size_t q = 0; q < queries.rows; ++q) {
    std::fill(values + q * stride + (last - first), values + (q + 1) * stride, 0.0f);
  }
}

void KernelBlock(const Spec& spec, MatrixView queries, const KernelPanels& panels, size_t first, size_t last,
                 float* HWY_RESTRICT values) {
  const auto finish = [&](size_t, Vector s) HWY_ATTR { return FromAccumulated(spec, s); };
  switch (spec.kind()) {
    case Spec::LAPLACIAN:
    case Spec::INVERSE_L1:
      return Block(Absolute{}, queries, panels, first, last, finish, values);
    case Spec::PRODUCT_CAUCHY:
      return Block(InverseCauchy{static_cast<float>(1 / (spec.bandwidth() * spec.bandwidth()))}, queries, panels, first,
                   last, finish, values);
    default:
      return Block(SquaredDifference{}, queries, panels, first, last, finish, values);
  }
}

void ExponentialBlock(MatrixView queries, const float* offsets, const KernelPanels& panels, size_t first, size_t last,
                      float* HWY_RESTRICT values) {
  const Tag tag;
  const auto finish = [&](size_t q, Vector product)
                          HWY_ATTR { return hn::Exp(tag, hn::Sub(product, hn::Set(tag, offsets[q]))); };
  Block(Product{}, queries, panels, first, last, finish, values);
}

// `weights`: a panel of kColumns columns, row by row.
void ProductBlock(const float* HWY_RESTRICT values, size_t queries, size_t stride, const float* HWY_RESTRICT weights,
                  size_t rows, float* HWY_RESTRICT sums) {
  PanelProduct(Product{}, weights, values, stride, queries, rows, sums, kColumns);
}

}  // namespace HWY_NAMESPACE
}  // namespace dpkde
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dpkde {

HWY_EXPORT(KernelBlock);
HWY_EXPORT(ExponentialBlock);
HWY_EXPORT(ProductBlock);

KernelPanels::KernelPanels(MatrixView rows, absl::Span<const uint32_t> order)
    : rows_(order.size()), dimension_(rows.columns), values_(Stride(order.size()) * rows.columns) {
  for (size_t i = 0; i < rows_; ++i) {
    const float* from = rows.data + order[i] * dimension_;
    float* to = values_.data() + i / kPanelRows * kPanelRows * dimension_ + i % kPanelRows;
    for (size_t j = 0; j < dimension_; ++j) to[j * kPanelRows] = from[j];
  }
}

void KernelValues(const Similarity& kernel, MatrixView queries, const KernelPanels& panels, size_t first, size_t last,
                  float* values) {
  HWY_DYNAMIC_DISPATCH(KernelBlock)(kernel.spec(), queries, panels, first, last, values);
}

void ExponentialValues(MatrixView queries, const float* offsets, const KernelPanels& panels, size_t first, size_t last,
                       float* values) {
  HWY_DYNAMIC_DISPATCH(ExponentialBlock)(queries, offsets, panels, first, last, values);
}

namespace {

constexpr size_t kSums = 8;  // one chain of additions would wait for itself

}  // namespace

double DotProduct(const float* x, const float* y, size_t count) {
  double sums[kSums] = {};
  size_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (size_t k = 0; k < kSums; ++k) sums[k] += static_cast<double>(x[i + k]) * y[i + k];
  }
  for (; i < count; ++i) sums[i % kSums] += static_cast<double>(x[i]) * y[i];
  return std::accumulate(sums, sums + kSums, 0.0);
}

void AddMoments(const float* values, size_t count, Moments* moments) {
  double sums[kSums] = {}, squares[kSums] = {};
  size_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (size_t k = 0; k < kSums; ++k) {
      const double value = values[i + k];
      sums[k] += value;
      squares[k] += value * value;
    }
  }
  for (; i < count; ++i) {
    const double value = values[i];
    sums[i % kSums] += value;
    squares[i % kSums] += value * value;
  }
  for (size_t k = 0; k < kSums; ++k) {
    moments->sum += sums[k];
    moments->squares += squares[k];
  }
}

void AddProducts(const float* values, size_t queries, size_t stride, MatrixView weights, double* out) {
  constexpr size_t kColumns = KernelPanels::kPanelRows;
  const size_t rows = weights.rows, columns = weights.columns;
  if (columns == 1) {
    for (size_t q = 0; q < queries; ++q) out[q] += DotProduct(values + q * stride, weights.data, rows);
    return;
  }
  std::vector<float> panel(rows * kColumns), sums(queries * kColumns);
  for (size_t first = 0; first < columns; first += kColumns) {
    const size_t used = std::min(kColumns, columns - first);
    for (size_t i = 0; i < rows; ++i) {
      const float* from = weights.data + i * columns + first;
      std::fill(std::copy(from, from + used, panel.begin() + i * kColumns), panel.begin() + (i + 1) * kColumns, 0.0f);
    }
    HWY_DYNAMIC_DISPATCH(ProductBlock)(values, queries, stride, panel.data(), rows, sums.data());
    for (size_t q = 0; q < queries; ++q) {
      for (size_t c = 0; c < used; ++c) out[q * columns + first + c] += sums[q * kColumns + c];
    }
  }
}

absl::Status CheckKernel(const Similarity& kernel) {
  if (!kernel.is_kernel()) return absl::InvalidArgumentError(absl::StrCat(kernel.name(), " is not a kernel"));
  if (kernel.is_hash_kernel()) {
    return absl::InvalidArgumentError(absl::StrCat(kernel.name(), " has private sums only"));
  }
  return absl::OkStatus();
}

absl::Status CheckQueries(MatrixView queries, MatrixView rows) {
  if (queries.rows > 0 && rows.rows > 0 && queries.columns != rows.columns) {
    return absl::InvalidArgumentError(
        absl::StrCat("queries must have ", rows.columns, " columns, but have ", queries.columns));
  }
  return CheckPoints("query", queries);
}

}  // namespace dpkde
#endif  // HWY_ONCE
