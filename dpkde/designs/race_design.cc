#include "dpkde/designs/race_design.h"

#include <algorithm>
#include <boost/random/gamma_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

constexpr double kFarthestCell = 1e15;

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// The grids of all rows.
struct RandomGrids {
  size_t dimension = 0;
  size_t rows = 0;
  uint64_t buckets = 0;
  std::vector<float> widths;   // rows x dimension
  std::vector<float> shifts;   // the same, in [0, width)
  std::vector<uint64_t> keys;  // of the hash to buckets

  // Where in row r the point is counted.
  size_t Bucket(size_t r, const float* x) const {
    uint64_t hash = keys[r];
    for (size_t i = 0; i < dimension; ++i) {
      const double cell = std::floor((static_cast<double>(x[i]) - shifts[r * dimension + i]) / widths[r * dimension + i]);
      const double near = cell >= -kFarthestCell && cell <= kFarthestCell ? cell
                          : cell > 0                                      ? kFarthestCell
                          : cell < 0                                      ? -kFarthestCell
                                                                          : 0;
      hash = Mix(hash + 0x9e3779b97f4a7c15u + static_cast<uint64_t>(static_cast<int64_t>(near)));
    }
    return (hash >> 32) * buckets >> 32;
  }
};

class RaceFunction final : public ReleasedFunction {
 public:
  explicit RaceFunction(const RandomGrids* grids) : grids_(grids) {}

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    const double rows = grids_->rows, share = 1.0 / grids_->buckets, scale = 1 / (1 - share);
    for (size_t q = 0; q < queries.rows; ++q) {
      double sum = 0, square = 0;
      for (size_t r = 0; r < grids_->rows; ++r) {
        const double term =
            scale * (counters_[r * grids_->buckets + grids_->Bucket(r, queries.row(q).data())] - share * count_);
        sum += term;
        square += term * term;
      }
      Answer& answer = answers[q];
      answer.sum = sum / rows;
      const double of_count = scale * share * count_variance_;
      answer.noise_variance = scale * scale * variance_ / rows + scale * share * of_count;
      answer.count_covariance = -of_count;
      // The mean of as many unbiased terms.
      answer.total_variance =
          rows < 2 ? std::numeric_limits<double>::infinity()
                   : std::max(answer.noise_variance,
                              (square - sum * sum / rows) / (rows * (rows - 1)) + scale * share * of_count);
    }
  }

 private:
  friend class RaceDesign;

  const RandomGrids* grids_;
  std::vector<double> counters_;
  double count_ = 0;
  double variance_ = 0, count_variance_ = 0;
};

class RaceDesign final : public Design {
 public:
  RaceDesign(RandomGrids grids, const absl::optional<Domain>& domain, proto::RaceSpec spec)
      : grids_(std::move(grids)), domain_(domain), groups_(RaceGroups(grids_.rows, grids_.buckets)) {
    *spec_.mutable_race() = std::move(spec);
  }

  size_t dimension() const override { return grids_.dimension; }
  size_t count_coordinate() const override { return grids_.rows * grids_.buckets; }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return absl::nullopt; }
  double PredictedApproximationError(double n, double expected_similarity) const override {
    return RaceApproximationError(n, expected_similarity, grids_.rows, grids_.buckets);
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    std::vector<float> x(dimension());
    for (size_t j = 0; j < rows.rows; ++j) {
      const float* record = rows.row(j).data();
      if (domain_.has_value()) {
        domain_->Clamp(record, x.data());
        record = x.data();
      }
      for (size_t r = 0; r < grids_.rows; ++r) sums[r * grids_.buckets + grids_.Bucket(r, record)] += kGridUnit;
    }
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const double unit = kGridUnit;
    auto function = std::make_unique<RaceFunction>(&grids_);
    function->counters_.reserve(count_coordinate());
    for (size_t j = 0; j < count_coordinate(); ++j) function->counters_.push_back(values[j] / unit);
    function->count_ = values[count_coordinate()] / unit;
    function->variance_ = variances[0] / (unit * unit);
    function->count_variance_ = variances[1] / (unit * unit);
    return function;
  }

 private:
  RandomGrids grids_;
  absl::optional<Domain> domain_;
  std::vector<CoordinateGroup> groups_;
  proto::DesignSpec spec_;
};

}  // namespace

std::vector<CoordinateGroup> RaceGroups(size_t rows, size_t buckets) {
  const double scale = 1 / (1 - 1.0 / buckets);
  const auto units = [](double value) { return static_cast<uint64_t>(std::ceil(value * kGridUnit * (1 + 1e-12))); };
  CoordinateGroup counters;
  counters.count = rows * buckets;
  counters.add_remove = {rows * kGridUnit, units(std::sqrt(static_cast<double>(rows)))};
  counters.replace = {2 * rows * kGridUnit, units(std::sqrt(2.0 * rows))};
  counters.mean_square_weight = scale * scale / rows;
  return {counters, CountGroup(rows * buckets, scale / buckets)};
}

double RaceApproximationError(double n, double expected_similarity, double rows, double buckets) {
  const double s = expected_similarity;
  return n * std::sqrt(((s < 1 ? s * (1 - s) : 0.25) + s / buckets) / rows);
}

absl::StatusOr<std::unique_ptr<Design>> MakeRaceDesign(const Similarity& similarity, size_t dimension,
                                                       const absl::optional<Domain>& domain,
                                                       const proto::RaceSpec& spec) {
  if (similarity.kind() != proto::SimilaritySpec::LAPLACIAN) {
    return absl::InvalidArgumentError(absl::StrCat("random grids are hashes of laplacian, not ", similarity.name()));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", dimension, 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("rows of counters", spec.rows(), 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("buckets", spec.buckets(), 2, 1 << 20));
  DPKDE_RETURN_IF_ERROR(
      CheckInRange("counters of all rows", int64_t{spec.rows()} * spec.buckets(), 1, int64_t{1} << 24));
  DPKDE_RETURN_IF_ERROR(
      CheckInRange("rows times dimension", spec.rows() * static_cast<int64_t>(dimension), 1, int64_t{1} << 27));
  if (spec.scheme_version() != 0 && spec.scheme_version() != kPublicRandomScheme) {
    return absl::FailedPreconditionError(absl::StrCat("grids are drawn by scheme ", spec.scheme_version(),
                                                      "; this program draws by scheme ", kPublicRandomScheme));
  }
  if (domain.has_value() && domain->dimension() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have ", dimension, " coordinates, but has ", domain->dimension()));
  }
  RandomGrids grids;
  grids.dimension = dimension;
  grids.rows = spec.rows();
  grids.buckets = spec.buckets();
  for (size_t r = 0; r < grids.rows; ++r) {
    auto engine = PublicStream(spec.public_seed(), "race grids", r);
    boost::random::gamma_distribution<double> widths(2, similarity.bandwidth());
    for (size_t i = 0; i < dimension; ++i) {
      float width = 0;
      while (!(width > 0)) width = static_cast<float>(widths(engine));
      grids.widths.push_back(width);
      grids.shifts.push_back(
          static_cast<float>(boost::random::uniform_real_distribution<double>(0, width)(engine)));
    }
    grids.keys.push_back(engine());
  }
  const auto bytes = [](const auto& values) {
    return absl::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
  };
  const Sha256Digest digest = Sha256(absl::StrCat(bytes(grids.widths), bytes(grids.shifts), bytes(grids.keys)));
  proto::RaceSpec complete = spec;
  complete.set_scheme_version(kPublicRandomScheme);
  complete.set_fingerprint(digest.data(), digest.size());
  if (!spec.fingerprint().empty() && spec.fingerprint() != complete.fingerprint()) {
    return absl::FailedPreconditionError(
        "grids differ from those the file was made with: its fingerprint does not match on this machine");
  }
  return std::unique_ptr<Design>(std::make_unique<RaceDesign>(std::move(grids), domain, std::move(complete)));
}

}  // namespace dpkde
