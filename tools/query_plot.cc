#include "dpkde/tools/query_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/base/validation.h"
#include "dpkde/io/file.h"
#include "dpkde/tools/load_release.h"
#include "dpkde/tools/output_path.h"
#include "dpkde/tools/picture.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(int, width, 1200,
          "Width of the picture in pixels, 16 to 8192; the height follows from the domain. From 240 on with axes and a "
          "colour bar; narrower where it would be too tall.");

namespace dpkde {
namespace {

constexpr int kMostPixels = 8192;

// Pictures narrower than this are the map alone.
constexpr int kLeastWithAxes = 240;

// From dark to light with even steps of lightness: nine samples of matplotlib's "inferno" (CC0).
constexpr Rgb kColors[] = {{0, 0, 4},     {31, 12, 72},   {85, 15, 109},  {136, 34, 106}, {186, 54, 85},
                           {227, 89, 51}, {249, 140, 10}, {249, 201, 50}, {252, 255, 164}};

Rgb Color(double level) {
  constexpr int kSteps = sizeof(kColors) / sizeof(kColors[0]) - 1;
  const double place = std::min(std::max(level, 0.0), 1.0) * kSteps;
  const int step = std::min(static_cast<int>(place), kSteps - 1);
  const auto mix = [&](uint8_t a, uint8_t b) { return static_cast<uint8_t>(std::lround(a + (place - step) * (b - a))); };
  const Rgb& a = kColors[step];
  const Rgb& b = kColors[step + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

struct Tick {
  double place;  // from the axis' beginning, in its unit
  std::string label;
};

// Round numbers in [begin, begin + width], `most` of them or fewer.
std::vector<Tick> Ticks(double begin, double width, int most) {
  double step = std::pow(10.0, std::floor(std::log10(width / most)));
  while (width / step > most) {
    for (const double factor : {2.0, 2.5, 2.0}) {
      if (width / step > most) step *= factor;
    }
  }
  std::vector<Tick> ticks;
  for (double k = std::ceil(begin / step - 1e-9); k * step <= begin + width * (1 + 1e-9); ++k) {
    const double value = k * step;
    // As many digits as tell neighbours apart.
    const double largest = std::max(std::abs(begin), std::abs(begin + width));
    const int digits = 1 + std::max(0, static_cast<int>(std::ceil(std::log10(largest / step) - 1e-9)));
    ticks.push_back({value - begin, absl::StrFormat("%.*g", std::min(std::max(digits, 3), 17), value == 0 ? 0 : value)});
    if (ticks.size() > static_cast<size_t>(most) + 1) break;
  }
  return ticks;
}

int WidestLabel(const std::vector<Tick>& ticks, int scale) {
  int widest = 0;
  for (const Tick& tick : ticks) widest = std::max(widest, Picture::TextWidth(tick.label, scale));
  return widest;
}

// Where things are, in pixels.
struct Layout {
  int width = 0, height = 0;  // of the map
  int left = 0, top = 0, right = 0, bottom = 0;
  int scale = 0;  // of a dot; 0: the map alone
  bool narrowed = false;
};

// The sums and their noise at the pixels of the map, row by row, top row first.
struct Map {
  std::vector<double> sums, noise;
  double largest = 0;
  double typical_noise = 1;

  // Logarithmic in units of the noise: what the noise makes of nothing stays dark.
  double Level(double sum, double unit) const {
    const double top = std::log1p(largest / unit);
    return top > 0 ? std::log1p(std::max(sum, 0.0) / unit) / top : 0;
  }
};

// Sums of the colour bar: 0, the largest, and powers of ten between that are far enough apart to be read.
std::vector<Tick> BarTicks(const Map& map, int height, int scale) {
  std::vector<Tick> ticks;
  const auto add = [&](double sum) {
    const double place = map.Level(sum, map.typical_noise) * height;
    for (const Tick& tick : ticks) {
      if (std::abs(tick.place - place) < 1.5 * Picture::kTextHeight * scale) return;
    }
    ticks.push_back({place, absl::StrFormat("%.3g", sum)});
  };
  add(0);
  if (!(map.largest > 0)) return ticks;
  add(map.largest);
  const double top = std::floor(std::log10(map.largest));
  for (int power = 0; power < 12; ++power) add(std::pow(10.0, top - power));
  return ticks;
}

absl::StatusOr<Layout> MakeLayout(const Domain& domain, int width) {
  Layout layout;
  const double aspect = domain.width(1) / domain.width(0);  // of two float32 numbers: finite and positive
  if (width >= kLeastWithAxes) {
    layout.scale = std::max(1, width / 700);
    const int text = Picture::kTextHeight * layout.scale, gap = 4 * layout.scale;
    const auto label = [&](size_t axis) {
      const double begin = domain.UserLower(axis);
      return WidestLabel(Ticks(begin, domain.width(axis), 8), layout.scale);
    };
    layout.left = 3 * gap + label(1);
    layout.bottom = 3 * gap + text;
    layout.top = 2 * gap;
    layout.right = 9 * gap + Picture::TextWidth("1.23e+45", layout.scale);
  }
  const int most_width = width - layout.left - layout.right, most_height = kMostPixels - layout.top - layout.bottom;
  double map_width = most_width, map_height = most_width * aspect;
  if (map_height > most_height) {
    map_width = most_height / aspect;
    map_height = most_height;
    layout.narrowed = true;
  }
  if (map_width < 1 || map_height < 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("its domain is %.3g times as %s, which no picture of %d pixels shows",
                        std::max(aspect, 1 / aspect), aspect > 1 ? "tall as wide" : "wide as tall", width));
  }
  layout.width = static_cast<int>(std::lround(map_width));
  layout.height = static_cast<int>(std::lround(map_height));
  return layout;
}

absl::StatusOr<Map> Evaluate(const Release& release, const Layout& layout, ThreadPool& pool) {
  const Domain& domain = *release.domain();
  Map map;
  std::vector<float> queries(static_cast<size_t>(layout.width) * 2);
  for (int row = 0; row < layout.height; ++row) {
    for (int column = 0; column < layout.width; ++column) {
      queries[2 * column] = domain.lower()[0] + static_cast<float>((column + 0.5) / layout.width * domain.width(0));
      queries[2 * column + 1] = domain.upper()[1] - static_cast<float>((row + 0.5) / layout.height * domain.width(1));
    }
    DPKDE_ASSIGN_OR_RETURN(
        const std::vector<DensityEstimate> estimates,
        release.Estimate(CenteredRows({queries.data(), static_cast<size_t>(layout.width), 2}), pool));
    for (const DensityEstimate& estimate : estimates) {
      const double noise = estimate.ci95_high - estimate.sum;
      map.sums.push_back(std::isfinite(estimate.sum) ? estimate.sum : 0);
      map.noise.push_back(std::isfinite(noise) ? std::max(noise, 1e-12) : 1);
    }
  }
  map.largest = std::max(0.0, *std::max_element(map.sums.begin(), map.sums.end()));
  std::vector<double> sorted = map.noise;
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  map.typical_noise = sorted[sorted.size() / 2];
  return map;
}

void DrawAxes(const Domain& domain, const Layout& layout, Picture& picture) {
  const int scale = layout.scale, gap = 4 * scale, text = Picture::kTextHeight * scale;
  const Rgb black = {0, 0, 0};
  const int bottom = layout.top + layout.height;
  // A frame around the map.
  picture.Fill(layout.left - scale, layout.top - scale, layout.width + 2 * scale, scale, black);
  picture.Fill(layout.left - scale, bottom, layout.width + 2 * scale, scale, black);
  picture.Fill(layout.left - scale, layout.top - scale, scale, layout.height + 2 * scale, black);
  picture.Fill(layout.left + layout.width, layout.top - scale, scale, layout.height + 2 * scale, black);
  const auto begin = [&](size_t axis) { return domain.UserLower(axis); };
  // As many labels as there is room for.
  const int label = WidestLabel(Ticks(begin(0), domain.width(0), 8), scale);
  const int across = std::max(1, std::min(8, layout.width / (label + 4 * gap)));
  for (const Tick& tick : Ticks(begin(0), domain.width(0), across)) {
    const int x = layout.left + static_cast<int>(tick.place / domain.width(0) * layout.width);
    picture.Fill(x, bottom, scale, gap, black);
    const int width = Picture::TextWidth(tick.label, scale);
    picture.Write(std::max(0, std::min(x - width / 2, picture.width() - width)), bottom + gap + 2 * scale, tick.label,
                  scale);
  }
  const int upwards = std::max(1, std::min(8, layout.height / (3 * text)));
  for (const Tick& tick : Ticks(begin(1), domain.width(1), upwards)) {
    const int y = bottom - static_cast<int>(tick.place / domain.width(1) * layout.height);
    picture.Fill(layout.left - gap, y - scale, gap, scale, black);
    picture.Write(layout.left - 2 * gap - Picture::TextWidth(tick.label, scale), y - text / 2, tick.label, scale);
  }
}

void DrawBar(const Map& map, const Layout& layout, Picture& picture) {
  const int scale = layout.scale, gap = 4 * scale;
  const int x = layout.left + layout.width + 2 * gap, bottom = layout.top + layout.height;
  for (int row = 0; row < layout.height; ++row) {
    picture.Fill(x, bottom - 1 - row, 3 * gap, 1, Color((row + 0.5) / layout.height));
  }
  for (const Tick& tick : BarTicks(map, layout.height, scale)) {
    const int y = bottom - static_cast<int>(tick.place);
    picture.Fill(x + 3 * gap, y - scale, gap, scale, {0, 0, 0});
    picture.Write(x + 4 * gap + 2 * scale, std::max(0, y - Picture::kTextHeight * scale / 2), tick.label, scale);
  }
}

// Bytes of .png under the name of another format would be opened by nothing.
absl::Status CheckEnding(const std::string& output) {
  for (const char* ending : {".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".svg", ".pdf", ".ppm"}) {
    if (!absl::EndsWithIgnoreCase(output, ending)) continue;
    return UsageError(absl::StrCat("--output: ", output, " ends in ", ending, ", but pictures are .png"));
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string output = absl::GetFlag(FLAGS_output), path = absl::GetFlag(FLAGS_release);
  const int width = absl::GetFlag(FLAGS_width);
  if (path.empty()) return UsageError("--release is missing");
  DPKDE_RETURN_IF_ERROR(CheckOutputs({{"output", output}}, {path}));
  DPKDE_RETURN_IF_ERROR(CheckEnding(output));
  DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--width", width, 16, kMostPixels)));
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> writer, OpenOutput(output));
  DPKDE_ASSIGN_OR_RETURN(const Release release, LoadRelease(path));
  if (release.dimension() != 2 || !release.domain().has_value()) {
    return UsageError(absl::StrCat(path, ": a plot needs a release in 2 dimensions with a domain"));
  }
  const absl::StatusOr<Layout> layout = MakeLayout(*release.domain(), width);
  if (!layout.ok()) return UsageError(absl::StrCat(path, ": ", std::string(layout.status().message())));
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  DPKDE_ASSIGN_OR_RETURN(const Map map, Evaluate(release, *layout, pool));

  Picture picture(layout->left + layout->width + layout->right, layout->top + layout->height + layout->bottom);
  for (size_t i = 0; i < map.sums.size(); ++i) {
    const int column = static_cast<int>(i % layout->width), row = static_cast<int>(i / layout->width);
    picture.Fill(layout->left + column, layout->top + row, 1, 1, Color(map.Level(map.sums[i], map.noise[i])));
  }
  if (layout->scale > 0) {
    DrawAxes(*release.domain(), *layout, picture);
    DrawBar(map, *layout, picture);
  }
  DPKDE_ASSIGN_OR_RETURN(const std::string png, picture.Png());
  DPKDE_RETURN_IF_ERROR(writer->Append(png));
  DPKDE_RETURN_IF_ERROR(writer->Commit());
  if (absl::GetFlag(FLAGS_quiet)) return absl::OkStatus();
  absl::FPrintF(stderr, "%s: %d x %d pixels%s over %s; black is 0, the lightest is a sum of %.4g, logarithmic\n", output,
                picture.width(), picture.height(),
                layout->narrowed ? ", narrower than --width to keep the domain's shape," : "",
                release.domain()->DebugString(), map.largest);
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
