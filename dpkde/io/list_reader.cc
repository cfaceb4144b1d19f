#include "dpkde/io/list_reader.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/dense_reader.h"
#include "dpkde/io/file.h"
#include "dpkde/io/input_file.h"

namespace dpkde {
namespace {

constexpr uint64_t kMaxTextBytes = uint64_t{4} << 30;

struct Format {
  const char* name;
  DenseFormat format;
  ElementType type;
};

constexpr Format kFormats[] = {
    {"npy", DenseFormat::kNpy, ElementType::kInt64},    {"ivecs", DenseFormat::kVecs, ElementType::kInt32},
    {"bvecs", DenseFormat::kVecs, ElementType::kUint8}, {"ibin", DenseFormat::kBin, ElementType::kInt32},
    {"u8bin", DenseFormat::kBin, ElementType::kUint8},  {"i8bin", DenseFormat::kBin, ElementType::kInt8},
};

// "txt", "csv", "tsv", or empty for another format.
std::string TextFormat(const std::string& path, const std::string& format) {
  for (const char* name : {"txt", "csv", "tsv"}) {
    if (format.empty() ? absl::EndsWithIgnoreCase(path, absl::StrCat(".", name)) : format == name) return name;
  }
  return "";
}

absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path) {
  DPKDE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxTextBytes));
  absl::string_view rest = text;
  absl::ConsumePrefix(&rest, "\xef\xbb\xbf");
  std::vector<std::string> lines = absl::StrSplit(rest, '\n');
  for (std::string& line : lines) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
  }
  while (!lines.empty() && absl::StripAsciiWhitespace(lines.back()).empty()) lines.pop_back();
  return lines;
}

absl::StatusOr<IntegerTable> ReadTextIntegers(const std::string& path, const std::string& format) {
  DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(path));
  IntegerTable table;
  bool first = format != "txt";
  for (size_t i = 0; i < lines.size(); ++i) {
    const absl::string_view line = absl::StripAsciiWhitespace(lines[i]);
    if (line.empty()) continue;
    std::vector<absl::string_view> cells;
    if (format == "txt") {
      cells = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    } else {
      cells = absl::StrSplit(line, format == "csv" ? ',' : '\t');
    }
    const auto error = [&](const std::string& phrase) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": line ", i + 1, ": ", phrase));
    };
    int64_t value;
    const bool header = first && !absl::SimpleAtoi(cells[0], &value);
    first = false;
    if (header) continue;
    if (table.rows == 0) table.columns = cells.size();
    if (cells.size() != table.columns) {
      return error(absl::StrCat("has ", cells.size(), " columns instead of ", table.columns));
    }
    for (const absl::string_view cell : cells) {
      if (!absl::SimpleAtoi(cell, &value)) return error(absl::StrCat("'", cell.substr(0, 40), "' is not an integer"));
      table.values.push_back(value);
    }
    ++table.rows;
  }
  return table;
}

}  // namespace

absl::StatusOr<IntegerTable> ReadIntegers(const std::string& path, const std::string& format) {
  const std::string text = TextFormat(path, format);
  if (!text.empty()) return ReadTextIntegers(path, text);
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<InputFile> file, InputFile::Open(path));
  for (const Format& known : kFormats) {
    if (format.empty() ? absl::EndsWithIgnoreCase(path, absl::StrCat(".", known.name)) : format == known.name) {
      return ReadDenseIntegers(known.format, known.type, *file);
    }
  }
  return file->Error(absl::StatusCode::kInvalidArgument,
                     "has an ending that is none of npy, ivecs, bvecs, ibin, u8bin, i8bin, txt, csv, tsv");
}

absl::StatusOr<std::vector<std::string>> ReadIds(const std::string& path) {
  if (!TextFormat(path, "").empty()) return ReadLines(path);
  DPKDE_ASSIGN_OR_RETURN(const IntegerTable table, ReadIntegers(path));
  if (table.rows > 0 && table.columns != 1) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": must have one column, but has ", table.columns));
  }
  std::vector<std::string> ids;
  for (const int64_t value : table.values) ids.push_back(absl::StrCat(value));
  return ids;
}

}  // namespace dpkde
