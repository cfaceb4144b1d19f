// An index directory that was made to harm, in the hands of every subcommand that opens one.
#include <filesystem>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/refusal.h"
#include "tests/tools/vector_files.h"

namespace dpkde {
namespace {

// Its documents are single vectors, but one has two tokens: what was written for the second ended other memory, also in
// the process that holds private records.
TEST(HostileIndexToolsTest, ADocumentOfTwoVectorsAmongSingleOnes) {
  Folder folder;
  const std::string index = folder.Path("index");
  std::filesystem::copy("tests/testdata/hostile/index_single_vectors_two_tokens", index,
                        std::filesystem::copy_options::recursive);
  const std::string queries = folder.Write("q.npy", Npy(std::vector<float>(8, 0.5f), 8));
  const std::string flag = "--index=" + index, rows = "--input=" + queries;
  const std::vector<std::string> damaged = {"index/MANIFEST: is damaged", "single vectors"};
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"search", flag, "--queries=" + queries, "--k=3"}, {"tune", flag, "--queries=" + queries}, {"describe", index}}) {
    ExpectRefusal(RunCommand("dpkde_query", arguments), "dpkde_query", 3, damaged);
  }
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"histogram", rows, flag, "--votes=1", "--epsilon=1", "--neighboring=add_remove",
            "--output=" + folder.Path("votes")},
           {"density", rows, "--reference=" + index, "--similarity=gaussian", "--bandwidth=1", "--epsilon=1",
            "--neighboring=add_remove", "--expected_n=10", "--output=" + folder.Path("density")},
           {"add", flag, rows},
           {"remove", flag, "--ids=" + folder.Write("ids.txt", "1\n")},
           {"compact", flag}}) {
    ExpectRefusal(RunCommand("dpkde_build", arguments), "dpkde_build", 3, damaged);
  }
  EXPECT_FALSE(std::filesystem::exists(folder.Path("votes")));
  EXPECT_FALSE(std::filesystem::exists(folder.Path("density")));
}

}  // namespace
}  // namespace dpkde
