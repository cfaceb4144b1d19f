#include "dpkde/index/search/vector_scores.h"

#include <cmath>

#include "dpkde/base/status_macros.h"

namespace dpkde {
namespace {

using Metric = VectorIndexOptions::Metric;

// The sum of term(i), i < n, in an order that depends on n alone.
template <typename Term>
double Sum(size_t n, Term term) {
  constexpr size_t kLanes = 8;
  double sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += term(i + lane);
  }
  for (size_t lane = 0; i < n; ++i, ++lane) sums[lane] += term(i);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// The vector as it was given.
std::vector<double> Given(absl::Span<const double> origin, absl::Span<const float> row) {
  std::vector<double> given(row.begin(), row.end());
  for (size_t j = 0; j < origin.size(); ++j) given[j] += origin[j];
  return given;
}

// A zero vector stays one.
void Normalize(std::vector<double>* vector) {
  const double length =
      std::sqrt(Sum(vector->size(), [&](size_t j) { return (*vector)[j] * (*vector)[j]; }));
  if (length == 0) return;
  for (double& value : *vector) value /= length;
}

double Dot(const std::vector<double>& x, absl::Span<const double> y) {
  return Sum(y.size(), [&](size_t j) { return x[j] * y[j]; });
}

}  // namespace

Metric MetricOf(const proto::IndexConfig& config) {
  const proto::VectorIndexSpec::Metric metric = config.vector_index().metric();
  return metric == proto::VectorIndexSpec::METRIC_UNSPECIFIED ? Metric::kInnerProduct
                                                              : static_cast<Metric>(metric - 1);
}

VectorScorer::VectorScorer(Metric metric, absl::Span<const double> origin, absl::Span<const float> query)
    : metric_(metric), origin_(origin) {
  query_ = metric == Metric::kL2 ? std::vector<double>(query.begin(), query.end()) : Given(origin, query);
  if (metric == Metric::kCosine) Normalize(&query_);
  if (metric != Metric::kL2) constant_ = Dot(query_, origin);
}

double VectorScorer::Score(const float* vector) const {
  const double* const query = query_.data();
  const size_t n = query_.size();
  if (metric_ == Metric::kL2) {
    return Sum(n, [&](size_t j) { return (query[j] - vector[j]) * (query[j] - vector[j]); });
  }
  const double product = Sum(n, [&](size_t j) { return query[j] * vector[j]; }) + constant_;
  if (metric_ == Metric::kInnerProduct) return product;
  const double* const origin = origin_.data();
  const double square = origin_.empty()
                            ? Sum(n, [&](size_t j) { return static_cast<double>(vector[j]) * vector[j]; })
                            : Sum(n, [&](size_t j) { return (vector[j] + origin[j]) * (vector[j] + origin[j]); });
  if (square == 0) return 0;
  constexpr double kGrid = 1.0 / (int64_t{1} << 48);
  return std::nearbyint(product / std::sqrt(square) / kGrid) * kGrid;
}

FirstStage::FirstStage(const proto::IndexConfig& config)
    : metric_(MetricOf(config)), origin_(config.origin().begin(), config.origin().end()) {
  if (metric_ == Metric::kL2) return;
  center_ = origin_;
  if (metric_ == Metric::kCosine) Normalize(&center_);
}

absl::StatusOr<VectorIndexOptions> FirstStage::Options(const proto::IndexConfig& config) {
  DPKDE_ASSIGN_OR_RETURN(VectorIndexOptions options, VectorIndexOptionsFromSpec(config.vector_index()));
  if (!config.origin().empty() && options.metric == Metric::kCosine) options.metric = Metric::kInnerProduct;
  return options;
}

MatrixView FirstStage::Vectors(MatrixView rows, std::vector<float>* buffer) const {
  if (origin_.empty() || metric_ != Metric::kCosine) return rows;
  buffer->clear();
  buffer->reserve(rows.rows * rows.columns);
  for (size_t i = 0; i < rows.rows; ++i) {
    std::vector<double> vector = Given(origin_, rows.row(i));
    Normalize(&vector);
    for (size_t j = 0; j < rows.columns; ++j) buffer->push_back(static_cast<float>(vector[j] - center_[j]));
  }
  return {buffer->data(), rows.rows, rows.columns};
}

MatrixView FirstStage::Queries(MatrixView rows, std::vector<float>* buffer, std::vector<double>* constants) const {
  constants->assign(rows.rows, 0);
  if (origin_.empty() || metric_ == Metric::kL2) return rows;
  buffer->clear();
  buffer->reserve(rows.rows * rows.columns);
  for (size_t i = 0; i < rows.rows; ++i) {
    std::vector<double> query = Given(origin_, rows.row(i));
    if (metric_ == Metric::kCosine) Normalize(&query);
    (*constants)[i] = Dot(query, center_);
    for (const double value : query) buffer->push_back(static_cast<float>(value));
  }
  return {buffer->data(), rows.rows, rows.columns};
}

}  // namespace dpkde
