#include "dpkde/designs/public_random.h"

#include <gtest/gtest.h>

#include <set>

namespace dpkde {
namespace {

// Golden values: files that were made with this scheme can only be read while they stay.
TEST(PublicRandomTest, StreamsAreFixedForEver) {
  EXPECT_EQ(kPublicRandomScheme, 1u);
  EXPECT_EQ(PublicStream(0, "golden", 0)(), 5113718915745202283u);
  EXPECT_EQ(PublicStream(42, "golden", 7)(), 14172942376701421248u);
}

// Whatever the order and however far apart; many words, so that all of an engine's state is looked at.
TEST(PublicRandomTest, StreamsSideBySideAreTheSame) {
  PublicStreams streams(42, "golden");
  for (uint64_t index : {0, 1, 2, 3, 15, 16, 17, 40, 39, 7, 1 << 20, 5}) {
    auto one = PublicStream(42, "golden", index), same = streams.At(index), other = streams.At(index + 1);
    int equal_to_other = 0;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t word = one();
      ASSERT_EQ(same(), word) << index << " " << i;
      equal_to_other += other() == word;
    }
    EXPECT_EQ(equal_to_other, 0);
  }
  EXPECT_TRUE(PublicStreams(0, "golden").At(~uint64_t{0}) == PublicStream(0, "golden", ~uint64_t{0}));
}

TEST(PublicRandomTest, NoTwoUsesShareAStream) {
  std::set<uint64_t> first_words;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (uint64_t index = 0; index < 20; ++index) {
      first_words.insert(PublicStream(seed, "a", index)());
      first_words.insert(PublicStream(seed, "b", index)());
    }
  }
  EXPECT_EQ(first_words.size(), 800u);
}

TEST(PublicRandomTest, OtherDrawsThanThoseOfAFileAreRefused) {
  EXPECT_TRUE(CheckPublicRandomScheme("hashes", 0).ok());
  EXPECT_TRUE(CheckPublicRandomScheme("hashes", kPublicRandomScheme).ok());
  EXPECT_EQ(CheckPublicRandomScheme("hashes", 2),
            absl::FailedPreconditionError("hashes are drawn by scheme 2; this program draws by scheme 1"));
  EXPECT_TRUE(CheckFingerprint("hashes", "", "ab").ok());
  EXPECT_TRUE(CheckFingerprint("hashes", "ab", "ab").ok());
  EXPECT_EQ(CheckFingerprint("hashes", "abc", "ab"),
            absl::FailedPreconditionError("hashes differ from those the file was made with: its fingerprint does not "
                                          "match on this machine"));
}

}  // namespace
}  // namespace dpkde
