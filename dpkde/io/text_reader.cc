#include "dpkde/io/text_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "dpkde/base/status_macros.h"

namespace dpkde {
namespace {

using MalformedRows = VectorReaderOptions::MalformedRows;
using TextHeader = VectorReaderOptions::TextHeader;

constexpr size_t kFirstBufferBytes = size_t{256} << 10;

// The lines of a file. Memory is that of the longest line, at most VectorReader::kMaxLineBytes.
class LineReader {
 public:
  explicit LineReader(std::unique_ptr<InputFile> file)
      : file_(std::move(file)), buffer_(std::min<uint64_t>(file_->size(), kFirstBufferBytes)) {}

  struct Place {
    uint64_t offset = 0;
    uint64_t lines = 0;  // before it
  };

  const InputFile& file() const { return *file_; }

  // After the line that was taken last.
  Place place() const { return {offset_ - (end_ - begin_), lines_}; }

  void GoTo(const Place& place) {
    begin_ = end_ = 0;
    offset_ = place.offset;
    lines_ = place.lines;
  }

  // False at the end of the file. line() and too_long() describe the line until the next call.
  absl::StatusOr<bool> Next() {
    too_long_ = false;
    for (size_t scanned = begin_;;) {
      const char* const start = buffer_.data();
      const void* const newline = scanned < end_ ? std::memchr(start + scanned, '\n', end_ - scanned) : nullptr;
      const bool at_end = offset_ == file_->size();
      if (newline != nullptr || at_end) {
        const size_t line_end = newline != nullptr ? static_cast<const char*>(newline) - start : end_;
        const size_t next = newline != nullptr ? line_end + 1 : end_;
        if (next == begin_ && !too_long_) return false;
        line_ = absl::string_view(start + begin_, line_end - begin_);
        absl::ConsumeSuffix(&line_, "\r");
        begin_ = next;
        ++lines_;
        return true;
      }
      if (end_ - begin_ >= VectorReader::kMaxLineBytes) {
        too_long_ = true;
        begin_ = end_;  // the rest of the line is only searched for its end
      }
      DPKDE_RETURN_IF_ERROR(Fill());
      scanned = end_before_fill_;
    }
  }

  absl::string_view line() const { return line_; }

  // From 1.
  uint64_t line_number() const { return lines_; }

  // If so, line() is only the end of it.
  bool too_long() const { return too_long_; }

 private:
  // Reads on behind end_, after making room.
  absl::Status Fill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (end_ == buffer_.size()) buffer_.resize(std::min(2 * buffer_.size(), VectorReader::kMaxLineBytes));
    const size_t count = std::min<uint64_t>(buffer_.size() - end_, file_->size() - offset_);
    DPKDE_RETURN_IF_ERROR(file_->ReadAt(offset_, count, buffer_.data() + end_));
    end_before_fill_ = end_;
    end_ += count;
    offset_ += count;
    return absl::OkStatus();
  }

  const std::unique_ptr<InputFile> file_;
  std::vector<char> buffer_;  // [begin_, end_) has been read, but not taken
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t end_before_fill_ = 0;
  uint64_t offset_ = 0;  // in the file, of end_
  uint64_t lines_ = 0;   // that were taken
  absl::string_view line_;
  bool too_long_ = false;
};

// The cells of a line, one after the other:
//
//   CellReader cells(line, ',');
//   while (cells.Next()) ... cells.text() ...
class CellReader {
 public:
  CellReader(absl::string_view line, char separator) : rest_(line), separator_(separator) {}

  bool Next() {
    if (done_) return false;
    size_t open = 0;
    while (open < rest_.size() && IsBlank(rest_[open])) ++open;
    size_t end;
    if (open < rest_.size() && rest_[open] == '"') {
      const size_t close = ClosingQuote(open);
      if (close == absl::string_view::npos) {
        unclosed_ = true;
        return Take(rest_.size(), rest_);
      }
      end = rest_.find(separator_, close);
      const absl::string_view behind = rest_.substr(close + 1, end == absl::string_view::npos ? end : end - close - 1);
      // What is not just quoted stays as it is, and is no number.
      if (Trim(behind).empty()) return Take(end, Trim(rest_.substr(open + 1, close - open - 1)));
    } else {
      end = rest_.find(separator_);
    }
    return Take(end, Trim(rest_.substr(0, end)));
  }

  // Without the blanks and quotes around it.
  absl::string_view text() const { return text_; }

  // Whether the line ends inside quotes.
  bool unclosed() const { return unclosed_; }

 private:
  bool IsBlank(char c) const { return c == ' ' || (c == '\t' && separator_ != '\t'); }

  absl::string_view Trim(absl::string_view text) const {
    while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
    while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
    return text;
  }

  // Of the quote at `open`; two in a row stand for one inside.
  size_t ClosingQuote(size_t open) const {
    size_t close = rest_.find('"', open + 1);
    while (close != absl::string_view::npos && close + 1 < rest_.size() && rest_[close + 1] == '"') {
      close = rest_.find('"', close + 2);
    }
    return close;
  }

  bool Take(size_t end, absl::string_view text) {
    text_ = text;
    done_ = end >= rest_.size();
    if (!done_) rest_.remove_prefix(end + 1);
    return true;
  }

  absl::string_view rest_;
  const char separator_;
  absl::string_view text_;
  bool done_ = false;
  bool unclosed_ = false;
};

bool ParseNumber(absl::string_view text, float* value) { return absl::SimpleAtof(text, value); }
bool ParseNumber(absl::string_view text, double* value) { return absl::SimpleAtod(text, value); }

// To the nearest float or double.
template <typename T>
bool ParseDecimal(absl::string_view text, T* value) {
  // absl's own parsers would also take hexadecimal numbers, which in a table of vectors are somebody's identifiers.
  const size_t sign = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  const bool is_hexadecimal = text.size() > sign + 1 && text[sign] == '0' && absl::ascii_tolower(text[sign + 1]) == 'x';
  return !is_hexadecimal && ParseNumber(text, value);
}

// Minus *origin, if there is one, before it is rounded.
bool ParseFloat(absl::string_view text, const double* origin, float* value) {
  if (origin == nullptr) return ParseDecimal(text, value);
  double number;
  if (!ParseDecimal(text, &number)) return false;
  *value = static_cast<float>(number - *origin);
  return true;
}

// What is wrong with a cell; nullptr if it is a finite number, which goes to `value`, minus *origin if there is one.
const char* ParseCell(absl::string_view text, const double* origin, float* value) {
  if (text.empty()) return "is empty";
  if (!ParseFloat(text, origin, value)) return "is not a number";
  if (std::isfinite(*value)) return nullptr;
  if (std::isnan(*value)) return "is nan";
  const char first = text[0] == '+' || text[0] == '-' ? text[1] : text[0];
  if (first == '.' || absl::ascii_isdigit(first)) return "does not fit into float32";
  return *value > 0 ? "is inf" : "is -inf";
}

class TextReader : public VectorReader {
 public:
  TextReader(char separator, std::unique_ptr<InputFile> file, const VectorReaderOptions& options)
      : separator_(separator), malformed_rows_(options.malformed_rows), lines_(std::move(file)) {}

  // To be called once, before anything else.
  absl::Status ReadStart(const VectorReaderOptions& options) {
    DPKDE_RETURN_IF_ERROR(SkipByteOrderMark());
    const LineReader::Place start = lines_.place();
    DPKDE_ASSIGN_OR_RETURN(const bool any, NextLineThatIsNotBlank());
    if (!any) {
      if (!options.expected_dimension.has_value()) {
        return Error("is empty, so its number of columns is unknown");
      }
      dimension_ = *options.expected_dimension;
      first_row_ = lines_.place();
      return absl::OkStatus();
    }

    size_t columns = 0;
    bool all_numbers = true;
    CellReader cells(lines_.line(), separator_);
    while (cells.Next()) {
      ++columns;
      float value;
      all_numbers &= cells.text().empty() || ParseFloat(cells.text(), nullptr, &value);
    }
    const bool is_header =
        options.text_header == TextHeader::kPresent || (options.text_header == TextHeader::kDetect && !all_numbers);
    // The line says how many columns there are, unless it is a row and the caller has said it.
    if (is_header || !options.expected_dimension.has_value()) {
      DPKDE_RETURN_IF_ERROR(CheckFirstLine(cells.unclosed(), columns));
      if (columns != options.expected_dimension.value_or(columns)) {
        return Error(absl::StrCat("has ", columns, " columns instead of ", *options.expected_dimension));
      }
    }
    dimension_ = options.expected_dimension.value_or(columns);
    first_row_ = is_header ? lines_.place() : start;
    lines_.GoTo(first_row_);
    return absl::OkStatus();
  }

  absl::optional<uint64_t> row_count() const override { return absl::nullopt; }

  absl::StatusOr<size_t> ReadRows(size_t max_rows, float* out) override {
    if (!status_.ok()) return status_;
    for (size_t done = 0; done < max_rows; ++done, ++next_row_) {
      const absl::StatusOr<bool> any = NextLineThatIsNotBlank();
      status_ = any.status();
      if (!status_.ok()) return status_;
      if (!*any) return done;
      float* const row = out + done * dimension_;
      const Problem problem = ParseRow(row);
      if (problem.phrase.empty()) continue;
      if (malformed_rows_ == MalformedRows::kFail) {
        status_ = RowError(problem);
        return status_;
      }
      std::fill_n(row, dimension_, std::numeric_limits<float>::quiet_NaN());
    }
    return max_rows;
  }

  absl::Status Rewind() override {
    DPKDE_RETURN_IF_ERROR(lines_.file().CheckUnchanged());
    lines_.GoTo(first_row_);
    next_row_ = 0;
    status_ = absl::OkStatus();
    return absl::OkStatus();
  }

 private:
  // Of a row; no phrase if there is none.
  struct Problem {
    std::string phrase;
    absl::optional<size_t> column;
  };

  absl::Status SkipByteOrderMark() {
    char mark[3] = {};
    const size_t size = std::min<uint64_t>(lines_.file().size(), sizeof(mark));
    DPKDE_RETURN_IF_ERROR(lines_.file().ReadAt(0, size, mark));
    const absl::string_view text(mark, size);
    if (absl::StartsWith(text, "\xff\xfe") || absl::StartsWith(text, "\xfe\xff")) {
      return Error("is UTF-16 text; save it as UTF-8");
    }
    if (text == "\xef\xbb\xbf") lines_.GoTo({size, 0});
    return absl::OkStatus();
  }

  absl::StatusOr<bool> NextLineThatIsNotBlank() {
    while (true) {
      DPKDE_ASSIGN_OR_RETURN(const bool any, lines_.Next());
      if (!any) return false;
      // In .tsv a tab separates two cells, so it is not blank.
      const absl::string_view blanks = separator_ == '\t' ? " " : " \t";
      if (lines_.too_long() || lines_.line().find_first_not_of(blanks) != absl::string_view::npos) return true;
    }
  }

  absl::Status CheckFirstLine(bool unclosed, size_t columns) const {
    if (lines_.too_long()) {
      return Error(absl::StrCat("line ", lines_.line_number(), " is longer than ", kMaxLineBytes, " bytes"));
    }
    if (unclosed) {
      return Error(absl::StrCat("line ", lines_.line_number(), " ends inside quotes"));
    }
    if (columns > kMaxDimension) {
      return Error(absl::StrCat("has ", columns, " columns; at most ", kMaxDimension, " are accepted"));
    }
    return absl::OkStatus();
  }

  Problem ParseRow(float* out) const {
    if (lines_.too_long()) return {absl::StrCat("is longer than ", kMaxLineBytes, " bytes"), absl::nullopt};
    Problem problem;
    size_t count = 0;
    CellReader cells(lines_.line(), separator_);
    for (; cells.Next(); ++count) {
      if (count >= dimension_ || !problem.phrase.empty()) continue;
      const double* const origin = origins_.empty() ? nullptr : &origins_[count];
      const char* const phrase = ParseCell(cells.text(), origin, out + count);
      if (phrase != nullptr) problem = {phrase, count};
    }
    if (cells.unclosed()) return {"ends inside quotes", absl::nullopt};
    if (count != dimension_) return {absl::StrCat("has ", count, " cells instead of ", dimension_), absl::nullopt};
    return problem;
  }

  // Names no content of the cell, which may be confidential.
  absl::Status RowError(const Problem& problem) const {
    return Error(absl::StrCat("row ", next_row_,
                              problem.column.has_value() ? absl::StrCat(", column ", *problem.column) : "",
                              " (counting from 0; line ", lines_.line_number(), " of the file): ", problem.phrase));
  }

  absl::Status Error(absl::string_view phrase) const {
    return lines_.file().Error(absl::StatusCode::kInvalidArgument, phrase);
  }

  const char separator_;
  const MalformedRows malformed_rows_;
  LineReader lines_;
  LineReader::Place first_row_;
  uint64_t next_row_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<VectorReader>> OpenText(char separator, std::unique_ptr<InputFile> file,
                                                       const VectorReaderOptions& options) {
  auto reader = std::make_unique<TextReader>(separator, std::move(file), options);
  DPKDE_RETURN_IF_ERROR(reader->ReadStart(options));
  return reader;
}

}  // namespace dpkde
