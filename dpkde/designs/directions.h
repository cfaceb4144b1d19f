#ifndef DPKDE_DESIGNS_DIRECTIONS_H_
#define DPKDE_DESIGNS_DIRECTIONS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/designs/fourier_kernel.h"

namespace dpkde {

// The d rows, row-major, of a random orthogonal matrix (Gram-Schmidt, twice, on normal vectors), a stream of its own
// for each seed, purpose and block. O(d^3).
std::vector<double> OrthogonalRows(uint64_t seed, absl::string_view purpose, uint64_t block, size_t d);

// Random directions, orthogonal in blocks, and the products of rows with them:
//
//   const StructuredDirections directions(784, scales, seed, "slices");
//   std::vector<float> products(rows.rows * directions.padded());
//   directions.Products(rows, products.data());        // scales[j] * <u_j, row>
//
// A block is the rows of H D_3 H D_2 H D_1 / p^(3/2), H the Hadamard matrix of size p, the least power of two that is
// at least the dimension, D_i random signs (Yu et al. 2016, "Orthogonal Random Features", section 4): orthonormal
// exactly, and of directions that are nearly uniform on the sphere of R^p for p >= 64 (not below: kLeastDimension).
// Rows are padded with zeros, so u_j is a unit vector of R^p, not of R^d.
//
// A row and a block cost 3 p (log2 p + 1) additions, against p d multiply-adds of dense directions. Memory: 12 p bytes
// a block.
//
// Purity: an output is a fixed tree of float32 additions over that row alone, in every lane and whatever the other
// rows. Products may overflow for coordinates above 2^127 / p^(3/2), to infinities or NaN.
//
// Immutable; thread-safe.
class StructuredDirections {
 public:
  static constexpr size_t kLeastDimension = 64;

  // As many directions as scales. 1 <= dimension <= 65536.
  StructuredDirections(size_t dimension, absl::Span<const float> scales, uint64_t seed, absl::string_view purpose);

  // p above, for the dimension.
  static size_t EmbeddingDimension(size_t dimension);

  // Columns of the output: the directions, and zeros up to a multiple of FrequencyPanels::kPanelColumns.
  size_t padded() const { return padded_; }

  // The random signs, one byte (0 or 1) each, for fingerprints.
  const std::vector<uint8_t>& signs() const { return negative_; }

  // out is rows x padded(), row-major.
  void Products(MatrixView rows, float* out) const;

 private:
  size_t dimension_;
  size_t size_;  // p
  size_t padded_;
  std::vector<float> scales_;      // with p^(-3/2)
  std::vector<uint8_t> negative_;  // for each block D_1, D_2, D_3
  std::vector<float> signs_;       // the same as factors 1 and -1
};

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_DIRECTIONS_H_
