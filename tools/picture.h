#ifndef DPKDE_TOOLS_PICTURE_H_
#define DPKDE_TOOLS_PICTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace dpkde {

struct Rgb {
  uint8_t red, green, blue;
};

// A white picture to draw on; (0, 0) is its upper left corner. What lies outside is left out.
class Picture {
 public:
  Picture(int width, int height);

  int width() const { return width_; }
  int height() const { return height_; }

  void Fill(int x, int y, int width, int height, Rgb color);

  // Writes a number in black, digits of 5 x 7 dots of `scale` pixels each, the upper left corner at (x, y). Draws
  // 0-9 . - + e; others are blank.
  void Write(int x, int y, absl::string_view number, int scale);
  static int TextWidth(absl::string_view number, int scale);
  static constexpr int kTextHeight = 7;  // dots

  // The bytes of a .png file.
  absl::StatusOr<std::string> Png() const;

 private:
  int width_, height_;
  std::vector<uint8_t> rgb_;
};

}  // namespace dpkde

#endif  // DPKDE_TOOLS_PICTURE_H_
