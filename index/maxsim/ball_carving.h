#ifndef DPKDE_INDEX_MAXSIM_BALL_CARVING_H_
#define DPKDE_INDEX_MAXSIM_BALL_CARVING_H_

#include <vector>

#include "dpkde/base/matrix_view.h"

namespace dpkde {

// The threshold of the paper, for contextual embeddings of 32 query tokens (MUVERA, NeurIPS 2024, section 3.2). Measure
// before relying on it: on short queries of static word vectors (WordNet, 7.1 tokens) recall@10 of exact Chamfer search
// falls to 0.70 at 0.7 (5.0 tokens left), 0.91 at 0.8 and 0.999 at 0.9, and nothing is gained, since a kernel takes 16
// query tokens at a time (tests/benchmarks/maxsim_recall_benchmark).
inline constexpr double kBallCarvingCosine = 0.7;

// Fewer query tokens that score nearly the same: the first token that is left gathers all that are left whose cosine
// with it is at least `least_cosine`; each such group becomes one token, their sum. Groups stand in the order of their
// first tokens: groups x tokens.columns values, row-major.
//
// max <q1 + q2, p> <= max <q1, p> + max <q2, p>: the Chamfer score of the carved query is at most that of the whole
// one, up to rounding. `least_cosine` above 1 leaves the tokens as they are, -1 or less makes them one. The cosine with
// a token of zeros is 0. Sums are taken in double, in order. O(groups x tokens x columns).
std::vector<float> CarveBalls(MatrixView tokens, double least_cosine = kBallCarvingCosine);

}  // namespace dpkde

#endif  // DPKDE_INDEX_MAXSIM_BALL_CARVING_H_
