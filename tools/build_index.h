#ifndef DPKDE_TOOLS_BUILD_INDEX_H_
#define DPKDE_TOOLS_BUILD_INDEX_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_build index": an index directory of public documents.
Subcommand BuildIndexSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_BUILD_INDEX_H_
