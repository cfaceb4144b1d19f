#ifndef DPKDE_BASE_UTF8_H_
#define DPKDE_BASE_UTF8_H_

#include "absl/strings/string_view.h"

namespace dpkde {

// Well-formed as Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF. What goes into a
// string of a protobuf message must be: a message with anything else can be written, but not read.
bool IsUtf8(absl::string_view text);

}  // namespace dpkde

#endif  // DPKDE_BASE_UTF8_H_
