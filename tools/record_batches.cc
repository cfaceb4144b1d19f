#include "dpkde/tools/record_batches.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/types/optional.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/tools/audience.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/shared_flags.h"

namespace dpkde {
namespace {

// Says on stderr how far a pass over the input is: a bar on a terminal, else a line every ten seconds.
class Progress {
 public:
  explicit Progress(absl::optional<uint64_t> total) : total_(total) {}
  ~Progress() {
    if (shown_ && terminal_) std::fputs("\r\033[K", stderr);
  }
  void Update(uint64_t rows) {
    const absl::Time now = absl::Now();
    if (silent_ || now - last_ < (terminal_ ? absl::Milliseconds(200) : absl::Seconds(10))) return;
    last_ = now;
    shown_ = true;
    const std::string seconds = absl::StrFormat("%.0f s", absl::ToDoubleSeconds(now - start_));
    const double share = total_.has_value() ? static_cast<double>(rows) / std::max<uint64_t>(*total_, 1) : 0;
    const std::string percent = total_.has_value() ? absl::StrFormat("%3.0f %%, ", 100 * share) : "";
    if (!terminal_) {
      absl::FPrintF(stderr, "reading: %s%s\n", percent, seconds);
      return;
    }
    constexpr int kWidth = 30;
    const int done = static_cast<int>(share * kWidth);
    const std::string bar =
        total_.has_value() ? absl::StrCat("[", std::string(done, '#'), std::string(kWidth - done, '.'), "] ") : "";
    absl::FPrintF(stderr, "\r%s%s%d rows, %s", bar, percent, rows, seconds);
  }

 private:
  const absl::optional<uint64_t> total_;
  const bool silent_ = absl::GetFlag(FLAGS_quiet) || !StderrMayCount();
  const bool terminal_ = IsTerminal();
  const absl::Time start_ = absl::Now();
  absl::Time last_ = start_;
  bool shown_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<VectorReader>> OpenVectors(const std::string& path, const VectorReaderOptions& options,
                                                          size_t dimension, absl::string_view role,
                                                          absl::string_view owner) {
  // Not with the expected dimension: the message should say whom the columns do not fit.
  VectorReaderOptions declared = options;
  declared.dimension_of_none = dimension;
  absl::StatusOr<std::unique_ptr<VectorReader>> reader = VectorReader::Open(path, declared);
  if (!reader.ok()) return DataError(reader.status());
  const size_t columns = (*reader)->dimension();
  if (columns == dimension) return reader;
  const bool index = columns == dimension + 1 && IsTextInput(path, options);
  return absl::InvalidArgumentError(
      absl::StrCat(InputName(path), ": ", role, " must have ", dimension, " columns, as ", owner, " has, but have ", columns,
                   OneColumnHint(path, columns), DialectOf(**reader),
                   index ? " (is the first column an index, or the last one empty? --columns chooses)" : ""));
}

absl::StatusOr<std::unique_ptr<VectorReader>> OpenPrivateRows(const std::string& path,
                                                              const VectorReaderOptions& options,
                                                              const absl::optional<size_t>& dimension,
                                                              bool has_domain) {
  VectorReaderOptions declared = options;
  if (options.malformed_rows == VectorReaderOptions::MalformedRows::kAsNan && IsTextInput(path, options)) {
    declared.expected_dimension = dimension;
  }
  declared.dimension_of_none = dimension;
  if (!dimension.has_value() && has_domain) declared.dimension_of_none = 1;
  absl::StatusOr<std::unique_ptr<VectorReader>> reader = VectorReader::Open(path, declared);
  if (!reader.ok()) return DataError(reader.status());
  const absl::optional<uint32_t> dim = absl::GetFlag(FLAGS_dim);
  if (dim.has_value() && *dim != (*reader)->dimension()) {
    return absl::InvalidArgumentError(absl::StrCat(InputName(path), ": has ", (*reader)->dimension(), " columns, but --dim is ",
                                                   *dim, DialectOf(**reader)));
  }
  return reader;
}

std::string DialectOf(const VectorReader& reader) {
  const std::string hint = reader.dialect_hint();
  return hint.empty() ? "" : absl::StrCat(" (", hint, ")");
}

absl::Status ForEachBatch(VectorReader& reader, const std::function<absl::Status(MatrixView)>& visit,
                          const absl::optional<uint64_t>& most) {
  DPKDE_RETURN_IF_ERROR(reader.Rewind());
  const size_t batch_rows = std::max<size_t>(1, kBatchFloats / reader.dimension());
  std::vector<float> batch(batch_rows * reader.dimension());
  Progress progress(reader.row_count());
  uint64_t done = 0;
  while (true) {
    const size_t wanted = std::min<uint64_t>(batch_rows, most.value_or(batch_rows + done) - done);
    DPKDE_ASSIGN_OR_RETURN(const size_t rows, reader.ReadRows(wanted, batch.data()));
    if (rows == 0) return absl::OkStatus();
    DPKDE_RETURN_IF_ERROR(visit(MatrixView{batch.data(), rows, reader.dimension()}));
    done += rows;
    progress.Update(done);
  }
}

uint64_t CountBadRows(MatrixView rows) {
  uint64_t count = 0;
  for (size_t r = 0; r < rows.rows; ++r) count += std::isnan(rows.row(r)[0]);
  return count;
}

absl::StatusOr<uint64_t> CountRows(VectorReader& reader, const absl::optional<uint64_t>& known) {
  if (known.has_value()) return *known;
  if (reader.row_count().has_value()) return *reader.row_count();
  uint64_t count = 0;
  DPKDE_RETURN_IF_ERROR(ForEachBatch(reader, [&](MatrixView rows) {
    count += rows.rows;
    return absl::OkStatus();
  }));
  return count;
}

long PeakMemoryKilobytes() {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

}  // namespace dpkde
