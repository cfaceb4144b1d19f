// Draws recall against candidates, a line for each arrangement, from the table of search_benchmark:
//
//   bazel run //tests/benchmarks:draw_recall -- TABLE.tsv PICTURE.png "TITLE"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace dpkde {
namespace {

constexpr int kWidth = 1200, kHeight = 760;
constexpr int kLeft = 100, kRight = 760, kTop = 70, kBottom = 660;  // the plot; the legend stands to its right

struct Rgb {
  uint8_t red, green, blue;
};

constexpr Rgb kBlack = {20, 20, 20}, kGrid = {222, 222, 222};
// Told apart by most colour-blind readers (Okabe and Ito), and by marks besides.
constexpr Rgb kColors[] = {{0, 0, 0},    {230, 159, 0},   {86, 180, 233},  {0, 158, 115},  {0, 114, 178},
                           {213, 94, 0}, {204, 121, 167}, {110, 110, 110}, {148, 103, 189}};

// ASCII from blank to z in 5 x 8 dots, column by column, the lowest bit on top.
constexpr uint8_t kGlyphs[][5] = {
    {0x00, 0x00, 0x00, 0x00, 0x00}, {0x00, 0x00, 0x5f, 0x00, 0x00}, {0x00, 0x07, 0x00, 0x07, 0x00},
    {0x14, 0x7f, 0x14, 0x7f, 0x14}, {0x24, 0x2a, 0x7f, 0x2a, 0x12}, {0x23, 0x13, 0x08, 0x64, 0x62},
    {0x36, 0x49, 0x56, 0x20, 0x50}, {0x00, 0x08, 0x07, 0x03, 0x00}, {0x00, 0x1c, 0x22, 0x41, 0x00},
    {0x00, 0x41, 0x22, 0x1c, 0x00}, {0x2a, 0x1c, 0x7f, 0x1c, 0x2a}, {0x08, 0x08, 0x3e, 0x08, 0x08},
    {0x00, 0x80, 0x70, 0x30, 0x00}, {0x08, 0x08, 0x08, 0x08, 0x08}, {0x00, 0x00, 0x60, 0x60, 0x00},
    {0x20, 0x10, 0x08, 0x04, 0x02}, {0x3e, 0x51, 0x49, 0x45, 0x3e}, {0x00, 0x42, 0x7f, 0x40, 0x00},
    {0x72, 0x49, 0x49, 0x49, 0x46}, {0x21, 0x41, 0x49, 0x4d, 0x33}, {0x18, 0x14, 0x12, 0x7f, 0x10},
    {0x27, 0x45, 0x45, 0x45, 0x39}, {0x3c, 0x4a, 0x49, 0x49, 0x31}, {0x41, 0x21, 0x11, 0x09, 0x07},
    {0x36, 0x49, 0x49, 0x49, 0x36}, {0x46, 0x49, 0x49, 0x29, 0x1e}, {0x00, 0x00, 0x14, 0x00, 0x00},
    {0x00, 0x40, 0x34, 0x00, 0x00}, {0x00, 0x08, 0x14, 0x22, 0x41}, {0x14, 0x14, 0x14, 0x14, 0x14},
    {0x00, 0x41, 0x22, 0x14, 0x08}, {0x02, 0x01, 0x59, 0x09, 0x06}, {0x3e, 0x41, 0x5d, 0x59, 0x4e},
    {0x7c, 0x12, 0x11, 0x12, 0x7c}, {0x7f, 0x49, 0x49, 0x49, 0x36}, {0x3e, 0x41, 0x41, 0x41, 0x22},
    {0x7f, 0x41, 0x41, 0x41, 0x3e}, {0x7f, 0x49, 0x49, 0x49, 0x41}, {0x7f, 0x09, 0x09, 0x09, 0x01},
    {0x3e, 0x41, 0x41, 0x51, 0x73}, {0x7f, 0x08, 0x08, 0x08, 0x7f}, {0x00, 0x41, 0x7f, 0x41, 0x00},
    {0x20, 0x40, 0x41, 0x3f, 0x01}, {0x7f, 0x08, 0x14, 0x22, 0x41}, {0x7f, 0x40, 0x40, 0x40, 0x40},
    {0x7f, 0x02, 0x1c, 0x02, 0x7f}, {0x7f, 0x04, 0x08, 0x10, 0x7f}, {0x3e, 0x41, 0x41, 0x41, 0x3e},
    {0x7f, 0x09, 0x09, 0x09, 0x06}, {0x3e, 0x41, 0x51, 0x21, 0x5e}, {0x7f, 0x09, 0x19, 0x29, 0x46},
    {0x26, 0x49, 0x49, 0x49, 0x32}, {0x03, 0x01, 0x7f, 0x01, 0x03}, {0x3f, 0x40, 0x40, 0x40, 0x3f},
    {0x1f, 0x20, 0x40, 0x20, 0x1f}, {0x3f, 0x40, 0x38, 0x40, 0x3f}, {0x63, 0x14, 0x08, 0x14, 0x63},
    {0x03, 0x04, 0x78, 0x04, 0x03}, {0x61, 0x59, 0x49, 0x4d, 0x43}, {0x00, 0x7f, 0x41, 0x41, 0x41},
    {0x02, 0x04, 0x08, 0x10, 0x20}, {0x00, 0x41, 0x41, 0x41, 0x7f}, {0x04, 0x02, 0x01, 0x02, 0x04},
    {0x40, 0x40, 0x40, 0x40, 0x40}, {0x00, 0x03, 0x07, 0x08, 0x00}, {0x20, 0x54, 0x54, 0x78, 0x40},
    {0x7f, 0x28, 0x44, 0x44, 0x38}, {0x38, 0x44, 0x44, 0x44, 0x28}, {0x38, 0x44, 0x44, 0x28, 0x7f},
    {0x38, 0x54, 0x54, 0x54, 0x18}, {0x00, 0x08, 0x7e, 0x09, 0x02}, {0x18, 0xa4, 0xa4, 0x9c, 0x78},
    {0x7f, 0x08, 0x04, 0x04, 0x78}, {0x00, 0x44, 0x7d, 0x40, 0x00}, {0x20, 0x40, 0x40, 0x3d, 0x00},
    {0x7f, 0x10, 0x28, 0x44, 0x00}, {0x00, 0x41, 0x7f, 0x40, 0x00}, {0x7c, 0x04, 0x78, 0x04, 0x78},
    {0x7c, 0x08, 0x04, 0x04, 0x78}, {0x38, 0x44, 0x44, 0x44, 0x38}, {0xfc, 0x18, 0x24, 0x24, 0x18},
    {0x18, 0x24, 0x24, 0x18, 0xfc}, {0x7c, 0x08, 0x04, 0x04, 0x08}, {0x48, 0x54, 0x54, 0x54, 0x24},
    {0x04, 0x04, 0x3f, 0x44, 0x24}, {0x3c, 0x40, 0x40, 0x20, 0x7c}, {0x1c, 0x20, 0x40, 0x20, 0x1c},
    {0x3c, 0x40, 0x30, 0x40, 0x3c}, {0x44, 0x28, 0x10, 0x28, 0x44}, {0x4c, 0x90, 0x90, 0x90, 0x7c},
    {0x44, 0x64, 0x54, 0x4c, 0x44},
};
constexpr int kDot = 2;             // pixels of a dot
constexpr int kAdvance = 6 * kDot;  // from letter to letter

class Canvas {
 public:
  Canvas() : rgb_(static_cast<size_t>(kWidth) * kHeight * 3, 255) {}

  void Square(int x, int y, int size, Rgb color) {
    for (int row = std::max(y, 0); row < std::min(y + size, kHeight); ++row) {
      for (int column = std::max(x, 0); column < std::min(x + size, kWidth); ++column) {
        uint8_t* pixel = &rgb_[(static_cast<size_t>(row) * kWidth + column) * 3];
        pixel[0] = color.red, pixel[1] = color.green, pixel[2] = color.blue;
      }
    }
  }

  void Line(double x0, double y0, double x1, double y1, int width, Rgb color) {
    const int steps = 1 + static_cast<int>(std::max(std::abs(x1 - x0), std::abs(y1 - y0)));
    for (int i = 0; i <= steps; ++i) {
      const double t = static_cast<double>(i) / steps;
      Square(std::lround(x0 + t * (x1 - x0)) - width / 2, std::lround(y0 + t * (y1 - y0)) - width / 2, width, color);
    }
  }

  void Text(int x, int y, const std::string& text, Rgb color = kBlack) {
    for (const char c : text) {
      if (c >= ' ' && c <= 'z') {
        for (int column = 0; column < 5; ++column) {
          for (int row = 0; row < 8; ++row) {
            if (kGlyphs[c - ' '][column] >> row & 1) Square(x + column * kDot, y + row * kDot, kDot, color);
          }
        }
      }
      x += kAdvance;
    }
  }

  // One of four marks.
  void Mark(double x, double y, size_t kind, Rgb color) {
    constexpr int kSize = 6;
    switch (kind % 4) {
      case 0:
        return Square(std::lround(x) - 5, std::lround(y) - 5, 11, color);
      case 1:
        Line(x - kSize, y - kSize, x + kSize, y + kSize, 3, color);
        return Line(x - kSize, y + kSize, x + kSize, y - kSize, 3, color);
      case 2:
        Line(x - kSize, y, x + kSize, y, 3, color);
        return Line(x, y - kSize, x, y + kSize, 3, color);
      default:
        for (int row = -kSize; row <= kSize; ++row) {
          const int half = kSize - std::abs(row);
          for (int column = -half; column <= half; ++column)
            Square(std::lround(x) + column, std::lround(y) + row, 1, color);
        }
    }
  }

  bool Write(const std::string& path) const {
    png_image image = {};
    image.version = PNG_IMAGE_VERSION;
    image.width = kWidth;
    image.height = kHeight;
    image.format = PNG_FORMAT_RGB;
    return png_image_write_to_file(&image, path.c_str(), 0, rgb_.data(), 0, nullptr) != 0;
  }

 private:
  std::vector<uint8_t> rgb_;
};

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

  Canvas canvas;
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
