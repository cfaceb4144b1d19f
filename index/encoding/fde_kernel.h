#ifndef DPKDE_INDEX_ENCODING_FDE_KERNEL_H_
#define DPKDE_INDEX_ENCODING_FDE_KERNEL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"

namespace dpkde {

// Hyperplanes in panels of kPanelPlanes, each panel coordinate-major, the last one padded with zeros.
struct HyperplanePanels {
  static constexpr size_t kPanelPlanes = 6;

  size_t dimension = 0;
  size_t planes = 0;
  std::vector<float> panels;
  std::vector<float> thresholds;  // padded as the panels are
};

// `planes`: thresholds.size() x dimension, row-major.
HyperplanePanels MakeHyperplanePanels(absl::Span<const float> planes, absl::Span<const float> thresholds,
                                      size_t dimension);

// The inner projections of all repetitions: coordinates are added, with signs, in `buckets` buckets; then, if
// `hadamard`, the buckets (a power of 2) are transformed by the Hadamard matrix of that order, not normalised; then the
// `projected` buckets of `kept` are taken. Every repetition has the coordinates 0 to dimension - 1 in its entries, each
// once.
struct FoldTables {
  struct Entry {
    uint32_t coordinate;
    float sign;  // 1 or -1
  };

  size_t dimension = 0;
  size_t buckets = 0;
  size_t projected = 0;
  bool hadamard = false;
  std::vector<Entry> entries;        // repetitions x dimension, those of a bucket side by side, coordinates ascending
  std::vector<uint32_t> bucket_end;  // repetitions x buckets: the end of a bucket in the repetition's entries
  std::vector<uint32_t> kept;        // repetitions x projected
};

// Tokens are worked on in tiles of kTileTokens; outputs below are padded to whole tiles.
inline constexpr size_t kFdeTileTokens = 64;
inline size_t PaddedTokens(size_t tokens) { return (tokens + kFdeTileTokens - 1) / kFdeTileTokens * kFdeTileTokens; }

// Projections of tokens are padded to whole registers of four.
inline size_t BlockStride(size_t projected) { return (projected + 3) / 4 * 4; }

// Reused between calls; belongs to one thread.
struct FdeKernelScratch {
  std::vector<float> tile, buckets;
};

// Codes and projections of tokens in the repetitions [begin, end), each of `hyperplanes` hyperplanes.
//   codes      (end - begin) x PaddedTokens: bit j says whether <token, plane> > threshold of plane r * hyperplanes + j
//   projected  (end - begin) x PaddedTokens x BlockStride(folds.projected), zero beyond folds.projected
// What stands in the padding is unspecified.
//
// Purity: a token's bits are a function of its bytes and the tables alone, whatever its position, the other tokens, the
// number of threads and the SIMD target (AVX2 or AVX-512, chosen at run time): one accumulator a sum, coordinates
// ascending, one fused multiply-add a term, in every lane and remainder. A BLAS does not give this.
//
// Cost a token and repetition: dimension * (hyperplanes + 1) fused multiply-adds, and buckets * log2(buckets)
// additions.
void ProjectTokens(const HyperplanePanels& planes, const FoldTables& folds, MatrixView tokens, size_t begin, size_t end,
                   size_t hyperplanes, FdeKernelScratch& scratch, uint32_t* codes, float* projected);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_FDE_KERNEL_H_
