#ifndef DPKDE_TOOLS_BUILD_ADD_H_
#define DPKDE_TOOLS_BUILD_ADD_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_build add": more documents for an index.
Subcommand BuildAddSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_BUILD_ADD_H_
