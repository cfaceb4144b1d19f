#include "dpkde/index/ann/vector_index.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/HNSW.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <faiss/utils/distances.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <stdexcept>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/base/validation.h"
#include "dpkde/io/envelope.h"

namespace dpkde {
namespace {

using Kind = VectorIndexOptions::Kind;
using Metric = VectorIndexOptions::Metric;

constexpr int64_t kMaxDimension = 65536;
constexpr int64_t kMaxNeighbors = 512;
constexpr int64_t kMaxEf = 1000000;
constexpr int64_t kMaxThreads = 1024;

// Scores stay finite: |<x, y>| <= 1e37 and ||x - y||^2 <= 4e37, and FLT_MAX is 3.4e38.
constexpr float kMaxSquaredNorm = 1e37f;

// ---- Errors: what FAISS throws stops here.

// Runs `body`, which returns a Status or StatusOr. What it throws becomes a Status; `code` is that of FAISS's
// exceptions.
template <typename Body>
auto CatchExceptions(absl::StatusCode code, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory for the vector index");
  } catch (const std::length_error&) {  // a std::vector longer than any memory
    return absl::ResourceExhaustedError("not enough memory for the vector index");
  } catch (const std::exception& exception) {
    return absl::Status(code, absl::StrCat("FAISS refused: ", exception.what()));
  }
}

// An exception may not leave an OpenMP region. Keeps the first; Rethrow() after the region.
class ExceptionCarrier {
 public:
  template <typename Body>
  void Run(Body body) {
    try {
      body();
    } catch (...) {
#pragma omp critical(dpkde_vector_index_exception)
      if (exception_ == nullptr) exception_ = std::current_exception();
    }
  }

  void Rethrow() {
    if (exception_ != nullptr) std::rethrow_exception(exception_);
  }

 private:
  std::exception_ptr exception_;
};

// ---- Arguments.

absl::Status CheckOptions(const VectorIndexOptions& options) {
  if (options.kind != Kind::kFlat && options.kind != Kind::kHnsw) {
    return absl::InvalidArgumentError("kind must be kFlat or kHnsw");
  }
  if (options.metric != Metric::kInnerProduct && options.metric != Metric::kL2) {
    return absl::InvalidArgumentError("metric must be kInnerProduct or kL2");
  }
  if (options.kind == Kind::kHnsw) {
    DPKDE_RETURN_IF_ERROR(CheckInRange("hnsw_neighbors", options.hnsw_neighbors, 2, kMaxNeighbors));
    DPKDE_RETURN_IF_ERROR(CheckInRange("ef_construction", options.ef_construction, 1, kMaxEf));
    DPKDE_RETURN_IF_ERROR(CheckInRange("ef_search", options.ef_search, 1, kMaxEf));
  }
  return absl::OkStatus();
}

// `role` is what a row is called in messages.
absl::Status CheckRows(absl::string_view role, MatrixView matrix) {
  for (size_t i = 0; i < matrix.rows; ++i) {
    // NaN and infinity among the values make the sum NaN or infinity.
    if (faiss::fvec_norm_L2sqr(matrix.row(i).data(), matrix.columns) <= kMaxSquaredNorm) continue;
    for (size_t j = 0; j < matrix.columns; ++j) {
      DPKDE_RETURN_IF_ERROR(CheckFinite(absl::StrCat("column ", j, " of ", role, " ", i), matrix.row(i)[j]));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("the squared norm of ", role, " ", i, " must be at most ", kMaxSquaredNorm));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> ThreadCount(int threads) {
  DPKDE_RETURN_IF_ERROR(CheckInRange("threads", threads, 0, kMaxThreads));
  return threads == 0 ? ThreadPool::HardwareThreads() : threads;
}

// FAISS's own loops have no num_threads clause where graphs are built. The number that is set here is the calling
// thread's alone, so that other threads are not disturbed.
class ScopedOmpThreads {
 public:
  explicit ScopedOmpThreads(int threads) : previous_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ScopedOmpThreads() { omp_set_num_threads(previous_); }
  ScopedOmpThreads(const ScopedOmpThreads&) = delete;
  ScopedOmpThreads& operator=(const ScopedOmpThreads&) = delete;

 private:
  int previous_;
};

// ---- Search.

// Distances are smaller where vectors are nearer: the squared L2 distance, or the negated inner product.
struct Hit {
  float distance;
  int64_t row;
};

struct Nearer {
  bool operator()(const Hit& a, const Hit& b) const {
    return a.distance != b.distance ? a.distance < b.distance : a.row < b.row;
  }
};

// Keeps the `k` nearest of `hits`, in order, and writes them as one query's row of the result.
void WriteResult(std::vector<Hit>* hits, size_t k, Metric metric, int64_t* ids, float* scores) {
  const size_t found = std::min(k, hits->size());
  std::partial_sort(hits->begin(), hits->begin() + found, hits->end(), Nearer());
  const float sign = metric == Metric::kInnerProduct ? -1 : 1;
  for (size_t i = 0; i < found; ++i) {
    ids[i] = (*hits)[i].row;
    scores[i] = sign * (*hits)[i].distance;
  }
  std::fill(ids + found, ids + k, -1);
  std::fill(scores + found, scores + k, sign * std::numeric_limits<float>::infinity());
}

// Exact search. Not IndexFlat::search: for inner products its heap drops the lowest of rows that tie for the last
// place, and from 20 queries on it calls a BLAS, in which equal rows can have unequal scores.
void SearchFlat(const faiss::IndexFlat& index, MatrixView queries, Metric metric, int threads,
                VectorSearchResult* result) {
  // Queries that go through the rows together, and bytes of rows that stay in the cache meanwhile.
  constexpr size_t kQueries = 32;
  constexpr size_t kBlockBytes = 128 << 10;

  const size_t n = index.ntotal;
  const size_t d = queries.columns;
  const size_t k = std::min(result->k, n);
  const size_t block_rows = std::max<size_t>(1, kBlockBytes / (d * sizeof(float)));
  const float* vectors = index.get_xb();
  const Nearer nearer;

  // Each thread has its range of rows, so that one query alone uses all of them.
  const int parts = static_cast<int>(std::min<size_t>(threads, (n + block_rows - 1) / block_rows));
  std::vector<std::vector<Hit>> heaps(parts * std::min(kQueries, queries.rows));  // the farthest in front
  for (std::vector<Hit>& heap : heaps) heap.reserve(std::min(k, n / parts + 1));
  std::vector<Hit> merged;

  for (size_t begin = 0; begin < queries.rows; begin += kQueries) {
    const size_t end = std::min(begin + kQueries, queries.rows);
#pragma omp parallel for schedule(static) num_threads(parts)
    for (int part = 0; part < parts; ++part) {  // nothing in here allocates
      const size_t last_row = n * (part + 1) / parts;
      for (size_t row_begin = n * part / parts; row_begin < last_row; row_begin += block_rows) {
        const size_t row_end = std::min(row_begin + block_rows, last_row);
        for (size_t query = begin; query < end; ++query) {
          const float* x = queries.row(query).data();
          std::vector<Hit>& heap = heaps[(query - begin) * parts + part];
          for (size_t row = row_begin; row < row_end; ++row) {
            const float* y = vectors + row * d;
            const Hit hit = {
                metric == Metric::kInnerProduct ? -faiss::fvec_inner_product(x, y, d) : faiss::fvec_L2sqr(x, y, d),
                static_cast<int64_t>(row)};
            if (heap.size() < k) {
              heap.push_back(hit);
              std::push_heap(heap.begin(), heap.end(), nearer);
            } else if (nearer(hit, heap.front())) {
              std::pop_heap(heap.begin(), heap.end(), nearer);
              heap.back() = hit;
              std::push_heap(heap.begin(), heap.end(), nearer);
            }
          }
        }
      }
    }
    for (size_t query = begin; query < end; ++query) {
      merged.clear();
      for (int part = 0; part < parts; ++part) {
        std::vector<Hit>& heap = heaps[(query - begin) * parts + part];
        merged.insert(merged.end(), heap.begin(), heap.end());
        heap.clear();
      }
      WriteResult(&merged, result->k, metric, &result->ids[query * result->k], &result->scores[query * result->k]);
    }
  }
}

// HNSW minimises: an inner product is negated.
class NegatedDistanceComputer final : public faiss::DistanceComputer {
 public:
  explicit NegatedDistanceComputer(std::unique_ptr<faiss::DistanceComputer> computer)
      : computer_(std::move(computer)) {}
  void set_query(const float* x) override { computer_->set_query(x); }
  float operator()(idx_t i) override { return -(*computer_)(i); }
  float symmetric_dis(idx_t i, idx_t j) override { return -computer_->symmetric_dis(i, j); }

 private:
  std::unique_ptr<faiss::DistanceComputer> computer_;
};

// Not IndexHNSW::search: it adds to process-wide counters without a lock, its threads end the process when memory runs
// out, and in FAISS 1.7.3 a search's own efSearch does not widen its queue of candidates, which only k does.
void SearchHnsw(const faiss::IndexHNSWFlat& index, MatrixView queries, Metric metric, int ef_search, int threads,
                VectorSearchResult* result) {
  const size_t n = index.ntotal;
  const size_t width = std::min(n, std::max<size_t>(result->k, ef_search));
  faiss::SearchParametersHNSW parameters;
  parameters.efSearch = static_cast<int>(width);

  const int team = static_cast<int>(std::min<size_t>(threads, queries.rows));
  ExceptionCarrier carrier;
#pragma omp parallel num_threads(team)
  {
    std::unique_ptr<faiss::VisitedTable> visited;
    std::unique_ptr<faiss::DistanceComputer> computer;
    std::vector<int64_t> rows;
    std::vector<float> distances;
    std::vector<Hit> hits;
#pragma omp for schedule(dynamic, 4)
    for (size_t query = 0; query < queries.rows; ++query) {
      carrier.Run([&] {
        if (computer == nullptr) {
          visited = std::make_unique<faiss::VisitedTable>(static_cast<int>(n));
          rows.resize(width);
          distances.resize(width);
          hits.reserve(width);
          computer.reset(index.storage->get_distance_computer());
          if (metric == Metric::kInnerProduct) {
            computer = std::make_unique<NegatedDistanceComputer>(std::move(computer));
          }
        }
        computer->set_query(queries.row(query).data());
        faiss::maxheap_heapify(width, distances.data(), rows.data());
        index.hnsw.search(*computer, static_cast<int>(width), rows.data(), distances.data(), *visited, &parameters);
        hits.clear();
        for (size_t i = 0; i < width; ++i) {
          if (0 <= rows[i] && rows[i] < static_cast<int64_t>(n)) hits.push_back({distances[i], rows[i]});
        }
        WriteResult(&hits, result->k, metric, &result->ids[query * result->k], &result->scores[query * result->k]);
      });
    }
  }
  carrier.Rethrow();
}

// ---- Files.

// FAISS's parser trusts what it reads, so the envelope finds damage before it starts. The payload is what
// faiss::write_index writes.
constexpr absl::string_view kFileKind = "vecindex";
constexpr uint32_t kFileVersion = 1;

class StringWriter final : public faiss::IOWriter {
 public:
  size_t operator()(const void* data, size_t size, size_t items) override {
    bytes.append(static_cast<const char*>(data), size * items);
    return items;
  }

  std::string bytes;
};

class StringReader final : public faiss::IOReader {
 public:
  explicit StringReader(absl::string_view bytes) : bytes_(bytes) {}

  size_t operator()(void* data, size_t size, size_t items) override {
    items = std::min(items, bytes_.size() / size);
    if (items > 0) std::memcpy(data, bytes_.data(), items * size);
    bytes_.remove_prefix(items * size);
    return items;
  }

  bool at_end() const { return bytes_.empty(); }

 private:
  absl::string_view bytes_;
};

// The graph as FAISS's search walks it without looking: every place it would read exists.
absl::Status CheckGraph(const faiss::HNSW& hnsw, size_t n) {
  const absl::Status damaged = absl::DataLossError("holds a graph that is not well-formed");
  const size_t levels = hnsw.cum_nneighbor_per_level.size();
  if (levels < 2 || hnsw.upper_beam != 1) return damaged;
  const int neighbors = hnsw.cum_nneighbor_per_level[1] / 2;
  if (neighbors < 2 || neighbors > kMaxNeighbors ||
      hnsw.cum_nneighbor_per_level != faiss::HNSW(neighbors).cum_nneighbor_per_level) {
    return damaged;
  }
  if (hnsw.levels.size() != n || hnsw.offsets.size() != n + 1 || hnsw.offsets[0] != 0) return damaged;
  for (size_t i = 0; i < n; ++i) {
    if (hnsw.levels[i] < 1 || hnsw.levels[i] >= static_cast<int64_t>(levels)) return damaged;
    const size_t links = hnsw.cum_nneighbor_per_level[hnsw.levels[i]];
    if (hnsw.offsets[i + 1] != hnsw.offsets[i] + links) return damaged;
  }
  if (hnsw.neighbors.size() != hnsw.offsets[n]) return damaged;
  for (size_t i = 0; i < n; ++i) {
    for (int level = 0; level < hnsw.levels[i]; ++level) {
      size_t begin, end;
      hnsw.neighbor_range(i, level, &begin, &end);
      for (size_t j = begin; j < end; ++j) {
        const int64_t neighbor = hnsw.neighbors[j];
        if (neighbor == -1) continue;
        if (neighbor < 0 || neighbor >= static_cast<int64_t>(n) || hnsw.levels[neighbor] <= level) return damaged;
      }
    }
  }
  if (n == 0) return hnsw.entry_point == -1 ? absl::OkStatus() : damaged;
  if (hnsw.entry_point < 0 || hnsw.entry_point >= static_cast<int64_t>(n)) return damaged;
  if (hnsw.levels[hnsw.entry_point] != hnsw.max_level + 1) return damaged;
  return absl::OkStatus();
}

// The vectors of an index of either kind; null for any other index.
const faiss::IndexFlat* Vectors(const faiss::Index* index) {
  if (const auto* hnsw = dynamic_cast<const faiss::IndexHNSWFlat*>(index)) index = hnsw->storage;
  return dynamic_cast<const faiss::IndexFlat*>(index);
}

// Loading is building: an index that was read is held to what Build() demands. Gives its options.
absl::StatusOr<VectorIndexOptions> CheckLoaded(const faiss::Index* index) {
  VectorIndexOptions options;
  const faiss::IndexFlat* vectors = Vectors(index);
  if (vectors == nullptr) return absl::InvalidArgumentError("neither flat nor HNSW");
  if (vectors->d != index->d || vectors->ntotal != index->ntotal || vectors->metric_type != index->metric_type) {
    return absl::InvalidArgumentError("graph and vectors do not belong together");
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", index->d, 1, kMaxDimension));
  if (index->metric_type == faiss::METRIC_INNER_PRODUCT) {
    options.metric = Metric::kInnerProduct;
  } else if (index->metric_type == faiss::METRIC_L2) {
    options.metric = Metric::kL2;
  } else {
    return absl::InvalidArgumentError("metric must be kInnerProduct or kL2");
  }
  if (const auto* hnsw = dynamic_cast<const faiss::IndexHNSWFlat*>(index)) {
    DPKDE_RETURN_IF_ERROR(CheckGraph(hnsw->hnsw, index->ntotal));
    options.kind = Kind::kHnsw;
    options.hnsw_neighbors = hnsw->hnsw.nb_neighbors(0) / 2;
    options.ef_construction = hnsw->hnsw.efConstruction;
    options.ef_search = hnsw->hnsw.efSearch;
  }
  DPKDE_RETURN_IF_ERROR(CheckOptions(options));
  DPKDE_RETURN_IF_ERROR(
      CheckRows("vector", {vectors->get_xb(), static_cast<size_t>(vectors->ntotal), static_cast<size_t>(vectors->d)}));
  return options;
}

}  // namespace

absl::StatusOr<VectorIndex> VectorIndex::Build(MatrixView vectors, const VectorIndexOptions& options, int threads) {
  DPKDE_RETURN_IF_ERROR(CheckOptions(options));
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", vectors.columns, 1, kMaxDimension));
  DPKDE_ASSIGN_OR_RETURN(const int thread_count, ThreadCount(threads));
  if (options.kind == Kind::kHnsw) {
    DPKDE_RETURN_IF_ERROR(
        CheckInRange("number of vectors", vectors.rows, 0, std::numeric_limits<faiss::HNSW::storage_idx_t>::max()));
  }
  DPKDE_RETURN_IF_ERROR(CheckRows("vector", vectors));

  return CatchExceptions(absl::StatusCode::kInternal, [&]() -> absl::StatusOr<VectorIndex> {
    const faiss::MetricType metric =
        options.metric == Metric::kInnerProduct ? faiss::METRIC_INNER_PRODUCT : faiss::METRIC_L2;
    const int d = static_cast<int>(vectors.columns);
    std::unique_ptr<faiss::Index> index;
    if (options.kind == Kind::kFlat) {
      index = std::make_unique<faiss::IndexFlat>(d, metric);
    } else {
      auto graph = std::make_unique<faiss::IndexHNSWFlat>(d, options.hnsw_neighbors, metric);
      graph->hnsw.efConstruction = options.ef_construction;
      graph->hnsw.efSearch = options.ef_search;
      index = std::move(graph);
    }
    ScopedOmpThreads scoped_threads(thread_count);
    if (vectors.rows > 0) index->add(vectors.rows, vectors.data);
    return VectorIndex(std::move(index), options);
  });
}

absl::StatusOr<VectorIndex> VectorIndex::Deserialize(absl::string_view bytes) {
  DPKDE_ASSIGN_OR_RETURN(const Envelope envelope, OpenEnvelope(kFileKind, kFileVersion, bytes));
  return CatchExceptions(absl::StatusCode::kDataLoss, [&]() -> absl::StatusOr<VectorIndex> {
    StringReader reader(envelope.payload);
    std::unique_ptr<faiss::Index> index(faiss::read_index(&reader));
    if (!reader.at_end()) return absl::DataLossError("has more bytes than its index");
    absl::StatusOr<VectorIndexOptions> options = CheckLoaded(index.get());
    if (!options.ok()) {
      return absl::DataLossError(absl::StrCat("holds no usable index: ", options.status().message()));
    }
    return VectorIndex(std::move(index), *options);
  });
}

VectorIndex::VectorIndex(std::unique_ptr<const faiss::Index> index, const VectorIndexOptions& options)
    : index_(std::move(index)), options_(options) {}
VectorIndex::VectorIndex(VectorIndex&&) noexcept = default;
VectorIndex& VectorIndex::operator=(VectorIndex&&) noexcept = default;
VectorIndex::~VectorIndex() = default;

absl::StatusOr<VectorSearchResult> VectorIndex::Search(MatrixView queries, int64_t k,
                                                       const VectorSearchOptions& options) const {
  DPKDE_RETURN_IF_ERROR(CheckInRange("k", k, 1, std::numeric_limits<int32_t>::max()));
  const int ef_search = options.ef_search.value_or(options_.ef_search);
  DPKDE_RETURN_IF_ERROR(CheckInRange("ef_search", ef_search, 1, kMaxEf));
  DPKDE_ASSIGN_OR_RETURN(const int threads, ThreadCount(options.threads));
  if (queries.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("queries must have the index's dimension, ", dimension(), ", but have ", queries.columns));
  }
  DPKDE_RETURN_IF_ERROR(CheckRows("query", queries));

  return CatchExceptions(absl::StatusCode::kInternal, [&]() -> absl::StatusOr<VectorSearchResult> {
    VectorSearchResult result;
    result.queries = queries.rows;
    result.k = k;
    if (queries.rows > result.ids.max_size() / result.k) throw std::bad_alloc();
    result.ids.resize(queries.rows * result.k, -1);
    result.scores.resize(queries.rows * result.k,
                         (options_.metric == Metric::kInnerProduct ? -1 : 1) * std::numeric_limits<float>::infinity());
    if (queries.rows == 0 || size() == 0) return result;
    if (options_.kind == Kind::kFlat) {
      SearchFlat(*Vectors(index_.get()), queries, options_.metric, threads, &result);
    } else {
      SearchHnsw(dynamic_cast<const faiss::IndexHNSWFlat&>(*index_), queries, options_.metric, ef_search, threads,
                 &result);
    }
    return result;
  });
}

absl::StatusOr<std::string> VectorIndex::Serialize() const {
  return CatchExceptions(absl::StatusCode::kInternal, [&]() -> absl::StatusOr<std::string> {
    StringWriter writer;
    faiss::write_index(index_.get(), &writer);
    return SealEnvelope(kFileKind, kFileVersion, writer.bytes);
  });
}

size_t VectorIndex::size() const { return index_->ntotal; }
size_t VectorIndex::dimension() const { return index_->d; }

}  // namespace dpkde
