#ifndef DPKDE_NOISE_FATAL_H_
#define DPKDE_NOISE_FATAL_H_

namespace dpkde {

// Writes `message` to stderr and ends the process (std::terminate, which aborts unless the application has set another
// handler): for the failures after which noise would no longer be noise.
// An error value could be ignored; a noised value that was never noised cannot be taken back.
[[noreturn]] void Fatal(const char* message);

}  // namespace dpkde

#endif  // DPKDE_NOISE_FATAL_H_
