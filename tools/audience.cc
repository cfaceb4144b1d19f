#include "dpkde/tools/audience.h"

#include <unistd.h>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/record_error.h"
#include "dpkde/tools/shared_flags.h"

namespace dpkde {

// Subcommands without --neighboring read nothing private.
bool RecordsArePublicInNumber() { return absl::GetFlag(FLAGS_neighboring) != "add_remove"; }

bool IsTerminal() { return isatty(STDERR_FILENO) == 1; }

bool StderrMayCount() { return RecordsArePublicInNumber() || IsTerminal(); }

std::string MessageForStderr(const absl::Status& status) {
  if (StderrMayCount() || !HidesPlace(status)) return std::string(status.message());
  return absl::StrCat(MessageForEverybody(status), " (a terminal shows more)");
}

}  // namespace dpkde
