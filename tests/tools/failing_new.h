#ifndef TESTS_TOOLS_FAILING_NEW_H_
#define TESTS_TOOLS_FAILING_NEW_H_

#include <cstdint>

// An operator new that fails when it is told to, in place of the usual one of the program that links it.

namespace dpkde {

// From now on the `n`-th allocation of this process fails, counted from 1 over all threads; if `sticky`, all after it.
void FailNew(int64_t n, bool sticky);

// Allocations since FailNew(), whether they failed or not.
int64_t NewCalls();

}  // namespace dpkde

#endif  // TESTS_TOOLS_FAILING_NEW_H_
