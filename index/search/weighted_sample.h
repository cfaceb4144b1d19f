#ifndef DPKDE_INDEX_SEARCH_WEIGHTED_SAMPLE_H_
#define DPKDE_INDEX_SEARCH_WEIGHTED_SAMPLE_H_

#include <boost/random/mersenne_twister.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"

namespace dpkde {

// Rows drawn with probabilities proportional to their sizes, none twice.
struct WeightedSample {
  // First those that were certain, then those that were drawn, in random order.
  std::vector<uint32_t> rows;
  size_t certain = 0;
  // The sum over all rows that are not certain of size * g is estimated, without bias, by step times the sum of g over
  // the drawn ones.
  double step = 0;

  size_t drawn() const { return rows.size() - certain; }
};

// `sizes`: finite, at least 0. About `count` rows (at least 1) of those of positive size, or all of them if there are
// no more. Rows so large that they would be drawn more than once are certain; the rest is walked in random order with a
// fixed step and a random start (Madow 1949; in random order, Hartley and Rao 1962), so that every row is drawn with
// probability size / step. For equal sizes that is simple sampling without replacement. O(n log n).
WeightedSample DrawBySize(absl::Span<const double> sizes, size_t count, boost::random::mt19937_64& engine);

// One point drawn from each of `parts` runs of consecutive points, of sizes that differ by one at most; parts <=
// points.rows.
std::vector<float> DrawOneOfEachPart(MatrixView points, size_t parts, boost::random::mt19937_64& engine);

}  // namespace dpkde

#endif  // DPKDE_INDEX_SEARCH_WEIGHTED_SAMPLE_H_
