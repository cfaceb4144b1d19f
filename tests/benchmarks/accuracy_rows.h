#ifndef TESTS_BENCHMARKS_ACCURACY_ROWS_H_
#define TESTS_BENCHMARKS_ACCURACY_ROWS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dpkde {

// A row of the table of the accuracy benchmark, which says what they are.
struct AccuracyRow {
  std::string data;
  double records = 0, dimension = 0, reduced_to = 0;
  std::string similarity;
  double epsilon = 0, delta = 0;
  std::string mechanism, design;
  double rmse = 0, spread = 0, noise = 0, relative = 0, build_s = 0, query_us = 0, bytes = 0;
};

// kInvalidArgument if a line is none, or there is none.
absl::StatusOr<std::vector<AccuracyRow>> ReadAccuracyRows(const std::string& path);

}  // namespace dpkde

#endif  // TESTS_BENCHMARKS_ACCURACY_ROWS_H_
