#ifndef DPKDE_INDEX_SEARCH_INDEX_CHANGES_H_
#define DPKDE_INDEX_SEARCH_INDEX_CHANGES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/encoding/encoder.h"
#include "dpkde/proto/index.pb.h"

// Changes of an index directory that keep documents, encoder and vectors together. Each is all or nothing, whatever
// instant the process is killed at (index/corpus/index_writer.h has the guarantee and the errors).
//
// `wait`: how long to wait for another writer of the index.
//
// What search needs lies in the directory as two blobs: "encoder" (Encoder::Serialize) and "vectors"
// (VectorIndex::Serialize), whose row i is the directory's row i.

namespace dpkde {

// Builds an index of `documents` at `path`. Row i is document i.
//
// `config`: tokens, vector_index and origin; zeros mean defaults (tokens of the documents' dimension in the format of
// ChooseTokenFormat(); VectorIndexOptions; no origin). Documents are relative to the origin. With tokens.single_vectors `encoder` is null, a document's only token is its vector, and
// vector_index.metric is what a search compares by. Otherwise `encoder` makes the vectors, their metric is the inner
// product, and documents are ranked by exact Chamfer similarity.
//
// By a pool of one thread the same call makes the same bytes.
absl::Status BuildIndex(const std::string& path, TokenSetsView documents, absl::Span<const std::string> ids,
                        const proto::IndexConfig& config, const Encoder* encoder, bool overwrite, ThreadPool& pool,
                        absl::Duration wait = absl::ZeroDuration());

// Adds documents, encoded by the index's own encoder. `origin`: what they are relative to. kFailedPrecondition if that is
// not the index's, unless the index never had a document, whose first ones then decide it.
absl::Status AddDocuments(const std::string& path, TokenSetsView documents, absl::Span<const std::string> ids,
                          ThreadPool& pool, absl::Span<const double> origin = {},
                          absl::Duration wait = absl::ZeroDuration());

// Removes documents by id. Their rows stay, unseen, until CompactIndex().
absl::Status RemoveDocuments(const std::string& path, absl::Span<const std::string> ids,
                             absl::Duration wait = absl::ZeroDuration());

// Drops removed documents, numbers rows anew and rebuilds the vectors from the tokens as they are stored: codes, lists
// and graph are learnt again, the encoder stays.
absl::Status CompactIndex(const std::string& path, ThreadPool& pool, absl::Duration wait = absl::ZeroDuration());

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_INDEX_CHANGES_H_
