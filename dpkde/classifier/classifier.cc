#include "dpkde/classifier/classifier.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/row_origin.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/design_factory.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/parse_message.h"
#include "dpkde/sketch/certificate.h"

namespace dpkde {
namespace {

using Plan = proto::ClassifierPlan;

constexpr char kEnvelopeKind[] = "classify";

}  // namespace

Classifier::Classifier(proto::ClassifierRelease message, ClassifierParts parts, Mechanism mechanism)
    : message_(std::move(message)),
      parts_(std::make_unique<ClassifierParts>(std::move(parts))),
      mechanism_(std::move(mechanism)),
      labels_(message_.plan().label().begin(), message_.plan().label().end()),
      scorer_(std::make_unique<Scorer>()) {}

const ClassScorer& Classifier::scorer() const {
  std::call_once(scorer_->once, [this] { scorer_->made.emplace(message_, *parts_, mechanism_); });
  return *scorer_->made;
}

absl::StatusOr<Classifier> Classifier::FromProto(proto::ClassifierRelease message) {
  const Plan& plan = message.plan();
  if (message.class_sums_size() != plan.label_size()) {
    return absl::InvalidArgumentError("there must be sums for each label");
  }
  // Before anything of that size is made.
  const int64_t values = message.class_sums_size() == 0 ? 0 : message.class_sums(0).values_size();
  const proto::ClassFeatureSpec& spec = plan.features();
  int64_t stated = values;
  if (plan.has_kernel()) {
    DPKDE_RETURN_IF_ERROR(CheckStatedCoordinates(plan.kernel().design(), plan.dimension(), values));
  } else if (spec.has_fourier()) {
    stated = 2 * int64_t{spec.fourier().frequencies()} + 1;
  } else if (spec.has_linear()) {
    stated = int64_t{spec.linear().reduce_to() > 0 ? spec.linear().reduce_to() : plan.dimension()} + 1;
  }
  if (values != stated) return absl::InvalidArgumentError("sums do not fit the plan");
  DPKDE_ASSIGN_OR_RETURN(ClassifierParts parts, BuildClassifierPlan(plan));
  const size_t m = parts.class_size() - 1;
  for (const proto::ClassSums& sums : message.class_sums()) {
    if (static_cast<size_t>(sums.values_size()) != m + 1) {
      return absl::InvalidArgumentError("sums do not fit the plan");
    }
  }
  if (static_cast<size_t>(message.second_moment_size()) != parts.second_moment_size()) {
    return absl::InvalidArgumentError("the second moment does not fit the features");
  }
  DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism,
                         Mechanism::FromScales(plan.mechanism(), parts.groups, message.scales(), parts.step));
  DPKDE_RETURN_IF_ERROR(CheckCertificate(message.certificate(), MakeClassifierCertificate(plan, parts, mechanism)));
  return Classifier(std::move(message), std::move(parts), std::move(mechanism));
}

absl::StatusOr<Classifier> Classifier::Deserialize(absl::string_view bytes) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const Envelope envelope, OpenEnvelope(kEnvelopeKind, kVersion, bytes));
  proto::ClassifierRelease message;
  if (!ParseMessage(envelope.payload, &message)) {
    return absl::DataLossError("is damaged: its content is not a classifier");
  }
  if (envelope.version == 1 && message.plan().origin_size() > 0) {
    return absl::DataLossError("is not a valid classifier: files of version 1 have no origin");
  }
  absl::StatusOr<Classifier> classifier = FromProto(std::move(message));
  if (classifier.ok() || classifier.status().code() == absl::StatusCode::kFailedPrecondition) return classifier;
  return absl::DataLossError(absl::StrCat("is not a valid classifier: ", std::string(classifier.status().message())));
} catch (...) {
  return StatusOfException();
}

bool Classifier::IsClassifier(absl::string_view bytes) { return IsEnvelope(kEnvelopeKind, bytes); }

std::string Classifier::Serialize() const { return Seal(message_); }

std::string Classifier::Seal(const proto::ClassifierRelease& message) {
  return SealEnvelope(kEnvelopeKind, VersionOf(message), message.SerializeAsString());
}

absl::Status Classifier::CheckQueries(MatrixView queries, uint64_t first_row) const {
  if (queries.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("queries must have ", dimension(), " columns, as the classifier has, but have ", queries.columns));
  }
  return CheckFiniteRows(queries, first_row);
}

absl::Status Classifier::CheckQueries(CenteredRows queries, uint64_t first_row) const {
  return CheckQueries(queries.rows, first_row);
}

absl::StatusOr<std::vector<Prediction>> Classifier::Classify(MatrixView queries, ThreadPool& pool) const try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckQueries(queries));
  if (origin().empty()) return Classify(CenteredRows(queries), pool);
  const std::vector<float> centered = SubtractOrigin(queries, origin());
  return Classify(CenteredRows({centered.data(), queries.rows, queries.columns}), pool);
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<std::vector<Prediction>> Classifier::Classify(CenteredRows centered, ThreadPool& pool) const try {
  const DefaultFloatEnvironment environment;
  const MatrixView queries = centered.rows;
  DPKDE_RETURN_IF_ERROR(CheckQueries(centered));
  const ClassScorer& fitted = scorer();
  std::vector<Prediction> predictions(queries.rows);
  pool.ParallelFor(queries.rows, 64, [&](size_t begin, size_t end, int) {
    fitted.Score(queries.Slice(begin, end), &predictions[begin]);
  });
  return predictions;
} catch (...) {
  return StatusOfException();
}

proto::ClassifierRelease Classifier::Outline() const {
  proto::ClassifierRelease outline;
  *outline.mutable_plan() = message_.plan();
  proto::LandmarkSpec* landmarks = nullptr;
  if (plan().kernel().design().has_landmark()) {
    landmarks = outline.mutable_plan()->mutable_kernel()->mutable_design()->mutable_landmark();
  }
  if (plan().features().has_landmark()) {
    landmarks = outline.mutable_plan()->mutable_features()->mutable_landmark()->mutable_landmarks();
  }
  if (landmarks != nullptr) {
    landmarks->clear_points();
    landmarks->clear_projection();
  }
  outline.mutable_plan()->clear_reference();
  *outline.mutable_certificate() = message_.certificate();
  *outline.mutable_scales() = message_.scales();
  outline.set_composition(message_.composition());
  return outline;
}

std::string Classifier::DebugString() const {
  std::string text;
  const auto line = [&](absl::string_view name, const auto&... values) {
    text += DescribeLine(name, absl::StrCat(values...));
  };
  const proto::ClassFeatureSpec& spec = plan().features();
  line("classifier", absl::AsciiStrToLower(Plan::Model_Name(plan().model())));
  line("labels", labels_.size(), " (public): ", absl::StrJoin(labels_, ","));
  line("dimension", dimension());
  line("domain", parts_->domain.has_value() ? parts_->domain->DebugString() : "none",
       spec.unit_rows() || plan().kernel().unit_rows() ? ", unit rows" : "");
  if (parts_->kernel != nullptr) {
    const Similarity& similarity = parts_->kernel->similarity();
    const proto::DesignSpec& design = parts_->kernel->spec().design();
    line("similarity", similarity.name(),
         similarity.bandwidth() > 0 ? absl::StrCat(" bandwidth=", similarity.bandwidth()) : "",
         similarity.is_distance() ? ", the smaller the better" : "");
    line("design", DescribeDesign(design), ", ", parts_->class_size(), " values a class",
         design.has_landmark() ? "; landmarks are public points, in the clear in this file" : "");
  } else {
    line("features", parts_->features->size(),
         spec.has_linear()    ? (spec.linear().reduce_to() > 0 ? ", by a random projection" : ", the coordinates")
         : spec.has_fourier() ? absl::StrCat(", Fourier, bandwidth ", spec.fourier().bandwidth())
                              : absl::StrCat(" of ", spec.landmark().landmarks().landmarks(),
                                             " landmarks, public points in the clear in this file, bandwidth ",
                                             spec.landmark().bandwidth()));
    if (plan().covariance() == Plan::OF_NORMAL_POINTS) {
      line("covariance", "of normal points, with the released mean and covariance of the records");
    }
    if (plan().covariance() == Plan::OF_REFERENCE) {
      line("covariance", "of ", plan().reference_size() / dimension(), " public points, in the clear in this file");
    }
  }
  text += DescribeCertificate(certificate());
  line("composition", message_.composition());
  if (plan().has_planning_count()) {
    line("planning count", plan().planning_count().value(), " at epsilon ", plan().planning_count().epsilon(),
         ", included above");
  }
  std::vector<std::string> counts;
  for (const proto::ClassSums& sums : message_.class_sums()) {
    counts.push_back(absl::StrCat(*sums.values().rbegin() / static_cast<double>(kGridUnit)));
  }
  line("records", absl::StrJoin(counts, ","), " +- ", std::sqrt(mechanism_.variances().back()) / kGridUnit,
       " (noised)");
  text += DescribeOrigin(plan().ledger_dataset(), {plan().asserted_public().begin(), plan().asserted_public().end()},
                         certificate(), version());
  return text;
}

}  // namespace dpkde
