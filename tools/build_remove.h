#ifndef DPKDE_TOOLS_BUILD_REMOVE_H_
#define DPKDE_TOOLS_BUILD_REMOVE_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_build remove": documents out of an index, by id.
Subcommand BuildRemoveSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_BUILD_REMOVE_H_
