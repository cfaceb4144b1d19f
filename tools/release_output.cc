#include "dpkde/tools/release_output.h"

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "dpkde/base/sha256.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/tools/audience.h"
#include "dpkde/tools/failure_note.h"
#include "dpkde/tools/json_text.h"
#include "dpkde/tools/output_path.h"
#include "dpkde/tools/record_batches.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {

absl::Status CheckReleasePaths(const std::vector<std::string>& read) {
  return CheckOutputs({{"output", absl::GetFlag(FLAGS_output)}, {"summary_out", absl::GetFlag(FLAGS_summary_out)}},
                      read);
}

absl::StatusOr<ReleaseOutput> ReleaseOutput::Open(absl::Time start) {
  ReleaseOutput output(start);
  DPKDE_ASSIGN_OR_RETURN(output.writer_, OpenOutput(absl::GetFlag(FLAGS_output)));
  if (const std::string summary_out = absl::GetFlag(FLAGS_summary_out); !summary_out.empty()) {
    DPKDE_ASSIGN_OR_RETURN(output.summary_writer_, OpenOutput(summary_out));
  }
  return output;
}

absl::Status ReleaseOutput::Prepare(uint64_t bytes) {
  DPKDE_RETURN_IF_ERROR(writer_->Reserve(bytes));
  DPKDE_RETURN_IF_ERROR(writer_->CheckTarget());
  if (summary_writer_ == nullptr) return absl::OkStatus();
  constexpr uint64_t kSummaryBytes = 8192;
  DPKDE_RETURN_IF_ERROR(summary_writer_->Reserve(kSummaryBytes));
  return summary_writer_->CheckTarget();
}

absl::Status ReleaseOutput::WriteRelease(const std::string& bytes, const LedgerEntries& entries) {
  const std::string path = absl::GetFlag(FLAGS_output);
  // Made now, when nothing is lost if there is no memory for them.
  const std::string unmarked = entries.NoteOfUnmarked(path), complete = absl::StrCat("the release in ", path, " is complete");
  DPKDE_RETURN_IF_ERROR(writer_->Append(bytes));
  // That the file then holds these bytes is what Commit reads back.
  if (const absl::Status committed = writer_->Commit(); !committed.ok()) {
    // It may be there nevertheless, such as when its folder could not be synchronized.
    const absl::StatusOr<std::string> found = ReadFile(path, bytes.size());
    if (found.ok() && *found == bytes) NoteOnFailure(unmarked);
    return committed;
  }
  NoteOnFailure(unmarked);
  DPKDE_RETURN_IF_ERROR(entries.MarkReleased(bytes));
  NoteOnFailure(complete);
  bytes_ = bytes.size();
  sha256_ = HexString(Sha256(bytes));
  return absl::OkStatus();
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
