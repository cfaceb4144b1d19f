#ifndef DPKDE_TOOLS_BUILD_HISTOGRAM_H_
#define DPKDE_TOOLS_BUILD_HISTOGRAM_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_build histogram": private records and an index of public items -> a release of how many records are near
// which.
Subcommand BuildHistogramSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_BUILD_HISTOGRAM_H_
