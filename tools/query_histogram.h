#ifndef DPKDE_TOOLS_QUERY_HISTOGRAM_H_
#define DPKDE_TOOLS_QUERY_HISTOGRAM_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_query histogram": the items that private records are near, or a synthetic set drawn from them.
Subcommand QueryHistogramSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_QUERY_HISTOGRAM_H_
