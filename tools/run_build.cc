#include "dpkde/tools/build_add.h"
#include "dpkde/tools/build_classifier.h"
#include "dpkde/tools/build_compact.h"
#include "dpkde/tools/build_density.h"
#include "dpkde/tools/build_encode.h"
#include "dpkde/tools/build_histogram.h"
#include "dpkde/tools/build_index.h"
#include "dpkde/tools/build_ledger.h"
#include "dpkde/tools/build_remove.h"
#include "dpkde/tools/run_tools.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {

int RunDpkdeBuild(int argc, char** argv) {
  return RunTool("dpkde_build",
                 "makes differentially private releases of private data and search indexes of public data, offline",
                 {BuildDensitySubcommand(), BuildClassifierSubcommand(), BuildHistogramSubcommand(),
                  BuildLedgerSubcommand(), BuildIndexSubcommand(), BuildAddSubcommand(), BuildRemoveSubcommand(),
                  BuildCompactSubcommand(), BuildEncodeSubcommand()},
                 argc, argv);
}

}  // namespace dpkde
