#ifndef DPKDE_BASE_WIPE_H_
#define DPKDE_BASE_WIPE_H_

#include <openssl/crypto.h>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <vector>

namespace dpkde {

// Overwrites private values in a way that no compiler leaves out.
inline void Wipe(void* data, size_t bytes) {
  if (bytes > 0) OPENSSL_cleanse(data, bytes);
}

template <typename Value>
void Wipe(Value& value) {
  static_assert(std::is_trivially_copyable<Value>::value, "only what holds no other memory");
  Wipe(&value, sizeof(value));
}

// Wipes memory before it is freed.
template <typename Value>
struct WipingAllocator {
  using value_type = Value;

  WipingAllocator() = default;
  template <typename Other>
  WipingAllocator(const WipingAllocator<Other>&) {}

  Value* allocate(size_t count) { return std::allocator<Value>().allocate(count); }
  void deallocate(Value* values, size_t count) {
    Wipe(values, count * sizeof(Value));
    std::allocator<Value>().deallocate(values, count);
  }

  friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
  friend bool operator!=(const WipingAllocator&, const WipingAllocator&) { return false; }
};

// For what nobody may find in memory afterwards: raw sums, a record's features, noise. Nothing is left behind when it
// grows, is moved, is destroyed, or is unwound by an exception; a core dump taken meanwhile has it all.
template <typename Value>
using PrivateVector = std::vector<Value, WipingAllocator<Value>>;

}  // namespace dpkde

#endif  // DPKDE_BASE_WIPE_H_
