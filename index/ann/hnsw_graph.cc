#include "dpkde/index/ann/hnsw_graph.h"

#include <faiss/IndexFlat.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/HNSW.h>
#include <faiss/utils/Heap.h>
#include <faiss/utils/distances.h>
#include <faiss/utils/random.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/status/status.h"

namespace dpkde {
namespace {

// Distances of one query from codes.
class CodeDistanceComputer final : public faiss::DistanceComputer {
 public:
  CodeDistanceComputer(const CodeScorer& scorer, size_t query, const uint8_t* codes)
      : scorer_(scorer), query_(query), codes_(codes) {}
  void set_query(const float*) override {}
  float operator()(idx_t row) override {
    float distance;
    scorer_.Distances(query_, query_ + 1, codes_, row, row + 1, &distance);
    return distance;
  }
  float symmetric_dis(idx_t, idx_t) override { return 0; }  // a search has no use for it

 private:
  const CodeScorer& scorer_;
  const size_t query_;
  const uint8_t* const codes_;
};

// A lock for each row, for FAISS.
class RowLocks {
 public:
  explicit RowLocks(size_t rows) : locks_(rows) {
    for (omp_lock_t& lock : locks_) omp_init_lock(&lock);
  }
  ~RowLocks() {
    for (omp_lock_t& lock : locks_) omp_destroy_lock(&lock);
  }
  RowLocks(const RowLocks&) = delete;
  RowLocks& operator=(const RowLocks&) = delete;

  std::vector<omp_lock_t>& locks() { return locks_; }

  // Also those that an exception has left behind, for which others would wait for ever.
  void ReleaseAll() {
    for (omp_lock_t& lock : locks_) omp_unset_lock(&lock);
  }

 private:
  std::vector<omp_lock_t> locks_;
};

// The rows from `begin` on in the order of their linking: those of high levels first, and those of one level in random
// order, as IndexHNSW::add has them. starts[i]: where the i-th such level begins, and the end.
struct LinkingOrder {
  std::vector<int> rows;
  std::vector<size_t> starts;
};

LinkingOrder OrderOf(const faiss::HNSW& hnsw, size_t begin) {
  LinkingOrder order;
  order.starts.push_back(0);
  faiss::RandomGenerator random(789);
  for (int level = hnsw.cum_nneighbor_per_level.size(); level > 0; --level) {
    for (size_t row = begin; row < hnsw.levels.size(); ++row) {
      if (hnsw.levels[row] == level) order.rows.push_back(static_cast<int>(row));
    }
    if (order.rows.size() == order.starts.back()) continue;
    for (size_t i = order.starts.back(); i < order.rows.size(); ++i) {
      std::swap(order.rows[i], order.rows[i + random.rand_int(static_cast<int>(order.rows.size() - i))]);
    }
    order.starts.push_back(order.rows.size());
  }
  return order;
}

// Links the rows of `vectors` from `begin` on. Not IndexHNSW::add: its threads end the process when memory runs out, or
// when they cannot be started.
void LinkRows(MatrixView vectors, size_t begin, faiss::HNSW& hnsw, ThreadPool& pool) {
  faiss::IndexFlatL2 storage(static_cast<int>(vectors.columns));
  storage.add(vectors.rows, vectors.data);
  hnsw.prepare_level_tab(vectors.rows - begin);
  const LinkingOrder order = OrderOf(hnsw, begin);
  RowLocks locks(vectors.rows);
  struct Worker {
    std::unique_ptr<faiss::VisitedTable> visited;
    std::unique_ptr<faiss::DistanceComputer> distances;
  };
  std::vector<Worker> workers(pool.threads());
  for (size_t i = 0; i + 1 < order.starts.size(); ++i) {
    const size_t first = order.starts[i], count = order.starts[i + 1] - first;
    constexpr size_t kFew = 100, kTogether = 16;
    pool.ParallelFor(count, count > kFew ? kTogether : kFew, [&](size_t from, size_t to, int w) {
      Worker& worker = workers[w];
      if (worker.visited == nullptr) {
        worker.visited = std::make_unique<faiss::VisitedTable>(static_cast<int>(vectors.rows));
        worker.distances.reset(storage.get_distance_computer());
      }
      for (size_t j = first + from; j < first + to; ++j) {
        const int row = order.rows[j];
        worker.distances->set_query(vectors.row(row).data());
        try {
          hnsw.add_with_locks(*worker.distances, hnsw.levels[row] - 1, row, locks.locks(), *worker.visited);
        } catch (...) {
          locks.ReleaseAll();
          throw;
        }
      }
    });
  }
}

}  // namespace

HnswGraph::HnswGraph(int neighbors, int ef_construction)
    : ef_construction_(ef_construction), hnsw_(std::make_unique<faiss::HNSW>(neighbors)) {}
HnswGraph::HnswGraph(HnswGraph&&) noexcept = default;
HnswGraph& HnswGraph::operator=(HnswGraph&&) noexcept = default;
HnswGraph::~HnswGraph() = default;

size_t HnswGraph::size() const { return hnsw_->levels.size(); }

void HnswGraph::Add(MatrixView vectors, bool inner_product, ThreadPool& pool) {
  const size_t before = size(), d = vectors.columns, width = d + inner_product;
  if (vectors.rows == before) return;
  std::vector<float> longer;
  const float* data = vectors.data;
  if (inner_product) {
    std::vector<float> squares(vectors.rows);
    for (size_t i = 0; i < vectors.rows; ++i) squares[i] = faiss::fvec_norm_L2sqr(vectors.row(i).data(), d);
    const float largest = *std::max_element(squares.begin(), squares.end());
    longer.reserve(vectors.rows * width);
    for (size_t i = 0; i < vectors.rows; ++i) {
      longer.insert(longer.end(), vectors.row(i).begin(), vectors.row(i).end());
      longer.push_back(std::sqrt(largest - squares[i]));
    }
    data = longer.data();
  }
  hnsw_->efConstruction = ef_construction_;
  LinkRows({data, vectors.rows, width}, before, *hnsw_, pool);
  FindUnreachable();
}

void HnswGraph::FindUnreachable() {
  const size_t n = size();
  std::vector<char> seen(n, 0);
  std::vector<int32_t> open;
  if (n > 0) {
    open.push_back(hnsw_->entry_point);
    seen[hnsw_->entry_point] = 1;
  }
  while (!open.empty()) {
    size_t begin, end;
    hnsw_->neighbor_range(open.back(), 0, &begin, &end);
    open.pop_back();
    for (size_t j = begin; j < end && hnsw_->neighbors[j] >= 0; ++j) {
      const int32_t neighbor = hnsw_->neighbors[j];
      if (!seen[neighbor]) {
        seen[neighbor] = 1;
        open.push_back(neighbor);
      }
    }
  }
  unreachable_.clear();
  for (size_t i = 0; i < n; ++i) {
    if (!seen[i]) unreachable_.push_back(i);
  }
}

HnswGraph::Walker::Walker(const HnswGraph& graph)
    : graph_(graph), visited_(std::make_unique<faiss::VisitedTable>(static_cast<int>(graph.size()))) {}
HnswGraph::Walker::~Walker() = default;

// Not IndexHNSW::search: it adds to process-wide counters without a lock, its threads end the process when memory runs
// out, and in FAISS 1.7.3 a search's own efSearch does not widen its queue of candidates, which only k does.
void HnswGraph::Walker::Search(const CodeScorer& scorer, size_t query, const uint8_t* codes, size_t width,
                               std::vector<Found>* found) {
  const int64_t n = graph_.size();
  faiss::SearchParametersHNSW parameters;
  parameters.efSearch = static_cast<int>(width);
  rows_.resize(width);
  distances_.resize(width);
  faiss::maxheap_heapify(width, distances_.data(), rows_.data());
  CodeDistanceComputer computer(scorer, query, codes);
  graph_.hnsw_->search(computer, static_cast<int>(width), rows_.data(), distances_.data(), *visited_, &parameters);
  found->clear();
  for (size_t i = 0; i < width; ++i) {
    if (0 <= rows_[i] && rows_[i] < n) found->push_back({distances_[i], rows_[i]});
  }
}

std::string HnswGraph::LevelBytes() const { return std::string(hnsw_->levels.begin(), hnsw_->levels.end()); }

std::string HnswGraph::LinkBytes() const {
  return std::string(reinterpret_cast<const char*>(hnsw_->neighbors.data()),
                     hnsw_->neighbors.size() * sizeof(hnsw_->neighbors[0]));
}

int32_t HnswGraph::entry_point() const { return hnsw_->entry_point; }
size_t HnswGraph::link_count() const { return hnsw_->neighbors.size(); }

absl::StatusOr<HnswGraph> HnswGraph::Parse(int neighbors, int ef_construction, int32_t entry_point,
                                           absl::string_view levels, absl::string_view links) {
  const absl::Status damaged = absl::InvalidArgumentError("the graph is not well-formed");
  HnswGraph graph(neighbors, ef_construction);
  faiss::HNSW& hnsw = *graph.hnsw_;
  const size_t n = levels.size();
  hnsw.neighbors.resize(links.size() / sizeof(int32_t));
  std::memcpy(hnsw.neighbors.data(), links.data(), hnsw.neighbors.size() * sizeof(int32_t));
  for (const char c : levels) {
    const int level = static_cast<unsigned char>(c);
    if (level < 1 || level >= static_cast<int64_t>(hnsw.cum_nneighbor_per_level.size())) return damaged;
    hnsw.levels.push_back(level);
    hnsw.offsets.push_back(hnsw.offsets.back() + hnsw.cum_nneighbor_per_level[level]);
    hnsw.max_level = std::max(hnsw.max_level, level - 1);
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
  hnsw.entry_point = entry_point;
  if (n == 0) {
    if (entry_point != -1) return damaged;
  } else if (entry_point < 0 || entry_point >= static_cast<int64_t>(n) ||
             hnsw.levels[entry_point] != hnsw.max_level + 1) {
    return damaged;
  }
  graph.FindUnreachable();
  return graph;
}

}  // namespace dpkde
