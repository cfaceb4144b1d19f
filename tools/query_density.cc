#include "dpkde/tools/query_density.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/io/npy_writer.h"
#include "dpkde/io/vector_reader.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/json_text.h"
#include "dpkde/tools/load_release.h"
#include "dpkde/tools/record_batches.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(
    bool, project, false,
    "Move answers into the range that exact sums have ([0, n] for kernels), and tables of l1 and of lp_power, p >= 1, "
    "to the nearest convex ones: less error on the whole, but biased near the bounds.");

ABSL_FLAG(std::string, outside, "fail",
          "What to do with a query outside the release's domain: fail; null, an answer of nulls for that row; answer, the "
          "similarity to records inside, where the release's design has it, and fail elsewhere.");

namespace dpkde {
namespace {

constexpr size_t kBatchRows = 4096;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Of a query that has no answer.
DensityEstimate NoAnswer() {
  DensityEstimate none;
  none.sum = none.std_error = none.ci95_low = none.ci95_high = kNan;
  return none;
}

std::string OrNull(const absl::optional<double>& value) { return JsonNumber(value.value_or(kNan)); }

std::string JsonLine(uint64_t query, const DensityEstimate& e) {
  return absl::StrCat("{\"query\":", query, ",\"sum\":", JsonNumber(e.sum), ",\"std_error\":", JsonNumber(e.std_error),
                      ",\"ci95\":[", JsonNumber(e.ci95_low), ",", JsonNumber(e.ci95_high),
                      "],\"bias_bound\":", OrNull(e.bias_bound), ",\"mean\":", OrNull(e.mean),
                      ",\"mean_std_error\":", OrNull(e.mean_std_error), "}\n");
}

std::string TsvLine(uint64_t query, const DensityEstimate& e) {
  return absl::StrCat(absl::StrJoin({absl::StrCat(query), JsonNumber(e.sum), JsonNumber(e.std_error),
                                     JsonNumber(e.ci95_low), JsonNumber(e.ci95_high), OrNull(e.bias_bound),
                                     OrNull(e.mean), OrNull(e.mean_std_error)},
                                    "\t"),
                      "\n");
}

constexpr char kTsvHeader[] = "query\tsum\tstd_error\tci95_low\tci95_high\tbias_bound\tmean\tmean_std_error\n";
constexpr size_t kNpyColumns = 7;

void AppendNpyRow(const DensityEstimate& e, std::vector<double>& values) {
  values.insert(values.end(), {e.sum, e.std_error, e.ci95_low, e.ci95_high, e.bias_bound.value_or(kNan),
                               e.mean.value_or(kNan), e.mean_std_error.value_or(kNan)});
}

absl::Status Write(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return absl::OkStatus();
  return absl::UnavailableError("standard output: cannot be written");
}

// What to do with queries outside of the domain.
enum class Outside { kFail, kNull, kAnswer };

// Whether a query is in the domain, or so little outside, where the release has answers too, that it was meant to be in:
// unit vectors that were printed with five digits are 10^-4 longer or shorter.
bool IsInside(const Release& release, absl::Span<const float> query) {
  constexpr double kMeantToBeIn = 1.0 / 8192;  // of the domain's radius
  const Domain& domain = *release.domain();
  if (domain.Contains(query)) return true;
  std::vector<float> nearest(query.size());
  domain.Clamp(query.data(), nearest.data());
  double square = 0;
  for (size_t i = 0; i < query.size(); ++i) square += std::pow(static_cast<double>(query[i]) - nearest[i], 2);
  return std::sqrt(square) <= kMeantToBeIn * domain.radius() &&
         release.CheckQueries(CenteredRows({query.data(), 1, query.size()})).ok();
}

// Moves queries outside of the domain to its centre and says which these are; or refuses the first of them, numbered
// from `first_row`. Of a release without a domain, and under kAnswer, none is outside.
absl::StatusOr<std::vector<bool>> TakeOutside(const Release& release, Outside outside, std::vector<float>& batch,
                                              size_t rows, uint64_t first_row) {
  std::vector<bool> is_outside(rows, false);
  if (!release.domain().has_value() || outside == Outside::kAnswer) return is_outside;
  const Domain& domain = *release.domain();
  const size_t d = domain.dimension();
  for (size_t r = 0; r < rows; ++r) {
    const absl::Span<float> row(&batch[r * d], d);
    if (IsInside(release, row)) continue;
    if (outside == Outside::kFail) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", first_row + r, " (counting from 0): is outside the domain ", domain.DebugString(),
                       "; --outside=null answers null there, and the others"));
    }
    is_outside[r] = true;
    for (size_t i = 0; i < d; ++i) row[i] = static_cast<float>(domain.center(i));
  }
  return is_outside;
}

absl::Status Answer(const Release& release, VectorReader& reader, const std::string& format, Outside outside,
                    ThreadPool& pool) {
  DPKDE_RETURN_IF_ERROR(reader.SetOrigin({release.origin().begin(), release.origin().end()}));
  std::vector<float> batch(kBatchRows * reader.dimension());
  // Whatever is to be refused is refused before the first answer is printed.
  uint64_t checked = 0;
  while (true) {
    DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader.ReadRows(kBatchRows, batch.data()));
    if (rows == 0) break;
    DPKDE_RETURN_IF_ERROR(TakeOutside(release, outside, batch, rows, checked).status());
    DPKDE_RETURN_IF_ERROR(release.CheckQueries(CenteredRows({batch.data(), rows, reader.dimension()}), checked));
    checked += rows;
  }
  DPKDE_RETURN_IF_ERROR(reader.Rewind());

  std::vector<double> npy;
  uint64_t done = 0;
  // No cell holds a comma.
  const auto write = [&](std::string text) {
    if (format == "csv") absl::StrReplaceAll({{"\t", ","}}, &text);
    return Write(text);
  };
  const bool is_table = format == "tsv" || format == "csv";
  if (is_table) DPKDE_RETURN_IF_ERROR(write(kTsvHeader));
  while (true) {
    DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader.ReadRows(kBatchRows, batch.data()));
    if (rows == 0) break;
    DPKDE_ASSIGN_OR_RETURN(const std::vector<bool> is_outside, TakeOutside(release, outside, batch, rows, done));
    const CenteredRows queries({batch.data(), rows, reader.dimension()});
    DPKDE_ASSIGN_OR_RETURN(const std::vector<DensityEstimate> estimates, release.Estimate(queries, pool));
    std::string text;
    for (size_t i = 0; i < rows; ++i) {
      const DensityEstimate estimate = is_outside[i] ? NoAnswer() : estimates[i];
      if (format == "npy") {
        AppendNpyRow(estimate, npy);
      } else {
        text += is_table ? TsvLine(done + i, estimate) : JsonLine(done + i, estimate);
      }
    }
    DPKDE_RETURN_IF_ERROR(write(std::move(text)));
    done += rows;
  }
  return format == "npy" ? Write(EncodeNpy(npy.data(), done, kNpyColumns)) : absl::OkStatus();
}

// Answers the queries in the file at `path`; errors begin with the path.
absl::Status AnswerFile(const Release& release, const std::string& path, const VectorReaderOptions& options,
                        const std::string& format, Outside outside, ThreadPool& pool) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader,
                         OpenVectors(path, options, release.dimension(), "queries", "the release"));
  const absl::Status status = Answer(release, *reader, format, outside, pool);
  if (!absl::StartsWith(status.message(), "row ")) return status;
  return absl::Status(status.code(), absl::StrCat(InputName(path), ": ", std::string(status.message())));
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string format = absl::GetFlag(FLAGS_output_format).empty() ? "jsonl" : absl::GetFlag(FLAGS_output_format);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_format", format, {"jsonl", "csv", "tsv", "npy"}));
  const std::string where = absl::GetFlag(FLAGS_outside);
  DPKDE_RETURN_IF_ERROR(CheckChoice("outside", where, {"fail", "null", "answer"}));
  const Outside outside = where == "null" ? Outside::kNull : where == "answer" ? Outside::kAnswer : Outside::kFail;
  if (absl::GetFlag(FLAGS_release).empty()) return UsageError("--release is missing");
  const std::string queries = absl::GetFlag(FLAGS_queries);
  if (queries.empty()) return UsageError("--queries is missing");
  DPKDE_ASSIGN_OR_RETURN(const VectorReaderOptions options, ParseInputOptions());
  DPKDE_ASSIGN_OR_RETURN(Release release, LoadRelease(absl::GetFlag(FLAGS_release)));
  if (absl::GetFlag(FLAGS_project)) release.Project();
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  // Damage of a file of ours was reported by LoadRelease.
  return DataError(AnswerFile(release, queries, options, format, outside, pool));
}

}  // namespace

Subcommand QueryDensitySubcommand() {
  return {"density",
          "Prints the estimated sum of similarities between each query and the private records.",
          "--release=FILE --queries=FILE|- [--output_format=jsonl|csv|tsv|npy] [--project] "
          "[--outside=fail|null|answer]",
          "--release=records.dpkde --queries=queries.csv",
          {{"Required", {"release", "queries"}},
           {"Queries", {"input_format", "columns", "csv_header"}},
           {"Output", {{"output_format", "`jsonl|csv|tsv|npy`. Left out: jsonl, one object a query."}, "project", "outside"}},
           {"Running", {"threads", "quiet"}}},
          {},
          Run};
}

}  // namespace dpkde
