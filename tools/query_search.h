#ifndef DPKDE_TOOLS_QUERY_SEARCH_H_
#define DPKDE_TOOLS_QUERY_SEARCH_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_query search": the nearest documents of an index.
Subcommand QuerySearchSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_QUERY_SEARCH_H_
