#ifndef DPKDE_INDEX_ANN_HNSW_GRAPH_H_
#define DPKDE_INDEX_ANN_HNSW_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/vector_codec.h"

namespace faiss {
struct HNSW;
struct VisitedTable;
}  // namespace faiss

namespace dpkde {

// The links of a Hierarchical Navigable Small World graph (FAISS's), apart from the vectors. What FAISS throws, and
// std::bad_alloc, pass through.
class HnswGraph {
 public:
  HnswGraph(int neighbors, int ef_construction);
  HnswGraph(HnswGraph&&) noexcept;
  HnswGraph& operator=(HnswGraph&&) noexcept;
  ~HnswGraph();

  // Links `vectors`, whose first size() rows are those that are in already. `inner_product`: near is what has a large
  // inner product; the links are then those of L2 distances with one coordinate appended, sqrt(M^2 - ||x||^2), M the
  // largest norm, under which ||x - y||^2 orders as -<x, y> does for every y of no appended coordinate: a query.
  // By the threads of `pool`; by one thread always the same links. After an exception the graph is not to be used.
  void Add(MatrixView vectors, bool inner_product, ThreadPool& pool);

  size_t size() const;

  // Rows that no walk over the lowest level reaches from the entry point. A search compares them one by one.
  const std::vector<int64_t>& unreachable() const { return unreachable_; }

  // The nearest `width` rows that the walk finds, in no order.
  struct Found {
    float distance;
    int64_t row;
  };
  class Walker {  // what one thread needs; n bytes
   public:
    explicit Walker(const HnswGraph& graph);
    ~Walker();
    void Search(const CodeScorer& scorer, size_t query, const uint8_t* codes, size_t width, std::vector<Found>* found);

   private:
    const HnswGraph& graph_;
    std::unique_ptr<faiss::VisitedTable> visited_;
    std::vector<int64_t> rows_;
    std::vector<float> distances_;
  };

  // Levels, a byte a row, and links, an int32 each.
  std::string LevelBytes() const;
  std::string LinkBytes() const;
  int32_t entry_point() const;
  size_t link_count() const;

  // kInvalidArgument unless they are of a graph that Add() could have made: a walk reads without looking.
  static absl::StatusOr<HnswGraph> Parse(int neighbors, int ef_construction, int32_t entry_point,
                                         absl::string_view levels, absl::string_view links);

 private:
  void FindUnreachable();

  int ef_construction_;
  std::unique_ptr<faiss::HNSW> hnsw_;
  std::vector<int64_t> unreachable_;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_ANN_HNSW_GRAPH_H_
