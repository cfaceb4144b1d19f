#include "dpkde/tools/build_remove.h"

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/tools/corpus_input.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/shared_flags.h"

namespace dpkde {
namespace {

absl::Status Run(const std::vector<std::string>&) {
  const std::string index = absl::GetFlag(FLAGS_index), path = absl::GetFlag(FLAGS_ids);
  if (path.empty()) return UsageError("--ids is missing");
  DPKDE_ASSIGN_OR_RETURN(ListOptions options, ParseListOptions());
  ChooseListColumn(absl::GetFlag(FLAGS_id_column), &options);
  DPKDE_RETURN_IF_ERROR(ReadIndexFlag().status());
  DPKDE_ASSIGN_OR_RETURN(const std::vector<std::string> ids, ReadIdFile(path, options));
  DPKDE_RETURN_IF_ERROR(AboutIds(RemoveDocuments(index, ids, absl::GetFlag(FLAGS_wait).duration)));
  if (!absl::GetFlag(FLAGS_quiet)) absl::FPrintF(stderr, "%s: %d documents removed\n", index, ids.size());
  return absl::OkStatus();
}

}  // namespace

Subcommand BuildRemoveSubcommand() {
  return {"remove",
          "Removes documents from an index by id. All of them, or none. Their space is freed by compact.",
          "--index=DIR --ids=FILE",
          "--index=places.index --ids=closed.txt",
          {{"Required", {"index", {"ids", "`FILE` of the ids of the documents to remove, one a line (.txt) or row."}}},
           {"Ids", {"id_column", "csv_header", "list_format"}},
           {"Running", {"wait", "threads", "quiet"}}},
          {},
          Run};
}

}  // namespace dpkde
