#include "dpkde/sketch/accumulator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/row_origin.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"

namespace dpkde {
namespace {

// Records that a worker takes at a time.
constexpr size_t kChunkRows = 1024;

absl::Span<const double> OriginOf(const proto::ReleasePlan& plan) {
  return {plan.origin().data(), static_cast<size_t>(plan.origin_size())};
}

}  // namespace

absl::StatusOr<Accumulator> Accumulator::Create(const proto::ReleasePlan& plan, BadRecords bad_records,
                                                ThreadPool& pool) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(PlanParts parts, BuildPlan(plan));
  DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism, Mechanism::Calibrate(plan.mechanism(), parts.groups, parts.privacy));
  proto::ReleasePlan complete = plan;
  *complete.mutable_design() = parts.design->spec();
  complete.set_capacity(std::min<uint64_t>(plan.capacity(), LargestCapacity(*parts.design)));
  return Accumulator(std::move(complete), std::move(parts), std::move(mechanism), bad_records, pool);
} catch (...) {
  return StatusOfException();
}

Accumulator::Accumulator(proto::ReleasePlan plan, PlanParts parts, Mechanism mechanism, BadRecords bad_records,
                         ThreadPool& pool)
    : plan_(std::move(plan)),
      parts_(std::move(parts)),
      mechanism_(std::move(mechanism)),
      bad_records_(bad_records),
      pool_(&pool),
      sums_(parts_.design->num_coordinates(), plan_.capacity(), pool.threads()) {}

absl::Status Accumulator::CheckWeights(absl::Span<const float> weights) const {
  const proto::WeightSpec& spec = plan_.weights();
  // As floats, so that a weight that was written as the bound is one.
  const float high = static_cast<float>(spec.bound()), low = spec.allow_negative() ? -high : 0.0f;
  for (size_t r = 0; r < weights.size(); ++r) {
    if (weights[r] >= low && weights[r] <= high) continue;
    const std::string must = absl::StrCat("must be between ", low, " and ", high);
    return CountError(absl::StatusCode::kInvalidArgument,
                      absl::StrCat("weight of row ", sums_.records() + r, " (counting from 0): ", must),
                      absl::StrCat("the weight of a record ", must));
  }
  return absl::OkStatus();
}

absl::Status Accumulator::Add(MatrixView records) try {
  const DefaultFloatEnvironment environment;
  if (plan_.origin().empty()) return Add(CenteredRows(records));
  DPKDE_RETURN_IF_ERROR(CheckRecords(records));
  PrivateVector<float> centered(records.rows * records.columns);
  SubtractOrigin(records, OriginOf(plan_), centered.data());
  return Add(CenteredRows({centered.data(), records.rows, records.columns}));
} catch (...) {
  return StatusOfException();
}

absl::Status Accumulator::Add(MatrixView records, absl::Span<const float> weights) try {
  const DefaultFloatEnvironment environment;
  if (plan_.origin().empty()) return Add(CenteredRows(records), weights);
  DPKDE_RETURN_IF_ERROR(CheckRecords(records));
  PrivateVector<float> centered(records.rows * records.columns);
  SubtractOrigin(records, OriginOf(plan_), centered.data());
  return Add(CenteredRows({centered.data(), records.rows, records.columns}), weights);
} catch (...) {
  return StatusOfException();
}

absl::Status Accumulator::Add(CenteredRows records) try {
  const DefaultFloatEnvironment environment;
  if (plan_.has_weights()) return absl::InvalidArgumentError("records must have weights, as the plan says");
  return AddAll(records.rows, nullptr);
} catch (...) {
  return StatusOfException();
}

absl::Status Accumulator::Add(CenteredRows centered, absl::Span<const float> weights) try {
  const DefaultFloatEnvironment environment;
  const MatrixView records = centered.rows;
  if (!plan_.has_weights()) return absl::InvalidArgumentError("records must have no weights, as the plan has none");
  if (weights.size() != records.rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("each of ", records.rows, " records must have a weight, but there are ", weights.size()));
  }
  if (bad_records_ == BadRecords::kFail) DPKDE_RETURN_IF_ERROR(CheckWeights(weights));
  return AddAll(records, weights.data());
} catch (...) {
  return StatusOfException();
}

absl::Status Accumulator::CheckRecords(MatrixView records) const {
  DPKDE_RETURN_IF_ERROR(sums_.CheckOpen());
  if (records.columns != plan_.dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("records must have ", plan_.dimension(), " columns, but have ", records.columns));
  }
  return sums_.CheckCapacity(records.rows);
}

absl::Status Accumulator::AddAll(MatrixView records, const float* weights) {
  DPKDE_RETURN_IF_ERROR(CheckRecords(records));
  if (bad_records_ == BadRecords::kFail) DPKDE_RETURN_IF_ERROR(CheckFiniteRows(records, sums_.records()));
  try {
    pool_->ParallelFor(records.rows, kChunkRows, [&](size_t begin, size_t end, int worker) {
      AddChunk(records.Slice(begin, end), weights == nullptr ? nullptr : weights + begin, sums_.OfWorker(worker));
    });
  } catch (...) {
    sums_.Abandon();
    throw;
  }
  sums_.Count(records.rows);
  return absl::OkStatus();
}

void Accumulator::AddChunk(MatrixView records, const float* weights, absl::Span<int64_t> sums) const {
  const auto is_bad = [&](size_t r) {
    return std::any_of(records.row(r).begin(), records.row(r).end(), [](float value) { return !std::isfinite(value); });
  };
  PrivateVector<float> replaced;
  if (bad_records_ == BadRecords::kReplace) {
    for (size_t r = 0; r < records.rows; ++r) {
      if (!is_bad(r)) continue;
      if (replaced.empty()) replaced.assign(records.data, records.data + records.rows * records.columns);
      for (size_t c = 0; c < records.columns; ++c) {
        const absl::optional<Domain>& domain = parts_.domain;
        replaced[r * records.columns + c] = domain.has_value() ? static_cast<float>(domain->center(c)) : 0.0f;
      }
    }
  }
  const MatrixView rows = {replaced.empty() ? records.data : replaced.data(), records.rows, records.columns};
  if (weights == nullptr) return parts_.design->Accumulate(rows, sums);
  // In units of 2^-20 of the bound; held to the bound here, whatever was checked before.
  const double bound = plan_.weights().bound();
  const double low = plan_.weights().allow_negative() ? -1 : 0;
  PrivateVector<int32_t> scales(rows.rows);
  for (size_t r = 0; r < rows.rows; ++r) {
    const double share = weights[r] / bound;
    scales[r] = std::isnan(share) ? 0 : static_cast<int32_t>(std::llrint(std::clamp(share, low, 1.0) * kGridUnit));
  }
  parts_.design->AccumulateWeighted(rows, scales, sums);
}

absl::Status Accumulator::Merge(Accumulator&& other) try {
  return sums_.Merge(std::move(other.sums_), plan_, other.plan_);
} catch (...) {
  return StatusOfException();
}

proto::Release Accumulator::MakeMessage(absl::Span<const int64_t> values) const {
  proto::Release message;
  *message.mutable_plan() = plan_;
  *message.mutable_certificate() = MakeReleaseCertificate(plan_, parts_.groups, mechanism_);
  *message.mutable_scales() = mechanism_.scales();
  message.mutable_values()->Add(values.begin(), values.end());
  return message;
}

absl::StatusOr<uint64_t> Accumulator::RehearseRelease() const try {
  const DefaultFloatEnvironment environment;
  const std::string bytes = Release::Seal(MakeMessage(std::vector<int64_t>(parts_.design->num_coordinates())));
  DPKDE_RETURN_IF_ERROR(Release::Deserialize(bytes).status());
  return bytes.size();
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<Release> Accumulator::Privatize(BitSource& source) && try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(sums_.CheckOpen());
  PrivateVector<int64_t> values = sums_.Take();
  mechanism_.AddNoise(absl::MakeSpan(values), source);

  proto::Release message = MakeMessage(values);  // while the mechanism is here
  return Release(std::move(message), parts_.similarity, parts_.domain, std::move(parts_.design), std::move(mechanism_));
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<proto::PlanningCount> ReleasePlanningCount(uint64_t count, double epsilon, BitSource& source) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckPositive("epsilon of the planning count", epsilon));
  CoordinateGroup group;
  group.first = 0;
  group.count = 1;
  group.add_remove = {1, 1};
  group.mean_square_weight = 1;
  DPKDE_ASSIGN_OR_RETURN(const PrivacySpec privacy, PrivacySpec::Pure(epsilon, Neighboring::kAddRemove));
  DPKDE_ASSIGN_OR_RETURN(const Mechanism mechanism, Mechanism::Calibrate(proto::LAPLACE, {group}, privacy));
  int64_t value = static_cast<int64_t>(std::min<uint64_t>(count, std::numeric_limits<int64_t>::max()));
  mechanism.AddNoise(absl::MakeSpan(&value, 1), source);
  proto::PlanningCount released;
  released.set_epsilon(mechanism.guarantee().epsilon);
  released.set_value(value);
  return released;
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
