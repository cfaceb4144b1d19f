#include "dpkde/tools/build_compact.h"

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/tools/corpus_input.h"
#include "dpkde/tools/shared_flags.h"

namespace dpkde {
namespace {

absl::Status Run(const std::vector<std::string>&) {
  DPKDE_ASSIGN_OR_RETURN(const proto::IndexManifest before, ReadIndexFlag());
  const std::string index = absl::GetFlag(FLAGS_index);
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  DPKDE_RETURN_IF_ERROR(CompactIndex(index, pool, absl::GetFlag(FLAGS_wait).duration));
  if (!absl::GetFlag(FLAGS_quiet)) {
    absl::FPrintF(stderr, "%s: %d removed documents dropped\n", index, before.removed_documents());
  }
  return absl::OkStatus();
}

}  // namespace

Subcommand BuildCompactSubcommand() {
  return {"compact",
          "Rewrites an index without what was removed; rows are numbered anew, ids and encoder stay, codes, lists and "
          "graph are learnt again.",
          "--index=DIR",
          "--index=places.index",
          {{"Required", {"index"}}, {"Running", {"wait", "threads", "quiet"}}},
          {},
          [](const std::vector<std::string>& operands) { return WithinMemory([&] { return Run(operands); }); }};
}

}  // namespace dpkde
