#include "dpkde/index/search/kernel_product.h"

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/index/ann/points.h"
#include "dpkde/index/search/kernel_panels.h"
#include "dpkde/index/search/near_rows.h"
#include "dpkde/index/search/sampled_product.h"
#include "dpkde/index/search/weighted_sample.h"

namespace dpkde {
namespace {

constexpr size_t kFirstSamples = 512;

absl::Status CheckArguments(const Similarity& kernel, MatrixView rows, MatrixView queries, MatrixView weights) {
  DPKDE_RETURN_IF_ERROR(CheckKernel(kernel));
  DPKDE_RETURN_IF_ERROR(CheckInRange("rows", rows.rows, 0, std::numeric_limits<int32_t>::max()));
  if (weights.rows != rows.rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("weights must have a row for each of ", rows.rows, " rows, but have ", weights.rows));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("columns of weights", weights.columns, 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckPoints("row", rows));
  DPKDE_RETURN_IF_ERROR(CheckPoints("weights of row", weights));
  return CheckQueries(queries, rows);
}

// One product after another with the same arguments.
class Multiplier {
 public:
  Multiplier(const Similarity& kernel, MatrixView rows, MatrixView weights, ThreadPool& pool)
      : kernel_(kernel), rows_(rows), weights_(weights), pool_(pool), sizes_(RowLengths(weights)) {
    for (size_t i = 0; i < sizes_.size(); ++i) {
      if (sizes_[i] > 0) all_.rows.push_back(static_cast<uint32_t>(i));
    }
    all_.certain = all_.rows.size();
  }

  const std::vector<double>& sizes() const { return sizes_; }
  // Rows whose weights are not all 0.
  size_t weighted() const { return all_.rows.size(); }

  SampledProduct Multiply(MatrixView queries, const WeightedSample& sample, absl::Span<const int64_t> near,
                          size_t neighbors) const {
    return MultiplySampled(
        rows_, weights_, sizes_, sizes_, sample, queries.rows, near, neighbors, /*largest=*/1,
        [&](size_t begin, size_t end, const KernelPanels& panels, size_t first, size_t last, float* values) {
          KernelValues(kernel_, queries.Slice(begin, end), panels, first, last, values);
        },
        [&](size_t query, size_t row) { return kernel_.Evaluate(rows_.row(row), queries.row(query)); }, pool_);
  }

  KernelProduct Exact(MatrixView queries) const {
    SampledProduct product = Multiply(queries, all_, {}, 0);
    return {std::move(product.values), std::move(product.std_errors), weighted(), 0};
  }

 private:
  const Similarity& kernel_;
  const MatrixView rows_, weights_;
  ThreadPool& pool_;
  const std::vector<double> sizes_;
  WeightedSample all_;  // the weighted rows, all certain
};

double SumOfSquares(const std::vector<double>& values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

// The queries of the largest errors, as many as leave no more than `target` in the squares of the others.
std::vector<size_t> LargestErrors(const std::vector<double>& errors, double target) {
  std::vector<size_t> order(errors.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return errors[a] < errors[b]; });
  double sum = 0;
  size_t kept = 0;
  while (kept < order.size()) {
    sum += errors[order[kept]] * errors[order[kept]];
    if (!(sum <= target)) break;
    ++kept;
  }
  return {order.begin() + kept, order.end()};
}

// What every query meets; without samples, everything.
struct Effort {
  size_t samples = 0;
  size_t neighbors = 0;
};

// The cheapest way to the target for the squared error, as pilot samples show it for some of the queries: with
// `offered` neighbours or none, and with those queries exact that would miss it.
absl::StatusOr<Effort> LeastEffort(const Multiplier& multiplier, MatrixView queries, const VectorIndex* index,
                                   size_t offered, double target, const KernelProductOptions& options,
                                   ThreadPool& pool) {
  const size_t pilots = std::min(queries.rows, std::clamp<size_t>(queries.rows / 16, 16, 256));
  boost::random::mt19937_64 engine = PublicStream(options.seed, "kernel product pilot", 0);
  const std::vector<float> gathered = DrawOneOfEachPart(queries, pilots, engine);
  const MatrixView pilot{gathered.data(), pilots, queries.columns};
  DPKDE_ASSIGN_OR_RETURN(const std::vector<int64_t> near, FindNear(index, pilot, offered, options.search, pool));
  const double pilot_target = target * pilots / queries.rows;

  Effort effort;
  // Rows that each query would meet on average: beyond half of all, all is better.
  double least = multiplier.weighted() / 2.0;
  // What is likely to be cheapest first: it ends the search for the other.
  for (const size_t neighbors : {offered, size_t{0}}) {
    const double search = neighbors == 0 ? 0 : SearchCost(*index, options.search, neighbors) + neighbors;
    for (size_t m = kFirstSamples; search + m < least; m *= 2) {
      const WeightedSample sample = DrawBySize(multiplier.sizes(), m, engine);
      const SampledProduct product = multiplier.Multiply(pilot, sample, near, neighbors);
      const size_t exact = LargestErrors(product.std_errors, pilot_target).size();
      const double cost = search + m + static_cast<double>(multiplier.weighted()) * exact / pilots;
      if (cost >= least) continue;
      least = cost;
      effort = {m, neighbors};
    }
    if (neighbors == 0) break;
  }
  return effort;
}

}  // namespace

absl::StatusOr<KernelProduct> ExactKernelProduct(const Similarity& kernel, MatrixView rows, MatrixView queries,
                                                 MatrixView weights, ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckArguments(kernel, rows, queries, weights));
  return Multiplier(kernel, rows, weights, pool).Exact(queries);
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<KernelProduct> EstimateKernelProduct(const Similarity& kernel, MatrixView rows, MatrixView queries,
                                                    MatrixView weights, const VectorIndex* index,
                                                    const KernelProductOptions& options, ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckPositive("error", options.error));
  if (options.samples.has_value()) {
    DPKDE_RETURN_IF_ERROR(CheckInRange("samples", *options.samples, 2, std::numeric_limits<int32_t>::max()));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("neighbors", options.neighbors, 0, std::numeric_limits<int32_t>::max()));
  DPKDE_RETURN_IF_ERROR(CheckArguments(kernel, rows, queries, weights));
  DPKDE_RETURN_IF_ERROR(CheckIndex(index, rows));

  const Multiplier multiplier(kernel, rows, weights, pool);
  const std::vector<double>& sizes = multiplier.sizes();
  if (queries.rows == 0 || multiplier.weighted() == 0) return multiplier.Exact(queries);
  Effort effort{options.samples.value_or(0), index == nullptr ? 0 : std::min(options.neighbors, rows.rows)};
  double target = std::numeric_limits<double>::infinity();  // of the squared error
  if (!options.samples.has_value()) {
    target = options.error * options.error * SumOfSquares(sizes);
    DPKDE_ASSIGN_OR_RETURN(effort, LeastEffort(multiplier, queries, index, effort.neighbors, target, options, pool));
    if (effort.samples == 0) return multiplier.Exact(queries);
  }

  boost::random::mt19937_64 engine = PublicStream(options.seed, "kernel product sample", 0);
  const WeightedSample sample = DrawBySize(sizes, effort.samples, engine);
  DPKDE_ASSIGN_OR_RETURN(const std::vector<int64_t> near,
                         FindNear(index, queries, effort.neighbors, options.search, pool));
  SampledProduct product = multiplier.Multiply(queries, sample, near, effort.neighbors);

  const std::vector<size_t> dense = LargestErrors(product.std_errors, target);
  const std::vector<float> gathered = GatherRows(queries, dense);
  const KernelProduct exact = multiplier.Exact({gathered.data(), dense.size(), queries.columns});
  for (size_t i = 0; i < dense.size(); ++i) {
    std::copy_n(&exact.values[i * weights.columns], weights.columns, &product.values[dense[i] * weights.columns]);
    product.std_errors[dense[i]] = 0;
  }
  return KernelProduct{std::move(product.values), std::move(product.std_errors), sample.rows.size(), effort.neighbors};
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
