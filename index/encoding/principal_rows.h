#ifndef DPKDE_INDEX_ENCODING_PRINCIPAL_ROWS_H_
#define DPKDE_INDEX_ENCODING_PRINCIPAL_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"

namespace dpkde {

// Makes the rows of `rows` x columns, rows <= columns, orthonormal, each within the span of those up to it; a row that
// depends on earlier ones to working precision is replaced by a random one. Gram-Schmidt, by blocks and twice: 4 rows^2
// columns multiply-adds.
void Orthonormalize(size_t rows, size_t columns, uint64_t seed, ThreadPool& pool, std::vector<float>& matrix);

// `count` <= points.columns orthonormal rows that span nearly the principal subspace of the points (which are centred),
// and stand nearly in the order of the variance along them. `most_rank`: a bound of the rank of the points, which need
// not be sharp; rows beyond it are random. Orthogonal iteration from a random start (Golub & Van Loan, section 8.2):
// each of the 4 steps costs 2 points.rows * columns * count multiply-adds and an Orthonormalize(). No eigensolver: a
// LAPACK's takes minutes at 4,000 columns where it has no kernels for the CPU.
std::vector<float> PrincipalRows(MatrixView points, size_t most_rank, size_t count, uint64_t seed, ThreadPool& pool);

// A random orthogonal matrix of order n.
std::vector<float> RandomRotation(size_t n, uint64_t seed, ThreadPool& pool);

}  // namespace dpkde

#endif  // DPKDE_INDEX_ENCODING_PRINCIPAL_ROWS_H_
