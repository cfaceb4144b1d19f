#ifndef DPKDE_TOOLS_LOAD_RELEASE_H_
#define DPKDE_TOOLS_LOAD_RELEASE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/sketch/histogram.h"
#include "dpkde/sketch/release.h"

namespace dpkde {

// protobuf's own limit is 2 GiB.
inline constexpr uint64_t kLargestRelease = uint64_t{1} << 31;

// The release in the file at `path`; errors begin with the path.
absl::StatusOr<Release> LoadRelease(const std::string& path);
absl::StatusOr<Classifier> LoadClassifier(const std::string& path);
absl::StatusOr<Histogram> LoadHistogram(const std::string& path);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_LOAD_RELEASE_H_
