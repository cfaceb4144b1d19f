#include "dpkde/base/sha256.h"

#include <string>

#include "gtest/gtest.h"

namespace dpkde {
namespace {

// FIPS 180-4's examples.
constexpr char kOfNothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kOfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kOfTwoBlocks[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
constexpr char kOfMillionAs[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256Test, AgreesWithTheStandard) {
  EXPECT_EQ(HexString(Sha256("")), kOfNothing);
  EXPECT_EQ(HexString(Sha256("abc")), kOfAbc);
  EXPECT_EQ(HexString(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")), kOfTwoBlocks);
}

TEST(Sha256StreamTest, DoesNotDependOnThePieces) {
  EXPECT_EQ(HexString(Sha256Stream().Finish()), kOfNothing);

  Sha256Stream letters;
  letters.Update("a");
  letters.Update("");
  letters.Update("bc");
  EXPECT_EQ(HexString(letters.Finish()), kOfAbc);

  Sha256Stream long_stream;
  const std::string piece(1000, 'a');
  for (int i = 0; i < 1000; ++i) long_stream.Update(piece);
  EXPECT_EQ(HexString(long_stream.Finish()), kOfMillionAs);
}

}  // namespace
}  // namespace dpkde
