#include "dpkde/base/exceptions.h"

#include <atomic>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "absl/strings/string_view.h"

namespace dpkde {
namespace {

std::atomic<bool> resources_have_run_out{false};

absl::Status Exhausted(absl::string_view message) {
  resources_have_run_out = true;
  return absl::ResourceExhaustedError(message);
}

}  // namespace

absl::Status StatusOfException() {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return Exhausted("out of memory");
    } catch (const std::length_error&) {
      return Exhausted("out of memory");
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::resource_unavailable_try_again) return Exhausted("no thread could be started");
      return absl::InternalError("unexpected exception: " + std::string(error.what()));
    } catch (const std::exception& error) {
      return absl::InternalError("unexpected exception: " + std::string(error.what()));
    } catch (...) {
      return absl::InternalError("unexpected exception");
    }
  } catch (const std::bad_alloc&) {  // not even for the message
    resources_have_run_out = true;
    return absl::Status(absl::StatusCode::kResourceExhausted, "");
  }
}

bool ResourcesHaveRunOut() { return resources_have_run_out; }

}  // namespace dpkde
