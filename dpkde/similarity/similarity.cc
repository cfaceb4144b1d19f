#include "dpkde/similarity/similarity.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {
namespace {

using Kind = proto::SimilaritySpec::Kind;

constexpr Kind kKinds[] = {proto::SimilaritySpec::GAUSSIAN, proto::SimilaritySpec::LAPLACIAN};

std::string KindName(Kind kind) { return absl::AsciiStrToLower(proto::SimilaritySpec::Kind_Name(kind)); }

double SquaredL2(const float* x, const float* y, size_t dimension) {
  double sum = 0;
  for (size_t i = 0; i < dimension; ++i) {
    const double difference = static_cast<double>(x[i]) - y[i];
    sum += difference * difference;
  }
  return sum;
}

double L1(const float* x, const float* y, size_t dimension) {
  double sum = 0;
  for (size_t i = 0; i < dimension; ++i) sum += std::abs(static_cast<double>(x[i]) - y[i]);
  return sum;
}

}  // namespace

absl::StatusOr<Similarity> Similarity::Create(const proto::SimilaritySpec& spec) {
  if (std::find(std::begin(kKinds), std::end(kKinds), spec.kind()) == std::end(kKinds)) {
    return absl::InvalidArgumentError("similarity is missing or unknown");
  }
  DPKDE_RETURN_IF_ERROR(CheckPositive("bandwidth", spec.bandwidth()));
  return Similarity(spec);
}

std::string Similarity::name() const { return KindName(kind()); }

double Similarity::FromDistance(double distance) const {
  const double h = bandwidth();
  return kind() == proto::SimilaritySpec::GAUSSIAN ? std::exp(-distance / (2 * h * h)) : std::exp(-distance / h);
}

double Similarity::EvaluateAxis(double difference) const {
  return FromDistance(kind() == proto::SimilaritySpec::GAUSSIAN ? difference * difference : std::abs(difference));
}

double Similarity::Evaluate(absl::Span<const float> x, absl::Span<const float> y) const {
  return FromDistance(kind() == proto::SimilaritySpec::GAUSSIAN ? SquaredL2(x.data(), y.data(), x.size())
                                                                : L1(x.data(), y.data(), x.size()));
}

void Similarity::Sum(MatrixView points, MatrixView queries, ThreadPool& pool, absl::Span<double> sums) const {
  // A block of points stays in cache while a chunk of queries passes over it.
  const size_t block_rows = std::max<size_t>(1, 16384 / std::max<size_t>(1, points.columns));
  pool.ParallelFor(queries.rows, 16, [&](size_t begin, size_t end, int) {
    std::fill(sums.begin() + begin, sums.begin() + end, 0.0);
    for (size_t block = 0; block < points.rows; block += block_rows) {
      const size_t block_end = std::min(block + block_rows, points.rows);
      for (size_t j = begin; j < end; ++j) {
        double sum = 0;
        for (size_t i = block; i < block_end; ++i) sum += Evaluate(points.row(i), queries.row(j));
        sums[j] += sum;
      }
    }
  });
}

absl::StatusOr<proto::SimilaritySpec::Kind> SimilarityKindFromName(absl::string_view name) {
  for (Kind kind : kKinds) {
    if (KindName(kind) == name) return kind;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown similarity '", name, "'; known are ",
      absl::StrJoin(kKinds, ", ", [](std::string* out, Kind kind) { absl::StrAppend(out, KindName(kind)); })));
}

}  // namespace dpkde
