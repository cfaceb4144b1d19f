#ifndef DPKDE_IO_TEXT_READER_H_
#define DPKDE_IO_TEXT_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "dpkde/io/input_file.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {

// The text formats of VectorReader, whose cells `separator` separates.
absl::StatusOr<std::unique_ptr<VectorReader>> OpenText(char separator, std::unique_ptr<InputFile> file,
                                                       const VectorReaderOptions& options);

template <char separator>
absl::StatusOr<std::unique_ptr<VectorReader>> OpenText(std::unique_ptr<InputFile> file,
                                                       const VectorReaderOptions& options) {
  return OpenText(separator, std::move(file), options);
}

}  // namespace dpkde

#endif  // DPKDE_IO_TEXT_READER_H_
