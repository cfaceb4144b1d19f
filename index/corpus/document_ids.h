#ifndef DPKDE_INDEX_CORPUS_DOCUMENT_IDS_H_
#define DPKDE_INDEX_CORPUS_DOCUMENT_IDS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace dpkde {

inline constexpr size_t kLongestDocumentId = 1024;

// An id is 1 to kLongestDocumentId bytes of UTF-8 without control characters (so that one fits a line of text).
// kInvalidArgument says what is wrong, without the id: "is empty", "is not UTF-8".
absl::Status CheckDocumentId(absl::string_view id);

}  // namespace dpkde

#endif  // DPKDE_INDEX_CORPUS_DOCUMENT_IDS_H_
