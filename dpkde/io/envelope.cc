#include "dpkde/io/envelope.h"

#include <cstddef>
#include <cstdlib>
#include <string>
#include <tuple>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "dpkde/base/sha256.h"

namespace dpkde {
namespace {

constexpr absl::string_view kMagic("DPKDE\r\n\x1a", 8);
constexpr size_t kKindOffset = 8;
constexpr size_t kKindBytes = 8;
constexpr size_t kVersionOffset = 16;
constexpr size_t kSizeOffset = 20;
constexpr size_t kHeaderBytes = 28;
constexpr size_t kChecksumBytes = std::tuple_size<Sha256Digest>::value;

std::string PaddedKind(absl::string_view kind) {
  if (kind.empty() || kind.size() > kKindBytes) std::abort();
  std::string padded(kind);
  padded.resize(kKindBytes, '\0');
  return padded;
}

void AppendLittleEndian(uint64_t value, size_t bytes, std::string* out) {
  for (size_t i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t LoadLittleEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

std::string Checksum(absl::string_view bytes) {
  const Sha256Digest digest = Sha256(bytes);
  return std::string(digest.begin(), digest.end());
}

}  // namespace

std::string SealEnvelope(absl::string_view kind, uint32_t version, absl::string_view payload) {
  if (version == 0) std::abort();
  std::string file;
  file.reserve(kHeaderBytes + payload.size() + kChecksumBytes);
  absl::StrAppend(&file, kMagic, PaddedKind(kind));
  AppendLittleEndian(version, sizeof(uint32_t), &file);
  AppendLittleEndian(payload.size(), sizeof(uint64_t), &file);
  absl::StrAppend(&file, payload);
  absl::StrAppend(&file, Checksum(file));
  return file;
}

absl::StatusOr<Envelope> OpenEnvelope(absl::string_view kind, uint32_t newest_version, absl::string_view file_bytes) {
  if (file_bytes.size() < kHeaderBytes || !absl::StartsWith(file_bytes, kMagic)) {
    return absl::DataLossError("is not a dpkde file");
  }
  absl::string_view found_kind = file_bytes.substr(kKindOffset, kKindBytes);
  if (found_kind != PaddedKind(kind)) {
    while (absl::ConsumeSuffix(&found_kind, absl::string_view("\0", 1))) {
    }
    return absl::DataLossError(
        absl::StrCat("is a dpkde file of the kind \"", absl::CHexEscape(found_kind), "\", not \"", kind, "\""));
  }
  const uint64_t version = LoadLittleEndian(file_bytes.substr(kVersionOffset, sizeof(uint32_t)));
  if (version == 0 || version > newest_version) {
    return absl::FailedPreconditionError(
        absl::StrCat("is of version ", version, "; this program reads versions 1 to ", newest_version));
  }
  const uint64_t size = LoadLittleEndian(file_bytes.substr(kSizeOffset, sizeof(uint64_t)));
  const size_t rest = file_bytes.size() - kHeaderBytes;  // cannot overflow below, whatever `size` is
  if (rest < kChecksumBytes || rest - kChecksumBytes < size) {
    return absl::DataLossError("is truncated");
  }
  if (rest - kChecksumBytes > size) {
    return absl::DataLossError(absl::StrCat("has ", rest - kChecksumBytes - size, " bytes after its end"));
  }
  const size_t checksum_offset = file_bytes.size() - kChecksumBytes;
  if (Checksum(file_bytes.substr(0, checksum_offset)) != file_bytes.substr(checksum_offset)) {
    return absl::DataLossError("is damaged: its checksum does not match");
  }
  return Envelope{static_cast<uint32_t>(version), file_bytes.substr(kHeaderBytes, size)};
}

bool IsEnvelope(absl::string_view kind, absl::string_view file_bytes) {
  return absl::StartsWith(file_bytes, kMagic) && file_bytes.substr(kKindOffset, kKindBytes) == PaddedKind(kind);
}

}  // namespace dpkde
