#ifndef DPKDE_TOOLS_BUILD_COMPACT_H_
#define DPKDE_TOOLS_BUILD_COMPACT_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_build compact": an index without what was removed.
Subcommand BuildCompactSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_BUILD_COMPACT_H_
