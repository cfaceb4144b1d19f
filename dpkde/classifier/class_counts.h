#ifndef DPKDE_CLASSIFIER_CLASS_COUNTS_H_
#define DPKDE_CLASSIFIER_CLASS_COUNTS_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace dpkde {

// What noised numbers of records tell of the classes; the same for all models. Post-processing.
struct ClassCounts {
  // One a class, at least 1 and no fewer than the noise may feign; classes of one size come out equal. Of what the
  // noised ones differ by, the part `kept` is left: what is clearly not noise.
  std::vector<double> records;
  double total = 0;
  double kept = 0;
  // Whether there clearly are records: more than 6 standard errors. All are true where noise of that size could make an
  // ordinary class look empty (unless the average class is twice as large), and where all would be false.
  std::vector<bool> is_some;
};

// `noised`: records of each class, any finite numbers, at least one; `variance`: of their noise.
ClassCounts EstimateClassCounts(absl::Span<const double> noised, double variance);

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_CLASS_COUNTS_H_
