#ifndef DPKDE_SKETCH_VOTE_ACCUMULATOR_H_
#define DPKDE_SKETCH_VOTE_ACCUMULATOR_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/proto/histogram.pb.h"
#include "dpkde/sketch/histogram.h"
#include "dpkde/sketch/histogram_parts.h"
#include "dpkde/sketch/raw_sums.h"

namespace dpkde {

// Counts of the votes of private records for public items.
//
//   DPKDE_ASSIGN_OR_RETURN(VoteAccumulator accumulator, VoteAccumulator::Create(plan));
//   for (const std::vector<uint32_t>& votes : votes_of_records) DPKDE_RETURN_IF_ERROR(accumulator.Add(votes));
//   SystemBitSource source;
//   DPKDE_ASSIGN_OR_RETURN(Histogram histogram, std::move(accumulator).Privatize(source));
//
// Private data, as an Accumulator: no query, no serialised form, no copy; one Privatize, and what comes out of it is
// private as the plan says if a record's votes are a function of that record and of public values alone (NearestVotes
// in index/search: each record is searched by itself). Norms are checked here, whoever casts the votes: a record that
// votes for more items than the plan says, or twice for one, is refused (histogram_parts.h has the sensitivities).
//
// Counts are exact integers, so the result does not depend on order, batches or shards. Memory: 8 bytes an item. Not
// thread-safe.
class VoteAccumulator {
 public:
  // Plans are public, and a guarantee that cannot be met fails before data is read.
  static absl::StatusOr<VoteAccumulator> Create(const proto::HistogramPlan& plan);

  VoteAccumulator(VoteAccumulator&&) = default;
  VoteAccumulator& operator=(VoteAccumulator&&) = default;

  // Adds the votes of one record: at most plan().votes() different items, numbered as in the plan; none is allowed. On
  // an error nothing is added: kInvalidArgument (records counted from 0 over all calls); kResourceExhausted beyond the
  // plan's capacity; kFailedPrecondition after Privatize.
  absl::Status Add(absl::Span<const uint32_t> items);

  // Adds what `other` has seen. kInvalidArgument unless the plans are equal; then `other` is unchanged.
  absl::Status Merge(VoteAccumulator&& other);

  // Adds noise to every count, voted for or not, and returns the release; the accumulator is empty afterwards and
  // refuses everything. Private only if `source` is a SystemBitSource.
  absl::StatusOr<Histogram> Privatize(BitSource& source) &&;

  // Makes a release of no records and without noise, and reads it again, so that what no record decides fails before
  // anything is paid. Returns how many bytes the release will have. Touches no sums.
  absl::StatusOr<uint64_t> RehearseRelease() const;

  const proto::HistogramPlan& plan() const { return plan_; }
  // What Privatize will add.
  const Mechanism& mechanism() const { return mechanism_; }

 private:
  friend class RawSumsTestPeer;

  VoteAccumulator(const proto::HistogramPlan& plan, HistogramParts parts, Mechanism mechanism);

  // The release of these counts, noised or 0.
  proto::HistogramRelease MakeMessage(absl::Span<const int64_t> counts) const;

  proto::HistogramPlan plan_;
  HistogramParts parts_;
  Mechanism mechanism_;
  RawSums sums_;  // in grid units
};

}  // namespace dpkde

#endif  // DPKDE_SKETCH_VOTE_ACCUMULATOR_H_
