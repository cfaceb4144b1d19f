// The pictures of "dpkde_query plot": their shape, axes and colour bar, and what no picture shows.
#include <png.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/command.h"
#include "tests/tools/density_flags.h"
#include "tests/tools/refusal.h"

namespace dpkde {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Pixels {
  int width = 0, height = 0;
  std::vector<png_byte> rgb;

  // Whether some pixel of the rectangle is black, or white.
  bool Has(int x, int y, int columns, int rows, int value) const {
    for (int r = y; r < y + rows; ++r) {
      for (int c = x; c < x + columns; ++c) {
        const png_byte* const pixel = &rgb[(static_cast<size_t>(r) * width + c) * 3];
        if (pixel[0] == value && pixel[1] == value && pixel[2] == value) return true;
      }
    }
    return false;
  }
};

Pixels Decode(const std::string& bytes) {
  png_image image;
  std::memset(&image, 0, sizeof(image));
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) << image.message;
  image.format = PNG_FORMAT_RGB;
  Pixels pixels{static_cast<int>(image.width), static_cast<int>(image.height), {}};
  pixels.rgb.resize(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, pixels.rgb.data(), 0, nullptr)) << image.message;
  return pixels;
}

class PlotTest : public ::testing::Test {
 protected:
  std::string Release(const std::string& low, const std::string& high, const std::string& similarity,
                      const std::string& bandwidth) {
    const std::string path = folder_.Path(absl::StrCat("release", ++releases_));
    const CommandResult built =
        BuildDensity({{"input", folder_.Write("records.csv", "0,0\n1,1\n")}, {"csv_header", "absent"},
                      {"similarity", similarity}, {"bandwidth", bandwidth.empty() ? kMissing : bandwidth},
                      {"domain_min", low}, {"domain_max", high}, {"neighboring", "replace"}, {"output", path}});
    EXPECT_EQ(built.exit_code, 0) << built.err;
    return path;
  }

  CommandResult Plot(const std::string& release, const std::string& output, const std::string& width) {
    return RunCommand("dpkde_query",
                      {"plot", "--release=" + release, "--output=" + output, "--width=" + width, "--overwrite"});
  }

  const Folder folder_;
  int releases_ = 0;
};

TEST_F(PlotTest, HasAxesTicksAndAColourBar) {
  const std::string output = folder_.Path("picture.png");
  const CommandResult result = Plot(Release("0,0", "4,2", "gaussian", "1"), output, "600");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Pixels pixels = Decode(FileBytes(output));
  EXPECT_EQ(pixels.width, 600);
  // Half as high as wide, but for labels.
  EXPECT_GT(pixels.height, 220);
  EXPECT_LT(pixels.height, 320);
  EXPECT_THAT(result.err, HasSubstr(absl::StrCat("600 x ", pixels.height, " pixels over")));
  // Labels below and to the left, black on white; the bar's to the right.
  for (const int value : {0, 255}) {
    EXPECT_TRUE(pixels.Has(0, pixels.height - 10, 600, 10, value)) << value;
    EXPECT_TRUE(pixels.Has(0, 0, 12, pixels.height, 255)) << value;
    EXPECT_TRUE(pixels.Has(543, 0, 57, pixels.height, value)) << value;
  }
}

TEST_F(PlotTest, KeepsTheShapeOfATallDomain) {
  const std::string output = folder_.Path("tall.png");
  const CommandResult result = Plot(Release("0,0", "1,100", "l1", ""), output, "200");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Pixels pixels = Decode(FileBytes(output));
  EXPECT_EQ(pixels.height, 8192);
  EXPECT_EQ(pixels.width, 82);
  EXPECT_THAT(result.err, HasSubstr("82 x 8192 pixels, narrower than --width to keep the domain's shape"));
}

TEST_F(PlotTest, SaysWhatNoPictureShows) {
  const std::string output = folder_.Path("never.png");
  ExpectRefusal(Plot(Release("0,0", "1e-20,1e20", "l1", ""), output, "400"), "dpkde_query", 1,
                {"1e+40 times as tall as wide", "no picture of 400 pixels shows"});
  ExpectRefusal(Plot(Release("0,0", "1e20,1e-20", "l1", ""), output, "400"), "dpkde_query", 1,
                {"1e+40 times as wide as tall"});
  const std::string release = Release("0,0", "4,2", "gaussian", "1");
  for (const char* name : {"picture.jpg", "picture.JPEG", "picture.pdf"}) {
    ExpectRefusal(Plot(release, folder_.Path(name), "400"), "dpkde_query", 1, {name, "pictures are .png"});
  }
  for (const std::string& name : folder_.List()) EXPECT_THAT(name, Not(HasSubstr("picture")));
}

}  // namespace
}  // namespace dpkde
