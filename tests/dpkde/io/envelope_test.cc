#include "dpkde/io/envelope.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

constexpr size_t kHeaderBytes = 28;

// Of the golden file below, by Python's struct and hashlib.
constexpr char kGoldenHex[] =
    "44504b44450d0a1a7465737400000000030000000300000000000000616263"
    "38539171534d03266c8160a576153588a5d94cb8542c2fbe186e0f55a6dbb0d2";

TEST(EnvelopeTest, HasTheseBytes) { EXPECT_EQ(absl::BytesToHexString(SealEnvelope("test", 3, "abc")), kGoldenHex); }

TEST(EnvelopeTest, OpensTheseBytes) {
  const std::string file = absl::HexStringToBytes(kGoldenHex);
  const absl::StatusOr<Envelope> envelope = OpenEnvelope("test", 3, file);
  ASSERT_TRUE(envelope.ok()) << envelope.status();
  EXPECT_EQ(envelope->version, 3);
  EXPECT_EQ(envelope->payload, "abc");
  EXPECT_EQ(envelope->payload.data(), file.data() + kHeaderBytes) << "the payload is not copied";
}

TEST(EnvelopeTest, GivesBackWhatWasSealed) {
  for (const std::string& payload : {std::string(), std::string("\0\r\n", 3), std::string(100000, 'x')}) {
    for (const std::string kind : {"k", "12345678"}) {
      for (const uint32_t version : {1u, 7u, 0xffffffffu}) {
        const std::string file = SealEnvelope(kind, version, payload);
        const absl::StatusOr<Envelope> envelope = OpenEnvelope(kind, 0xffffffff, file);
        ASSERT_TRUE(envelope.ok()) << envelope.status();
        EXPECT_EQ(envelope->version, version);
        EXPECT_EQ(envelope->payload, payload);
      }
    }
  }
}

TEST(EnvelopeTest, RefusesOtherFiles) {
  const absl::Status refusal = absl::DataLossError("is not a dpkde file");
  EXPECT_EQ(OpenEnvelope("test", 1, "").status(), refusal);
  EXPECT_EQ(OpenEnvelope("test", 1, "DPKDE").status(), refusal);
  EXPECT_EQ(OpenEnvelope("test", 1, std::string(1000, 'x')).status(), refusal);
  // A transfer that changed the line end.
  std::string file = SealEnvelope("test", 1, "payload");
  file.erase(5, 1);
  EXPECT_EQ(OpenEnvelope("test", 1, file).status(), refusal);
}

TEST(EnvelopeTest, RefusesOtherKinds) {
  const std::string file = SealEnvelope("sketch", 1, "payload");
  EXPECT_EQ(OpenEnvelope("plan", 1, file).status(),
            absl::DataLossError("is a dpkde file of the kind \"sketch\", not \"plan\""));
  // A kind that begins with another is another.
  EXPECT_EQ(OpenEnvelope("sketch2", 1, file).status(),
            absl::DataLossError("is a dpkde file of the kind \"sketch\", not \"sketch2\""));
  EXPECT_EQ(OpenEnvelope("sket", 1, file).status(),
            absl::DataLossError("is a dpkde file of the kind \"sketch\", not \"sket\""));
  EXPECT_EQ(OpenEnvelope("test", 1, SealEnvelope("\n\xff", 1, "")).status(),
            absl::DataLossError("is a dpkde file of the kind \"\\n\\xff\", not \"test\""));
}

TEST(EnvelopeTest, RefusesVersionsThatItDoesNotKnow) {
  EXPECT_EQ(OpenEnvelope("test", 1, SealEnvelope("test", 7, "")).status(),
            absl::FailedPreconditionError("is of version 7; this program reads versions 1 to 1"));
  EXPECT_EQ(OpenEnvelope("test", 7, SealEnvelope("test", 0xffffffff, "")).status(),
            absl::FailedPreconditionError("is of version 4294967295; this program reads versions 1 to 7"));
  std::string file = SealEnvelope("test", 1, "");
  file[16] = 0;
  EXPECT_EQ(OpenEnvelope("test", 7, file).status(),
            absl::FailedPreconditionError("is of version 0; this program reads versions 1 to 7"));
}

TEST(EnvelopeTest, RefusesWrongSizes) {
  const std::string file = SealEnvelope("test", 1, "payload");
  EXPECT_EQ(OpenEnvelope("test", 1, absl::string_view(file).substr(0, kHeaderBytes)).status(),
            absl::DataLossError("is truncated"));
  EXPECT_EQ(OpenEnvelope("test", 1, absl::string_view(file).substr(0, file.size() - 1)).status(),
            absl::DataLossError("is truncated"));
  EXPECT_EQ(OpenEnvelope("test", 1, file + "\n").status(), absl::DataLossError("has 1 bytes after its end"));
  EXPECT_EQ(OpenEnvelope("test", 1, file + file).status(),
            absl::DataLossError(absl::StrCat("has ", file.size(), " bytes after its end")));
  std::string huge = file;
  for (size_t i = 20; i < kHeaderBytes; ++i) huge[i] = '\xff';
  EXPECT_EQ(OpenEnvelope("test", 1, huge).status(), absl::DataLossError("is truncated"));
}

TEST(EnvelopeTest, RefusesDamage) {
  std::string file = SealEnvelope("test", 1, "payload");
  file[kHeaderBytes + 2] ^= 1;
  EXPECT_EQ(OpenEnvelope("test", 1, file).status(), absl::DataLossError("is damaged: its checksum does not match"));
}

TEST(EnvelopeTest, ChecksTheVersionBeforeSizeAndChecksum) {
  std::string file = SealEnvelope("test", 2, "payload");
  file.pop_back();
  EXPECT_EQ(OpenEnvelope("test", 1, file).status(),
            absl::FailedPreconditionError("is of version 2; this program reads versions 1 to 1"));
}

TEST(EnvelopeTest, NoticesEveryTruncation) {
  const std::string file = SealEnvelope("test", 2, "the payload");
  for (size_t size = 0; size < file.size(); ++size) {
    // A copy of its own, so that ASan sees every access beyond it.
    const std::string cut = file.substr(0, size);
    const absl::Status status = OpenEnvelope("test", 2, cut).status();
    EXPECT_EQ(status, absl::DataLossError(size < kHeaderBytes ? "is not a dpkde file" : "is truncated")) << size;
  }
}

TEST(EnvelopeTest, NoticesEveryChangeOfAByte) {
  const std::string file = SealEnvelope("test", 2, "the payload");
  ASSERT_TRUE(OpenEnvelope("test", 3, file).ok());
  for (size_t place = 0; place < file.size(); ++place) {
    for (int change = 1; change < 256; ++change) {
      std::string damaged = file;
      damaged[place] ^= static_cast<char>(change);
      EXPECT_FALSE(OpenEnvelope("test", 3, damaged).ok()) << place << " " << change;
    }
  }
}

TEST(EnvelopeDeathTest, AbortsOnMistakesOfTheProgram) {
  EXPECT_DEATH(SealEnvelope("", 1, ""), "");
  EXPECT_DEATH(SealEnvelope("123456789", 1, ""), "");
  EXPECT_DEATH(SealEnvelope("test", 0, ""), "");
}

TEST(EnvelopeTest, BeginsLikeItsKindDamagedOrNot) {
  const std::string bytes = SealEnvelope("kind", 1, "payload");
  EXPECT_TRUE(IsEnvelope("kind", bytes));
  EXPECT_TRUE(IsEnvelope("kind", bytes.substr(0, 16)));
  EXPECT_FALSE(IsEnvelope("other", bytes));
  for (size_t size = 0; size < 16; ++size) EXPECT_FALSE(IsEnvelope("kind", bytes.substr(0, size))) << size;
}

}  // namespace
}  // namespace dpkde
