#include "dpkde/index/search/kernel_sums.h"

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/uniform_int_distribution.hpp>
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
#include "dpkde/index/search/near_rows.h"

namespace dpkde {
namespace {

// Queries whose values are computed together, rows of a block, and rows that one task sums up: large enough for memory
// to be read once for many queries, and fixed, so that sums do not depend on the threads.
constexpr size_t kTileQueries = 24;
constexpr size_t kBlockRows = 512;
constexpr size_t kTaskRows = 128 * kBlockRows;

// The first sample. Doubled until the target is met.
constexpr size_t kFirstSamples = 512;

absl::Status CheckOptions(const KernelSumOptions& options) {
  DPKDE_RETURN_IF_ERROR(CheckPositive("relative_error", options.relative_error));
  DPKDE_RETURN_IF_ERROR(CheckFinite("absolute_error", options.absolute_error));
  if (options.absolute_error < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("absolute_error must be at least 0, but is ", options.absolute_error));
  }
  if (options.samples.has_value()) {
    DPKDE_RETURN_IF_ERROR(CheckInRange("samples", *options.samples, 2, std::numeric_limits<int32_t>::max()));
  }
  return CheckInRange("neighbors", options.neighbors, 0, std::numeric_limits<int32_t>::max());
}

}  // namespace

// What is known of one query.
struct KernelSums::Progress {
  double near_sum = 0;
  double largest = 1;          // a value that no row of the rest is thought to exceed
  std::vector<uint32_t> near;  // sorted; positions in the panels, or rows where samples are independent
  Moments moments;             // of the sampled values
  size_t sampled = 0;          // not near
};

class KernelSums::Run {
 public:
  Run(const KernelSums& sums, MatrixView queries, const KernelSumOptions& options, ThreadPool& pool)
      : sums_(sums),
        n_(sums.rows_.rows),
        queries_(queries),
        options_(options),
        pool_(pool),
        progress_(queries.rows),
        results_(queries.rows) {}

  std::vector<KernelSum> Exact() {
    Scan(All(), 0, n_);
    for (size_t i = 0; i < queries_.rows; ++i) Conclude(i);
    return std::move(results_);
  }

  absl::StatusOr<std::vector<KernelSum>> Estimate() {
    const size_t k = sums_.index_ == nullptr ? 0 : std::min(options_.neighbors, n_);
    std::vector<size_t> active = All();
    if (!options_.samples.has_value()) {
      const size_t worth = k == 0 ? n_ : std::min(n_, SearchCost(*sums_.index_, options_.search, k));
      active = Sample(std::move(active), kFirstSamples, worth);
      if (active.empty()) return std::move(results_);
    }
    if (k > 0) DPKDE_RETURN_IF_ERROR(FindNear(active, k));
    // So many that those who are near can be left out.
    Sample(std::move(active), k + options_.samples.value_or(std::max(k, kFirstSamples)), n_);
    return std::move(results_);
  }

 private:
  std::vector<size_t> All() const {
    std::vector<size_t> all(queries_.rows);
    std::iota(all.begin(), all.end(), 0);
    return all;
  }

  // Samples ever more rows for `active` queries until each has met its target, and returns those that would need more
  // than `limit` rows for it; none if `limit` is n.
  std::vector<size_t> Sample(std::vector<size_t> active, size_t first, size_t limit) {
    std::vector<size_t> given_up;
    size_t begin = 0, end = (first + kBlockRows - 1) / kBlockRows * kBlockRows;
    while (!active.empty()) {
      if (end > n_ / 2) {
        if (limit < n_) {
          given_up.insert(given_up.end(), active.begin(), active.end());
          break;
        }
        if (options_.independent) {
          StartInOrder(active);
          begin = 0;
        }
        end = n_;
      }
      Scan(active, begin, end);
      std::vector<size_t> next;
      for (const size_t i : active) {
        const double missing = Conclude(i);
        if (missing == 0 || options_.samples.has_value()) continue;
        (limit < n_ && missing > limit ? given_up : next).push_back(i);
      }
      active = std::move(next);
      begin = end;
      end *= 2;
    }
    std::sort(given_up.begin(), given_up.end());
    return given_up;
  }

  // Forgets rows that were drawn independently: from now on positions count.
  void StartInOrder(const std::vector<size_t>& queries) {
    for (const size_t i : queries) {
      Progress& progress = progress_[i];
      progress.moments = {};
      progress.sampled = 0;
      for (uint32_t& near : progress.near) near = sums_.positions_[near];
      std::sort(progress.near.begin(), progress.near.end());
    }
  }

  absl::Status FindNear(const std::vector<size_t>& active, size_t k) {
    const std::vector<float> gathered = GatherRows(queries_, active);
    DPKDE_ASSIGN_OR_RETURN(
        const std::vector<int64_t> found,
        dpkde::FindNear(sums_.index_, {gathered.data(), active.size(), queries_.columns}, k, options_.search, pool_));
    pool_.ParallelFor(active.size(), 8, [&](size_t begin, size_t end, int /*worker*/) {
      for (size_t a = begin; a < end; ++a) {
        Progress& progress = progress_[active[a]];
        progress = Progress();
        for (size_t j = 0; j < k; ++j) {
          const int64_t row = found[a * k + j];
          if (row < 0) break;
          const double value = sums_.kernel_.Evaluate(sums_.rows_.row(row), queries_.row(active[a]));
          progress.near_sum += value;
          progress.largest = std::min(progress.largest, value);
          progress.near.push_back(options_.independent ? static_cast<uint32_t>(row) : sums_.positions_[row]);
        }
        std::sort(progress.near.begin(), progress.near.end());
      }
    });
    return absl::OkStatus();
  }

  // Adds the rows of positions [begin, end) of the panels, or as many of its own, to what each query knows.
  void Scan(const std::vector<size_t>& active, size_t begin, size_t end) {
    if (options_.independent && end < n_) return ScanOwn(active, end - begin);
    const size_t d = queries_.columns;
    const size_t tiles = (active.size() + kTileQueries - 1) / kTileQueries;
    const size_t tasks = (end - begin + kTaskRows - 1) / kTaskRows;
    std::vector<Moments> moments(active.size() * tasks);
    std::vector<Scratch> scratch(pool_.threads());
    pool_.ParallelFor(tiles * tasks, 1, [&](size_t index, size_t, int worker) {
      const size_t tile = index % tiles, task = index / tiles;
      const size_t first_query = tile * kTileQueries, count = std::min(kTileQueries, active.size() - first_query);
      std::vector<float>& queries = scratch[worker].queries;
      std::vector<float>& values = scratch[worker].values;
      queries.resize(count * d);
      values.resize(count * kBlockRows);
      for (size_t q = 0; q < count; ++q) std::copy_n(queries_.row(active[first_query + q]).data(), d, &queries[q * d]);
      const size_t task_end = std::min(end, begin + (task + 1) * kTaskRows);
      for (size_t block = begin + task * kTaskRows; block < task_end; block += kBlockRows) {
        const size_t block_end = std::min(block + kBlockRows, task_end),
                     stride = KernelPanels::Stride(block_end - block);
        KernelValues(sums_.kernel_, {queries.data(), count, d}, sums_.panels_, block, block_end, values.data());
        for (size_t q = 0; q < count; ++q) {
          const std::vector<uint32_t>& near = progress_[active[first_query + q]].near;
          for (auto at = std::lower_bound(near.begin(), near.end(), block); at != near.end() && *at < block_end; ++at) {
            values[q * stride + *at - block] = 0;
          }
          AddMoments(&values[q * stride], block_end - block, &moments[(first_query + q) * tasks + task]);
        }
      }
    });
    for (size_t a = 0; a < active.size(); ++a) {
      Progress& progress = progress_[active[a]];
      for (size_t task = 0; task < tasks; ++task) {
        progress.moments.sum += moments[a * tasks + task].sum;
        progress.moments.squares += moments[a * tasks + task].squares;
      }
      const auto near_begin = std::lower_bound(progress.near.begin(), progress.near.end(), begin);
      const auto near_end = std::lower_bound(progress.near.begin(), progress.near.end(), end);
      progress.sampled += end - begin - (near_end - near_begin);
    }
  }

  // `count` rows for each query, drawn with replacement from those that are not near.
  void ScanOwn(const std::vector<size_t>& active, size_t count) {
    if (engines_.empty()) engines_.resize(queries_.rows);
    pool_.ParallelFor(active.size(), 1, [&](size_t begin, size_t, int /*worker*/) {
      const size_t i = active[begin];
      Progress& progress = progress_[i];
      if (!engines_[i].has_value()) engines_[i] = PublicStream(sums_.seed_, "kernel sum rows", i);
      boost::random::uniform_int_distribution<uint32_t> any(0, static_cast<uint32_t>(n_ - 1));
      std::vector<uint32_t> rows;
      std::vector<float> values(kBlockRows);
      for (size_t done = 0; done < count; done += rows.size()) {
        rows.clear();
        while (rows.size() < std::min(kBlockRows, count - done)) {
          const uint32_t row = any(*engines_[i]);
          if (!std::binary_search(progress.near.begin(), progress.near.end(), row)) rows.push_back(row);
        }
        const KernelPanels panels(sums_.rows_, rows);
        KernelValues(sums_.kernel_, queries_.Slice(i, i + 1), panels, 0, rows.size(), values.data());
        AddMoments(values.data(), rows.size(), &progress.moments);
      }
      progress.sampled += count;
    });
  }

  // Writes the result of query i as it stands; returns 0 if that meets the target, otherwise the samples that it seems
  // to need.
  double Conclude(size_t i) {
    const Progress& progress = progress_[i];
    const double rest = n_ - progress.near.size(), m = progress.sampled;
    KernelSum& result = results_[i];
    result = {progress.near_sum, 0, progress.sampled, progress.near.size()};
    if (m >= rest) {
      result.sum += progress.moments.sum;
      return 0;
    }
    const double mean = progress.moments.sum / m;
    const double variance = std::max(0.0, progress.moments.squares - m * mean * mean) / (m - 1);
    const double unseen_square = progress.largest * progress.largest;
    result.sum += rest * mean;
    // Without replacement the sample tells less of the rest the more of it has been seen.
    const double left = options_.independent ? rest : rest - m;
    result.std_error = std::sqrt((variance + unseen_square / m) * rest * left / m);
    const double target = std::max(options_.relative_error * result.sum, options_.absolute_error);
    if (result.std_error <= target) return 0;
    // Where (variance + unseen_square / x) / x is the square of the target's share of each row.
    const double share_square = target / rest * (target / rest);
    return (variance + std::sqrt(variance * variance + 4 * share_square * unseen_square)) / (2 * share_square);
  }

  struct Scratch {
    std::vector<float> queries, values;
  };

  const KernelSums& sums_;
  const size_t n_;
  const MatrixView queries_;
  const KernelSumOptions& options_;
  ThreadPool& pool_;
  std::vector<Progress> progress_;
  std::vector<absl::optional<boost::random::mt19937_64>> engines_;  // of independent samples
  std::vector<KernelSum> results_;
};

KernelSums::KernelSums(MatrixView rows, const Similarity& kernel, const VectorIndex* index, uint64_t seed)
    : rows_(rows), kernel_(kernel), index_(index), seed_(seed), positions_(rows.rows) {
  std::vector<uint32_t> order(rows.rows);
  std::iota(order.begin(), order.end(), 0);
  boost::random::mt19937_64 engine = PublicStream(seed, "kernel sum order", 0);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[boost::random::uniform_int_distribution<size_t>(0, i - 1)(engine)]);
  }
  for (size_t i = 0; i < order.size(); ++i) positions_[order[i]] = static_cast<uint32_t>(i);
  panels_ = KernelPanels(rows, order);
}

absl::StatusOr<KernelSums> KernelSums::Create(MatrixView rows, const Similarity& kernel, const VectorIndex* index,
                                              uint64_t seed) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckKernel(kernel));
  DPKDE_RETURN_IF_ERROR(CheckInRange("rows", rows.rows, 0, std::numeric_limits<int32_t>::max()));
  if (rows.rows > 0) DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", rows.columns, 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckPoints("row", rows));
  DPKDE_RETURN_IF_ERROR(CheckIndex(index, rows));
  return KernelSums(rows, kernel, index, seed);
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<std::vector<KernelSum>> KernelSums::Exact(MatrixView queries, ThreadPool& pool) const try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckQueries(queries, rows_));
  return Run(*this, queries, {}, pool).Exact();
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<std::vector<KernelSum>> KernelSums::Estimate(MatrixView queries, const KernelSumOptions& options,
                                                            ThreadPool& pool) const try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckOptions(options));
  DPKDE_RETURN_IF_ERROR(CheckQueries(queries, rows_));
  return Run(*this, queries, options, pool).Estimate();
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
