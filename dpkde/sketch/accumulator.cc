#include "dpkde/sketch/accumulator.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/wipe.h"

namespace dpkde {
namespace {

// Records that a worker takes at a time.
constexpr size_t kChunkRows = 1024;

}  // namespace

absl::StatusOr<Accumulator> Accumulator::Create(const proto::ReleasePlan& plan, BadRecords bad_records,
                                                ThreadPool& pool) {
  DPKDE_ASSIGN_OR_RETURN(PlanParts parts, BuildPlan(plan));
  DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism, Mechanism::Calibrate(plan.mechanism(), parts.groups, parts.privacy));
  proto::ReleasePlan complete = plan;
  *complete.mutable_design() = parts.design->spec();
  return Accumulator(std::move(complete), std::move(parts), std::move(mechanism), bad_records, pool);
}

Accumulator::Accumulator(proto::ReleasePlan plan, PlanParts parts, Mechanism mechanism, BadRecords bad_records,
                         ThreadPool& pool)
    : plan_(std::move(plan)),
      parts_(std::make_unique<PlanParts>(std::move(parts))),
      mechanism_(std::move(mechanism)),
      bad_records_(bad_records),
      pool_(&pool),
      worker_sums_(pool.threads()) {}

Accumulator::~Accumulator() {
  for (std::vector<int64_t>& sums : worker_sums_) Wipe(sums);
}

absl::Status Accumulator::CheckOpen() const {
  if (open_ && parts_ != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the accumulator has been released or merged; one accumulator gives one release");
}

absl::Status Accumulator::CheckCapacity(uint64_t more) const {
  if (more <= plan_.capacity() && count_ <= plan_.capacity() - more) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the accumulator would exceed its capacity of ", plan_.capacity(), " records"));
}

absl::Status Accumulator::CheckFinite(MatrixView records) const {
  for (size_t r = 0; r < records.rows; ++r) {
    for (size_t c = 0; c < records.columns; ++c) {
      if (std::isfinite(records.row(r)[c])) continue;
      return absl::InvalidArgumentError(absl::StrCat("row ", count_ + r, ", column ", c,
                                                     " (counting from 0): must be finite, but is ", records.row(r)[c]));
    }
  }
  return absl::OkStatus();
}

absl::Status Accumulator::CheckWeights(absl::Span<const float> weights) const {
  const proto::WeightSpec& spec = plan_.weights();
  // As floats, so that a weight that was written as the bound is one.
  const float high = static_cast<float>(spec.bound()), low = spec.allow_negative() ? -high : 0.0f;
  for (size_t r = 0; r < weights.size(); ++r) {
    if (weights[r] >= low && weights[r] <= high) continue;
    return absl::InvalidArgumentError(absl::StrCat("weight of row ", count_ + r, " (counting from 0): must be between ",
                                                   low, " and ", high, ", but is ", weights[r]));
  }
  return absl::OkStatus();
}

absl::Status Accumulator::Add(MatrixView records) {
  if (plan_.has_weights()) return absl::InvalidArgumentError("records must have weights, as the plan says");
  return AddAll(records, nullptr);
}

absl::Status Accumulator::Add(MatrixView records, absl::Span<const float> weights) {
  if (!plan_.has_weights()) return absl::InvalidArgumentError("records must have no weights, as the plan has none");
  if (weights.size() != records.rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("each of ", records.rows, " records must have a weight, but there are ", weights.size()));
  }
  if (bad_records_ == BadRecords::kFail) DPKDE_RETURN_IF_ERROR(CheckWeights(weights));
  return AddAll(records, weights.data());
}

absl::Status Accumulator::AddAll(MatrixView records, const float* weights) {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  if (records.columns != plan_.dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("records must have ", plan_.dimension(), " columns, but have ", records.columns));
  }
  DPKDE_RETURN_IF_ERROR(CheckCapacity(records.rows));
  if (bad_records_ == BadRecords::kFail) DPKDE_RETURN_IF_ERROR(CheckFinite(records));
  pool_->ParallelFor(records.rows, kChunkRows, [&](size_t begin, size_t end, int worker) {
    AddChunk(records.Slice(begin, end), weights == nullptr ? nullptr : weights + begin, worker_sums_[worker]);
  });
  count_ += records.rows;
  return absl::OkStatus();
}

void Accumulator::AddChunk(MatrixView records, const float* weights, std::vector<int64_t>& sums) const {
  sums.resize(parts_->design->num_coordinates());
  const auto is_bad = [&](size_t r) {
    return std::any_of(records.row(r).begin(), records.row(r).end(), [](float value) { return !std::isfinite(value); });
  };
  std::vector<float> replaced;
  if (bad_records_ == BadRecords::kReplace) {
    for (size_t r = 0; r < records.rows; ++r) {
      if (!is_bad(r)) continue;
      if (replaced.empty()) replaced.assign(records.data, records.data + records.rows * records.columns);
      for (size_t c = 0; c < records.columns; ++c) {
        const absl::optional<Domain>& domain = parts_->domain;
        replaced[r * records.columns + c] = domain.has_value() ? static_cast<float>(domain->center(c)) : 0.0f;
      }
    }
  }
  const MatrixView rows = {replaced.empty() ? records.data : replaced.data(), records.rows, records.columns};
  if (weights == nullptr) return parts_->design->Accumulate(rows, absl::MakeSpan(sums));
  // In units of 2^-20 of the bound; held to the bound here, whatever was checked before.
  const double bound = plan_.weights().bound();
  const double low = plan_.weights().allow_negative() ? -1 : 0;
  std::vector<int32_t> scales(rows.rows);
  for (size_t r = 0; r < rows.rows; ++r) {
    const double share = weights[r] / bound;
    scales[r] = std::isnan(share) ? 0 : static_cast<int32_t>(std::llrint(std::clamp(share, low, 1.0) * kGridUnit));
  }
  parts_->design->AccumulateWeighted(rows, scales, absl::MakeSpan(sums));
}

absl::Status Accumulator::Merge(Accumulator&& other) {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  DPKDE_RETURN_IF_ERROR(other.CheckOpen());
  if (&other == this) return absl::InvalidArgumentError("an accumulator cannot be merged with itself");
  google::protobuf::util::MessageDifferencer differencer;
  std::string differences;
  differencer.ReportDifferencesToString(&differences);
  if (!differencer.Compare(plan_, other.plan_)) {
    return absl::InvalidArgumentError(absl::StrCat("accumulators of different plans cannot be merged: ",
                                                   std::string(absl::StripAsciiWhitespace(differences))));
  }
  DPKDE_RETURN_IF_ERROR(CheckCapacity(other.count_));
  std::vector<int64_t> total = other.Total();
  std::vector<int64_t>& sums = worker_sums_[0];
  sums.resize(total.size());
  for (size_t j = 0; j < sums.size(); ++j) sums[j] += total[j];
  Wipe(total);
  for (std::vector<int64_t>& part : other.worker_sums_) Wipe(part);
  count_ += other.count_;
  other.count_ = 0;
  other.open_ = false;
  return absl::OkStatus();
}

std::vector<int64_t> Accumulator::Total() const {
  std::vector<int64_t> total(parts_->design->num_coordinates());
  for (const std::vector<int64_t>& sums : worker_sums_) {
    for (size_t j = 0; j < sums.size(); ++j) total[j] += sums[j];
  }
  return total;
}

absl::StatusOr<Release> Accumulator::Privatize(BitSource& source) && {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  open_ = false;
  std::vector<int64_t> values = Total();
  for (std::vector<int64_t>& sums : worker_sums_) Wipe(sums);
  mechanism_.AddNoise(absl::MakeSpan(values), source);

  proto::Release message;
  *message.mutable_plan() = plan_;
  *message.mutable_certificate() = MakeReleaseCertificate(plan_, parts_->groups, mechanism_);
  *message.mutable_scales() = mechanism_.scales();
  message.mutable_values()->Add(values.begin(), values.end());
  return Release(std::move(message), parts_->similarity, parts_->domain, std::move(parts_->design),
                 std::move(mechanism_));
}

absl::StatusOr<proto::PlanningCount> ReleasePlanningCount(uint64_t count, double epsilon, BitSource& source) {
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
}

}  // namespace dpkde
