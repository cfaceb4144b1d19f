#include "dpkde/io/vector_reader.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/io/dense_reader.h"
#include "dpkde/io/input_file.h"
#include "dpkde/io/text_reader.h"

namespace dpkde {
namespace {

using Opener = absl::StatusOr<std::unique_ptr<VectorReader>> (*)(std::unique_ptr<InputFile>,
                                                                 const VectorReaderOptions&);

struct Format {
  const char* name;
  Opener open;
};

constexpr Format kFormats[] = {
    {"npy", OpenNpy},
    {"fvecs", OpenVecs<ElementType::kFloat32>},
    {"bvecs", OpenVecs<ElementType::kUint8>},
    {"ivecs", OpenVecs<ElementType::kInt32>},
    {"fbin", OpenBin<ElementType::kFloat32>},
    {"u8bin", OpenBin<ElementType::kUint8>},
    {"i8bin", OpenBin<ElementType::kInt8>},
    {"ibin", OpenBin<ElementType::kInt32>},
    {"csv", OpenText<','>},
    {"tsv", OpenText<'\t'>},
};

std::string FormatNames() {
  std::string names;
  for (const Format& format : kFormats) absl::StrAppend(&names, names.empty() ? "" : ", ", format.name);
  return names;
}

}  // namespace

std::string VectorReader::FormatOf(const std::string& path, const VectorReaderOptions& options) {
  if (!options.format.empty()) return options.format;
  for (const Format& format : kFormats) {
    if (absl::EndsWithIgnoreCase(path, absl::StrCat(".", format.name))) return format.name;
  }
  return InputFile::HasNoName(path) ? "csv" : "";
}

bool VectorReader::IsUnnamedPipe(const std::string& path) { return InputFile::HasNoName(path); }

absl::Status VectorReader::SkipRows(uint64_t) { return absl::UnimplementedError("text cannot be skipped"); }

absl::Status VectorReader::SetOrigin(const std::vector<double>& origin) {
  constexpr size_t kOrigins = 1024;
  if (!origin.empty() && origin.size() != dimension_) {
    return absl::InvalidArgumentError(
        absl::StrCat("the origin must have one value for each of the ", dimension_, " columns, but has ", origin.size()));
  }
  for (const double value : origin) {
    DPKDE_RETURN_IF_ERROR(CheckFinite("the origin in float32", static_cast<float>(value)));
  }
  origins_ = origin;
  while (!origin.empty() && origins_.size() < kOrigins) origins_.insert(origins_.end(), origin.begin(), origin.end());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<VectorReader>> VectorReader::Open(const std::string& path,
                                                                 const VectorReaderOptions& options) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file, InputFile::Open(path));
  if (options.expected_dimension.has_value()) {
    const size_t expected = *options.expected_dimension;
    if (expected < 1 || expected > kMaxDimension) {
      return file->Error(absl::StatusCode::kInvalidArgument,
                         CheckInRange("the expected dimension", expected, 1, kMaxDimension).message());
    }
  }
  const std::string name = FormatOf(path, options);
  if ((!options.columns.empty() || !options.left_out_column.empty()) && !name.empty() && name != "csv" &&
      name != "tsv") {
    return file->Error(absl::StatusCode::kInvalidArgument,
                       "has no columns to choose from: only those of .csv and .tsv can be chosen");
  }
  for (const Format& format : kFormats) {
    if (name != format.name) continue;
    DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<VectorReader> reader, format.open(std::move(file), options));
    DPKDE_RETURN_IF_ERROR(reader->SetOrigin(options.origin));
    return reader;
  }
  if (name.empty()) {
    return file->Error(absl::StatusCode::kInvalidArgument,
                       absl::StrCat("has an ending that is none of ", FormatNames(), "; name its format with ", options.format_flag));
  }
  return file->Error(absl::StatusCode::kInvalidArgument,
                     absl::StrCat("the format \"", name, "\" is none of ", FormatNames()));
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
