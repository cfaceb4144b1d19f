#ifndef DPKDE_TOOLS_RECORD_BATCHES_H_
#define DPKDE_TOOLS_RECORD_BATCHES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {

// Floats a batch, whatever the dimension.
inline constexpr size_t kBatchFloats = size_t{1} << 20;

// Opens a user's vectors. A data error, naming the path, unless they have `dimension` columns, as `owner` ("the
// release") has; `role` ("queries") is what they are called. A file without rows need not tell.
absl::StatusOr<std::unique_ptr<VectorReader>> OpenVectors(const std::string& path, const VectorReaderOptions& options,
                                                          size_t dimension, absl::string_view role,
                                                          absl::string_view owner);

// Calls visit(rows) for the batches of the file from its beginning, and says on stderr how far it is: a bar on a
// terminal, else a line every ten seconds; nothing where the number of rows is not for everybody.
absl::Status ForEachBatch(VectorReader& reader, const std::function<absl::Status(MatrixView)>& visit);

// The reader makes every value of a malformed row NaN, so one column tells.
uint64_t CountBadRows(MatrixView rows);

absl::StatusOr<uint64_t> CountRows(VectorReader& reader);

// Of this process so far.
long PeakMemoryKilobytes();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_RECORD_BATCHES_H_
