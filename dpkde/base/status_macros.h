#ifndef DPKDE_BASE_STATUS_MACROS_H_
#define DPKDE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function if `expression`, an absl::Status, is an error.
#define DPKDE_RETURN_IF_ERROR(expression)        \
  do {                                           \
    absl::Status dpkde_status = (expression);    \
    if (!dpkde_status.ok()) return dpkde_status; \
  } while (false)

// Assigns the value of `expression`, an absl::StatusOr, to `declaration`, or returns its error.
#define DPKDE_ASSIGN_OR_RETURN(declaration, expression) \
  DPKDE_ASSIGN_OR_RETURN_IMPL_(DPKDE_CONCATENATE_(dpkde_status_or_, __LINE__), declaration, expression)

#define DPKDE_ASSIGN_OR_RETURN_IMPL_(result, declaration, expression) \
  auto result = (expression);                                         \
  if (!result.ok()) return std::move(result).status();                \
  declaration = *std::move(result)

#define DPKDE_CONCATENATE_(a, b) DPKDE_CONCATENATE_IMPL_(a, b)
#define DPKDE_CONCATENATE_IMPL_(a, b) a##b

#endif  // DPKDE_BASE_STATUS_MACROS_H_
