#include "dpkde/tools/release_output.h"

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/tools/audience.h"
#include "dpkde/tools/json_text.h"
#include "dpkde/tools/output_path.h"
#include "dpkde/tools/record_batches.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {

absl::Status CheckReleasePaths(const std::vector<std::string>& read) {
  const std::string output = absl::GetFlag(FLAGS_output), summary_out = absl::GetFlag(FLAGS_summary_out);
  for (const std::string& path : read) {
    if (path.empty()) continue;
    DPKDE_RETURN_IF_ERROR(CheckOutputPath("output", output, path));
    if (!summary_out.empty()) DPKDE_RETURN_IF_ERROR(CheckOutputPath("summary_out", summary_out, path));
  }
  if (!summary_out.empty() && IsSameFile(output, summary_out)) {
    return UsageError("--output and --summary_out are the same file");
  }
  return absl::OkStatus();
}

absl::StatusOr<ReleaseOutput> ReleaseOutput::Open(absl::Time start) {
  const bool overwrite = absl::GetFlag(FLAGS_overwrite);
  ReleaseOutput output(start);
  DPKDE_ASSIGN_OR_RETURN(output.writer_, AtomicFileWriter::Create(absl::GetFlag(FLAGS_output), overwrite));
  if (const std::string summary_out = absl::GetFlag(FLAGS_summary_out); !summary_out.empty()) {
    DPKDE_ASSIGN_OR_RETURN(output.summary_writer_, AtomicFileWriter::Create(summary_out, overwrite));
  }
  return output;
}

absl::Status ReleaseOutput::WriteRelease(const std::string& bytes, const LedgerEntries& entries) {
  DPKDE_RETURN_IF_ERROR(writer_->Append(bytes));
  // That the file then holds these bytes is what Commit reads back.
  DPKDE_RETURN_IF_ERROR(writer_->Commit());
  bytes_ = bytes.size();
  sha256_ = HexString(Sha256(bytes));
  return entries.MarkReleased(bytes);
}

void ReleaseOutput::PrintResources() const {
  if (!StderrMayCount()) return;
  absl::FPrintF(stderr, "%.2f s in all, peak memory %d MB\n", absl::ToDoubleSeconds(absl::Now() - start_),
                PeakMemoryKilobytes() / 1024);
}

absl::Status ReleaseOutput::WriteSummary(const std::string& fields, const proto::Certificate& certificate,
                                         uint64_t rows) {
  if (summary_writer_ == nullptr) return absl::OkStatus();
  const std::string spent = certificate.rho_spent() > 0
                                ? absl::StrFormat("\"rho_spent\":%.17g", certificate.rho_spent())
                                : absl::StrFormat("\"epsilon_spent\":%.17g,\"delta_spent\":%.17g",
                                                  certificate.epsilon_spent(), certificate.delta_spent());
  const std::string of_records =
      RecordsArePublicInNumber()
          ? absl::StrFormat(",\"rows\":%d,\"seconds\":%.3f,\"peak_memory_bytes\":%d", rows,
                            absl::ToDoubleSeconds(absl::Now() - start_), int64_t{PeakMemoryKilobytes()} * 1024)
          : "";
  DPKDE_RETURN_IF_ERROR(summary_writer_->Append(
      absl::StrFormat("{\"output\":%s,\"bytes\":%d,\"sha256\":\"%s\",%s,%s%s}\n",
                      JsonString(absl::GetFlag(FLAGS_output)), bytes_, sha256_, fields, spent, of_records)));
  return summary_writer_->Commit();
}

}  // namespace dpkde
