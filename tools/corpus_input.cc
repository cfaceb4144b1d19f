#include "dpkde/tools/corpus_input.h"

#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/tools/exit_code.h"
#include "dpkde/tools/input_options.h"
#include "dpkde/tools/shared_flags.h"
#include "dpkde/tools/subcommand.h"

namespace dpkde {
namespace {

template <typename T>
absl::StatusOr<T> AboutData(absl::StatusOr<T> value) {
  if (!value.ok()) return DataError(value.status());
  return value;
}

}  // namespace

absl::Status CheckCorpusFlags() {
  const bool tokens = !absl::GetFlag(FLAGS_tokens).empty(), lens = !absl::GetFlag(FLAGS_lens).empty();
  const bool input = !absl::GetFlag(FLAGS_input).empty();
  if (input && (tokens || lens)) return UsageError("--input is for single vectors; --tokens and --lens for token sets");
  if (!input && !tokens && !lens) return UsageError("--tokens and --lens, or --input, are missing");
  if (!input && !tokens) return UsageError("--tokens is missing");
  if (!input && !lens) return UsageError("--lens is missing: it says which tokens belong to one document");
  return absl::OkStatus();
}

absl::StatusOr<CorpusInput> ReadCorpusInput() {
  DPKDE_RETURN_IF_ERROR(CheckCorpusFlags());
  DPKDE_ASSIGN_OR_RETURN(const VectorReaderOptions options, ParseInputOptions());
  const bool single_vectors = !absl::GetFlag(FLAGS_input).empty();
  DPKDE_ASSIGN_OR_RETURN(
      TokenSets documents,
      AboutData(single_vectors ? ReadSingleVectors(absl::GetFlag(FLAGS_input), options)
                               : ReadTokenSets(absl::GetFlag(FLAGS_tokens), absl::GetFlag(FLAGS_lens), options)));
  std::vector<std::string> ids;
  const std::string ids_path = absl::GetFlag(FLAGS_ids);
  if (!ids_path.empty()) {
    DPKDE_ASSIGN_OR_RETURN(ids, ReadIdFile(ids_path));
    if (ids.size() != documents.size()) {
      return absl::InvalidArgumentError(absl::StrCat(ids_path, ": must have an id for each of ", documents.size(),
                                                     " documents, but has ", ids.size()));
    }
  }
  return CorpusInput{std::move(documents), single_vectors, std::move(ids)};
}

absl::StatusOr<TokenSets> ReadQueryInput(const proto::IndexConfig& config) {
  const std::string queries = absl::GetFlag(FLAGS_queries), lens = absl::GetFlag(FLAGS_query_lens);
  if (queries.empty()) return UsageError("--queries is missing");
  if (config.tokens().single_vectors() && !lens.empty()) {
    return UsageError("--query_lens is for token sets, but the index has single vectors");
  }
  DPKDE_ASSIGN_OR_RETURN(const VectorReaderOptions options, ParseInputOptions());
  DPKDE_ASSIGN_OR_RETURN(TokenSets sets, AboutData(lens.empty() ? ReadSingleVectors(queries, options)
                                                                : ReadTokenSets(queries, lens, options)));
  if (sets.dimension() != config.tokens().dimension()) {
    return absl::InvalidArgumentError(absl::StrCat(queries, ": queries must have the index's token dimension, ",
                                                   config.tokens().dimension(), ", but have ", sets.dimension()));
  }
  return sets;
}

absl::StatusOr<std::vector<std::string>> ReadIdFile(const std::string& path) { return AboutData(ReadIds(path)); }

absl::StatusOr<proto::IndexManifest> ReadIndexFlag() {
  if (absl::GetFlag(FLAGS_index).empty()) return UsageError("--index is missing");
  return IndexDirectory::ReadManifest(absl::GetFlag(FLAGS_index));
}

absl::Status AboutIds(const absl::Status& status) {
  const bool about_ids =
      status.code() == absl::StatusCode::kNotFound || status.code() == absl::StatusCode::kAlreadyExists;
  return about_ids ? WithExitCode(status, ExitCode::kData) : status;
}

}  // namespace dpkde
