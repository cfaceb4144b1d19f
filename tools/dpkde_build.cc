#include "dpkde/tools/build_density.h"
#include "dpkde/tools/build_ledger.h"
#include "dpkde/tools/subcommand.h"

int main(int argc, char** argv) {
  return dpkde::RunTool("dpkde_build", "makes differentially private releases from private data, offline",
                        {dpkde::BuildDensitySubcommand(), dpkde::BuildLedgerSubcommand()}, argc, argv);
}
