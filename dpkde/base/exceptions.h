#ifndef DPKDE_BASE_EXCEPTIONS_H_
#define DPKDE_BASE_EXCEPTIONS_H_

#include "absl/status/status.h"

namespace dpkde {

// The status of the exception that is being handled: kResourceExhausted "out of memory" for std::bad_alloc and
// std::length_error (a container longer than any memory), kResourceExhausted "no thread could be started" where the
// system says so, kInternal for anything else.
//
// No exception leaves a public function of the library that returns a status. The functions by which work enters it
// are function try blocks:
//
//   absl::StatusOr<Release> Release::Deserialize(absl::string_view bytes) try {
//     ...
//   } catch (...) {
//     return StatusOfException();
//   }
//
// Those that they call leave exceptions alone, so that what comes out has no words of a caller around it.
absl::Status StatusOfException();

// Whether StatusOfException() has ever met memory or a thread that could not be had. Whatever a caller has made of that
// status, and of its message, an error later on is about that: the tools exit as out of memory.
bool ResourcesHaveRunOut();

}  // namespace dpkde

#endif  // DPKDE_BASE_EXCEPTIONS_H_
