#include "dpkde/index/corpus/index_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/index/corpus/document_ids.h"
#include "dpkde/index/corpus/index_layout.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"
#include "dpkde/io/temporary_names.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {
namespace {

// A batch whose longest token is shorter than the root of this: products of float32 vanish.
constexpr double kLeastSquaredNorm = 1e-28;

absl::Status SystemError(const std::string& path, absl::string_view phrase, int error_number) {
  const std::string reason = std::generic_category().message(error_number);
  return absl::UnavailableError(absl::StrCat(path, ": ", phrase, ": ", reason));
}

absl::string_view Bytes(const std::vector<uint64_t>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(uint64_t)};
}

// "document 3, token 2, column 1 (counting from 0): is nan", or of single vectors "row 3, column 1 (...".
absl::Status TokenError(const proto::TokenStoreSpec& spec, uint64_t document, uint64_t token, size_t column,
                        absl::string_view phrase) {
  const std::string place = spec.single_vectors() ? absl::StrCat("row ", document)
                                                  : absl::StrCat("document ", document, ", token ", token);
  return absl::InvalidArgumentError(absl::StrCat(place, ", column ", column, " (counting from 0): ", phrase));
}

absl::Status CheckTokens(TokenSetsView documents, const proto::TokenStoreSpec& spec) {
  const float most = spec.format() == proto::TokenStoreSpec::FLOAT16 ? kLargestFloat16 : HUGE_VALF;
  double longest = 0;
  struct {
    size_t document, token, column;
  } of_longest = {0, 0, 0};
  for (size_t document = 0; document < documents.size(); ++document) {
    const MatrixView set = documents.set(document);
    if (spec.single_vectors() && set.rows != 1) {
      return absl::InvalidArgumentError(absl::StrCat("document ", document, " (counting from 0): has ", set.rows,
                                                     " tokens, but each document of this index is a single vector"));
    }
    for (size_t token = 0; token < set.rows; ++token) {
      double squared_norm = 0;
      size_t largest = 0;  // the column
      const absl::Span<const float> row = set.row(token);
      for (size_t column = 0; column < row.size(); ++column) {
        const float value = row[column];
        if (!std::isfinite(value)) {
          return TokenError(spec, document, token, column,
                            std::isnan(value) ? "is nan"
                            : value > 0       ? "is inf"
                                              : "is -inf");
        }
        if (std::abs(value) > most) {
          return TokenError(spec, document, token, column,
                            absl::StrCat(value, " does not fit into float16, which ends at ", most,
                                         "; leave the format of tokens out, or choose FLOAT32"));
        }
        if (std::abs(value) > std::abs(row[largest])) largest = column;
        squared_norm += static_cast<double>(value) * value;
      }
      if (squared_norm > kLargestTokenSquare) {
        return TokenError(spec, document, token, largest,
                          absl::StrCat(row[largest], " makes the vector too long: squared lengths must be at most ",
                                       kLargestTokenSquare, "; scale all vectors down"));
      }
      if (squared_norm > longest) {
        longest = squared_norm;
        of_longest = {document, token, largest};
      }
    }
  }
  if (longest > 0 && longest < kLeastSquaredNorm) {
    const float value = documents.set(of_longest.document).row(of_longest.token)[of_longest.column];
    return TokenError(spec, of_longest.document, of_longest.token, of_longest.column,
                      absl::StrCat(value, " belongs to the longest vector, and products of such vectors vanish: a ",
                                   "squared length must be at least ", kLeastSquaredNorm, "; scale all vectors up"));
  }
  return absl::OkStatus();
}

// The files of a segment that is being written: tokens as they come, the rest in Finish().
class SegmentWriter {
 public:
  // The names of the files are added to `uncommitted`, which outlives the writer.
  SegmentWriter(const std::string& directory, uint64_t generation, TokenFormat format, size_t dimension,
                std::vector<TemporaryName>* uncommitted)
      : directory_(directory),
        generation_(generation),
        format_(format),
        dimension_(dimension),
        uncommitted_(uncommitted) {}

  absl::Status Start() {
    DPKDE_ASSIGN_OR_RETURN(values_, AtomicFileWriter::Create(PathOf("tokens"), /*overwrite=*/false));
    if (format_ == TokenFormat::kInt8) {
      DPKDE_ASSIGN_OR_RETURN(scales_, AtomicFileWriter::Create(PathOf("scales"), /*overwrite=*/false));
    }
    return absl::OkStatus();
  }

  uint64_t documents() const { return token_offsets_.size() - 1; }

  absl::Status Append(MatrixView tokens, absl::string_view id) {
    buffer_.clear();
    scale_buffer_.clear();
    DPKDE_RETURN_IF_ERROR(StoreTokens(format_, tokens, &buffer_, &scale_buffer_));
    return AppendBytes(tokens.rows, buffer_, scale_buffer_.data(), id);
  }

  absl::Status Append(const StoredTokens& tokens, absl::string_view id) {
    const size_t bytes = tokens.count * TokenStride(format_, dimension_);
    return AppendBytes(tokens.count, {static_cast<const char*>(tokens.values), bytes}, tokens.scales, id);
  }

  absl::Status Finish(proto::IndexSegment* segment) {
    segment->set_documents(documents());
    segment->set_tokens(token_offsets_.back());
    DPKDE_RETURN_IF_ERROR(Commit(values_.get(), "tokens", segment->mutable_values()));
    if (scales_ != nullptr) DPKDE_RETURN_IF_ERROR(Commit(scales_.get(), "scales", segment->mutable_scales()));
    DPKDE_RETURN_IF_ERROR(Write("offsets", {Bytes(token_offsets_)}, segment->mutable_offsets()));
    return Write("ids", {Bytes(id_offsets_), ids_}, segment->mutable_ids());
  }

  // Writes a whole file of this generation.
  absl::Status Write(absl::string_view kind, std::initializer_list<absl::string_view> pieces,
                     proto::StoredFile* stored) const {
    DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> writer,
                           AtomicFileWriter::Create(PathOf(kind), /*overwrite=*/false));
    for (const absl::string_view piece : pieces) DPKDE_RETURN_IF_ERROR(writer->Append(piece));
    return Commit(writer.get(), kind, stored);
  }

 private:
  std::string PathOf(absl::string_view kind) const { return IndexPath(directory_, IndexFileName(generation_, kind)); }

  absl::Status Commit(AtomicFileWriter* writer, absl::string_view kind, proto::StoredFile* stored) const {
    uncommitted_->emplace_back(AT_FDCWD, PathOf(kind));
    DPKDE_RETURN_IF_ERROR(writer->Commit());
    stored->set_name(IndexFileName(generation_, kind));
    stored->set_size(writer->size());
    stored->set_sha256(writer->sha256().data(), writer->sha256().size());
    return absl::OkStatus();
  }

  absl::Status AppendBytes(uint64_t tokens, absl::string_view values, const float* scales, absl::string_view id) {
    DPKDE_RETURN_IF_ERROR(values_->Append(values));
    if (scales_ != nullptr) {
      DPKDE_RETURN_IF_ERROR(scales_->Append({reinterpret_cast<const char*>(scales), tokens * sizeof(float)}));
    }
    token_offsets_.push_back(token_offsets_.back() + tokens);
    absl::StrAppend(&ids_, id);
    id_offsets_.push_back(ids_.size());
    return absl::OkStatus();
  }

  const std::string directory_;
  const uint64_t generation_;
  const TokenFormat format_;
  const size_t dimension_;
  std::vector<TemporaryName>* const uncommitted_;
  std::unique_ptr<AtomicFileWriter> values_, scales_;
  std::vector<uint64_t> token_offsets_ = {0};
  std::vector<uint64_t> id_offsets_ = {0};
  std::string ids_;
  std::string buffer_;
  std::vector<float> scale_buffer_;
};

// The names in a directory.
absl::StatusOr<std::vector<std::string>> Names(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (directory == nullptr) return SystemError(path, "cannot be listed", errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* const entry = readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) return SystemError(path, "cannot be listed", errno);
  return names;
}

// Whether a writer may have made it.
bool IsOurs(absl::string_view name) {
  return name == kIndexManifestName || name == kIndexLockName || IsTemporaryName(name) ||
         GenerationOfIndexFile(name).has_value();
}

}  // namespace

struct IndexWriter::State {
  std::string path;
  std::vector<TemporaryName> uncommitted;  // what a signal removes
  bool made_directory = false;
  int lock = -1;
  absl::optional<IndexDirectory> index;
  proto::IndexManifest manifest;  // after the change, but for the segment that is being written
  uint64_t kept_rows = 0;         // of index that stay in their segments
  std::unique_ptr<SegmentWriter> segment;
  std::vector<uint8_t> removed;  // a bit for each row of index; empty if none is
  std::unordered_set<std::string> added_ids;
  std::unordered_set<std::string> removed_ids;  // by this change
  bool compacted = false;
  absl::Status status;  // the first error after which nothing goes on

  ~State() {
    if (lock < 0) return;
    segment.reset();
    (void)Sweep();
    // A directory that was made for nothing.
    if (made_directory && !HasManifest()) {
      unlink(IndexPath(path, kIndexLockName).c_str());
      rmdir(path.c_str());
    }
    close(lock);
  }

  bool HasManifest() const {
    struct stat info;
    return lstat(IndexPath(path, kIndexManifestName).c_str(), &info) == 0;
  }

  // Makes the directory of a new index, or finds one that may become it.
  absl::Status MakeDirectory(bool overwrite) {
    if (mkdir(path.c_str(), 0777) == 0) {
      made_directory = true;
      return absl::OkStatus();
    }
    if (errno == ENOENT) return absl::NotFoundError(absl::StrCat(path, ": the folder that should hold it does not exist"));
    if (errno != EEXIST) return SystemError(path, "cannot be made", errno);
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return SystemError(path, "cannot be examined", errno);
    if (!S_ISDIR(info.st_mode)) return absl::AlreadyExistsError(absl::StrCat(path, ": exists and is no folder"));
    if (!HasManifest()) {
      DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(path));
      for (const std::string& name : names) {
        if (IsOurs(name)) continue;
        return absl::AlreadyExistsError(absl::StrCat(path, ": is a folder with other files, such as ", name));
      }
    } else if (!overwrite) {
      return absl::AlreadyExistsError(absl::StrCat(path, ": already holds an index"));
    }
    return absl::OkStatus();
  }

  // kAborted if the directory was deleted meanwhile, by a writer that had made it and gave up.
  absl::Status Lock(absl::Time deadline) {
    const std::string file = IndexPath(path, kIndexLockName);
    lock = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (lock < 0) return errno == ENOENT ? Deleted() : SystemError(file, "cannot be opened", errno);
    while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      const int flock_errno = errno;
      if (flock_errno == EWOULDBLOCK && absl::Now() < deadline) {
        absl::SleepFor(std::min(absl::Milliseconds(50), deadline - absl::Now()));
        continue;
      }
      Unlock();
      if (flock_errno == EWOULDBLOCK) {
        return absl::UnavailableError(absl::StrCat(path, ": is being changed by another process; try again later"));
      }
      return SystemError(file, "cannot be locked", flock_errno);
    }
    struct stat locked;
    if (fstat(lock, &locked) != 0) return SystemError(file, "cannot be examined", errno);
    if (locked.st_nlink > 0) return absl::OkStatus();
    Unlock();
    return Deleted();
  }

  void Unlock() {
    close(lock);
    lock = -1;
  }

  absl::Status Deleted() const { return absl::AbortedError(absl::StrCat(path, ": has just been deleted")); }

  // Deletes what no manifest names: leftovers of writers that were killed, and files that a change has replaced. With a
  // manifest that cannot be read, nothing.
  absl::Status Sweep() const {
    std::set<std::string> keep = {kIndexManifestName, kIndexLockName};
    if (HasManifest()) {
      DPKDE_ASSIGN_OR_RETURN(const proto::IndexManifest current, IndexDirectory::ReadManifest(path));
      for (const proto::StoredFile* const file : FilesOfIndex(current)) keep.insert(file->name());
    }
    SweepTemporaries(path);
    DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(path));
    for (const std::string& name : names) {
      if (!IsOurs(name) || IsTemporaryName(name) || keep.count(name) > 0) continue;
      const std::string file = IndexPath(path, name);
      // Nobody should keep one here, but it could never be had again.
      if (const auto beginning = ReadBeginning(file, 16); beginning.ok() && IsEnvelope(kLedgerKind, *beginning)) continue;
      if (unlink(file.c_str()) != 0 && errno != ENOENT) return SystemError(file, "cannot be deleted", errno);
    }
    return absl::OkStatus();
  }

  // Of the files to be written: above that of every file that is there.
  absl::Status ChooseGeneration() {
    uint64_t newest = index.has_value() ? index->manifest().generation() : 0;
    DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(path));
    for (const std::string& name : names) newest = std::max(newest, GenerationOfIndexFile(name).value_or(0));
    if (newest >= kMostIndexChanges) {
      return absl::DataLossError(absl::StrCat(path, ": its generation, ", newest, ", leaves no room for a change"));
    }
    manifest.set_generation(newest + 1);
    return absl::OkStatus();
  }

  absl::Status NeedSegment() {
    if (segment != nullptr) return absl::OkStatus();
    const proto::TokenStoreSpec& tokens = manifest.config().tokens();
    segment = std::make_unique<SegmentWriter>(path, manifest.generation(), ToTokenFormat(tokens.format()),
                                              tokens.dimension(), &uncommitted);
    return segment->Start();
  }

  // Whether the change leaves a document with this id.
  bool HasId(const std::string& id) const {
    if (added_ids.count(std::string(id)) > 0) return true;
    return index.has_value() && index->Find(id).has_value() && removed_ids.count(std::string(id)) == 0;
  }

  absl::Status WriteRemoved() {
    uint64_t count = 0;
    for (const uint8_t byte : removed) count += __builtin_popcount(byte);
    manifest.set_removed_documents(count);
    if (count == 0) {
      manifest.clear_removed();
      return absl::OkStatus();
    }
    const uint64_t rows = kept_rows + (segment != nullptr ? segment->documents() : 0);
    removed.resize((rows + 7) / 8);
    return WriteFile("removed", {reinterpret_cast<const char*>(removed.data()), removed.size()},
                     manifest.mutable_removed());
  }

  absl::Status WriteFile(absl::string_view kind, absl::string_view bytes, proto::StoredFile* stored) {
    return SegmentWriter(path, manifest.generation(), TokenFormat::kFloat32, 0, &uncommitted)
        .Write(kind, {bytes}, stored);
  }

  // So that a new directory is not lost in a crash.
  absl::Status SyncParent() const {
    const std::string parent = absl::StrCat(path, "/..");
    const int folder = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // Some file systems cannot sync a folder, and say EINVAL.
    int result = -1;
    do {
      result = folder < 0 ? -1 : fsync(folder);
    } while (result != 0 && folder >= 0 && errno == EINTR);
    const int fsync_errno = errno;
    const bool synced = result == 0 || (folder >= 0 && fsync_errno == EINVAL);
    if (folder >= 0) close(folder);
    return synced ? absl::OkStatus() : SystemError(parent, "cannot be synchronized", fsync_errno);
  }

  // Remembers an error that leaves files half-written.
  absl::Status Fail(const absl::Status& error) {
    if (status.ok()) status = error;
    return error;
  }
};

IndexWriter::IndexWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
IndexWriter::~IndexWriter() = default;

absl::StatusOr<std::unique_ptr<IndexWriter>> IndexWriter::Create(const std::string& path,
                                                                 const proto::TokenStoreSpec& tokens, bool overwrite,
                                                                 absl::Duration wait) {
  DPKDE_RETURN_IF_ERROR(CheckInRange("the token dimension", tokens.dimension(), 1, VectorReader::kMaxDimension));
  auto state = std::make_unique<State>();
  state->path = path;
  const absl::Time deadline = absl::Now() + wait;
  absl::Status locked;
  do {
    DPKDE_RETURN_IF_ERROR(state->MakeDirectory(overwrite));
    locked = state->Lock(deadline);
    if (!locked.ok()) state->made_directory = false;  // another's
  } while (absl::IsAborted(locked));
  DPKDE_RETURN_IF_ERROR(locked);
  if (state->made_directory) {
    state->uncommitted.emplace_back(AT_FDCWD, path, TemporaryName::kFolder);
    state->uncommitted.emplace_back(AT_FDCWD, IndexPath(path, kIndexLockName));
  }
  // Again, since another writer may have been faster.
  if (!overwrite && state->HasManifest()) {
    return absl::AlreadyExistsError(absl::StrCat(path, ": already holds an index"));
  }
  if (!state->HasManifest()) DPKDE_RETURN_IF_ERROR(state->Sweep());
  DPKDE_RETURN_IF_ERROR(state->ChooseGeneration());
  *state->manifest.mutable_config()->mutable_tokens() = tokens;
  state->manifest.mutable_config()->mutable_tokens()->set_format(ToProto(ToTokenFormat(tokens.format())));
  return std::unique_ptr<IndexWriter>(new IndexWriter(std::move(state)));
}

absl::StatusOr<std::unique_ptr<IndexWriter>> IndexWriter::Open(const std::string& path, absl::Duration wait) {
  auto state = std::make_unique<State>();
  state->path = path;
  // Makes no lock file where there is no index.
  DPKDE_RETURN_IF_ERROR(IndexDirectory::ReadManifest(path).status());
  const absl::Status locked = state->Lock(absl::Now() + wait);
  if (absl::IsAborted(locked)) return absl::UnavailableError(locked.message());
  DPKDE_RETURN_IF_ERROR(locked);
  DPKDE_ASSIGN_OR_RETURN(state->index, IndexDirectory::Open(path, IndexDirectory::Verify::kMetadata));
  DPKDE_RETURN_IF_ERROR(state->Sweep());
  state->manifest = state->index->manifest();
  state->kept_rows = state->index->rows();
  state->removed.resize((state->kept_rows + 7) / 8);
  for (uint64_t row = 0; row < state->kept_rows; ++row) {
    if (state->index->removed(row)) state->removed[row / 8] |= 1 << (row % 8);
  }
  DPKDE_RETURN_IF_ERROR(state->ChooseGeneration());
  return std::unique_ptr<IndexWriter>(new IndexWriter(std::move(state)));
}

const IndexDirectory* IndexWriter::index() const { return state_->index.has_value() ? &*state_->index : nullptr; }

uint64_t IndexWriter::rows() const {
  return state_->kept_rows + (state_->segment != nullptr ? state_->segment->documents() : 0);
}

proto::IndexConfig& IndexWriter::config() { return *state_->manifest.mutable_config(); }

absl::Status IndexWriter::Add(TokenSetsView documents, absl::Span<const std::string> ids) {
  DPKDE_RETURN_IF_ERROR(state_->status);
  const proto::TokenStoreSpec& spec = state_->manifest.config().tokens();
  if (documents.size() == 0 && ids.empty()) return absl::OkStatus();
  if (documents.dimension != spec.dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the documents have dimension ", documents.dimension, ", but the index has ", spec.dimension()));
  }
  if (!ids.empty() && ids.size() != documents.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", ids.size(), " ids for ", documents.size(), " documents"));
  }
  DPKDE_RETURN_IF_ERROR(CheckTokens(documents, spec));
  std::vector<std::string> new_ids(ids.begin(), ids.end());
  for (size_t i = 0; ids.empty() && i < documents.size(); ++i) {
    new_ids.push_back(absl::StrCat(state_->manifest.documents_added() + i));
  }
  std::unordered_map<absl::string_view, size_t, absl::Hash<absl::string_view>> own;
  for (size_t i = 0; i < new_ids.size(); ++i) {
    const absl::Status valid = CheckDocumentId(new_ids[i]);
    if (!valid.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the id of document ", i, " (counting from 0) ", std::string(valid.message())));
    }
    const auto inserted = own.emplace(new_ids[i], i);
    if (!inserted.second) {
      return absl::AlreadyExistsError(absl::StrCat("the id \"", new_ids[i], "\" is given twice: to documents ",
                                                   inserted.first->second, " and ", i, " (counting from 0)"));
    }
    if (state_->HasId(new_ids[i])) {
      return absl::AlreadyExistsError(absl::StrCat("the index already has a document with the id \"", new_ids[i],
                                                   "\", which is that of document ", i, " (counting from 0)"));
    }
  }
  absl::Status appended = state_->NeedSegment();
  for (size_t i = 0; appended.ok() && i < documents.size(); ++i) {
    appended = state_->segment->Append(documents.set(i), new_ids[i]);
  }
  if (!appended.ok()) return state_->Fail(appended);
  state_->added_ids.insert(new_ids.begin(), new_ids.end());
  state_->manifest.set_documents_added(state_->manifest.documents_added() + documents.size());
  return absl::OkStatus();
}

absl::Status IndexWriter::Remove(absl::Span<const std::string> ids) {
  DPKDE_RETURN_IF_ERROR(state_->status);
  if (state_->compacted) return absl::FailedPreconditionError("Remove() is to be called before Compact()");
  std::vector<uint64_t> rows;
  std::unordered_map<absl::string_view, size_t, absl::Hash<absl::string_view>> own;
  for (size_t i = 0; i < ids.size(); ++i) {
    const absl::optional<uint64_t> row = state_->index.has_value() ? state_->index->Find(ids[i]) : absl::nullopt;
    if (!row.has_value() || state_->removed_ids.count(ids[i]) > 0) {
      return absl::NotFoundError(absl::StrCat("the index has no document with the id \"", ids[i], "\", the one at ", i,
                                              " (counting from 0) of those to be removed"));
    }
    const auto inserted = own.emplace(ids[i], i);
    if (!inserted.second) {
      return absl::InvalidArgumentError(absl::StrCat("the id \"", ids[i], "\" is to be removed twice: at ",
                                                     inserted.first->second, " and ", i, " (counting from 0)"));
    }
    rows.push_back(*row);
  }
  for (const uint64_t row : rows) state_->removed[row / 8] |= 1 << (row % 8);
  state_->removed_ids.insert(ids.begin(), ids.end());
  return absl::OkStatus();
}

absl::Status IndexWriter::Compact() {
  DPKDE_RETURN_IF_ERROR(state_->status);
  if (state_->compacted || !state_->added_ids.empty()) {
    return absl::FailedPreconditionError("Compact() is to be called once, before Add()");
  }
  if (!state_->index.has_value()) return absl::OkStatus();
  const IndexDirectory& index = *state_->index;
  DPKDE_RETURN_IF_ERROR(index.VerifyTokens());
  state_->compacted = true;
  for (uint64_t row = 0; row < index.rows(); ++row) {
    if (state_->removed[row / 8] >> (row % 8) & 1) continue;
    absl::Status copied = state_->NeedSegment();
    if (copied.ok()) copied = state_->segment->Append(index.tokens(row), index.id(row));
    if (!copied.ok()) return state_->Fail(copied);
  }
  state_->manifest.clear_segment();
  state_->removed.clear();
  state_->kept_rows = 0;
  return absl::OkStatus();
}

absl::Status IndexWriter::SetBlob(absl::string_view name, absl::string_view bytes) {
  DPKDE_RETURN_IF_ERROR(state_->status);
  if (!IsIndexBlobName(name) || name == "tokens" || name == "scales" || name == "offsets" || name == "ids" ||
      name == "removed") {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is no name of a blob"));
  }
  proto::IndexBlob* blob = nullptr;
  for (proto::IndexBlob& present : *state_->manifest.mutable_blob()) {
    if (present.name() == name) blob = &present;
  }
  if (blob == nullptr) {
    blob = state_->manifest.add_blob();
    blob->set_name(std::string(name));
  } else if (blob->file().name() == IndexFileName(state_->manifest.generation(), name)) {
    return absl::FailedPreconditionError(absl::StrCat("the blob \"", name, "\" is set twice in one change"));
  }
  const absl::Status written = state_->WriteFile(name, bytes, blob->mutable_file());
  return written.ok() ? written : state_->Fail(written);
}

absl::Status IndexWriter::Commit() {
  DPKDE_RETURN_IF_ERROR(state_->status);
  state_->status = absl::FailedPreconditionError(absl::StrCat(state_->path, ": has already been written"));
  if (state_->segment != nullptr && state_->segment->documents() > 0) {
    DPKDE_RETURN_IF_ERROR(state_->segment->Finish(state_->manifest.add_segment()));
  }
  DPKDE_RETURN_IF_ERROR(state_->WriteRemoved());
  DPKDE_RETURN_IF_ERROR(CheckIndexManifest(state_->manifest));
  if (state_->made_directory) DPKDE_RETURN_IF_ERROR(state_->SyncParent());
  const uint32_t version = state_->manifest.config().origin().empty() ? 1 : kIndexManifestVersion;
  {
    // From here on the files are the index's, so that no signal may come in between.
    const SignalPause pause;
    const absl::Status written =
        WriteFileAtomically(IndexPath(state_->path, kIndexManifestName),
                            SealEnvelope(kIndexManifestKind, version, state_->manifest.SerializeAsString()),
                            /*overwrite=*/true);
    state_->uncommitted.clear();
    DPKDE_RETURN_IF_ERROR(written);
  }
  // What is not deleted now is deleted by the next writer.
  (void)state_->Sweep();
  return absl::OkStatus();
}

}  // namespace dpkde
