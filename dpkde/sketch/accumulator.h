#ifndef DPKDE_SKETCH_ACCUMULATOR_H_
#define DPKDE_SKETCH_ACCUMULATOR_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/proto/density.pb.h"
#include "dpkde/sketch/raw_sums.h"
#include "dpkde/sketch/release.h"
#include "dpkde/sketch/release_parts.h"

namespace dpkde {

// Sums of a design's features over private records.
//
//   DPKDE_ASSIGN_OR_RETURN(Accumulator accumulator, Accumulator::Create(plan, Accumulator::BadRecords::kFail, pool));
//   DPKDE_RETURN_IF_ERROR(accumulator.Add(batch));                      // any number of times
//   DPKDE_RETURN_IF_ERROR(accumulator.Merge(std::move(other_shard)));   // of an equal plan
//   SystemBitSource source;
//   DPKDE_ASSIGN_OR_RETURN(Release release, std::move(accumulator).Privatize(source));
//
// Private data: it has no query, no serialised form and no copy, and the only thing that comes out is the Release of
// one Privatize, which is (epsilon, delta)-differentially private as the plan's privacy says: the sums are integers,
// each record's part is a function of that record alone and within the design's sensitivities, and the mechanism's
// noise is calibrated to those.
//
// Sums are exact, so the result does not depend on order, batches, threads or shards: bit for bit. Memory: 8 bytes a
// coordinate a thread, whatever the number of records. Time: see the designs.
//
// Not thread-safe; Add itself uses all threads of the pool.
class Accumulator {
 public:
  // What to do with a record that has a value that is not finite.
  enum class BadRecords {
    kFail,     // refuse the batch, naming row and column
    kReplace,  // count it as a record at the centre of the domain (or the origin): a fixed public vector
  };

  // Plans are public: nothing in them may depend on the records. The mechanism is calibrated here, so that a guarantee
  // that cannot be met fails before data is read. A capacity that might overflow the design's sums is lowered. `pool`
  // must outlive the accumulator.
  static absl::StatusOr<Accumulator> Create(const proto::ReleasePlan& plan, BadRecords bad_records, ThreadPool& pool);

  Accumulator(Accumulator&&) = default;
  Accumulator& operator=(Accumulator&&) = default;

  // Adds n x dimension records, with coordinates as the user has them: the plan's origin, if it has one, is subtracted
  // here, in double. Coordinates that float32 cannot tell apart as they stand are lost before that: read or convert
  // them relative to the origin (VectorReaderOptions::origin, SubtractOrigin) and add CenteredRows. On an error nothing is added: kInvalidArgument for another number of columns or a bad
  // record (rows counted from 0 over all batches); kResourceExhausted beyond the plan's capacity; kFailedPrecondition
  // after Privatize.
  absl::Status Add(MatrixView records);
  // Adds records from which the plan's origin has been subtracted already.
  absl::Status Add(CenteredRows records);

  // The same for a plan with weights, one a record, as the plan allows them (compared in float32): any other is a bad
  // record, and where those are replaced, one that is no number counts as 0 and one out of range as the bound. Weights
  // are rounded to 2^-20 of the bound.
  absl::Status Add(MatrixView records, absl::Span<const float> weights);
  absl::Status Add(CenteredRows records, absl::Span<const float> weights);

  // Adds what `other` has seen. kInvalidArgument, naming the field, unless the plans are equal; then `other` is
  // unchanged.
  absl::Status Merge(Accumulator&& other);

  // Adds noise and returns the release; the accumulator is empty afterwards and refuses everything. Noise is drawn from
  // `source`: private only if that is a SystemBitSource.
  absl::StatusOr<Release> Privatize(BitSource& source) &&;

  // Makes a release of no records and without noise, and reads it again, so that what no record decides fails before
  // anything is paid. Returns how many bytes the release will have. Touches no sums.
  absl::StatusOr<uint64_t> RehearseRelease() const;

  const proto::ReleasePlan& plan() const { return plan_; }
  // What Privatize will add.
  const Mechanism& mechanism() const { return mechanism_; }

 private:
  friend class RawSumsTestPeer;

  Accumulator(proto::ReleasePlan plan, PlanParts parts, Mechanism mechanism, BadRecords bad_records, ThreadPool& pool);

  // The release of these sums, noised or 0.
  proto::Release MakeMessage(absl::Span<const int64_t> values) const;
  absl::Status CheckWeights(absl::Span<const float> weights) const;
  absl::Status CheckRecords(MatrixView records) const;
  absl::Status AddAll(MatrixView records, const float* weights);
  void AddChunk(MatrixView records, const float* weights, absl::Span<int64_t> sums) const;

  proto::ReleasePlan plan_;
  PlanParts parts_;
  Mechanism mechanism_;
  BadRecords bad_records_;
  ThreadPool* pool_;
  RawSums sums_;
};

// Releases how many records there are, before a plan is made, from a small share of the budget: `count` plus exact
// discrete Laplace noise of scale ceil(1 / epsilon), epsilon-differentially private under ADD_REMOVE, where one record
// changes the count by one. Saturates. kInvalidArgument unless epsilon is finite, positive and at least 2^-50.
absl::StatusOr<proto::PlanningCount> ReleasePlanningCount(uint64_t count, double epsilon, BitSource& source);

}  // namespace dpkde

#endif  // DPKDE_SKETCH_ACCUMULATOR_H_
