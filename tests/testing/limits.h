#ifndef TESTS_TESTING_LIMITS_H_
#define TESTS_TESTING_LIMITS_H_

#include <cstddef>
#include <functional>

// A process with less than it would like. All of it is for a child, which keeps the limits until it ends.

namespace dpkde {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// What `body` returns in a forked child, or minus the signal that killed it.
int ExitCodeOfChild(const std::function<int()>& body);

// From now on no thread can be started, as where a limit on processes is reached: EAGAIN. Processes can. False if the
// kernel does not allow it.
bool ForbidThreads();

// Leaves `more` bytes of address space besides what is in use.
void LimitAddressSpace(size_t more);

}  // namespace dpkde

#endif  // TESTS_TESTING_LIMITS_H_
