#include "dpkde/sketch/histogram.h"

#include <algorithm>
#include <boost/random/uniform_01.hpp>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/designs/design.h"
#include "dpkde/designs/public_random.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/parse_message.h"
#include "dpkde/sketch/certificate.h"
#include "dpkde/sketch/histogram_parts.h"

namespace dpkde {
namespace {

constexpr char kEnvelopeKind[] = "votes";

}  // namespace

Histogram::Histogram(proto::HistogramRelease message, Mechanism mechanism)
    : message_(std::move(message)), mechanism_(std::move(mechanism)) {}

absl::StatusOr<Histogram> Histogram::FromProto(proto::HistogramRelease message) {
  const proto::HistogramPlan& plan = message.plan();
  if (message.count_size() != plan.item_size()) return absl::InvalidArgumentError("counts do not fit the items");
  DPKDE_ASSIGN_OR_RETURN(HistogramParts parts, BuildHistogramPlan(plan));
  DPKDE_ASSIGN_OR_RETURN(Mechanism mechanism,
                         Mechanism::FromScales(plan.mechanism(), parts.groups, message.scales(), parts.privacy));
  DPKDE_RETURN_IF_ERROR(
      CheckCertificate(message.certificate(), MakeCertificate(plan.privacy(), 0, parts.groups, mechanism)));
  return Histogram(std::move(message), std::move(mechanism));
}

absl::StatusOr<Histogram> Histogram::Deserialize(absl::string_view bytes) try {
  const DefaultFloatEnvironment environment;
  DPKDE_ASSIGN_OR_RETURN(const Envelope envelope, OpenEnvelope(kEnvelopeKind, kVersion, bytes));
  proto::HistogramRelease message;
  if (!ParseMessage(envelope.payload, &message)) {
    return absl::DataLossError("is damaged: its content is not a histogram");
  }
  absl::StatusOr<Histogram> histogram = FromProto(std::move(message));
  if (histogram.ok()) return histogram;
  return absl::DataLossError(absl::StrCat("is not a valid histogram: ", std::string(histogram.status().message())));
} catch (...) {
  return StatusOfException();
}

bool Histogram::IsHistogram(absl::string_view bytes) { return IsEnvelope(kEnvelopeKind, bytes); }

std::string Histogram::Serialize() const { return Seal(message_); }

std::string Histogram::Seal(const proto::HistogramRelease& message) {
  return SealEnvelope(kEnvelopeKind, kVersion, message.SerializeAsString());
}

double Histogram::count(size_t i) const { return message_.count(static_cast<int>(i)) / static_cast<double>(kGridUnit); }

double Histogram::std_error() const { return std::sqrt(mechanism_.variances()[0]) / kGridUnit; }

std::vector<uint32_t> Histogram::Above(double threshold) const {
  std::vector<uint32_t> items;
  for (size_t i = 0; i < size(); ++i) {
    if (count(i) > threshold) items.push_back(static_cast<uint32_t>(i));
  }
  std::stable_sort(items.begin(), items.end(), [&](uint32_t a, uint32_t b) { return count(a) > count(b); });
  return items;
}

absl::StatusOr<std::vector<uint32_t>> Histogram::Draw(size_t draws, double threshold, uint64_t public_seed) const try {
  const DefaultFloatEnvironment environment;
  DPKDE_RETURN_IF_ERROR(CheckFinite("threshold", threshold));
  std::vector<double> sums(size());
  double total = 0;
  for (size_t i = 0; i < size(); ++i) sums[i] = total += std::max(count(i) - threshold, 0.0);
  if (!(total > 0)) {
    return absl::InvalidArgumentError(absl::StrCat("no noised count is above the threshold, ", threshold));
  }
  auto engine = PublicStream(public_seed, "histogram draw", 0);
  if (!std::isfinite(total)) return absl::InvalidArgumentError(absl::StrCat("the threshold is too low: ", threshold));
  boost::random::uniform_01<double> uniform;
  std::vector<uint32_t> items(draws);
  for (uint32_t& item : items) {
    // The first sum above it: of an item with a weight. Rounding may give `total` itself, which is the last such.
    const double place = std::min(uniform(engine) * total, std::nextafter(total, 0.0));
    item = static_cast<uint32_t>(std::upper_bound(sums.begin(), sums.end(), place) - sums.begin());
  }
  return items;
} catch (...) {
  return StatusOfException();
}

proto::HistogramRelease Histogram::Outline() const {
  proto::HistogramRelease outline;
  proto::HistogramPlan& outlined = *outline.mutable_plan();
  outlined.set_votes(plan().votes());
  outlined.set_collection(plan().collection());
  outlined.set_mechanism(plan().mechanism());
  *outlined.mutable_privacy() = plan().privacy();
  outlined.set_capacity(plan().capacity());
  *outlined.mutable_asserted_public() = plan().asserted_public();
  outlined.set_ledger_dataset(plan().ledger_dataset());
  outlined.set_ledger_token(plan().ledger_token());
  outlined.set_threshold(plan().threshold());
  *outline.mutable_certificate() = certificate();
  *outline.mutable_scales() = message_.scales();
  return outline;
}

std::string Histogram::DebugString() const {
  std::string text;
  const auto line = [&](absl::string_view name, const auto&... parts) {
    text += DescribeLine(name, absl::StrCat(parts...));
  };
  line("histogram", "nearest-neighbour votes of private records");
  line("items", size(), " (public), in the clear in this file");
  line("votes", plan().votes(), " distinct items a record");
  line("collection", plan().collection().empty() ? "not stated" : absl::BytesToHexString(plan().collection()));
  text += DescribeCertificate(certificate());
  line("counts", "+- ", std_error(), " each, noised whether anybody voted or not");
  line("threshold", threshold(), ": ", Above(threshold()).size(), " noised counts are above it");
  return text + DescribeOrigin(plan().ledger_dataset(),
                               {plan().asserted_public().begin(), plan().asserted_public().end()}, certificate(),
                               kVersion);
}

}  // namespace dpkde
