#ifndef DPKDE_IO_ENVELOPE_H_
#define DPKDE_IO_ENVELOPE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The container of dpkde's own files: it tells them from other files and from each other, and notices damage.
//
//   bytes 0-7      "DPKDE\r\n\x1a": a transfer that changes line ends, or stops at control-Z, destroys it
//   bytes 8-15     the kind: ASCII, padded with zeros
//   bytes 16-19    the version of the payload, uint32 little-endian, from 1
//   bytes 20-27    the size of the payload, uint64 little-endian
//   ...            the payload
//   last 32 bytes  SHA-256 of everything before it; against accidents, not against forgers

namespace dpkde {

// The kind of a file with a privacy budget, which nothing but the ledger itself replaces (dpkde/io/file.h).
inline constexpr char kLedgerKind[] = "ledger";

// `kind`: 1 to 8 characters; `version` >= 1. Anything else is a mistake in the program, and aborts it.
std::string SealEnvelope(absl::string_view kind, uint32_t version, absl::string_view payload);

struct Envelope {
  uint32_t version;
  absl::string_view payload;  // in the bytes of the file
};

// `newest_version`: what the caller reads; it must cope with every version from 1 to that.
//
// kDataLoss: the bytes are no envelope, of another kind, truncated or damaged. kFailedPrecondition: the version is
// newer. The messages name no path; they are such as "is not a dpkde file".
absl::StatusOr<Envelope> OpenEnvelope(absl::string_view kind, uint32_t newest_version, absl::string_view file_bytes);

// Whether the bytes begin like a file of this kind, damaged or not. The first 16 tell.
bool IsEnvelope(absl::string_view kind, absl::string_view file_bytes);

}  // namespace dpkde

#endif  // DPKDE_IO_ENVELOPE_H_
