#include "dpkde/tools/build_index.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/base/thread_pool.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/encoding/encoder_choice.h"
#include "dpkde/index/encoding/encoder_factory.h"
#include "dpkde/index/search/index_changes.h"
#include "dpkde/index/search/index_trial.h"
#include "dpkde/index/search/searcher.h"
#include "dpkde/io/file.h"
#include "dpkde/tools/corpus_input.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/failure_note.h"
#include "dpkde/tools/index_config.h"
#include "dpkde/tools/output_path.h"
#include "dpkde/tools/shared_flags.h"

namespace dpkde {
namespace {

// The encoder that `config` describes, or one that suits the documents. `how` tells which, and why.
absl::StatusOr<std::unique_ptr<const Encoder>> MakeEncoder(const proto::IndexConfig& config, TokenSetsView documents,
                                                           ThreadPool& pool, std::string* how) {
  if (config.encoder().kind_case() != proto::EncoderSpec::KIND_NOT_SET) {
    *how = "Encoder as configured.";
    return CreateEncoder(config.encoder(), documents, pool);
  }
  EncoderChoiceOptions options;
  options.public_seed = config.encoder().public_seed();
  DPKDE_ASSIGN_OR_RETURN(EncoderChoice choice, ChooseEncoder(documents, options, pool));
  *how = choice.DebugString();
  return std::move(choice.encoder);
}

// What the origin of single vectors is to be; nullopt: one that suits them. A smaller format has none: it was asked for.
absl::optional<std::vector<double>> OriginAsked(const proto::IndexConfig& config) {
  const proto::TokenStoreSpec::Format format = config.tokens().format();
  const bool float32 =
      format == proto::TokenStoreSpec::FORMAT_UNSPECIFIED || format == proto::TokenStoreSpec::FLOAT32;
  if (float32 && config.origin().empty()) return absl::nullopt;
  return std::vector<double>(config.origin().begin(), config.origin().end());
}

// Looks for some of the documents, unless an index of float32 compares all, and says what it does not find.
absl::Status WarnOfLostNeighbors(const Searcher& searcher, TokenSetsView documents, ThreadPool& pool) {
  const proto::IndexConfig& config = searcher.directory().manifest().config();
  const bool exact_tokens = config.tokens().format() == proto::TokenStoreSpec::FLOAT32;
  if (exact_tokens && config.vector_index().codes() == proto::VectorIndexSpec::FLOAT32 &&
      config.vector_index().kind() == proto::VectorIndexSpec::FLAT) {
    return absl::OkStatus();
  }
  DPKDE_ASSIGN_OR_RETURN(const IndexTrial trial, TryIndex(searcher, documents.all(), pool));
  if (!trial.loses()) return absl::OkStatus();
  std::string cause = absl::StrCat(proto::VectorIndexSpec::Kind_Name(config.vector_index().kind()), " of ",
                                   proto::VectorIndexSpec::Codes_Name(config.vector_index().codes()),
                                   " loses the others; more candidates, codes of FLOAT32 or kind FLAT find more");
  if (trial.exact_recall < 0.99) {
    cause = absl::StrCat("vectors rounded to ", proto::TokenStoreSpec::Format_Name(config.tokens().format()),
                         " are too coarse for their spread; leave the format of tokens out, which is then FLOAT32");
  }
  absl::FPrintF(stderr,
                "warning: of the %d nearest of %d of the documents a search with %d candidates finds %.3f, and one with all "
                "documents as candidates %.3f: %s\n",
                trial.k, trial.queries, trial.candidates, trial.recall, trial.exact_recall, cause);
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>&) {
  const auto start = std::chrono::steady_clock::now();
  const std::string output = absl::GetFlag(FLAGS_output), summary_out = absl::GetFlag(FLAGS_summary_out);
  const bool overwrite = absl::GetFlag(FLAGS_overwrite);
  DPKDE_RETURN_IF_ERROR(CheckCorpusFlags());
  if (output.empty()) return UsageError("--output is missing");
  if (output == "-") return UsageError("--output=- is standard output, but an index is a directory");
  std::error_code error;
  if (std::filesystem::exists(output, error) && !std::filesystem::is_directory(output, error)) {
    return UsageError(absl::StrCat("--output=", output, " exists and is no directory, so that no index replaces it"));
  }
  const absl::Status present = IndexDirectory::ReadManifest(output).status();
  if (absl::IsUnavailable(present)) return present;
  if (!overwrite && !absl::IsNotFound(present)) {
    return UsageError(absl::StrCat("--output=", output, " already exists; --overwrite replaces an index"));
  }
  std::unique_ptr<AtomicFileWriter> summary_writer;
  if (!summary_out.empty()) {
    DPKDE_RETURN_IF_ERROR(CheckOutputs({{"summary_out", summary_out}},
                                       {output, absl::GetFlag(FLAGS_tokens), absl::GetFlag(FLAGS_lens),
                                        absl::GetFlag(FLAGS_input), absl::GetFlag(FLAGS_ids), absl::GetFlag(FLAGS_config)}));
    DPKDE_ASSIGN_OR_RETURN(summary_writer, OpenOutput(summary_out));
  }
  DPKDE_ASSIGN_OR_RETURN(proto::IndexConfig config, ReadIndexConfig());
  DPKDE_ASSIGN_OR_RETURN(const CorpusInput corpus, ReadCorpusInput(OriginAsked(config)));
  const TokenSetsView documents = corpus.documents.view();
  ThreadPool pool(absl::GetFlag(FLAGS_threads));

  if (config.vector_index().codes() == proto::VectorIndexSpec::CODES_UNSPECIFIED) {
    config.mutable_vector_index()->set_codes(corpus.single_vectors ? proto::VectorIndexSpec::FLOAT32
                                                                   : proto::VectorIndexSpec::INT8);
  }
  const bool format_asked = config.tokens().format() != proto::TokenStoreSpec::FORMAT_UNSPECIFIED;
  config.mutable_tokens()->set_single_vectors(corpus.single_vectors);
  if (!corpus.single_vectors && !config.origin().empty()) {
    return UsageError("--config has an origin, which is for single vectors");
  }
  *config.mutable_origin() = {corpus.origin.begin(), corpus.origin.end()};
  std::unique_ptr<const Encoder> encoder;
  std::string how = corpus.origin.empty() ? "Single vectors." : "Single vectors, kept relative to a point among them.";
  if (!corpus.single_vectors) {
    DPKDE_ASSIGN_OR_RETURN(encoder, MakeEncoder(config, documents, pool, &how));
  } else if (config.has_encoder()) {
    return UsageError("--config has an encoder, but single vectors take none");
  }
  const absl::Status built = BuildIndex(output, documents, corpus.ids, config, encoder.get(), overwrite, pool,
                                        absl::GetFlag(FLAGS_wait).duration);
  if (built.code() == absl::StatusCode::kAlreadyExists &&
      (overwrite || IndexDirectory::ReadManifest(output).status().code() == absl::StatusCode::kNotFound)) {
    return AboutIds(built);  // an id twice
  }
  // Another process has made it meanwhile, which is no mistake of the command line.
  if (absl::IsAlreadyExists(built)) return WithExitCode(built, ExitCode::kIo);
  DPKDE_RETURN_IF_ERROR(NameCorpusFile(built));
  NoteOnFailure(absl::StrCat("the index in ", output, " is complete"));

  // Verified as a search would.
  DPKDE_ASSIGN_OR_RETURN(const Searcher searcher, Searcher::Open(output));
  const uint64_t rows = searcher.directory().rows();
  const double bytes = rows == 0 ? 0 : static_cast<double>(searcher.vectors().bytes_of_rows()) / rows;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!absl::GetFlag(FLAGS_quiet)) {
    absl::FPrintF(stderr, "%s%s%s: %d documents, %d tokens; %d coordinates, %.4g bytes a document; %.1f s\n", how,
                  how.empty() || how.back() == '\n' ? "" : "\n", output, rows, documents.token_count(),
                  searcher.vectors().dimension(), bytes, seconds);
    if (corpus.single_vectors) {
      DPKDE_RETURN_IF_ERROR(WarnOfLostNeighbors(searcher, documents, pool));
    } else if (format_asked) {
      WarnOfLoss(config.tokens().format(), documents);
    }
  }
  if (summary_writer != nullptr) {
    DPKDE_RETURN_IF_ERROR(summary_writer->Append(absl::StrFormat(
        "{\"documents\":%d,\"tokens\":%d,\"dimension\":%d,\"bytes_per_document\":%.6g,\"seconds\":%.3f}\n", rows,
        documents.token_count(), searcher.vectors().dimension(), bytes, seconds)));
    DPKDE_RETURN_IF_ERROR(summary_writer->Commit());
  }
  return absl::OkStatus();
}

}  // namespace

Subcommand BuildIndexSubcommand() {
  return {
      "index",
      "Makes a directory in which public documents can be searched, added and removed. Documents are sets of token "
      "vectors (ranked by Chamfer similarity), or single vectors.",
      "(--tokens=FILE --lens=FILE | --input=FILE) [--ids=FILE] [--config=FILE] --output=DIR",
      "--input=places.npy --ids=places.txt --output=places.index",
      {{"Required", {{"output", "`DIR` to make. Appears complete or not at all."}}},
       {"Documents: --tokens with --lens, or --input",
        {"tokens",
         "lens",
         {"input", "`FILE` of public vectors, each a document."},
         {"ids", "`FILE` of the documents' ids, one a line (.txt) or row. Left out: the number of the row, from 0."},
         "input_format",
         "columns", "id_column", "csv_header", "list_format"}},
       {"Index", {"config"}},
       {"Output", {"overwrite", {"summary_out", "`FILE` for a summary in JSON: rows, bytes and time."}}},
       {"Running", {"wait", "threads", "quiet"}}},
      {},
      [](const std::vector<std::string>& operands) { return WithinMemory([&] { return Run(operands); }); }};
}

}  // namespace dpkde
