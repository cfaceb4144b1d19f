#ifndef DPKDE_SKETCH_HISTOGRAM_H_
#define DPKDE_SKETCH_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "dpkde/noise/mechanism.h"
#include "dpkde/proto/histogram.pb.h"

namespace dpkde {

// How many private records voted for each of a public list of items, with noise in every count.
//
//   DPKDE_ASSIGN_OR_RETURN(Histogram histogram, Histogram::Deserialize(bytes));
//   for (uint32_t i : histogram.Above(histogram.threshold())) Use(histogram.item(i), histogram.count(i));
//   DPKDE_ASSIGN_OR_RETURN(std::vector<uint32_t> synthetic, histogram.Draw(1000, histogram.threshold(), /*seed=*/7));
//
// Made by VoteAccumulator::Privatize or from a file; there is no other way, and none back. Everything it offers is
// post-processing: it costs no privacy, and equal questions get equal answers for ever.
//
// Without a threshold, most of what is above 0 among many items is noise: of M counts that nobody voted for, half are.
// Choose one from public values, such as std_error() * sqrt(2 log M), above which less than one of them is expected.
//
// Immutable; thread-safe. Movable.
class Histogram {
 public:
  // Loading is building: the same checks as for a new release, and the noise scale must guarantee what the certificate
  // states. kDataLoss for damaged or foreign bytes, kFailedPrecondition for another version.
  static absl::StatusOr<Histogram> Deserialize(absl::string_view bytes);

  // Whether the bytes begin like a histogram, damaged or not.
  static bool IsHistogram(absl::string_view bytes);

  // Equal histograms give equal bytes.
  std::string Serialize() const;

  size_t size() const { return message_.plan().item_size(); }
  const std::string& item(size_t i) const { return message_.plan().item(static_cast<int>(i)); }

  // Unbiased, for i < size(); may be negative, and is no integer.
  double count(size_t i) const;
  // Of every count, exactly known.
  double std_error() const;

  // Of the plan.
  double threshold() const { return message_.plan().threshold(); }

  // The items whose noised count is above the threshold, the largest first, equal ones in their order.
  std::vector<uint32_t> Above(double threshold) const;

  // `draws` items, independent, with probabilities in proportion to max(count - threshold, 0) (Lin et al. 2024,
  // Algorithm 2): a synthetic dataset. The same seed gives the same items on every machine; it has nothing to do with
  // noise. kInvalidArgument if no count is above the threshold, or it is not finite.
  absl::StatusOr<std::vector<uint32_t>> Draw(size_t draws, double threshold, uint64_t public_seed) const;

  const proto::HistogramPlan& plan() const { return message_.plan(); }
  const proto::Certificate& certificate() const { return message_.certificate(); }
  // Without items and counts.
  proto::HistogramRelease Outline() const;

  // The certificate and the plan in words, for a terminal.
  std::string DebugString() const;

  static constexpr uint32_t kVersion = 1;

 private:
  friend class VoteAccumulator;

  // The bytes of the file.
  static std::string Seal(const proto::HistogramRelease& message);

  static absl::StatusOr<Histogram> FromProto(proto::HistogramRelease message);
  Histogram(proto::HistogramRelease message, Mechanism mechanism);

  proto::HistogramRelease message_;
  Mechanism mechanism_;
};

}  // namespace dpkde

#endif  // DPKDE_SKETCH_HISTOGRAM_H_
