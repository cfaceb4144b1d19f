#ifndef DPKDE_TOOLS_RECORD_BATCHES_H_
#define DPKDE_TOOLS_RECORD_BATCHES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
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

// Opens private records. `dimension`: what the flags tell, if they do; where bad records are replaced, a text must not
// tell another. An empty text counts as one column where a domain of one bound (`has_domain`) does not say more.
absl::StatusOr<std::unique_ptr<VectorReader>> OpenPrivateRows(const std::string& path,
                                                              const VectorReaderOptions& options,
                                                              const absl::optional<size_t>& dimension, bool has_domain);

// " (line 1 holds ';', but cells are separated by commas)", or nothing: for errors about the number of columns.
std::string DialectOf(const VectorReader& reader);

// Calls visit(rows) for the batches of the file from its beginning, its first `most` rows or all, and says on stderr how
// far it is: a bar on a terminal, else a line every ten seconds; nothing where the number of rows is not for everybody.
absl::Status ForEachBatch(VectorReader& reader, const std::function<absl::Status(MatrixView)>& visit,
                          const absl::optional<uint64_t>& most = absl::nullopt);

// The reader makes every value of a malformed row NaN, so one column tells.
uint64_t CountBadRows(MatrixView rows);

// `known`, or else by reading them all.
absl::StatusOr<uint64_t> CountRows(VectorReader& reader, const absl::optional<uint64_t>& known = absl::nullopt);

// Of this process so far.
long PeakMemoryKilobytes();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_RECORD_BATCHES_H_
