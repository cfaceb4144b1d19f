#include "dpkde/noise/uniform.h"

#include "dpkde/noise/fatal.h"

namespace dpkde {
namespace noise_internal {

uint64_t UniformSlow(uint64_t word, uint64_t n, BitSource& bits) {
  if (n == 0) Fatal("Uniform: n must be at least 1");
  const uint64_t rejected = (uint64_t{0} - n) % n;  // 2^64 mod n
  unsigned __int128 product = static_cast<unsigned __int128>(word) * n;
  while (static_cast<uint64_t>(product) < rejected) product = static_cast<unsigned __int128>(bits.NextWord()) * n;
  return static_cast<uint64_t>(product >> 64);
}

}  // namespace noise_internal
}  // namespace dpkde
