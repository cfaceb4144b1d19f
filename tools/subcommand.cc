#include "dpkde/tools/subcommand.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "dpkde/base/version.h"
#include "dpkde/tools/exit_code.h"

namespace dpkde {
namespace {

std::string ToolHelp(const std::string& tool, const std::string& summary, absl::Span<const Subcommand> subcommands) {
  std::string text = absl::StrCat(tool, ": ", summary, "\n\n");
  for (const Subcommand& subcommand : subcommands) {
    absl::StrAppend(&text, "  ", tool, " ", subcommand.name, " ", subcommand.usage, "\n      ", subcommand.summary, "\n");
  }
  absl::StrAppend(&text, "\n'", tool, " SUBCOMMAND --help' explains its flags; '", tool, " --version' prints the version.\n");
  return text;
}

std::string SubcommandHelp(const std::string& tool, const Subcommand& subcommand) {
  std::string text =
      absl::StrCat(tool, " ", subcommand.name, " ", subcommand.usage, "\n\n", subcommand.summary, "\n\n");
  for (const std::string& name : subcommand.flags) {
    const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
    absl::StrAppend(&text, "  --", name, "\n      ", flag == nullptr ? "" : flag->Help(), "\n");
  }
  return text;
}

bool IsBool(const absl::CommandLineFlag& flag) { return flag.IsOfType<bool>(); }

// Refuses flags that do not exist or that the subcommand does not take, before any is parsed.
absl::Status CheckFlags(const Subcommand& subcommand, int argc, char** argv) {
  for (int i = 2; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (argument == "--") break;
    if (argument == "-" || !absl::ConsumePrefix(&argument, "-")) continue;
    absl::ConsumePrefix(&argument, "-");
    const absl::string_view name = argument.substr(0, argument.find('='));
    const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
    absl::string_view positive = name;
    if (flag == nullptr && absl::ConsumePrefix(&positive, "no")) {
      flag = absl::FindCommandLineFlag(positive);
      if (flag != nullptr && !IsBool(*flag)) flag = nullptr;
    }
    if (flag == nullptr) return UsageError(absl::StrCat("unknown flag --", name));
    if (std::find(subcommand.flags.begin(), subcommand.flags.end(), flag->Name()) == subcommand.flags.end()) {
      return UsageError(absl::StrCat("flag --", flag->Name(), " is not taken by '", subcommand.name, "'"));
    }
    const bool has_value = name.size() < argument.size();
    if (!has_value && !IsBool(*flag)) ++i;  // "--flag value"
  }
  return absl::OkStatus();
}

absl::Status RunSubcommand(const Subcommand& subcommand, int argc, char** argv) {
  if (const absl::Status status = CheckFlags(subcommand, argc, argv); !status.ok()) return status;
  // Exits with 1 for malformed values.
  const std::vector<char*> positional = absl::ParseCommandLine(argc, argv);
  // positional[0] is the program, [1] the subcommand.
  const std::vector<std::string> operands(positional.begin() + std::min<size_t>(2, positional.size()), positional.end());
  if (operands.size() > subcommand.operands.size()) {
    return UsageError(absl::StrCat("unexpected operand '", operands[subcommand.operands.size()], "'"));
  }
  if (operands.size() < subcommand.operands.size()) {
    return UsageError(absl::StrCat("operand ", subcommand.operands[operands.size()], " is missing"));
  }
  try {
    return subcommand.run(operands);
  } catch (const std::bad_alloc&) {
    return absl::InternalError("out of memory");
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("unexpected exception: ", error.what()));
  }
}

}  // namespace

absl::Status UsageError(const std::string& message) {
  return WithExitCode(absl::InvalidArgumentError(message), ExitCode::kUsage);
}

int RunTool(const std::string& tool, const std::string& summary, absl::Span<const Subcommand> subcommands, int argc,
            char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  absl::SetProgramUsageMessage(ToolHelp(tool, summary, subcommands));
  const auto has_flag = [&](absl::string_view name) {
    return std::any_of(argv + 1, argv + argc, [&](const char* argument) { return argument == name; });
  };
  if (has_flag("--version")) {
    std::printf("%s %s\n", tool.c_str(), kDpkdeVersion);
    return 0;
  }
  const std::string name = argc > 1 ? argv[1] : "";
  const auto subcommand = std::find_if(subcommands.begin(), subcommands.end(),
                                       [&](const Subcommand& candidate) { return candidate.name == name; });
  if (has_flag("--help") || has_flag("-help") || has_flag("-h")) {
    const std::string help =
        subcommand == subcommands.end() ? ToolHelp(tool, summary, subcommands) : SubcommandHelp(tool, *subcommand);
    std::fputs(help.c_str(), stdout);
    return 0;
  }
  absl::Status status;
  if (subcommand == subcommands.end()) {
    status = UsageError(name.empty() ? "a subcommand is missing" : absl::StrCat("unknown subcommand '", name, "'"));
  } else {
    status = RunSubcommand(*subcommand, argc, argv);
  }
  if (status.ok() && std::fflush(stdout) != 0) status = absl::UnavailableError("standard output: cannot be written");
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", tool.c_str(), std::string(status.message()).c_str());
  const ExitCode code = ExitCodeOf(status);
  if (code == ExitCode::kUsage) {
    std::fprintf(stderr, "Try '%s%s --help'.\n", tool.c_str(),
                 subcommand == subcommands.end() ? "" : absl::StrCat(" ", name).c_str());
  }
  return static_cast<int>(code);
}

}  // namespace dpkde
