#ifndef DPKDE_TOOLS_QUERY_DESCRIBE_H_
#define DPKDE_TOOLS_QUERY_DESCRIBE_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_query describe": what a file of ours is and guarantees.
Subcommand QueryDescribeSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_QUERY_DESCRIBE_H_
