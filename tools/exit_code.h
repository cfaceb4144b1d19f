#ifndef DPKDE_TOOLS_EXIT_CODE_H_
#define DPKDE_TOOLS_EXIT_CODE_H_

#include <string>

#include "absl/status/status.h"

namespace dpkde {

// What the tools exit with; scripts rely on the numbers.
enum class ExitCode : int {
  kOk = 0,
  kUsage = 1,    // unknown or malformed flag, parameter out of range, output exists
  kData = 2,     // the content of a user's data file or queries
  kDamaged = 3,  // a file of ours that is damaged, foreign or of another version
  kPrivacy = 4,  // a privacy parameter that is missing or inadmissible
  kIo = 5,       // cannot open, read or write
  kQuality = 6,  // a quality gate failed
  kInternal = 70,
};

// "Exit codes: 0 success, 1 command line, ...".
std::string ExitCodesHelp();

// The same error, to be reported with `code`. OK stays OK.
absl::Status WithExitCode(absl::Status status, ExitCode code);

// Of a user's file: damage (kDataLoss) is a matter of data, not of a file of ours. Anything else stays what it is.
absl::Status DataError(absl::Status status);

// What a status means for the process: the code given by WithExitCode, else by its kind: kNotFound, kPermissionDenied
// and kUnavailable are kIo; kDataLoss and kFailedPrecondition kDamaged; kAlreadyExists kUsage; kInvalidArgument,
// kOutOfRange and kResourceExhausted kData; the rest kInternal.
ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_EXIT_CODE_H_
