#ifndef DPKDE_TOOLS_QUERY_CLASSIFY_H_
#define DPKDE_TOOLS_QUERY_CLASSIFY_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_query classify": labels from a released classifier.
Subcommand QueryClassifySubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_QUERY_CLASSIFY_H_
