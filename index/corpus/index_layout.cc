#include "dpkde/index/corpus/index_layout.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/corpus/document_ids.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {
namespace {

constexpr size_t kGenerationDigits = 8;  // at least
constexpr size_t kLongestBlobName = 32;
constexpr size_t kDigestBytes = 32;

// Keeps every product and sum of sizes within 64 bits.
constexpr uint64_t kMostDocuments = uint64_t{1} << 40;
constexpr uint64_t kMostTokens = uint64_t{1} << 44;

// So that a vector less its origin stays within float32.
constexpr double kLargestOrigin = 3e18;

absl::Status Damaged(absl::string_view detail) { return absl::DataLossError(absl::StrCat("is damaged: ", detail)); }

absl::Status CheckFile(const proto::StoredFile& file, absl::string_view what) {
  if (!GenerationOfIndexFile(file.name()).has_value()) return Damaged(absl::StrCat(what, " has no valid name"));
  if (file.sha256().size() != kDigestBytes) return Damaged(absl::StrCat(what, " has no checksum"));
  return absl::OkStatus();
}

absl::Status CheckSize(const proto::StoredFile& file, absl::string_view what, uint64_t size) {
  DPKDE_RETURN_IF_ERROR(CheckFile(file, what));
  if (file.size() != size) return Damaged(absl::StrCat(what, " has a wrong size"));
  return absl::OkStatus();
}

}  // namespace

std::string IndexPath(const std::string& directory, absl::string_view name) {
  return absl::StrCat(directory, "/", name);
}

std::string IndexFileName(uint64_t generation, absl::string_view kind) {
  return absl::StrFormat("%08d.%s", generation, kind);
}

absl::optional<uint64_t> GenerationOfIndexFile(absl::string_view name) {
  const size_t dot = name.find('.');
  uint64_t generation;
  if (dot == absl::string_view::npos || dot < kGenerationDigits || !IsIndexBlobName(name.substr(dot + 1)) ||
      !std::all_of(name.begin(), name.begin() + dot, absl::ascii_isdigit) ||
      !absl::SimpleAtoi(name.substr(0, dot), &generation) || generation > kMostIndexChanges) {
    return absl::nullopt;
  }
  return generation;
}

bool IsIndexBlobName(absl::string_view name) {
  return !name.empty() && name.size() <= kLongestBlobName &&
         std::all_of(name.begin(), name.end(), [](char c) { return absl::ascii_islower(c) || c == '_'; });
}

absl::Status CheckIndexOrigin(const proto::IndexConfig& config) {
  if (config.origin().empty()) return absl::OkStatus();
  if (!config.tokens().single_vectors() || config.tokens().format() != proto::TokenStoreSpec::FLOAT32) {
    return absl::InvalidArgumentError("an origin is for single vectors in float32");
  }
  if (config.origin_size() != static_cast<int>(config.tokens().dimension())) {
    return absl::InvalidArgumentError(absl::StrCat("the origin must have ", config.tokens().dimension(),
                                                   " values, but has ", config.origin_size()));
  }
  for (const double value : config.origin()) {
    if (!(std::abs(value) <= kLargestOrigin)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the values of an origin must be at most ", kLargestOrigin, ", but one is ", value));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckIndexManifest(const proto::IndexManifest& manifest) {
  const proto::TokenStoreSpec& tokens = manifest.config().tokens();
  if (manifest.generation() == 0) return Damaged("it has no generation");
  if (manifest.generation() > kMostIndexChanges) return Damaged("its generation is impossible");
  if (tokens.dimension() < 1 || tokens.dimension() > VectorReader::kMaxDimension) {
    return Damaged("the dimension is out of range");
  }
  if (tokens.format() != proto::TokenStoreSpec::FLOAT32 && tokens.format() != proto::TokenStoreSpec::FLOAT16 &&
      tokens.format() != proto::TokenStoreSpec::INT8) {
    return Damaged("the format of the tokens is unknown");
  }
  const absl::Status origin = CheckIndexOrigin(manifest.config());
  if (!origin.ok()) return Damaged(origin.message());
  const bool int8 = tokens.format() == proto::TokenStoreSpec::INT8;
  const size_t stride = TokenStride(ToTokenFormat(tokens.format()), tokens.dimension());
  uint64_t rows = 0;
  for (const proto::IndexSegment& segment : manifest.segment()) {
    if (segment.documents() < 1 || segment.documents() > kMostDocuments || segment.tokens() > kMostTokens) {
      return Damaged("a segment has an impossible size");
    }
    if (tokens.single_vectors() && segment.tokens() != segment.documents()) {
      return Damaged("a segment of single vectors has another number of tokens than of documents");
    }
    DPKDE_RETURN_IF_ERROR(CheckSize(segment.values(), "a file of tokens", segment.tokens() * stride));
    DPKDE_RETURN_IF_ERROR(CheckSize(segment.offsets(), "a file of offsets", 8 * (segment.documents() + 1)));
    if (segment.has_scales() != int8) return Damaged("scales are missing, or not needed");
    if (int8) DPKDE_RETURN_IF_ERROR(CheckSize(segment.scales(), "a file of scales", 4 * segment.tokens()));
    DPKDE_RETURN_IF_ERROR(CheckFile(segment.ids(), "a file of ids"));
    const uint64_t id_offsets = 8 * (segment.documents() + 1);
    if (segment.ids().size() < id_offsets + segment.documents() ||
        segment.ids().size() > id_offsets + segment.documents() * kLongestDocumentId) {
      return Damaged("a file of ids has a wrong size");
    }
    rows += segment.documents();
    if (rows > kMostDocuments) return Damaged("the segments have an impossible size");
  }
  if (manifest.has_removed() != (manifest.removed_documents() > 0) || manifest.removed_documents() > rows) {
    return Damaged("the number of removed documents is impossible");
  }
  if (manifest.has_removed()) {
    DPKDE_RETURN_IF_ERROR(CheckSize(manifest.removed(), "the file of removals", (rows + 7) / 8));
  }
  if (manifest.documents_added() < rows - manifest.removed_documents()) return Damaged("documents were never added");
  if (manifest.documents_added() > kMostIndexChanges) return Damaged("the number of documents ever added is impossible");
  std::set<absl::string_view> blobs;
  for (const proto::IndexBlob& blob : manifest.blob()) {
    if (!IsIndexBlobName(blob.name()) || !blobs.insert(blob.name()).second) return Damaged("a blob has no valid name");
    DPKDE_RETURN_IF_ERROR(CheckFile(blob.file(), "a blob"));
  }
  std::set<absl::string_view> names;
  for (const proto::StoredFile* const file : FilesOfIndex(manifest)) {
    if (!names.insert(file->name()).second) return Damaged("it names a file twice");
    if (*GenerationOfIndexFile(file->name()) > manifest.generation()) {
      return Damaged("it names a file of a later generation");
    }
  }
  return absl::OkStatus();
}

std::vector<const proto::StoredFile*> FilesOfIndex(const proto::IndexManifest& manifest) {
  std::vector<const proto::StoredFile*> files;
  for (const proto::IndexSegment& segment : manifest.segment()) {
    files.push_back(&segment.values());
    if (segment.has_scales()) files.push_back(&segment.scales());
    files.push_back(&segment.offsets());
    files.push_back(&segment.ids());
  }
  if (manifest.has_removed()) files.push_back(&manifest.removed());
  for (const proto::IndexBlob& blob : manifest.blob()) files.push_back(&blob.file());
  return files;
}

}  // namespace dpkde
