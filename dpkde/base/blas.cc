#include "dpkde/base/blas.h"

#include <sys/mman.h>

#include <cstddef>
#include <mutex>
#include <new>

namespace dpkde {
namespace {

// A buffer of OpenBLAS on x86-64 is 128 MiB and a little more for alignment.
constexpr size_t kBufferBytes = size_t{136} << 20;

std::mutex mutex;
int running = 0;  // calls
int buffers = 0;  // that OpenBLAS has been able to map

bool CanMapBuffer() {
  void* const buffer = mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return buffer != MAP_FAILED && munmap(buffer, kBufferBytes) == 0;
}

}  // namespace

BlasCall::BlasCall() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (running == buffers) {
    if (!CanMapBuffer()) throw std::bad_alloc();
    ++buffers;
  }
  ++running;
}

BlasCall::~BlasCall() {
  const std::lock_guard<std::mutex> lock(mutex);
  --running;
}

}  // namespace dpkde
