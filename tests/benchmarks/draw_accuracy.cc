// Draws the table of the accuracy benchmark, a panel for each data set, a line for each mechanism; both axes
// logarithmic:
//
//   bazel run //tests/benchmarks:draw_accuracy -- TABLE.csv PICTURE.png [time | dimension]
//
// Relative error against epsilon, pure; with "time", against microseconds a query, for all pure epsilons; with
// "dimension", of its study of reductions, error and microseconds a query against the dimension behind the reduction,
// two panels a data set.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/benchmarks/accuracy_rows.h"
#include "tests/benchmarks/canvas.h"

namespace dpkde {
namespace {

constexpr int kColumns = 2;
constexpr int kPanelWidth = 560, kPanelHeight = 400, kLegend = 86;
constexpr int kLeft = 100, kRight = 530, kTop = 50, kBottom = 330;  // of the plot in its panel

// In the order of colors and marks.
constexpr const char* kMechanisms[] = {"planner",   "lsq_rff",         "lsq_fgt",        "race",
                                       "tree",      "tree_sums",       "tree_centered",  "planner_reference",
                                       "histogram", "exponential_sum", "lsq_fgt_theorem"};

struct Panel {
  std::string data, title, below;
  bool is_line;                                                         // or only points
  std::map<std::string, std::vector<std::pair<double, double>>> lines;  // by mechanism
};

enum class Picture { kEpsilon, kTime, kDimension };

std::vector<Panel> PanelsOf(const std::string& data, Picture picture) {
  if (picture == Picture::kEpsilon) return {{data, data + ": relative error", "epsilon (pure)", true, {}}};
  if (picture == Picture::kTime) return {{data, data + ": relative error", "microseconds a query", false, {}}};
  const std::string below = "dimension, epsilon = 1 (pure)";
  return {{data, data + ": relative error", below, true, {}}, {data, data + ": query time (us)", below, true, {}}};
}

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

int Draw(const std::string& table, const std::string& path, Picture picture) {
  const absl::StatusOr<std::vector<AccuracyRow>> all = ReadAccuracyRows(table);
  if (!all.ok()) return absl::FPrintF(stderr, "%s\n", all.status().message()), 1;
  std::vector<Panel> panels;
  for (const AccuracyRow& row : *all) {
    if (panels.empty() || panels.back().data != row.data) {
      for (Panel& panel : PanelsOf(row.data, picture)) panels.push_back(std::move(panel));
    }
    if (row.delta > 0) continue;
    const size_t last = panels.size() - 1;
    if (picture == Picture::kDimension) {
      const double at = row.reduced_to > 0 ? row.reduced_to : row.dimension;
      panels[last - 1].lines[row.mechanism].emplace_back(at, row.relative);
      panels[last].lines[row.mechanism].emplace_back(at, row.query_us);
    } else {
      panels[last].lines[row.mechanism].emplace_back(picture == Picture::kTime ? row.query_us : row.epsilon,
                                                     row.relative);
    }
  }
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
    if (picture == Picture::kTime) x.Widen();
    const auto x_of = [&](double value) { return x.At(value, left + kLeft + 12, left + kRight - 12); };
    const auto y_of = [&](double value) { return y.At(value, top + kBottom, top + kTop); };
    canvas.Text(left + kLeft, top + 20, panels[p].title);
    for (double error = y.least; error <= y.most * 1.01; error *= 10) {
      canvas.Line(left + kLeft, y_of(error), left + kRight, y_of(error), 1, kGrid);
      canvas.Text(left + kLeft - 7 * kAdvance, static_cast<int>(y_of(error)) - 7, absl::StrFormat("%6.0e", error));
    }
    std::vector<double> ticks;
    if (picture == Picture::kTime) {
      for (double at = x.least; at <= x.most * 1.01; at *= 10) ticks.push_back(at);
    } else {
      for (const auto& [at, unused] : panels[p].lines.begin()->second) ticks.push_back(at);
    }
    for (size_t t = 0; t < ticks.size(); ++t) {
      const std::string label = absl::StrFormat("%g", ticks[t]);
      const double at = x_of(ticks[t]);
      canvas.Line(at, top + kTop, at, top + kBottom, 1, kGrid);
      // The last one is the dimension of the data, which may be near a power of 2.
      if (t + 2 == ticks.size() && x_of(ticks.back()) - at < 4 * kAdvance) continue;
      canvas.Text(static_cast<int>(at) - static_cast<int>(label.size()) * kAdvance / 2, top + kBottom + 10, label);
    }
    canvas.Line(left + kLeft, top + kTop, left + kLeft, top + kBottom, 2, kBlack);
    canvas.Line(left + kLeft, top + kBottom, left + kRight, top + kBottom, 2, kBlack);
    canvas.Text(left + (kLeft + kRight) / 2 - static_cast<int>(panels[p].below.size()) * kAdvance / 2,
                top + kBottom + 34, panels[p].below);
    for (size_t m = 0; m < std::size(kMechanisms); ++m) {
      const auto found = panels[p].lines.find(kMechanisms[m]);
      if (found == panels[p].lines.end()) continue;
      const auto& points = found->second;
      for (size_t i = 0; i < points.size(); ++i) {
        if (i > 0 && panels[p].is_line) {
          canvas.Line(x_of(points[i - 1].first), y_of(points[i - 1].second), x_of(points[i].first),
                      y_of(points[i].second), 2, kColors[m]);
        }
        canvas.Mark(x_of(points[i].first), y_of(points[i].second), m, kColors[m]);
      }
    }
  }
  // The legend of what is drawn, in up to three lines above.
  int place = 0;
  for (size_t m = 0; m < std::size(kMechanisms); ++m) {
    const bool drawn = std::any_of(panels.begin(), panels.end(),
                                   [&](const Panel& panel) { return panel.lines.count(kMechanisms[m]) > 0; });
    if (!drawn) continue;
    const int x = 20 + place % 4 * 280, y = 16 + place / 4 * 26;
    ++place;
    canvas.Line(x, y, x + 40, y, 2, kColors[m]);
    canvas.Mark(x + 20, y, m, kColors[m]);
    canvas.Text(x + 48, y - 7, kMechanisms[m]);
  }
  if (!canvas.Write(path)) return absl::FPrintF(stderr, "%s: cannot be written\n", path), 1;
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: draw_accuracy TABLE.csv PICTURE.png [time | dimension]\n"), 1;
  const std::string kind = argc > 3 ? argv[3] : "";
  return dpkde::Draw(argv[1], argv[2],
                     kind == "time"        ? dpkde::Picture::kTime
                     : kind == "dimension" ? dpkde::Picture::kDimension
                                           : dpkde::Picture::kEpsilon);
}
