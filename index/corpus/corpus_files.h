#ifndef DPKDE_INDEX_CORPUS_CORPUS_FILES_H_
#define DPKDE_INDEX_CORPUS_CORPUS_FILES_H_

#include <string>

#include "absl/status/statusor.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/io/vector_reader.h"

// Token sets and single vectors from the files that users have, whole into memory. Ids: ReadIds() of
// dpkde/io/list_reader.h.

namespace dpkde {

// `tokens`: the tokens of all sets in order, one a row, in any format of VectorReader (`options` are for it); or an .npy
// of n x t x d, a set of up to t tokens for each n, of which those beyond its length are padding and not read. `lens`:
// how many belong to each set, in any format of ReadIntegers() (`lens_options`), a single column; 0 is an empty set.
//
// Errors begin with a path, and name row and column where there is one. kInvalidArgument: what VectorReader and
// ReadIntegers() refuse, NaN among it; a negative length; lengths that do not add up to the tokens. kDataLoss,
// kNotFound, kUnavailable: as there.
absl::StatusOr<TokenSets> ReadTokenSets(const std::string& tokens, const std::string& lens,
                                        const VectorReaderOptions& options = {},
                                        const ListOptions& lens_options = {});

// Every row a set of one token.
absl::StatusOr<TokenSets> ReadSingleVectors(const std::string& path, const VectorReaderOptions& options = {});

// The rows that `reader` has left.
absl::StatusOr<TokenSets> ReadSingleVectors(VectorReader& reader);

}  // namespace dpkde

#endif  // DPKDE_INDEX_CORPUS_CORPUS_FILES_H_
