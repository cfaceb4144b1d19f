#ifndef DPKDE_TOOLS_INDEX_CONFIG_H_
#define DPKDE_TOOLS_INDEX_CONFIG_H_

#include "absl/status/statusor.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// What the file that --config names says; nothing without one. A usage error unless it is an IndexConfig in protobuf text
// format.
absl::StatusOr<proto::IndexConfig> ReadIndexConfig();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_INDEX_CONFIG_H_
