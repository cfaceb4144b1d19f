#ifndef DPKDE_BASE_RECORD_ERROR_H_
#define DPKDE_BASE_RECORD_ERROR_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Errors about files whose number of records may be private have two texts. The status's message is for the curator,
// who holds the status in a process or sits at a terminal: it names rows, lines and counts. The other text is for
// everybody who may read a log, a pipe or a file; it is a payload of the status, and says "a record" where the first
// says which. Neither holds what a cell, a label or a weight is.
//
//   return RecordError(absl::StatusCode::kInvalidArgument, "row 7, column 1 (counting from 0)", "is nan");
//
// says "row 7, column 1 (counting from 0): is nan" and "a record: is nan".

namespace dpkde {

// `place` says which record it is, `problem` what is wrong with it, whichever it is.
absl::Status RecordError(absl::StatusCode code, absl::string_view place, absl::string_view problem);

// An error whose message holds counts of records; `for_everybody` says the same without them.
absl::Status CountError(absl::StatusCode code, absl::string_view message, absl::string_view for_everybody);

// `status` with "<name>: " in front of both texts, such as the path of a file. OK stays OK.
absl::Status Named(absl::string_view name, const absl::Status& status);

// Of a file that is public: there is nothing to hide from anybody.
absl::Status AboutPublicFile(absl::Status status);
template <typename T>
absl::StatusOr<T> AboutPublicFile(absl::StatusOr<T> result) {
  if (result.ok()) return result;
  return AboutPublicFile(result.status());
}

// Whether there is another text for everybody, and what everybody may read: that text, else the message.
bool HidesPlace(const absl::Status& status);
std::string MessageForEverybody(const absl::Status& status);

}  // namespace dpkde

#endif  // DPKDE_BASE_RECORD_ERROR_H_
