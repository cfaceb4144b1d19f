#ifndef DPKDE_INDEX_ANN_VECTOR_INDEX_H_
#define DPKDE_INDEX_ANN_VECTOR_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/index/ann/row_set.h"
#include "dpkde/index/ann/vector_index_options.h"

namespace dpkde {

struct VectorSearchOptions {
  // kHnsw only (other kinds ignore it). Candidates kept while the graph is walked, never fewer than k: 1 to 1,000,000.
  // More: better recall, slower. Unset: the index's own ef_search.
  absl::optional<int> ef_search;

  // kIvf only. Lists that are scanned: 1 to 65,536. More: better recall, slower. Unset: the index's own ivf_probe.
  absl::optional<int> ivf_probe;

  // kPq4 only. The best rescore * k of the scan, whose tables are rounded to 7 bits or less, are scored again by
  // float32 tables: 1 to 1000. Unset: the index's own rescore.
  absl::optional<int> rescore;

  // Only these rows are found; of the index's size. Unset: all.
  const RowSet* allowed = nullptr;

  // Threads, the caller included: 1 to 1024; 0: as many as the process has CPUs. The result does not depend on it.
  int threads = 0;
};

// The k best vectors of each query, row-major (queries x k). Where the index, or VectorSearchOptions::allowed, has
// fewer, the rest of a query's row has id -1 and the score of "infinitely far": minus infinity for inner products and
// cosines, plus infinity for distances.
struct VectorSearchResult {
  size_t queries = 0;
  size_t k = 0;
  std::vector<int64_t> ids;   // in [0, size()), or -1
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
// The row of a vector is the number of those that were added before it.
//
// Guarantees. kFlat of kFloat32 is exact up to the rounding of float32 sums. kFlat of other codes is exact for the
// vectors that the codes stand for (kPq4: as far as rescoring reaches). Where scores are equal, the lowest rows win. A
// query has the same answer, bit for bit, whatever other queries stand beside it, whatever the number of threads and
// whatever the CPU, and equal codes have equal scores. kIvf and kHnsw promise no recall: measure it on your data. But
// every kind finds min(k, allowed rows) rows, scanning the rest where lists or graph lead to fewer.
//
// Learning. Any codes but kFloat32, and kIvf, learn from the first vectors. An index of fewer than 1,024 rows (or of 4
// for each of ivf_lists) keeps float32 and scans; the Add() that takes it there makes it what its options say. So an
// empty index of any kind is valid. What was learnt stays; where later vectors differ much, build anew.
//
// Complexity, for n vectors of dimension d. A scan costs O(bytes of codes). kHnsw takes 8n * hnsw_neighbors bytes more,
// a query about O(d * ef_search * hnsw_neighbors), a build n times that with ef_construction; each thread of a search
// needs n bytes while it runs. kIvf takes 12n bytes more; of float32 or int8 codes, more than 8 queries of one call go
// through the lists together, at a few times the speed of one by one. Building and adding need 4nd bytes while they
// run, for kHnsw twice that.
//
// Const methods are safe for any number of threads. A search starts threads of its own unless it runs on one: a service
// whose own threads serve queries sets threads = 1.
//
// Not to rely on: that what several threads have built is the same the next time (by one thread it is); that ids
// survive a rebuild from other rows. Running out of memory is kResourceExhausted.
class VectorIndex {
 public:
  // Copies `vectors`: n x d, row-major; n = 0 is an index that finds nothing, and d is 1 to 65,536. Every value must be
  // finite and every squared norm at most 1e37, which keeps every score finite; kInvalidArgument otherwise.
  //
  // `threads`: as in VectorSearchOptions; matters for what learns, and for kHnsw.
  static absl::StatusOr<VectorIndex> Build(MatrixView vectors, const VectorIndexOptions& options, int threads = 0);

  // An index from the bytes of Serialize(). Damage of any kind, and contents that Build() would refuse or never make,
  // are kDataLoss; a version newer than this code is kFailedPrecondition. Nothing but the checksum is read of bytes
  // that fail it. It guards against accidents, not against forgers: take index files from where you would take programs
  // from.
  static absl::StatusOr<VectorIndex> Deserialize(absl::string_view bytes);

  VectorIndex(VectorIndex&&) noexcept;
  VectorIndex& operator=(VectorIndex&&) noexcept;
  ~VectorIndex();

  // Appends vectors, under the conditions of Build(). After kInvalidArgument the index is as before; after any other
  // error it must be discarded. A graph decodes its codes to link the new ones: O(nd) besides the search for each.
  absl::Status Add(MatrixView vectors, int threads = 0);

  // `queries`: rows x dimension(), row-major; the same conditions as for vectors. 1 <= k < 2^31; the result takes 12
  // bytes for each of rows * k, however small the index is.
  absl::StatusOr<VectorSearchResult> Search(MatrixView queries, int64_t k,
                                            const VectorSearchOptions& options = {}) const;

  // The same bytes from the same index.
  absl::StatusOr<std::string> Serialize() const;

  size_t size() const;
  size_t dimension() const;
  const VectorIndexOptions& options() const;

  // Of codes, lists and graph, without what does not grow with the rows (centroids, centres).
  size_t bytes_of_rows() const;

  // Rows that the graph leads to from nowhere and that every search compares one by one; 0 for other kinds.
  size_t unreachable_rows() const;

 private:
  struct State;
  explicit VectorIndex(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_ANN_VECTOR_INDEX_H_
