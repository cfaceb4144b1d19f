#ifndef DPKDE_TOOLS_BUILD_DENSITY_H_
#define DPKDE_TOOLS_BUILD_DENSITY_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_build density": reads private records, plans, adds them up, adds noise and writes a release.
Subcommand BuildDensitySubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_BUILD_DENSITY_H_
