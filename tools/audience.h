#ifndef DPKDE_TOOLS_AUDIENCE_H_
#define DPKDE_TOOLS_AUDIENCE_H_

#include <string>

#include "absl/status/status.h"

namespace dpkde {

// Who reads what a tool says beside its release. The curator sits at a terminal, and may see rows, counts, time and
// progress (never what a cell holds). Everybody may read files, and standard error that is no terminal: a log, a pipe.
//
// Where --neighboring=add_remove makes the number of records private, nothing that everybody may read depends on it:
// no count, no row, no percentage, and neither time nor memory, which grow with it.

// Whether files, such as that of --summary_out, may depend on the number of records.
bool RecordsArePublicInNumber();

// Whether standard error may: RecordsArePublicInNumber(), or it is a terminal.
bool StderrMayCount();

// Whether standard error is a terminal, for counts that are private under every relation.
bool IsTerminal();

// What to print of an error on standard error.
std::string MessageForStderr(const absl::Status& status);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_AUDIENCE_H_
