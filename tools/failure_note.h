#ifndef DPKDE_TOOLS_FAILURE_NOTE_H_
#define DPKDE_TOOLS_FAILURE_NOTE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace dpkde {

// What whoever reads the error of this process must know besides, from now on: such as "epsilon = 1 stays booked as
// pending entry 2 of visits.ledger", or that a file is in its place. RunTool appends it to whatever error ends the
// process, and prints it when a signal does. "" for nothing. One thread at a time.
void NoteOnFailure(const std::string& note);

absl::string_view FailureNote();

// Prints it to stderr, in a line of its own. Async-signal-safe.
void PrintFailureNote();

}  // namespace dpkde

#endif  // DPKDE_TOOLS_FAILURE_NOTE_H_
