#ifndef DPKDE_IO_DENSE_READER_H_
#define DPKDE_IO_DENSE_READER_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "dpkde/io/input_file.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/io/vector_reader.h"

namespace dpkde {

enum class ElementType {
  kFloat16,
  kFloat32,
  kFloat64,
  kUint8,  // also bool
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kBytes,  // text of one byte a character, ended by zeros (numpy's S); lists alone
  kUtf32,  // text of four bytes a character, ended by zeros (numpy's U); lists alone
};

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

// The binary formats of ReadIntegers() and ForEachText(). `type`: of kBin and kVecs.
enum class DenseFormat { kNpy, kBin, kVecs };
absl::StatusOr<IntegerTable> ReadDenseIntegers(DenseFormat format, ElementType type, const InputFile& file);

// Calls visit(row, text, problem) for the elements of a single column; `text` is nullopt for one that is no text and no
// whole number, and `problem` then says so.
absl::Status ForEachDenseText(
    DenseFormat format, ElementType type, const InputFile& file,
    const std::function<absl::Status(uint64_t row, absl::optional<absl::string_view> text, absl::string_view problem)>&
        visit);

}  // namespace dpkde

#endif  // DPKDE_IO_DENSE_READER_H_
