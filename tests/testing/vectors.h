#ifndef TESTS_TESTING_VECTORS_H_
#define TESTS_TESTING_VECTORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "dpkde/base/matrix_view.h"

namespace dpkde {

// Points that own their memory.
struct Points {
  std::vector<float> values;
  size_t columns = 0;

  size_t rows() const { return columns == 0 ? 0 : values.size() / columns; }
  MatrixView view() const { return {values.data(), rows(), columns}; }
};

// All rows of a file of vectors, such as "tests/testdata/us_zipcodes.npy"; aborts if it cannot be read.
Points LoadPoints(const std::string& path);

// `count` of the rows, drawn without replacement by the seed.
Points SampleRows(const Points& points, size_t count, uint64_t seed);

// Uniform in [low, high].
Points UniformPoints(size_t rows, size_t columns, double low, double high, uint64_t seed);

// The points in another order.
Points Shuffled(const Points& points, uint64_t seed);

}  // namespace dpkde

#endif  // TESTS_TESTING_VECTORS_H_
