#ifndef DPKDE_INDEX_ANN_VECTOR_INDEX_OPTIONS_H_
#define DPKDE_INDEX_ANN_VECTOR_INDEX_OPTIONS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// What an index is; fixed when it is built, and stored with it. No option has a privacy effect: an index holds public
// vectors, in the clear.
struct VectorIndexOptions {
  enum class Kind {
    kFlat,  // compares a query with every code
    kIvf,   // compares a query with the codes of the `ivf_probe` lists whose centres are best for it
    kHnsw,  // walks a graph of near neighbours (Malkov & Yashunin, arXiv 1603.09320)
  };
  enum class Codes {
    kFloat32,  // 4 bytes a coordinate: exact
    kInt8,     // a byte a coordinate, scaled by the range of each, padded to a multiple of 32; 32 bytes more for kL2
    kPq8,      // product quantiser (Jegou, Douze, Schmid, TPAMI 2011): a byte for `pq_dims` coordinates
    kPq4,      // half a byte for `pq_dims` coordinates: scanned by shuffles, the best rescored. Not with kHnsw.
    // `graded_bytes` bytes a vector: 8, 4, 2 or no bits for a coordinate, more for those that vary more. For vectors
    // whose coordinates differ much in variance, such as regression encodings of layout PRINCIPAL, which then keep in
    // 512 bytes what int8 needs 2,000 for. kFlat and kIvf; inner product and cosine.
    kGraded,
  };
  enum class Metric {
    kInnerProduct,  // score <query, vector>, the largest first
    kCosine,        // the same of normalised queries and vectors; a zero vector scores 0
    kL2,            // score ||query - vector||^2, squared, the smallest first
  };

  Kind kind = Kind::kFlat;
  Codes codes = Codes::kFloat32;

  // A graph for inner products is built over vectors that have one coordinate more, sqrt(M^2 - ||x||^2) with M the
  // largest norm, and L2 distances: raw inner products of unequal norms leave parts of a corpus out of reach. A search
  // by inner products in a graph or in lists compares the longest rows besides: they are most of the best.
  Metric metric = Metric::kInnerProduct;

  // kPq8, kPq4 only. Coordinates that one code stands for: 1, 2, 4 or 8; 0: 8 for kPq8, 1 for kPq4.
  int pq_dims = 0;

  // kGraded only. A multiple of 32, 32 to 65,536; 0: a byte for 4 coordinates.
  int graded_bytes = 0;

  // kPq4 only. VectorSearchOptions::rescore where a search does not give one: 1 to 1000.
  int rescore = 4;

  // kIvf only. Lists: 0 to 65,536; 0: 2 sqrt(n) when the index is trained.
  int ivf_lists = 0;

  // kIvf only. VectorSearchOptions::ivf_probe where a search does not give one: 1 to 65,536.
  int ivf_probe = 32;

  // kHnsw only. Neighbours kept per vector, twice as many on the lowest level: 2 to 512. More: better recall on hard
  // data, 8 bytes a neighbour and vector.
  int hnsw_neighbors = 32;

  // kHnsw only. Candidates considered when a vector is linked: 1 to 1,000,000. More: better graph, slower build.
  int ef_construction = 200;

  // kHnsw only. VectorSearchOptions::ef_search where a search does not give one: 1 to 1,000,000.
  int ef_search = 64;
};

// kInvalidArgument unless every option is in its range and they go together.
absl::Status CheckVectorIndexOptions(const VectorIndexOptions& options);

// The stored form. Fields that are zero take the defaults above; kInvalidArgument as of CheckVectorIndexOptions().
absl::StatusOr<VectorIndexOptions> VectorIndexOptionsFromSpec(const proto::VectorIndexSpec& spec);
proto::VectorIndexSpec VectorIndexSpecFromOptions(const VectorIndexOptions& options);
proto::VectorIndexSpec::Metric ToProto(VectorIndexOptions::Metric metric);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ANN_VECTOR_INDEX_OPTIONS_H_
