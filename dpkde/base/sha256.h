#ifndef DPKDE_BASE_SHA256_H_
#define DPKDE_BASE_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace dpkde {

using Sha256Digest = std::array<uint8_t, 32>;

// SHA-256 (OpenSSL) of a string.
Sha256Digest Sha256(absl::string_view bytes);

// SHA-256 of a stream of bytes:
//
//   Sha256Stream stream;
//   stream.Update(chunk);
//   Sha256Digest digest = stream.Finish();
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Update(absl::string_view bytes);

  // The digest of everything so far; the stream may not be used afterwards.
  Sha256Digest Finish();

 private:
  void* context_;
};

// Lower-case hexadecimal.
std::string HexString(const Sha256Digest& digest);

}  // namespace dpkde

#endif  // DPKDE_BASE_SHA256_H_
