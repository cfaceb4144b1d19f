#ifndef DPKDE_BASE_WIPE_H_
#define DPKDE_BASE_WIPE_H_

#include <openssl/crypto.h>

#include <type_traits>
#include <vector>

namespace dpkde {

// Frees private values without leaving them in memory.
template <typename Number>
void Wipe(std::vector<Number>& values) {
  static_assert(std::is_arithmetic<Number>::value, "only what holds no other memory");
  OPENSSL_cleanse(values.data(), values.size() * sizeof(values[0]));
  values.clear();
  values.shrink_to_fit();
}

}  // namespace dpkde

#endif  // DPKDE_BASE_WIPE_H_
