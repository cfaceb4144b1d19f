#ifndef DPKDE_INDEX_CORPUS_INDEX_LAYOUT_H_
#define DPKDE_INDEX_CORPUS_INDEX_LAYOUT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "dpkde/proto/index.pb.h"

// Names and contents of the files of an index directory, for its reader and its writer.

namespace dpkde {

inline constexpr char kIndexManifestName[] = "MANIFEST";
inline constexpr char kIndexLockName[] = "LOCK";
inline constexpr char kIndexManifestKind[] = "INDEX";  // of the envelope
// The newest. Version 2 has an origin, which older programs would pass over; without one it is still version 1.
inline constexpr uint32_t kIndexManifestVersion = 2;

// Generations, and documents that were ever added, end here: far above what changes reach, far below an overflow.
inline constexpr uint64_t kMostIndexChanges = uint64_t{1} << 60;

std::string IndexPath(const std::string& directory, absl::string_view name);

// "00000012.tokens": of generation 12.
std::string IndexFileName(uint64_t generation, absl::string_view kind);

// The generation of such a name, at most kMostIndexChanges.
absl::optional<uint64_t> GenerationOfIndexFile(absl::string_view name);

// 1 to 32 of a-z and _.
bool IsIndexBlobName(absl::string_view name);

// kInvalidArgument unless there is none, or it has a value for each coordinate of single vectors in float32.
absl::Status CheckIndexOrigin(const proto::IndexConfig& config);

// kDataLoss for anything that IndexWriter does not write; the message says what, without a path. Afterwards sizes and
// counts agree with each other, and no sum of them overflows.
absl::Status CheckIndexManifest(const proto::IndexManifest& manifest);

// All files that a manifest names.
std::vector<const proto::StoredFile*> FilesOfIndex(const proto::IndexManifest& manifest);

}  // namespace dpkde

#endif  // DPKDE_INDEX_CORPUS_INDEX_LAYOUT_H_
