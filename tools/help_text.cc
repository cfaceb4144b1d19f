#include "dpkde/tools/help_text.h"

#include <cstdint>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"
#include "dpkde/tools/exit_code.h"

namespace dpkde {
namespace {

constexpr size_t kLineWidth = 100;

// `text` in lines of at most kLineWidth columns (longer only where a word is), each indented, each with its end.
std::string Wrapped(absl::string_view text, size_t indent) {
  const std::string margin(indent, ' ');
  std::string lines, line;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > kLineWidth) {
      absl::StrAppend(&lines, margin, line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  return absl::StrCat(lines, margin, line, "\n");
}

template <typename T>
bool Holds(const absl::CommandLineFlag& flag) {
  return flag.IsOfType<T>() || flag.IsOfType<absl::optional<T>>();
}

std::string TypeName(const absl::CommandLineFlag& flag) {
  if (flag.IsOfType<bool>()) return "";
  if (Holds<double>(flag)) return "NUMBER";
  if (Holds<int>(flag) || Holds<uint32_t>(flag) || Holds<int64_t>(flag) || Holds<uint64_t>(flag)) return "INTEGER";
  return "TEXT";
}

// "  --k=INTEGER (default 10)\n      Results of a query.\n"
std::string FlagHelp(const TakenFlag& taken) {
  const absl::CommandLineFlag* const flag = absl::FindCommandLineFlag(taken.name);
  if (flag == nullptr) return "";
  std::string explanation = taken.help.empty() ? flag->Help() : taken.help;
  std::string value = TypeName(*flag);
  const std::vector<std::string> quoted = absl::StrSplit(explanation, absl::MaxSplits('`', 2));
  if (quoted.size() == 3) {
    value = quoted[1];
    explanation = absl::StrCat(quoted[0], quoted[1], quoted[2]);
  }
  const std::string initial = flag->IsOfType<bool>() ? "" : flag->DefaultValue();
  return absl::StrCat("  --", taken.name, value.empty() ? "" : absl::StrCat("=", value),
                      initial.empty() ? "" : absl::StrCat(" (default ", initial, ")"), "\n", Wrapped(explanation, 6));
}

}  // namespace

std::string ToolHelp(const std::string& tool, const std::string& summary, absl::Span<const Subcommand> subcommands) {
  std::string text = absl::StrCat(Wrapped(absl::StrCat(tool, ": ", summary), 0), "\n");
  for (const Subcommand& subcommand : subcommands) {
    absl::StrAppend(&text, Wrapped(absl::StrCat(tool, " ", subcommand.name, " ", subcommand.usage), 2),
                    Wrapped(subcommand.summary, 6), "\n");
  }
  absl::StrAppend(&text, "'", tool, " SUBCOMMAND --help' explains its flags and shows an example; '", tool,
                  " --version' prints the version.\n", Wrapped(ExitCodesHelp(), 0));
  return text;
}

std::string SubcommandHelp(const std::string& tool, const Subcommand& subcommand) {
  const std::string command = absl::StrCat(tool, " ", subcommand.name, " ");
  std::string text = absl::StrCat(Wrapped(absl::StrCat(command, subcommand.usage), 0), "\n",
                                  Wrapped(subcommand.summary, 0), "\nExample:\n  ", command, subcommand.example, "\n");
  for (const FlagGroup& group : subcommand.flags) {
    absl::StrAppend(&text, "\n", group.heading, ":\n");
    for (const TakenFlag& flag : group.flags) absl::StrAppend(&text, FlagHelp(flag));
  }
  return text;
}

}  // namespace dpkde
