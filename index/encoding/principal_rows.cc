#include "dpkde/index/encoding/principal_rows.h"

#include <algorithm>
#include <boost/random/normal_distribution.hpp>
#include <cmath>

#include "dpkde/designs/public_random.h"
#include "dpkde/index/encoding/matrix_product.h"

namespace dpkde {
namespace {

constexpr int kSteps = 4;
constexpr size_t kBlockRows = 128;

// A row that shrinks below this share of its length when earlier ones are taken out is nothing but rounding.
constexpr double kDependent = 1e-5;

std::vector<float> Normals(size_t count, uint64_t seed, absl::string_view purpose, uint64_t index) {
  auto engine = PublicStream(seed, purpose, index);
  boost::random::normal_distribution<double> normal;
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(engine));
  return values;
}

std::vector<float> Transposed(MatrixView matrix) {
  std::vector<float> transposed(matrix.rows * matrix.columns);
  constexpr size_t kBlock = 32;
  for (size_t first = 0; first < matrix.columns; first += kBlock) {
    for (size_t i = 0; i < matrix.rows; ++i) {
      for (size_t j = first; j < std::min(first + kBlock, matrix.columns); ++j) {
        transposed[j * matrix.rows + i] = matrix.data[i * matrix.columns + j];
      }
    }
  }
  return transposed;
}

double Product(const float* x, const float* y, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * y[i];
  return sum;
}

// Takes the rows [0, count) of an orthonormal matrix out of `row`.
void TakeOut(const float* matrix, size_t count, size_t columns, float* row) {
  for (size_t i = 0; i < count; ++i) {
    const float product = static_cast<float>(Product(matrix + i * columns, row, columns));
    for (size_t j = 0; j < columns; ++j) row[j] -= product * matrix[i * columns + j];
  }
}

void Normalize(float* row, size_t columns) {
  const double length = std::sqrt(Product(row, row, columns));
  for (size_t j = 0; j < columns; ++j) row[j] = static_cast<float>(row[j] / length);
}

}  // namespace

void Orthonormalize(size_t rows, size_t columns, uint64_t seed, ThreadPool& pool, std::vector<float>& matrix) {
  std::vector<float> coefficients(kBlockRows * rows), part(kBlockRows * columns);
  std::vector<double> lengths(kBlockRows);
  for (size_t begin = 0; begin < rows; begin += kBlockRows) {
    const size_t count = std::min(kBlockRows, rows - begin);
    float* const block = matrix.data() + begin * columns;
    for (size_t i = 0; i < count; ++i) {
      lengths[i] = std::sqrt(Product(block + i * columns, block + i * columns, columns));
    }
    if (begin > 0) {
      const MatrixView before = {matrix.data(), begin, columns};
      const PackedMatrix packed(before);
      const std::vector<float> transposed = Transposed(before);
      const PackedMatrix packed_columns({transposed.data(), columns, begin});
      for (int pass = 0; pass < 2; ++pass) {
        MatrixProduct({block, count, columns}, packed, pool, coefficients.data());
        MatrixProduct({coefficients.data(), count, begin}, packed_columns, pool, part.data());
        for (size_t i = 0; i < count * columns; ++i) block[i] -= part[i];
      }
    }
    for (size_t i = 0; i < count; ++i) {
      float* const row = block + i * columns;
      for (int pass = 0; pass < 2; ++pass) TakeOut(block, i, columns, row);
      for (uint64_t draw = 0; !(std::sqrt(Product(row, row, columns)) > kDependent * lengths[i]); ++draw) {
        const std::vector<float> fresh =
            Normals(columns, seed, "replacement of a dependent row", 1000 * begin + i + draw);
        std::copy(fresh.begin(), fresh.end(), row);
        lengths[i] = std::sqrt(Product(row, row, columns));
        for (int pass = 0; pass < 2; ++pass) TakeOut(matrix.data(), begin + i, columns, row);
      }
      Normalize(row, columns);
    }
  }
}

std::vector<float> PrincipalRows(MatrixView points, size_t most_rank, size_t count, uint64_t seed, ThreadPool& pool) {
  const size_t d = points.columns;
  const size_t varied = std::min({count, most_rank, points.rows});
  std::vector<float> rows = Normals(varied * d, seed, "principal rows", 0);
  const std::vector<float> transposed_points = Transposed(points);
  const PackedMatrix columns({transposed_points.data(), d, points.rows});
  std::vector<float> products(points.rows * varied);
  Orthonormalize(varied, d, seed, pool, rows);
  for (int step = 0; step < kSteps; ++step) {
    MatrixProduct(points, PackedMatrix({rows.data(), varied, d}), pool, products.data());
    const std::vector<float> transposed = Transposed({products.data(), points.rows, varied});
    MatrixProduct({transposed.data(), varied, points.rows}, columns, pool, rows.data());
    Orthonormalize(varied, d, seed, pool, rows);
  }
  if (varied < count) {
    const std::vector<float> random = Normals((count - varied) * d, seed, "principal rows", 1);
    rows.insert(rows.end(), random.begin(), random.end());
    Orthonormalize(count, d, seed, pool, rows);
  }
  return rows;
}

std::vector<float> RandomRotation(size_t n, uint64_t seed, ThreadPool& pool) {
  std::vector<float> rotation = Normals(n * n, seed, "rotation", 0);
  Orthonormalize(n, n, seed, pool, rotation);
  return rotation;
}

}  // namespace dpkde
