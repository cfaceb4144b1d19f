#include "dpkde/index/corpus/index_directory.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/corpus/document_ids.h"
#include "dpkde/index/corpus/index_layout.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"
#include "dpkde/io/mapped_file.h"
#include "dpkde/io/parse_message.h"

namespace dpkde {
namespace {

// A manifest has some hundred bytes a segment.
constexpr uint64_t kLargestManifest = uint64_t{1} << 28;

// A writer may replace the manifest, and delete files that it named, while they are being opened. More often in a row
// than this, it does not.
constexpr int kAttempts = 20;

// The same error, with the path in front.
absl::Status At(const std::string& path, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(path, ": ", std::string(status.message())));
}

absl::Status Damaged(const MappedFile& file, absl::string_view detail) {
  return absl::DataLossError(absl::StrCat(file.path(), ": is damaged: ", detail));
}

absl::Status CheckSha256(const MappedFile& file, const proto::StoredFile& expected) {
  const Sha256Digest digest = Sha256(file.bytes());
  if (absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()) == expected.sha256()) {
    return absl::OkStatus();
  }
  return Damaged(file, "its checksum does not match");
}

// `count` + 1 offsets at the start of a file, from 0 to `end`, never decreasing.
absl::Status CheckOffsets(const MappedFile& file, uint64_t count, uint64_t end) {
  const uint64_t* const offsets = reinterpret_cast<const uint64_t*>(file.bytes().data());
  const bool ordered = std::is_sorted(offsets, offsets + count + 1);
  if (offsets[0] == 0 && offsets[count] == end && ordered) return absl::OkStatus();
  return Damaged(file, "its offsets are out of order");
}

using File = std::unique_ptr<const MappedFile>;

struct Segment {
  uint64_t first_row = 0;
  uint64_t documents = 0;
  File values, scales, offsets, ids;

  const uint64_t* token_offsets() const { return reinterpret_cast<const uint64_t*>(offsets->bytes().data()); }
  const uint64_t* id_offsets() const { return reinterpret_cast<const uint64_t*>(ids->bytes().data()); }

  absl::string_view id(uint64_t document) const {
    const uint64_t* const offsets = id_offsets() + document;
    return ids->bytes().substr(8 * (documents + 1) + offsets[0], offsets[1] - offsets[0]);
  }
};

}  // namespace

struct IndexDirectory::State {
  std::string path;
  proto::IndexManifest manifest;
  TokenFormat format = TokenFormat::kFloat32;
  std::vector<Segment> segments;
  uint64_t rows = 0;
  File removed;  // null if none is
  std::map<std::string, File, std::less<>> blobs;

  // Of documents that are not removed. Not Abseil's tables, here and elsewhere: an allocation that fails breaks those.
  std::unordered_map<absl::string_view, uint64_t, absl::Hash<absl::string_view>> row_of_id;

  // kNotFound if a file is missing.
  absl::Status OpenFiles(Verify verify) {
    format = ToTokenFormat(manifest.config().tokens().format());
    const bool all = verify == Verify::kAll;
    for (const proto::IndexSegment& stored : manifest.segment()) {
      Segment segment;
      segment.first_row = rows;
      segment.documents = stored.documents();
      DPKDE_ASSIGN_OR_RETURN(segment.values, OpenFile(stored.values(), all));
      if (stored.has_scales()) {
        DPKDE_ASSIGN_OR_RETURN(segment.scales, OpenFile(stored.scales(), all));
      }
      DPKDE_ASSIGN_OR_RETURN(segment.offsets, OpenFile(stored.offsets(), true));
      DPKDE_RETURN_IF_ERROR(CheckOffsets(*segment.offsets, stored.documents(), stored.tokens()));
      if (manifest.config().tokens().single_vectors()) DPKDE_RETURN_IF_ERROR(CheckSingleVectors(segment));
      if (all) DPKDE_RETURN_IF_ERROR(CheckTokens(segment, stored.tokens()));
      DPKDE_ASSIGN_OR_RETURN(segment.ids, OpenFile(stored.ids(), true));
      const uint64_t id_bytes = stored.ids().size() - 8 * (stored.documents() + 1);
      DPKDE_RETURN_IF_ERROR(CheckOffsets(*segment.ids, stored.documents(), id_bytes));
      rows += stored.documents();
      segments.push_back(std::move(segment));
    }
    if (manifest.has_removed()) {
      DPKDE_ASSIGN_OR_RETURN(removed, OpenFile(manifest.removed(), true));
      uint64_t count = 0;
      for (const char byte : removed->bytes()) count += __builtin_popcount(static_cast<uint8_t>(byte));
      const uint8_t last = removed->bytes().back();
      if (count != manifest.removed_documents() || (rows % 8 != 0 && last >> (rows % 8) != 0)) {
        return Damaged(*removed, "it does not have as many bits as documents were removed");
      }
    }
    DPKDE_RETURN_IF_ERROR(HashIds());
    for (const proto::IndexBlob& blob : manifest.blob()) {
      DPKDE_ASSIGN_OR_RETURN(blobs[blob.name()], OpenFile(blob.file(), all));
    }
    return absl::OkStatus();
  }

  // Every document is one token.
  static absl::Status CheckSingleVectors(const Segment& segment) {
    for (uint64_t i = 0; i <= segment.documents; ++i) {
      if (segment.token_offsets()[i] != i) return Damaged(*segment.offsets, "a document is not a single vector");
    }
    return absl::OkStatus();
  }

  absl::Status CheckTokens(const Segment& segment, uint64_t count) const {
    StoredTokens tokens{format, manifest.config().tokens().dimension(), count, segment.values->bytes().data(), nullptr};
    if (segment.scales != nullptr) tokens.scales = reinterpret_cast<const float*>(segment.scales->bytes().data());
    const absl::Status sound = CheckStoredTokens(tokens);
    return sound.ok() ? sound : Damaged(*segment.values, sound.message());
  }

  absl::Status HashIds() {
    row_of_id.reserve(rows - manifest.removed_documents());
    for (const Segment& segment : segments) {
      for (uint64_t i = 0; i < segment.documents; ++i) {
        const absl::string_view id = segment.id(i);
        const absl::Status valid = CheckDocumentId(id);
        if (!valid.ok()) {
          return Damaged(*segment.ids, absl::StrCat("the id of its document ", i, " (counting from 0) ",
                                                    std::string(valid.message())));
        }
        if (IsRemoved(segment.first_row + i)) continue;
        if (!row_of_id.emplace(id, segment.first_row + i).second) {
          return Damaged(*segment.ids, absl::StrCat("two documents have the id \"", id, "\""));
        }
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<File> OpenFile(const proto::StoredFile& expected, bool verify) const {
    DPKDE_ASSIGN_OR_RETURN(File file, MappedFile::Open(IndexPath(path, expected.name())));
    if (file->bytes().size() != expected.size()) {
      return Damaged(*file, absl::StrCat("it has ", file->bytes().size(), " bytes instead of ", expected.size()));
    }
    if (verify) DPKDE_RETURN_IF_ERROR(CheckSha256(*file, expected));
    return file;
  }

  const Segment& SegmentOf(uint64_t row) const {
    const auto after = std::upper_bound(segments.begin(), segments.end(), row,
                                        [](uint64_t r, const Segment& segment) { return r < segment.first_row; });
    return *std::prev(after);
  }

  bool IsRemoved(uint64_t row) const {
    return removed != nullptr && (static_cast<uint8_t>(removed->bytes()[row / 8]) >> (row % 8) & 1) != 0;
  }
};

absl::StatusOr<proto::IndexManifest> IndexDirectory::ReadManifest(const std::string& path) {
  const std::string file = IndexPath(path, kIndexManifestName);
  const absl::StatusOr<std::string> bytes = ReadFile(file, kLargestManifest);
  if (absl::IsNotFound(bytes.status())) {
    return absl::NotFoundError(absl::StrCat(path, ": holds no index: it has no file ", kIndexManifestName));
  }
  // A file that is too large is no manifest.
  if (absl::IsInvalidArgument(bytes.status())) return absl::DataLossError(bytes.status().message());
  DPKDE_RETURN_IF_ERROR(bytes.status());
  const absl::StatusOr<Envelope> envelope = OpenEnvelope(kIndexManifestKind, kIndexManifestVersion, *bytes);
  DPKDE_RETURN_IF_ERROR(At(file, envelope.status()));
  proto::IndexManifest manifest;
  if (!ParseMessage(envelope->payload, &manifest)) {
    return absl::DataLossError(absl::StrCat(file, ": is damaged: it is no manifest"));
  }
  DPKDE_RETURN_IF_ERROR(At(file, CheckIndexManifest(manifest)));
  return manifest;
}

absl::StatusOr<IndexDirectory> IndexDirectory::Open(const std::string& path, Verify verify) {
  for (int attempt = 0; true; ++attempt) {
    auto state = std::make_unique<State>();
    state->path = path;
    DPKDE_ASSIGN_OR_RETURN(state->manifest, ReadManifest(path));
    const absl::Status opened = state->OpenFiles(verify);
    if (opened.ok()) return IndexDirectory(std::move(state));
    if (!absl::IsNotFound(opened)) return opened;
    DPKDE_ASSIGN_OR_RETURN(const proto::IndexManifest now, ReadManifest(path));
    if (now.generation() == state->manifest.generation() || attempt == kAttempts) {
      return absl::DataLossError(absl::StrCat(std::string(opened.message()), ", but belongs to the index"));
    }
  }
}

IndexDirectory::IndexDirectory(std::unique_ptr<const State> state) : state_(std::move(state)) {}
IndexDirectory::IndexDirectory(IndexDirectory&&) noexcept = default;
IndexDirectory& IndexDirectory::operator=(IndexDirectory&&) noexcept = default;
IndexDirectory::~IndexDirectory() = default;

const std::string& IndexDirectory::path() const { return state_->path; }
const proto::IndexManifest& IndexDirectory::manifest() const { return state_->manifest; }
TokenFormat IndexDirectory::token_format() const { return state_->format; }
size_t IndexDirectory::dimension() const { return state_->manifest.config().tokens().dimension(); }
uint64_t IndexDirectory::rows() const { return state_->rows; }
bool IndexDirectory::removed(uint64_t row) const { return state_->IsRemoved(row); }

absl::string_view IndexDirectory::id(uint64_t row) const {
  const Segment& segment = state_->SegmentOf(row);
  return segment.id(row - segment.first_row);
}

absl::Span<const double> IndexDirectory::origin() const { return state_->manifest.config().origin(); }

StoredTokens IndexDirectory::tokens(uint64_t row) const {
  const Segment& segment = state_->SegmentOf(row);
  const uint64_t* const offsets = segment.token_offsets() + (row - segment.first_row);
  StoredTokens tokens;
  tokens.format = state_->format;
  tokens.dimension = dimension();
  tokens.count = offsets[1] - offsets[0];
  tokens.values = segment.values->bytes().data() + offsets[0] * TokenStride(tokens.format, tokens.dimension);
  if (segment.scales != nullptr) {
    tokens.scales = reinterpret_cast<const float*>(segment.scales->bytes().data()) + offsets[0];
  }
  return tokens;
}

size_t IndexDirectory::AppendTokens(uint64_t row, absl::Span<const double> shift, std::vector<float>* out) const {
  const StoredTokens stored = tokens(row);
  const size_t before = out->size(), d = stored.dimension;
  out->resize(before + stored.count * d);
  LoadTokens(stored, out->data() + before);
  const absl::Span<const double> origin = this->origin();
  if (origin.empty() && shift.empty()) return stored.count;
  for (size_t i = 0; i < stored.count * d; ++i) {
    const double from = (origin.empty() ? 0 : origin[i % d]) - (shift.empty() ? 0 : shift[i % d]);
    (*out)[before + i] = static_cast<float>((*out)[before + i] + from);
  }
  return stored.count;
}

absl::optional<uint64_t> IndexDirectory::Find(absl::string_view id) const {
  const auto found = state_->row_of_id.find(id);
  if (found == state_->row_of_id.end()) return absl::nullopt;
  return found->second;
}

absl::optional<absl::string_view> IndexDirectory::blob(absl::string_view name) const {
  const auto found = state_->blobs.find(name);
  if (found == state_->blobs.end()) return absl::nullopt;
  return found->second->bytes();
}

absl::Status IndexDirectory::VerifyTokens() const {
  for (size_t i = 0; i < state_->segments.size(); ++i) {
    const proto::IndexSegment& stored = state_->manifest.segment(static_cast<int>(i));
    DPKDE_RETURN_IF_ERROR(CheckSha256(*state_->segments[i].values, stored.values()));
    if (stored.has_scales()) DPKDE_RETURN_IF_ERROR(CheckSha256(*state_->segments[i].scales, stored.scales()));
    DPKDE_RETURN_IF_ERROR(state_->CheckTokens(state_->segments[i], stored.tokens()));
  }
  return absl::OkStatus();
}

}  // namespace dpkde
