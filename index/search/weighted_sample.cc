#include "dpkde/index/search/weighted_sample.h"

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>

namespace dpkde {

WeightedSample DrawBySize(absl::Span<const double> sizes, size_t count, boost::random::mt19937_64& engine) {
  std::vector<uint32_t> order;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] > 0) order.push_back(static_cast<uint32_t>(i));
  }
  WeightedSample sample;
  if (count >= order.size()) {
    sample.rows = std::move(order);
    sample.certain = sample.rows.size();
    return sample;
  }
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return sizes[a] != sizes[b] ? sizes[a] > sizes[b] : a < b; });
  // Summed from the smallest, so that what is left after the largest is not lost in them.
  std::vector<double> left(order.size() + 1, 0);
  for (size_t i = order.size(); i > 0; --i) left[i - 1] = left[i] + sizes[order[i - 1]];
  size_t certain = 0;
  while (certain + 1 < count && sizes[order[certain]] * (count - certain) >= left[certain]) ++certain;
  sample.certain = certain;
  sample.rows.assign(order.begin(), order.begin() + certain);
  sample.step = left[certain] / (count - certain);
  for (size_t i = order.size(); i > certain + 1; --i) {
    const size_t other = boost::random::uniform_int_distribution<size_t>(certain, i - 1)(engine);
    std::swap(order[i - 1], order[other]);
  }
  double next = boost::random::uniform_real_distribution<double>(0, sample.step)(engine), sum = 0;
  for (size_t i = certain; i < order.size(); ++i) {
    sum += sizes[order[i]];
    if (sum <= next) continue;
    sample.rows.push_back(order[i]);
    next += sample.step;
  }
  return sample;
}

std::vector<float> DrawOneOfEachPart(MatrixView points, size_t parts, boost::random::mt19937_64& engine) {
  std::vector<float> drawn;
  drawn.reserve(parts * points.columns);
  for (size_t i = 0; i < parts; ++i) {
    const size_t begin = points.rows * i / parts, end = points.rows * (i + 1) / parts;
    const auto point = points.row(boost::random::uniform_int_distribution<size_t>(begin, end - 1)(engine));
    drawn.insert(drawn.end(), point.begin(), point.end());
  }
  return drawn;
}

}  // namespace dpkde
