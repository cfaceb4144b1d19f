#ifndef DPKDE_BASE_WIPE_H_
#define DPKDE_BASE_WIPE_H_

#include <openssl/crypto.h>

#include <cstdint>
#include <vector>

namespace dpkde {

// Frees raw sums without leaving them in memory.
inline void Wipe(std::vector<int64_t>& sums) {
  OPENSSL_cleanse(sums.data(), sums.size() * sizeof(sums[0]));
  sums.clear();
  sums.shrink_to_fit();
}

}  // namespace dpkde

#endif  // DPKDE_BASE_WIPE_H_
