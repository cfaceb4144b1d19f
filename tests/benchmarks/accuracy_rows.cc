#include "tests/benchmarks/accuracy_rows.h"

#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace dpkde {

absl::StatusOr<std::vector<AccuracyRow>> ReadAccuracyRows(const std::string& path) {
  std::vector<AccuracyRow> rows;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // names of the columns
  while (std::getline(file, line)) {
    const std::vector<std::string> cells = absl::StrSplit(line, ',');
    AccuracyRow row;
    bool valid = cells.size() == 16;
    const auto number = [&](size_t column, double& value) { valid = valid && absl::SimpleAtod(cells[column], &value); };
    number(1, row.records);
    number(2, row.dimension);
    number(3, row.reduced_to);
    number(5, row.epsilon);
    number(6, row.delta);
    number(9, row.rmse);
    number(10, row.spread);
    number(11, row.noise);
    number(12, row.relative);
    number(13, row.build_s);
    number(14, row.query_us);
    number(15, row.bytes);
    if (!valid) return absl::InvalidArgumentError(absl::StrCat(path, ": not a table of accuracy: ", line));
    row.data = cells[0];
    row.similarity = cells[4];
    row.mechanism = cells[7];
    row.design = absl::StrReplaceAll(cells[8], {{"\"", ""}});
    rows.push_back(row);
  }
  if (rows.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no table of accuracy"));
  return rows;
}

}  // namespace dpkde
