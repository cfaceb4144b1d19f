#include "tests/testing/vectors.h"

#include <algorithm>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>

#include "dpkde/io/vector_reader.h"

namespace dpkde {
namespace {

std::vector<size_t> RandomOrder(size_t count, uint64_t seed) {
  boost::random::mt19937_64 engine(seed);
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = count; i > 1; --i) {
    std::swap(order[i - 1], order[boost::random::uniform_int_distribution<size_t>(0, i - 1)(engine)]);
  }
  return order;
}

Points Take(const Points& points, const std::vector<size_t>& order, size_t count) {
  Points taken;
  taken.columns = points.columns;
  for (size_t i = 0; i < count; ++i) {
    const auto row = points.view().row(order[i]);
    taken.values.insert(taken.values.end(), row.begin(), row.end());
  }
  return taken;
}

}  // namespace

Points LoadPoints(const std::string& path) {
  auto reader = VectorReader::Open(path);
  if (!reader.ok()) {
    std::fprintf(stderr, "%s\n", reader.status().ToString().c_str());
    std::abort();
  }
  Points points;
  points.columns = (*reader)->dimension();
  std::vector<float> batch(4096 * points.columns);
  while (true) {
    const auto rows = (*reader)->ReadRows(4096, batch.data());
    if (!rows.ok()) std::abort();
    if (*rows == 0) return points;
    points.values.insert(points.values.end(), batch.begin(), batch.begin() + *rows * points.columns);
  }
}

Points SampleRows(const Points& points, size_t count, uint64_t seed) {
  return Take(points, RandomOrder(points.rows(), seed), count);
}

Points UniformPoints(size_t rows, size_t columns, double low, double high, uint64_t seed) {
  boost::random::mt19937_64 engine(seed);
  boost::random::uniform_real_distribution<double> uniform(low, high);
  Points points;
  points.columns = columns;
  points.values.resize(rows * columns);
  for (float& value : points.values) value = static_cast<float>(uniform(engine));
  return points;
}

Points Shuffled(const Points& points, uint64_t seed) {
  return Take(points, RandomOrder(points.rows(), seed), points.rows());
}

}  // namespace dpkde
