#ifndef DPKDE_INDEX_ANN_PRODUCT_QUANTIZER_H_
#define DPKDE_INDEX_ANN_PRODUCT_QUANTIZER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"

namespace dpkde {

// A product quantiser (Jegou, Douze, Schmid, TPAMI 2011): every group of `dims` coordinates is replaced by the nearest
// of `entries` centroids of its own. Not FAISS's: that one's k-means, made for many coordinates, takes 1.2 s for 16
// groups of 8 on one thread, and 7 to 30 times as long on two threads of a busy machine; this one's result depends on
// the rows alone, neither on threads nor on a BLAS.
struct ProductQuantizer {
  size_t dims = 0;     // 1 to 8
  size_t groups = 0;   // the coordinates beyond the last of a vector are zero
  size_t entries = 0;  // 16 or 256

  std::vector<float> centroids;  // groups x entries x dims

  size_t width() const { return dims * groups; }
  const float* centroid(size_t group, size_t entry) const { return &centroids[(group * entries + entry) * dims]; }

  // Lloyd's k-means of each group over `rows` (at least 1).
  void Learn(MatrixView rows, ThreadPool& pool);

  // codes[row * groups + group], of the nearest centroids, the lowest where several are.
  void Encode(MatrixView rows, ThreadPool& pool, uint8_t* codes) const;
};

}  // namespace dpkde

#endif  // DPKDE_INDEX_ANN_PRODUCT_QUANTIZER_H_
