#ifndef DPKDE_TOOLS_CORPUS_INPUT_H_
#define DPKDE_TOOLS_CORPUS_INPUT_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "dpkde/index/corpus/index_directory.h"
#include "dpkde/index/corpus/token_sets.h"
#include "dpkde/io/list_reader.h"
#include "dpkde/proto/index.pb.h"

namespace dpkde {

// What --tokens, --lens, --input and --ids name.
struct CorpusInput {
  TokenSets documents;
  bool single_vectors;           // --input
  std::vector<std::string> ids;  // empty without --ids
  std::vector<double> origin;    // what single vectors are relative to; empty: 0
};

// A usage error unless it is --tokens and --lens, or --input alone.
absl::Status CheckCorpusFlags();

// `origin`: of single vectors; nullopt: one that suits them.
absl::StatusOr<CorpusInput> ReadCorpusInput(const absl::optional<std::vector<double>>& origin);

// An error of the library about documents or ids, with the file in front that they came from.
absl::Status NameCorpusFile(const absl::Status& status);

// Runs `change`; where memory ends, says what would help (exit code 70).
absl::Status WithinMemory(const std::function<absl::Status()>& change);

// Says on stderr what rounding to `format` takes from tokens of such a spread, where it is worth a warning.
void WarnOfLoss(proto::TokenStoreSpec::Format format, TokenSetsView documents);

// What --queries and --query_lens name, relative to the origin of `config`; a usage error unless there are queries, and lengths where tokens of an index
// with such `config` belong together.
absl::StatusOr<TokenSets> ReadQueryInput(const proto::IndexConfig& config);

// The ids of documents in a file; one that is none, or is there twice, is a data error that names its line. Any other
// list of ids: ReadIdList().
absl::StatusOr<std::vector<std::string>> ReadIdFile(const std::string& path, const ListOptions& options);

// The ids in a file as they are.
absl::StatusOr<std::vector<std::string>> ReadIdList(const std::string& path);

// An error of the library about a query, with the file in front that it came from.
absl::Status NameQueryFile(const absl::Status& status);

// kUnavailable if the index is no longer the one whose configuration was read, by which queries were read too.
absl::Status CheckStillSame(const proto::IndexConfig& config, const IndexDirectory& index);

// The manifest of the index that --index names; a usage error if it is missing.
absl::StatusOr<proto::IndexManifest> ReadIndexFlag();

// An error of changing an index that is about the ids in a user's file (an id that is not there, or twice) has exit
// code 2, since the index itself was found.
absl::Status AboutIds(const absl::Status& status);

}  // namespace dpkde

#endif  // DPKDE_TOOLS_CORPUS_INPUT_H_
