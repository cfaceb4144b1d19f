#ifndef DPKDE_INDEX_ENCODING_CANDIDATE_RECALL_H_
#define DPKDE_INDEX_ENCODING_CANDIDATE_RECALL_H_

#include <cstddef>

#include "absl/types/span.h"

namespace dpkde {

// An exact score that is less than the k-th best by no more than this share of it counts as one of the k best: equal
// documents may differ by rounding.
inline constexpr float kRecallTolerance = 1e-6f;

// The share of the `k` documents with the best exact scores that are among the `candidates` with the best estimates,
// the mean over queries: min(k, number of candidates whose exact score is at least the k-th best less that) / k. Candidates of equal estimates are taken in the order of their rows. `estimates` and `exact` are queries x
// documents, row-major. k and candidates are cut to the number of documents. 1 without queries or documents.
double CandidateRecall(absl::Span<const float> estimates, absl::Span<const float> exact, size_t queries, size_t k,
                       size_t candidates);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_CANDIDATE_RECALL_H_
