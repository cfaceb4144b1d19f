#include "tests/tools/killed_build.h"

#include <sys/wait.h>
#include <unistd.h>

#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"
#include "tests/testing/traced_child.h"
#include "tests/tools/command.h"
#include "tests/tools/output_text.h"

namespace dpkde {
namespace {

size_t Entries(const std::string& ledger) {
  const CommandResult result = RunCommand("dpkde_query", {"describe", ledger, "--output_format=json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const google::protobuf::Struct json = ParseJson(result.out);
  const auto& fields = json.fields().at("ledger").struct_value().fields();
  return fields.count("entry") == 0 ? 0 : fields.at("entry").list_value().values_size();
}

}  // namespace

void ExpectNoNoiseWithoutEntry(const std::vector<std::string>& arguments, const std::string& ledger,
                               size_t entries_of_one, int rounds) {
  int whole = 0, kills = 0, untouched = 0, paid_for_nothing = 0, written = 0;
  for (int round = 0; round < rounds; ++round) {
    const Folder out;
    const size_t before = Entries(ledger);
    std::vector<std::string> all = {"dpkde_build"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    all.push_back("--output=" + out.Path("release"));
    std::vector<char*> pointers;
    for (std::string& argument : all) pointers.push_back(&argument[0]);
    pointers.push_back(nullptr);
    // The first is not killed; the others at instants that are spread evenly over what it did.
    const int last = round == 0 ? -1 : (round - 1) * whole / (rounds - 1);
    const TracedRun run = RunUntilCall(last, [&] { execv("tools/dpkde_build", pointers.data()); });
    if (round == 0) {
      ASSERT_TRUE(WIFEXITED(run.status) && WEXITSTATUS(run.status) == 0);
      whole = run.calls;
    }
    kills += WIFSIGNALED(run.status);
    size_t bytes = 0;
    for (const std::string& file : out.List()) bytes += FileBytes(out.Path(file)).size();
    const size_t more = Entries(ledger) - before;
    EXPECT_LE(more, entries_of_one);
    if (bytes > 0) {
      EXPECT_EQ(more, entries_of_one) << "round " << round;
    }
    untouched += more == 0;
    paid_for_nothing += more > 0 && bytes == 0;
    written += bytes > 0;
  }
  EXPECT_GT(kills, rounds / 2);
  EXPECT_GT(untouched, 0);
  EXPECT_GT(paid_for_nothing, 0);
  EXPECT_GT(written, 0);
}

}  // namespace dpkde
