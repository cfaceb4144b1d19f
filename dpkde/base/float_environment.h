#ifndef DPKDE_BASE_FLOAT_ENVIRONMENT_H_
#define DPKDE_BASE_FLOAT_ENVIRONMENT_H_

#include <cstdint>

namespace dpkde {

// While one lives, the calling thread computes under the default floating-point environment: results are rounded to
// nearest, denormal numbers are kept (neither FTZ nor DAZ), x87 has its 64-bit significand, and no exception traps.
// What was set before is set again at the end.
//
//   const DefaultFloatEnvironment environment;
//
// The environment belongs to a thread, and an application, or start-up code of -ffast-math, may have changed it. The
// integers that a private record becomes must be a function of the record alone, so they are computed under this guard
// (Design::Accumulate). ThreadPool holds one around every body. Costs a few nanoseconds where nothing was changed.
class DefaultFloatEnvironment {
 public:
  DefaultFloatEnvironment() {
    asm volatile("stmxcsr %0" : "=m"(mxcsr_));
    asm volatile("fnstcw %0" : "=m"(x87_));
    if ((mxcsr_ & ~kStickyFlags) != kDefaultMxcsr) Load(kDefaultMxcsr);
    if (x87_ != kDefaultX87) Load(kDefaultX87);
  }
  ~DefaultFloatEnvironment() {
    if ((mxcsr_ & ~kStickyFlags) != kDefaultMxcsr) Load(mxcsr_);
    if (x87_ != kDefaultX87) Load(x87_);
  }
  DefaultFloatEnvironment(const DefaultFloatEnvironment&) = delete;
  DefaultFloatEnvironment& operator=(const DefaultFloatEnvironment&) = delete;

 private:
  static constexpr uint32_t kDefaultMxcsr = 0x1F80;
  static constexpr uint32_t kStickyFlags = 0x3F;  // what has happened, which decides nothing
  static constexpr uint16_t kDefaultX87 = 0x037F;

  // The clobber keeps computations on memory from moving across; volatile statements keep their order.
  static void Load(const uint32_t& mxcsr) { asm volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory"); }
  static void Load(const uint16_t& x87) { asm volatile("fldcw %0" : : "m"(x87) : "memory"); }

  uint32_t mxcsr_;
  uint16_t x87_;
};

}  // namespace dpkde

#endif  // DPKDE_BASE_FLOAT_ENVIRONMENT_H_
