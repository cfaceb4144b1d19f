#ifndef DPKDE_INDEX_ANN_KERNELS_H_
#define DPKDE_INDEX_ANN_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "dpkde/base/matrix_view.h"

// Scores of many vectors against a few queries, with run-time dispatch (AVX2, AVX-512).
//
// Every score is computed in one order of operations that depends on the dimension alone: it has the same bits whatever
// stands beside query and vector, and on every CPU. Equal vectors therefore have equal scores, which no BLAS promises.

namespace dpkde {

// out[q * rows.rows + r] = <queries[q], rows[r]>, in float32: 16 partial sums, then a tree.
void InnerProducts(MatrixView queries, MatrixView rows, float* out);

// out[q * rows.rows + r] = ||queries[q] - rows[r]||^2, in the same order; differences are taken first.
void SquaredDistances(MatrixView queries, MatrixView rows, float* out);

// Codes of scalar quantisers are padded with zeros to a multiple of this.
constexpr size_t kInt8Lanes = 32;

// out[q * row_count + r] = sum_j queries[q][j] * rows[r][j], exact as long as 128 * sum_j |queries[q][j]| < 2^31.
// `width`: a multiple of kInt8Lanes; both matrices are row-major.
void Int8Products(const int16_t* queries, size_t query_count, const int8_t* rows, size_t row_count, size_t width,
                  int32_t* out);

// out[r] = sum_m table[m][codes[r][m]] with 256 entries a table, in float32 and in the order of m. `codes`: rows x
// tables.
void TableSums8(const float* tables, size_t table_count, const uint8_t* codes, size_t row_count, float* out);

// Rows of 4-bit codes lie together in blocks, so that one shuffle looks up 32 of them. A block has 32 bytes for each
// pair of tables: row r < 16 in byte 2r, row r >= 16 in byte 2 (r - 16) + 1; the even table in the lower half of the
// byte.
constexpr size_t kBlockRows4 = 32;
inline size_t ByteInBlock4(size_t row) { return row < 16 ? 2 * row : 2 * (row - 16) + 1; }

// out[b * 32 + r] = sum_m table[m][code of row r of block b], with 16 entries a table: at most 127 each, and at most
// 65535 in any sum. `table_count` is even.
void TableSums4(const uint8_t* tables, size_t table_count, const uint8_t* blocks, size_t block_count, uint16_t* out);

// codes[i] = the centroid nearest to points[i], the lowest where several are. `points`: count x dims. `transposed`:
// half the squared norm of each centroid, then the first coordinate of each, and so on; entries is a multiple of 16, at
// most 256.
void NearestCentroids(const float* points, size_t count, size_t dims, const float* transposed, size_t entries,
                      uint8_t* codes);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ANN_KERNELS_H_
