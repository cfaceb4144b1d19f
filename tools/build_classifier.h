#ifndef DPKDE_TOOLS_BUILD_CLASSIFIER_H_
#define DPKDE_TOOLS_BUILD_CLASSIFIER_H_

#include "dpkde/tools/subcommand.h"

namespace dpkde {

// "dpkde_build classifier": a classifier from private labelled records.
Subcommand BuildClassifierSubcommand();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_BUILD_CLASSIFIER_H_
