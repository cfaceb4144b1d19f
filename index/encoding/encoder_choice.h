#ifndef DPKDE_INDEX_ENCODING_ENCODER_CHOICE_H_
#define DPKDE_INDEX_ENCODING_ENCODER_CHOICE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/encoding/encoder.h"

namespace dpkde {

struct EncoderChoiceOptions {
  // What the index is meant to do: of the k best documents by Chamfer similarity, this share on average among so many
  // candidates. k >= 1, candidates >= k, target_recall in (0, 1].
  size_t k = 10;
  size_t candidates = 500;
  double target_recall = 0.95;

  // Encoders are held to target_recall + margin (at most 1), since real queries are not the held-out documents that are
  // measured with. 0 to 0.5.
  double margin = 0.02;

  // Of the choice of documents and of every encoder's matrices.
  uint64_t public_seed = 0;
};

// One encoder that was measured.
struct EncoderTrial {
  std::string name;      // "regression, 2048 features, rank 512"
  size_t dimension = 0;  // of its vectors
  double recall = 0;
  bool chosen = false;
};

struct EncoderChoice {
  std::unique_ptr<const Encoder> encoder;
  std::vector<EncoderTrial> trials;  // empty where there was too little to measure with
  std::string reason;                // one line: what was chosen, and why

  // The reason and, below it, a line for every trial.
  std::string DebugString() const;
};

// An encoder for these documents, chosen by measuring on a sample of up to 20,000 of them.
//
// 200 documents (a tenth, if there are fewer than 2,000) are held out; up to 16 tokens of each are a query. Recall is
// that of their k best among the rest of the sample, with candidates in proportion to the sample's share of the corpus.
// Chosen is the encoder of the fewest dimensions that reaches target_recall + margin: regression encodings of rank 128,
// 256, 512 and 1,024 (one training, cut), of 2,048 features and, if those fall short, of 4,096 with rank 2,048; beside
// them FDE encodings, calibrated and oblivious, (20, 5, 16). If none reaches it, the best. The encoder has not seen the
// held-out documents.
//
// Without documents that have tokens, or with fewer than 50 of them, the oblivious FDE encoder with its defaults: it
// needs no sample.
//
// Cost with 230,000 tokens of dimension 100: about 40 s of one core, a minute more where the larger training is needed;
// 1 GB. kInvalidArgument: options out of range, a dimension that encoders refuse, tokens that are not finite.
absl::StatusOr<EncoderChoice> ChooseEncoder(TokenSetsView documents, const EncoderChoiceOptions& options,
                                            ThreadPool& pool);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_ENCODER_CHOICE_H_
