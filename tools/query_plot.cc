#include "dpkde/tools/query_plot.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/base/validation.h"
#include "dpkde/io/file.h"
#include "dpkde/tools/load_release.h"
#include "dpkde/tools/output_path.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(int, width, 1200, "Width of the picture in pixels, 16 to 8192; the height follows from the domain.");

namespace dpkde {
namespace {

struct Rgb {
  double red, green, blue;
};

// From dark to light with even steps of lightness: nine samples of matplotlib's "inferno" (CC0).
constexpr Rgb kColors[] = {{0, 0, 4},     {31, 12, 72},   {85, 15, 109},  {136, 34, 106}, {186, 54, 85},
                           {227, 89, 51}, {249, 140, 10}, {249, 201, 50}, {252, 255, 164}};

Rgb Color(double level) {
  constexpr int kSteps = sizeof(kColors) / sizeof(kColors[0]) - 1;
  const double place = std::min(std::max(level, 0.0), 1.0) * kSteps;
  const int step = std::min(static_cast<int>(place), kSteps - 1);
  const double t = place - step;
  const Rgb& a = kColors[step];
  const Rgb& b = kColors[step + 1];
  return {a.red + t * (b.red - a.red), a.green + t * (b.green - a.green), a.blue + t * (b.blue - a.blue)};
}

absl::StatusOr<std::string> EncodePng(const std::vector<png_byte>& rgb, int width, int height) {
  png_image image;
  std::memset(&image, 0, sizeof(image));
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  if (!png_image_write_to_memory(&image, nullptr, &size, 0, rgb.data(), 0, nullptr)) {
    return absl::InternalError(absl::StrCat("libpng: ", image.message));
  }
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&image, &bytes[0], &size, 0, rgb.data(), 0, nullptr)) {
    return absl::InternalError(absl::StrCat("libpng: ", image.message));
  }
  bytes.resize(size);
  return bytes;
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string output = absl::GetFlag(FLAGS_output);
  const int width = absl::GetFlag(FLAGS_width);
  if (absl::GetFlag(FLAGS_release).empty()) return UsageError("--release is missing");
  DPKDE_RETURN_IF_ERROR(CheckOutputPath("output", output, absl::GetFlag(FLAGS_release)));
  DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--width", width, 16, 8192)));
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> writer,
                         AtomicFileWriter::Create(output, absl::GetFlag(FLAGS_overwrite)));
  DPKDE_ASSIGN_OR_RETURN(const Release release, LoadRelease(absl::GetFlag(FLAGS_release)));
  if (release.dimension() != 2 || !release.domain().has_value()) {
    return UsageError(
        absl::StrCat(absl::GetFlag(FLAGS_release), ": a plot needs a release in 2 dimensions with a domain"));
  }
  const Domain& domain = *release.domain();
  const int height =
      std::min(std::max(static_cast<int>(std::lround(width * domain.width(1) / domain.width(0))), 1), 8192);

  // Row by row, top row first.
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  std::vector<float> queries(static_cast<size_t>(width) * 2);
  std::vector<double> sums, noise;
  for (int row = 0; row < height; ++row) {
    for (int column = 0; column < width; ++column) {
      queries[2 * column] = domain.lower()[0] + static_cast<float>((column + 0.5) / width * domain.width(0));
      queries[2 * column + 1] = domain.upper()[1] - static_cast<float>((row + 0.5) / height * domain.width(1));
    }
    DPKDE_ASSIGN_OR_RETURN(const std::vector<DensityEstimate> estimates,
                           release.Estimate({queries.data(), static_cast<size_t>(width), 2}, pool));
    for (const DensityEstimate& estimate : estimates) {
      sums.push_back(estimate.sum);
      noise.push_back(std::max(estimate.ci95_high - estimate.sum, 1e-12));
    }
  }

  // Logarithmic in units of the noise: what the noise makes of nothing stays dark.
  const double largest = std::max(0.0, *std::max_element(sums.begin(), sums.end()));
  std::vector<png_byte> rgb;
  rgb.reserve(sums.size() * 3);
  for (size_t i = 0; i < sums.size(); ++i) {
    const double top = std::log1p(largest / noise[i]);
    const Rgb color = Color(top > 0 ? std::log1p(std::max(sums[i], 0.0) / noise[i]) / top : 0);
    for (double part : {color.red, color.green, color.blue}) rgb.push_back(static_cast<png_byte>(std::lround(part)));
  }
  DPKDE_ASSIGN_OR_RETURN(const std::string png, EncodePng(rgb, width, height));
  DPKDE_RETURN_IF_ERROR(writer->Append(png));
  DPKDE_RETURN_IF_ERROR(writer->Commit());
  if (!absl::GetFlag(FLAGS_quiet)) {
    std::fprintf(stderr, "%s: %d x %d pixels over %s; black is 0, the lightest is a sum of %.4g, logarithmic\n",
                 output.c_str(), width, height, domain.DebugString().c_str(), largest);
  }
  return absl::OkStatus();
}

}  // namespace

Subcommand QueryPlotSubcommand() {
  return {
      "plot",
      "Draws a release in two dimensions as a heat map of its domain, first coordinate to the right, second up.",
      "--release=FILE --output=FILE.png [--width=PIXELS]",
      "--release=records.dpkde --output=map.png",
      {{"Required", {"release", {"output", "`FILE` for the picture, in format .png. Appears complete or not at all."}}},
       {"Output", {"width", "overwrite"}},
       {"Running", {"threads", "quiet"}}},
      {},
      Run};
}

}  // namespace dpkde
