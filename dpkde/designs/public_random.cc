#include "dpkde/designs/public_random.h"

#include <array>
#include <boost/random/seed_seq.hpp>

#include "absl/strings/str_cat.h"
#include "dpkde/base/sha256.h"

namespace dpkde {
namespace {

constexpr size_t kSeedWords = 8;

// seed_seq takes 32-bit words; they are composed byte by byte, so that byte order plays no role.
std::array<uint32_t, kSeedWords> SeedOf(uint64_t seed, absl::string_view purpose, uint64_t index) {
  const Sha256Digest digest =
      Sha256(absl::StrCat("dpkde public randomness ", kPublicRandomScheme, "/", purpose, "/", seed, "/", index));
  std::array<uint32_t, kSeedWords> words;
  for (size_t i = 0; i < kSeedWords; ++i) {
    words[i] = digest[4 * i] | digest[4 * i + 1] << 8 | digest[4 * i + 2] << 16 |
               static_cast<uint32_t>(digest[4 * i + 3]) << 24;
  }
  return words;
}

}  // namespace

boost::random::mt19937_64 PublicStream(uint64_t seed, absl::string_view purpose, uint64_t index) {
  const std::array<uint32_t, kSeedWords> words = SeedOf(seed, purpose, index);
  boost::random::seed_seq sequence(words.begin(), words.end());
  return boost::random::mt19937_64(sequence);
}

boost::random::mt19937_64 PublicStreams::At(uint64_t index) {
  if (words_.empty() || index - first_ >= kLanes) SeedFrom(index);
  const uint32_t* words = &words_[index - first_];
  uint32_t own[kStateWords];
  for (size_t j = 0; j < kStateWords; ++j) own[j] = words[j * kLanes];
  uint32_t* begin = own;
  return boost::random::mt19937_64(begin, own + kStateWords);
}

// seed_seq::generate (C++17, [rand.util.seedseq]) of 8 words to kStateWords, all lanes at once: one stream's steps wait
// for each other, those of several fill the time.
void PublicStreams::SeedFrom(uint64_t first) {
  // GCC's and Clang's vectors; two of them a word, since wider ones than the machine's are copied about.
  constexpr size_t kParts = 2, kPartLanes = kLanes / kParts;
  using Part = uint32_t __attribute__((vector_size(kPartLanes * sizeof(uint32_t)), aligned(4), may_alias));
  uint32_t seeds[kSeedWords * kLanes];
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const std::array<uint32_t, kSeedWords> words = SeedOf(seed_, purpose_, first + lane);
    for (size_t i = 0; i < kSeedWords; ++i) seeds[i * kLanes + lane] = words[i];
  }
  constexpr size_t n = kStateWords, t = 11, p = (n - t) / 2, q = p + t;
  static_assert(n >= 623 && n > kSeedWords, "t, and the number of steps, depend on it");
  first_ = first;
  words_.assign(n * kLanes, 0x8b8b8b8bu);
  // step(k, part) of the words at k, k + p, k + q and k - 1, modulo n.
  const auto for_each = [&](const auto& step) {
    for (size_t k = 0, at_p = p, at_q = q, before = n - 1; k < n; before = k++) {
      for (size_t part = 0; part < kParts; ++part) {
        const auto at = [&](size_t word) -> Part& {
          return *reinterpret_cast<Part*>(&words_[word * kLanes + part * kPartLanes]);
        };
        step(k, part, at(k), at(at_p), at(at_q), at(before));
      }
      if (++at_p == n) at_p = 0;
      if (++at_q == n) at_q = 0;
    }
  };
  for_each([&](uint32_t k, size_t part, Part& here, Part& at_p, Part& at_q, const Part& before) {
    Part r = here ^ at_p ^ before;
    r = (r ^ (r >> 27)) * 1664525u;
    Part s = r + (k == 0 ? static_cast<uint32_t>(kSeedWords) : k);
    if (k >= 1 && k <= kSeedWords) {
      s += *reinterpret_cast<const Part*>(&seeds[(k - 1) * kLanes + part * kPartLanes]);
    }
    at_p += r;
    at_q += s;
    here = s;
  });
  for_each([&](uint32_t k, size_t, Part& here, Part& at_p, Part& at_q, const Part& before) {
    Part r = here + at_p + before;
    r = (r ^ (r >> 27)) * 1566083941u;
    const Part s = r - k;
    at_p ^= r;
    at_q ^= s;
    here = s;
  });
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
