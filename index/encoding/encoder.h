#ifndef DPKDE_INDEX_ENCODING_ENCODER_H_
#define DPKDE_INDEX_ENCODING_ENCODER_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// Turns a set of tokens into one vector: the plain inner product of a query's and a document's vector estimates their
// Chamfer similarity CH(Q, P) = sum_q max_p <q, p>. Never normalise such a vector: its length is part of the estimate.
//
//   absl::StatusOr<std::unique_ptr<const Encoder>> encoder = CreateEncoder(spec, sample);   // encoder_factory.h
//   std::vector<float> vectors(documents.size() * (*encoder)->dimension());
//   absl::Status status = (*encoder)->EncodeDocuments(documents, pool, absl::MakeSpan(vectors));
//
// Guarantees. A set's vector depends on its tokens, their order and the encoder: not on the other sets of the call nor
// on the number of threads. A query without tokens is the zero vector, and scores the same everywhere. A document
// without tokens has a vector as well (FDE: zero); that such documents rank last is for the exact rerank to see to.
//
// Immutable, and so safe for any number of threads. No privacy effect: vectors and encoders are public.
class Encoder {
 public:
  virtual ~Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  // What it was made from, complete: no default is left unset.
  const proto::EncoderSpec& spec() const { return spec_; }

  size_t token_dimension() const { return spec_.token_dimension(); }

  // Of the vectors.
  size_t dimension() const { return dimension_; }

  // SHA-256 in hexadecimal of the specification and every stored matrix: only vectors of equal fingerprints belong
  // together.
  const std::string& fingerprint() const { return fingerprint_; }

  // `out`: sets.size() x dimension(), row-major, overwritten. kInvalidArgument: another token dimension, an `out` of
  // another size, or a token that is not finite (by its place; `out` is then unspecified).
  virtual absl::Status EncodeQueries(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const = 0;
  virtual absl::Status EncodeDocuments(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const = 0;

  // The bytes of a file, for DeserializeEncoder() of encoder_factory.h. The same bytes from the same encoder.
  virtual std::string Serialize() const = 0;

 protected:
  Encoder() = default;

  // Set by Create functions, and not changed afterwards.
  proto::EncoderSpec spec_;
  size_t dimension_ = 0;
  std::string fingerprint_;
};

// The conditions of EncodeQueries() and EncodeDocuments() on the dimension and values of tokens, and on sizes; `role`
// is what a set is called: "query".
absl::Status CheckEncoderTokens(const Encoder& encoder, absl::string_view role, TokenSetsView sets);
absl::Status CheckEncoderSizes(const Encoder& encoder, absl::string_view role, TokenSetsView sets,
                               absl::Span<const float> out);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_ENCODER_H_
