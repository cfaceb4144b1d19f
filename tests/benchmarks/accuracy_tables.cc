// Prints the table of the accuracy benchmark in Markdown, as docs/accuracy.md has it:
//
//   bazel run //tests/benchmarks:accuracy_tables -- TABLE.csv [dimension]
//
// First how many times the best published mechanism's error is above the planner's, then a section for each data set;
// with "dimension", the study of reductions.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tests/benchmarks/accuracy_rows.h"

namespace dpkde {
namespace {

// 12,345, 123, 1.23.
std::string Number(double value) {
  if (value < 99.95) return absl::StrFormat("%.3g", value);
  std::string digits = absl::StrFormat("%.0f", value);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string Percent(double share) { return absl::StrFormat("%.3g %%", 100 * share); }

std::string Error(const AccuracyRow& row) { return absl::StrCat(Number(row.rmse), " ± ", Number(row.spread)); }

bool IsPlanner(const AccuracyRow& row) { return absl::StartsWith(row.mechanism, "planner"); }

// Ours, or nobody's, but they have to be beaten.
bool IsUnpublished(const AccuracyRow& row) { return row.mechanism == "tree_centered" || row.mechanism == "histogram"; }

template <typename Value>
void AddNew(std::vector<Value>& to, const Value& value) {
  if (std::find(to.begin(), to.end(), value) == to.end()) to.push_back(value);
}

// The rows of one data set.
class Section {
 public:
  void Add(const AccuracyRow& row) {
    rows_.push_back(row);
    AddNew(mechanisms_, row.mechanism);
    AddNew(epsilons_, row.epsilon);
  }

  const std::string& data() const { return rows_[0].data; }

  void PrintShort() const {
    for (bool delta : {false, true}) {
      std::string line = absl::StrCat("| ", data(), " | ", delta ? "δ = 1e-6" : "pure", " |");
      for (const char* planner : {"planner", "planner_reference"}) {
        double least = INFINITY, most = 0;
        for (double epsilon : epsilons_) {
          const AccuracyRow* row = Find(planner, epsilon, delta);
          if (row == nullptr) continue;
          const double ratio = Best(epsilon, delta, false) / row->rmse;
          least = std::min(least, ratio);
          most = std::max(most, ratio);
        }
        absl::StrAppend(&line, most == 0 ? " –" : absl::StrFormat(" %.3g – %.3g", least, most), " |");
      }
      absl::PrintF("%s\n", line);
    }
  }

  void Print() const {
    absl::PrintF("### %s\n\n%s records, %.0f dimension(s), %s\n", data(), Number(rows_[0].records), rows_[0].dimension,
                 rows_[0].similarity);
    for (bool delta : {false, true}) {
      absl::PrintF("\n| %s |", delta ? "ε, δ = 1e-6" : "ε, pure");
      for (double epsilon : epsilons_) absl::PrintF(" %g |", epsilon);
      absl::PrintF("\n|---|");
      for (size_t i = 0; i < epsilons_.size(); ++i) absl::PrintF("---|");
      absl::PrintF("\n");
      for (const std::string& mechanism : mechanisms_) {
        absl::PrintF("| `%s` |", mechanism);
        for (double epsilon : epsilons_) {
          const AccuracyRow* row = Find(mechanism, epsilon, delta);
          if (row == nullptr) {
            absl::PrintF(" – |");
            continue;
          }
          absl::PrintF(" %s%s%s |", Error(*row),
                       IsPlanner(*row) && Best(epsilon, delta, false) < row->rmse ? " **!**" : "",
                       IsPlanner(*row) && Best(epsilon, delta, true) < row->rmse ? " *" : "");
        }
        absl::PrintF("\n");
      }
    }
    absl::PrintF(
        "\n| at ε = 1, pure | chosen | of the error, noise | relative | build s | query µs | bytes |\n"
        "|---|---|---|---|---|---|---|\n");
    for (const std::string& mechanism : mechanisms_) {
      const AccuracyRow* row = Find(mechanism, 1, false);
      if (row == nullptr) continue;
      absl::PrintF("| `%s` | %s | %s | %s | %.3g | %.3g | %s |\n", mechanism, row->design, Number(row->noise),
                   Percent(row->relative), row->build_s, row->query_us, Number(row->bytes));
    }
    absl::PrintF("\n");
  }

 private:
  const AccuracyRow* Find(const std::string& mechanism, double epsilon, bool delta) const {
    for (const AccuracyRow& row : rows_) {
      if (row.mechanism == mechanism && row.epsilon == epsilon && (row.delta > 0) == delta) return &row;
    }
    return nullptr;
  }

  // The least error of those that the planner is compared with.
  double Best(double epsilon, bool delta, bool unpublished) const {
    double best = INFINITY;
    for (const AccuracyRow& row : rows_) {
      if (row.epsilon != epsilon || (row.delta > 0) != delta || IsPlanner(row)) continue;
      if (IsUnpublished(row) == unpublished) best = std::min(best, row.rmse);
    }
    return best;
  }

  std::vector<AccuracyRow> rows_;
  std::vector<std::string> mechanisms_;
  std::vector<double> epsilons_;
};

void PrintStudy(const std::vector<AccuracyRow>& rows) {
  std::vector<std::string> mechanisms;
  for (const AccuracyRow& row : rows) AddNew(mechanisms, row.mechanism);
  absl::PrintF("| | k |");
  for (const std::string& mechanism : mechanisms) absl::PrintF(" `%s`: RMSE | relative | query µs |", mechanism);
  absl::PrintF("\n|---|---|");
  for (size_t i = 0; i < mechanisms.size(); ++i) absl::PrintF("---|---|---|");
  // The mechanisms of one dimension follow one another.
  for (const AccuracyRow& row : rows) {
    if (row.mechanism == mechanisms[0]) {
      absl::PrintF("\n| %s | %s |", *absl::StrSplit(row.data, '_').begin(),
                   row.reduced_to > 0 ? Number(row.reduced_to) : absl::StrFormat("%.0f, no map", row.dimension));
    }
    absl::PrintF(" %s | %s | %.2g |", Error(row), Percent(row.relative), row.query_us);
  }
  absl::PrintF("\n");
}

int Main(const std::string& path, bool study) {
  const absl::StatusOr<std::vector<AccuracyRow>> rows = ReadAccuracyRows(path);
  if (!rows.ok()) return absl::FPrintF(stderr, "%s\n", rows.status().message()), 1;
  if (study) return PrintStudy(*rows), 0;
  std::vector<Section> sections;
  for (const AccuracyRow& row : *rows) {
    if (sections.empty() || sections.back().data() != row.data) sections.emplace_back();
    sections.back().Add(row);
  }
  absl::PrintF("| data | budget | planner | with reference |\n|---|---|---|---|\n");
  for (const Section& section : sections) section.PrintShort();
  absl::PrintF("\n");
  for (const Section& section : sections) section.Print();
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: accuracy_tables TABLE.csv [dimension]\n"), 1;
  return dpkde::Main(argv[1], argc > 2 && std::string(argv[2]) == "dimension");
}
