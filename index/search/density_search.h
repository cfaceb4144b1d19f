#ifndef DPKDE_INDEX_SEARCH_DENSITY_SEARCH_H_
#define DPKDE_INDEX_SEARCH_DENSITY_SEARCH_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/maxsim/maxsim.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/sketch/release.h"

namespace dpkde {

// What stands for a document of several tokens. A document of a single vector is that vector.
enum class DensityOf {
  kTokens,  // the mean of its tokens' densities
  kPooled,  // the density of the mean of its tokens
};

// How similar a public document is to private records, by a release of them.
struct DocumentDensity {
  // The mean similarity of the document and the records, sum / max(count, 1) of the release; minus that for distances,
  // so that larger is always nearer. Minus infinity for a document without tokens.
  //
  // With a background: sum / c less the mean similarity to the background. For kernels and distances c is the number
  // that makes this 0 on the average over the background itself, since the count that is released has far more noise
  // than sums have (it gets 1 % of epsilon), and an error of c would weigh more than what tells documents apart.
  double value = 0;
  // Standard deviation of the noise of the sum in it; for a mean over tokens an upper bound, since their noise is
  // shared. That of the count scales all documents alike.
  double std_error = 0;
};

// Densities of the documents of an index.
//
//   DPKDE_ASSIGN_OR_RETURN(const DocumentDensities densities,
//                          DocumentDensities::Create(directory, release, DensityOf::kPooled, background.view(), pool));
//   DPKDE_RETURN_IF_ERROR(densities.Of(rows, pool, absl::MakeSpan(values)));
//
// Post-processing of the release and of public vectors: no privacy effect, nothing is drawn, and equal rows have equal
// densities. Note what the records of the release are: to be compared with tokens they are tokens, each a row with the
// guarantee of a row; pooled vectors are one row a private document.
//
// Complexity: a query of the release for each vector, and O(background * dimension). Thread-safe.
class DocumentDensities {
 public:
  // All must outlive it. `background`: public vectors of the same kind less release.origin() (BackgroundVectors); none: no
  // background.
  // kInvalidArgument: the release has another dimension than the index, signed weights, whose mean means nothing, or no
  // answer for a background vector.
  static absl::StatusOr<DocumentDensities> Create(const IndexDirectory& directory, const Release& release, DensityOf of,
                                                  MatrixView background, ThreadPool& pool);

  // One a row, removed ones included. kInvalidArgument, naming the document, where the release has no answer (outside
  // the domain of some designs).
  absl::Status Of(absl::Span<const uint64_t> rows, ThreadPool& pool, absl::Span<DocumentDensity> densities) const;

 private:
  DocumentDensities(const IndexDirectory& directory, const Release& release, DensityOf of, MatrixView background,
                    double count)
      : directory_(&directory), release_(&release), of_(of), background_(background), count_(count) {}

  const IndexDirectory* directory_;
  const Release* release_;
  DensityOf of_;
  MatrixView background_;
  double count_;  // that sums are divided by
};

// What stands for the documents of an index, as `of` says, one row each: of at most `documents` of those that are not
// removed and have tokens, drawn by the seed; for kTokens one token of each, drawn too. Row-major, the index's
// dimension, less `origin` (a value a coordinate; empty: 0).
std::vector<float> BackgroundVectors(const IndexDirectory& directory, DensityOf of, size_t documents,
                                     uint64_t public_seed, absl::Span<const double> origin = {});

struct DensityOptions {
  // In [0, 1]. A result's score is (1 - weight) s + weight * density, the largest first, equal scores ordered by row. s
  // is the search's score: for token sets the Chamfer similarity divided by the query's tokens, for L2 minus the
  // squared distance. With weight 0 scores and order are the search's own, and density only filters.
  double weight = 0.5;
  // Documents of less density are no results.
  absl::optional<double> least;
};

struct DensityHit {
  uint64_t row = 0;
  double score = 0;
  double search_score = 0;
  DocumentDensity density;
  std::vector<TokenMatch> matches;  // SearchOptions::explain, token sets only
};

// A search whose hits are reranked or filtered by their densities: among all documents that the search scores
// (SearchOptions::rerank, or candidates), the k best by the combined score. Fewer than k if fewer are dense enough. A
// score depends on query, document, release and options alone, not on the other candidates. Each document's density is
// computed once.
absl::StatusOr<std::vector<std::vector<DensityHit>>> SearchByDensity(
    const Searcher& searcher, const DocumentDensities& densities, TokenSetsView queries, const SearchOptions& options,
    const DensityOptions& density_options, ThreadPool& pool);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_DENSITY_SEARCH_H_
