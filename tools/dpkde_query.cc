#include "dpkde/tools/query_classify.h"
#include "dpkde/tools/query_density.h"
#include "dpkde/tools/query_describe.h"
#include "dpkde/tools/query_histogram.h"
#include "dpkde/tools/query_plot.h"
#include "dpkde/tools/query_search.h"
#include "dpkde/tools/query_tune.h"
#include "dpkde/tools/subcommand.h"

int main(int argc, char** argv) {
  return dpkde::RunTool(
      "dpkde_query", "answers from released files and public indexes; costs no privacy",
      {dpkde::QueryDensitySubcommand(), dpkde::QueryClassifySubcommand(), dpkde::QueryHistogramSubcommand(),
       dpkde::QueryPlotSubcommand(), dpkde::QuerySearchSubcommand(), dpkde::QueryTuneSubcommand(),
       dpkde::QueryDescribeSubcommand()},
      argc, argv);
}
