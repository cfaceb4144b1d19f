#ifndef DPKDE_IO_TEXT_ROWS_H_
#define DPKDE_IO_TEXT_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "dpkde/io/input_file.h"
#include "dpkde/io/vector_reader.h"

// Rows of text: which bytes are a line, which lines are rows, and which line is a header. Shared by the readers of
// vectors and of lists, so that files that belong together are cut in the same way.

namespace dpkde {

// The lines of a file. Memory is that of the longest line, at most VectorReader::kMaxLineBytes.
class LineReader {
 public:
  enum class Ends {
    kAny,           // a line feed, a carriage return, or a carriage return and a line feed
    kFirstDecides,  // as the first line ends: in a line feed (with or without a carriage return) or in a carriage
                    // return
    kLineFeed,      // a line feed, with or without a carriage return
  };

  LineReader(std::unique_ptr<InputFile> file, Ends ends);

  struct Place {
    uint64_t offset = 0;
    uint64_t lines = 0;  // before it
  };

  const InputFile& file() const { return *file_; }

  // After the line that was taken last.
  Place place() const { return {offset_ - (end_ - begin_), lines_}; }
  void GoTo(const Place& place);

  // False at the end of the file. line(), too_long() and other_end() describe the line until the next call.
  absl::StatusOr<bool> Next();

  absl::string_view line() const { return line_; }

  // From 1.
  uint64_t line_number() const { return lines_; }

  // If so, line() is only the end of it.
  bool too_long() const { return too_long_; }

  // Whether the line holds a line feed or carriage return that does not end it.
  bool other_end() const { return other_end_; }

  // Whether the line is the last and ends in a carriage return, where lines end in line feeds.
  bool return_at_end() const { return return_at_end_; }

 private:
  enum class Style { kUnknown, kLineFeed, kCarriageReturn };

  // The place of the next byte `c` in [begin_, end_); end_ if there is none yet. Every byte is looked at once.
  class Finder {
   public:
    explicit Finder(char c) : c_(c) {}
    size_t Find(const char* bytes, size_t begin, size_t end);
    void Move(size_t distance);
    void Reset() { at_ = scanned_ = 0; }

   private:
    const char c_;
    size_t at_ = 0;       // of a byte that was found, if it is before scanned_
    size_t scanned_ = 0;  // nothing else before it
  };

  // The end of the line that begins at begin_, and what follows it; false if more bytes are needed to tell.
  bool FindEnd(bool at_end, size_t* line_end, size_t* next);
  absl::Status Fill();

  const std::unique_ptr<InputFile> file_;
  const Ends ends_;
  Style style_ = Style::kUnknown;
  std::vector<char> buffer_;  // [begin_, end_) has been read, but not taken
  Finder line_feeds_{'\n'}, carriage_returns_{'\r'};
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t offset_ = 0;  // in the file, of end_
  uint64_t lines_ = 0;   // that were taken
  absl::string_view line_;
  bool too_long_ = false;
  bool other_end_ = false;
  bool return_at_end_ = false;
};

// The cells of a line, one after the other:
//
//   CellReader cells(line, ',');
//   while (cells.Next()) ... cells.text() ...
class CellReader {
 public:
  // `separator`: 0 for a line that is one cell as it is, quotes, blanks and all.
  CellReader(absl::string_view line, char separator) : rest_(line), separator_(separator) {}

  bool Next();

  // Without the blanks and quotes around it.
  absl::string_view text() const { return text_; }

  // As a text rather than a number: quotes around it are taken away and two in a row inside become one; blanks around
  // it are kept unless they are outside of quotes.
  std::string Unquoted() const;

  // Whether the line ends inside quotes.
  bool unclosed() const { return unclosed_; }

 private:
  bool IsBlank(char c) const { return c == ' ' || (c == '\t' && separator_ != '\t'); }
  absl::string_view Trim(absl::string_view text) const;
  // Of the quote at `open`; two in a row stand for one inside.
  size_t ClosingQuote(size_t open) const;
  bool Take(size_t end, absl::string_view raw, bool quoted);

  absl::string_view rest_;
  const char separator_;
  absl::string_view text_, raw_;
  bool quoted_ = false;
  bool done_ = false;
  bool unclosed_ = false;
};

// A decimal number to the nearest float or double, NaN and infinities among them. Takes no hexadecimal numbers, which
// in a table are somebody's identifiers.
bool ParseDecimal(absl::string_view text, float* value);
bool ParseDecimal(absl::string_view text, double* value);

// NA, NaN, null, N/A, ?, - and other words for a value that is not there, in any case.
bool IsMissingValue(absl::string_view cell);

// What about the first lines is unlike cells with this separator: "line 1 holds ';', but ...". Empty if nothing.
std::string DialectHint(absl::string_view line, uint64_t line_number, char separator);

// The rows of a text.
class TextRows {
 public:
  struct Options {
    char separator = ',';  // as of CellReader
    VectorReaderOptions::TextHeader header = VectorReaderOptions::TextHeader::kDetect;
    VectorReaderOptions::BlankLines blank_lines = VectorReaderOptions::BlankLines::kSkipped;
    // A row may hold anything, the first too: nothing about rows is an error.
    bool any_row = false;
  };

  // Reads the first line, unless it is a row and `any_row`. kInvalidArgument: UTF-16 where the first line is not just
  // any row; a header that cannot be cut into cells.
  static absl::StatusOr<std::unique_ptr<TextRows>> Open(std::unique_ptr<InputFile> file, const Options& options);

  const std::string& path() const { return lines_.file().path(); }

  // The cells of the header; nullopt without one.
  const absl::optional<std::vector<std::string>>& header() const { return header_; }
  // Whether nobody but its cells said that it is one.
  bool header_was_detected() const { return header_was_detected_; }
  uint64_t header_line() const { return header_line_; }

  // The number of the column that `column` names: a name in the header, or the number itself, from 0.
  absl::StatusOr<size_t> ColumnNumber(const std::string& column) const;

  // Cells of the header, or else of the first row; nullopt if there is neither, or if nobody looked. An error if that
  // row cannot be cut into cells.
  absl::StatusOr<absl::optional<size_t>> columns() const;

  // What the first line looks like; see DialectHint().
  const std::string& dialect_hint() const { return dialect_hint_; }

  // False at the end. line() is that of the row until the next call.
  absl::StatusOr<bool> Next();
  bool blank() const { return blank_row_ || IsBlank(); }
  absl::string_view line() const { return blank_row_ ? absl::string_view() : lines_.line(); }
  uint64_t line_number() const { return lines_.line_number() - (blank_row_ ? lines_back_ : 0); }

  // Why the line is no row of cells, whatever they hold; empty if it is one.
  std::string Problem() const;

  // Back to the first row. kUnavailable if somebody has written to the file since it was opened.
  absl::Status Rewind();

  // "row 3, column 1 (counting from 0; line 5 of the file): is nan<hint>" for the curator, "a record: is nan" for
  // everybody (record_error.h). Names no content, which may be confidential.
  absl::Status RowError(uint64_t row, absl::optional<size_t> column, absl::string_view problem,
                        absl::string_view hint = "") const;
  // "<phrase><hint>" for the curator, "<phrase>" for everybody.
  absl::Status Error(absl::string_view phrase, absl::string_view hint = "") const;

 private:
  TextRows(std::unique_ptr<InputFile> file, const Options& options);

  absl::Status ReadStart();
  absl::Status SkipByteOrderMark(bool any_row_first);
  bool IsBlank() const;
  // Whether the line can be cut into cells.
  absl::Status CheckLine(bool unclosed, size_t columns) const;
  // Of the line that lines_ has taken.
  absl::Status LineError(absl::string_view problem) const;

  const Options options_;
  LineReader lines_;
  LineReader::Place first_row_;
  absl::optional<std::vector<std::string>> header_;
  bool header_was_detected_ = false;
  uint64_t header_line_ = 0;
  absl::optional<size_t> columns_;
  absl::Status first_line_;
  std::string dialect_hint_;
  // Blank lines that are rows, since the line that lines_ has taken comes after them.
  uint64_t blanks_ = 0;
  bool held_ = false;  // that line is still to come
  bool blank_row_ = false;
  uint64_t lines_back_ = 0;
};

}  // namespace dpkde

#endif  // DPKDE_IO_TEXT_ROWS_H_
