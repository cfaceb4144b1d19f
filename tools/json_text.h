#ifndef DPKDE_TOOLS_JSON_TEXT_H_
#define DPKDE_TOOLS_JSON_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace dpkde {

// `text` in double quotes, with what JSON wants escaped.
std::string JsonString(absl::string_view text);

// With so many digits; "null" for what is no finite number.
std::string JsonNumber(double value, int digits = 10);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_JSON_TEXT_H_
