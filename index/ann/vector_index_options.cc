#include "dpkde/index/ann/vector_index_options.h"

#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {
namespace {

using Kind = VectorIndexOptions::Kind;
using Codes = VectorIndexOptions::Codes;
using Metric = VectorIndexOptions::Metric;

constexpr int64_t kMaxNeighbors = 512;
constexpr int64_t kMaxEf = 1000000;
constexpr int64_t kMaxLists = 65536;
constexpr int64_t kMaxRescore = 1000;
constexpr int64_t kMaxGradedBytes = 65536;

}  // namespace

absl::Status CheckVectorIndexOptions(const VectorIndexOptions& options) {
  if (options.kind != Kind::kFlat && options.kind != Kind::kIvf && options.kind != Kind::kHnsw) {
    return absl::InvalidArgumentError("kind must be flat, IVF or HNSW");
  }
  if (options.codes != Codes::kFloat32 && options.codes != Codes::kInt8 && options.codes != Codes::kPq8 &&
      options.codes != Codes::kPq4 && options.codes != Codes::kGraded) {
    return absl::InvalidArgumentError("codes must be float32, int8, PQ8, PQ4 or graded");
  }
  if (options.metric != Metric::kInnerProduct && options.metric != Metric::kCosine && options.metric != Metric::kL2) {
    return absl::InvalidArgumentError("metric must be inner product, cosine or L2");
  }
  if (options.kind == Kind::kHnsw && options.codes == Codes::kPq4) {
    return absl::InvalidArgumentError("a graph takes codes of float32, int8 or PQ8, but not PQ4");
  }
  if (options.codes == Codes::kGraded) {
    if (options.kind == Kind::kHnsw) return absl::InvalidArgumentError("a graph does not take graded codes");
    if (options.metric == Metric::kL2) {
      return absl::InvalidArgumentError("graded codes are for inner products and cosines, but not L2");
    }
    DPKDE_RETURN_IF_ERROR(CheckInRange("graded_bytes", options.graded_bytes, 0, kMaxGradedBytes));
    if (options.graded_bytes % 32 != 0) return absl::InvalidArgumentError("graded_bytes must be a multiple of 32");
  }
  if (options.pq_dims != 0 && options.pq_dims != 1 && options.pq_dims != 2 && options.pq_dims != 4 &&
      options.pq_dims != 8) {
    return absl::InvalidArgumentError("pq_dims must be 1, 2, 4 or 8, or 0 for the default");
  }
  if (options.codes == Codes::kPq4) DPKDE_RETURN_IF_ERROR(CheckInRange("rescore", options.rescore, 1, kMaxRescore));
  if (options.kind == Kind::kIvf) {
    DPKDE_RETURN_IF_ERROR(CheckInRange("ivf_lists", options.ivf_lists, 0, kMaxLists));
    DPKDE_RETURN_IF_ERROR(CheckInRange("ivf_probe", options.ivf_probe, 1, kMaxLists));
  }
  if (options.kind == Kind::kHnsw) {
    DPKDE_RETURN_IF_ERROR(CheckInRange("hnsw_neighbors", options.hnsw_neighbors, 2, kMaxNeighbors));
    DPKDE_RETURN_IF_ERROR(CheckInRange("ef_construction", options.ef_construction, 1, kMaxEf));
    DPKDE_RETURN_IF_ERROR(CheckInRange("ef_search", options.ef_search, 1, kMaxEf));
  }
  return absl::OkStatus();
}

absl::StatusOr<VectorIndexOptions> VectorIndexOptionsFromSpec(const proto::VectorIndexSpec& spec) {
  VectorIndexOptions options;
  if (spec.kind() != 0) options.kind = static_cast<Kind>(spec.kind() - 1);
  if (spec.codes() != 0) options.codes = static_cast<Codes>(spec.codes() - 1);
  if (spec.metric() != 0) options.metric = static_cast<Metric>(spec.metric() - 1);
  const auto take = [](uint32_t value, int* option) {
    if (value != 0) *option = static_cast<int>(value);  // beyond int: negative, and refused below
  };
  take(spec.pq_dims(), &options.pq_dims);
  take(spec.graded_bytes(), &options.graded_bytes);
  take(spec.rescore(), &options.rescore);
  take(spec.ivf_lists(), &options.ivf_lists);
  take(spec.ivf_probe(), &options.ivf_probe);
  take(spec.hnsw_neighbors(), &options.hnsw_neighbors);
  take(spec.ef_construction(), &options.ef_construction);
  take(spec.ef_search(), &options.ef_search);
  DPKDE_RETURN_IF_ERROR(CheckVectorIndexOptions(options));
  return options;
}

proto::VectorIndexSpec VectorIndexSpecFromOptions(const VectorIndexOptions& options) {
  proto::VectorIndexSpec spec;
  spec.set_kind(static_cast<proto::VectorIndexSpec::Kind>(static_cast<int>(options.kind) + 1));
  spec.set_codes(static_cast<proto::VectorIndexSpec::Codes>(static_cast<int>(options.codes) + 1));
  spec.set_metric(ToProto(options.metric));
  const bool pq = options.codes == Codes::kPq8 || options.codes == Codes::kPq4;
  if (pq) spec.set_pq_dims(options.pq_dims != 0 ? options.pq_dims : options.codes == Codes::kPq8 ? 8 : 1);
  if (options.codes == Codes::kPq4) spec.set_rescore(options.rescore);
  if (options.codes == Codes::kGraded) spec.set_graded_bytes(options.graded_bytes);
  if (options.kind == Kind::kIvf) {
    spec.set_ivf_lists(options.ivf_lists);
    spec.set_ivf_probe(options.ivf_probe);
  }
  if (options.kind == Kind::kHnsw) {
    spec.set_hnsw_neighbors(options.hnsw_neighbors);
    spec.set_ef_construction(options.ef_construction);
    spec.set_ef_search(options.ef_search);
  }
  return spec;
}

proto::VectorIndexSpec::Metric ToProto(Metric metric) {
  return static_cast<proto::VectorIndexSpec::Metric>(static_cast<int>(metric) + 1);
}

}  // namespace dpkde
