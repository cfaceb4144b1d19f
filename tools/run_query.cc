#include "dpkde/tools/query_classify.h"
#include "dpkde/tools/query_density.h"
#include "dpkde/tools/query_describe.h"
#include "dpkde/tools/query_histogram.h"
#include "dpkde/tools/query_plot.h"
#include "dpkde/tools/query_search.h"
#include "dpkde/tools/query_tune.h"
#include "dpkde/tools/run_tools.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {

int RunDpkdeQuery(int argc, char** argv) {
  return RunTool("dpkde_query", "answers from released files and public indexes; costs no privacy",
                 {QueryDensitySubcommand(), QueryClassifySubcommand(), QueryHistogramSubcommand(),
                  QueryPlotSubcommand(), QuerySearchSubcommand(), QueryTuneSubcommand(), QueryDescribeSubcommand()},
                 argc, argv);
}

}  // namespace dpkde
