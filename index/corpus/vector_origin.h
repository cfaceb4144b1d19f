#ifndef DPKDE_INDEX_CORPUS_VECTOR_ORIGIN_H_
#define DPKDE_INDEX_CORPUS_VECTOR_ORIGIN_H_

#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {

// A point that vectors lie around and far from 0, one value a column; empty where 0 serves as well. A column counts as
// far from 0 where its median is more than four times what nine tenths of its values differ from it. Its value is the
// median to few binary digits: float32 values less it, and whole numbers less it, are exact wherever that has as few
// digits as they had.
std::vector<double> SuggestOrigin(MatrixView vectors);

// Whether float32 resolves no thousandth of what nine tenths of some column's values differ by, since they lie so far from
// 0: of vectors less an origin that is not theirs.
bool LoseTheirDifferences(MatrixView vectors);

struct VectorsAndOrigin {
  TokenSets vectors;  // a row each, relative to the origin
  std::vector<double> origin;
};

// All rows of a reader from which nothing was read, less an origin of their own: read again, up to three times, less a
// better origin, until float32 resolves the differences of what is left. kUnavailable for what cannot be read twice and
// needs it.
absl::StatusOr<VectorsAndOrigin> ReadVectorsAndOrigin(VectorReader& reader);

}  // namespace dpkde

#endif  // DPKDE_INDEX_CORPUS_VECTOR_ORIGIN_H_
