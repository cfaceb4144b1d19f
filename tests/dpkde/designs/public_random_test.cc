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
