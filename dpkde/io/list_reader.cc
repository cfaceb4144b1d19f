#include "dpkde/io/list_reader.h"

#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/dense_reader.h"
#include "dpkde/io/input_file.h"
#include "dpkde/io/text_rows.h"

namespace dpkde {
namespace {

using TextHeader = VectorReaderOptions::TextHeader;
using BlankLines = VectorReaderOptions::BlankLines;

struct Format {
  const char* name;
  DenseFormat format;
  ElementType type;
};

constexpr Format kFormats[] = {
    {"npy", DenseFormat::kNpy, ElementType::kInt64},    {"ivecs", DenseFormat::kVecs, ElementType::kInt32},
    {"bvecs", DenseFormat::kVecs, ElementType::kUint8}, {"ibin", DenseFormat::kBin, ElementType::kInt32},
    {"u8bin", DenseFormat::kBin, ElementType::kUint8},  {"i8bin", DenseFormat::kBin, ElementType::kInt8},
    {"bin", DenseFormat::kBin, ElementType::kInt32},
};

constexpr const char* kTextFormats[] = {"txt", "csv", "tsv"};

// Empty if neither options nor path tell.
std::string FormatOf(const std::string& path, const ListOptions& options) {
  if (!options.format.empty()) return options.format;
  const auto ends = [&](const char* name) { return absl::EndsWithIgnoreCase(path, absl::StrCat(".", name)); };
  for (const char* name : kTextFormats) {
    if (ends(name)) return name;
  }
  for (const Format& known : kFormats) {
    if (ends(known.name)) return known.name;
  }
  if (!options.format_of_other_endings.empty()) return options.format_of_other_endings;
  return InputFile::HasNoName(path) ? "txt" : "";
}

// 'x' for .txt, ',' or a tab; 0 for another format.
char TextKind(const std::string& format) {
  return format == "txt" ? 'x' : format == "csv" ? ',' : format == "tsv" ? '\t' : 0;
}

absl::StatusOr<const Format*> DenseFormatOf(const InputFile& file, const std::string& format) {
  for (const Format& known : kFormats) {
    if (format == known.name) return &known;
  }
  constexpr char kNames[] = "npy, ivecs, bvecs, ibin, bin, u8bin, i8bin, txt, csv, tsv";
  return file.Error(absl::StatusCode::kInvalidArgument,
                    format.empty()
                        ? absl::StrCat("has an ending that is none of ", kNames, "; name its format with --list_format")
                        : absl::StrCat("the format \"", format, "\" is none of ", kNames));
}

absl::StatusOr<IntegerTable> ReadTextIntegers(std::unique_ptr<InputFile> file, char kind, const ListOptions& options) {
  TextRows::Options text;
  text.separator = kind == 'x' ? 0 : kind;
  text.header = kind == 'x' ? TextHeader::kAbsent : options.text_header;
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<TextRows> rows, TextRows::Open(std::move(file), text));
  IntegerTable table;
  for (;; ++table.rows) {
    DPKDE_ASSIGN_OR_RETURN(const bool any, rows->Next());
    if (!any) return table;
    const auto error = [&](absl::optional<size_t> column, absl::string_view phrase) {
      return rows->RowError(table.rows, column, phrase);
    };
    if (const std::string problem = rows->Problem(); !problem.empty()) return error(absl::nullopt, problem);
    std::vector<std::string> cells;
    if (kind == 'x') {
      cells = absl::StrSplit(rows->line(), absl::ByAnyChar(" \t"), absl::SkipEmpty());
    } else {
      CellReader reader(rows->line(), kind);
      while (reader.Next()) cells.emplace_back(reader.text());
    }
    if (table.rows == 0) table.columns = cells.size();
    if (cells.size() != table.columns) {
      return error(absl::nullopt, absl::StrCat("has ", cells.size(), " columns instead of ", table.columns));
    }
    for (size_t column = 0; column < cells.size(); ++column) {
      int64_t value;
      double whole;  // as written by programs that turn columns with gaps into floats
      const bool is_whole =
          ParseDecimal(cells[column], &whole) && std::abs(whole) < 0x1p53 && whole == std::floor(whole);
      if (!absl::SimpleAtoi(cells[column], &value) && is_whole) {
        value = static_cast<int64_t>(whole);
      } else if (!absl::SimpleAtoi(cells[column], &value)) {
        return error(column, absl::StrCat("'", cells[column].substr(0, 40), "' is not an integer"));
      }
      table.values.push_back(value);
    }
  }
}

// The cell of a column; what is wrong with the row in `problem`.
absl::optional<std::string> CellOf(absl::string_view line, char separator, size_t column, bool only,
                                   std::string* problem) {
  absl::optional<std::string> text;
  size_t count = 0;
  CellReader cells(line, separator);
  for (; cells.Next(); ++count) {
    if (count == column) text = cells.Unquoted();
  }
  if (cells.unclosed()) {
    *problem = "ends inside quotes";
  } else if (only && count != 1) {
    *problem = absl::StrCat("has a second column (", count,
                            " cells), but one is read; --label_column or --id_column "
                            "chooses it");
  } else if (!text.has_value()) {
    *problem = absl::StrCat("has ", count, " cells, and so no column ", column);
  }
  return problem->empty() ? text : absl::nullopt;
}

absl::Status ForEachLine(std::unique_ptr<InputFile> file, char kind, const ListOptions& options,
                         const ListVisitor& visit) {
  TextRows::Options text;
  text.separator = kind == 'x' ? 0 : kind;
  text.header = kind != 'x' && options.text_header == TextHeader::kPresent ? TextHeader::kPresent : TextHeader::kAbsent;
  text.blank_lines = options.any_row ? BlankLines::kRows : BlankLines::kSkippedAtEnd;
  text.any_row = options.any_row;
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<TextRows> rows, TextRows::Open(std::move(file), text));
  size_t column = 0;
  if (kind != 'x' && !options.column.empty()) {
    DPKDE_ASSIGN_OR_RETURN(column, rows->ColumnNumber(options.column));
  }
  for (uint64_t row = 0;; ++row) {
    DPKDE_ASSIGN_OR_RETURN(const bool any, rows->Next());
    if (!any) return absl::OkStatus();
    absl::optional<std::string> cell;
    std::string problem = rows->blank() ? "" : rows->Problem();
    if (rows->blank()) {
      cell = "";
    } else if (kind == 'x') {
      if (problem.empty()) cell = std::string(rows->line());
    } else if (problem.empty()) {
      cell = CellOf(rows->line(), kind, column, options.column.empty(), &problem);
    }
    if (!problem.empty() && !options.any_row) return rows->RowError(row, absl::nullopt, problem);
    DPKDE_RETURN_IF_ERROR(visit(row, rows->line_number(), cell));
  }
}

}  // namespace

absl::StatusOr<IntegerTable> ReadIntegers(const std::string& path, const ListOptions& options) {
  DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file, InputFile::Open(path));
  const std::string format_name = FormatOf(path, options);
  const char kind = TextKind(format_name);
  if (kind != 0) return ReadTextIntegers(std::move(file), kind, options);
  DPKDE_ASSIGN_OR_RETURN(const Format* const format, DenseFormatOf(*file, format_name));
  return ReadDenseIntegers(format->format, format->type, *file);
}

absl::Status ForEachText(const std::string& path, const ListOptions& options, const ListVisitor& visit) {
  DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file, InputFile::Open(path));
  const std::string format_name = FormatOf(path, options);
  const char kind = TextKind(format_name);
  if (kind != 0) return ForEachLine(std::move(file), kind, options, visit);
  if (!options.column.empty()) {
    return file->Error(absl::StatusCode::kInvalidArgument, "has no columns to choose from: only .csv and .tsv have");
  }
  DPKDE_ASSIGN_OR_RETURN(const Format* const format, DenseFormatOf(*file, format_name));
  return ForEachDenseText(
      format->format, format->type, *file,
      [&](uint64_t row, absl::optional<absl::string_view> text, absl::string_view problem) -> absl::Status {
        if (text.has_value() || options.any_row) return visit(row, 0, text);
        return Named(path, RecordError(absl::StatusCode::kInvalidArgument,
                                       absl::StrCat("row ", row, " (counting from 0)"), problem));
      });
}

absl::StatusOr<std::vector<std::string>> ReadIds(const std::string& path, const ListOptions& options) {
  std::vector<std::string> ids;
  DPKDE_RETURN_IF_ERROR(ForEachText(path, options, [&](uint64_t, uint64_t, absl::optional<absl::string_view> text) {
    ids.emplace_back(text.value_or(""));
    return absl::OkStatus();
  }));
  return ids;
}

}  // namespace dpkde
