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

// Of a column, by up to kSampleRows of its values, evenly spaced.
struct Place {
  double median = 0;
  double spread = 0;  // what nine tenths of the values differ from it
};

std::vector<Place> PlacesOf(MatrixView vectors) {
  std::vector<Place> places(vectors.columns);
  const size_t rows = std::min(vectors.rows, kSampleRows);
  std::vector<float> values(rows);
  for (size_t j = 0; j < vectors.columns && rows > 0; ++j) {
    for (size_t i = 0; i < rows; ++i) values[i] = vectors.row(i * vectors.rows / rows)[j];
    std::sort(values.begin(), values.end());
    const double median = values[rows / 2];
    places[j] = {median, std::max(median - values[rows / 20], values[rows - 1 - rows / 20] - median)};
  }
  return places;
}

// `first`: nothing was subtracted yet. Otherwise a column of one value is near enough.
std::vector<double> Suggest(MatrixView vectors, bool first) {
  std::vector<double> origin;
  bool any = false;
  for (const Place& place : PlacesOf(vectors)) {
    const bool near = std::abs(place.median) <= kFar * place.spread || (!first && place.spread == 0);
    const double least = std::max(place.spread, std::ldexp(std::abs(place.median), -kDigits));
    const double step = near ? 1 : std::exp2(std::ceil(std::log2(least)));
    origin.push_back(near ? 0 : std::nearbyint(place.median / step) * step);
    any |= origin.back() != 0;
  }
  return any ? origin : std::vector<double>();
}

}  // namespace

std::vector<double> SuggestOrigin(MatrixView vectors) { return Suggest(vectors, /*first=*/true); }

bool LoseTheirDifferences(MatrixView vectors) {
  const std::vector<Place> places = PlacesOf(vectors);
  // 2^-24 of the median is a thousandth of the spread.
  return std::any_of(places.begin(), places.end(), [](const Place& place) {
    return place.spread > 0 && std::ldexp(std::abs(place.median), -14) > place.spread;
  });
}

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
