#ifndef DPKDE_IO_DENSE_READER_H_
#define DPKDE_IO_DENSE_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "dpkde/io/input_file.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {

enum class ElementType { kFloat16, kFloat32, kFloat64, kUint8, kInt8, kInt32, kInt64 };

// The binary formats of VectorReader.

absl::StatusOr<std::unique_ptr<VectorReader>> OpenNpy(std::unique_ptr<InputFile> file,
                                                      const VectorReaderOptions& options);

absl::StatusOr<std::unique_ptr<VectorReader>> OpenBin(ElementType type, std::unique_ptr<InputFile> file,
                                                      const VectorReaderOptions& options);

absl::StatusOr<std::unique_ptr<VectorReader>> OpenVecs(ElementType type, std::unique_ptr<InputFile> file,
                                                       const VectorReaderOptions& options);

template <ElementType type>
absl::StatusOr<std::unique_ptr<VectorReader>> OpenBin(std::unique_ptr<InputFile> file,
                                                      const VectorReaderOptions& options) {
  return OpenBin(type, std::move(file), options);
}

template <ElementType type>
absl::StatusOr<std::unique_ptr<VectorReader>> OpenVecs(std::unique_ptr<InputFile> file,
                                                       const VectorReaderOptions& options) {
  return OpenVecs(type, std::move(file), options);
}

// The binary formats of ReadIntegers(). `type`: of kBin and kVecs.
enum class DenseFormat { kNpy, kBin, kVecs };
absl::StatusOr<IntegerTable> ReadDenseIntegers(DenseFormat format, ElementType type, const InputFile& file);

}  // namespace dpkde

#endif  // DPKDE_IO_DENSE_READER_H_
