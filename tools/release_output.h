#ifndef DPKDE_TOOLS_RELEASE_OUTPUT_H_
#define DPKDE_TOOLS_RELEASE_OUTPUT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "dpkde/io/file.h"
#include "dpkde/proto/density.pb.h"
#include "dpkde/tools/ledger_entries.h"

namespace dpkde {

// CheckOutputs() of --output and --summary_out.
absl::Status CheckReleasePaths(const std::vector<std::string>& read);

// --output and --summary_out of a subcommand that makes a release of private records.
class ReleaseOutput {
 public:
  // To be called before the records are read: what cannot be written must not cost a pass over them, nor privacy.
  // `start`: when the subcommand began.
  static absl::StatusOr<ReleaseOutput> Open(absl::Time start);

  // To be called before anything is paid: takes the disk space for a release of at most `bytes`, and looks whether its
  // name is still free.
  absl::Status Prepare(uint64_t bytes);

  // Writes the release, which has been parsed again, and marks its entries in the ledger. Whatever fails after it is in
  // its place, the error says so (NoteOnFailure).
  absl::Status WriteRelease(const std::string& bytes, const LedgerEntries& entries);

  // "0.12 s in all, peak memory 10 MB", where time and memory may be seen on stderr.
  void PrintResources() const;

  // What all releases have in common, and `fields` ("\"values\":7,...", no comma at the ends) in between. `rows`, time
  // and memory only where the number of records is public.
  absl::Status WriteSummary(const std::string& fields, const proto::Certificate& certificate, uint64_t rows);

 private:
  explicit ReleaseOutput(absl::Time start) : start_(start) {}

  absl::Time start_;
  std::unique_ptr<AtomicFileWriter> writer_;
  std::unique_ptr<AtomicFileWriter> summary_writer_;  // null without --summary_out
  size_t bytes_ = 0;
  std::string sha256_;
};

}  // namespace dpkde

#endif  // DPKDE_TOOLS_RELEASE_OUTPUT_H_
