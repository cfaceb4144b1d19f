#include "dpkde/io/text_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "dpkde/base/record_error.h"
#include "dpkde/base/status_macros.h"

namespace dpkde {
namespace {

using BlankLines = VectorReaderOptions::BlankLines;
using TextHeader = VectorReaderOptions::TextHeader;

constexpr size_t kFirstBufferBytes = size_t{256} << 10;

LineReader::Ends EndsOf(const TextRows::Options& options) {
  if (options.any_row) return LineReader::Ends::kLineFeed;
  return options.blank_lines == BlankLines::kSkipped ? LineReader::Ends::kAny : LineReader::Ends::kFirstDecides;
}

// Whether the cell can only be a name: neither a number nor a word for a missing one, nor the beginning of a number,
// also behind what people write in front of one.
bool IsName(absl::string_view cell) {
  double value;
  if (ParseDecimal(cell, &value) || IsMissingValue(cell)) return false;
  const size_t first = cell.find_first_not_of("'`\"([{<>=~$ ");
  if (first == absl::string_view::npos) return true;
  constexpr absl::string_view kMinus = "\xe2\x88\x92";
  cell.remove_prefix(first);
  return !absl::ascii_isdigit(cell[0]) && !absl::StrContains("+-.", cell.substr(0, 1)) &&
         !absl::StartsWith(cell, kMinus);
}

// A header has a name, and nothing else but names and cells that are empty.
bool LooksLikeHeader(absl::string_view line, char separator, size_t* columns, bool* unclosed) {
  bool any = false, only_names = true;
  CellReader cells(line, separator);
  while (cells.Next()) {
    ++*columns;
    if (cells.text().empty()) continue;
    any = true;
    only_names &= IsName(cells.text());
  }
  *unclosed = cells.unclosed();
  return any && only_names;
}

bool ParseNumber(absl::string_view text, float* value) { return absl::SimpleAtof(text, value); }
bool ParseNumber(absl::string_view text, double* value) { return absl::SimpleAtod(text, value); }

template <typename T>
bool Parse(absl::string_view text, T* value) {
  // absl's own parsers would also take hexadecimal numbers.
  const size_t sign = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  const bool is_hexadecimal = text.size() > sign + 1 && text[sign] == '0' && absl::ascii_tolower(text[sign + 1]) == 'x';
  return !is_hexadecimal && ParseNumber(text, value);
}

}  // namespace

bool ParseDecimal(absl::string_view text, float* value) { return Parse(text, value); }
bool ParseDecimal(absl::string_view text, double* value) { return Parse(text, value); }

bool IsMissingValue(absl::string_view cell) {
  for (const absl::string_view word :
       {"na", "n/a", "nan", "null", "none", "nil", "?", "-", "--", "#n/a", "#na", "<na>", "\\n", "missing", "*"}) {
    if (absl::EqualsIgnoreCase(cell, word)) return true;
  }
  return false;
}

std::string DialectHint(absl::string_view line, uint64_t line_number, char separator) {
  const bool comma = separator == ',';
  if (!comma && separator != '\t') return "";
  const auto holds = [&](const char* what) {
    return absl::StrCat("line ", line_number, " holds ", what, ", but cells are separated by ",
                        comma ? "commas" : "tabs");
  };
  if (absl::StrContains(line, ';')) {
    return absl::StrCat(holds("';'"),
                        comma && absl::StrContains(line, ',') ? " and decimals by points, not by commas" : "");
  }
  if (comma && absl::StrContains(line, '\t')) {
    return absl::StrCat(holds("tabs"), " (a file with tabs is a .tsv: --input_format=tsv)");
  }
  if (absl::StrContains(line, '|')) return holds("'|'");
  size_t columns = 0;
  bool decimal_comma = false;
  CellReader cells(line, separator);
  for (; cells.Next(); ++columns) {
    // "1,5" within quotes, or between tabs.
    std::string point(cells.text());
    double value;
    decimal_comma |= std::count(point.begin(), point.end(), ',') == 1 &&
                     ParseDecimal(absl::StrReplaceAll(point, {{",", "."}}), &value);
  }
  if (decimal_comma && columns > 1) {
    return absl::StrCat("line ", line_number, " has decimal commas, but decimals are separated by points");
  }
  if (columns > 1) return "";
  if (!comma && absl::StrContains(line, ',')) {
    return absl::StrCat(holds("commas"), " (a file with commas is a .csv: --input_format=csv)");
  }
  if (decimal_comma) return absl::StrCat("line ", line_number, " has a decimal comma, but decimals take points");
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipWhitespace());
  const bool numbers = std::all_of(words.begin(), words.end(), [](absl::string_view word) {
    double value;
    return ParseDecimal(word, &value);
  });
  return numbers && words.size() > 1 ? holds("blanks") : "";
}

LineReader::LineReader(std::unique_ptr<InputFile> file, Ends ends)
    : file_(std::move(file)), ends_(ends), buffer_(std::min<uint64_t>(file_->size(), kFirstBufferBytes)) {}

void LineReader::GoTo(const Place& place) {
  begin_ = end_ = 0;
  line_feeds_.Reset();
  carriage_returns_.Reset();
  offset_ = place.offset;
  lines_ = place.lines;
}

size_t LineReader::Finder::Find(const char* bytes, size_t begin, size_t end) {
  if (at_ < scanned_ && at_ >= begin) return at_;
  const size_t from = std::max(begin, scanned_);
  const void* const found = from < end ? std::memchr(bytes + from, c_, end - from) : nullptr;
  if (found == nullptr) {
    at_ = scanned_ = std::max(from, end);
    return end;
  }
  at_ = static_cast<const char*>(found) - bytes;
  scanned_ = at_ + 1;
  return at_;
}

void LineReader::Finder::Move(size_t distance) {
  at_ -= std::min(at_, distance);
  scanned_ -= std::min(scanned_, distance);
}

absl::StatusOr<bool> LineReader::Next() {
  too_long_ = other_end_ = return_at_end_ = false;
  while (true) {
    size_t line_end, next;
    if (FindEnd(offset_ == file_->size(), &line_end, &next)) {
      if (next == begin_ && !too_long_) return false;
      line_ = absl::string_view(buffer_.data() + begin_, line_end - begin_);
      begin_ = next;
      ++lines_;
      return true;
    }
    if (end_ - begin_ >= VectorReader::kMaxLineBytes) {
      too_long_ = true;
      // The rest of the line is only searched for its end, which may have begun.
      begin_ = buffer_[end_ - 1] == '\r' ? end_ - 1 : end_;
    }
    DPKDE_RETURN_IF_ERROR(Fill());
  }
}

bool LineReader::FindEnd(bool at_end, size_t* line_end, size_t* next) {
  const char* const bytes = buffer_.data();
  const size_t line_feed = line_feeds_.Find(bytes, begin_, end_);
  const size_t carriage_return = carriage_returns_.Find(bytes, begin_, end_);
  *line_end = *next = end_;
  if (style_ == Style::kCarriageReturn) {
    if (carriage_return < end_) {
      *line_end = carriage_return;
      *next = carriage_return + 1;
    } else if (!at_end) {
      return false;
    }
    other_end_ = line_feed < *line_end;
    return true;
  }
  if (style_ == Style::kLineFeed || ends_ == Ends::kLineFeed) {
    if (line_feed < end_) {
      *line_end = line_feed;
      *next = line_feed + 1;
    } else if (!at_end) {
      return false;
    }
    if (*line_end > begin_ && bytes[*line_end - 1] == '\r') {
      return_at_end_ = *line_end == end_;
      --*line_end;
    }
    other_end_ = carriage_return < *line_end;
    return true;
  }
  if (line_feed == end_ && carriage_return == end_) return at_end;
  bool alone = false;
  if (line_feed < carriage_return) {
    *line_end = line_feed;
    *next = line_feed + 1;
  } else {
    if (carriage_return + 1 == end_ && !at_end) return false;
    alone = carriage_return + 1 == end_ || bytes[carriage_return + 1] != '\n';
    *line_end = carriage_return;
    *next = carriage_return + (alone ? 1 : 2);
  }
  if (ends_ == Ends::kFirstDecides) style_ = alone ? Style::kCarriageReturn : Style::kLineFeed;
  return true;
}

// Reads on behind end_, after making room.
absl::Status LineReader::Fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  line_feeds_.Move(begin_);
  carriage_returns_.Move(begin_);
  end_ -= begin_;
  begin_ = 0;
  if (end_ == buffer_.size()) {
    buffer_.resize(std::min(2 * buffer_.size(), VectorReader::kMaxLineBytes));
  }
  const size_t count = std::min<uint64_t>(buffer_.size() - end_, file_->size() - offset_);
  DPKDE_RETURN_IF_ERROR(file_->ReadAt(offset_, count, buffer_.data() + end_));
  end_ += count;
  offset_ += count;
  return absl::OkStatus();
}

bool CellReader::Next() {
  if (done_) return false;
  if (separator_ == 0) return Take(rest_.size(), rest_, /*quoted=*/false);
  size_t open = 0;
  while (open < rest_.size() && IsBlank(rest_[open])) ++open;
  size_t end;
  if (open < rest_.size() && rest_[open] == '"') {
    const size_t close = ClosingQuote(open);
    if (close == absl::string_view::npos) {
      unclosed_ = true;
      return Take(rest_.size(), rest_, /*quoted=*/false);
    }
    end = rest_.find(separator_, close);
    const absl::string_view behind = rest_.substr(close + 1, end == absl::string_view::npos ? end : end - close - 1);
    // What is not just quoted stays as it is, and is no number.
    if (Trim(behind).empty()) return Take(end, rest_.substr(open + 1, close - open - 1), /*quoted=*/true);
  } else {
    end = rest_.find(separator_);
  }
  return Take(end, rest_.substr(0, end), /*quoted=*/false);
}

std::string CellReader::Unquoted() const {
  return quoted_ ? absl::StrReplaceAll(raw_, {{"\"\"", "\""}}) : std::string(raw_);
}

absl::string_view CellReader::Trim(absl::string_view text) const {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

size_t CellReader::ClosingQuote(size_t open) const {
  size_t close = rest_.find('"', open + 1);
  while (close != absl::string_view::npos && close + 1 < rest_.size() && rest_[close + 1] == '"') {
    close = rest_.find('"', close + 2);
  }
  return close;
}

bool CellReader::Take(size_t end, absl::string_view raw, bool quoted) {
  raw_ = raw;
  quoted_ = quoted;
  text_ = Trim(raw);
  done_ = end >= rest_.size();
  if (!done_) rest_.remove_prefix(end + 1);
  return true;
}

TextRows::TextRows(std::unique_ptr<InputFile> file, const Options& options)
    : options_(options), lines_(std::move(file), EndsOf(options)) {}

absl::StatusOr<std::unique_ptr<TextRows>> TextRows::Open(std::unique_ptr<InputFile> file, const Options& options) {
  std::unique_ptr<TextRows> rows(new TextRows(std::move(file), options));
  DPKDE_RETURN_IF_ERROR(rows->ReadStart());
  return rows;
}

absl::Status TextRows::ReadStart() {
  const bool any_row_first = options_.any_row && options_.header == TextHeader::kAbsent;
  DPKDE_RETURN_IF_ERROR(SkipByteOrderMark(any_row_first));
  first_row_ = lines_.place();
  if (any_row_first) return absl::OkStatus();
  // The first line that is not blank.
  bool any;
  do {
    DPKDE_ASSIGN_OR_RETURN(any, lines_.Next());
  } while (any && IsBlank());
  if (!any) {
    // Lines after a header that is not there are none either.
    if (options_.header == TextHeader::kPresent) first_row_ = lines_.place();
    lines_.GoTo(first_row_);
    return absl::OkStatus();
  }
  size_t columns = 0;
  bool unclosed = false;
  const bool like_header = LooksLikeHeader(lines_.line(), options_.separator, &columns, &unclosed);
  columns_ = columns;
  first_line_ = CheckLine(unclosed, columns);
  dialect_hint_ = lines_.too_long() ? "" : DialectHint(lines_.line(), lines_.line_number(), options_.separator);
  header_was_detected_ = options_.header == TextHeader::kDetect && like_header;
  if (options_.header == TextHeader::kPresent || header_was_detected_) {
    DPKDE_RETURN_IF_ERROR(first_line_);
    if (lines_.other_end() || (options_.any_row && lines_.return_at_end())) {
      return LineError("holds a carriage return without a line feed; save the file with line feeds");
    }
    header_.emplace();
    header_line_ = lines_.line_number();
    CellReader cells(lines_.line(), options_.separator);
    while (cells.Next()) header_->emplace_back(absl::StripAsciiWhitespace(cells.Unquoted()));
    first_row_ = lines_.place();
  }
  lines_.GoTo(first_row_);
  return absl::OkStatus();
}

absl::Status TextRows::SkipByteOrderMark(bool any_row_first) {
  char mark[3] = {};
  const size_t size = std::min<uint64_t>(lines_.file().size(), sizeof(mark));
  DPKDE_RETURN_IF_ERROR(lines_.file().ReadAt(0, size, mark));
  const absl::string_view text(mark, size);
  if (!any_row_first && (absl::StartsWith(text, "\xff\xfe") || absl::StartsWith(text, "\xfe\xff"))) {
    return Error("is UTF-16 text; save it as UTF-8");
  }
  if (text == "\xef\xbb\xbf") lines_.GoTo({size, 0});
  return absl::OkStatus();
}

bool TextRows::IsBlank() const {
  // In .tsv a tab separates two cells, so it is not blank.
  const absl::string_view blanks = options_.separator == '\t' ? " " : " \t";
  return !lines_.too_long() && lines_.line().find_first_not_of(blanks) == absl::string_view::npos;
}

absl::StatusOr<size_t> TextRows::ColumnNumber(const std::string& column) const {
  size_t number;
  if (absl::SimpleAtoi(column, &number)) {
    if (number < columns_.value_or(number + 1)) return number;
    return Error(absl::StrCat("has ", *columns_, " columns, and so no column ", number, " (counting from 0)"));
  }
  const std::vector<std::string> names = header_.value_or(std::vector<std::string>());
  const auto found = std::find(names.begin(), names.end(), column);
  if (found != names.end() && std::find(found + 1, names.end(), column) != names.end()) {
    return Error(absl::StrCat("has the column '", column, "' twice in its header"));
  }
  if (found != names.end()) return found - names.begin();
  return Error(header_.has_value() ? absl::StrCat("has no column '", column, "' in its header")
                                   : absl::StrCat("has no header to look for the column '", column,
                                                  "' in: say --csv_header=present, or number the column from 0"));
}

absl::StatusOr<absl::optional<size_t>> TextRows::columns() const {
  DPKDE_RETURN_IF_ERROR(first_line_);
  return columns_;
}

absl::Status TextRows::CheckLine(bool unclosed, size_t columns) const {
  if (lines_.too_long()) {
    return LineError(absl::StrCat("is longer than ", VectorReader::kMaxLineBytes, " bytes"));
  }
  if (unclosed) return LineError("ends inside quotes");
  if (columns > VectorReader::kMaxDimension) {
    return Error(absl::StrCat("has ", columns, " columns; at most ", VectorReader::kMaxDimension, " are accepted"));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> TextRows::Next() {
  blank_row_ = blanks_ > 0;
  if (blank_row_) {
    lines_back_ = blanks_--;
    return true;
  }
  if (held_) {
    held_ = false;
    return true;
  }
  while (true) {
    DPKDE_ASSIGN_OR_RETURN(const bool any, lines_.Next());
    if (!any) {
      blanks_ = 0;
      return false;
    }
    if (!IsBlank()) break;
    if (options_.blank_lines == BlankLines::kRows) return true;
    ++blanks_;
  }
  if (options_.blank_lines == BlankLines::kSkipped && !options_.any_row) blanks_ = 0;
  if (blanks_ == 0) return true;
  held_ = blank_row_ = true;
  lines_back_ = blanks_--;
  return true;
}

std::string TextRows::Problem() const {
  if (blank()) return "is blank";
  if (lines_.too_long()) return absl::StrCat("is longer than ", VectorReader::kMaxLineBytes, " bytes");
  if (lines_.other_end()) return "holds an end of line that other lines do not have (a carriage return or a line feed)";
  return "";
}

absl::Status TextRows::Rewind() {
  DPKDE_RETURN_IF_ERROR(lines_.file().CheckUnchanged());
  lines_.GoTo(first_row_);
  blanks_ = 0;
  held_ = blank_row_ = false;
  return absl::OkStatus();
}

absl::Status TextRows::RowError(uint64_t row, absl::optional<size_t> column, absl::string_view problem,
                                absl::string_view hint) const {
  const std::string place = absl::StrCat("row ", row, column.has_value() ? absl::StrCat(", column ", *column) : "",
                                         " (counting from 0; line ", line_number(), " of the file)");
  return Named(lines_.file().path(),
               CountError(absl::StatusCode::kInvalidArgument, absl::StrCat(place, ": ", problem, hint),
                          absl::StrCat("a record: ", problem)));
}

absl::Status TextRows::LineError(absl::string_view problem) const {
  return Named(lines_.file().path(),
               CountError(absl::StatusCode::kInvalidArgument, absl::StrCat("line ", lines_.line_number(), " ", problem),
                          absl::StrCat("a line ", problem)));
}

absl::Status TextRows::Error(absl::string_view phrase, absl::string_view hint) const {
  if (hint.empty()) return lines_.file().Error(absl::StatusCode::kInvalidArgument, phrase);
  return Named(lines_.file().path(),
               CountError(absl::StatusCode::kInvalidArgument, absl::StrCat(phrase, hint), phrase));
}

}  // namespace dpkde
