#ifndef DPKDE_TOOLS_LOAD_RELEASE_H_
#define DPKDE_TOOLS_LOAD_RELEASE_H_

#include <string>

#include "absl/status/statusor.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/sketch/histogram.h"
#include "dpkde/sketch/release.h"

namespace dpkde {

// The release in the file at `path`; errors begin with the path.
absl::StatusOr<Release> LoadRelease(const std::string& path);
absl::StatusOr<Classifier> LoadClassifier(const std::string& path);
absl::StatusOr<Histogram> LoadHistogram(const std::string& path);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_LOAD_RELEASE_H_
