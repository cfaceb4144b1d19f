#include "dpkde/base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace dpkde {

bool IsUtf8(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto byte = [&](size_t k) { return i + k < text.size() ? static_cast<uint8_t>(text[i + k]) : uint8_t{0}; };
    const uint8_t lead = byte(0);
    const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size > 1 && (lead < 0xc2 || lead > 0xf4)) return false;
    for (size_t k = 1; k < size; ++k) {
      if ((byte(k) & 0xc0) != 0x80) return false;
    }
    if (lead == 0xe0 && byte(1) < 0xa0) return false;
    if (lead == 0xed && byte(1) > 0x9f) return false;
    if (lead == 0xf0 && byte(1) < 0x90) return false;
    if (lead == 0xf4 && byte(1) > 0x8f) return false;
    i += size;
  }
  return true;
}

}  // namespace dpkde
