#include "dpkde/io/text_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "dpkde/base/exceptions.h"
#include "dpkde/base/float_environment.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/io/text_rows.h"

namespace dpkde {
namespace {

using MalformedRows = VectorReaderOptions::MalformedRows;

// Minus *origin, if there is one, before it is rounded.
bool ParseFloat(absl::string_view text, const double* origin, float* value) {
  if (origin == nullptr) return ParseDecimal(text, value);
  double number;
  if (!ParseDecimal(text, &number)) return false;
  *value = static_cast<float>(number - *origin);
  return true;
}

constexpr char kNotANumber[] = "is not a number";

// What is wrong with a cell; nullptr if it is a finite number, which goes to `value`, minus *origin if there is one.
const char* ParseCell(absl::string_view text, const double* origin, float* value) {
  if (text.empty()) return "is empty";
  if (!ParseFloat(text, origin, value)) return kNotANumber;
  if (std::isfinite(*value)) return nullptr;
  if (std::isnan(*value)) return "is nan";
  const char first = text[0] == '+' || text[0] == '-' ? text[1] : text[0];
  if (first == '.' || absl::ascii_isdigit(first)) return "does not fit into float32";
  return *value > 0 ? "is inf" : "is -inf";
}

class TextReader : public VectorReader {
 public:
  TextReader(char separator, const VectorReaderOptions& options, std::unique_ptr<TextRows> rows)
      : separator_(separator),
        malformed_rows_(options.malformed_rows),
        rows_(std::move(rows)) {}

  // To be called once, before anything else.
  absl::Status ReadStart(const VectorReaderOptions& options) {
    if (rows_->header_was_detected() && options.on_detected_header) {
      options.on_detected_header(rows_->path(), rows_->header_line(), *rows_->header());
    }
    if (!options.columns.empty()) return ChooseColumns(options);
    // The first line says how many columns there are, unless it is a row and the caller has said it.
    const size_t left_out = options.left_out_column.empty() ? 0 : 1;
    absl::optional<size_t> columns;
    if (!options.expected_dimension.has_value() || rows_->header().has_value()) {
      DPKDE_ASSIGN_OR_RETURN(columns, rows_->columns());
    }
    if (columns.has_value() && *columns < left_out + 1) return rows_->Error("has no column but the one that is left out");
    absl::optional<size_t> dimension = options.expected_dimension;
    if (columns.has_value()) dimension = *columns - left_out;
    if (!dimension.has_value()) dimension = options.dimension_of_none;
    if (!dimension.has_value()) return rows_->Error("is empty, so its number of columns is unknown");
    dimension_ = *dimension;
    if (columns.has_value() && dimension_ != options.expected_dimension.value_or(dimension_)) {
      return rows_->Error(absl::StrCat("has ", *columns, " columns instead of ", *options.expected_dimension + left_out,
                                       Hint()));
    }
    cells_ = dimension_ + left_out;
    for (size_t cell = 0; cell < cells_; ++cell) place_.push_back(cell);
    if (left_out == 0) return absl::OkStatus();
    DPKDE_ASSIGN_OR_RETURN(const size_t column, rows_->ColumnNumber(options.left_out_column));
    if (column >= cells_) {
      return rows_->Error(absl::StrCat("has ", *cells_, " columns, and so no column ", column, " (counting from 0)"));
    }
    for (size_t cell = column; cell < cells_; ++cell) place_[cell] = cell == column ? kNoPlace : cell - 1;
    return absl::OkStatus();
  }

  absl::optional<uint64_t> row_count() const override { return absl::nullopt; }

  std::string dialect_hint() const override { return rows_->dialect_hint(); }

  absl::StatusOr<RowRange> CountRows() override {
    RowRange range;
    DPKDE_RETURN_IF_ERROR(Rewind());
    while (true) {
      DPKDE_ASSIGN_OR_RETURN(const bool any, rows_->Next());
      if (!any) break;
      ++range.most;
      if (!rows_->blank()) range.least = range.most;
    }
    DPKDE_RETURN_IF_ERROR(Rewind());
    return range;
  }

  absl::StatusOr<size_t> ReadRows(size_t max_rows, float* out) override try {
    const DefaultFloatEnvironment environment;
    if (!status_.ok()) return status_;
    for (size_t done = 0; done < max_rows; ++done, ++next_row_) {
      const absl::StatusOr<bool> any = rows_->Next();
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
  } catch (...) {
    return status_ = StatusOfException();
  }

  absl::Status Rewind() override {
    DPKDE_RETURN_IF_ERROR(rows_->Rewind());
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

  // Those of options.columns.
  absl::Status ChooseColumns(const VectorReaderOptions& options) {
    std::vector<size_t> chosen;
    for (const std::string& column : options.columns) {
      const std::pair<absl::string_view, absl::string_view> range = absl::StrSplit(column, absl::MaxSplits('-', 1));
      size_t first, last;
      if (absl::SimpleAtoi(range.first, &first) && absl::SimpleAtoi(range.second, &last)) {
        if (last < first || last >= kMaxDimension) {
          return rows_->Error(absl::StrCat("the range of columns ", column, " is reversed or too long"));
        }
        DPKDE_RETURN_IF_ERROR(rows_->ColumnNumber(absl::StrCat(last)).status());
        for (size_t number = first; number <= last; ++number) chosen.push_back(number);
        continue;
      }
      DPKDE_ASSIGN_OR_RETURN(const size_t number, rows_->ColumnNumber(column));
      chosen.push_back(number);
    }
    dimension_ = chosen.size();
    const size_t expected = options.expected_dimension.value_or(dimension_);
    if (dimension_ > kMaxDimension || dimension_ != expected) {
      return rows_->Error(absl::StrCat("--columns chooses ", dimension_, " columns instead of ",
                                       std::min(expected, kMaxDimension)));
    }
    // How many cells there are is known by the first line alone, where that may be looked at.
    const absl::StatusOr<absl::optional<size_t>> columns = rows_->columns();
    if (columns.ok() && columns->has_value()) cells_ = **columns;
    place_.assign(*std::max_element(chosen.begin(), chosen.end()) + 1, kNoPlace);
    for (size_t i = 0; i < chosen.size(); ++i) {
      if (place_[chosen[i]] != kNoPlace) return rows_->Error(absl::StrCat("column ", chosen[i], " is chosen twice"));
      place_[chosen[i]] = i;
    }
    return absl::OkStatus();
  }

  Problem ParseRow(float* out) const {
    if (std::string phrase = rows_->Problem(); !phrase.empty()) return {std::move(phrase), absl::nullopt};
    Problem problem;
    size_t count = 0;
    CellReader cells(rows_->line(), separator_);
    for (; cells.Next(); ++count) {
      if (count >= place_.size() || place_[count] == kNoPlace || !problem.phrase.empty()) continue;
      const size_t place = place_[count];
      const double* const origin = origins_.empty() ? nullptr : &origins_[place];
      const char* const phrase = ParseCell(cells.text(), origin, out + place);
      if (phrase != nullptr) problem = {phrase, count};
    }
    if (cells.unclosed()) return {"ends inside quotes", absl::nullopt};
    if (count != cells_.value_or(std::max(count, place_.size()))) {
      return {absl::StrCat("has ", count, " cells instead of ", cells_.value_or(place_.size())), absl::nullopt};
    }
    return problem;
  }

  std::string Hint() const {
    return rows_->dialect_hint().empty() ? "" : absl::StrCat(" (", rows_->dialect_hint(), ")");
  }

  absl::Status RowError(const Problem& problem) const {
    // The first row may be a header that has a number among its names.
    const bool may_be_header = next_row_ == 0 && !rows_->header().has_value() && problem.phrase == kNotANumber;
    const std::string about_header =
        may_be_header ? absl::StrCat("; if line ", rows_->line_number(), " is a header, say --csv_header=present") : "";
    return rows_->RowError(next_row_, problem.column, problem.phrase, absl::StrCat(about_header, Hint()));
  }

  static constexpr size_t kNoPlace = std::numeric_limits<size_t>::max();

  const char separator_;
  // Where the value of each cell goes in a row of the result; the cells behind are not read.
  std::vector<size_t> place_;
  absl::optional<size_t> cells_;  // of a row; nullopt: at least place_.size()
  const MalformedRows malformed_rows_;
  const std::unique_ptr<TextRows> rows_;
  uint64_t next_row_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<VectorReader>> OpenText(char separator, std::unique_ptr<InputFile> file,
                                                       const VectorReaderOptions& options) {
  TextRows::Options text;
  text.separator = separator;
  text.header = options.text_header;
  text.blank_lines = options.blank_lines;
  text.any_row = options.malformed_rows == MalformedRows::kAsNan;
  DPKDE_ASSIGN_OR_RETURN(std::unique_ptr<TextRows> rows, TextRows::Open(std::move(file), text));
  auto reader = std::make_unique<TextReader>(separator, options, std::move(rows));
  DPKDE_RETURN_IF_ERROR(reader->ReadStart(options));
  return reader;
}

}  // namespace dpkde
