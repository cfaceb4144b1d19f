#include "dpkde/index/search/index_blobs.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/search/vector_scores.h"

namespace dpkde {
namespace {

absl::Status Damaged(const IndexDirectory& directory, absl::string_view phrase) {
  return absl::DataLossError(absl::StrCat(directory.path(), ": ", phrase));
}

absl::Status WithPath(const IndexDirectory& directory, absl::string_view blob, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(directory.path(), ": its ", blob, " ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Encoder>> LoadEncoder(const IndexDirectory& directory) {
  const proto::IndexConfig& config = directory.manifest().config();
  if (config.tokens().single_vectors()) return nullptr;
  const absl::optional<absl::string_view> bytes = directory.blob(kEncoderBlob);
  if (!bytes.has_value()) return Damaged(directory, "holds no encoder");
  absl::StatusOr<std::unique_ptr<const Encoder>> encoder = DeserializeEncoder(*bytes);
  if (!encoder.ok()) return WithPath(directory, kEncoderBlob, encoder.status());
  if ((*encoder)->fingerprint() != config.encoder_fingerprint() ||
      (*encoder)->token_dimension() != directory.dimension()) {
    return Damaged(directory, "its encoder is another than its manifest says");
  }
  return encoder;
}

absl::StatusOr<VectorIndex> LoadVectors(const IndexDirectory& directory, const Encoder* encoder) {
  const absl::optional<absl::string_view> bytes = directory.blob(kVectorsBlob);
  if (!bytes.has_value()) return Damaged(directory, "holds no vectors");
  absl::StatusOr<VectorIndex> vectors = VectorIndex::Deserialize(*bytes);
  if (!vectors.ok()) return WithPath(directory, kVectorsBlob, vectors.status());
  const size_t dimension = encoder == nullptr ? directory.dimension() : encoder->dimension();
  if (vectors->size() != directory.rows() || vectors->dimension() != dimension) {
    return Damaged(directory, "its vectors do not belong to its documents");
  }
  const absl::StatusOr<VectorIndexOptions> options = FirstStage::Options(directory.manifest().config());
  if (!options.ok() || vectors->options().metric != options->metric) {
    return Damaged(directory, "its vectors are compared by another metric than its manifest says");
  }
  return vectors;
}

}  // namespace dpkde
