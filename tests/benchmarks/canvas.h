#ifndef TESTS_BENCHMARKS_CANVAS_H_
#define TESTS_BENCHMARKS_CANVAS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dpkde {

struct Rgb {
  uint8_t red, green, blue;
};

inline constexpr Rgb kBlack = {20, 20, 20}, kGrid = {222, 222, 222};
// Told apart by most colour-blind readers (Okabe and Ito), and by marks besides.
inline constexpr Rgb kColors[] = {{0, 0, 0},       {230, 159, 0}, {86, 180, 233},  {0, 158, 115},
                                  {0, 114, 178},   {213, 94, 0},  {204, 121, 167}, {110, 110, 110},
                                  {148, 103, 189}, {140, 86, 75}, {150, 190, 20}};

inline constexpr int kDot = 2;             // pixels of a dot of a letter
inline constexpr int kAdvance = 6 * kDot;  // from letter to letter

// A white picture to draw plots on: lines, marks and letters, without smoothing.
class Canvas {
 public:
  Canvas(int width, int height) : width_(width), height_(height), rgb_(static_cast<size_t>(width) * height * 3, 255) {}

  void Square(int x, int y, int size, Rgb color);
  void Line(double x0, double y0, double x1, double y1, int width, Rgb color);
  // ASCII from blank to z; x, y is the upper left corner.
  void Text(int x, int y, const std::string& text, Rgb color = kBlack);
  // One of four marks.
  void Mark(double x, double y, size_t kind, Rgb color);
  // Whether the PNG could be written.
  bool Write(const std::string& path) const;

 private:
  int width_, height_;
  std::vector<uint8_t> rgb_;
};

}  // namespace dpkde

#endif  // TESTS_BENCHMARKS_CANVAS_H_
