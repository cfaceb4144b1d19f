#ifndef DPKDE_CLASSIFIER_CLASSIFIER_H_
#define DPKDE_CLASSIFIER_CLASSIFIER_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/classifier/class_scorer.h"
#include "dpkde/classifier/classifier_parts.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/proto/classifier.pb.h"

namespace dpkde {

// Noised sums of the classes of a public label set, and the classification that follows from them.
//
//   DPKDE_ASSIGN_OR_RETURN(Classifier classifier, Classifier::Deserialize(bytes));
//   DPKDE_ASSIGN_OR_RETURN(std::vector<Prediction> predictions, classifier.Classify(queries, pool));
//   classifier.labels()[predictions[0].label]
//
// Made by ClassAccumulator::Privatize or from a file; there is no other way, and none back. Everything it offers is
// post-processing: any number of queries costs no privacy.
//
// How sums become scores: class_scorer.h. That is worked out at the first query; who builds or describes a classifier
// does not wait for it. Immutable; thread-safe. Movable.
class Classifier {
 public:
  // Loading is building: the same checks as for a new release, and the noise scales must guarantee what the certificate
  // states. kDataLoss for damaged or foreign bytes, kFailedPrecondition for another version or for random features that
  // this machine draws otherwise.
  static absl::StatusOr<Classifier> Deserialize(absl::string_view bytes);

  // Whether the bytes begin like a classifier, damaged or not.
  static bool IsClassifier(absl::string_view bytes);

  // Equal classifiers give equal bytes.
  std::string Serialize() const;

  // One prediction a query row; q x dimension(), finite, with coordinates as the user has them, or relative to origin()
  // (as Release::Estimate). A query outside of the domain is moved into it, as records
  // are. kInvalidArgument, naming row and column, otherwise. Threads do not change the results.
  absl::StatusOr<std::vector<Prediction>> Classify(MatrixView queries, ThreadPool& pool) const;
  absl::StatusOr<std::vector<Prediction>> Classify(CenteredRows queries, ThreadPool& pool) const;

  // The conditions of Classify alone; rows are numbered from `first_row` in messages.
  absl::Status CheckQueries(MatrixView queries, uint64_t first_row = 0) const;
  absl::Status CheckQueries(CenteredRows queries, uint64_t first_row = 0) const;

  const std::vector<std::string>& labels() const { return labels_; }
  size_t dimension() const { return plan().dimension(); }
  // What the domain is relative to; empty: nothing is subtracted from queries.
  absl::Span<const double> origin() const {
    return {plan().origin().data(), static_cast<size_t>(plan().origin_size())};
  }
  const proto::ClassifierPlan& plan() const { return message_.plan(); }
  const proto::Certificate& certificate() const { return message_.certificate(); }
  // Without the values.
  proto::ClassifierRelease Outline() const;

  // The certificate and the plan in words, for a terminal.
  std::string DebugString() const;

  // As Release::kVersion.
  static constexpr uint32_t kVersion = 2;

 private:
  friend class ClassAccumulator;
  friend class ClassifierTestPeer;

  // The bytes of the file.
  static std::string Seal(const proto::ClassifierRelease& message);

  static absl::StatusOr<Classifier> FromProto(proto::ClassifierRelease message);
  Classifier(proto::ClassifierRelease message, ClassifierParts parts, Mechanism mechanism);

  uint32_t version() const { return VersionOf(message_); }
  static uint32_t VersionOf(const proto::ClassifierRelease& message) { return message.plan().origin().empty() ? 1 : kVersion; }

  // Made at the first call.
  const ClassScorer& scorer() const;

  proto::ClassifierRelease message_;
  std::unique_ptr<ClassifierParts> parts_;
  Mechanism mechanism_;
  std::vector<std::string> labels_;
  struct Scorer {
    std::once_flag once;
    absl::optional<ClassScorer> made;
  };
  std::unique_ptr<Scorer> scorer_;
};

}  // namespace dpkde

#endif  // DPKDE_CLASSIFIER_CLASSIFIER_H_
