#include "dpkde/sketch/histogram_parts.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/design.h"

namespace dpkde {
namespace {

constexpr int64_t kMostItems = int64_t{1} << 27;
// A release must stay below protobuf's 2 GiB.
constexpr int64_t kMostNameBytes = int64_t{1} << 30;

// `changed` counts move by one vote each.
Sensitivity OfChangedCounts(uint64_t changed) {
  const uint64_t unit = kGridUnit;
  Sensitivity sensitivity;
  sensitivity.l1 = changed * unit;
  // The smallest integer whose square is at least changed * unit^2.
  using Wide = unsigned __int128;
  uint64_t l2 = static_cast<uint64_t>(std::sqrt(static_cast<double>(changed)) * unit);
  while (Wide{l2} * l2 < Wide{changed} * unit * unit) ++l2;
  sensitivity.l2 = l2;
  return sensitivity;
}

}  // namespace

std::vector<CoordinateGroup> VoteGroups(uint64_t items, uint64_t votes) {
  CoordinateGroup group;
  group.count = items;
  group.add_remove = OfChangedCounts(votes);
  group.replace = OfChangedCounts(std::min(2 * votes, items));
  group.mean_square_weight = 1;
  return {group};
}

absl::StatusOr<proto::Mechanism> ChooseVoteNoise(uint64_t items, uint64_t votes, const PrivacySpec& privacy) {
  const std::vector<CoordinateGroup> groups = VoteGroups(items, votes);
  const absl::StatusOr<Mechanism> laplace = Mechanism::Calibrate(proto::LAPLACE, groups, privacy);
  if (!privacy.allows_gaussian()) {
    DPKDE_RETURN_IF_ERROR(laplace.status());
    return proto::LAPLACE;
  }
  const absl::StatusOr<Mechanism> gaussian = Mechanism::Calibrate(proto::GAUSSIAN, groups, privacy);
  if (!gaussian.ok()) {
    DPKDE_RETURN_IF_ERROR(laplace.status());
    return proto::LAPLACE;
  }
  const bool is_smaller = !laplace.ok() || gaussian->variances()[0] < laplace->variances()[0];
  return is_smaller ? proto::GAUSSIAN : proto::LAPLACE;
}

absl::StatusOr<HistogramParts> BuildHistogramPlan(const proto::HistogramPlan& plan) {
  DPKDE_ASSIGN_OR_RETURN(PrivacySpec privacy, PrivacySpec::FromProto(plan.privacy()));
  DPKDE_RETURN_IF_ERROR(CheckInRange("number of items", plan.item_size(), 1, kMostItems));
  DPKDE_RETURN_IF_ERROR(CheckInRange("votes", plan.votes(), 1, plan.item_size()));
  DPKDE_RETURN_IF_ERROR(CheckInRange("capacity", plan.capacity(), 1, int64_t{1} << 40));
  DPKDE_RETURN_IF_ERROR(CheckFinite("threshold", plan.threshold()));
  if (plan.mechanism() != proto::LAPLACE && plan.mechanism() != proto::GAUSSIAN) {
    return absl::InvalidArgumentError("the mechanism of a histogram must be laplace or gaussian");
  }
  if (!plan.collection().empty() && plan.collection().size() != 32) {
    return absl::InvalidArgumentError("the collection's fingerprint must have 32 bytes");
  }
  std::unordered_set<absl::string_view, absl::Hash<absl::string_view>> names;
  names.reserve(plan.item_size());
  int64_t bytes = 0;
  for (const std::string& name : plan.item()) {
    bytes += static_cast<int64_t>(name.size());
    if (name.empty()) return absl::InvalidArgumentError("an item has no name");
    if (!names.insert(name).second) return absl::InvalidArgumentError(absl::StrCat("item '", name, "' comes twice"));
  }
  DPKDE_RETURN_IF_ERROR(CheckInRange("bytes of the items' names", bytes, 1, kMostNameBytes));
  return HistogramParts{privacy, VoteGroups(plan.item_size(), plan.votes())};
}

}  // namespace dpkde
