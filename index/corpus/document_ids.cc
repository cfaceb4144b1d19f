#include "dpkde/index/corpus/document_ids.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "dpkde/base/utf8.h"

namespace dpkde {

absl::Status CheckDocumentId(absl::string_view id) {
  if (id.empty()) return absl::InvalidArgumentError("is empty");
  if (id.size() > kLongestDocumentId) {
    return absl::InvalidArgumentError(absl::StrCat("is longer than ", kLongestDocumentId, " bytes"));
  }
  const auto is_control = [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(id.begin(), id.end(), is_control)) return absl::InvalidArgumentError("has a control character");
  if (!IsUtf8(id)) return absl::InvalidArgumentError("is not UTF-8");
  return absl::OkStatus();
}

}  // namespace dpkde
