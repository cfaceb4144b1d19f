#include "dpkde/index/search/attention.h"

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
#include "dpkde/index/ann/kernels.h"
#include "dpkde/index/ann/points.h"
#include "dpkde/index/search/kernel_panels.h"
#include "dpkde/index/search/near_rows.h"
#include "dpkde/index/search/sampled_product.h"
#include "dpkde/index/search/weighted_sample.h"

namespace dpkde {
namespace {

// Exponents up to this are safe for float32 sums of blocks, and so is their negative.
constexpr double kSafeExponent = 60;

// Queries whose attention decides which keys are drawn, and the least share of the average that a key has in it.
constexpr size_t kPilotQueries = 64;
constexpr double kFloor = 0.5;

absl::Status CheckArguments(MatrixView queries, MatrixView keys, MatrixView values, double scale) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("scale", scale));
  DPKDE_RETURN_IF_ERROR(CheckInRange("keys", keys.rows, 1, std::numeric_limits<int32_t>::max()));
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", keys.columns, 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("columns of values", values.columns, 1, 65536));
  if (values.rows != keys.rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("values must have a row for each of ", keys.rows, " keys, but have ", values.rows));
  }
  DPKDE_RETURN_IF_ERROR(CheckPoints("key", keys));
  DPKDE_RETURN_IF_ERROR(CheckPoints("value", values));
  return CheckQueries(queries, keys);
}

// One problem: scaled queries, and values with one column more, for the sum of the weights.
class Problem {
 public:
  Problem(MatrixView queries, MatrixView keys, MatrixView values, double scale, ThreadPool& pool)
      : keys_(keys),
        columns_(values.columns),
        pool_(pool),
        scaled_(queries.rows * queries.columns),
        weights_(values.rows * (values.columns + 1)) {
    for (size_t i = 0; i < scaled_.size(); ++i) scaled_[i] = static_cast<float>(scale * queries.data[i]);
    queries_ = {scaled_.data(), queries.rows, queries.columns};
    double square = 0;
    for (const double length : RowLengths(values)) square += length * length;
    // So that the sum of weights counts as much as the sum of values.
    unit_ = square > 0 ? std::sqrt(square / values.rows) : 1;
    for (size_t i = 0; i < values.rows; ++i) {
      std::copy_n(values.row(i).data(), columns_, &weights_[i * (columns_ + 1)]);
      weights_[i * (columns_ + 1) + columns_] = static_cast<float>(unit_);
    }
    lengths_ = RowLengths({weights_.data(), values.rows, columns_ + 1});
    query_lengths_ = RowLengths(queries_);
    const std::vector<double> key_lengths = RowLengths(keys_);
    longest_key_ = *std::max_element(key_lengths.begin(), key_lengths.end());
  }

  Attention Exact() const { return ExactOf(queries_); }

  Attention Estimate(absl::Span<const int64_t> near, size_t neighbors, size_t samples, uint64_t seed) const {
    boost::random::mt19937_64 engine = PublicStream(seed, "attention", 0);
    const std::vector<double> sizes = Importance(engine);
    const WeightedSample sample = DrawBySize(sizes, samples, engine);
    std::vector<float> offsets(queries_.rows);
    for (size_t i = 0; i < queries_.rows; ++i) {
      // Near the largest exponent that is known, but never so low that another overflows.
      double largest = query_lengths_[i] * longest_key_ - kSafeExponent;
      if (neighbors == 0) largest = std::max(largest, 0.0);
      for (size_t j = 0; j < neighbors; ++j) {
        const int64_t key = near[i * neighbors + j];
        if (key >= 0) largest = std::max(largest, Exponent(queries_, i, key));
      }
      offsets[i] = static_cast<float>(largest);
    }
    Attention attention = Divide(Multiply(queries_, offsets, sample, sizes, near, neighbors));
    std::vector<size_t> lost;  // nothing that they met has a weight
    for (size_t i = 0; i < queries_.rows; ++i) {
      if (!std::isfinite(attention.values[i * columns_]) || !std::isfinite(attention.std_errors[i])) lost.push_back(i);
    }
    if (lost.empty()) return attention;
    const std::vector<float> gathered = GatherRows(queries_, lost);
    const Attention exact = ExactOf({gathered.data(), lost.size(), queries_.columns});
    for (size_t i = 0; i < lost.size(); ++i) {
      std::copy_n(&exact.values[i * columns_], columns_, &attention.values[lost[i] * columns_]);
      attention.std_errors[lost[i]] = 0;
    }
    return attention;
  }

 private:
  Attention ExactOf(MatrixView queries) const {
    WeightedSample all;
    all.rows.resize(keys_.rows);
    std::iota(all.rows.begin(), all.rows.end(), 0);
    all.certain = keys_.rows;
    return Divide(Multiply(queries, Offsets(queries), all, lengths_, {}, 0));
  }

  double Exponent(MatrixView queries, size_t query, size_t key) const {
    return DotProduct(queries.row(query).data(), keys_.row(key).data(), keys_.columns);
  }

  // What makes the largest weight 1; 0 where no weight can overflow or vanish without it.
  std::vector<float> Offsets(MatrixView queries) const {
    constexpr size_t kTile = 24, kBlock = 512;
    const std::vector<double> lengths = RowLengths(queries);
    std::vector<float> offsets(queries.rows);
    pool_.ParallelFor(queries.rows, kTile, [&](size_t begin, size_t end, int /*worker*/) {
      const double longest = *std::max_element(lengths.begin() + begin, lengths.begin() + end);
      if (longest * longest_key_ <= kSafeExponent) return;
      std::vector<float> products((end - begin) * kBlock),
          largest(end - begin, -std::numeric_limits<float>::infinity());
      for (size_t first = 0; first < keys_.rows; first += kBlock) {
        const size_t last = std::min(first + kBlock, keys_.rows), count = last - first;
        InnerProducts(queries.Slice(begin, end), keys_.Slice(first, last), products.data());
        for (size_t i = 0; i < products.size() / kBlock * count; ++i) {
          largest[i / count] = std::max(largest[i / count], products[i]);
        }
      }
      for (size_t q = begin; q < end; ++q) {
        if (lengths[q] * longest_key_ > kSafeExponent) offsets[q] = largest[q - begin];
      }
    });
    return offsets;
  }

  SampledProduct Multiply(MatrixView queries, const std::vector<float>& offsets, const WeightedSample& sample,
                          absl::Span<const double> sizes, absl::Span<const int64_t> near, size_t neighbors) const {
    return MultiplySampled(
        keys_, {weights_.data(), keys_.rows, columns_ + 1}, lengths_, sizes, sample, queries.rows, near, neighbors,
        /*largest=*/0,
        [&](size_t begin, size_t end, const KernelPanels& panels, size_t first, size_t last, float* values) {
          ExponentialValues(queries.Slice(begin, end), &offsets[begin], panels, first, last, values);
        },
        [&](size_t query, size_t key) { return std::exp(Exponent(queries, query, key) - offsets[query]); }, pool_);
  }

  // The root mean square, over some queries, of the attention that they pay to each key, with a floor, times the length
  // of its value.
  std::vector<double> Importance(boost::random::mt19937_64& engine) const {
    std::vector<double> sizes = lengths_;
    const size_t pilots = std::min(kPilotQueries, queries_.rows), n = keys_.rows;
    if (pilots == 0) return sizes;
    const std::vector<float> gathered = DrawOneOfEachPart(queries_, pilots, engine);
    const MatrixView pilot{gathered.data(), pilots, queries_.columns};
    const std::vector<float> offsets = Offsets(pilot);
    std::vector<uint32_t> all(n);
    std::iota(all.begin(), all.end(), 0);
    const KernelPanels panels(keys_, all);
    const size_t stride = KernelPanels::Stride(n);
    std::vector<float> values(pilots * stride);
    pool_.ParallelFor(pilots, 8, [&](size_t begin, size_t end, int /*worker*/) {
      ExponentialValues(pilot.Slice(begin, end), &offsets[begin], panels, 0, n, &values[begin * stride]);
    });
    std::vector<double> squares(n);
    for (size_t i = 0; i < pilots; ++i) {
      Moments moments;
      AddMoments(&values[i * stride], n, &moments);
      // What is largest for one query will be near to those like it: it should not take the whole sample.
      const double cap = 100 * moments.sum / n;
      for (size_t j = 0; j < n; ++j) {
        const double share = std::min<double>(values[i * stride + j], cap) / moments.sum;
        squares[j] += share * share / pilots;
      }
    }
    double mean = 0;
    for (double& square : squares) {
      square = std::sqrt(square);
      mean += square / n;
    }
    for (size_t j = 0; j < n; ++j) sizes[j] *= squares[j] + kFloor * mean;
    return sizes;
  }

  Attention Divide(const SampledProduct& product) const {
    Attention attention;
    const size_t queries = product.std_errors.size();
    attention.values.resize(queries * columns_);
    attention.std_errors.resize(queries);
    for (size_t i = 0; i < queries; ++i) {
      const double* const row = &product.values[i * (columns_ + 1)];
      const double total = row[columns_] / unit_;
      double square = 0;
      for (size_t c = 0; c < columns_; ++c) {
        const double value = row[c] / total;
        attention.values[i * columns_ + c] = value;
        square += value * value;
      }
      // With errors e of the sums and u of the total, the quotient is off by (e - value u) / total.
      attention.std_errors[i] = product.std_errors[i] * std::sqrt(1 + square / (unit_ * unit_)) / total;
    }
    return attention;
  }

  const MatrixView keys_;
  const size_t columns_;
  ThreadPool& pool_;
  std::vector<float> scaled_;
  MatrixView queries_;
  double unit_;
  std::vector<float> weights_;
  std::vector<double> lengths_, query_lengths_;
  double longest_key_;
};

}  // namespace

absl::StatusOr<Attention> ExactAttention(MatrixView queries, MatrixView keys, MatrixView values, double scale,
                                         ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckArguments(queries, keys, values, scale));
  return Problem(queries, keys, values, scale, pool).Exact();
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<Attention> EstimateAttention(MatrixView queries, MatrixView keys, MatrixView values,
                                            const VectorIndex* index, const AttentionOptions& options,
                                            ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckArguments(queries, keys, values, options.scale));
  DPKDE_RETURN_IF_ERROR(CheckInRange("neighbors", options.neighbors, 0, std::numeric_limits<int32_t>::max()));
  DPKDE_RETURN_IF_ERROR(CheckInRange("samples", options.samples, 2, std::numeric_limits<int32_t>::max()));
  DPKDE_RETURN_IF_ERROR(CheckIndex(index, keys));
  const Problem problem(queries, keys, values, options.scale, pool);
  if (options.samples >= keys.rows) return problem.Exact();
  const size_t neighbors = index == nullptr ? 0 : std::min(options.neighbors, keys.rows);
  DPKDE_ASSIGN_OR_RETURN(const std::vector<int64_t> near, FindNear(index, queries, neighbors, options.search, pool));
  return problem.Estimate(near, neighbors, options.samples, options.seed);
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
