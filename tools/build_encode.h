#ifndef DPKDE_TOOLS_BUILD_ENCODE_H_
#define DPKDE_TOOLS_BUILD_ENCODE_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_build encode": token sets to vectors, in a file.
Subcommand BuildEncodeSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_BUILD_ENCODE_H_
