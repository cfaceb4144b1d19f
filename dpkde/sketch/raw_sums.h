#ifndef DPKDE_SKETCH_RAW_SUMS_H_
#define DPKDE_SKETCH_RAW_SUMS_H_

#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "dpkde/base/wipe.h"

namespace dpkde {

// What every accumulator holds: integer sums over private records, how many records there were, and whether they may
// still be added to.
//
//   RawSums sums(coordinates, plan.capacity(), pool.threads());
//   DPKDE_RETURN_IF_ERROR(sums.CheckOpen());
//   DPKDE_RETURN_IF_ERROR(sums.CheckCapacity(rows));
//   pool.ParallelFor(rows, grain, [&](size_t begin, size_t end, int worker) { ... sums.OfWorker(worker)[j] += q; });
//   sums.Count(rows);
//   PrivateVector<int64_t> values = sums.Take();  // for the mechanism, once
//
// Private data, for accumulators alone: no copy and no query. The sums leave by Take, and memory that held them is
// wiped before it is freed, whatever frees it.
//
// Each worker adds to its own sums, and integers add up in any order to the same bits. They cannot overflow if
// `capacity` records at the most that one adds to a coordinate stay below 2^63 (plans allow 2^40 records of 2^20
// units): the owner calls CheckCapacity before it adds.
//
// Memory: 8 bytes a coordinate for each worker that has added something. Not thread-safe, but for OfWorker of different
// workers.
class RawSums {
 public:
  // `size` coordinates; `workers` >= 1.
  RawSums(size_t size, uint64_t capacity, int workers) : size_(size), capacity_(capacity), of_worker_(workers) {}

  // What is moved from is closed.
  RawSums(RawSums&& other);
  RawSums& operator=(RawSums&& other);

  // kFailedPrecondition once the sums have been taken, merged or moved away.
  absl::Status CheckOpen() const;

  // kResourceExhausted if with `more` there would be more records than `capacity`.
  absl::Status CheckCapacity(uint64_t more) const;

  // The sums that `worker`, below `workers`, adds to, `size` of them. While open.
  absl::Span<int64_t> OfWorker(int worker);

  // Wipes and closes: for when some records of a batch have been added, and others could not be. Added again, the first
  // would count twice, which no sensitivity allows for.
  void Abandon();

  // Counts records that have been added.
  void Count(uint64_t more) { records_ += more; }
  uint64_t records() const { return records_; }

  // Adds and closes `other`. On an error both stay as they are: kFailedPrecondition unless both are open;
  // kInvalidArgument for itself, and unless the plans are equal, naming the first field that is not;
  // kResourceExhausted beyond the capacity.
  absl::Status Merge(RawSums&& other, const google::protobuf::Message& plan,
                     const google::protobuf::Message& other_plan);

  // The sums over all workers, `size` values; closes. While open.
  PrivateVector<int64_t> Take();

 private:
  friend class RawSumsTestPeer;

  // Adds `part` to `sums`, and frees it.
  static void AddTo(absl::Span<int64_t> sums, PrivateVector<int64_t>& part);

  size_t size_;
  uint64_t capacity_;
  uint64_t records_ = 0;
  std::vector<PrivateVector<int64_t>> of_worker_;  // each empty until its worker has something to add
  bool open_ = true;
};

}  // namespace dpkde

#endif  // DPKDE_SKETCH_RAW_SUMS_H_
