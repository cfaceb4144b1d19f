#ifndef DPKDE_SKETCH_HISTOGRAM_PARTS_H_
#define DPKDE_SKETCH_HISTOGRAM_PARTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/privacy/privacy_spec.h"
#include "dpkde/privacy/sensitivity.h"
#include "dpkde/proto/histogram.pb.h"

namespace dpkde {

// The one group of counts of `items` public items, each record voting for at most `votes` distinct ones; 1 <= votes <=
// items <= 2^27. In grid units (kGridUnit a vote):
//
// ADD_REMOVE: a record changes at most k = `votes` counts by one vote: L1 = k, L2 = sqrt(k).
// REPLACE: two sets of at most k items differ in at most m = min(2 k, items) of them, each by one vote: L1 = m,
// L2 = sqrt(m).
std::vector<CoordinateGroup> VoteGroups(uint64_t items, uint64_t votes);

// The admissible kind of noise, LAPLACE or GAUSSIAN, that gives a count the smaller variance; LAPLACE if they are
// equal. From public values. kInvalidArgument if none can meet `privacy`.
absl::StatusOr<proto::Mechanism> ChooseVoteNoise(uint64_t items, uint64_t votes, const PrivacySpec& privacy);

// A plan turned into what it describes, validated. Shared by what builds a histogram and what loads one.
struct HistogramParts {
  PrivacySpec privacy;
  std::vector<CoordinateGroup> groups;
};

// kInvalidArgument, naming the field, for a plan that is incomplete or out of range.
absl::StatusOr<HistogramParts> BuildHistogramPlan(const proto::HistogramPlan& plan);

}  // namespace dpkde

#endif  // DPKDE_SKETCH_HISTOGRAM_PARTS_H_
