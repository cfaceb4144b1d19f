#ifndef DPKDE_TOOLS_QUERY_PLOT_H_
#define DPKDE_TOOLS_QUERY_PLOT_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_query plot": a heat map of a two-dimensional release.
Subcommand QueryPlotSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_QUERY_PLOT_H_
