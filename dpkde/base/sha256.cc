#include "dpkde/base/sha256.h"

#include <openssl/evp.h>

#include <new>

#include "absl/strings/escaping.h"

namespace dpkde {
namespace {

// SHA-256 fails only when OpenSSL is out of memory.
void Require(bool ok) {
  if (!ok) throw std::bad_alloc();
}

EVP_MD_CTX* Context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  Require(context_ != nullptr && EVP_DigestInit_ex(Context(context_), EVP_sha256(), nullptr) == 1);
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(Context(context_)); }

void Sha256Stream::Update(absl::string_view bytes) {
  Require(EVP_DigestUpdate(Context(context_), bytes.data(), bytes.size()) == 1);
}

Sha256Digest Sha256Stream::Finish() {
  Sha256Digest digest;
  unsigned int size = 0;
  Require(EVP_DigestFinal_ex(Context(context_), digest.data(), &size) == 1 && size == digest.size());
  return digest;
}

Sha256Digest Sha256(absl::string_view bytes) {
  Sha256Stream stream;
  stream.Update(bytes);
  return stream.Finish();
}

std::string HexString(const Sha256Digest& digest) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace dpkde
