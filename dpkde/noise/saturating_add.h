#ifndef DPKDE_NOISE_SATURATING_ADD_H_
#define DPKDE_NOISE_SATURATING_ADD_H_

#include <cstdint>
#include <limits>

#include "absl/numeric/int128.h"

namespace dpkde {

// value + noise, computed in 128 bits and clamped to int64; |noise| <= 2^126 + 2^63, as of this room's samplers. The
// clamp is a function of the noised value: post-processing, no privacy effect. (A wrap would be post-processing too,
// but of no use; an overflow of int64 would be undefined.)
inline int64_t SaturatingAdd(int64_t value, absl::int128 noise) {
  const absl::int128 sum = noise + value;
  if (sum > std::numeric_limits<int64_t>::max()) return std::numeric_limits<int64_t>::max();
  if (sum < std::numeric_limits<int64_t>::min()) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(sum);
}

}  // namespace dpkde

#endif  // DPKDE_NOISE_SATURATING_ADD_H_
