#ifndef DPKDE_INDEX_ENCODING_REGRESSION_ENCODER_H_
#define DPKDE_INDEX_ENCODING_REGRESSION_ENCODER_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/encoding/encoder.h"
#include "dpkde/index/encoding/matrix_product.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// Regression encodings (after LEMUR, arXiv 2601.21853, with ridge regression in the place of training). The function
// f_P(t) = max_{p in P} <t, p> of a token t is fitted, for each document P, by <features(t), w_P>; summed over the
// tokens of a query this estimates the Chamfer similarity.
//
//   proto::EncoderSpec spec;
//   spec.mutable_regression();  // defaults: 4,096 features, 12,000 anchors, 1,024-d
//   absl::StatusOr<std::unique_ptr<const RegressionEncoder>> encoder = RegressionEncoder::Train(spec, sample, pool);
//
// Features are random: max(0, <direction, t - mean>), t itself, and 1. w_P minimises the squared error over the
// anchors, weighted tokens of a public sample, plus a ridge. With Phi the anchors' features, W their weights and L the
// Cholesky factor of Phi^T W Phi + ridge, the query's vector is R V L^-1 (sum of features) and the document's
// R V L^-1 Phi^T W (f_P(anchors)), less that of the mean document: the same for all documents, so that it changes no
// ranking, and a score estimates the similarity but for a constant of the query. In the metric of L the mean squared
// error over anchors is the plain distance of vectors, so the coordinates to keep are the principal ones V of the
// sample's documents. R is a random rotation, or none (Layout).
//
// Which tokens are anchors decides much: queries repeat the tokens of a corpus in proportion to their frequency, so
// equal tokens are counted, the most frequent kept, and weighed by the root of the count. On 20,000 WordNet glosses
// (static word vectors) the best ten are among 100 candidates with .98 for that, .95 for as many tokens drawn at random
// with repetition, .74 for distinct tokens drawn and weighed alike (numpy, 4,096 features, no rank cut). Where no token
// occurs twice, the choice is plainly random.
//
// A document without tokens has the zero vector, as if it were the mean one.
//
// Anchors, V L^-1 and the mean are stored: documents can be added at any time and change nothing about others. Vectors'
// bits are the same on every CPU and for every batch (matrix_product.h, maxsim.h); those of a newly trained encoder are
// not (LAPACK), which is why all of it is stored.
//
// Cost for m features, A anchors, rank r, token dimension d, in multiply-adds. Training: 2 A m^2 + m^3 / 2 for the
// factor, S A m for S = max(8192, 4 r) sample documents (fewer if there are), 8 S m r for their principal coordinates;
// about 12 (A + m) m + 4 S m bytes for a while. A query of n tokens: m (d n + r). A document: A (d n + r). Stored:
// 4 (r m + m d + A d) bytes, 24 MB with the defaults and d = 100; the operator of documents, 4 A r bytes, is made when
// the first document is encoded.
class RegressionEncoder : public Encoder {
 public:
  // `sample`: token sets of the corpus, or like it. token_dimension may be 0, and is then the sample's.
  // kInvalidArgument: a field out of range, a sample without tokens, or a token that is not finite.
  static absl::StatusOr<std::unique_ptr<const RegressionEncoder>> Train(const proto::EncoderSpec& spec,
                                                                        TokenSetsView sample, ThreadPool& pool);

  // From what was stored; kInvalidArgument if sizes do not fit.
  static absl::StatusOr<std::unique_ptr<const RegressionEncoder>> FromStored(const proto::StoredEncoder& stored);

  // The encoder whose vectors are the first `rank` <= dimension() coordinates of this one's. Of use for the layout
  // PRINCIPAL, where it is the encoder that would have been trained with that rank.
  absl::StatusOr<std::unique_ptr<const RegressionEncoder>> CutTo(size_t rank) const;

  absl::Status EncodeQueries(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const override;
  absl::Status EncodeDocuments(TokenSetsView sets, ThreadPool& pool, absl::Span<float> out) const override;
  std::string Serialize() const override;

 private:
  // As in StoredRegression.
  struct Matrices {
    std::vector<float> mean, directions, query_operator, anchors, anchor_weights, offset;
  };

  RegressionEncoder(proto::EncoderSpec spec, Matrices matrices);

  proto::StoredEncoder ToStored() const;
  // rank x anchors.
  const PackedMatrix& DocumentOperator(ThreadPool& pool) const;

  const Matrices matrices_;
  PackedMatrix directions_, query_operator_;
  mutable std::once_flag document_operator_made_;
  mutable PackedMatrix document_operator_;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_REGRESSION_ENCODER_H_
