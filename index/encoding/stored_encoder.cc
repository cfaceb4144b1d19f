#include "dpkde/index/encoding/stored_encoder.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/floats.h"
#include "dpkde/io/parse_message.h"

namespace dpkde {
namespace {

constexpr char kEnvelopeKind[] = "encoder";

// The same bytes from the same message (it has no maps).
std::string Bytes(const proto::StoredEncoder& stored) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  stored.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace

std::string SealStoredEncoder(const proto::StoredEncoder& stored) {
  return SealEnvelope(kEnvelopeKind, kStoredEncoderVersion, Bytes(stored));
}

absl::StatusOr<proto::StoredEncoder> OpenStoredEncoder(absl::string_view bytes) {
  DPKDE_ASSIGN_OR_RETURN(const Envelope envelope, OpenEnvelope(kEnvelopeKind, kStoredEncoderVersion, bytes));
  proto::StoredEncoder stored;
  if (!ParseMessage(envelope.payload, &stored)) return absl::DataLossError("holds no encoder");
  if (stored.public_random_scheme() != kPublicRandomScheme) {
    return absl::FailedPreconditionError(absl::StrCat("was made with public randomness of scheme ",
                                                      stored.public_random_scheme(), ", but this program has scheme ",
                                                      kPublicRandomScheme));
  }
  return stored;
}

std::string StoredFingerprint(const proto::StoredEncoder& stored) { return HexString(Sha256(Bytes(stored))); }

std::string FloatsToBytes(absl::Span<const float> values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

absl::StatusOr<std::vector<float>> FloatsFromBytes(absl::string_view name, absl::string_view bytes, size_t count) {
  if (bytes.size() != count * sizeof(float)) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must have ", count, " values"));
  }
  std::vector<float> values(count);
  if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
  if (FirstNonFinite(values.data(), count) != count) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must be finite"));
  }
  return values;
}

}  // namespace dpkde
