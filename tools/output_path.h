#ifndef DPKDE_TOOLS_OUTPUT_PATH_H_
#define DPKDE_TOOLS_OUTPUT_PATH_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dpkde/io/file.h"

namespace dpkde {

// Whether both paths lead to one regular file or folder, which need not exist, or to one descriptor of this process
// ("-" and /dev/stdout do).
bool IsSameFile(const std::string& a, const std::string& b);

// A flag that names a file to write.
struct OutputFlag {
  std::string name;  // without dashes
  std::string path;  // "" if it was not given
};

// A usage error unless all that are given can be written, as far as the command line tells, the first of which is
// required: one names no file, is one of the files that are read ("" is none), the ledger of --ledger, any other ledger,
// or the file of another output, or exists though --overwrite was not given. Outputs that are no regular files, such as
// pipes, need no --overwrite.
absl::Status CheckOutputs(const std::vector<OutputFlag>& outputs, const std::vector<std::string>& read);

// A writer of a file that CheckOutputs() has found to be free: that it is taken meanwhile is a race (exit code 5), no
// mistake of the command line.
absl::StatusOr<std::unique_ptr<AtomicFileWriter>> OpenOutput(const std::string& path);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_OUTPUT_PATH_H_
