#include "dpkde/tools/query_density.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <limits>
#include <memory>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "dpkde/base/matrix_view.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/io/npy_writer.h"
#include "dpkde/io/vector_reader.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/load_release.h"
#include "dpkde/tools/record_batches.h"
#include "dpkde/tools/shared_flags.h"

ABSL_FLAG(
    bool, project, false,
    "Move answers into the range that exact sums have ([0, n] for kernels), and tables of l1 and of lp_power, p >= 1, "
    "to the nearest convex ones: less error on the whole, but biased near the bounds.");

namespace dpkde {
namespace {

constexpr size_t kBatchRows = 4096;

std::string OrNull(const absl::optional<double>& value) {
  return value.has_value() ? absl::StrFormat("%.10g", *value) : "null";
}

std::string JsonLine(uint64_t query, const DensityEstimate& e) {
  return absl::StrFormat(
      "{\"query\":%d,\"sum\":%.10g,\"std_error\":%.10g,\"ci95\":[%.10g,%.10g],\"bias_bound\":%s,\"mean\":%s,"
      "\"mean_std_error\":%s}\n",
      query, e.sum, e.std_error, e.ci95_low, e.ci95_high, OrNull(e.bias_bound), OrNull(e.mean),
      OrNull(e.mean_std_error));
}

std::string TsvLine(uint64_t query, const DensityEstimate& e) {
  return absl::StrFormat("%d\t%.10g\t%.10g\t%.10g\t%.10g\t%s\t%s\t%s\n", query, e.sum, e.std_error, e.ci95_low,
                         e.ci95_high, OrNull(e.bias_bound), OrNull(e.mean), OrNull(e.mean_std_error));
}

constexpr char kTsvHeader[] = "query\tsum\tstd_error\tci95_low\tci95_high\tbias_bound\tmean\tmean_std_error\n";
constexpr size_t kNpyColumns = 7;

void AppendNpyRow(const DensityEstimate& e, std::vector<double>& values) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  values.insert(values.end(), {e.sum, e.std_error, e.ci95_low, e.ci95_high, e.bias_bound.value_or(nan),
                               e.mean.value_or(nan), e.mean_std_error.value_or(nan)});
}

// Standard input as a file that can be opened by path: an anonymous file in memory.
absl::StatusOr<std::string> CopyStandardInput() {
  const int file = memfd_create("queries", MFD_CLOEXEC);
  if (file < 0) return absl::UnavailableError("standard input: cannot be copied into memory");
  char buffer[65536];
  ssize_t size;
  while ((size = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0) {
    if (write(file, buffer, size) != size)
      return absl::UnavailableError("standard input: cannot be copied into memory");
  }
  if (size < 0) return absl::UnavailableError("standard input: cannot be read");
  return absl::StrCat("/proc/self/fd/", file);
}

absl::Status Write(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return absl::OkStatus();
  return absl::UnavailableError("standard output: cannot be written");
}

absl::Status Answer(const Release& release, VectorReader& reader, const std::string& format, ThreadPool& pool) {
  std::vector<float> batch(kBatchRows * reader.dimension());
  // Whatever is to be refused is refused before the first answer is printed.
  uint64_t checked = 0;
  while (true) {
    DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader.ReadRows(kBatchRows, batch.data()));
    if (rows == 0) break;
    DPKDE_RETURN_IF_ERROR(release.CheckQueries({batch.data(), rows, reader.dimension()}, checked));
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
    const MatrixView queries{batch.data(), rows, reader.dimension()};
    DPKDE_ASSIGN_OR_RETURN(const std::vector<DensityEstimate> estimates, release.Estimate(queries, pool));
    std::string text;
    for (size_t i = 0; i < rows; ++i) {
      const DensityEstimate& estimate = estimates[i];
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
                        const std::string& format, ThreadPool& pool) {
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader,
                         OpenVectors(path, options, release.dimension(), "queries", "the release"));
  const absl::Status status = Answer(release, *reader, format, pool);
  if (!absl::StartsWith(status.message(), "row ")) return status;
  return absl::Status(status.code(), absl::StrCat(path, ": ", std::string(status.message())));
}

absl::Status Run(const std::vector<std::string>&) {
  const std::string format = absl::GetFlag(FLAGS_output_format).empty() ? "jsonl" : absl::GetFlag(FLAGS_output_format);
  DPKDE_RETURN_IF_ERROR(CheckChoice("output_format", format, {"jsonl", "csv", "tsv", "npy"}));
  if (absl::GetFlag(FLAGS_release).empty()) return UsageError("--release is missing");
  const std::string queries = absl::GetFlag(FLAGS_queries);
  if (queries.empty()) return UsageError("--queries is missing");
  DPKDE_ASSIGN_OR_RETURN(VectorReaderOptions options, ParseInputOptions());
  DPKDE_ASSIGN_OR_RETURN(Release release, LoadRelease(absl::GetFlag(FLAGS_release)));
  if (absl::GetFlag(FLAGS_project)) release.Project();
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  absl::Status status;
  if (queries == "-") {
    DPKDE_ASSIGN_OR_RETURN(const std::string path, CopyStandardInput());
    if (options.format.empty()) options.format = "csv";
    status = AnswerFile(release, path, options, format, pool);
    status =
        absl::Status(status.code(), absl::StrReplaceAll(std::string(status.message()), {{path, "standard input"}}));
  } else {
    status = AnswerFile(release, queries, options, format, pool);
  }
  return DataError(status);  // damage of a file of ours was reported by LoadRelease
}

}  // namespace

Subcommand QueryDensitySubcommand() {
  return {"density",
          "Prints the estimated sum of similarities between each query and the private records.",
          "--release=FILE --queries=FILE|- [--output_format=jsonl|csv|tsv|npy] [--project]",
          "--release=records.dpkde --queries=queries.csv",
          {{"Required", {"release", "queries"}},
           {"Queries", {"input_format", "csv_header"}},
           {"Output", {{"output_format", "`jsonl|csv|tsv|npy`. Left out: jsonl, one object a query."}, "project"}},
           {"Running", {"threads", "quiet"}}},
          {},
          Run};
}

}  // namespace dpkde
