#ifndef DPKDE_INDEX_CORPUS_INDEX_DIRECTORY_H_
#define DPKDE_INDEX_CORPUS_INDEX_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// The documents of an index directory, and what the parts above keep with them, as of one moment.
//
//   absl::StatusOr<IndexDirectory> index = IndexDirectory::Open("wordnet.index");
//   for (uint64_t row = 0; row < index->rows(); ++row) {
//     if (!index->removed(row)) Use(index->id(row), index->tokens(row));
//   }
//
// Guarantee. The directory holds immutable files and one MANIFEST, which names them with sizes and SHA-256 and is
// replaced by rename: a reader sees the state before a change or after it, never a mixture, whatever instant the writer
// is killed at. An open reader keeps its state (and the disk space of its files) for as long as it lives. Readers take
// no lock and wait for nobody; changes go through IndexWriter (index_writer.h).
//
// Rows are documents in the order in which they were added. A removed document keeps its row until the index is
// compacted; ids stay for ever.
//
// Complexity. Files are mapped, not read: memory is what is touched. Open() reads what Verify says.
//
// Immutable, so safe for any number of threads. Moving keeps views valid.
//
// Not to rely on: the SHA-256 guard against accidents, not against forgers; take indexes from where you would take
// programs from.
class IndexDirectory {
 public:
  enum class Verify {
    // Checksums of manifest, ids, offsets and removals, the sizes of all files, that every id is one (CheckDocumentId) and
    // that no two documents which are not removed have the same. Tokens are not looked at: verify them before use.
    kMetadata,
    // Every byte, tokens and blobs included; all tokens are finite and of squared norms that keep products finite.
    kAll,
  };

  // kNotFound if there is no directory, or no MANIFEST in it. kDataLoss if a file is missing, damaged or inconsistent;
  // kFailedPrecondition if it was written by a newer version. Every error names a file.
  static absl::StatusOr<IndexDirectory> Open(const std::string& path, Verify verify = Verify::kAll);

  // The manifest alone: what the directory holds, from one small file.
  static absl::StatusOr<proto::IndexManifest> ReadManifest(const std::string& path);

  IndexDirectory(IndexDirectory&&) noexcept;
  IndexDirectory& operator=(IndexDirectory&&) noexcept;
  ~IndexDirectory();

  const std::string& path() const;
  const proto::IndexManifest& manifest() const;
  TokenFormat token_format() const;
  size_t dimension() const;  // of a token

  // What single vectors are stored relative to, a value a coordinate (IndexConfig.origin); empty: 0.
  absl::Span<const double> origin() const;

  // All rows, removed ones included.
  uint64_t rows() const;
  uint64_t live_rows() const { return rows() - manifest().removed_documents(); }
  bool removed(uint64_t row) const;

  absl::string_view id(uint64_t row) const;
  StoredTokens tokens(uint64_t row) const;  // relative to origin()

  // Appends the tokens of a document less `shift` (a value a coordinate; empty: 0): stored value plus origin() less
  // shift, in double, rounded once. Returns how many there are.
  size_t AppendTokens(uint64_t row, absl::Span<const double> shift, std::vector<float>* out) const;

  // The row of a document that is not removed.
  absl::optional<uint64_t> Find(absl::string_view id) const;

  // What was kept under this name (IndexWriter::SetBlob), aligned to a page; nullopt if nothing was.
  absl::optional<absl::string_view> blob(absl::string_view name) const;

 private:
  friend class IndexWriter;
  struct State;

  explicit IndexDirectory(std::unique_ptr<const State> state);

  // Checksums and values of all tokens. For IndexWriter, which must not seal damaged ones anew.
  absl::Status VerifyTokens() const;

  std::unique_ptr<const State> state_;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_CORPUS_INDEX_DIRECTORY_H_
