#ifndef DPKDE_TOOLS_HELP_TEXT_H_
#define DPKDE_TOOLS_HELP_TEXT_H_

#include <string>

#include "absl/types/span.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {

// The subcommands of a tool, each with its usage, and the exit codes.
std::string ToolHelp(const std::string& tool, const std::string& summary, absl::Span<const Subcommand> subcommands);

// Usage, summary, an example, and the flags of a subcommand in their groups: the name with the kind of its value, the
// default, and what it does. A word in `back quotes` in the explanation of a flag is what its value is called, as in
// the flag package of Go: "`FILE` to write" shows as --output=FILE. Without one, a type is shown.
std::string SubcommandHelp(const std::string& tool, const Subcommand& subcommand);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_HELP_TEXT_H_
