#include "dpkde/designs/public_random.h"

#include <boost/random/seed_seq.hpp>

#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"

namespace dpkde {

boost::random::mt19937_64 PublicStream(uint64_t seed, absl::string_view purpose, uint64_t index) {
  const Sha256Digest digest =
      Sha256(absl::StrCat("dpkde public randomness ", kPublicRandomScheme, "/", purpose, "/", seed, "/", index));
  // seed_seq takes 32-bit words; they are composed byte by byte, so that byte order plays no role.
  uint32_t words[8];
  for (int i = 0; i < 8; ++i) {
    words[i] = digest[4 * i] | digest[4 * i + 1] << 8 | digest[4 * i + 2] << 16 |
               static_cast<uint32_t>(digest[4 * i + 3]) << 24;
  }
  boost::random::seed_seq sequence(words, words + 8);
  return boost::random::mt19937_64(sequence);
}

absl::Status CheckPublicRandomScheme(absl::string_view what, uint32_t scheme_version) {
  if (scheme_version == 0 || scheme_version == kPublicRandomScheme) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(what, " are drawn by scheme ", scheme_version,
                                                    "; this program draws by scheme ", kPublicRandomScheme));
}

absl::Status CheckFingerprint(absl::string_view what, absl::string_view of_file, absl::string_view drawn) {
  if (of_file.empty() || of_file == drawn) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(what, " differ from those the file was made with: its fingerprint does not match on this machine"));
}

}  // namespace dpkde
