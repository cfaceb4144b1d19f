#include "dpkde/noise/discrete_laplace.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/noise/bernoulli.h"
#include "dpkde/noise/saturating_add.h"
#include "dpkde/noise/uniform.h"

namespace dpkde {

absl::Status CheckNoiseScale(absl::string_view name, uint64_t value) {
  if (1 <= value && value <= kMaxNoiseScale) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be at least 1 and at most ", kMaxNoiseScale, ", but is ", value));
}

absl::StatusOr<DiscreteLaplace> DiscreteLaplace::Create(uint64_t scale) {
  DPKDE_RETURN_IF_ERROR(CheckNoiseScale("scale", scale));
  return DiscreteLaplace(scale);
}

// Algorithm 2 of Canonne, Kamath, Steinke 2020 for an integer scale. The accepted remainder r has P(r) ∝ exp(−r/scale)
// on {0, .., scale−1}; the quotient v, a count of heads of Bernoulli(exp(−1)), has P(v) ∝ exp(−v). They are
// independent, so their magnitude x = v·scale + r has P(x) ∝ exp(−v − r/scale) = exp(−x/scale), on all x >= 0 once
// each. An independent sign makes every z but 0 half as likely as its magnitude; 0 comes with two signs, and one is
// drawn again.
//
// Differences from the paper: sign and remainder share the word of one uniform on {0, .., 2·scale−1} (its lowest bit
// and the rest are independent and uniform because 2·scale is even), and r = 0 is accepted without a toss.
DiscreteLaplace::Parts DiscreteLaplace::SampleParts(BitSource& bits) const {
  while (true) {
    const uint64_t uniform = Uniform(2 * scale_, bits);  // 2·scale <= 2^63
    const bool negative = uniform % 2 == 1;
    const uint64_t remainder = uniform / 2;
    if (!BernoulliExpMinusFraction(remainder, scale_, bits)) continue;
    uint64_t quotient = 0;  // does not wrap: that takes 2^64 heads in a row
    while (BernoulliExpMinusOne(bits)) ++quotient;
    if (negative && remainder == 0 && quotient == 0) continue;
    return {negative, quotient, remainder};
  }
}

absl::int128 DiscreteLaplace::Sample(BitSource& bits) const {
  const Parts parts = SampleParts(bits);
  const absl::int128 magnitude = absl::int128(parts.quotient) * scale_ + parts.remainder;
  return parts.negative ? -magnitude : magnitude;
}

void DiscreteLaplace::AddTo(absl::Span<int64_t> values, BitSource& bits) const {
  for (int64_t& value : values) value = SaturatingAdd(value, Sample(bits));
}

double DiscreteLaplace::Variance() const {
  const double sinh = std::sinh(0.5 / static_cast<double>(scale_));
  return 0.5 / (sinh * sinh);
}

}  // namespace dpkde
