#ifndef DPKDE_TOOLS_REFERENCE_POINTS_H_
#define DPKDE_TOOLS_REFERENCE_POINTS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/statusor.h"
#include "dpkde/io/vector_reader.h"

ABSL_DECLARE_FLAG(std::string, reference);

namespace dpkde {

// The public points of `path`, n x dimension: the rows of a file, or the vectors (all tokens of all documents) of an
// index directory.
absl::StatusOr<std::vector<float>> ReadReference(const std::string& path, const VectorReaderOptions& input_options,
                                                 size_t dimension);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_REFERENCE_POINTS_H_
