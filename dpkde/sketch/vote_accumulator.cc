#include "dpkde/sketch/vote_accumulator.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/wipe.h"
#include "dpkde/designs/design.h"
#include "dpkde/sketch/certificate.h"

namespace dpkde {

absl::StatusOr<VoteAccumulator> VoteAccumulator::Create(const proto::HistogramPlan& plan) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(HistogramParts parts, BuildHistogramPlan(plan));
  DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism, Mechanism::Calibrate(plan.mechanism(), parts.groups, parts.privacy));
  return VoteAccumulator(plan, std::move(parts), std::move(mechanism));
} catch (...) {
  return StatusOfException();
}

VoteAccumulator::VoteAccumulator(const proto::HistogramPlan& plan, HistogramParts parts, Mechanism mechanism)
    : plan_(plan),
      parts_(std::move(parts)),
      mechanism_(std::move(mechanism)),
      sums_(plan.item_size(), plan.capacity(), 1) {}

absl::Status VoteAccumulator::Add(absl::Span<const uint32_t> items) try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(sums_.CheckOpen());
  const auto refuse = [&](const auto&... parts) {
    return RecordError(absl::StatusCode::kInvalidArgument,
                       absl::StrCat("votes of record ", sums_.records(), " (counting from 0)"),
                       absl::StrCat("must be ", parts...));
  };
  if (items.size() > plan_.votes()) {
    return refuse("at most ", plan_.votes());
  }
  PrivateVector<uint32_t> sorted(items.begin(), items.end());
  std::sort(sorted.begin(), sorted.end());
  const absl::Span<int64_t> counts = sums_.OfWorker(0);
  if (!sorted.empty() && sorted.back() >= counts.size()) {
    return refuse("below ", counts.size());
  }
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return refuse("for different items");
  }
  DPKDE_RETURN_IF_ERROR(sums_.CheckCapacity(1));
  for (const uint32_t item : sorted) counts[item] += kGridUnit;
  sums_.Count(1);
  return absl::OkStatus();
} catch (...) {
  return StatusOfException();
}

absl::Status VoteAccumulator::Merge(VoteAccumulator&& other) try {
  const DefaultFloatEnvironment environment;
  return sums_.Merge(std::move(other.sums_), plan_, other.plan_);
} catch (...) {
  return StatusOfException();
}

absl::StatusOr<Histogram> VoteAccumulator::Privatize(BitSource& source) && try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(sums_.CheckOpen());
  PrivateVector<int64_t> values = sums_.Take();
  mechanism_.AddNoise(absl::MakeSpan(values), source);
  proto::HistogramRelease message = MakeMessage(values);  // while the mechanism is here
  return Histogram(std::move(message), std::move(mechanism_));
} catch (...) {
  return StatusOfException();
}

proto::HistogramRelease VoteAccumulator::MakeMessage(absl::Span<const int64_t> counts) const {
  proto::HistogramRelease message;
  *message.mutable_plan() = plan_;
  *message.mutable_certificate() = MakeCertificate(plan_.privacy(), 0, parts_.groups, mechanism_);
  *message.mutable_scales() = mechanism_.scales();
  message.mutable_count()->Add(counts.begin(), counts.end());
  return message;
}

absl::StatusOr<uint64_t> VoteAccumulator::RehearseRelease() const try {
  const DefaultFloatEnvironment environment;
  const std::string bytes = Histogram::Seal(MakeMessage(std::vector<int64_t>(plan_.item_size())));
  DPKDE_RETURN_IF_ERROR(Histogram::Deserialize(bytes).status());
  return bytes.size();
} catch (...) {
  return StatusOfException();
}

}  // namespace dpkde
