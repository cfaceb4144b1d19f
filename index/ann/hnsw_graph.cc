#include "dpkde/index/ann/hnsw_graph.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/HNSW.h>
#include <faiss/utils/Heap.h>
#include <faiss/utils/distances.h>

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

}  // namespace

HnswGraph::HnswGraph(int neighbors, int ef_construction)
    : ef_construction_(ef_construction), hnsw_(std::make_unique<faiss::HNSW>(neighbors)) {}
HnswGraph::HnswGraph(HnswGraph&&) noexcept = default;
HnswGraph& HnswGraph::operator=(HnswGraph&&) noexcept = default;
HnswGraph::~HnswGraph() = default;

size_t HnswGraph::size() const { return hnsw_->levels.size(); }

void HnswGraph::Add(MatrixView vectors, bool inner_product) {
  const size_t before = size(), d = vectors.columns, width = d + inner_product;
  if (vectors.rows == before) return;
  std::vector<float> longer;
  const float* data = vectors.data;
  if (inner_product) {
    std::vector<float> squares(vectors.rows);
    faiss::fvec_norms_L2sqr(squares.data(), vectors.data, d, vectors.rows);
    const float largest = *std::max_element(squares.begin(), squares.end());
    longer.reserve(vectors.rows * width);
    for (size_t i = 0; i < vectors.rows; ++i) {
      longer.insert(longer.end(), vectors.row(i).begin(), vectors.row(i).end());
      longer.push_back(std::sqrt(largest - squares[i]));
    }
    data = longer.data();
  }
  faiss::IndexHNSWFlat index(static_cast<int>(width), hnsw_->nb_neighbors(1), faiss::METRIC_L2);
  index.hnsw = std::move(*hnsw_);
  index.hnsw.efConstruction = ef_construction_;
  if (before > 0) index.storage->add(before, data);
  index.ntotal = before;
  index.add(vectors.rows - before, data + before * width);
  *hnsw_ = std::move(index.hnsw);
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
