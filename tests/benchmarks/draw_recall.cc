// Draws recall against candidates, a line for each arrangement, from the table of search_benchmark:
//
//   bazel run //tests/benchmarks:draw_recall -- TABLE.tsv PICTURE.png "TITLE"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tests/benchmarks/canvas.h"

namespace dpkde {
namespace {

constexpr int kWidth = 1200, kHeight = 760;
constexpr int kLeft = 100, kRight = 760, kTop = 70, kBottom = 660;  // the plot; the legend stands to its right

struct Series {
  std::string name;
  double bytes;
  std::vector<std::pair<double, double>> points;  // candidates, recall
};

int Draw(const std::string& table, const std::string& picture, const std::string& title) {
  std::vector<Series> all;
  std::ifstream file(table);
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> cells = absl::StrSplit(line, '\t');
    double bytes, candidates, recall;
    if (cells.size() < 5 || !absl::SimpleAtod(cells[1], &bytes) || !absl::SimpleAtod(cells[3], &candidates) ||
        !absl::SimpleAtod(cells[4], &recall)) {
      return absl::FPrintF(stderr, "%s: not a table of search_benchmark: %s\n", table, line), 1;
    }
    if (all.empty() || all.back().name != cells[0]) all.push_back({cells[0], bytes, {}});
    all.back().points.emplace_back(candidates, recall);
  }
  if (all.empty() || all.size() > std::size(kColors))
    return absl::FPrintF(stderr, "%s: no or too many lines\n", table), 1;
  double lowest = 1, least = 1e9, most = 1;
  for (const Series& series : all) {
    for (const auto& [candidates, recall] : series.points) {
      lowest = std::min(lowest, recall);
      least = std::min(least, candidates);
      most = std::max(most, candidates);
    }
  }
  lowest = std::floor(lowest * 10) / 10;
  const auto x_of = [&](double candidates) {
    return kLeft + 15 + (kRight - kLeft - 30) * std::log(candidates / least) / std::log(most / least);
  };
  const auto y_of = [&](double recall) { return kBottom - (kBottom - kTop) * (recall - lowest) / (1 - lowest); };

  Canvas canvas(kWidth, kHeight);
  canvas.Text(kLeft, 20, title);
  for (double recall = 1; recall > lowest - 0.01; recall -= 0.05) {
    canvas.Line(kLeft, y_of(recall), kRight, y_of(recall), 1, kGrid);
    canvas.Text(kLeft - 5 * kAdvance, y_of(recall) - 7, absl::StrFormat("%.2f", recall));
  }
  for (const auto& [candidates, unused] : all[0].points) {
    canvas.Line(x_of(candidates), kTop, x_of(candidates), kBottom, 1, kGrid);
    const std::string label = absl::StrCat(candidates);
    canvas.Text(x_of(candidates) - static_cast<int>(label.size()) * kAdvance / 2, kBottom + 12, label);
  }
  canvas.Line(kLeft, kTop, kLeft, kBottom, 2, kBlack);
  canvas.Line(kLeft, kBottom, kRight, kBottom, 2, kBlack);
  canvas.Text((kLeft + kRight) / 2 - 6 * kAdvance, kBottom + 45, "candidates");
  canvas.Text(8, kTop - 28, "recall@10 after rerank");
  for (size_t i = 0; i < all.size(); ++i) {
    const Series& series = all[i];
    for (size_t j = 0; j < series.points.size(); ++j) {
      const double x = x_of(series.points[j].first), y = y_of(series.points[j].second);
      if (j > 0) canvas.Line(x_of(series.points[j - 1].first), y_of(series.points[j - 1].second), x, y, 2, kColors[i]);
      canvas.Mark(x, y, i, kColors[i]);
    }
    const int y = kTop + 20 + static_cast<int>(i) * 52;
    canvas.Line(kRight + 20, y, kRight + 60, y, 2, kColors[i]);
    canvas.Mark(kRight + 40, y, i, kColors[i]);
    canvas.Text(kRight + 72, y - 16, series.name);
    canvas.Text(kRight + 72, y + 4, absl::StrFormat("%.0f bytes a document", series.bytes), {110, 110, 110});
  }
  if (!canvas.Write(picture)) return absl::FPrintF(stderr, "%s: cannot be written\n", picture), 1;
  return 0;
}

}  // namespace
}  // namespace dpkde

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: draw_recall TABLE.tsv PICTURE.png TITLE\n"), 1;
  return dpkde::Draw(argv[1], argv[2], argv[3]);
}
