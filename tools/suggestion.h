#ifndef DPKDE_TOOLS_SUGGESTION_H_
#define DPKDE_TOOLS_SUGGESTION_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace dpkde {

// "; did you mean PREFIXgaussian?" where `given` is near to one of the `known` words, else "". Case does not count, nor
// the difference of - and _. Near: as many insertions, deletions, replacements and swaps of neighbours as a third of
// the longer word has letters.
std::string DidYouMean(absl::string_view given, const std::vector<std::string>& known, absl::string_view prefix = "");

}  // namespace dpkde

#endif  // DPKDE_TOOLS_SUGGESTION_H_
