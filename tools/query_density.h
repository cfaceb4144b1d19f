#ifndef DPKDE_TOOLS_QUERY_DENSITY_H_
#define DPKDE_TOOLS_QUERY_DENSITY_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_query density": the estimated similarity sum of each query.
Subcommand QueryDensitySubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_QUERY_DENSITY_H_
