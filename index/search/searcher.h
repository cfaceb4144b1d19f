#ifndef DPKDE_INDEX_SEARCH_SEARCHER_H_
#define DPKDE_INDEX_SEARCH_SEARCHER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/ann/row_set.h"
#include "dpkde/index/ann/vector_index.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/encoding/encoder.h"
#include "dpkde/index/maxsim/maxsim.h"

namespace dpkde {

struct SearchTimings {
  double encode_seconds = 0;
  double candidates_seconds = 0;
  double rerank_seconds = 0;  // explanations included
};

struct SearchOptions {
  // Results of a query, at least 1. Fewer where the index, or `allowed`, has fewer.
  size_t k = 10;

  // The budget of the first stage: documents that it hands on, at least k. As many as the index has, or more: the
  // search is exact.
  size_t candidates = 500;

  // The budget of the second: the best so many candidates are scored exactly, and only they can be results; at least k.
  // Unset: all candidates. 0: none, and a result's score is the first stage's.
  absl::optional<size_t> rerank;

  // Of the first stage (VectorSearchOptions).
  absl::optional<int> ef_search, ivf_probe, rescore;

  // Candidates come from here instead of the index's own vectors: the same rows, encoded by the same encoder, arranged
  // in another way. For comparisons.
  const VectorIndex* vectors = nullptr;

  // Only these rows can be results; of the index's size. Unset: all. Removed documents never are.
  const RowSet* allowed = nullptr;

  // Which document token each query token was matched with. Not for single vectors.
  bool explain = false;

  // Seconds are added here.
  SearchTimings* timings = nullptr;
};

struct SearchHit {
  uint64_t row;
  double score;
  std::vector<TokenMatch> matches;  // SearchOptions::explain; one a query token
};

// Search in an index directory: candidates by inner products of encodings, then exact scores of those.
//
//   absl::StatusOr<Searcher> searcher = Searcher::Open("wordnet.index");
//   absl::StatusOr<std::vector<std::vector<SearchHit>>> results = searcher->Search(queries, {}, pool);
//   absl::string_view best = searcher->directory().id((*results)[0][0].row);
//
// A score is the exact Chamfer similarity with the tokens as they are stored (index/maxsim), the largest first; for
// single vectors the inner product, the cosine (the largest first) or the squared L2 distance (the smallest first), in
// double (vector_scores.h; products of int8 vectors as those of token sets). Equal scores are ordered by row.
//
// Queries of an index with an origin (IndexDirectory::origin()) are given relative to it, as its documents were: the user's
// vector less the origin, subtracted in double. Scores are those of the user's vectors.
// A query without tokens scores 0 everywhere; a document without tokens scores minus infinity for every other query.
//
// A query's results depend on the query, the index and the options: not on the batch, the number of threads or the CPU.
//
// Complexity: as of VectorIndex::Search() for candidates; O(candidates * tokens of document and query * dimension) for
// exact scores. Tokens stay mapped; encoder and vectors are in memory.
//
// Immutable, so safe for any number of threads.
class Searcher {
 public:
  // Errors as of IndexDirectory::Open(); kDataLoss if encoder or vectors do not fit.
  static absl::StatusOr<Searcher> Open(const std::string& path,
                                       IndexDirectory::Verify verify = IndexDirectory::Verify::kAll);

  // One list a query, best first. kInvalidArgument: another token dimension, a value that is not finite, a single
  // vector's query of more or fewer than one token, an option out of range.
  absl::StatusOr<std::vector<std::vector<SearchHit>>> Search(TokenSetsView queries, const SearchOptions& options,
                                                             ThreadPool& pool) const;

  // Exact scores of one query with these rows, removed ones included. On the calling thread.
  absl::Status ExactScores(MatrixView query, absl::Span<const uint64_t> rows, absl::Span<double> scores) const;

  // What single vectors are compared by; the inner product for token sets.
  VectorIndexOptions::Metric metric() const;

  // Whether a larger score is better.
  bool larger_is_better() const;

  const IndexDirectory& directory() const { return directory_; }
  const VectorIndex& vectors() const { return vectors_; }
  const Encoder* encoder() const { return encoder_.get(); }  // null for single vectors

 private:
  Searcher(IndexDirectory directory, std::unique_ptr<const Encoder> encoder, VectorIndex vectors);

  absl::Status CheckQueries(TokenSetsView queries) const;

  IndexDirectory directory_;
  std::unique_ptr<const Encoder> encoder_;
  VectorIndex vectors_;
  std::unique_ptr<const RowSet> live_;  // null if nothing was removed
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_SEARCHER_H_
