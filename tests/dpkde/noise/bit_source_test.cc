#include "dpkde/noise/bit_source.h"

#include <openssl/rand.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "tests/testing/seeded_bit_source.h"

namespace dpkde {
namespace {

constexpr size_t kWords = 3 * BitSource::kBufferWords;  // some buffered, some from two refills

static_assert(!std::is_copy_constructible<SystemBitSource>::value, "");
static_assert(!std::is_move_constructible<SystemBitSource>::value, "");
static_assert(!std::is_copy_assignable<SystemBitSource>::value, "");
static_assert(!std::is_constructible<SystemBitSource, uint64_t>::value, "cannot be seeded");

std::vector<uint64_t> Draw(BitSource& bits, size_t count) {
  std::vector<uint64_t> words(count);
  for (uint64_t& word : words) word = bits.NextWord();
  return words;
}

// The number of values that both have. Two independent streams of kWords words share one with probability 2^-43.
size_t Shared(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  const std::unordered_set<uint64_t> set(a.begin(), a.end());
  size_t shared = 0;
  for (uint64_t word : b) shared += set.count(word);
  return shared;
}

// What `bits` gives in a forked child.
std::vector<uint64_t> DrawInChild(BitSource& bits, size_t count) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  EXPECT_GE(child, 0);
  if (child == 0) {
    const std::vector<uint64_t> words = Draw(bits, count);
    const char* data = reinterpret_cast<const char*>(words.data());
    size_t left = count * sizeof(uint64_t);
    while (left > 0) {
      const ssize_t written = write(ends[1], data, left);
      if (written <= 0) _exit(1);
      data += written;
      left -= written;
    }
    _exit(0);
  }
  close(ends[1]);
  std::vector<uint64_t> words(count);
  char* data = reinterpret_cast<char*>(words.data());
  size_t left = count * sizeof(uint64_t);
  while (left > 0) {
    const ssize_t got = read(ends[0], data, left);
    if (got <= 0) break;
    data += got;
    left -= got;
  }
  close(ends[0]);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(left, 0u);
  return words;
}

TEST(SystemBitSourceTest, TwoSourcesShareNoOutput) {
  SystemBitSource a;
  SystemBitSource b;
  const std::vector<uint64_t> words = Draw(a, kWords);
  EXPECT_EQ(Shared(words, Draw(b, kWords)), 0u);
  EXPECT_EQ(Shared(words, Draw(a, kWords)), 0u);
}

TEST(SystemBitSourceTest, NegativeControlEqualStreamsAreSeenToShare) {
  SeededBitSource a(1);
  SeededBitSource b(1);
  EXPECT_EQ(Shared(Draw(a, kWords), Draw(b, kWords)), kWords);
}

TEST(SystemBitSourceTest, EveryBitIsSetHalfOfTheTime) {
  // Power: a bit set with probability 0.51 is seen (6 standard errors are 0.3 %).
  constexpr int kDraws = 1000000;
  SystemBitSource bits;
  std::vector<int> ones(64, 0);
  for (int i = 0; i < kDraws; ++i) {
    const uint64_t word = bits.NextWord();
    for (int bit = 0; bit < 64; ++bit) ones[bit] += word >> bit & 1;
  }
  for (int bit = 0; bit < 64; ++bit) EXPECT_NEAR(ones[bit], kDraws / 2, 3000) << bit;
}

// A parent that has drawn nothing, one word, a buffer exactly, and into the second buffer.
class ForkTest : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(DrawnBefore, ForkTest,
                         testing::Values(0, 1, BitSource::kBufferWords, BitSource::kBufferWords + 1));

TEST_P(ForkTest, ChildSharesNoOutputWithItsParentOrSibling) {
  SystemBitSource bits;
  const std::vector<uint64_t> before = Draw(bits, GetParam());
  const std::vector<uint64_t> child = DrawInChild(bits, kWords);
  const std::vector<uint64_t> sibling = DrawInChild(bits, kWords);
  const std::vector<uint64_t> parent = Draw(bits, kWords);
  EXPECT_EQ(Shared(before, child), 0u);
  EXPECT_EQ(Shared(parent, child), 0u);
  EXPECT_EQ(Shared(parent, sibling), 0u);
  EXPECT_EQ(Shared(child, sibling), 0u);
}

TEST_P(ForkTest, NegativeControlAnUnreseededGeneratorIsSeenToShare) {
  // The base class discards the buffer, but a Mersenne twister goes on from its parent's state.
  SeededBitSource bits(1);
  Draw(bits, GetParam());
  const std::vector<uint64_t> child = DrawInChild(bits, kWords);
  EXPECT_GE(Shared(Draw(bits, kWords), child), BitSource::kBufferWords);
}

TEST(BitSourceTest, BufferedWordsAreDiscardedInTheChildAndKeptInTheParent) {
  // With a known stream: the child starts at the second buffer, the parent goes on in its first.
  constexpr size_t kBuffer = BitSource::kBufferWords;
  SeededBitSource reference(7);
  const std::vector<uint64_t> stream = Draw(reference, 2 * kBuffer);
  SeededBitSource bits(7);
  Draw(bits, 1);
  const std::vector<uint64_t> child = DrawInChild(bits, kBuffer);
  EXPECT_EQ(child, std::vector<uint64_t>(stream.begin() + kBuffer, stream.end()));
  EXPECT_EQ(Draw(bits, kBuffer - 1), std::vector<uint64_t>(stream.begin() + 1, stream.begin() + kBuffer));
}

TEST(BitSourceTest, AGrandchildDiscardsWhatItsForkedParentBuffered) {
  SystemBitSource bits;
  Draw(bits, 1);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Draw(bits, 1);
    const std::vector<uint64_t> grandchild = DrawInChild(bits, kWords);
    _exit(Shared(Draw(bits, kWords), grandchild) == 0 && !testing::Test::HasFailure() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// Shows where its buffer is.
class ExposedBitSource : public BitSource {
 public:
  explicit ExposedBitSource(size_t buffer_words = kBufferWords) : BitSource(buffer_words) {}

  absl::Span<const uint64_t> buffer;

 private:
  void Refill(absl::Span<uint64_t> words) override {
    buffer = words;
    for (uint64_t& word : words) word = 0x0123456789abcdef;
  }
};

TEST(BitSourceTest, AWordIsWipedWhenItIsHandedOut) {
  ExposedBitSource bits;
  Draw(bits, 100);
  for (size_t i = 0; i < 100; ++i) ASSERT_EQ(bits.buffer[i], 0u);
  for (size_t i = 100; i < bits.buffer.size(); ++i) ASSERT_EQ(bits.buffer[i], 0x0123456789abcdefu);
}

TEST(BitSourceTest, TheBufferIsWipedWhenTheSourceIsDestroyed) {
  alignas(ExposedBitSource) unsigned char storage[sizeof(ExposedBitSource)];
  ExposedBitSource* bits = new (storage) ExposedBitSource;
  Draw(*bits, 100);
  const size_t bytes = bits->buffer.size() * sizeof(uint64_t);
  const unsigned char* buffer = reinterpret_cast<const unsigned char*>(bits->buffer.data());
  bits->~ExposedBitSource();
  for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(buffer[i], 0) << i;
}

class ThrowingBitSource : public BitSource {
 public:
  bool throws = false;

 private:
  void Refill(absl::Span<uint64_t> words) override {
    if (throws) throw 0;
    for (uint64_t& word : words) word = 1;
  }
};

TEST(BitSourceTest, ARefillThatFailsLeavesNothingToHandOut) {
  ThrowingBitSource bits;
  Draw(bits, BitSource::kBufferWords);
  bits.throws = true;
  EXPECT_ANY_THROW(bits.NextWord());
  EXPECT_ANY_THROW(bits.NextWord());
  bits.throws = false;
  EXPECT_EQ(bits.NextWord(), 1u);
}

TEST(BitSourceDeathTest, BufferSizeIsChecked) {
  EXPECT_DEATH(ExposedBitSource(0), "buffer_words is out of range");
  EXPECT_DEATH(ExposedBitSource(BitSource::kBufferWords + 1), "buffer_words is out of range");
}

// Replaces OpenSSL's generator, in the child of a death test only.
int outcome = 0;
int successes_left = 0;
int FakeBytes(unsigned char* buffer, int count) {
  std::memset(buffer, 1, count);
  if (successes_left-- > 0) return 1;
  return outcome;
}
void InstallGenerator(int successes, int then) {
  static RAND_METHOD method = {};
  method.bytes = FakeBytes;
  method.pseudorand = FakeBytes;
  outcome = then;
  successes_left = successes;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  if (RAND_set_rand_method(&method) != 1) _exit(2);
#pragma GCC diagnostic pop
}
void InstallGeneratorAndDraw(int successes, int then, size_t words) {
  InstallGenerator(successes, then);
  SystemBitSource bits;
  Draw(bits, words);
  _exit(0);
}

TEST(SystemBitSourceDeathTest, AFailureOfTheGeneratorAborts) {
  for (int outcome : {0, -1, 2}) {
    EXPECT_EXIT(InstallGeneratorAndDraw(0, outcome, 1), testing::KilledBySignal(SIGABRT),
                "random number generator failed; no noise can be drawn");
  }
}

TEST(SystemBitSourceDeathTest, AFailureAfterTheFirstBufferAborts) {
  EXPECT_EXIT(InstallGeneratorAndDraw(1, 0, BitSource::kBufferWords + 1), testing::KilledBySignal(SIGABRT),
              "random number generator failed; no noise can be drawn");
}

TEST(SystemBitSourceDeathTest, NegativeControlAWorkingGeneratorDoesNot) {
  EXPECT_EXIT(InstallGeneratorAndDraw(2, 0, BitSource::kBufferWords + 1), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace dpkde
