#ifndef DPKDE_NOISE_BIT_SOURCE_H_
#define DPKDE_NOISE_BIT_SOURCE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/types/span.h"

namespace dpkde {

// A stream of uniform, independent 64-bit words, the only randomness that a noise sampler sees.
//
//   SystemBitSource bits;
//   absl::int128 noise = laplace.Sample(bits);
//
// Noise drawn from any BitSource but SystemBitSource is not private. Other sources exist for tests only, in `testonly`
// targets, whose comments end "not differentially private."
//
// Words are buffered. A word is wiped from the buffer when it is handed out, and the buffer when the source is
// destroyed or filled again; copies in registers and on the stack are not wiped.
//
// After a fork the child discards what was buffered, so that it never repeats a word of its parent. Forks are seen by
// a counter that a pthread_atfork handler raises in the child and that every NextWord() compares; children made without
// these handlers (a bare clone system call, _Fork()) are not seen and must not draw.
//
// Not thread-safe: one source per thread. Neither copyable nor movable, never serialised.
class BitSource {
 public:
  static constexpr size_t kBufferWords = 512;

  virtual ~BitSource();
  BitSource(const BitSource&) = delete;
  BitSource& operator=(const BitSource&) = delete;

  uint64_t NextWord() {
    if (ABSL_PREDICT_FALSE(next_ == buffer_words_ || generation_ != fork_generation_.load(std::memory_order_relaxed))) {
      Fill();
    }
    // Volatile, so that the wipe is not optimised away.
    volatile uint64_t* slot = &buffer_[next_++];
    const uint64_t word = *slot;
    *slot = 0;
    return word;
  }

 protected:
  // Fills `buffer_words` words at a time, 1 .. kBufferWords.
  explicit BitSource(size_t buffer_words = kBufferWords);

  // Overwrites all of `words`, which point into the buffer, or does not return.
  virtual void Refill(absl::Span<uint64_t> words) = 0;

 private:
  void Fill();

  static std::atomic<uint64_t> fork_generation_;

  const size_t buffer_words_;
  size_t next_;          // the first word that was not handed out
  uint64_t generation_;  // fork_generation_ when the buffer was filled
  alignas(64) uint64_t buffer_[kBufferWords] = {};
};

// The operating system's CSPRNG through OpenSSL (RAND_priv_bytes): what noise is drawn from. Cannot be seeded. Aborts
// the process with a message if OpenSSL reports a failure: it never falls back to anything weaker.
class SystemBitSource final : public BitSource {
 public:
  SystemBitSource() = default;

 private:
  void Refill(absl::Span<uint64_t> words) override;
};

}  // namespace dpkde

#endif  // DPKDE_NOISE_BIT_SOURCE_H_
