#include "dpkde/designs/reduced_design.h"

#include <algorithm>
#include <boost/math/constants/constants.hpp>
#include <boost/random/normal_distribution.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/centered_blocks.h"
#include "dpkde/designs/directions.h"
#include "dpkde/designs/fourier_kernel.h"
#include "dpkde/designs/public_random.h"

namespace dpkde {
namespace {

constexpr char kPurpose[] = "reduction";
constexpr size_t kBlockRows = 48;
constexpr int64_t kMostEntries = int64_t{1} << 26;
constexpr double kPi = boost::math::constants::pi<double>();

// x -> A (x - center), packed: rows x K.
class Reduction {
 public:
  Reduction(const Domain& domain, const proto::ReductionSpec& spec) : dimension_(spec.dimension()) {
    const size_t d = domain.dimension();
    for (size_t i = 0; i < d; ++i) center_.push_back(static_cast<float>(domain.center(i)));
    if (spec.hadamard()) {
      const double scale = std::sqrt(static_cast<double>(StructuredDirections::EmbeddingDimension(d)) / dimension_);
      structured_.emplace(d, std::vector<float>(dimension_, static_cast<float>(scale)), spec.public_seed(), kPurpose);
      const std::vector<uint8_t>& signs = structured_->signs();
      digest_ = Sha256({reinterpret_cast<const char*>(signs.data()), signs.size()});
      return;
    }
    std::vector<float> entries;
    for (size_t j = 0; j < dimension_; ++j) {
      boost::random::mt19937_64 engine = PublicStream(spec.public_seed(), kPurpose, j);
      boost::random::normal_distribution<double> normal(0, 1 / std::sqrt(static_cast<double>(dimension_)));
      for (size_t i = 0; i < d; ++i) entries.push_back(static_cast<float>(normal(engine)));
    }
    dense_ = MakeFrequencyPanels(entries, d, std::vector<bool>(dimension_, false));
    digest_ = Sha256({reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(entries[0])});
  }

  const Sha256Digest& digest() const { return digest_; }

  // Calls body(first row, reduced rows). Rows are clamped to `domain` first, if there is one.
  template <typename Body>
  void ForBlocks(MatrixView rows, const Domain* domain, const Body& body) const {
    const size_t padded = structured_.has_value() ? structured_->padded() : dense_.padded();
    std::vector<float> products(kBlockRows * padded);
    ForCenteredBlocks(rows, kBlockRows, domain, center_, [&](size_t begin, MatrixView block) {
      if (structured_.has_value()) {
        structured_->Products(block, products.data());
      } else {
        FixedOrderProducts(dense_, block, products.data());
      }
      for (size_t r = 0; r < block.rows; ++r) {
        for (size_t j = 0; j < dimension_; ++j) {
          // In place, never ahead of what is read: columns are in order where no panel is wide.
          products[r * dimension_ + j] = products[r * padded + j];
        }
      }
      body(begin, MatrixView{products.data(), block.rows, dimension_});
    });
  }

 private:
  size_t dimension_;
  std::vector<float> center_;
  absl::optional<StructuredDirections> structured_;
  FrequencyPanels dense_;
  Sha256Digest digest_;
};

// The largest r |f'(r)| of a kernel, by differences on a logarithmic scale of r.
double LargestScaledSlope(const Similarity& similarity) {
  constexpr double kRatio = 1.01;
  double largest = 0;
  for (double r = similarity.bandwidth() * 1e-3; r < similarity.bandwidth() * 1e3; r *= kRatio) {
    largest = std::max(largest, (similarity.EvaluateAxis(r) - similarity.EvaluateAxis(r * kRatio)) / std::log(kRatio));
  }
  return largest;
}

// Standard deviations of a projection to l1 to either side of the middle.
constexpr double kReach = 4;
constexpr uint32_t kMostProjections = 4096;

absl::Status CheckReducedDimension(const Domain& domain, uint32_t dimension, bool to_l1) {
  if (!to_l1 && domain.dimension() == 1) {
    return absl::InvalidArgumentError("a reduction needs records of at least 2 dimensions, but they have 1");
  }
  return CheckInRange("dimension of a reduction", dimension, 1, to_l1 ? kMostProjections : domain.dimension() - 1);
}

// Standard deviation over A of the sum's error: at most `of_sum` times the sum plus `of_count` times the records.
struct ReductionDeviation {
  double of_sum = 0;
  double of_count = 0;
};

ReductionDeviation DeviationOf(const Similarity& similarity, uint32_t dimension, bool to_l1) {
  if (to_l1) return {std::sqrt((kPi / 2 - 1) / dimension), 0};
  const double deviation = 1 / std::sqrt(2.0 * dimension);  // of ||A v|| / ||v||
  if (similarity.kind() == proto::SimilaritySpec::L2) return {deviation, 0};
  if (similarity.kind() == proto::SimilaritySpec::L2_SQUARED) return {2 * deviation, 0};
  return {0, LargestScaledSlope(similarity) * deviation};
}

class ReducedFunction final : public ReleasedFunction {
 public:
  // Answers are `scale` times those of `inner`.
  ReducedFunction(const Reduction* reduction, std::unique_ptr<ReleasedFunction> inner, double scale,
                  ReductionDeviation deviation, double count)
      : reduction_(reduction),
        inner_(std::move(inner)),
        scale_(scale),
        deviation_(deviation),
        count_(std::max(count, 0.0)) {}

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    reduction_->ForBlocks(queries, nullptr, [&](size_t begin, MatrixView reduced) {
      inner_->Evaluate(reduced, answers.subspan(begin, reduced.rows));
    });
    for (Answer& answer : answers) {
      answer.sum *= scale_;
      answer.noise_variance *= scale_ * scale_;
      answer.count_covariance *= scale_;
      if (answer.total_variance.has_value()) *answer.total_variance *= scale_ * scale_;
      const double deviation = deviation_.of_sum * std::max(answer.sum, 0.0) + deviation_.of_count * count_;
      answer.total_variance = answer.total_variance.value_or(answer.noise_variance) + deviation * deviation;
      // What the inner design bounds is not what the map adds.
      answer.bias_bound = absl::nullopt;
    }
  }

 private:
  const Reduction* reduction_;
  std::unique_ptr<ReleasedFunction> inner_;
  double scale_;
  ReductionDeviation deviation_;
  double count_;
};

class ReducedDesign final : public Design {
 public:
  ReducedDesign(const Similarity& similarity, const Domain& domain, const proto::ReductionSpec& spec,
                std::unique_ptr<Design> inner)
      : similarity_(similarity),
        domain_(domain),
        reduction_(domain, spec),
        inner_(std::move(inner)),
        to_l1_(IsReducedToL1(similarity, inner_->spec())),
        scale_(to_l1_ ? std::sqrt(kPi / (2 * spec.dimension())) : 1),
        groups_(inner_->groups()) {
    for (CoordinateGroup& group : groups_) group.mean_square_weight *= scale_ * scale_;
    spec_ = inner_->spec();
    proto::ReductionSpec& complete = *spec_.mutable_reduction();
    complete = spec;
    complete.set_scheme_version(kPublicRandomScheme);
    complete.set_fingerprint(reduction_.digest().data(), reduction_.digest().size());
  }

  size_t dimension() const override { return domain_.dimension(); }
  size_t count_coordinate() const override { return inner_->count_coordinate(); }
  const proto::DesignSpec& spec() const override { return spec_; }
  const std::vector<CoordinateGroup>& groups() const override { return groups_; }
  absl::optional<double> SupError() const override { return absl::nullopt; }
  // The reduced ball holds the reduced domain only nearly; the domain itself is what a query can be held to.
  QueryRegion query_region() const override {
    return inner_->query_region() == QueryRegion::kEverywhere ? QueryRegion::kEverywhere : QueryRegion::kDomain;
  }

  void Accumulate(MatrixView rows, absl::Span<int64_t> sums) const override {
    reduction_.ForBlocks(rows, &domain_, [&](size_t, MatrixView reduced) { inner_->Accumulate(reduced, sums); });
  }

  std::unique_ptr<ReleasedFunction> MakeReleasedFunction(absl::Span<const int64_t> values,
                                                         absl::Span<const double> variances) const override {
    return std::make_unique<ReducedFunction>(&reduction_, inner_->MakeReleasedFunction(values, variances), scale_,
                                             DeviationOf(similarity_, spec_.reduction().dimension(), to_l1_),
                                             static_cast<double>(values[count_coordinate()]) / kGridUnit);
  }

  double PredictedApproximationError(double n, double expected_similarity) const override {
    return std::hypot(scale_ * inner_->PredictedApproximationError(n, expected_similarity),
                      ReductionError(similarity_, domain_, spec_.reduction().dimension(), n, to_l1_));
  }

  double TypicalApproximationError(double n, double expected_similarity) const override {
    return std::hypot(scale_ * inner_->TypicalApproximationError(n, expected_similarity),
                      ReductionError(similarity_, domain_, spec_.reduction().dimension(), n, to_l1_));
  }

 private:
  Similarity similarity_;
  Domain domain_;
  Reduction reduction_;
  std::unique_ptr<Design> inner_;
  bool to_l1_;
  double scale_;
  std::vector<CoordinateGroup> groups_;
  proto::DesignSpec spec_;
};

}  // namespace

bool IsReducedToL1(const Similarity& similarity, const proto::DesignSpec& design) {
  return similarity.kind() == proto::SimilaritySpec::L2 && design.has_tree();
}

absl::StatusOr<Domain> ReducedDomain(const Domain& domain, uint32_t dimension, bool to_l1) {
  DPKDE_RETURN_IF_ERROR(CheckReducedDimension(domain, dimension, to_l1));
  if (to_l1) {
    const double reach = kReach / std::sqrt(static_cast<double>(dimension)) * domain.radius();
    return Domain::Box(std::vector<double>(dimension, -reach), std::vector<double>(dimension, reach));
  }
  return Domain::Ball(std::vector<double>(dimension, 0.0), domain.radius() * (1 + 2 / std::sqrt(2.0 * dimension)));
}

double ReducedDeviation(const Domain& domain, uint32_t dimension) {
  const double d = domain.dimension();
  double mean_square = 0;  // distance of a query from the domain's center
  if (domain.is_ball()) {
    mean_square = domain.radius() * domain.radius() * d / (d + 2);
  } else {
    for (size_t i = 0; i < domain.dimension(); ++i) mean_square += domain.width(i) * domain.width(i) / 12;
  }
  return std::sqrt(mean_square / dimension);
}

double ReductionError(const Similarity& similarity, const Domain& domain, uint32_t dimension, double n, bool to_l1) {
  // Records in a corner of the box or on the sphere, and queries uniform in the domain: mean square distance.
  const double d = domain.dimension();
  double mean_square = 0;
  if (domain.is_ball()) {
    mean_square = domain.radius() * domain.radius() * (1 + d / (d + 2));
  } else {
    for (size_t i = 0; i < domain.dimension(); ++i) mean_square += domain.width(i) * domain.width(i) / 3;
  }
  const ReductionDeviation deviation = DeviationOf(similarity, dimension, to_l1);
  const double answer = similarity.kind() == proto::SimilaritySpec::L2 ? std::sqrt(mean_square) : mean_square;
  return n * (deviation.of_sum * answer + deviation.of_count);
}

absl::StatusOr<std::unique_ptr<Design>> MakeReducedDesign(const Similarity& similarity, const Domain& domain,
                                                          const proto::ReductionSpec& spec,
                                                          std::unique_ptr<Design> inner) {
  if (!similarity.is_euclidean()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a reduction needs a function of Euclidean distance, which ", similarity.name(), " is not"));
  }
  const bool to_l1 = IsReducedToL1(similarity, inner->spec());
  DPKDE_RETURN_IF_ERROR(CheckReducedDimension(domain, spec.dimension(), to_l1));
  if (spec.hadamard()) {
    if (to_l1) return absl::InvalidArgumentError("projections of l2 to l1 are normal, not hadamard");
    DPKDE_RETURN_IF_ERROR(CheckInRange("dimension before a hadamard reduction", domain.dimension(),
                                       StructuredDirections::kLeastDimension, 65536));
  } else {
    DPKDE_RETURN_IF_ERROR(CheckInRange("entries of a reduction",
                                       static_cast<int64_t>(spec.dimension()) * domain.dimension(), 1, kMostEntries));
  }
  DPKDE_RETURN_IF_ERROR(CheckPublicRandomScheme("reductions", spec.scheme_version()));
  auto design = std::make_unique<ReducedDesign>(similarity, domain, spec, std::move(inner));
  DPKDE_RETURN_IF_ERROR(CheckFingerprint("reductions", spec.fingerprint(), design->spec().reduction().fingerprint()));
  return std::unique_ptr<Design>(std::move(design));
}

}  // namespace dpkde
