#ifndef TESTS_BENCHMARKS_FIGURES_H_
#define TESTS_BENCHMARKS_FIGURES_H_

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "tests/testing/vectors.h"

namespace dpkde {

// Of the process: other programs may be running.
inline double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

inline double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Mean and standard deviation, "0.123 +- 0.004".
inline std::string MeanAndDeviation(const std::vector<double>& values) {
  double sum = 0, square = 0;
  for (const double value : values) {
    sum += value;
    square += value * value;
  }
  const double mean = sum / values.size();
  char text[64];
  std::snprintf(text, sizeof(text), "%.3f +- %.3f", mean,
                std::sqrt(std::max(0.0, square / values.size() - mean * mean)));
  return text;
}

// Of every other point and the one after it: a usual bandwidth.
inline double MedianDistance(const Points& points) {
  std::vector<double> distances;
  for (size_t i = 0; i + 1 < points.rows(); i += 2) {
    double square = 0;
    for (size_t j = 0; j < points.columns; ++j) {
      square += std::pow(points.view().row(i)[j] - points.view().row(i + 1)[j], 2);
    }
    distances.push_back(std::sqrt(square));
  }
  return Median(std::move(distances));
}

}  // namespace dpkde

#endif  // TESTS_BENCHMARKS_FIGURES_H_
