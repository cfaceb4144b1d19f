#ifndef DPKDE_DESIGNS_PUBLIC_RANDOM_H_
#define DPKDE_DESIGNS_PUBLIC_RANDOM_H_

#include <boost/random/mersenne_twister.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace dpkde {

// Version of the scheme below; part of every file whose content depends on it.
inline constexpr uint32_t kPublicRandomScheme = 1;

// The engine of public randomness (frequencies): a stream of its own for each (seed, purpose, index), so that no two
// uses share numbers and feature k is the same whatever the number of features. Seeded through SHA-256; adjacent seeds
// or indices have nothing in common.
//
// Boost.Random's distributions give one stream on every platform (std:: ones do not) when compiled with
// -ffp-contract=off; what is left of a libm's last bit disappears when results are rounded to float32.
//
// Public: it decides which features are used, never the noise. Noise comes from dpkde/noise.
boost::random::mt19937_64 PublicStream(uint64_t seed, absl::string_view purpose, uint64_t index);

// The same streams, one after the other: seeds many at a time, side by side, which makes one 6 times cheaper (1 us
// against 5.6, most of which seed_seq takes).
//
//   PublicStreams streams(seed, "frequencies");
//   for (size_t k = 0; k < m; ++k) boost::random::mt19937_64 engine = streams.At(k);   // PublicStream(.., k)
//
// Not thread-safe.
class PublicStreams {
 public:
  PublicStreams(uint64_t seed, absl::string_view purpose) : seed_(seed), purpose_(purpose) {}

  // Fast where most indices follow the one before.
  boost::random::mt19937_64 At(uint64_t index);

 private:
  static constexpr size_t kLanes = 16;
  static constexpr size_t kStateWords = 2 * boost::random::mt19937_64::state_size;

  void SeedFrom(uint64_t first);

  uint64_t seed_;
  std::string purpose_;
  uint64_t first_ = 0;
  std::vector<uint32_t> words_;  // kStateWords x kLanes: what seed_seq generates for streams first_, ..; empty at first
};

// Of what a file says of the draws that it goes with; `what` they are ("frequencies"). kFailedPrecondition for a scheme
// that is not this program's (0: nothing was drawn yet).
absl::Status CheckPublicRandomScheme(absl::string_view what, uint32_t scheme_version);
// kFailedPrecondition if the file has a fingerprint, and it is not that of what was drawn here.
absl::Status CheckFingerprint(absl::string_view what, absl::string_view of_file, absl::string_view drawn);

}  // namespace dpkde

#endif  // DPKDE_DESIGNS_PUBLIC_RANDOM_H_
