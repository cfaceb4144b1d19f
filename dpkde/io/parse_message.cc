#include "dpkde/io/parse_message.h"

#include <google/protobuf/stubs/logging.h>

#include <limits>

namespace dpkde {

bool ParseMessage(absl::string_view bytes, google::protobuf::MessageLite* message) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return false;
  const google::protobuf::LogSilencer silencer;
  return message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace dpkde
