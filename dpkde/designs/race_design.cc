#include "dpkde/designs/race_design.h"

#include <algorithm>
#include <boost/random/gamma_distribution.hpp>
#include <boost/random/normal_distribution.hpp>
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
#include "dpkde/designs/centered_blocks.h"
#include "dpkde/designs/fourier_kernel.h"
#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

constexpr double kFarthestCell = 1e15;
constexpr size_t kBlockRows = 48;

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// In [-10^15, 10^15]; NaN: 0.
int64_t Cell(double place) {
  const double cell = std::floor(place);
  return cell >= -kFarthestCell && cell <= kFarthestCell ? static_cast<int64_t>(cell)
         : cell > 0                                      ? static_cast<int64_t>(kFarthestCell)
         : cell < 0                                      ? -static_cast<int64_t>(kFarthestCell)
                                                         : 0;
}

uint64_t Next(uint64_t hash, int64_t cell) { return Mix(hash + 0x9e3779b97f4a7c15u + static_cast<uint64_t>(cell)); }

// The hashes of all rows.
struct Hashes {
  proto::SimilaritySpec::Kind kind;
  size_t dimension = 0;
  size_t rows = 0;
  uint64_t buckets = 0;
  // LAPLACIAN: rows x dimension; shifts in [0, width). P_STABLE: one shift a row, in [0, 1).
  std::vector<float> widths, shifts;
  // P_STABLE: one a row, over the bandwidth; ANGULAR: `signs` a row.
  std::vector<float> directions;
  FrequencyPanels panels;
  size_t signs = 0;
  std::vector<uint64_t> keys;  // of the hash to buckets; not of ANGULAR

  // How often two different cells share a counter.
  double share() const { return kind == proto::SimilaritySpec::ANGULAR ? 0 : 1.0 / buckets; }

  // Calls body(i, where in each row point i is counted). Points are clamped first, if there is a domain.
  template <typename Body>
  void ForBuckets(MatrixView points, const Domain* domain, const Body& body) const {
    std::vector<uint32_t> at(rows);
    std::vector<float> products(kBlockRows * panels.padded());
    const std::vector<float> origin(dimension);
    ForCenteredBlocks(points, kBlockRows, domain, origin, [&](size_t begin, MatrixView block) {
      if (!directions.empty()) FixedOrderProducts(panels, block, products.data());
      for (size_t i = 0; i < block.rows; ++i) {
        for (size_t r = 0; r < rows; ++r) at[r] = Bucket(r, block.row(i).data(), products.data() + i * panels.padded());
        body(begin + i, at);
      }
    });
  }

 private:
  // `products` are those with all directions.
  uint32_t Bucket(size_t r, const float* x, const float* products) const {
    if (kind == proto::SimilaritySpec::ANGULAR) {
      uint32_t bits = 0;
      for (size_t j = 0; j < signs; ++j) bits = 2 * bits + (products[r * signs + j] >= 0 ? 1 : 0);
      return bits;
    }
    uint64_t hash = keys[r];
    if (kind == proto::SimilaritySpec::P_STABLE) {
      hash = Next(hash, Cell(static_cast<double>(products[r]) + shifts[r]));
    } else {
      for (size_t i = 0; i < dimension; ++i) {
        const size_t at = r * dimension + i;
        hash = Next(hash, Cell((static_cast<double>(x[i]) - shifts[at]) / widths[at]));
      }
    }
    return static_cast<uint32_t>((hash >> 32) * buckets >> 32);
  }
};

class RaceFunction final : public ReleasedFunction {
 public:
  explicit RaceFunction(const Hashes* hashes) : hashes_(hashes) {}

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    const double rows = hashes_->rows, share = hashes_->share(), scale = 1 / (1 - share);
    hashes_->ForBuckets(queries, nullptr, [&](size_t q, const std::vector<uint32_t>& at) {
      double sum = 0, square = 0;
      for (size_t r = 0; r < hashes_->rows; ++r) {
        const double term = scale * (counters_[r * hashes_->buckets + at[r]] - share * count_);
        sum += term;
        square += term * term;
      }
      Answer& answer = answers[q];
      answer.sum = sum / rows;
      const double of_count = scale * share * count_variance_;
      answer.noise_variance = scale * scale * variance_ / rows + scale * share * of_count;
      answer.count_covariance = -of_count;
      // The mean of as many unbiased terms.
      answer.total_variance = rows < 2
                                  ? std::numeric_limits<double>::infinity()
                                  : std::max(answer.noise_variance, (square - sum * sum / rows) / (rows * (rows - 1)) +
                                                                        scale * share * of_count);
    });
  }

 private:
  friend class RaceDesign;

  const Hashes* hashes_;
  std::vector<double> counters_;
  double count_ = 0;
  double variance_ = 0, count_variance_ = 0;
};

class RaceDesign final : public Design {
 public:
  RaceDesign(const Similarity& similarity, Hashes hashes, const absl::optional<Domain>& domain, proto::RaceSpec spec)
      : similarity_(similarity),
        hashes_(std::move(hashes)),
        domain_(domain),
        groups_(RaceGroups(hashes_.rows, hashes_.buckets, hashes_.share())) {
    *spec_.mutable_race() = std::move(spec);
  }

  size_t dimension() const override { return hashes_.dimension; }
  size_t count_coordinate() const override { return hashes_.rows * hashes_.buckets; }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return absl::nullopt; }
  double PredictedApproximationError(double n, double expected_similarity) const override {
    return RaceApproximationError(n, expected_similarity, hashes_.rows, hashes_.share());
  }
  double TypicalApproximationError(double n, double expected_similarity) const override {
    return TypicalRaceApproximationError(similarity_, n, expected_similarity, hashes_.rows, hashes_.share());
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    hashes_.ForBuckets(rows, domain_.has_value() ? &*domain_ : nullptr, [&](size_t, const std::vector<uint32_t>& at) {
      for (size_t r = 0; r < hashes_.rows; ++r) sums[r * hashes_.buckets + at[r]] += kGridUnit;
    });
    sums[count_coordinate()] += static_cast<int64_t>(rows.rows) * kGridUnit;
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    const double unit = kGridUnit;
    auto function = std::make_unique<RaceFunction>(&hashes_);
    function->counters_.reserve(count_coordinate());
    for (size_t j = 0; j < count_coordinate(); ++j) function->counters_.push_back(values[j] / unit);
    function->count_ = values[count_coordinate()] / unit;
    function->variance_ = variances[0] / (unit * unit);
    function->count_variance_ = variances[1] / (unit * unit);
    return function;
  }

 private:
  Similarity similarity_;
  Hashes hashes_;
  absl::optional<Domain> domain_;
  std::vector<CoordinateGroup> groups_;
  proto::DesignSpec spec_;
};

}  // namespace

uint32_t RaceBuckets(const Similarity& similarity, uint32_t otherwise) {
  return similarity.kind() == proto::SimilaritySpec::ANGULAR ? 1u << static_cast<int>(similarity.spec().p())
                                                             : otherwise;
}

double RaceShare(const Similarity& similarity, uint32_t buckets) {
  return similarity.kind() == proto::SimilaritySpec::ANGULAR ? 0 : 1.0 / buckets;
}

std::vector<CoordinateGroup> RaceGroups(size_t rows, size_t buckets, double share) {
  const double scale = 1 / (1 - share);
  CoordinateGroup counters;
  counters.count = rows * buckets;
  counters.add_remove = {rows * kGridUnit, GridUnitsUp(std::sqrt(static_cast<double>(rows)))};
  counters.replace = {2 * rows * kGridUnit, GridUnitsUp(std::sqrt(2.0 * rows))};
  counters.mean_square_weight = scale * scale / rows;
  return {counters, CountGroup(rows * buckets, scale * share)};
}

double RaceApproximationError(double n, double expected_similarity, double rows, double share) {
  const double s = expected_similarity;
  return n * std::sqrt(((s < 1 ? s * (1 - s) : 0.25) + s * share) / rows);
}

double TypicalRaceApproximationError(const Similarity& similarity, double n, double expected_similarity, double rows,
                                     double share) {
  // Where nothing is known, in the middle.
  const double s = expected_similarity < 1 ? expected_similarity : 0.5;
  double variance = 0;
  if (similarity.kind() == proto::SimilaritySpec::ANGULAR) {
    const double p = similarity.spec().p(), u = 1 - std::pow(s, 1 / p);
    variance = std::pow(std::max(1 - 1.5 * u, 0.0), p) - s * s;
  } else if (similarity.kind() == proto::SimilaritySpec::P_STABLE) {
    variance = s * s * (1 - s) * (0.17 + 0.33 * s);
  } else {
    variance = std::pow(s, 1.5) - s * s;
  }
  return n * std::sqrt((std::max(variance, 0.1 * s * (1 - s)) + s * share) / rows);
}

absl::StatusOr<std::unique_ptr<Design>> MakeRaceDesign(const Similarity& similarity, size_t dimension,
                                                       const absl::optional<Domain>& domain,
                                                       const proto::RaceSpec& spec) {
  const proto::SimilaritySpec::Kind kind = similarity.kind();
  const bool is_angular = kind == proto::SimilaritySpec::ANGULAR;
  if (kind != proto::SimilaritySpec::LAPLACIAN && kind != proto::SimilaritySpec::P_STABLE && !is_angular) {
    return absl::InvalidArgumentError(
        absl::StrCat("locality-sensitive hashes are of laplacian, p_stable and angular, not ", similarity.name()));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("dimension", dimension, 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("rows of counters", spec.rows(), 1, 65536));
  DPKDE_RETURN_IF_ERROR(CheckInRange("buckets", spec.buckets(), 2, 1 << 20));
  if (spec.buckets() != RaceBuckets(similarity, spec.buckets())) {
    return absl::InvalidArgumentError(
        absl::StrCat("buckets of angular must be 2^p = ", RaceBuckets(similarity, 0), ", but are ", spec.buckets()));
  }
  const size_t signs = is_angular ? static_cast<size_t>(similarity.spec().p()) : 1;
  DPKDE_RETURN_IF_ERROR(
      CheckInRange("counters of all rows", int64_t{spec.rows()} * spec.buckets(), 1, int64_t{1} << 24));
  DPKDE_RETURN_IF_ERROR(
      CheckInRange("rows times dimension", static_cast<int64_t>(spec.rows() * signs * dimension), 1, int64_t{1} << 27));
  DPKDE_RETURN_IF_ERROR(CheckPublicRandomScheme("hashes", spec.scheme_version()));
  if (domain.has_value() && domain->dimension() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have ", dimension, " coordinates, but has ", domain->dimension()));
  }
  Hashes hashes;
  hashes.kind = kind;
  hashes.dimension = dimension;
  hashes.rows = spec.rows();
  hashes.buckets = spec.buckets();
  hashes.signs = signs;
  boost::random::uniform_real_distribution<double> uniform(0, 1);
  boost::random::normal_distribution<double> normal;
  PublicStreams streams(spec.public_seed(), is_angular                                ? "race signs"
                                            : kind == proto::SimilaritySpec::P_STABLE ? "race lines"
                                                                                      : "race grids");
  for (size_t r = 0; r < hashes.rows; ++r) {
    auto engine = streams.At(r);
    if (kind == proto::SimilaritySpec::LAPLACIAN) {
      boost::random::gamma_distribution<double> widths(2, similarity.bandwidth());
      for (size_t i = 0; i < dimension; ++i) {
        float width = 0;
        while (!(width > 0)) width = static_cast<float>(widths(engine));
        hashes.widths.push_back(width);
        hashes.shifts.push_back(static_cast<float>(boost::random::uniform_real_distribution<double>(0, width)(engine)));
      }
      hashes.keys.push_back(engine());
      continue;
    }
    normal.reset();
    const double unit = is_angular ? 1 : 1 / similarity.bandwidth();
    for (size_t i = 0; i < signs * dimension; ++i)
      hashes.directions.push_back(static_cast<float>(unit * normal(engine)));
    if (is_angular) continue;
    hashes.shifts.push_back(static_cast<float>(uniform(engine)));
    hashes.keys.push_back(engine());
  }
  if (!hashes.directions.empty()) {
    hashes.panels = MakeFrequencyPanels(hashes.directions, dimension,
                                        std::vector<bool>(hashes.directions.size() / dimension, false));
  }
  const auto bytes = [](const auto& values) {
    return absl::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
  };
  const Sha256Digest digest =
      Sha256(absl::StrCat(bytes(hashes.widths), bytes(hashes.shifts), bytes(hashes.directions), bytes(hashes.keys)));
  proto::RaceSpec complete = spec;
  complete.set_scheme_version(kPublicRandomScheme);
  complete.set_fingerprint(digest.data(), digest.size());
  DPKDE_RETURN_IF_ERROR(CheckFingerprint("hashes", spec.fingerprint(), complete.fingerprint()));
  return std::unique_ptr<Design>(
      std::make_unique<RaceDesign>(similarity, std::move(hashes), domain, std::move(complete)));
}

}  // namespace dpkde
