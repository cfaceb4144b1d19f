#ifndef TESTS_TOOLS_KILLED_BUILD_H_
#define TESTS_TOOLS_KILLED_BUILD_H_

#include <string>
#include <vector>

namespace dpkde {

// Runs "dpkde_build `arguments` --output=..." many times into new folders and kills it at random instants, the first
// run excepted. Expects that whatever of a release is on the disk, in the output or in a temporary file, its entries
// are in `ledger`, `entries_of_one` a release, and that every kind of instant was met.
void ExpectNoNoiseWithoutEntry(const std::vector<std::string>& arguments, const std::string& ledger,
                               size_t entries_of_one, int rounds);

}  // namespace dpkde

#endif  // TESTS_TOOLS_KILLED_BUILD_H_
