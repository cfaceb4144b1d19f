#include "dpkde/sketch/vote_accumulator.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/design.h"
#include "dpkde/sketch/certificate.h"

namespace dpkde {

absl::StatusOr<VoteAccumulator> VoteAccumulator::Create(const proto::HistogramPlan& plan) {
  DPKDE_ASSIGN_OR_RETURN(HistogramParts parts, BuildHistogramPlan(plan));
  DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism, Mechanism::Calibrate(plan.mechanism(), parts.groups, parts.privacy));
  return VoteAccumulator(plan, std::move(parts), std::move(mechanism));
}

VoteAccumulator::VoteAccumulator(const proto::HistogramPlan& plan, HistogramParts parts, Mechanism mechanism)
    : plan_(plan), parts_(std::move(parts)), mechanism_(std::move(mechanism)), counts_(plan.item_size()) {}

VoteAccumulator::~VoteAccumulator() { Wipe(counts_); }

absl::Status VoteAccumulator::CheckOpen() const {
  if (open_ && !counts_.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the accumulator has been released or merged; one accumulator gives one release");
}

absl::Status VoteAccumulator::Add(absl::Span<const uint32_t> items) {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  const auto refuse = [&](const auto&... parts) {
    return absl::InvalidArgumentError(absl::StrCat("votes of record ", records_, " (counting from 0): ", parts...));
  };
  if (items.size() > plan_.votes()) {
    return refuse("must be at most ", plan_.votes(), ", but are ", items.size());
  }
  sorted_.assign(items.begin(), items.end());
  std::sort(sorted_.begin(), sorted_.end());
  if (!sorted_.empty() && sorted_.back() >= counts_.size()) {
    return refuse("must be below ", counts_.size(), ", but one is ", sorted_.back());
  }
  if (std::adjacent_find(sorted_.begin(), sorted_.end()) != sorted_.end()) {
    return refuse("must be for different items");
  }
  if (records_ >= plan_.capacity()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the accumulator would exceed its capacity of ", plan_.capacity(), " records"));
  }
  for (const uint32_t item : sorted_) counts_[item] += kGridUnit;
  ++records_;
  return absl::OkStatus();
}

absl::Status VoteAccumulator::Merge(VoteAccumulator&& other) {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  DPKDE_RETURN_IF_ERROR(other.CheckOpen());
  if (&other == this) return absl::InvalidArgumentError("an accumulator cannot be merged with itself");
  if (!google::protobuf::util::MessageDifferencer::Equals(plan_, other.plan_)) {
    return absl::InvalidArgumentError("accumulators of different plans cannot be merged");
  }
  if (other.records_ > plan_.capacity() || records_ > plan_.capacity() - other.records_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the accumulator would exceed its capacity of ", plan_.capacity(), " records"));
  }
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  records_ += other.records_;
  other.records_ = 0;
  other.open_ = false;
  Wipe(other.counts_);
  return absl::OkStatus();
}

absl::StatusOr<Histogram> VoteAccumulator::Privatize(BitSource& source) && {
  DPKDE_RETURN_IF_ERROR(CheckOpen());
  open_ = false;
  mechanism_.AddNoise(absl::MakeSpan(counts_), source);
  proto::HistogramRelease message;
  *message.mutable_plan() = plan_;
  *message.mutable_certificate() = MakeCertificate(plan_.privacy(), 0, parts_.groups, mechanism_);
  *message.mutable_scales() = mechanism_.scales();
  message.mutable_count()->Add(counts_.begin(), counts_.end());
  return Histogram(std::move(message), std::move(mechanism_));
}

}  // namespace dpkde
