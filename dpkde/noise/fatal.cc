#include "dpkde/noise/fatal.h"

#include <cstdio>
#include <exception>

namespace dpkde {

void Fatal(const char* message) {
  std::fprintf(stderr, "dpkde: %s\n", message);
  std::fflush(stderr);
  std::terminate();
}

}  // namespace dpkde
