#ifndef TESTS_BENCHMARKS_OR_DIE_H_
#define TESTS_BENCHMARKS_OR_DIE_H_

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dpkde {

// A benchmark that cannot go on says why and ends.
inline void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  OrDie(value.status());
  return *std::move(value);
}

}  // namespace dpkde

#endif  // TESTS_BENCHMARKS_OR_DIE_H_
