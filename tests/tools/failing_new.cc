#include "tests/tools/failing_new.h"

#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

namespace dpkde {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

std::atomic<int64_t> calls{0};
std::atomic<int64_t> failing{kNever};
std::atomic<bool> fails_on{false};

}  // namespace

void FailNew(int64_t n, bool sticky) {
  calls = 0;
  fails_on = sticky;
  failing = n;
}

int64_t NewCalls() { return calls; }

// Not in the unnamed namespace: the operators below call it.
void* AllocateOrNull(std::size_t size, std::size_t alignment) {
  const int64_t call = ++calls, n = failing;
  if (call == n || (call > n && fails_on)) return nullptr;
  if (alignment == 0) return std::malloc(size == 0 ? 1 : size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* Allocate(std::size_t size, std::size_t alignment) {
  void* const memory = AllocateOrNull(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace dpkde

void* operator new(std::size_t size) { return dpkde::Allocate(size, 0); }
void* operator new[](std::size_t size) { return dpkde::Allocate(size, 0); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return dpkde::AllocateOrNull(size, 0); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return dpkde::AllocateOrNull(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return dpkde::Allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return dpkde::Allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
