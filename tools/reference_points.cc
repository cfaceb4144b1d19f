#include "dpkde/tools/reference_points.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/row_origin.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/record_batches.h"

ABSL_FLAG(
    std::string, reference, "",
    "`FILE` of public points of the same kind as the records (or index directory, whose vectors they are), from which "
    "landmarks are taken: far smaller errors in many dimensions. Landmarks are stored in the release and get no "
    "protection.");

namespace dpkde {
namespace {

absl::Status CheckReferenceDimension(const std::string& path, size_t found, size_t dimension) {
  if (found == dimension) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": must have ", dimension, " columns, as the records have, but has ", found, OneColumnHint(path, found)));
}

// The middle of each column's range.
std::vector<double> Center(const std::vector<float>& points, size_t dimension) {
  std::vector<double> center;
  for (size_t j = 0; j < dimension && j < points.size(); ++j) {
    float least = points[j], largest = points[j];
    for (size_t i = j; i < points.size(); i += dimension) {
      least = std::min(least, points[i]);
      largest = std::max(largest, points[i]);
    }
    center.push_back(least / 2.0 + largest / 2.0);
  }
  return center;
}

// The vectors of an index less `origin`.
std::vector<float> PointsOf(const IndexDirectory& index, absl::Span<const double> origin) {
  std::vector<float> points;
  for (uint64_t row = 0; row < index.rows(); ++row) {
    if (!index.removed(row)) index.AppendTokens(row, origin, &points);
  }
  return points;
}

// From the first row on.
absl::StatusOr<std::vector<float>> ReadAll(VectorReader& reader) {
  DPKDE_RETURN_IF_ERROR(reader.Rewind());
  std::vector<float> points;
  const size_t dimension = reader.dimension();
  while (true) {
    const size_t before = points.size(), batch_rows = kBatchFloats / dimension + 1;
    points.resize(before + batch_rows * dimension);
    DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader.ReadRows(batch_rows, points.data() + before));
    points.resize(before + rows * dimension);
    if (rows == 0) return points;
  }
}

}  // namespace

absl::StatusOr<ReferencePoints> ReadReference(const std::string& path, const VectorReaderOptions& input_options,
                                              size_t dimension, absl::optional<std::vector<double>> origin) {
  if (std::filesystem::is_directory(path)) {
    DPKDE_ASSIGN_OR_RETURN(const IndexDirectory index, IndexDirectory::Open(path));
    DPKDE_RETURN_IF_ERROR(CheckReferenceDimension(path, index.dimension(), dimension));
    if (!origin.has_value()) origin = Center(PointsOf(index, {}), dimension);
    return ReferencePoints{PointsOf(index, *origin), *std::move(origin)};
  }
  const auto reader = VectorReader::Open(path, OptionsOfAnotherFile(path, input_options));
  if (!reader.ok()) return DataError(AboutPublicFile(reader.status()));
  DPKDE_RETURN_IF_ERROR(CheckReferenceDimension(path, (*reader)->dimension(), dimension));
  if (!origin.has_value()) {
    const absl::StatusOr<std::vector<float>> coarse = ReadAll(**reader);
    if (!coarse.ok()) return DataError(AboutPublicFile(coarse.status()));
    origin = Center(*coarse, dimension);
  }
  DPKDE_RETURN_IF_ERROR((*reader)->SetOrigin(*origin));
  absl::StatusOr<std::vector<float>> rows = ReadAll(**reader);
  if (!rows.ok()) return DataError(AboutPublicFile(rows.status()));
  return ReferencePoints{*std::move(rows), *std::move(origin)};
}

}  // namespace dpkde
