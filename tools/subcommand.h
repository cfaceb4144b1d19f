#ifndef DPKDE_TOOLS_SUBCOMMAND_H_
#define DPKDE_TOOLS_SUBCOMMAND_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "dpkde/privacy/privacy_spec.h"

namespace dpkde {

// A flag as one subcommand takes it.
struct TakenFlag {
  // NOLINTNEXTLINE(google-explicit-constructor): most flags are no more than a name.
  TakenFlag(const char* name) : name(name) {}
  TakenFlag(const char* name, const char* help) : name(name), help(help) {}

  std::string name;  // without dashes
  // The explanation in this subcommand's --help; "": that of ABSL_FLAG, which is then true for this subcommand too.
  std::string help;
};

// Flags that --help shows together, under "Privacy:".
struct FlagGroup {
  std::string heading;
  std::vector<TakenFlag> flags;
};

// One subcommand of a tool.
struct Subcommand {
  std::string name;
  std::string summary;  // one line
  std::string usage;    // after "tool name": "--input=FILE --epsilon=NUMBER ... --output=FILE"
  std::string example;  // after "tool name": a whole command that works where its files exist
  // The flags it takes, those that are required first; any other is refused, though another subcommand may know it.
  std::vector<FlagGroup> flags;
  // Names of the operands, all required: {"FILE"}.
  std::vector<std::string> operands;
  std::function<absl::Status(const std::vector<std::string>& operands)> run;
};

// The main function of a tool: finds the subcommand, parses the flags that it takes and refuses all others, runs it,
// and turns its status into a line on stderr and an exit code. Where a subcommand takes --neighboring, a flag that is
// given twice is refused; elsewhere the last one counts. Handles --help and --version (stdout, exit 0), shows the list
// of subcommands where none is named (stderr, exit 1), and checks --threads. Ignores SIGPIPE and SIGXFSZ, so that a
// closed pipe and a file-size limit are errors that can be reported; SIGHUP, SIGINT and SIGTERM remove temporary files before they end the process; a subcommand may print to stdout without looking
// for errors, since they are noticed at the end (exit 5).
int RunTool(const std::string& tool, const std::string& summary, absl::Span<const Subcommand> subcommands, int argc,
            char** argv);

// Something that a user should know of what was read, such as a line that was taken for a header. Shown on stderr: in a
// line of its own when all is done, unless --quiet; or in brackets behind an error. Once, however often it is added.
void AddNotice(const std::string& notice);

// An error about the command line itself (exit code 1).
absl::Status UsageError(const std::string& message);

// What the library says about the value of a flag, as a usage error, after `before`. OK stays OK.
absl::Status FlagError(const absl::Status& status, absl::string_view before = "");

// An error about a privacy parameter that is missing or inadmissible (exit code 4).
absl::Status PrivacyError(const std::string& message);

// A usage error unless `value` is one of the `known` values of --`flag`; says which may have been meant.
absl::Status CheckChoice(const std::string& flag, const std::string& value, const std::vector<std::string>& known);

// The relation that --neighboring names. A privacy error if it is unknown or missing; for the latter `what_it_decides`
// tells why there is no default.
absl::StatusOr<Neighboring> ParseNeighboring(absl::string_view what_it_decides);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_SUBCOMMAND_H_
