#include "dpkde/tools/query_histogram.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/validation.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/search/nearest_votes.h"
#include "dpkde/sketch/histogram.h"
#include "dpkde/tools/json_text.h"
#include "dpkde/tools/load_release.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

ABSL_FLAG(absl::optional<int64_t>, sample, absl::nullopt,
          "Draw so many items instead, with replacement, in proportion to what their noised counts are above the "
          "threshold: a synthetic dataset. --public_seed decides which.");

namespace dpkde {
namespace {

// Refuses an index that holds other items than those that were voted for.
absl::Status CheckIndex(const Histogram& histogram) {
  const std::string index = absl::GetFlag(FLAGS_index), release = absl::GetFlag(FLAGS_release);
  if (index.empty()) return absl::OkStatus();
  DPKDE_ASSIGN_OR_RETURN(const IndexDirectory directory, IndexDirectory::Open(index));
  if (ItemsFingerprint(directory) == histogram.plan().collection()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(index, ": holds other items than ", release,
                   " was made with: documents were added or removed, or have other vectors"));
}

std::string Line(const std::string& format, const Histogram& histogram, uint32_t item) {
  const std::string& name = histogram.item(item);
  if (format == "txt") return absl::StrCat(name, "\n");
  if (format == "tsv") return absl::StrFormat("%s\t%.10g\t%.10g\n", name, histogram.count(item), histogram.std_error());
  return absl::StrCat("{\"id\":", JsonString(name), ",\"count\":", JsonNumber(histogram.count(item)),
                      ",\"std_error\":", JsonNumber(histogram.std_error()), "}\n");
}

std::string DrawnLine(const std::string& format, const Histogram& histogram, size_t draw, uint32_t item) {
  const std::string& name = histogram.item(item);
  if (format == "txt") return absl::StrCat(name, "\n");
  if (format == "tsv") return absl::StrFormat("%d\t%s\n", draw, name);
  return absl::StrFormat("{\"draw\":%d,\"id\":%s}\n", draw, JsonString(name));
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string format = absl::GetFlag(FLAGS_output_format).empty() ? "jsonl" : absl::GetFlag(FLAGS_output_format);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_format", format, {"jsonl", "tsv", "txt"}));
  const std::string path = absl::GetFlag(FLAGS_release);
  if (path.empty()) return UsageError("--release is missing");
  const absl::optional<double> given = absl::GetFlag(FLAGS_threshold);
  DPKDE_RETURN_IF_ERROR(FlagError(CheckFinite("--threshold", given.value_or(0))));
  const absl::optional<int64_t> sample = absl::GetFlag(FLAGS_sample);
  if (sample.has_value()) {
    DPKDE_RETURN_IF_ERROR(FlagError(CheckInRange("--sample", *sample, 1, int64_t{1} << 30)));
  }
  DPKDE_ASSIGN_OR_RETURN(const Histogram histogram, LoadHistogram(path));
  DPKDE_RETURN_IF_ERROR(CheckIndex(histogram));
  const double threshold = given.value_or(histogram.threshold());
  std::string text;
  if (sample.has_value()) {
    const auto drawn = histogram.Draw(*sample, threshold, absl::GetFlag(FLAGS_public_seed));
    if (!drawn.ok()) {
      return absl::Status(drawn.status().code(), absl::StrCat(path, ": ", std::string(drawn.status().message())));
    }
    if (format == "tsv") text = "draw\tid\n";
    for (size_t i = 0; i < drawn->size(); ++i) text += DrawnLine(format, histogram, i, (*drawn)[i]);
  } else {
    if (format == "tsv") text = "id\tcount\tstd_error\n";
    for (const uint32_t item : histogram.Above(threshold)) text += Line(format, histogram, item);
  }
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

Subcommand QueryHistogramSubcommand() {
  return {"histogram",
          "Prints the public items whose noised counts of votes are above the threshold, the largest first; or, with "
          "--sample, a synthetic set of items drawn in proportion.",
          "--release=FILE [--sample=N [--public_seed=S]] [--threshold=T] [--index=DIR] [--output_format=jsonl|tsv|txt]",
          "--release=votes.dpkde --threshold=10",
          {{"Required", {{"release", "`FILE` that dpkde_build histogram has written."}}},
           {"Items",
            {"threshold",
             "sample",
             {"public_seed", "Seed of --sample."},
             {"index", "`DIR` of an index: refuse unless it still holds the items that were voted for."}}},
           {"Output",
            {{"output_format",
              "`jsonl|tsv|txt`. Left out: jsonl. txt: ids alone, one a line, as --allow_ids reads them."}}},
           {"Running", {"threads", "quiet"}}},
          {},
          Run};
}

}  // namespace dpkde
