#include "dpkde/similarity/domain.h"

#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"

namespace dpkde {

absl::StatusOr<Domain> Domain::Box(std::vector<double> lower, std::vector<double> upper) {
  if (lower.empty()) return absl::InvalidArgumentError("domain must have at least one coordinate");
  if (lower.size() != upper.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("domain must have as many lower as upper bounds, but has ", lower.size(), " and ", upper.size()));
  }
  std::vector<float> low, high;
  for (size_t i = 0; i < lower.size(); ++i) {
    low.push_back(static_cast<float>(lower[i]));
    high.push_back(static_cast<float>(upper[i]));
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", low[i]));
    DPKDE_RETURN_IF_ERROR(CheckFinite("domain bound in float32", high[i]));
    if (!(low[i] < high[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("domain must have lower bounds below upper bounds, but coordinate ", i, " has ", lower[i],
                       " and ", upper[i]));
    }
  }
  return Domain(std::move(low), std::move(high));
}

absl::StatusOr<Domain> Domain::FromProto(const proto::DomainSpec& spec) {
  return Box({spec.lower().begin(), spec.lower().end()}, {spec.upper().begin(), spec.upper().end()});
}

proto::DomainSpec Domain::ToProto() const {
  proto::DomainSpec spec;
  spec.mutable_lower()->Add(lower_.begin(), lower_.end());
  spec.mutable_upper()->Add(upper_.begin(), upper_.end());
  return spec;
}

double Domain::Diameter() const {
  double sum = 0;
  for (size_t i = 0; i < dimension(); ++i) sum += width(i) * width(i);
  return std::sqrt(sum);
}

void Domain::Clamp(const float* x, float* out) const {
  for (size_t i = 0; i < lower_.size(); ++i) {
    const float raised = x[i] > lower_[i] ? x[i] : lower_[i];  // NaN compares false
    out[i] = raised < upper_[i] ? raised : upper_[i];
  }
}

bool Domain::Contains(absl::Span<const float> x) const {
  for (size_t i = 0; i < lower_.size(); ++i) {
    if (!(x[i] >= lower_[i] && x[i] <= upper_[i])) return false;
  }
  return true;
}

std::string Domain::DebugString() const {
  std::string text;
  for (size_t i = 0; i < dimension(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : " x ", "[", lower_[i], ", ", upper_[i], "]");
  }
  return text;
}

}  // namespace dpkde
