#ifndef DPKDE_INDEX_ENCODING_STORED_ENCODER_H_
#define DPKDE_INDEX_ENCODING_STORED_ENCODER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "dpkde/proto/index.pb.h"

// Encoders as bytes: an envelope (dpkde/io/envelope.h) of kind "encoder" around a StoredEncoder message.

namespace dpkde {

inline constexpr uint32_t kStoredEncoderVersion = 1;

// The bytes of a file.
std::string SealStoredEncoder(const proto::StoredEncoder& stored);

// kDataLoss: no encoder, or damaged. kFailedPrecondition: of a newer version, or of another scheme of randomness.
absl::StatusOr<proto::StoredEncoder> OpenStoredEncoder(absl::string_view bytes);

// SHA-256 of the message, in hexadecimal.
std::string StoredFingerprint(const proto::StoredEncoder& stored);

// float32, little-endian.
std::string FloatsToBytes(absl::Span<const float> values);

// kInvalidArgument: not `count` values, or one that is not finite; `name` says which.
absl::StatusOr<std::vector<float>> FloatsFromBytes(absl::string_view name, absl::string_view bytes, size_t count);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_STORED_ENCODER_H_
