#include "dpkde/index/search/index_changes.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/ann/vector_index.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/index_layout.h"
#include "dpkde/index/corpus/index_writer.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/index/search/index_blobs.h"
#include "dpkde/index/search/vector_scores.h"

namespace dpkde {
namespace {

// Vectors that are encoded at a time: at most 1 GiB, but enough for an index to learn from.
constexpr size_t kBatchValues = size_t{1} << 28;
constexpr size_t kLeastBatch = 4096;

size_t BatchRows(const VectorIndex& vectors) { return std::max(kLeastBatch, kBatchValues / vectors.dimension()); }

// Appends the vectors of documents, which for `encoder` null are what the first stage has of their only tokens.
absl::Status AddVectors(const proto::IndexConfig& config, const Encoder* encoder, TokenSetsView documents,
                        ThreadPool& pool, VectorIndex* vectors) {
  const FirstStage first_stage(config);
  std::vector<float> batch;
  const size_t rows = BatchRows(*vectors);
  for (size_t begin = 0; begin < documents.size(); begin += rows) {
    const TokenSetsView part = documents.Slice(begin, std::min(begin + rows, documents.size()));
    MatrixView matrix = part.all();
    if (encoder == nullptr) {
      matrix = first_stage.Vectors(matrix, &batch);
    } else {
      batch.resize(part.size() * encoder->dimension());
      DPKDE_RETURN_IF_ERROR(encoder->EncodeDocuments(part, pool, absl::MakeSpan(batch)));
      matrix = {batch.data(), part.size(), encoder->dimension()};
    }
    DPKDE_RETURN_IF_ERROR(vectors->Add(matrix, pool.threads()));
  }
  return absl::OkStatus();
}

absl::StatusOr<VectorIndex> NoVectors(const proto::IndexConfig& config, size_t dimension) {
  DPKDE_ASSIGN_OR_RETURN(const VectorIndexOptions options, FirstStage::Options(config));
  return VectorIndex::Build({nullptr, 0, dimension}, options);
}

absl::Status SetVectors(const VectorIndex& vectors, IndexWriter* writer) {
  DPKDE_ASSIGN_OR_RETURN(const std::string bytes, vectors.Serialize());
  return writer->SetBlob(kVectorsBlob, bytes);
}

}  // namespace

absl::Status BuildIndex(const std::string& path, TokenSetsView documents, absl::Span<const std::string> ids,
                        const proto::IndexConfig& config, const Encoder* encoder, bool overwrite, ThreadPool& pool,
                        absl::Duration wait) try {
  const DefaultFloatEnvironment environment;
  if (config.tokens().single_vectors() != (encoder == nullptr)) {
    return absl::InvalidArgumentError("an index has either an encoder or single vectors");
  }
  if (encoder != nullptr && config.vector_index().metric() > proto::VectorIndexSpec::INNER_PRODUCT) {
    return absl::InvalidArgumentError("vectors of an encoder are compared by inner product; leave metric out");
  }
  proto::IndexConfig complete = config;
  proto::TokenStoreSpec& tokens = *complete.mutable_tokens();
  if (tokens.dimension() == 0) tokens.set_dimension(static_cast<uint32_t>(documents.dimension));
  if (tokens.format() == proto::TokenStoreSpec::FORMAT_UNSPECIFIED) {
    tokens.set_format(ToProto(ChooseTokenFormat(documents, encoder == nullptr)));
  }
  DPKDE_RETURN_IF_ERROR(CheckIndexOrigin(complete));
  DPKDE_ASSIGN_OR_RETURN(VectorIndex vectors,
                         NoVectors(complete, encoder == nullptr ? tokens.dimension() : encoder->dimension()));
  *complete.mutable_vector_index() = VectorIndexSpecFromOptions(vectors.options());
  if (encoder == nullptr) complete.mutable_vector_index()->set_metric(ToProto(MetricOf(config)));
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<IndexWriter> writer, IndexWriter::Create(path, tokens, overwrite, wait));
  DPKDE_RETURN_IF_ERROR(writer->Add(documents, ids));
  DPKDE_RETURN_IF_ERROR(AddVectors(complete, encoder, documents, pool, &vectors));
  *writer->config().mutable_vector_index() = complete.vector_index();
  *writer->config().mutable_origin() = complete.origin();
  if (encoder != nullptr) {
    *writer->config().mutable_encoder() = encoder->spec();
    writer->config().set_encoder_fingerprint(encoder->fingerprint());
    DPKDE_RETURN_IF_ERROR(writer->SetBlob(kEncoderBlob, encoder->Serialize()));
  }
  DPKDE_RETURN_IF_ERROR(SetVectors(vectors, writer.get()));
  return writer->Commit();
} catch (...) {
  return StatusOfException();
}

absl::Status AddDocuments(const std::string& path, TokenSetsView documents, absl::Span<const std::string> ids,
                          ThreadPool& pool, absl::Span<const double> origin,
                          absl::Duration wait) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<IndexWriter> writer, IndexWriter::Open(path, wait));
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<const Encoder> encoder, LoadEncoder(*writer->index()));
  DPKDE_ASSIGN_OR_RETURN(VectorIndex vectors, LoadVectors(*writer->index(), encoder.get()));
  if (writer->index()->origin() != origin) {
    if (writer->index()->rows() > 0) {
      return absl::FailedPreconditionError(absl::StrCat(path, ": has another origin than the documents to be added"));
    }
    // The first documents decide.
    *writer->config().mutable_origin() = {origin.begin(), origin.end()};
    DPKDE_RETURN_IF_ERROR(CheckIndexOrigin(writer->config()));
    DPKDE_ASSIGN_OR_RETURN(vectors, NoVectors(writer->config(), vectors.dimension()));
  }
  DPKDE_RETURN_IF_ERROR(writer->Add(documents, ids));
  DPKDE_RETURN_IF_ERROR(AddVectors(writer->config(), encoder.get(), documents, pool, &vectors));
  DPKDE_RETURN_IF_ERROR(SetVectors(vectors, writer.get()));
  return writer->Commit();
} catch (...) {
  return StatusOfException();
}

absl::Status RemoveDocuments(const std::string& path, absl::Span<const std::string> ids,
                             absl::Duration wait) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<IndexWriter> writer, IndexWriter::Open(path, wait));
  DPKDE_RETURN_IF_ERROR(writer->Remove(ids));
  return writer->Commit();
} catch (...) {
  return StatusOfException();
}

absl::Status CompactIndex(const std::string& path, ThreadPool& pool, absl::Duration wait) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<IndexWriter> writer, IndexWriter::Open(path, wait));
  const IndexDirectory& before = *writer->index();
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<const Encoder> encoder, LoadEncoder(before));
  DPKDE_ASSIGN_OR_RETURN(VectorIndex vectors,
                         NoVectors(before.manifest().config(),
                                   encoder == nullptr ? before.dimension() : encoder->dimension()));
  DPKDE_RETURN_IF_ERROR(writer->Compact());
  const size_t batch = BatchRows(vectors);
  std::vector<float> tokens;
  uint64_t row = 0;
  while (row < before.rows()) {
    TokenSets documents(before.dimension());
    for (; row < before.rows() && documents.size() < batch; ++row) {
      if (before.removed(row)) continue;
      const StoredTokens stored = before.tokens(row);
      tokens.resize(stored.count * stored.dimension);
      LoadTokens(stored, tokens.data());
      documents.Append({tokens.data(), stored.count, stored.dimension});
    }
    DPKDE_RETURN_IF_ERROR(AddVectors(before.manifest().config(), encoder.get(), documents.view(), pool, &vectors));
  }
  DPKDE_RETURN_IF_ERROR(SetVectors(vectors, writer.get()));
  return writer->Commit();
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
