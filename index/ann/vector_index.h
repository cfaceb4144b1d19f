#ifndef DPKDE_INDEX_ANN_VECTOR_INDEX_H_
#define DPKDE_INDEX_ANN_VECTOR_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "dpkde/base/matrix_view.h"

namespace faiss {
struct Index;
}  // namespace faiss

namespace dpkde {

// What an index is; fixed when it is built, and stored with it. No option has a privacy effect: an index holds public
// vectors, in the clear.
struct VectorIndexOptions {
  enum class Kind {
    kFlat,  // compares a query with every vector: exact
    kHnsw,  // walks a graph of near neighbours (Malkov & Yashunin, arXiv 1603.09320): approximate
  };
  enum class Metric {
    kInnerProduct,  // score <query, vector>, the largest first
    kL2,            // score ||query - vector||^2, squared, the smallest first
  };

  Kind kind = Kind::kFlat;

  // On a graph, raw inner products of vectors whose norms differ much can leave parts of the corpus out of reach.
  // For kHnsw prefer kL2, of vectors of equal norm (normalised, or with one coordinate appended).
  Metric metric = Metric::kInnerProduct;

  // kHnsw only. Neighbours kept per vector, twice as many on the lowest level: 2 to 512. More: better recall on hard
  // data, 8 bytes a neighbour and vector.
  int hnsw_neighbors = 32;

  // kHnsw only. Candidates considered when a vector is linked: 1 to 1,000,000. More: better graph, slower build.
  int ef_construction = 200;

  // kHnsw only. SearchOptions::ef_search where a search does not give one: 1 to 1,000,000.
  int ef_search = 64;
};

struct VectorSearchOptions {
  // kHnsw only (kFlat ignores it). Candidates kept while the graph is walked, never fewer than k: 1 to 1,000,000. More:
  // better recall, slower. Unset: the index's own ef_search.
  absl::optional<int> ef_search;

  // Threads, the caller included: 1 to 1024; 0: as many as the process has CPUs. The result does not depend on it.
  int threads = 0;
};

// The k best vectors of each query, row-major (queries x k). Where fewer were found (k exceeds the size of the index,
// or the graph did not lead to enough), the rest of a query's row has id -1 and the score of "infinitely far": minus
// infinity for inner products, plus infinity for distances.
struct VectorSearchResult {
  size_t queries = 0;
  size_t k = 0;
  std::vector<int64_t> ids;   // rows of the matrix that was indexed, in [0, size()), or -1
  std::vector<float> scores;  // best first; equal scores in the order of their ids
};

// Vectors, arranged so that those near to a query are found quickly.
//
//   VectorIndexOptions options;
//   options.metric = VectorIndexOptions::Metric::kL2;
//   absl::StatusOr<VectorIndex> index = VectorIndex::Build(vectors, options);
//   absl::StatusOr<VectorSearchResult> result = index->Search(queries, 10);
//   int64_t best = result->ids[query * 10];
//
// Guarantees. kFlat is exact up to the rounding of float32 sums, and where scores are equal, the k best are those of
// the lowest rows. A query has the same answer, bit for bit, whatever other queries stand beside it and whatever the
// number of threads, and equal vectors have equal scores (no BLAS is involved). kHnsw promises no recall: measure it on
// your data (letter recognition, 16-d, defaults: recall@10 of at least 0.95 is tested).
//
// Complexity, for n vectors of dimension d. kFlat: 4nd bytes, a query O(nd). kHnsw: 4nd + 8n * hnsw_neighbors bytes, a
// query about O(d * ef_search * hnsw_neighbors), a build n times that with ef_construction; each thread of a search
// needs n bytes more while it runs.
//
// Immutable, and so safe for any number of threads. A search starts OpenMP threads unless it runs on one: a service
// whose own threads serve queries sets threads = 1.
//
// Not to rely on: that a graph built by several threads is the same the next time (by one thread it is); that ids
// survive a rebuild from other rows; that the serialised form is FAISS's own; and that running out of memory while
// FAISS builds a graph is reported: inside FAISS's parallel loops it ends the process. Anywhere else it is
// kResourceExhausted.
class VectorIndex {
 public:
  // Copies `vectors`: n x d, row-major; n = 0 is an index that finds nothing, and d is 1 to 65,536. Every value must be
  // finite and every squared norm at most 1e37, which keeps every score finite; kInvalidArgument otherwise.
  //
  // `threads`: as in VectorSearchOptions; matters for kHnsw only.
  static absl::StatusOr<VectorIndex> Build(MatrixView vectors, const VectorIndexOptions& options, int threads = 0);

  // An index from the bytes of Serialize(). Damage of any kind, and contents that Build() would refuse or never make,
  // are kDataLoss; a version newer than this code is kFailedPrecondition. The checksum guards against accidents, not
  // against forgers: take index files from where you would take programs from.
  static absl::StatusOr<VectorIndex> Deserialize(absl::string_view bytes);

  VectorIndex(VectorIndex&&) noexcept;
  VectorIndex& operator=(VectorIndex&&) noexcept;
  ~VectorIndex();

  // `queries`: rows x dimension(), row-major; the same conditions as for vectors. 1 <= k < 2^31; the result takes 12
  // bytes for each of rows * k, however small the index is.
  absl::StatusOr<VectorSearchResult> Search(MatrixView queries, int64_t k,
                                            const VectorSearchOptions& options = {}) const;

  // The same bytes from the same index.
  absl::StatusOr<std::string> Serialize() const;

  size_t size() const;
  size_t dimension() const;
  const VectorIndexOptions& options() const { return options_; }

 private:
  VectorIndex(std::unique_ptr<const faiss::Index> index, const VectorIndexOptions& options);

  std::unique_ptr<const faiss::Index> index_;
  VectorIndexOptions options_;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_ANN_VECTOR_INDEX_H_
