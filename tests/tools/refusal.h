#ifndef TESTS_TOOLS_REFUSAL_H_
#define TESTS_TOOLS_REFUSAL_H_

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"

namespace dpkde {

// What every refusal has: the exit code, nothing on stdout, and one line on stderr that begins with the tool's name and
// holds all of `phrases`. A wrong command line is followed by a second line, "Try '... --help'.".
inline void ExpectRefusal(const CommandResult& result, const std::string& tool, int exit_code,
                          const std::vector<std::string>& phrases) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  const std::string line = result.err.substr(0, result.err.find('\n'));
  EXPECT_EQ(line.rfind(tool + ": ", 0), 0) << result.err;
  for (const std::string& phrase : phrases) EXPECT_THAT(line, ::testing::HasSubstr(phrase));
  const std::string rest = result.err.substr(std::min(result.err.size(), line.size() + 1));
  if (exit_code == 1) {
    EXPECT_THAT(rest, ::testing::MatchesRegex("Try '" + tool + "[a-z ]* --help'\\.\n"));
  } else {
    EXPECT_EQ(rest, "");
  }
}

}  // namespace dpkde

#endif  // TESTS_TOOLS_REFUSAL_H_
