#ifndef TESTS_TOOLS_DECLARED_LEDGER_H_
#define TESTS_TOOLS_DECLARED_LEDGER_H_

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tools/command.h"

namespace dpkde {

// Declares a budget ("--budget_epsilon=1") of `dataset` under add_remove, in a new file of the folder; returns its
// path.
inline std::string DeclareLedger(const Folder& folder, const std::string& dataset,
                                 const std::vector<std::string>& budget) {
  const std::string ledger = folder.Path("ledger");
  std::vector<std::string> arguments = {"ledger", "--ledger=" + ledger, "--dataset=" + dataset,
                                        "--neighboring=add_remove"};
  arguments.insert(arguments.end(), budget.begin(), budget.end());
  const CommandResult declared = RunCommand("dpkde_build", arguments);
  EXPECT_EQ(declared.exit_code, 0) << declared.err;
  return ledger;
}

}  // namespace dpkde

#endif  // TESTS_TOOLS_DECLARED_LEDGER_H_
