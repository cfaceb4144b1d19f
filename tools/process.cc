#include "dpkde/tools/process.h"

#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "dpkde/base/float_environment.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/tools/exit_code.h"

extern "C" {

// OpenBLAS asks this function of its own, and so this one, how many threads to start when it is loaded.
int openblas_num_threads_env() { return 1; }
void openblas_set_num_threads(int threads);

}  // extern "C"

namespace dpkde {
namespace {

// The least that can be done: neither memory nor a library may be relied on.
[[noreturn]] void Terminate() {
  const char* message = "internal error: terminated\n";
  if (const std::exception_ptr exception = std::current_exception()) {
    try {
      std::rethrow_exception(exception);
    } catch (const std::bad_alloc&) {
      message = "out of memory\n";
    } catch (...) {
    }
  }
  const ssize_t ignored = write(STDERR_FILENO, message, std::strlen(message));
  (void)ignored;
  _exit(static_cast<int>(ExitCode::kInternal));
}

// Before the C library has read the environment: system calls and stores only.
void BeforeAnything() {
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  std::set_terminate(Terminate);
}

[[gnu::used, gnu::section(".preinit_array")]] void (*const before_anything)() = BeforeAnything;

bool AddressSpaceIsLimited() {
  rlimit limit;
  return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

}  // namespace

void PrepareProcess() {
  // Left in force to the end, and inherited by every thread.
  alignas(DefaultFloatEnvironment) static char memory[sizeof(DefaultFloatEnvironment)];
  new (memory) DefaultFloatEnvironment;
  // The C library would reserve 64 MiB for the heap of each thread.
  if (AddressSpaceIsLimited()) mallopt(M_ARENA_MAX, 1);
}

void StartBlasThreads() {
  if (AddressSpaceIsLimited()) return;
  int threads = ThreadPool::HardwareThreads();
  if (const char* const wanted = std::getenv("OPENBLAS_NUM_THREADS")) {
    threads = std::min(threads, std::max(1, std::atoi(wanted)));
  }
  if (threads > 1 && ThreadPool::ThreadsToBeHad(threads) == threads) openblas_set_num_threads(threads);
}

void EndProcess(int exit_code) {
  std::fflush(stdout);
  _exit(exit_code);
}

}  // namespace dpkde
