#include "dpkde/index/corpus/vector_origin.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/corpus/corpus_files.h"

namespace dpkde {
namespace {

constexpr size_t kSampleRows = 10000;
constexpr double kFar = 4;   // a median of so many spreads
constexpr int kDigits = 20;  // binary, of an origin, at most
constexpr int kMostReadings = 4;

// `first`: nothing was subtracted yet. Otherwise a column of one value is near enough.
std::vector<double> Suggest(MatrixView vectors, bool first) {
  std::vector<double> origin(vectors.columns, 0);
  const size_t rows = std::min(vectors.rows, kSampleRows);
  bool any = false;
  std::vector<float> values(rows);
  for (size_t j = 0; j < vectors.columns && rows > 0; ++j) {
    for (size_t i = 0; i < rows; ++i) values[i] = vectors.row(i * vectors.rows / rows)[j];
    std::sort(values.begin(), values.end());
    const double median = values[rows / 2];
    const double spread = std::max(median - values[rows / 20], values[rows - 1 - rows / 20] - median);
    if (std::abs(median) <= kFar * spread || (!first && spread == 0)) continue;
    const double step = std::exp2(std::ceil(std::log2(std::max(spread, std::ldexp(std::abs(median), -kDigits)))));
    origin[j] = std::nearbyint(median / step) * step;
    any |= origin[j] != 0;
  }
  return any ? origin : std::vector<double>();
}

}  // namespace

std::vector<double> SuggestOrigin(MatrixView vectors) { return Suggest(vectors, /*first=*/true); }

absl::StatusOr<VectorsAndOrigin> ReadVectorsAndOrigin(VectorReader& reader) {
  VectorsAndOrigin result{TokenSets(reader.dimension()), {}};
  for (int reading = 1;; ++reading) {
    DPKDE_ASSIGN_OR_RETURN(result.vectors, ReadSingleVectors(reader));
    if (reading == kMostReadings) return result;
    const std::vector<double> further = Suggest(result.vectors.view().all(), reading == 1);
    if (further.empty()) return result;
    result.origin.resize(reader.dimension(), 0);
    for (size_t j = 0; j < further.size(); ++j) result.origin[j] += further[j];
    result.vectors = TokenSets(reader.dimension());  // its memory, before there is more
    const absl::Status again = reader.Rewind();
    if (!again.ok()) {
      return absl::Status(again.code(), absl::StrCat(std::string(again.message()),
                                                     "; its vectors lie far from 0 and must be read twice"));
    }
    DPKDE_RETURN_IF_ERROR(reader.SetOrigin(result.origin));
  }
}

}  // namespace dpkde
