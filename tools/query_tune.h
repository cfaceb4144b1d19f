#ifndef DPKDE_TOOLS_QUERY_TUNE_H_
#define DPKDE_TOOLS_QUERY_TUNE_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_query tune": recall against candidates, bytes and latency on the user's data.
Subcommand QueryTuneSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_QUERY_TUNE_H_
