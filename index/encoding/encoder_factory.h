#ifndef DPKDE_INDEX_ENCODING_ENCODER_FACTORY_H_
#define DPKDE_INDEX_ENCODING_ENCODER_FACTORY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/index/encoding/encoder.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// The encoder that `spec` describes. `sample` is public: documents of the corpus, or others like them. What needs no
// sample (FDE, oblivious) ignores its tokens, but if `spec` leaves token_dimension 0 it is the sample's.
// kInvalidArgument: a field out of range, or a sample without tokens where one is needed.
absl::StatusOr<std::unique_ptr<const Encoder>> CreateEncoder(const proto::EncoderSpec& spec, TokenSetsView sample,
                                                             ThreadPool& pool);

// From the bytes of Encoder::Serialize(). Damage, and contents that Create would refuse or never make, are kDataLoss;
// a newer version is kFailedPrecondition.
absl::StatusOr<std::unique_ptr<const Encoder>> DeserializeEncoder(absl::string_view bytes);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_ENCODER_FACTORY_H_
