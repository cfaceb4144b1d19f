#ifndef DPKDE_TOOLS_REFERENCE_POINTS_H_
#define DPKDE_TOOLS_REFERENCE_POINTS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/io/vector_reader.h"

ABSL_DECLARE_FLAG(std::string, reference);

namespace dpkde {

// Public points, n x dimension, relative to `origin` (none: as they are).
struct ReferencePoints {
  std::vector<float> points;
  std::vector<double> origin;
};

// Those of `path`: the rows of a file, or the vectors (all tokens of all documents) of an index directory. Relative to
// `origin`, which may be empty; nullopt: to the middle of their own range.
absl::StatusOr<ReferencePoints> ReadReference(const std::string& path, const VectorReaderOptions& input_options,
                                              size_t dimension, absl::optional<std::vector<double>> origin);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_REFERENCE_POINTS_H_
