#ifndef DPKDE_TOOLS_JSON_TEXT_H_
#define DPKDE_TOOLS_JSON_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace dpkde {

// `text` in double quotes, with what JSON wants escaped.
std::string JsonString(absl::string_view text);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_JSON_TEXT_H_
