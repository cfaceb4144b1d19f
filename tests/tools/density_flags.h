#ifndef TESTS_TOOLS_DENSITY_FLAGS_H_
#define TESTS_TOOLS_DENSITY_FLAGS_H_

#include <map>
#include <string>
#include <vector>

#include "tests/tools/command.h"

namespace dpkde {

// Values of flags by name.
using Flags = std::map<std::string, std::string>;

// In place of a value: the flag is left out.
inline constexpr char kMissing[] = "<missing>";

// A complete "dpkde_build density" in which only --input and --output are missing.
inline Flags DensityFlags() {
  return {{"similarity", "gaussian"},    {"bandwidth", "1"},  {"epsilon", "1"},
          {"neighboring", "add_remove"}, {"domain_min", "0"}, {"domain_max", "4"}};
}

inline CommandResult BuildDensity(const Flags& changes, const Surroundings& surroundings = {}) {
  Flags flags = DensityFlags();
  for (const auto& [name, value] : changes) flags[name] = value;
  std::vector<std::string> arguments = {"density"};
  for (const auto& [name, value] : flags) {
    if (value != kMissing) arguments.push_back("--" + name + "=" + value);
  }
  return RunCommand("dpkde_build", arguments, surroundings);
}

inline CommandResult QueryDensity(const std::string& release, const std::string& queries,
                                  const std::vector<std::string>& more = {}, const Surroundings& surroundings = {}) {
  std::vector<std::string> arguments = {"density", "--release=" + release, "--queries=" + queries};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunCommand("dpkde_query", arguments, surroundings);
}

}  // namespace dpkde

#endif  // TESTS_TOOLS_DENSITY_FLAGS_H_
