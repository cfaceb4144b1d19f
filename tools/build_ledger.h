#ifndef DPKDE_TOOLS_BUILD_LEDGER_H_
#define DPKDE_TOOLS_BUILD_LEDGER_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_build ledger": declares the privacy budget of a dataset.
Subcommand BuildLedgerSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_BUILD_LEDGER_H_
