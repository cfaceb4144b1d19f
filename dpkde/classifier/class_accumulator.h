#ifndef DPKDE_CLASSIFIER_CLASS_ACCUMULATOR_H_
#define DPKDE_CLASSIFIER_CLASS_ACCUMULATOR_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/classifier/classifier.h"
#include "dpkde/classifier/classifier_parts.h"
#include "dpkde/noise/bit_source.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/proto/classifier.pb.h"
#include "dpkde/sketch/raw_sums.h"

namespace dpkde {

// Sums of features, or of a design's coordinates, over private labelled records, class by class.
//
//   DPKDE_ASSIGN_OR_RETURN(ClassAccumulator accumulator,
//                          ClassAccumulator::Create(plan, ClassAccumulator::BadRecords::kFail, pool));
//   DPKDE_RETURN_IF_ERROR(accumulator.Add(batch, classes));               // any number of times
//   SystemBitSource source;
//   DPKDE_ASSIGN_OR_RETURN(Classifier classifier, std::move(accumulator).Privatize(source));
//
// Private data, as an Accumulator: no query, no serialised form, no copy; one Privatize, and what comes out of it is
// private as the plan says (classifier_parts.h has the proof). Sums are exact integers and each record's are pure, so
// the result does not depend on order, batches or threads: bit for bit.
//
// Memory: 8 bytes for each of C (m + 1) values (KERNEL: C times the design's coordinates), and m^2 / 2 of a second
// moment, a thread. Not thread-safe; Add itself uses all threads of the pool.
class ClassAccumulator {
 public:
  // What to do with a record that has a value that is not finite.
  enum class BadRecords {
    kFail,     // refuse the batch, naming row and column
    kReplace,  // count it as a record whose scaled form is 0 (KERNEL: at the centre of the design's domain)
  };

  // As Accumulator::Create: plans are public, and a guarantee that cannot be met fails before data is read.
  static absl::StatusOr<ClassAccumulator> Create(const proto::ClassifierPlan& plan, BadRecords bad_records,
                                                 ThreadPool& pool);

  ClassAccumulator(ClassAccumulator&&) = default;
  ClassAccumulator& operator=(ClassAccumulator&&) = default;

  // Adds n x dimension records, with coordinates as the user has them, or relative to the plan's origin (as
  // Accumulator::Add), classes[i] in [0, number of labels) that of row i. On an error nothing is added:
  // kInvalidArgument for another number of columns or classes, a class out of range or a bad record (rows counted from
  // 0 over all batches); kResourceExhausted beyond the plan's capacity; kFailedPrecondition after Privatize.
  absl::Status Add(MatrixView records, absl::Span<const uint32_t> classes);
  absl::Status Add(CenteredRows records, absl::Span<const uint32_t> classes);

  // Adds what `other` has seen. kInvalidArgument unless the plans are equal; then `other` is unchanged.
  absl::Status Merge(ClassAccumulator&& other);

  // Adds noise to every class, with records or not, and returns the release; the accumulator is empty afterwards and
  // refuses everything. Private only if `source` is a SystemBitSource.
  absl::StatusOr<Classifier> Privatize(BitSource& source) &&;

  // Makes a release of no records and without noise, and reads it again, so that what no record decides fails before
  // anything is paid. Returns how many bytes the release will have. Touches no sums.
  absl::StatusOr<uint64_t> RehearseRelease() const;

  const proto::ClassifierPlan& plan() const { return plan_; }
  // What Privatize will add to each view.
  const Mechanism& mechanism() const { return mechanism_; }
  // What that guarantees for the whole.
  NoiseGuarantee guarantee() const { return WholeGuarantee(mechanism_.guarantee(), parts_.privacy); }

 private:
  friend class RawSumsTestPeer;

  ClassAccumulator(proto::ClassifierPlan plan, ClassifierParts parts, Mechanism mechanism, BadRecords bad_records,
                   ThreadPool& pool);

  // The release, but for the sums.
  proto::ClassifierRelease MakeFrame() const;
  absl::Status CheckRecords(MatrixView records, absl::Span<const uint32_t> classes) const;
  void AddFeatures(MatrixView records, absl::Span<const uint32_t> classes);
  void AddKernels(MatrixView records, absl::Span<const uint32_t> classes);

  proto::ClassifierPlan plan_;
  ClassifierParts parts_;
  Mechanism mechanism_;
  BadRecords bad_records_;
  ThreadPool* pool_;
  RawSums sums_;  // one class after the other, parts_.class_size() values each; then the second moment
};

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_CLASS_ACCUMULATOR_H_
