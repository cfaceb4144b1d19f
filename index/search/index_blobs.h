#ifndef DPKDE_INDEX_SEARCH_INDEX_BLOBS_H_
#define DPKDE_INDEX_SEARCH_INDEX_BLOBS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "dpkde/index/ann/vector_index.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/encoding/encoder.h"

namespace dpkde {

constexpr char kEncoderBlob[] = "encoder";
constexpr char kVectorsBlob[] = "vectors";

// The encoder of an index; null for one of single vectors. kDataLoss if there should be one and is not, if it is
// damaged, or another than the manifest says.
absl::StatusOr<std::unique_ptr<const Encoder>> LoadEncoder(const IndexDirectory& directory);

// The vectors of an index, one a row. `encoder`: of LoadEncoder(). kDataLoss if they do not fit.
absl::StatusOr<VectorIndex> LoadVectors(const IndexDirectory& directory, const Encoder* encoder);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_INDEX_BLOBS_H_
