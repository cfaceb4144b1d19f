#ifndef DPKDE_TOOLS_INPUT_OPTIONS_H_
#define DPKDE_TOOLS_INPUT_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {

// What --input_format and --csv_header say; a usage error for unknown values.
absl::StatusOr<VectorReaderOptions> ParseInputOptions();

// Whether the file is read as text, where only a line tells the number of columns.
bool IsTextInput(const std::string& path, const VectorReaderOptions& options);

// What to add to "must have 16 columns, but has 1" about an .npy file: how one vector becomes one row. "" for others.
std::string OneColumnHint(const std::string& path, size_t columns);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_INPUT_OPTIONS_H_
