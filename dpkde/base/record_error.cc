#include "dpkde/base/record_error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace dpkde {
namespace {

constexpr char kForEverybody[] = "dpkde/for_everybody";

}  // namespace

absl::Status RecordError(absl::StatusCode code, absl::string_view place, absl::string_view problem) {
  return CountError(code, absl::StrCat(place, ": ", problem), absl::StrCat("a record: ", problem));
}

absl::Status CountError(absl::StatusCode code, absl::string_view message, absl::string_view for_everybody) {
  absl::Status status(code, message);
  status.SetPayload(kForEverybody, absl::Cord(for_everybody));
  return status;
}

absl::Status Named(absl::string_view name, const absl::Status& status) {
  if (status.ok()) return status;
  absl::Status named(status.code(), absl::StrCat(name, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { named.SetPayload(url, payload); });
  if (HidesPlace(status)) {
    named.SetPayload(kForEverybody, absl::Cord(absl::StrCat(name, ": ", MessageForEverybody(status))));
  }
  return named;
}

absl::Status AboutPublicFile(absl::Status status) {
  status.ErasePayload(kForEverybody);
  return status;
}

bool HidesPlace(const absl::Status& status) { return status.GetPayload(kForEverybody).has_value(); }

std::string MessageForEverybody(const absl::Status& status) {
  const auto text = status.GetPayload(kForEverybody);
  return text.has_value() ? std::string(*text) : std::string(status.message());
}

}  // namespace dpkde
