#include "dpkde/tools/build_add.h"

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/vector_origin.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/tools/corpus_input.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/shared_flags.h"

namespace dpkde {
namespace {

absl::Status Run(const std::vector<std::string>&) {
  DPKDE_RETURN_IF_ERROR(CheckCorpusFlags());
  DPKDE_ASSIGN_OR_RETURN(const proto::IndexManifest manifest, ReadIndexFlag());
  const proto::IndexConfig& config = manifest.config();
  absl::optional<std::vector<double>> origin;
  // The first documents of an index decide where its vectors lie.
  if (manifest.segment_size() > 0 || config.tokens().format() != proto::TokenStoreSpec::FLOAT32) {
    origin = std::vector<double>(config.origin().begin(), config.origin().end());
  }
  DPKDE_ASSIGN_OR_RETURN(const CorpusInput corpus, ReadCorpusInput(origin));
  if (corpus.single_vectors != config.tokens().single_vectors()) {
    return UsageError(corpus.single_vectors ? "--input is for single vectors, but the index has token sets"
                                            : "--tokens is for token sets, but the index has single vectors");
  }
  ThreadPool pool(absl::GetFlag(FLAGS_threads));
  const std::string index = absl::GetFlag(FLAGS_index);
  DPKDE_RETURN_IF_ERROR(AboutIds(AddDocuments(index, corpus.documents.view(), corpus.ids, pool, corpus.origin,
                                              absl::GetFlag(FLAGS_wait).duration)));
  if (!absl::GetFlag(FLAGS_quiet)) {
    absl::FPrintF(stderr, "%s: %d documents added\n", index, corpus.documents.size());
    WarnOfLoss(config.tokens().format(), corpus.documents.view());
    if (corpus.single_vectors && LoseTheirDifferences(corpus.documents.view().all())) {
      absl::FPrintF(stderr,
                    "warning: these vectors lie farther from the first ones of the index than float32 resolves at their "
                    "spread; build an index of their own, or all of it anew\n");
    }
  }
  return absl::OkStatus();
}

}  // namespace

Subcommand BuildAddSubcommand() {
  return {
      "add",
      "Adds documents to an index, encoded as those that are there. All of them, or none.",
      "--index=DIR (--tokens=FILE --lens=FILE | --input=FILE) [--ids=FILE]",
      "--index=places.index --input=more.npy --ids=more.txt",
      {{"Required", {"index"}},
       {"Documents: --tokens with --lens, or --input",
        {"tokens",
         "lens",
         {"input", "`FILE` of public vectors, each a document, if the index has single vectors."},
         {"ids",
          "`FILE` of the documents' ids, one a line (.txt) or row. Left out: the number of documents that were added "
          "before, from 0."},
         "input_format",
         "columns", "id_column", "csv_header",
         "list_format"}},
       {"Running", {"wait", "threads", "quiet"}}},
      {},
      [](const std::vector<std::string>& operands) { return WithinMemory([&] { return Run(operands); }); }};
}

}  // namespace dpkde
