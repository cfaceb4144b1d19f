#ifndef DPKDE_TOOLS_OUTPUT_PATH_H_
#define DPKDE_TOOLS_OUTPUT_PATH_H_

#include <string>

#include "absl/status/status.h"

namespace dpkde {

// Whether both paths lead to one file, which need not exist.
bool IsSameFile(const std::string& a, const std::string& b);

// A usage error unless a file can be written to `path`, the value of --`flag`, as far as the command line tells: it is
// missing, names no file, is the file `input`, or exists and --overwrite was not given.
absl::Status CheckOutputPath(const std::string& flag, const std::string& path, const std::string& input);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_OUTPUT_PATH_H_
