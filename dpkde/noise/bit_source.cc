#include "dpkde/noise/bit_source.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>

#include "dpkde/noise/fatal.h"

namespace dpkde {

std::atomic<uint64_t> BitSource::fork_generation_{0};

BitSource::BitSource(size_t buffer_words) : buffer_words_(buffer_words), next_(buffer_words), generation_(0) {
  // Lock-free, hence safe in the child of a process with threads.
  static_assert(std::atomic<uint64_t>::is_always_lock_free, "");
  static const int registered = pthread_atfork(
      nullptr, nullptr, +[] { fork_generation_.fetch_add(1, std::memory_order_relaxed); });
  if (registered != 0) Fatal("pthread_atfork failed; a forked child could repeat its parent's noise");
  if (buffer_words < 1 || buffer_words > kBufferWords) Fatal("BitSource: buffer_words is out of range");
}

BitSource::~BitSource() { OPENSSL_cleanse(buffer_, sizeof(buffer_)); }

void BitSource::Fill() {
  // Emptied first: whatever Refill() does, neither a parent's words nor the zeros of a wiped buffer are handed out.
  OPENSSL_cleanse(buffer_, sizeof(buffer_));
  next_ = buffer_words_;
  generation_ = fork_generation_.load(std::memory_order_relaxed);
  Refill(absl::MakeSpan(buffer_, buffer_words_));
  next_ = 0;
}

void SystemBitSource::Refill(absl::Span<uint64_t> words) {
  static_assert(kBufferWords * sizeof(uint64_t) <= 1 << 16, "one request of OpenSSL's generator");
  const int bytes = static_cast<int>(words.size() * sizeof(uint64_t));
  if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(words.data()), bytes) != 1) {
    Fatal("the system's random number generator failed; no noise can be drawn");
  }
}

}  // namespace dpkde
