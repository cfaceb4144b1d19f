#ifndef DPKDE_IO_PARSE_MESSAGE_H_
#define DPKDE_IO_PARSE_MESSAGE_H_

#include <google/protobuf/message_lite.h>

#include "absl/strings/string_view.h"

namespace dpkde {

// Reads `message` from its bytes. False if they are none, such as for text that is not UTF-8; protobuf's own lines
// about it do not reach stderr.
bool ParseMessage(absl::string_view bytes, google::protobuf::MessageLite* message);

}  // namespace dpkde

#endif  // DPKDE_IO_PARSE_MESSAGE_H_
