// Draws two plots from the table of kernel_sum_benchmark (and kernel_sum_peers.py): time of a query against the number
// of rows at a fixed target, and error against time at the largest number of rows.
//
//   bazel run //tests/benchmarks:draw_kernel_sums -- TABLE.tsv PICTURE.png

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tests/benchmarks/canvas.h"

namespace dpkde {
namespace {

constexpr int kWidth = 1500, kHeight = 820, kTop = 80, kBottom = 560;

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

struct Line {
  std::string data, method;
  double density, rows, target, micros, rms;
};

// Both axes logarithmic, over the decades that hold the points.
class Plot {
 public:
  Plot(Canvas* canvas, int left, int right, const std::string& title, const std::string& x_name,
       const std::string& y_name, const std::vector<Series>& all)
      : canvas_(*canvas), left_(left), right_(right) {
    double low[2] = {1e300, 1e300}, high[2] = {0, 0};
    for (const Series& series : all) {
      for (const auto& [x, y] : series.points) {
        low[0] = std::min(low[0], x);
        high[0] = std::max(high[0], x);
        low[1] = std::min(low[1], y);
        high[1] = std::max(high[1], y);
      }
    }
    for (int axis : {0, 1}) {
      low_[axis] = std::floor(std::log10(low[axis]) * 2) / 2;
      high_[axis] = std::ceil(std::log10(high[axis]) * 2) / 2;
    }
    canvas_.Text(left_, 20, title);
    canvas_.Text(left_ - 40, kTop - 28, y_name);
    canvas_.Text((left_ + right_) / 2 - static_cast<int>(x_name.size()) * kAdvance / 2, kBottom + 42, x_name);
    for (int decade = static_cast<int>(std::ceil(low_[0])); decade <= high_[0]; ++decade) {
      const double x = X(std::pow(10, decade));
      canvas_.Line(x, kTop, x, kBottom, 1, kGrid);
      Label(static_cast<int>(x), kBottom + 12, decade, true);
    }
    for (int decade = static_cast<int>(std::ceil(low_[1])); decade <= high_[1]; ++decade) {
      const double y = Y(std::pow(10, decade));
      canvas_.Line(left_, y, right_, y, 1, kGrid);
      Label(left_ - 8, static_cast<int>(y) - 7, decade, false);
    }
    canvas_.Line(left_, kTop, left_, kBottom, 2, kBlack);
    canvas_.Line(left_, kBottom, right_, kBottom, 2, kBlack);
    for (size_t i = 0; i < all.size(); ++i) {
      const Rgb color = kColors[i % std::size(kColors)];
      const auto& points = all[i].points;
      for (size_t j = 0; j < points.size(); ++j) {
        const double x = X(points[j].first), y = Y(points[j].second);
        if (j > 0) canvas_.Line(X(points[j - 1].first), Y(points[j - 1].second), x, y, 2, color);
        canvas_.Mark(x, y, i, color);
      }
      const int x = left_ - 40 + static_cast<int>(i % 2) * 360, y = kBottom + 90 + static_cast<int>(i / 2) * 28;
      canvas_.Line(x, y, x + 36, y, 2, color);
      canvas_.Mark(x + 18, y, i, color);
      canvas_.Text(x + 46, y - 7, all[i].name);
    }
  }

 private:
  double X(double x) const { return left_ + (std::log10(x) - low_[0]) / (high_[0] - low_[0]) * (right_ - left_); }
  double Y(double y) const { return kBottom - (std::log10(y) - low_[1]) / (high_[1] - low_[1]) * (kBottom - kTop); }

  void Label(int x, int y, int decade, bool centered) {
    const std::string text = absl::StrFormat("%g", std::pow(10, decade));
    const int width = static_cast<int>(text.size()) * kAdvance;
    canvas_.Text(centered ? x - width / 2 : x - width, y, text);
  }

  Canvas& canvas_;
  const int left_, right_;
  double low_[2], high_[2];  // decimal logarithms
};

int Draw(const std::string& table, const std::string& picture) {
  std::vector<Line> lines;
  double most = 0;
  std::ifstream file(table);
  for (std::string text; std::getline(file, text);) {
    const std::vector<std::string> cells = absl::StrSplit(text, '\t');
    Line line;
    if (cells.size() < 12 || cells[0] != "sums" || !absl::SimpleAtod(cells[2], &line.density) ||
        !absl::SimpleAtod(cells[4], &line.rows) || !absl::SimpleAtod(cells[6], &line.target) ||
        !absl::SimpleAtod(cells[7], &line.micros) || !absl::SimpleAtod(cells[8], &line.rms)) {
      continue;
    }
    line.data = cells[1];
    line.method = cells[5];
    if (line.data != "windows" || line.density == 0) continue;
    most = std::max(most, line.rows);
    lines.push_back(line);
  }
  std::vector<Series> growth, error;
  double exact = 0;  // microseconds of a query; about the same at every density
  const auto add = [](std::vector<Series>* all, const std::string& name, double x, double y) {
    auto at = std::find_if(all->begin(), all->end(), [&](const Series& series) { return series.name == name; });
    if (at == all->end()) at = all->insert(all->end(), {name, {}});
    at->points.emplace_back(x, y);
  };
  for (const Line& line : lines) {
    const bool estimate = line.method == "DEANN, permuted";
    const std::string density = absl::StrCat(", density ", absl::StrFormat("%g", line.density));
    if (estimate && line.target == 0.1) add(&growth, "estimate" + density, line.rows, line.micros);
    if (!estimate && line.density == 1e-3 && line.method != "DEANN" && (line.target == 0 || line.target == 0.1)) {
      add(&growth, line.method, line.rows, line.micros);
    }
    if (line.rows == most && line.method == "exact") exact = line.micros;
    if (line.rows == most && estimate) add(&error, "estimate" + density, line.micros, line.rms);
    if (line.rows == most && line.method == "sample alone") add(&error, "sample" + density, line.micros, line.rms);
  }
  for (std::vector<Series>* all : {&growth, &error}) {
    for (Series& series : *all) std::sort(series.points.begin(), series.points.end());
  }
  if (growth.empty() || error.empty()) return absl::FPrintF(stderr, "%s: no lines of windows\n", table), 1;
  Canvas canvas(kWidth, kHeight);
  Plot(&canvas, 100, 720, "Time of a query, target 10 % (others at density 0.001)", "rows", "microseconds", growth);
  Plot(&canvas, 860, 1450, absl::StrFormat("Error at %.0f rows (exact: %.0f us)", most, exact), "microseconds a query",
       "relative error (root mean square)", error);
  if (!canvas.Write(picture)) return absl::FPrintF(stderr, "%s: cannot be written\n", picture), 1;
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: draw_kernel_sums TABLE.tsv PICTURE.png\n"), 1;
  return dpkde::Draw(argv[1], argv[2]);
}
