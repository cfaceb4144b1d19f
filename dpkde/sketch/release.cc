#include "dpkde/sketch/release.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/row_origin.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/designs/landmark_design.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/parse_message.h"
#include "dpkde/similarity/resolution.h"
#include "dpkde/sketch/certificate.h"
#include "dpkde/sketch/release_parts.h"

namespace dpkde {
namespace {

constexpr char kEnvelopeKind[] = "release";

// 97.5 % quantile of the normal law. Noise in an answer is a sum of many independent terms; a single Laplace term would
// be covered with 93.7 %.
constexpr double kNormalQuantile = 1.959964;

// A count of so many standard errors says how many records there are. Post-processing, no privacy effect.
constexpr double kCountableSds = 5;

}  // namespace

Release::Release(proto::Release message, Similarity similarity, absl::optional<Domain> domain,
                 std::unique_ptr<Design> design, Mechanism mechanism)
    : message_(std::move(message)),
      similarity_(std::move(similarity)),
      domain_(std::move(domain)),
      design_(std::move(design)),
      mechanism_(std::move(mechanism)),
      function_(design_->MakeReleasedFunction({message_.values().data(), static_cast<size_t>(message_.values_size())},
                                              mechanism_.variances())),
      rounding_error_(domain_.has_value() ? RoundingError(similarity_, *domain_) : 0) {}

absl::StatusOr<Release> Release::FromProto(proto::Release message) {
  const proto::ReleasePlan& plan = message.plan();
  // Before anything of that size is made.
  DPKDE_RETURN_IF_ERROR(CheckStatedCoordinates(plan.design(), plan.dimension(), message.values_size()));
  DPKDE_ASSIGN_OR_RETURN(PlanParts parts, BuildPlan(plan));
  if (static_cast<size_t>(message.values_size()) != parts.design->num_coordinates()) {
    return absl::InvalidArgumentError("values do not fit the design");
  }
  DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism,
                         Mechanism::FromScales(plan.mechanism(), parts.groups, message.scales(), parts.privacy));
  DPKDE_RETURN_IF_ERROR(CheckCertificate(message.certificate(), MakeReleaseCertificate(plan, parts.groups, mechanism)));
  return Release(std::move(message), std::move(parts.similarity), std::move(parts.domain), std::move(parts.design),
                 std::move(mechanism));
}

absl::StatusOr<Release> Release::Deserialize(absl::string_view bytes) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const Envelope envelope, OpenEnvelope(kEnvelopeKind, kVersion, bytes));
  proto::Release message;
  if (!ParseMessage(envelope.payload, &message)) {
    return absl::DataLossError("is damaged: its content is not a release");
  }
  if (envelope.version == 1 && message.plan().origin_size() > 0) {
    return absl::DataLossError("is not a valid release: files of version 1 have no origin");
  }
  absl::StatusOr<Release> release = FromProto(std::move(message));
  if (release.ok() || release.status().code() == absl::StatusCode::kFailedPrecondition) return release;
  return absl::DataLossError(absl::StrCat("is not a valid release: ", std::string(release.status().message())));
} catch (...) {
  return StatusOfException();
}

std::string Release::Serialize() const { return Seal(message_); }

std::string Release::Seal(const proto::Release& message) {
  return SealEnvelope(kEnvelopeKind, VersionOf(message), message.SerializeAsString());
}

Release::Count Release::count() const {
  const double unit = kGridUnit / weight_bound();
  return {message_.values(static_cast<int>(design_->count_coordinate())) / unit,
          std::sqrt(mechanism_.variances().back()) / unit};
}

absl::Status Release::CheckQueries(MatrixView queries, uint64_t first_row) const {
  const DefaultFloatEnvironment environment;
  if (origin().empty() || queries.columns != dimension()) return CheckQueries(CenteredRows(queries), first_row);
  DPKDE_RETURN_IF_ERROR(CheckFiniteRows(queries, first_row));
  const std::vector<float> centered = SubtractOrigin(queries, origin());
  return CheckQueries(CenteredRows({centered.data(), queries.rows, queries.columns}), first_row);
}

absl::Status Release::CheckQueries(CenteredRows centered, uint64_t first_row) const {
  const DefaultFloatEnvironment environment;
  const MatrixView queries = centered.rows;
  if (queries.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("queries must have ", dimension(), " columns, as the release has, but have ", queries.columns));
  }
  // Distances from landmarks are computed in float32.
  double farthest = std::numeric_limits<double>::infinity();
  if (plan().design().has_landmark() && !similarity_.is_kernel()) {
    farthest = std::min(1e16, 1e30 * plan().design().landmark().radius());
  }
  const Design::QueryRegion region = design_->query_region();
  for (size_t r = 0; r < queries.rows; ++r) {
    const bool is_answered = region == Design::QueryRegion::kEverywhere ||
                             (region == Design::QueryRegion::kBoundingBox ? domain_->BoxContains(queries.row(r))
                                                                          : domain_->Contains(queries.row(r)));
    if (is_answered && region != Design::QueryRegion::kEverywhere) continue;  // so it is finite
    DPKDE_RETURN_IF_ERROR(CheckFiniteRows(queries.Slice(r, r + 1), first_row + r));
    for (size_t c = 0; c < queries.columns; ++c) {
      if (std::abs(queries.row(r)[c]) <= farthest) continue;
      return absl::InvalidArgumentError(absl::StrCat("row ", first_row + r, ", column ", c,
                                                     " (counting from 0): must be at most ", farthest,
                                                     " in size, but is ", queries.row(r)[c]));
    }
    if (!is_answered) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", first_row + r, " (counting from 0): is outside the domain ", domain_->DebugString(),
                       ", and this release has answers only inside"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DensityEstimate>> Release::Estimate(MatrixView queries, ThreadPool& pool) const try {
  const DefaultFloatEnvironment environment;
  if (origin().empty() || queries.columns != dimension()) return Estimate(CenteredRows(queries), pool);
  DPKDE_RETURN_IF_ERROR(CheckFiniteRows(queries, 0));
  const std::vector<float> centered = SubtractOrigin(queries, origin());
  return Estimate(CenteredRows({centered.data(), queries.rows, queries.columns}), pool);
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<std::vector<DensityEstimate>> Release::Estimate(CenteredRows centered, ThreadPool& pool) const try {
  const DefaultFloatEnvironment environment;
  const MatrixView queries = centered.rows;
  DPKDE_RETURN_IF_ERROR(CheckQueries(centered));
  std::vector<DensityEstimate> estimates(queries.rows);
  pool.ParallelFor(queries.rows, 96, [&](size_t begin, size_t end, int) {
    std::vector<Answer> answers(end - begin);
    function_->Evaluate(queries.Slice(begin, end), absl::MakeSpan(answers));
    for (size_t i = begin; i < end; ++i) Finish(answers[i - begin], estimates[i]);
  });
  return estimates;
} catch (...) {
  return StatusOfException();
}

void Release::Project() {
  const DefaultFloatEnvironment environment;
  if (projects_ || plan().weights().allow_negative()) return;
  projects_ = true;
  function_->Project();
}

absl::optional<double> Release::LargestSimilarity() const {
  using Spec = proto::SimilaritySpec;
  if (similarity_.is_kernel() || similarity_.kind() == Spec::COSINE) return 1;
  // Elsewhere queries may lie outside the domain.
  if (!domain_.has_value() || design_->query_region() == Design::QueryRegion::kEverywhere) return absl::nullopt;
  if (similarity_.kind() == Spec::L2) return domain_->Diameter();
  double largest = 0;
  for (size_t i = 0; i < dimension(); ++i) largest += similarity_.EvaluateAxis(domain_->width(i));
  return largest;
}

void Release::Finish(Answer answer, DensityEstimate& estimate) const {
  const Count n = count();
  // Everything was counted in bounds.
  const double bound = weight_bound();
  answer.sum *= bound;
  answer.noise_variance *= bound * bound;
  answer.count_covariance *= bound * bound;
  if (answer.total_variance.has_value()) *answer.total_variance *= bound * bound;
  const auto project = [&](double value, double count) {
    if (!projects_ || similarity_.kind() == proto::SimilaritySpec::INNER_PRODUCT) return value;
    const absl::optional<double> largest = LargestSimilarity();
    const double high = largest.has_value() ? *largest * std::max(count, 0.0) : std::numeric_limits<double>::infinity();
    const double low = similarity_.kind() == proto::SimilaritySpec::COSINE ? -high : 0;
    return std::clamp(value, low, high);
  };
  // Of an interval that holds the exact sum, the part within its range holds it too.
  const double unprojected = answer.sum;
  answer.sum = project(answer.sum, n.value);
  estimate.sum = answer.sum;
  estimate.std_error = std::sqrt(answer.noise_variance);
  const double total = answer.total_variance.has_value() ? std::sqrt(*answer.total_variance) : estimate.std_error;
  // Bounds are in the sum of weights, which for signed ones is less than that of their absolute values.
  if (!plan().weights().allow_negative()) {
    // Not the noised count itself: where it is too small, or negative, the bound would be too.
    const double most_records = std::max(n.value + kPlausibleSds * n.std_error, 0.0);
    const double rounding = rounding_error_ * most_records;
    if (answer.bias_bound.has_value()) estimate.bias_bound = bound * *answer.bias_bound + rounding;
    if (design_->SupError().has_value()) estimate.bias_bound = *design_->SupError() * most_records + rounding;
  }
  const double half = kNormalQuantile * total + (answer.is_unlike_plan ? estimate.bias_bound.value_or(0) : 0);
  const double most = n.value + kNormalQuantile * n.std_error;
  estimate.ci95_low = project(unprojected - half, most);
  estimate.ci95_high = project(unprojected + half, most);
  if (!std::isfinite(estimate.ci95_low) || !std::isfinite(estimate.ci95_high)) {
    // Nothing is known of the approximation, but of any exact sum it is.
    const absl::optional<double> largest = LargestSimilarity();
    if (largest.has_value() && !plan().weights().allow_negative()) {
      estimate.ci95_high = *largest * std::max(most, 0.0);
      estimate.ci95_low = similarity_.kind() == proto::SimilaritySpec::COSINE ? -estimate.ci95_high : 0;
    }
  }
  if (n.value > 2 * bound) {
    const double mean = answer.sum / n.value;
    estimate.mean = mean;
    if (n.value > kCountableSds * n.std_error) {
      const double variance = answer.total_variance.value_or(answer.noise_variance) -
                              2 * mean * answer.count_covariance + mean * mean * n.std_error * n.std_error;
      estimate.mean_std_error = std::sqrt(std::max(variance, 0.0)) / n.value;
    }
  }
}

Release::Count Release::LandmarkResidual() const {
  const uint32_t coordinate = plan().design().landmark().rank();
  return {message_.values(static_cast<int>(coordinate)) / static_cast<double>(kGridUnit),
          std::sqrt(mechanism_.variances()[coordinate]) / kGridUnit};
}

std::vector<std::string> Release::Warnings() const {
  if (!plan().design().has_landmark()) return {};
  const Count residual = LandmarkResidual();
  const double records = count().value / weight_bound();
  if (ResidualExcess(plan().design().landmark(), records, residual.value, residual.std_error) <= 3) return {};
  return {"the records are unlike the landmarks: intervals are widened by bias_bound, the only error to rely on"};
}

std::string Release::DebugString() const {
  std::string text;
  const auto line = [&](absl::string_view name, const auto&... parts) {
    text += DescribeLine(name, absl::StrCat(parts...));
  };
  line("similarity", similarity_.name(), " bandwidth=", similarity_.bandwidth());
  line("dimension", dimension());
  line("domain", domain_.has_value() ? domain_->DebugString() + ", records outside are clamped" : "unbounded");
  line("design", DescribeDesign(design_->spec()), ", ", design_->num_coordinates(), " values");
  text += DescribeCertificate(certificate());
  if (plan().has_planning_count()) {
    line("planning count", plan().planning_count().value(), " at epsilon ", plan().planning_count().epsilon(),
         ", included above");
  }
  const Count n = count();
  if (plan().design().has_landmark()) {
    const proto::LandmarkSpec& landmarks = plan().design().landmark();
    line("landmarks", landmarks.landmarks(), " public points, in the clear in this file");
    if (!similarity_.is_kernel()) {
      line("radius", landmarks.radius(),
           ": records farther from the middle of the landmarks, in the similarity's own metric, are moved to it");
    }
    line("residual", "the landmarks miss ", LandmarkResidual().value / std::max(n.value / weight_bound(), 1.0),
         " of a record (noised), and ", landmarks.residual_mean(), " of a point like them");
  }
  for (const std::string& warning : Warnings()) line("WARNING", warning);
  if (plan().has_weights()) {
    line("weights", "in [", plan().weights().allow_negative() ? -weight_bound() : 0, ", ", weight_bound(), "]");
  }
  // A guess of the number in place of a noised count leaves the count in the release next to no budget.
  const bool drowned = plan().privacy().neighboring() == proto::ADD_REMOVE && !plan().has_planning_count() &&
                       n.value <= kCountableSds * n.std_error;
  line(plan().has_weights() ? "sum of weights" : "records",
       drowned           ? "not asked for (means need it; leave out --expected_n to pay for a noised count)"
       : n.std_error > 0 ? absl::StrCat(n.value, " +- ", n.std_error, " (noised)")
                         : absl::StrCat(n.value, " (public)"));
  text += DescribeOrigin(plan().ledger_dataset(), {plan().asserted_public().begin(), plan().asserted_public().end()},
                         certificate(), version());
  return text;
}

}  // namespace dpkde
