#include "dpkde/tools/input_options.h"

#include <algorithm>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/tools/audience.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {
namespace {

using BlankLines = VectorReaderOptions::BlankLines;
using TextHeader = VectorReaderOptions::TextHeader;

bool ReplacesBadRecords() { return absl::GetFlag(FLAGS_bad_records) == "replace"; }

bool CountIsPublic() { return absl::GetFlag(FLAGS_neighboring) == "replace"; }

absl::StatusOr<TextHeader> ParseHeader() {
  const std::string header = absl::GetFlag(FLAGS_csv_header);
  DPKDE_RETURN_IF_ERROR(CheckChoice("csv_header", header, {"detect", "present", "absent"}));
  return header == "present" ? TextHeader::kPresent : header == "absent" ? TextHeader::kAbsent : TextHeader::kDetect;
}

// `shown`: the line itself too.
void NoteHeader(const std::string& path, uint64_t line, const std::vector<std::string>& cells, bool shown) {
  AddNotice(absl::StrCat(path, ": line ", line, " was taken for a header",
                         shown ? absl::StrCat(": ", absl::StrJoin(cells, ", ").substr(0, 200)) : ""));
}

// Anything but a number or a range of numbers.
bool IsColumnName(absl::string_view column) {
  return !column.empty() && column.find_first_not_of("0123456789-") != absl::string_view::npos;
}

}  // namespace

absl::StatusOr<VectorReaderOptions> ParseInputOptions() {
  VectorReaderOptions options;
  options.format = absl::GetFlag(FLAGS_input_format);
  if (!options.format.empty()) {
    DPKDE_RETURN_IF_ERROR(
        CheckChoice("input_format", options.format,
                    {"npy", "fvecs", "bvecs", "ivecs", "fbin", "u8bin", "i8bin", "ibin", "csv", "tsv"}));
  }
  DPKDE_ASSIGN_OR_RETURN(options.text_header, ParseHeader());
  if (const std::string columns = absl::GetFlag(FLAGS_columns); !columns.empty()) {
    for (absl::string_view column : absl::StrSplit(columns, ',')) {
      column = absl::StripAsciiWhitespace(column);
      if (column.empty()) return UsageError(absl::StrCat("--columns=", columns, " has an empty name"));
      options.columns.emplace_back(column);
      // Only a header has names.
      if (IsColumnName(column) && options.text_header == TextHeader::kDetect) {
        options.text_header = TextHeader::kPresent;
      }
    }
  }
  options.on_detected_header = [](const std::string& path, uint64_t line, const std::vector<std::string>& cells) {
    NoteHeader(path, line, cells, /*shown=*/true);
  };
  return options;
}

VectorReaderOptions OptionsOfAnotherFile(const std::string& path, VectorReaderOptions options) {
  VectorReaderOptions own = options;
  own.format.clear();
  if (VectorReader::FormatOf(path, own).empty()) own.format = options.format;
  own.left_out_column.clear();
  if (!IsTextInput(path, own)) own.columns.clear();
  return own;
}

absl::Status TakeColumnFromTable(const std::string& path, const std::string& flag, const std::string& column,
                                 VectorReaderOptions* table, ListOptions* list) {
  if (VectorReader::IsUnnamedPipe(path)) {
    return UsageError(absl::StrCat("--", flag, " reads the table twice, so it cannot come through a pipe"));
  }
  if (!IsTextInput(path, *table)) {
    return UsageError(absl::StrCat("--", flag, " without a file of its own needs a table of vectors in .csv or .tsv"));
  }
  if (IsColumnName(column) && table->text_header == TextHeader::kDetect) table->text_header = TextHeader::kPresent;
  if (table->columns.empty()) table->left_out_column = column;
  list->format = VectorReader::FormatOf(path, *table);
  list->column = column;
  list->text_header = table->text_header;
  list->in_table = true;
  return absl::OkStatus();
}

absl::StatusOr<ListOptions> ParseListOptions() {
  ListOptions options;
  options.format_of_other_endings = absl::GetFlag(FLAGS_list_format);
  if (!options.format_of_other_endings.empty()) {
    DPKDE_RETURN_IF_ERROR(
        CheckChoice("list_format", options.format_of_other_endings,
                    {"npy", "txt", "csv", "tsv", "ivecs", "bvecs", "ibin", "bin", "u8bin", "i8bin"}));
  }
  DPKDE_ASSIGN_OR_RETURN(options.text_header, ParseHeader());
  return options;
}

std::string InputName(const std::string& path) { return path == "-" ? "standard input" : path; }

bool IsTextInput(const std::string& path, const VectorReaderOptions& options) {
  const std::string format = VectorReader::FormatOf(path, options);
  return format == "csv" || format == "tsv";
}

void MakePrivate(bool paired, VectorReaderOptions* options) {
  const bool every_line = paired || CountIsPublic();
  if (ReplacesBadRecords()) {
    options->malformed_rows = VectorReaderOptions::MalformedRows::kAsNan;
    options->blank_lines = every_line ? BlankLines::kRows : BlankLines::kSkippedAtEnd;
  } else {
    options->blank_lines = every_line ? BlankLines::kSkippedAtEnd : BlankLines::kSkipped;
  }
  options->on_detected_header = [](const std::string& path, uint64_t line, const std::vector<std::string>& cells) {
    NoteHeader(path, line, cells, /*shown=*/IsTerminal());
  };
}

VectorReaderOptions WeightsOptions(const std::string& path, VectorReaderOptions options) {
  options.format.clear();
  if (VectorReader::FormatOf(path, options).empty()) options.format = absl::GetFlag(FLAGS_list_format);
  if (options.format == "txt" || (options.format.empty() && absl::EndsWithIgnoreCase(path, ".txt"))) {
    options.format = "csv";
    options.text_header = TextHeader::kAbsent;
  }
  options.format_flag = "--list_format";
  options.columns.clear();
  options.left_out_column.clear();
  options.expected_dimension = 1;
  return options;
}

void ChooseListColumn(const std::string& column, ListOptions* list) {
  list->column = column;
  // Only a header has names.
  if (IsColumnName(column) && list->text_header == TextHeader::kDetect) list->text_header = TextHeader::kPresent;
}

absl::Status CheckPrivateText(absl::string_view flag, const std::string& path, const VectorReaderOptions& options,
                              TellsColumns columns) {
  if (!IsTextInput(path, options)) return absl::OkStatus();
  const bool weights = flag == "weights";
  const std::string what = weights ? " with --weights as text" : "";
  const std::string first = weights ? "weight" : "record";
  if (options.text_header == TextHeader::kDetect && ReplacesBadRecords()) {
    return UsageError(absl::StrCat("--bad_records=replace", what,
                                   " needs --csv_header=present or --csv_header=absent: a malformed first ", first,
                                   " must not decide whether the first line is a header"));
  }
  if (options.text_header == TextHeader::kDetect && CountIsPublic()) {
    return UsageError(absl::StrCat("--neighboring=replace with --", flag,
                                   " as text needs --csv_header=present or --csv_header=absent: the number of records "
                                   "is released as it is, so what the first line holds must not decide whether it is "
                                   "one of them"));
  }
  if (options.text_header == TextHeader::kPresent || weights || columns == TellsColumns::kFlags || !options.columns.empty()) {
    return absl::OkStatus();
  }
  if (ReplacesBadRecords()) {
    return UsageError(
        "--bad_records=replace with --csv_header=absent needs --dim: a malformed first record must not decide the "
        "number of columns");
  }
  if (absl::GetFlag(FLAGS_neighboring) == "add_remove" && columns == TellsColumns::kNothing) {
    return UsageError(
        "--neighboring=add_remove with text needs --dim, a domain, or --csv_header=present: otherwise only a record "
        "tells the number of columns, and without one nothing could be released");
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> PairedRows(VectorReader::RowRange records, const std::string& other,
                                    VectorReader::RowRange others, absl::string_view role) {
  const uint64_t least = std::max(records.least, others.least), most = std::min(records.most, others.most);
  if (least > most) {
    const std::string input = InputName(absl::GetFlag(FLAGS_input));
    return Named(InputName(other),
                 CountError(absl::StatusCode::kInvalidArgument,
                            absl::StrCat("has ", others.most, " ", role, ", but ", input, " has ", records.most,
                                         " rows; row ", most, " is the first without a partner"),
                            absl::StrCat("must have as many ", role, " as ", input, " has rows")));
  }
  // Where the number is public, a blank line is a record as any other.
  return CountIsPublic() ? most : least;
}

std::string OneColumnHint(const std::string& path, size_t columns) {
  if (columns != 1 || !absl::EndsWithIgnoreCase(path, ".npy")) return "";
  return " (an array of one dimension is one column; save q[None])";
}

}  // namespace dpkde
