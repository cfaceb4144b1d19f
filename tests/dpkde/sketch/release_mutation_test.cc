// Whatever Deserialize accepts answers finite numbers and survives its bytes; all else is refused in a sentence, in
// time and memory that go with the file. Every field of the plan and the scales of a release of each design is set to
// values that hurt, one at a time, and the checksum put right again. Fixed: no random numbers.
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "dpkde/base/thread_pool.h"
#include "dpkde/io/envelope.h"
#include "dpkde/io/file.h"
#include "dpkde/sketch/release.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"

namespace dpkde {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

const double kDoubles[] = {0, -1, 1, 1e-300, 5e-324, 1e-30, 1e-9, 1e9, 1e30, 1e300, 1e-45, 3.5e38,
                           std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()};
const uint64_t kIntegers[] = {0, 1, 2, 3, 16, 17, 4095, 4096, 65535, 65536, 1 << 20, (1 << 20) + 1, 0x7fffffff,
                              0xffffffff, ~uint64_t{0}};

// Calls visit() for each change of `message` and of what is in it, and takes it back.
void ForMutations(Message* message, const std::function<void()>& visit) {
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  // Those that are unset, too, but for messages.
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    const bool set = field->is_repeated() ? reflection.FieldSize(*message, field) > 0 : reflection.HasField(*message, field);
    if (!set && field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated()) fields.push_back(field);
  }
  for (const FieldDescriptor* field : fields) {
    // Text says nothing that is computed with; the values are for noise to decide.
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING || field->name() == "certificate") continue;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) ForMutations(reflection.MutableMessage(message, field), visit);
      continue;
    }
    const std::unique_ptr<Message> before(message->New());
    before->CopyFrom(*message);
    const auto restore = [&] { message->CopyFrom(*before); };
    if (field->is_repeated()) {
      const int last = reflection.FieldSize(*message, field) - 1;
      if (field->name() != "values") {
        for (const double value : kDoubles) {
          if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
            reflection.SetRepeatedDouble(message, field, last, value);
          } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) {
            reflection.SetRepeatedFloat(message, field, last, static_cast<float>(value));
          } else {
            break;
          }
          visit();
        }
        for (const uint64_t value : kIntegers) {
          if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
            reflection.SetRepeatedUInt32(message, field, last, static_cast<uint32_t>(value));
          } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
            reflection.SetRepeatedUInt64(message, field, last, value);
          } else {
            break;
          }
          visit();
        }
      } else {
        for (const int64_t value : {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
          for (const int at : {0, last}) {
            reflection.SetRepeatedInt64(message, field, at, value);
            visit();
          }
        }
      }
      restore();
      reflection.RemoveLast(message, field);
      visit();
      restore();
      reflection.ClearField(message, field);
      visit();
      restore();
      continue;
    }
    for (const double value : kDoubles) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_DOUBLE) break;
      reflection.SetDouble(message, field, value);
      visit();
    }
    for (const uint64_t value : kIntegers) {
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_UINT32:
          reflection.SetUInt32(message, field, static_cast<uint32_t>(value));
          break;
        case FieldDescriptor::CPPTYPE_UINT64:
          reflection.SetUInt64(message, field, value);
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          reflection.SetEnumValue(message, field, static_cast<int>(value));
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          reflection.SetBool(message, field, value % 2 == 1);
          break;
        default:
          continue;
      }
      visit();
    }
    restore();
  }
}

// Of the domain's or the origin's size, and far beyond.
std::vector<float> Queries(const Release& release) {
  std::vector<float> queries;
  const auto add = [&](float value) { queries.insert(queries.end(), release.dimension(), value); };
  for (const float value : {0.0f, 1e-40f, -3e38f, 3e38f}) add(value);
  if (release.domain().has_value()) {
    for (size_t i = 0; i < release.dimension(); ++i) queries.push_back(release.domain()->lower()[i]);
    for (size_t i = 0; i < release.dimension(); ++i) queries.push_back(static_cast<float>(release.domain()->center(i)));
  }
  return queries;
}

TEST(ReleaseMutationTest, AcceptsOnlyWhatAnswersAndSurvives) {
  ThreadPool pool(2);
  size_t mutations = 0, accepted = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/testdata/golden_v0_1/density")) {
    const std::string path = entry.path();
    if (entry.path().extension() != ".dpkde") continue;
    SCOPED_TRACE(path);
    const std::string bytes = *ReadFile(path, 1 << 24);
    const auto envelope = OpenEnvelope("release", Release::kVersion, bytes);
    ASSERT_TRUE(envelope.ok());
    proto::Release message;
    ASSERT_TRUE(message.ParseFromString(std::string(envelope->payload)));
    ForMutations(&message, [&] {
      ++mutations;
      const auto release =
          Release::Deserialize(SealEnvelope("release", Release::kVersion, message.SerializeAsString()));
      if (!release.ok()) {
        EXPECT_FALSE(release.status().message().empty());
        return;
      }
      ++accepted;
      const std::string once = release->Serialize();
      const auto again = Release::Deserialize(once);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_TRUE(again->Serialize() == once);
      const std::vector<float> queries = Queries(*release);
      const size_t d = release->dimension();
      for (size_t q = 0; q < queries.size(); q += d) {
        const CenteredRows row(MatrixView{queries.data() + q, 1, d});
        if (!release->CheckQueries(row).ok()) continue;
        const auto estimates = release->Estimate(row, pool);
        ASSERT_TRUE(estimates.ok());
        EXPECT_TRUE(std::isfinite((*estimates)[0].sum) && std::isfinite((*estimates)[0].std_error))
            << queries[q] << " " << release->plan().ShortDebugString().substr(0, 400);
      }
    });
  }
  EXPECT_GT(mutations, 3000u);
  EXPECT_GT(accepted, 100u);
}

}  // namespace
}  // namespace dpkde
