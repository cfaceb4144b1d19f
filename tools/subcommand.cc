#include "dpkde/tools/subcommand.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <set>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/types/optional.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/base/version.h"
#include "dpkde/io/temporary_names.h"
#include "dpkde/tools/audience.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/failure_note.h"
#include "dpkde/tools/help_text.h"
#include "dpkde/tools/process.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/suggestion.h"

namespace dpkde {
namespace {

// More than any machine has CPUs; starting many more would fail.
constexpr int kMostThreads = 1024;

std::vector<std::string> FlagNames(const Subcommand& subcommand) {
  std::vector<std::string> names;
  for (const FlagGroup& group : subcommand.flags) {
    for (const TakenFlag& flag : group.flags) names.push_back(flag.name);
  }
  return names;
}

// What a flag takes whose value cannot be parsed.
std::string ExpectedValue(const absl::CommandLineFlag& flag) {
  if (flag.IsOfType<bool>()) return ": it must be true or false";
  if (flag.IsOfType<double>() || flag.IsOfType<absl::optional<double>>()) return ": it must be a number, such as 0.5";
  if (flag.IsOfType<WaitLimit>()) return ": it must be a number of seconds, at least 0";
  return ": it must be an integer in the range of the flag";
}

std::vector<std::string>& Notices() {
  static auto* const notices = new std::vector<std::string>;
  return *notices;
}

// The flag of this name, or the one that "noNAME" turns off; nullptr if there is neither.
absl::CommandLineFlag* FindFlag(absl::string_view name, bool& turned_off) {
  turned_off = false;
  absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
  if (flag != nullptr || !absl::ConsumePrefix(&name, "no")) return flag;
  flag = absl::FindCommandLineFlag(name);
  turned_off = flag != nullptr && flag->IsOfType<bool>();
  return turned_off ? flag : nullptr;
}

// Sets the flags and returns the operands. absl::ParseCommandLine would take the flags of every subcommand, and exit by
// itself.
absl::StatusOr<std::vector<std::string>> ParseArguments(const Subcommand& subcommand, int argc, char** argv) {
  const std::vector<std::string> taken = FlagNames(subcommand);
  // Then a flag that counts must not be hidden behind another of its name; elsewhere the last one counts.
  const bool spends_privacy = std::find(taken.begin(), taken.end(), "neighboring") != taken.end();
  std::set<std::string> given;
  std::vector<std::string> operands;
  bool flags_ended = false;
  for (int i = 2; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (!flags_ended && argument == "--") {
      flags_ended = true;
      continue;
    }
    if (flags_ended || argument == "-" || !absl::ConsumePrefix(&argument, "-")) {
      operands.emplace_back(argv[i]);
      continue;
    }
    absl::ConsumePrefix(&argument, "-");
    const size_t equals = argument.find('=');
    const absl::string_view name = argument.substr(0, equals);
    bool turned_off;
    absl::CommandLineFlag* const flag = FindFlag(name, turned_off);
    if (flag == nullptr) return UsageError(absl::StrCat("unknown flag --", name, DidYouMean(name, taken, "--")));
    if (std::find(taken.begin(), taken.end(), flag->Name()) == taken.end()) {
      return UsageError(absl::StrCat("flag --", flag->Name(), " is not taken by '", subcommand.name, "'",
                                     DidYouMean(name, taken, "--")));
    }
    if (!given.insert(std::string(flag->Name())).second && spends_privacy) {
      return UsageError(absl::StrCat("flag --", flag->Name(), " is given more than once"));
    }
    std::string value;
    if (equals != absl::string_view::npos) {
      if (turned_off) return UsageError(absl::StrCat("flag --", name, " takes no value"));
      value = std::string(argument.substr(equals + 1));
    } else if (flag->IsOfType<bool>() || flag->IsOfType<WaitLimit>()) {
      value = turned_off ? "false" : "true";
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      return UsageError(absl::StrCat("flag --", name, " needs a value"));
    }
    std::string error;
    if (!flag->ParseFrom(value, &error)) {
      return UsageError(absl::StrCat("malformed value '", value, "' of flag --", flag->Name(), ExpectedValue(*flag)));
    }
  }
  return operands;
}

absl::Status RunSubcommand(const Subcommand& subcommand, int argc, char** argv) try {
  DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> operands, ParseArguments(subcommand, argc, argv));
  if (operands.size() > subcommand.operands.size()) {
    return UsageError(absl::StrCat("unexpected operand '", operands[subcommand.operands.size()], "'"));
  }
  if (operands.size() < subcommand.operands.size()) {
    return UsageError(absl::StrCat("operand ", subcommand.operands[operands.size()], " is missing"));
  }
  DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--threads", absl::GetFlag(FLAGS_threads), 0, kMostThreads)));
  StartBlasThreads();
  return subcommand.run(operands);
} catch (...) {
  return WithExitCode(StatusOfException(), ExitCode::kInternal);
}

absl::Status UnknownSubcommand(const std::string& name, absl::Span<const Subcommand> subcommands) {
  if (name.empty()) return UsageError("a subcommand is missing");
  std::vector<std::string> names;
  for (const Subcommand& subcommand : subcommands) names.push_back(subcommand.name);
  return UsageError(absl::StrCat("unknown subcommand '", name, "'", DidYouMean(name, names)));
}

// A file that is opened while a standard stream is closed would get its number, and receive what is printed. Standard
// output is replaced by something that cannot be written, so that lost results are noticed.
void FillClosedStandardStreams() {
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) < 0) open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// Whatever was printed, by any means, and whenever it failed.
absl::Status FinishStandardOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return absl::OkStatus();
  return absl::UnavailableError("standard output: cannot be written");
}

}  // namespace

absl::StatusOr<Neighboring> ParseNeighboring(absl::string_view what_it_decides) {
  const std::string neighboring = absl::GetFlag(FLAGS_neighboring);
  if (neighboring == "add_remove") return Neighboring::kAddRemove;
  if (neighboring == "replace") return Neighboring::kReplace;
  if (neighboring.empty()) {
    return PrivacyError(absl::StrCat("--neighboring is missing: ", what_it_decides, "; there is no default"));
  }
  return PrivacyError(absl::StrCat("--neighboring must be add_remove or replace, but is '", neighboring, "'",
                                   DidYouMean(neighboring, {"add_remove", "replace"})));
}

absl::Status PrivacyError(const std::string& message) {
  return WithExitCode(absl::InvalidArgumentError(message), ExitCode::kPrivacy);
}

void AddNotice(const std::string& notice) {
  std::vector<std::string>& notices = Notices();
  if (std::find(notices.begin(), notices.end(), notice) == notices.end()) notices.push_back(notice);
}

absl::Status UsageError(const std::string& message) {
  return WithExitCode(absl::InvalidArgumentError(message), ExitCode::kUsage);
}

absl::Status FlagError(const absl::Status& status, absl::string_view before) {
  return status.ok() ? status : UsageError(absl::StrCat(before, std::string(status.message())));
}

absl::Status CheckChoice(const std::string& flag, const std::string& value, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return absl::OkStatus();
  return UsageError(absl::StrCat("--", flag, " must be one of ", absl::StrJoin(known, ", "), ", but is '", value, "'",
                                 DidYouMean(value, known)));
}

int RunTool(const std::string& tool, const std::string& summary, absl::Span<const Subcommand> subcommands, int argc,
            char** argv) {
  PrepareProcess();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  RemoveTemporaryNamesOnSignals(&PrintFailureNote);
  FillClosedStandardStreams();
  const auto has_flag = [&](absl::string_view name) {
    return std::any_of(argv + 1, argv + argc, [&](const char* argument) { return argument == name; });
  };
  const std::string name = argc > 1 ? argv[1] : "";
  const auto subcommand = std::find_if(subcommands.begin(), subcommands.end(),
                                       [&](const Subcommand& candidate) { return candidate.name == name; });
  const bool known = subcommand != subcommands.end();
  absl::Status status;
  if (has_flag("--version")) {
    std::printf("%s %s\n", tool.c_str(), kDpkdeVersion);
  } else if (has_flag("--help") || has_flag("-help") || has_flag("-h")) {
    std::fputs((known ? SubcommandHelp(tool, *subcommand) : ToolHelp(tool, summary, subcommands)).c_str(), stdout);
  } else if (known) {
    status = RunSubcommand(*subcommand, argc, argv);
  } else {
    status = UnknownSubcommand(name, subcommands);
  }
  if (status.ok()) status = FinishStandardOutput();
  if (status.ok()) {
    for (const std::string& notice : Notices()) {
      if (!absl::GetFlag(FLAGS_quiet)) std::fprintf(stderr, "%s\n", notice.c_str());
    }
    return 0;
  }
  const absl::string_view note = FailureNote();
  const auto print = [&](const char* before, absl::string_view message) {
    std::fprintf(stderr, "%s: %s%.*s%s%.*s\n", tool.c_str(), before, static_cast<int>(message.size()), message.data(),
                 note.empty() ? "" : "; ", static_cast<int>(note.size()), note.data());
  };
  if (ResourcesHaveRunOut()) {
    // Whatever was made of it on the way. The rest of the message says what could not be done.
    const absl::string_view message = StderrMayCount() || !HidesPlace(status) ? status.message() : "";
    const bool says_so = absl::StrContains(message, "out of memory") || absl::StrContains(message, "no thread");
    print(says_so ? "" : "out of memory: ", message);
    EndProcess(static_cast<int>(ExitCode::kInternal));
  }
  std::string message = MessageForStderr(status);
  for (const std::string& notice : Notices()) absl::StrAppend(&message, " (", notice, ")");
  print("", message);
  const ExitCode code = ExitCodeOf(status);
  if (name.empty()) {
    std::fputs(ToolHelp(tool, summary, subcommands).c_str(), stderr);
  } else if (code == ExitCode::kUsage) {
    std::fprintf(stderr, "Try '%s%s --help'.\n", tool.c_str(), known ? absl::StrCat(" ", name).c_str() : "");
  }
  return static_cast<int>(code);
}

}  // namespace dpkde
