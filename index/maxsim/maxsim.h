#ifndef DPKDE_INDEX_MAXSIM_MAXSIM_H_
#define DPKDE_INDEX_MAXSIM_MAXSIM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/index/corpus/token_sets.h"

// Exact late-interaction scores (ColBERT: Khattab & Zaharia, SIGIR 2020; Chamfer similarity in MUVERA, NeurIPS 2024):
//
//   CH(Q, P) = sum over q in Q of max over p in P of <q, p>
//
// A query of no tokens scores 0 everywhere. For any other query a document of no tokens scores minus infinity, below
// everything else. Tokens need not be of unit length. Values are finite and squared norms at most 1e37, so that
// products stay finite.
//
// Arithmetic. f4 and f2: each product <q, p> is a chain of fused multiply-adds in the order of the coordinates, in
// float32; f2 is widened exactly. int8: products of integer codes are exact. The products of a query are added in
// double in the order of its tokens and rounded once. So a score depends on the query and the document alone, bit for
// bit: not on the CPU (AVX2, AVX-512, VNNI), the number of threads or what stands beside them.
//
// Errors against real arithmetic over the original tokens, for each product, d the dimension:
//   f4    d 2^-24 sum |q_i p_i|
//   f2    the same, and 2^-11 sum |q_i p_i| + 2^-25 sum |q_i|
//   int8  0.50001 (s_q sum |p_i| + s_p sum |q_i| + d s_q s_p), where s_p = max |p_i| / 127, but s_q =
//         max (|q_2j| + |q_2j+1|) / 127 over neighbouring coordinates, since AVX2 adds two products in 16 bits
// The score of a document is off by at most the sum over q of the largest of its bounds over p, and by a relative
// 2^-24. Held by maxsim_test.

namespace dpkde {

// Query tokens, packed for the kernels. Immutable, so safe for any number of threads. Copies what it needs: about the
// size of the tokens, in panels of 32.
class MaxSimQuery {
 public:
  // `format`: of the documents that the query is to meet; kFloat32 and kFloat16 are the same.
  MaxSimQuery(MatrixView tokens, TokenFormat format);
  ~MaxSimQuery();
  MaxSimQuery(MaxSimQuery&&) noexcept;
  MaxSimQuery& operator=(MaxSimQuery&&) noexcept;

  size_t size() const { return size_; }
  size_t dimension() const { return dimension_; }
  TokenFormat format() const { return format_; }

 private:
  friend class MaxSimKernel;
  struct Panels;

  size_t size_;
  size_t dimension_;
  TokenFormat format_;
  std::unique_ptr<const Panels> panels_;
};

// Exact Chamfer scores of one query with each of `documents`, on the calling thread. `scores` has one a document.
// kInvalidArgument if a document is of another dimension, or of a format that the query was not packed for.
absl::Status Chamfer(const MaxSimQuery& query, absl::Span<const StoredTokens> documents, absl::Span<float> scores);

// The same by the threads of `pool`.
absl::Status Chamfer(const MaxSimQuery& query, absl::Span<const StoredTokens> documents, ThreadPool& pool,
                     absl::Span<float> scores);

// Every query with every document: `scores` is queries x documents, row-major. Faster than query by query.
absl::Status ChamferMatrix(TokenSetsView queries, absl::Span<const StoredTokens> documents, ThreadPool& pool,
                           absl::Span<float> scores);

// max over p in P of <a, p> for every anchor a (a row) and document P: `out` is documents x anchors, row-major. A
// document of no tokens has minus infinity everywhere. kInvalidArgument as above.
absl::Status MaxSimMatrix(MatrixView anchors, absl::Span<const StoredTokens> documents, ThreadPool& pool,
                          absl::Span<float> out);
absl::Status MaxSimMatrix(MatrixView anchors, TokenSetsView documents, ThreadPool& pool, absl::Span<float> out);

struct TokenMatch {
  size_t token;      // of the document, counting from 0; the first of those that match equally well
  float similarity;  // its product with the query token
};

// Which document token each query token was matched with: one a query token, in order; their sum in double is the
// Chamfer score. Empty for a document of no tokens. kInvalidArgument as above.
absl::StatusOr<std::vector<TokenMatch>> ExplainChamfer(const MaxSimQuery& query, const StoredTokens& document);

}  // namespace dpkde

#endif  // DPKDE_INDEX_MAXSIM_MAXSIM_H_
