// Draws the table of the accuracy benchmark, a panel for each data set, a line for each mechanism; both axes
// logarithmic:
//
//   bazel run //tests/benchmarks:draw_accuracy -- TABLE.csv PICTURE.png [time]
//
// Relative error against epsilon, pure; with "time", against microseconds a query, for all pure epsilons.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tests/benchmarks/canvas.h"

namespace dpkde {
namespace {

constexpr int kColumns = 2;
constexpr int kPanelWidth = 560, kPanelHeight = 400, kLegend = 86;
constexpr int kLeft = 100, kRight = 530, kTop = 50, kBottom = 330;  // of the plot in its panel

// In the order of colors and marks.
constexpr const char* kMechanisms[] = {"planner", "lsq_rff", "lsq_fgt",       "race",
                                       "tree",    "tree_sums", "tree_centered", "planner_reference",
                                       "histogram"};

struct Panel {
  std::string name;
  std::map<std::string, std::vector<std::pair<double, double>>> lines;  // by mechanism: x, relative error
};

struct LogScale {
  double least = 1e300, most = 0;
  void Include(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
  // Whole decades around what is included.
  void Widen() {
    least = std::pow(10, std::floor(std::log10(least) + 1e-9));
    most = std::pow(10, std::ceil(std::log10(most) - 1e-9));
    if (most <= least) most = 10 * least;
  }
  double At(double value, int from, int to) const {
    return from + (to - from) * std::log(value / least) / std::log(most / least);
  }
};

int Draw(const std::string& table, const std::string& picture, bool time) {
  std::vector<Panel> panels;
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);  // names of the columns
  while (std::getline(file, line)) {
    const std::vector<std::string> cells = absl::StrSplit(line, ',');
    double epsilon, delta, relative, query;
    if (cells.size() != 15 || !absl::SimpleAtod(cells[4], &epsilon) || !absl::SimpleAtod(cells[5], &delta) ||
        !absl::SimpleAtod(cells[11], &relative) || !absl::SimpleAtod(cells[13], &query)) {
      return absl::FPrintF(stderr, "%s: not a table of accuracy: %s\n", table, line), 1;
    }
    if (panels.empty() || panels.back().name != cells[0]) panels.push_back({cells[0], {}});
    if (delta == 0) panels.back().lines[cells[6]].emplace_back(time ? query : epsilon, relative);
  }
  if (panels.empty()) return absl::FPrintF(stderr, "%s: empty\n", table), 1;
  const int rows = (static_cast<int>(panels.size()) + kColumns - 1) / kColumns;
  Canvas canvas(kColumns * kPanelWidth, rows * kPanelHeight + kLegend);
  for (size_t p = 0; p < panels.size(); ++p) {
    const int left = static_cast<int>(p) % kColumns * kPanelWidth;
    const int top = kLegend + static_cast<int>(p) / kColumns * kPanelHeight;
    LogScale x, y;
    for (const auto& [unused, points] : panels[p].lines) {
      for (const auto& [at, error] : points) {
        x.Include(at);
        y.Include(error);
      }
    }
    y.Widen();
    if (time) x.Widen();
    const auto x_of = [&](double value) { return x.At(value, left + kLeft + 12, left + kRight - 12); };
    const auto y_of = [&](double value) { return y.At(value, top + kBottom, top + kTop); };
    canvas.Text(left + kLeft, top + 20, panels[p].name + ": relative error");
    for (double error = y.least; error <= y.most * 1.01; error *= 10) {
      canvas.Line(left + kLeft, y_of(error), left + kRight, y_of(error), 1, kGrid);
      canvas.Text(left + kLeft - 7 * kAdvance, static_cast<int>(y_of(error)) - 7, absl::StrFormat("%6.0e", error));
    }
    std::vector<double> ticks;
    if (time) {
      for (double at = x.least; at <= x.most * 1.01; at *= 10) ticks.push_back(at);
    } else {
      for (const auto& [at, unused] : panels[p].lines.begin()->second) ticks.push_back(at);
    }
    for (double tick : ticks) {
      const std::string label = absl::StrFormat("%g", tick);
      canvas.Line(x_of(tick), top + kTop, x_of(tick), top + kBottom, 1, kGrid);
      canvas.Text(static_cast<int>(x_of(tick)) - static_cast<int>(label.size()) * kAdvance / 2, top + kBottom + 10,
                  label);
    }
    canvas.Line(left + kLeft, top + kTop, left + kLeft, top + kBottom, 2, kBlack);
    canvas.Line(left + kLeft, top + kBottom, left + kRight, top + kBottom, 2, kBlack);
    canvas.Text(left + (kLeft + kRight) / 2 - 8 * kAdvance, top + kBottom + 34,
                time ? "microseconds a query" : "epsilon (pure)");
    for (size_t m = 0; m < std::size(kMechanisms); ++m) {
      const auto found = panels[p].lines.find(kMechanisms[m]);
      if (found == panels[p].lines.end()) continue;
      const auto& points = found->second;
      for (size_t i = 0; i < points.size(); ++i) {
        if (i > 0 && !time) {
          canvas.Line(x_of(points[i - 1].first), y_of(points[i - 1].second), x_of(points[i].first),
                      y_of(points[i].second), 2, kColors[m]);
        }
        canvas.Mark(x_of(points[i].first), y_of(points[i].second), m, kColors[m]);
      }
    }
  }
  // The legend, in three lines above.
  for (size_t m = 0; m < std::size(kMechanisms); ++m) {
    const int x = 20 + static_cast<int>(m) % 4 * 280, y = 16 + static_cast<int>(m) / 4 * 26;
    canvas.Line(x, y, x + 40, y, 2, kColors[m]);
    canvas.Mark(x + 20, y, m, kColors[m]);
    canvas.Text(x + 48, y - 7, kMechanisms[m]);
  }
  if (!canvas.Write(picture)) return absl::FPrintF(stderr, "%s: cannot be written\n", picture), 1;
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: draw_accuracy TABLE.csv PICTURE.png [time]\n"), 1;
  return dpkde::Draw(argv[1], argv[2], argc > 3 && std::string(argv[3]) == "time");
}
