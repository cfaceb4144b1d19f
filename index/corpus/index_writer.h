#ifndef DPKDE_INDEX_CORPUS_INDEX_WRITER_H_
#define DPKDE_INDEX_CORPUS_INDEX_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// One change of an index directory: all of it, or nothing.
//
//   DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<IndexWriter> writer, IndexWriter::Open(path));
//   DPKDE_RETURN_IF_ERROR(writer->Remove({"old", "older"}));
//   DPKDE_RETURN_IF_ERROR(writer->Add(documents, ids));   // any number of batches; "old" may be added again
//   DPKDE_RETURN_IF_ERROR(writer->SetBlob("ann", bytes));
//   DPKDE_RETURN_IF_ERROR(writer->Commit());
//
// Guarantee. Nobody sees anything of it before Commit(), which is durable when it returns. A process that is killed, or
// a writer that is destroyed without Commit(), leaves the directory in its old state; what it left behind is deleted by
// the next writer. At most one writer has the directory at a time (flock on its file LOCK, which the system releases
// when a process ends); readers are never kept waiting. The same calls make the same bytes.
//
// An error of Add(), Remove() or SetBlob() about its arguments (kInvalidArgument, kNotFound, kAlreadyExists) changes
// nothing, and the writer may go on. After any other error, only destroy it.
//
// Complexity. Tokens go to the disk as they are added: memory is 8 bytes and an id a document, and a hash of the ids.
// Adding and removing cost what is added, and O(rows) for the ids; tokens that are there already are not touched.
//
// Files are as readable as the umask of the process admits, since an index is public. Signals that end the process
// remove what is not committed (dpkde/io/temporary_names.h).
//
// Not thread-safe.
class IndexWriter {
 public:
  // A new index, empty so far: its directory is made, or must hold nothing but what an interrupted writer left behind.
  // With `overwrite` an index that is there is replaced by Commit(); of other directories nothing is ever touched.
  // kAlreadyExists otherwise. `tokens`: a format and a dimension, kInvalidArgument if out of range. `wait`: as Open().
  static absl::StatusOr<std::unique_ptr<IndexWriter>> Create(const std::string& path,
                                                             const proto::TokenStoreSpec& tokens, bool overwrite,
                                                             absl::Duration wait = absl::ZeroDuration());

  // A change of the index at `path`; kNotFound if there is none, otherwise errors as of IndexDirectory::Open() with
  // kMetadata. kUnavailable if another writer has it for `wait` from now.
  static absl::StatusOr<std::unique_ptr<IndexWriter>> Open(const std::string& path,
                                                           absl::Duration wait = absl::ZeroDuration());

  ~IndexWriter();
  IndexWriter(const IndexWriter&) = delete;
  IndexWriter& operator=(const IndexWriter&) = delete;

  // The state before the change; null if this is a new index. Add(), Remove() and Compact() do not show in it.
  const IndexDirectory* index() const;

  // Rows after the change: those of index(), or what Compact() left of them, and what was added, in this order.
  uint64_t rows() const;

  // Of the state after the change. All but `tokens` may be changed.
  proto::IndexConfig& config();

  // Adds documents in order. `ids`: one a document, which no live document has; empty: the number of documents that
  // were ever added before, in decimal (so the row number in an index that nothing was removed from).
  //
  // kInvalidArgument, naming document, token and coordinate: another dimension, a value that is not finite or too
  // large for the format, a squared norm above 1e37, an id that CheckDocumentId() refuses; with
  // TokenStoreSpec.single_vectors, a document of more or fewer than one token. kAlreadyExists: an id that is there, or
  // twice in `ids`.
  absl::Status Add(TokenSetsView documents, absl::Span<const std::string> ids);

  // Removes documents of index(). kNotFound: an id that it does not have, or that is removed already; kInvalidArgument:
  // twice in `ids`.
  absl::Status Remove(absl::Span<const std::string> ids);

  // Rewrites the index: what is removed goes for good, tokens are copied as they are stored, rows are numbered anew in
  // the old order, and everything becomes one segment. Not after Add(). Blobs stay, so set those that depend on rows.
  // kDataLoss if tokens are damaged.
  absl::Status Compact();

  // Keeps `bytes` under a name (IsIndexBlobName: a-z and _) instead of what was there.
  absl::Status SetBlob(absl::string_view name, absl::string_view bytes);

  // To be called once, as the last.
  absl::Status Commit();

 private:
  struct State;

  explicit IndexWriter(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_CORPUS_INDEX_WRITER_H_
