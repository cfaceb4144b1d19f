#include "dpkde/tools/corpus_input.h"

#include <cstdio>
#include <memory>
#include <new>
#include <unordered_map>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "dpkde/base/status_macros.h"
#include "dpkde/index/corpus/corpus_files.h"
#include "dpkde/index/corpus/document_ids.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/stored_tokens.h"
#include "dpkde/index/corpus/vector_origin.h"
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

// The rows of --input, and what they are relative to.
absl::StatusOr<VectorsAndOrigin> ReadVectors(VectorReaderOptions options,
                                             const absl::optional<std::vector<double>>& origin) {
  options.origin = origin.value_or(std::vector<double>());
  DPKDE_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader,
                         VectorReader::Open(absl::GetFlag(FLAGS_input), options));
  if (!origin.has_value()) return ReadVectorsAndOrigin(*reader);
  DPKDE_ASSIGN_OR_RETURN(TokenSets vectors, ReadSingleVectors(*reader));
  return VectorsAndOrigin{std::move(vectors), *origin};
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

absl::StatusOr<CorpusInput> ReadCorpusInput(const absl::optional<std::vector<double>>& origin) {
  DPKDE_RETURN_IF_ERROR(CheckCorpusFlags());
  DPKDE_ASSIGN_OR_RETURN(VectorReaderOptions options, ParseInputOptions());
  DPKDE_ASSIGN_OR_RETURN(const ListOptions list_options, ParseListOptions());
  ListOptions id_options = list_options;
  std::string ids_path = absl::GetFlag(FLAGS_ids);
  const std::string id_column = absl::GetFlag(FLAGS_id_column);
  if (!ids_path.empty()) {
    ChooseListColumn(id_column, &id_options);
  } else if (!id_column.empty()) {
    ids_path = absl::GetFlag(FLAGS_input);
    if (ids_path.empty()) return UsageError("--id_column needs --ids, or a table of single vectors as --input");
    DPKDE_RETURN_IF_ERROR(TakeColumnFromTable(ids_path, "id_column", id_column, &options, &id_options));
    options.blank_lines = VectorReaderOptions::BlankLines::kSkippedAtEnd;  // as lists do
  }
  const bool single_vectors = !absl::GetFlag(FLAGS_input).empty();
  VectorsAndOrigin read{TokenSets(1), {}};
  if (single_vectors) {
    DPKDE_ASSIGN_OR_RETURN(read, AboutData(ReadVectors(options, origin)));
  } else {
    DPKDE_ASSIGN_OR_RETURN(read.vectors,
                           AboutData(ReadTokenSets(absl::GetFlag(FLAGS_tokens), absl::GetFlag(FLAGS_lens), options,
                                                   list_options)));
  }
  TokenSets& documents = read.vectors;
  std::vector<std::string> ids;
  if (!ids_path.empty()) {
    DPKDE_ASSIGN_OR_RETURN(ids, ReadIdFile(ids_path, id_options));
    if (ids.size() != documents.size()) {
      return absl::InvalidArgumentError(absl::StrCat(ids_path, ": must have an id for each of ", documents.size(),
                                                     " documents, but has ", ids.size()));
    }
  }
  return CorpusInput{std::move(documents), single_vectors, std::move(ids), std::move(read.origin)};
}

absl::Status NameCorpusFile(const absl::Status& status) {
  const std::string message(status.message());
  const std::string input = absl::GetFlag(FLAGS_input), ids = absl::GetFlag(FLAGS_ids);
  std::string path;
  if (absl::StartsWith(message, "row ") || absl::StartsWith(message, "document ")) {
    path = input.empty() ? absl::GetFlag(FLAGS_tokens) : input;
  } else if (absl::StrContains(message, " id ")) {
    path = ids;
  }
  if (status.ok() || path.empty()) return status;
  return absl::Status(status.code(), absl::StrCat(path, ": ", message));
}

absl::Status WithinMemory(const std::function<absl::Status()>& change) {
  absl::Status status;
  try {
    status = change();
  } catch (const std::bad_alloc&) {
    status = absl::ResourceExhaustedError("out of memory");
  }
  if (status.code() != absl::StatusCode::kResourceExhausted) return status;
  return absl::InternalError(absl::StrCat(std::string(status.message()),
                                          ": documents are held as float32, besides their codes and what is written of "
                                          "them, about four times the input for "
                                          "single vectors; build an index of a part of them and let dpkde_build add "
                                          "bring the rest, or choose smaller codes "
                                          "with --config"));
}

void WarnOfLoss(proto::TokenStoreSpec::Format format, TokenSetsView documents) {
  const TokenFormat tokens = ToTokenFormat(format);
  const double loss = StorageLoss(tokens, documents.all());
  if (loss <= (tokens == TokenFormat::kInt8 ? kWorthyLossOfInt8 : kWorthyLossOfFloat16)) return;
  absl::FPrintF(
      stderr,
      "warning: stored as %s, these vectors are off by %.2g %% of their spread (root mean square); as FLOAT32 by "
      "nothing\n",
      proto::TokenStoreSpec::Format_Name(format), 100 * loss);
}

absl::StatusOr<TokenSets> ReadQueryInput(const proto::IndexConfig& config) {
  const std::string queries = absl::GetFlag(FLAGS_queries), lens = absl::GetFlag(FLAGS_query_lens);
  if (queries.empty()) return UsageError("--queries is missing");
  if (config.tokens().single_vectors() && !lens.empty()) {
    return UsageError("--query_lens is for token sets, but the index has single vectors");
  }
  DPKDE_ASSIGN_OR_RETURN(VectorReaderOptions options, ParseInputOptions());
  DPKDE_ASSIGN_OR_RETURN(const ListOptions list_options, ParseListOptions());
  options.origin = {config.origin().begin(), config.origin().end()};
  DPKDE_ASSIGN_OR_RETURN(TokenSets sets, AboutData(lens.empty() ? ReadSingleVectors(queries, options)
                                                                : ReadTokenSets(queries, lens, options, list_options)));
  if (sets.dimension() != config.tokens().dimension()) {
    return absl::InvalidArgumentError(absl::StrCat(queries, ": queries must have ", config.tokens().dimension(),
                                                   " columns, as the index has, but have ", sets.dimension(),
                                                   OneColumnHint(queries, sets.dimension())));
  }
  return sets;
}

absl::StatusOr<std::vector<std::string>> ReadIdFile(const std::string& path, const ListOptions& options) {
  std::vector<std::string> ids;
  std::unordered_map<std::string, uint64_t> first;  // row of each id
  uint64_t first_line = 0;
  const auto place = [&](uint64_t row) {
    return first_line > 0 ? absl::StrCat("line ", first_line + row) : absl::StrCat("row ", row, " (counting from 0)");
  };
  const absl::Status read =
      ForEachText(path, options, [&](uint64_t row, uint64_t line, absl::optional<absl::string_view> id) -> absl::Status {
        if (row == 0) first_line = line;
        if (const absl::Status valid = CheckDocumentId(*id); !valid.ok()) {
          return absl::InvalidArgumentError(
              absl::StrCat(path, ": the id in ", place(row), " ", std::string(valid.message())));
        }
        ids.emplace_back(*id);
        const auto inserted = first.insert({ids.back(), row});
        if (inserted.second) return absl::OkStatus();
        return absl::InvalidArgumentError(absl::StrCat(path, ": the id \"", *id, "\" is in ", place(row), " and in ",
                                                       place(inserted.first->second)));
      });
  if (!read.ok()) return DataError(read);
  return ids;
}

absl::StatusOr<std::vector<std::string>> ReadIdList(const std::string& path) {
  DPKDE_ASSIGN_OR_RETURN(const ListOptions options, ParseListOptions());
  return AboutData(ReadIds(path, options));
}

absl::Status NameQueryFile(const absl::Status& status) {
  const std::string message(status.message());
  if (status.code() != absl::StatusCode::kInvalidArgument || !absl::StrContains(message, "query ")) return status;
  return absl::Status(status.code(), absl::StrCat(absl::GetFlag(FLAGS_queries), ": ", message));
}

absl::Status CheckStillSame(const proto::IndexConfig& config, const IndexDirectory& index) {
  const bool same = absl::Span<const double>(config.origin()) == index.origin() &&
                    config.tokens().SerializeAsString() == index.manifest().config().tokens().SerializeAsString();
  if (same) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(index.path(), ": was replaced by another index just now; try again"));
}

absl::StatusOr<proto::IndexManifest> ReadIndexFlag() {
  if (absl::GetFlag(FLAGS_index).empty()) return UsageError("--index is missing");
  return IndexDirectory::ReadManifest(absl::GetFlag(FLAGS_index));
}

absl::Status AboutIds(const absl::Status& status) {
  const bool about_ids =
      status.code() == absl::StatusCode::kNotFound || status.code() == absl::StatusCode::kAlreadyExists;
  return about_ids ? WithExitCode(NameCorpusFile(status), ExitCode::kData) : NameCorpusFile(status);
}

}  // namespace dpkde
